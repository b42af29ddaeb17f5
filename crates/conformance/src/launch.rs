//! Starting the server of this workspace to judge it.

use std::{
    ffi::OsString,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Largest request body of a server started here, bytes: small, so that larger ones can be sent.
const BODY_LIMIT: u64 = 8 << 20;

/// Largest file of a server whose disk is to be full, in blocks of 512 bytes.
const FILE_LIMIT_BLOCKS: u32 = 16 << 10;

/// Loading Python graphs on a busy machine takes seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Variables that programs need anywhere. Others could change the server's settings.
const PASSED_ON: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LANG"];

/// What the server runs.
#[derive(Clone, Debug)]
pub enum Graphs {
    /// The graph that is built into the binary.
    Demo,
    /// A Python project.
    Python {
        /// Its langgraph.json.
        config: PathBuf,
        /// An interpreter that has the project's dependencies.
        interpreter: PathBuf,
    },
}

/// What is special about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// Nothing.
    Nothing,
    /// Its files end at a size that can be reached.
    SmallDisk,
    /// It asks for API keys.
    Keys,
    /// It allows some requests at once and next to none afterwards, and is told by a proxy where they come from.
    Limits,
}

/// A running server with a data folder of its own.
pub struct Server {
    child: Child,
    url: String,
    log: PathBuf,
    key: Option<String>,
    /// Removed at the end.
    folder: TempDir,
}

impl Server {
    /// Requests per second of a server with limits: in no pass one becomes free again.
    pub(crate) const RATE: f64 = 0.0001;
    /// Requests that it allows at once: more than it takes to make what requests name.
    pub(crate) const BURST: u32 = 300;

    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// It ends or stays silent; the error has the end of its log.
    pub async fn start(binary: &Path, graphs: &Graphs) -> Result<Self> {
        Self::start_as(binary, graphs, Special::Nothing).await
    }

    pub(crate) async fn start_as(binary: &Path, graphs: &Graphs, special: Special) -> Result<Self> {
        // The server starts in another folder, where a relative path leads elsewhere.
        let missing = || format!("there is no server at {}", binary.display());
        let binary = &binary.canonicalize().with_context(missing)?;
        let folder = tempfile::Builder::new().prefix("conformance").tempdir()?;
        let log = folder.path().join("server.log");
        let data = folder.path().join("data");
        let key = match special {
            Special::Keys => Some(make_key(binary, &data).await?),
            _ => None,
        };
        let port = free_port()?;
        let mut command = match special {
            Special::SmallDisk => with_small_files(binary),
            _ => Command::new(binary),
        };
        command.args(["dev", "--offline", "--no-reload", "--port", &port.to_string()]);
        command.arg("--data-dir").arg(&data);
        command.args(["--max-body-bytes", &BODY_LIMIT.to_string()]);
        if special == Special::Limits {
            command.args(["--requests-per-second", &Self::RATE.to_string()]);
            command.args(["--request-burst", &Self::BURST.to_string(), "--trusted-proxies", "1"]);
        }
        if let Graphs::Python { config, interpreter } = graphs {
            command.arg("--config").arg(config).arg("--python").arg(interpreter);
        }
        command.current_dir(folder.path()).env_clear().envs(passed_on());
        let output = match special {
            // A log would end at the same size as the data.
            Special::SmallDisk => Stdio::null(),
            _ => Stdio::from(File::create(&log)?),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).kill_on_drop(true);
        let child =
            command.spawn().with_context(|| format!("{} cannot be started", binary.display()))?;
        let url = format!("http://127.0.0.1:{port}");
        let mut server = Self { child, url, log, key, folder };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The API key that it lets in, if it asks for keys.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Largest request body that it accepts, bytes.
    pub(crate) fn body_limit(&self) -> u64 {
        BODY_LIMIT
    }

    /// Ends it as an operator would.
    ///
    /// # Errors
    /// It does not end, or reports a failure when it does.
    pub async fn stop(mut self) -> Result<()> {
        let id = self.child.id().context("the server has ended by itself")?;
        let id = rustix::process::Pid::from_raw(id.try_into()?).context("the server has no id")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        let status = ended.context("the server goes on 20 s after SIGTERM")??;
        ensure!(status.success(), "the server ended with {status}\n{}", self.log_end());
        self.folder.close()?;
        Ok(())
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        let text = self.log();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        let since = Instant::now();
        while since.elapsed() < START_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} at its start\n{}", self.log_end());
            }
            let answer = client.get(format!("{}/ok", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the server does not answer after {} s\n{}", START_LIMIT.as_secs(), self.log_end())
    }
}

fn passed_on() -> impl Iterator<Item = (&'static str, OsString)> {
    PASSED_ON.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)))
}

/// Makes an API key in a data folder and returns it.
async fn make_key(binary: &Path, data: &Path) -> Result<String> {
    let mut command = Command::new(binary);
    command.args(["keys", "create", "conformance", "--data-dir"]).arg(data);
    let made = command.env_clear().envs(passed_on()).stdin(Stdio::null()).output().await?;
    ensure!(made.status.success(), "no key: {}", String::from_utf8_lossy(&made.stderr));
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

/// The binary of this workspace, built if it is not up to date.
///
/// # Errors
/// It does not compile.
pub(crate) fn build() -> Result<PathBuf> {
    // This program, or a test of it, was put beside the binary by the same cargo.
    let own = std::env::current_exe()?;
    let mut folder = own.parent().context("this program is in no folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps is in no folder")?;
    }
    let mut command = std::process::Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.args(["build", "--quiet", "-p", "agent-server"]);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    command.current_dir(workspace());
    ensure!(command.status()?.success(), "the server cannot be built");
    Ok(folder.join("agent-server"))
}

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Limits the size of files, beyond which writing fails without a signal: to the server a disk that is full.
fn with_small_files(binary: &Path) -> Command {
    let script = format!("trap '' XFSZ; ulimit -f {FILE_LIMIT_BLOCKS}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args([OsString::from("-c"), script.into(), "sh".into(), binary.into()]);
    command
}
