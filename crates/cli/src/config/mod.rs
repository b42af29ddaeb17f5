//! Everything that can be configured: one struct per concern, resolved once at start-up.
//!
//! Order of precedence: flags, `AGENT_SERVER_*` variables (both in [`crate::args`]), upstream's variables (of the project's
//! `env`, then of the process), `agent-server.toml`, defaults. The project itself is read by [`langgraph_json`].

pub(crate) mod auth;
pub(crate) mod cors;
mod dotenv;
pub(crate) mod encryption;
pub(crate) mod file;
mod headers;
pub(crate) mod http;
pub(crate) mod keys;
pub(crate) mod langgraph_json;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod project;
pub(crate) mod protocols;
#[cfg(test)]
mod reference;
pub(crate) mod runs;
pub(crate) mod store;
mod suggest;
pub(crate) mod telemetry;
mod thread_ttl;
pub(crate) mod unsupported;
pub(crate) mod webhooks;
pub(crate) mod workers;

use std::path::{Path, PathBuf};

use crate::{
    Mode,
    args::ServerArgs,
    env::Env,
    refusal::{Refusal, Result},
};
use project::Project;

/// Name of the data folder where none was asked for.
const DATA_DIR: &str = ".agent-server";

/// All settings of a server.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where and what is accepted.
    pub(crate) http: http::Http,
    /// Which protocols are served beside the API.
    pub(crate) protocols: protocols::Protocols,
    /// Which processes execute graphs.
    pub(crate) workers: workers::Workers,
    /// How often callers may ask.
    pub(crate) rates: agent_server_server::RateLimits,
    /// Bounds of the run engine.
    pub(crate) runs: agent_server_domain::Options,
    /// Who is told of the ends of runs.
    pub(crate) webhooks: webhooks::Webhooks,
    /// The store.
    pub(crate) store: store::Store,
    /// What is logged.
    pub(crate) log: log::Log,
    /// Whether traces are sent.
    pub(crate) tracing: telemetry::Tracing,
    /// Who may ask; `None` if the server asks nobody who they are, or the project has a handler of its own.
    pub(crate) auth: Option<agent_server_auth::Options>,
    /// How what is stored is encrypted.
    pub(crate) encryption: agent_server_storage_sqlite::Encryption,
    /// Folder of all data, absolute.
    pub(crate) data_dir: PathBuf,
}

/// Where settings come from.
pub(crate) struct Sources<'a> {
    /// Flags and `AGENT_SERVER_*`.
    pub(crate) args: &'a ServerArgs,
    /// The process's variables under the project's.
    pub(crate) env: &'a Env,
    /// `agent-server.toml`.
    pub(crate) file: &'a file::File,
}

impl Settings {
    /// Resolves all settings of a server for a project.
    ///
    /// Errors: a refusal that names flag, variable or file.
    pub(crate) fn resolve(
        mode: Mode,
        args: &ServerArgs,
        process: &Env,
        project: &Project,
    ) -> Result<Self> {
        let file = file::File::load(&project.directory)?;
        let env = process.with(&project.env);
        let from = Sources { args, env: &env, file: &file };
        let store = store::Store::resolve(project, &file.store)?;
        let limits = limits::resolve(&from)?;
        let data_dir = data_dir(args.data_dir.as_deref(), &file, &project.directory)?;
        Ok(Self {
            http: http::Http::resolve(mode, &from, project)?,
            protocols: protocols::Protocols::resolve(&env, project)?,
            workers: workers::Workers::resolve(&from)?,
            rates: limits.rates,
            runs: agent_server_domain::Options {
                limits: limits.runs,
                thread_ttl: thread_ttl::resolve(&env, project)?,
                store: store.options.clone(),
                ..runs::resolve(mode, &from)?
            },
            webhooks: webhooks::resolve(&from, project)?,
            store,
            log: log::Log::resolve(&from, process)?,
            tracing: telemetry::Tracing::resolve(&env)?,
            auth: auth::resolve(&from, project, &data_dir)?,
            encryption: encryption::resolve(&env)?,
            data_dir,
        })
    }
}

/// The folder of all data, absolute.
pub(crate) fn data_dir(asked: Option<&Path>, file: &file::File, project: &Path) -> Result<PathBuf> {
    let asked = [asked.map(Path::to_owned), file.data_dir.clone()];
    Ok(std::path::absolute(first(asked, || project.join(DATA_DIR)))?)
}

/// Finds the project to serve: the file asked for, langgraph.json here, what the variables of an image say, or in
/// development the built-in demo.
///
/// Errors: a refusal if there is nothing to serve, or if what there is cannot be read.
pub(crate) fn find_project(mode: Mode, asked: Option<&Path>, env: &Env) -> Result<Project> {
    let usual = Path::new(langgraph_json::NAME);
    let file = asked.or_else(|| usual.is_file().then_some(usual));
    match (mode, file) {
        (Mode::Dev, Some(file)) => langgraph_json::load(file, env),
        (Mode::Dev, None) => Ok(Project::demo(std::env::current_dir()?)),
        (Mode::Serve, None) if !langgraph_json::variables_have_graphs(env) => {
            Err(Refusal::usage(format!(
                "there is no {usual} in {here}; name one with --config, or run agent-server dev, \
                 which serves a demo graph where there is no project",
                usual = usual.display(),
                here = std::env::current_dir()?.display(),
            ))
            .into())
        }
        (Mode::Serve, file) => langgraph_json::load_with_variables(file, env),
    }
}

/// The first value that is there.
fn first<T, const N: usize>(candidates: [Option<T>; N], default: impl FnOnce() -> T) -> T {
    candidates.into_iter().flatten().next().unwrap_or_else(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(mode: Mode, args: &ServerArgs, vars: &[(&str, &str)], toml: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(file::NAME), toml).unwrap();
        let project = Project {
            directory: folder.path().into(),
            env: vec![("BG_JOB_MAX_RETRIES".into(), "7".into())],
            ..Project::default()
        };
        let env =
            Env::from_pairs(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        Settings::resolve(mode, args, &env, &project).unwrap()
    }

    #[test]
    fn flags_win_over_variables_over_the_file_over_defaults() {
        let toml = "[workers]\njobs_per_worker = 3\nprocesses = 2\n[http]\nmax_body_bytes = 5\n";
        let args = ServerArgs { n_jobs_per_worker: Some(1), ..ServerArgs::default() };
        let vars = [("N_JOBS_PER_WORKER", "2"), ("HTTP_MAX_REQUEST_BODY_BYTES", "4")];
        let settings = resolve(Mode::Dev, &args, &vars, toml);
        assert_eq!(settings.workers.jobs_per_worker, 1);
        assert_eq!(settings.workers.processes, 2);
        assert_eq!(settings.http.max_body_bytes, 4);
        assert_eq!(settings.runs.save_delay_ms, 20);
        let settings = resolve(Mode::Dev, &ServerArgs::default(), &vars, toml);
        assert_eq!(settings.workers.jobs_per_worker, 2);
    }

    #[test]
    fn variables_of_the_project_win_over_the_process() {
        let vars = [("BG_JOB_MAX_RETRIES", "5")];
        let settings = resolve(Mode::Dev, &ServerArgs::default(), &vars, "");
        assert_eq!(settings.runs.max_attempts, 7);
    }

    #[test]
    fn runs_get_less_time_to_end_at_a_workplace() {
        let seconds = |mode, vars: &[_]| {
            resolve(mode, &ServerArgs::default(), vars, "").runs.shutdown_grace_seconds
        };
        assert_eq!((seconds(Mode::Dev, &[]), seconds(Mode::Serve, &[])), (5, 180));
        let vars = [("BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS", "0")];
        assert_eq!((seconds(Mode::Dev, &vars), seconds(Mode::Serve, &vars)), (0, 0));
    }

    #[test]
    fn only_serve_listens_where_the_image_says() {
        let vars = [("PORT", "9000"), ("LANGGRAPH_SERVER_HOST", "0.0.0.0")];
        let dev = resolve(Mode::Dev, &ServerArgs::default(), &vars, "").http;
        assert_eq!((dev.host.as_str(), dev.port, dev.default_port), ("127.0.0.1", None, 2024));
        assert!(dev.is_local());
        let serve = resolve(Mode::Serve, &ServerArgs::default(), &vars, "").http;
        assert_eq!(
            (serve.host.as_str(), serve.port, serve.default_port),
            ("0.0.0.0", Some(9000), 8000)
        );
        assert!(!serve.is_local());
    }
}
