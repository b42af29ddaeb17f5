//! The two servers: started in folders of their own, ended with this program.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// The peer imports its graphs before it answers.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A server that runs somewhere.
pub(crate) struct Target {
    pub(crate) url: String,
    /// Absent for a server that somebody else started.
    started: Option<(Child, TempDir)>,
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.started {
            // The peer starts children of its own; they are in its process group.
            let _ = Command::new("kill").args(["--", &format!("-{}", child.id())]).status();
            let _ = child.wait();
        }
    }
}

/// A server that somebody else started.
pub(crate) fn running(url: &str) -> Target {
    Target { url: url.trim_end_matches('/').to_owned(), started: None }
}

/// Our own server.
pub(crate) async fn ours(binary: &Path, python: &Path, project: &Path) -> Result<Target> {
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let mut command = Command::new(binary);
    command
        .args(["dev", "--offline", "--no-reload", "--port", &port.to_string(), "--python"])
        .arg(python)
        .arg("--config")
        .arg(project.join("langgraph.json"))
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .current_dir(folder.path());
    start("agent-server", command, folder, port).await
}

/// `langgraph dev` in an environment of its own.
pub(crate) async fn peer(environment: &Path, project: &Path) -> Result<Target> {
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    // The peer writes its state beside the project: give it a copy.
    let copy = folder.path().join("project");
    std::fs::create_dir(&copy)?;
    for file in std::fs::read_dir(project)? {
        let file = file?;
        if file.file_type()?.is_file() {
            std::fs::copy(file.path(), copy.join(file.file_name()))?;
        }
    }
    let mut command = Command::new(environment.join("bin/langgraph"));
    command
        .args(["dev", "--no-browser", "--no-reload", "--n-jobs-per-worker", "24"])
        .args(["--port", &port.to_string()])
        .current_dir(&copy)
        .env("LANGSMITH_TRACING", "false")
        .env("LOG_LEVEL", "warning");
    start("langgraph dev", command, folder, port).await
}

async fn start(name: &str, mut command: Command, folder: TempDir, port: u16) -> Result<Target> {
    use std::os::unix::process::CommandExt as _;
    let path = folder.path().join("log");
    let log = std::fs::File::create(&path)?;
    command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null()).process_group(0);
    let child =
        command.spawn().with_context(|| format!("{name} could not be started: {command:?}"))?;
    let url = format!("http://127.0.0.1:{port}");
    let mut target = Target { url, started: Some((child, folder)) };
    let since = Instant::now();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    loop {
        let answer = client.get(format!("{}/ok", target.url)).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(target);
        }
        let status = target.started.as_mut().and_then(|(child, _)| child.try_wait().transpose());
        let log = || std::fs::read_to_string(&path).unwrap_or_default();
        if let Some(status) = status {
            bail!("{name} ended with {}:\n{}", status?, log());
        }
        if since.elapsed() > START_LIMIT {
            bail!("{name} did not answer within {} s:\n{}", START_LIMIT.as_secs(), log());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
