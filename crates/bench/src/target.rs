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
pub(crate) async fn ours(binary: &Path, python: &Path, project: &Path) -> Result<Target> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let mut command = Command::new(binary);
    command
        .args(["dev", "--no-reload", "--port", &port.to_string(), "--python"])
        .arg(python)
        .arg("--config")
        .arg(project.join("ours.json"))
        .arg("--data-dir")
        .arg(folder.path().join("data"));
    start(OURS, command, folder, port).await
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
