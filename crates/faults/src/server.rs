//! The server under test: the real binary on a data folder of its own, killed and started again on the same port.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::processes::{self, Process};

/// A loaded machine may be slow; a healthy start takes a fraction of a second.
const START: Duration = Duration::from_secs(60);
/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(60);
/// Worker processes: more than one, whatever the machine has, so that one can be taken away.
pub(crate) const WORKERS: usize = 3;

/// How to start it.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The program.
    pub(crate) binary: PathBuf,
    /// Interpreter with langgraph installed.
    pub(crate) python: PathBuf,
    /// Folder with the graphs.
    pub(crate) project: PathBuf,
    /// How long events of ended runs are kept, seconds.
    pub(crate) replay_seconds: u32,
}

/// A server that runs, or has just been killed.
pub(crate) struct Server {
    options: Options,
    folder: PathBuf,
    port: u16,
    child: Child,
    client: reqwest::Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its workers end by themselves.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port below those that connections get by themselves: a client that tries to reach a server that is down must not
/// be given the server's port for its own end.
fn free_port() -> Result<u16> {
    let first = 10_000 + u16::try_from(std::process::id() % 20_000)?;
    (first..first + 1000)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no free port")
}

impl Server {
    /// Starts a server whose data and log are in `folder`.
    pub(crate) async fn start(options: Options, folder: &Path) -> Result<Self> {
        let port = free_port()?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        let child = spawn(&options, folder, port)?;
        let mut server = Self { options, folder: folder.to_owned(), port, child, client };
        server.until_ready().await?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processes that it has started.
    pub(crate) fn workers(&self) -> Vec<Process> {
        processes::descendants(self.pid())
    }

    /// `kill -9` of the server alone: its workers have to notice by themselves. Returns them.
    pub(crate) fn kill(&mut self) -> Result<Vec<Process>> {
        let workers = self.workers();
        self.child.kill()?;
        self.child.wait()?;
        Ok(workers)
    }

    /// Starts it again on the same data.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.options, &self.folder, self.port)?;
        Ok(())
    }

    /// How it ended, if it did.
    pub(crate) fn has_ended(&mut self) -> Result<Option<String>> {
        Ok(self.child.try_wait()?.map(|status| format!("{status}\n{}", self.tail())))
    }

    /// Returns when it answers.
    pub(crate) async fn until_ready(&mut self) -> Result<()> {
        let since = Instant::now();
        loop {
            let answer = self.client.get(format!("{}/ok", self.url())).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(how) = self.has_ended()? {
                bail!("the server ended by itself with {how}");
            }
            if since.elapsed() > START {
                bail!("no answer from /ok within {} s:\n{}", START.as_secs(), self.tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns when it has loaded the graphs.
    pub(crate) async fn until_loaded(&mut self) -> Result<()> {
        // Drawing a graph takes a worker.
        let search = serde_json::json!({"graph_id": "simple"});
        let url = format!("{}/assistants/search", self.url());
        let found = self.client.post(url).json(&search).send().await?;
        let found: serde_json::Value = found.error_for_status()?.json().await?;
        let id = found[0]["assistant_id"].as_str().context("no assistant of the graph 'simple'")?;
        let since = Instant::now();
        loop {
            let url = format!("{}/assistants/{id}/graph", self.url());
            let answer = self.client.get(url).timeout(START).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(how) = self.has_ended()? {
                bail!("the server ended by itself with {how}");
            }
            if since.elapsed() > START {
                bail!("the graphs are not loaded after {} s:\n{}", START.as_secs(), self.tail());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks it to stop and waits for that.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        processes::terminate(self.pid());
        let since = Instant::now();
        while self.child.try_wait()?.is_none() {
            if since.elapsed() > STOP {
                bail!("it did not stop within {} s:\n{}", STOP.as_secs(), self.tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Lets `doctor` look the data over once the server has stopped.
    pub(crate) fn examine(&self) -> Result<()> {
        let mut command = Command::new(&self.options.binary);
        command.arg("doctor").arg("--data-dir").arg(data(&self.folder));
        let output = command.output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            bail!("doctor finds fault with the data:\n{text}");
        }
        Ok(())
    }

    /// The end of what it wrote.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// Where nodes write what they did.
pub(crate) fn journal(folder: &Path) -> PathBuf {
    folder.join("journal")
}

/// The data of the server.
pub(crate) fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn spawn(options: &Options, folder: &Path, port: u16) -> Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("server.log"))?;
    let mut command = Command::new(&options.binary);
    command
        .args(["serve", "--port", &port.to_string(), "--workers", &WORKERS.to_string()])
        // However often a run is interrupted, it has to end well.
        .args(["--max-attempts", "100000"])
        .args(["--replay-seconds", &options.replay_seconds.to_string()])
        .args(["--shutdown-grace-seconds", "5"])
        .arg("--python")
        .arg(&options.python)
        .arg("--config")
        .arg(options.project.join("langgraph.json"))
        .arg("--data-dir")
        .arg(data(folder))
        .env("FAULTS_JOURNAL", journal(folder))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder)
        .stdout(log.try_clone()?)
        .stderr(log)
        .stdin(Stdio::null());
    command.spawn().with_context(|| format!("{} could not be started", options.binary.display()))
}
