//! The command line. Every setting is a flag with an `AGENT_SERVER_*` variable beside it; the flag wins.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, builder::BoolishValueParser};

use crate::{call::CallArgs, config::log::Level, remote::Remote};

const HELP: &str = "\
Examples:
  agent-server dev                                 Serve the project here, or a demo where there is none
  agent-server check                               Say whether the project is ready
  agent-server serve --host 0.0.0.0 --workers 4    Serve it in production
  agent-server call --list                         List what can be asked of a running server";

const DEV_HELP: &str = "\
Settings rank like this: flags, AGENT_SERVER_* variables, upstream's variables (N_JOBS_PER_WORKER, …), agent-server.toml.

Examples:
  agent-server dev
  agent-server dev --config agents/langgraph.json --port 3000 --offline";

const SERVE_HELP: &str = "\
Settings rank like this: flags, AGENT_SERVER_* variables, upstream's variables (N_JOBS_PER_WORKER, …), agent-server.toml.
SIGTERM ends it in order: runs in progress get --shutdown-grace-seconds to end, the rest goes on at the next start.

Examples:
  agent-server serve --config agents/langgraph.json --host 0.0.0.0
  agent-server serve --data-dir /var/lib/agent-server --python .venv --log-json";

const CHECK_HELP: &str = "\
Nothing is installed and no port is opened. The exit code is 0 for a project that is ready, else 1.

Examples:
  agent-server check
  agent-server check --config agents/langgraph.json --python .venv";

const DOCTOR_HELP: &str = "\
Works beside a running server and without one. The exit code is 0 for a sound folder, else 1.

Example:
  agent-server doctor --data-dir /var/lib/agent-server";

const COMPLETIONS_HELP: &str = "\
Examples:
  agent-server completions bash > ~/.local/share/bash-completion/completions/agent-server
  agent-server completions zsh > ~/.zfunc/_agent-server
  agent-server completions fish > ~/.config/fish/completions/agent-server.fish";

mod archive;
mod auth;
mod keys;
mod limits;

pub(crate) use archive::{ExportArgs, ImportArgs, PartArgs, PythonArgs};
pub(crate) use auth::AuthArgs;
pub(crate) use keys::{CreateArgs, FolderArgs, KeysCommand};
pub(crate) use limits::LimitArgs;

/// A self-hosted Agent Server: runs the graphs of a langgraph.json and serves the Agent Server API.
#[derive(Debug, Parser)]
#[command(name = "agent-server", version, after_help = HELP, max_term_width = 110)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a project while it is being written: install what it needs, restart its workers when it changes
    #[command(args_override_self = true, after_help = DEV_HELP)]
    Dev(Box<DevArgs>),
    /// Serve a project in production: like dev, but nothing is installed and nothing reloaded
    #[command(after_help = SERVE_HELP)]
    Serve(Box<ServerArgs>),
    /// Check a project without serving it: its file, its settings, and whether its graphs load
    #[command(alias = "validate", after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Look a data folder over and list what is wrong in it; nothing is changed
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorArgs),
    /// Write everything in a data folder to one file, beside a running server or without one
    #[command(after_help = archive::EXPORT_HELP)]
    Export(ExportArgs),
    /// Take over what export has written, into an empty data folder or a used one
    #[command(after_help = archive::IMPORT_HELP)]
    Import(ImportArgs),
    /// Make, list and revoke the API keys of a server, beside it or without it
    #[command(subcommand)]
    Keys(KeysCommand),
    /// What a running server told receivers of webhooks, and once more
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// Call an operation of a running server, this one or any other Agent Server
    Call(CallArgs),
    /// Print a script that completes commands and flags in a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
}

/// The commands about webhooks.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// List deliveries, newest first
    List {
        /// The server to ask.
        #[command(flatten)]
        server: Remote,
        /// Only deliveries in this status
        #[arg(long, value_name = "STATUS")]
        status: Option<Status>,
        /// Most deliveries to list
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Tell receivers again, with the same event ids
    Replay {
        /// The server to ask.
        #[command(flatten)]
        server: Remote,
        /// Runs whose ends are told again
        #[arg(value_name = "RUN", required_unless_present = "failed")]
        run_ids: Vec<uuid::Uuid>,
        /// Tell all that were given up
        #[arg(long, conflicts_with = "run_ids")]
        failed: bool,
    },
}

/// A status of deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Status {
    /// Another try follows
    Pending,
    /// The receiver has taken it
    Delivered,
    /// Given up
    Failed,
}

impl Status {
    /// The word of the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// What `dev` takes: what every server takes, and what suits a workplace.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DevArgs {
    /// Settings of every server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Do not restart the workers when a file of the project changes
    #[arg(long, env = "AGENT_SERVER_NO_RELOAD", value_parser = BoolishValueParser::new())]
    pub(crate) no_reload: bool,
    /// Never install anything: what the project needs must be there
    #[arg(long, env = "AGENT_SERVER_OFFLINE", value_parser = BoolishValueParser::new())]
    pub(crate) offline: bool,
    /// Let requests that say they come from Studio pass without credentials; only on an address of this machine
    #[arg(long, env = "AGENT_SERVER_TRUST_STUDIO", value_parser = BoolishValueParser::new())]
    pub(crate) trust_studio: bool,
    /// Address of a LangGraph Studio; its link for this server is printed
    #[arg(long, value_name = "URL", env = "AGENT_SERVER_STUDIO_URL")]
    pub(crate) studio_url: Option<String>,
    /// Accepted without effect: no browser is ever opened
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Accepted without effect: graphs may always block, they run in processes of their own
    #[arg(long)]
    pub(crate) allow_blocking: bool,
}

/// What every server takes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ServerArgs {
    /// File that describes the project [default: langgraph.json]
    #[arg(long, short, value_name = "FILE", env = "AGENT_SERVER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on; 0.0.0.0 for all [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", env = "AGENT_SERVER_HOST")]
    pub(crate) host: Option<String>,
    /// Port to listen on, 0 for any free one [default: dev 2024 or the next free one, serve 8000]
    #[arg(long, short, value_name = "PORT", env = "AGENT_SERVER_PORT")]
    pub(crate) port: Option<u16>,
    /// Folder of all data [default: .agent-server beside the project's file]
    #[arg(long, value_name = "DIR", env = "AGENT_SERVER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Python interpreter or environment for the graphs [default: the active environment, the project's .venv, python3]
    #[arg(long, value_name = "PATH", env = "AGENT_SERVER_PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// Worker processes [default: number of cores]
    #[arg(long, value_name = "N", env = "AGENT_SERVER_WORKERS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) workers: Option<u32>,
    /// Concurrent runs per worker process [default: 10]
    #[arg(long, value_name = "N", env = "AGENT_SERVER_N_JOBS_PER_WORKER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) n_jobs_per_worker: Option<u32>,
    /// Runs after which a worker process is replaced by a fresh one [default: never]
    #[arg(long, value_name = "N", env = "AGENT_SERVER_WORKER_MAX_RUNS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) worker_max_runs: Option<u64>,
    /// Memory at which a worker process is replaced by a fresh one, MB; looked at when a run ends [default: never]
    #[arg(long, value_name = "MB", env = "AGENT_SERVER_WORKER_MAX_MEMORY_MB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) worker_max_memory_mb: Option<u64>,
    /// How long a handler of the project's authentication may take, seconds [default: 15]
    #[arg(long, value_name = "SECONDS", env = "AGENT_SERVER_AUTH_TIMEOUT_SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) auth_timeout_seconds: Option<u64>,
    /// Least important level that is logged [default: info]
    #[arg(long, alias = "server-log-level", value_name = "LEVEL", env = "AGENT_SERVER_LOG_LEVEL")]
    pub(crate) log_level: Option<Level>,
    /// One JSON object per log line
    #[arg(long, env = "AGENT_SERVER_LOG_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) log_json: bool,
    /// Largest request body, bytes [default: 314572800]
    #[arg(long, value_name = "BYTES", env = "AGENT_SERVER_MAX_BODY_BYTES")]
    pub(crate) max_body_bytes: Option<usize>,
    /// How long a client may take nothing of an answer or stream that there is for it before it is cut off, seconds; 0 for
    /// ever [default: 60]
    #[arg(long, value_name = "SECONDS", env = "AGENT_SERVER_STALL_SECONDS")]
    pub(crate) stall_seconds: Option<u64>,
    /// Attempts of one run when workers fail, the first included [default: 3]
    #[arg(long, value_name = "N", env = "AGENT_SERVER_MAX_ATTEMPTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_attempts: Option<u32>,
    /// Longest time that an attempt of a run may take, seconds [default: 86400]
    #[arg(long, value_name = "SECONDS", env = "AGENT_SERVER_RUN_TIMEOUT_SECONDS")]
    pub(crate) run_timeout_seconds: Option<f64>,
    /// Longest time that checkpoints and events of a running graph wait to be saved together, milliseconds [default: 20]
    #[arg(long, value_name = "MS", env = "AGENT_SERVER_SAVE_DELAY_MS")]
    pub(crate) save_delay_ms: Option<u64>,
    /// How long events of a resumable run can be replayed after its end, seconds [default: 120]
    #[arg(long, value_name = "SECONDS", env = "AGENT_SERVER_REPLAY_SECONDS")]
    pub(crate) replay_seconds: Option<u64>,
    /// How long runs in progress get to end when the server is told to stop, seconds [default: dev 5, serve 180]
    #[arg(long, value_name = "SECONDS", env = "AGENT_SERVER_SHUTDOWN_GRACE_SECONDS")]
    pub(crate) shutdown_grace_seconds: Option<u64>,
    /// Most bytes of events that a run keeps in memory for its listeners [default: 67108864]
    #[arg(long, value_name = "BYTES", env = "AGENT_SERVER_LOG_BYTES")]
    pub(crate) log_bytes: Option<usize>,
    /// Who may ask.
    #[command(flatten)]
    pub(crate) auth: AuthArgs,
    /// How much callers may ask for.
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// What `check` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckArgs {
    /// File that describes the project
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "langgraph.json",
        env = "AGENT_SERVER_CONFIG"
    )]
    pub(crate) config: PathBuf,
    /// Python interpreter or environment for the graphs [default: as a server finds it]
    #[arg(long, value_name = "PATH", env = "AGENT_SERVER_PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// Folder of all data, where an environment that dev made is looked for; nothing in it is changed
    #[arg(long, value_name = "DIR", env = "AGENT_SERVER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// What `completions` takes.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// What `doctor` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct DoctorArgs {
    /// Folder of all data
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".agent-server",
        env = "AGENT_SERVER_DATA_DIR"
    )]
    pub(crate) data_dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines_of_the_upstream_tool_are_understood() {
        let line = "agent-server dev --config x.json --host 0.0.0.0 --port 3000 --no-reload --no-browser \
                    --n-jobs-per-worker 5 --server-log-level WARNING --allow-blocking --studio-url https://s";
        let Command::Dev(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command
        else {
            panic!("not dev");
        };
        assert!(args.no_reload && !args.offline);
        assert_eq!(args.server.port, Some(3000));
        assert_eq!(args.server.n_jobs_per_worker, Some(5));
        assert_eq!(args.server.log_level, Some(Level::Warn));
    }

    #[test]
    fn no_workers_are_refused() {
        assert!(Cli::try_parse_from(["agent-server", "dev", "--workers", "0"]).is_err());
    }
}
