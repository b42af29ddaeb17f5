//! The servers under test: started by the bench, in folders of their own, ended with it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::http::{Connection, request};

const OURS: &str = "agent-server";

/// Who issues the tokens of [`Guard::Tokens`], and for whom.
pub(crate) const ISSUER: &str = "https://issuer.invalid";
pub(crate) const AUDIENCE: &str = "bench";

/// What our own server is made of.
#[derive(Debug, clap::Args)]
pub(crate) struct Programs {
    /// The server's release binary.
    #[arg(long)]
    pub(crate) server: PathBuf,
    /// Interpreter with langgraph installed, for our workers and the bare library.
    #[arg(long)]
    pub(crate) python: PathBuf,
    /// Folder with the graphs.
    #[arg(long)]
    pub(crate) project: PathBuf,
}

/// How a server finds out who asks.
#[derive(Debug)]
pub(crate) enum Guard {
    /// Not at all.
    None,
    /// By the handler of the project.
    Handler,
    /// By API keys.
    Keys,
    /// By tokens, signed with a key of this file.
    Tokens(PathBuf),
}

/// A running server.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Whether it is our own server.
    pub(crate) is_ours: bool,
    pub(crate) address: SocketAddr,
    /// Exec to the first good `/ok`.
    pub(crate) start: Duration,
    child: Child,
    folder: TempDir,
}

impl Drop for Target {
    fn drop(&mut self) {
        // The peer starts children of its own; they are in its process group.
        let _ = Command::new("kill").args(["--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn get_ok(address: SocketAddr) -> Result<()> {
    let answer = Connection::open(address).await?.call(&request("GET", "/ok", None)).await?;
    if answer.status != 200 {
        bail!("status {}", answer.status);
    }
    Ok(())
}

async fn start(
    name: &'static str,
    mut command: Command,
    folder: TempDir,
    port: u16,
) -> Result<Target> {
    use std::os::unix::process::CommandExt as _;
    let log = std::fs::File::create(folder.path().join("log"))?;
    command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null()).process_group(0);
    let begin = Instant::now();
    let child =
        command.spawn().with_context(|| format!("{name} could not be started: {command:?}"))?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let is_ours = name == OURS;
    let mut target = Target { name, is_ours, address, start: Duration::ZERO, child, folder };
    let limit = Duration::from_secs(120);
    while get_ok(address).await.is_err() {
        if let Some(status) = target.child.try_wait()? {
            let log = std::fs::read_to_string(target.folder.path().join("log")).unwrap_or_default();
            bail!("{name} ended with {status}:\n{log}");
        }
        if begin.elapsed() > limit {
            bail!("{name} did not answer /ok within {} s", limit.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    target.start = begin.elapsed();
    Ok(target)
}

/// Our own server, a release build, durable as ever.
pub(crate) async fn ours(programs: &Programs) -> Result<Target> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let command = command(programs, "ours.json", folder.path(), port);
    start(OURS, command, folder, port).await
}

/// Our own server once more, behind a guard; and the API key that it lets in, if that is the guard.
pub(crate) async fn guarded(
    programs: &Programs,
    guard: &Guard,
) -> Result<(Target, Option<String>)> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let config = if matches!(guard, Guard::Handler) { "guarded.json" } else { "ours.json" };
    let mut command = command(programs, config, folder.path(), port);
    let mut key = None;
    match guard {
        Guard::None | Guard::Handler => {}
        Guard::Keys => key = Some(make_key(programs, folder.path())?),
        Guard::Tokens(keys) => {
            command.args(["--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE, "--jwt-jwks-file"]);
            command.arg(keys);
        }
    }
    Ok((start(OURS, command, folder, port).await?, key))
}

fn command(programs: &Programs, config: &str, folder: &Path, port: u16) -> Command {
    let mut command = Command::new(&programs.server);
    command
        .args(["dev", "--no-reload", "--port", &port.to_string(), "--python"])
        .arg(&programs.python)
        .arg("--config")
        .arg(programs.project.join(config))
        .arg("--data-dir")
        .arg(folder.join("data"));
    command
}

fn make_key(programs: &Programs, folder: &Path) -> Result<String> {
    let mut command = Command::new(&programs.server);
    command.args(["keys", "create", "bench", "--data-dir"]).arg(folder.join("data"));
    let made = command.output()?;
    if !made.status.success() {
        bail!("no key: {}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

/// `langgraph dev` in an environment of its own.
pub(crate) async fn peer(environment: &Path, project: &Path) -> Result<Target> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    // The peer writes its state beside the project: give it a copy.
    let copy: PathBuf = folder.path().join("project");
    std::fs::create_dir(&copy)?;
    for file in ["langgraph.json", "graphs.py", "pyproject.toml"] {
        std::fs::copy(project.join(file), copy.join(file))?;
    }
    let mut command = Command::new(environment.join("bin/langgraph"));
    command
        .args([
            "dev",
            "--no-browser",
            "--no-reload",
            "--n-jobs-per-worker",
            "10",
            "--port",
            &port.to_string(),
        ])
        .current_dir(&copy)
        .env("LANGSMITH_TRACING", "false")
        .env("LOG_LEVEL", "warning");
    start("langgraph dev", command, folder, port).await
}

impl Target {
    /// Its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Resident memory of the server process alone, MB.
    pub(crate) fn resident_mb(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kilobytes / 1024.0)
    }
}
