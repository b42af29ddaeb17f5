//! Starts Python interpreters with the embedded runner.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

use crate::Options;

/// The runner, which needs nothing but what the user's own `langgraph` brings.
const FILES: &[(&str, &str)] = &[
    ("__init__.py", include_str!("../python/agent_server_worker/__init__.py")),
    ("__main__.py", include_str!("../python/agent_server_worker/__main__.py")),
    ("app.py", include_str!("../python/agent_server_worker/app.py")),
    ("aside.py", include_str!("../python/agent_server_worker/aside.py")),
    ("auth.py", include_str!("../python/agent_server_worker/auth.py")),
    ("config.py", include_str!("../python/agent_server_worker/config.py")),
    ("dependencies.py", include_str!("../python/agent_server_worker/dependencies.py")),
    ("around.py", include_str!("../python/agent_server_worker/around.py")),
    ("drain.py", include_str!("../python/agent_server_worker/drain.py")),
    ("embed.py", include_str!("../python/agent_server_worker/embed.py")),
    ("emit.py", include_str!("../python/agent_server_worker/emit.py")),
    ("encode.py", include_str!("../python/agent_server_worker/encode.py")),
    ("encryption.py", include_str!("../python/agent_server_worker/encryption.py")),
    ("errors.py", include_str!("../python/agent_server_worker/errors.py")),
    ("factory.py", include_str!("../python/agent_server_worker/factory.py")),
    ("frames.py", include_str!("../python/agent_server_worker/frames.py")),
    ("graphs.py", include_str!("../python/agent_server_worker/graphs.py")),
    ("introspect.py", include_str!("../python/agent_server_worker/introspect.py")),
    ("link.py", include_str!("../python/agent_server_worker/link.py")),
    ("loader.py", include_str!("../python/agent_server_worker/loader.py")),
    ("loopback.py", include_str!("../python/agent_server_worker/loopback.py")),
    ("main.py", include_str!("../python/agent_server_worker/main.py")),
    ("memory.py", include_str!("../python/agent_server_worker/memory.py")),
    ("modules.py", include_str!("../python/agent_server_worker/modules.py")),
    ("output.py", include_str!("../python/agent_server_worker/output.py")),
    ("protocol.py", include_str!("../python/agent_server_worker/protocol.py")),
    ("render.py", include_str!("../python/agent_server_worker/render.py")),
    ("request.py", include_str!("../python/agent_server_worker/request.py")),
    ("run.py", include_str!("../python/agent_server_worker/run.py")),
    ("saver.py", include_str!("../python/agent_server_worker/saver.py")),
    ("scope.py", include_str!("../python/agent_server_worker/scope.py")),
    ("store.py", include_str!("../python/agent_server_worker/store.py")),
    ("template.py", include_str!("../python/agent_server_worker/template.py")),
    ("threads.py", include_str!("../python/agent_server_worker/threads.py")),
    ("tracing.py", include_str!("../python/agent_server_worker/tracing.py")),
    ("user.py", include_str!("../python/agent_server_worker/user.py")),
    ("worker.py", include_str!("../python/agent_server_worker/worker.py")),
];

/// Directory of sockets and of the runner's files; removed with the pool.
pub(crate) struct RunDir {
    dir: tempfile::TempDir,
}

impl RunDir {
    /// Makes the directory, only for this user, and writes the runner into it.
    pub(crate) fn create(parent: Option<&Path>) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("agent-server-");
        let dir = match parent {
            Some(parent) => builder.tempdir_in(parent)?,
            None => builder.tempdir()?,
        };
        let package = dir.path().join("python/agent_server_worker");
        std::fs::create_dir_all(&package)?;
        for (name, text) in FILES {
            std::fs::write(package.join(name), text)?;
        }
        Ok(Self { dir })
    }

    /// Path for a socket.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn python(&self) -> PathBuf {
        self.dir.path().join("python")
    }
}

/// Starts an interpreter that will connect to `socket`.
///
/// Its own process group, so that an interrupt from the terminal reaches the server alone, which ends the workers.
pub(crate) fn spawn(options: &Options, dir: &RunDir, socket: &Path) -> Result<Child, String> {
    let mut path = dir.python().into_os_string();
    if let Some(more) = &options.python_path {
        path.push(":");
        path.push(more);
    }
    Command::new(&options.python)
        .args(["-u", "-m", "agent_server_worker"])
        .arg(socket)
        .current_dir(&options.root)
        .envs(options.env.iter().map(|(name, value)| (name, value)))
        .env("PYTHONPATH", path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let python = options.python.display();
            if options.root.is_dir() {
                format!("the Python interpreter '{python}' cannot be started: {error}")
            } else {
                format!("the project's directory '{}' is not there", options.root.display())
            }
        })
}
