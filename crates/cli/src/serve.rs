//! The assembly: puts the crates together, in the order in which a server starts and stops.
//!
//! Start: port, storage, HTTP, then graphs, so that the server answers at once however long graphs take to load. Stop: no
//! run starts, those in progress get time to end, no new connections, streams end, leases go back, storage closes.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use agent_server_domain::{Domain, ports::Clock, trace::Traces};
use agent_server_server::{
    AccessLog, Addresses, Loopback,
    app::{Around, Mounted},
    webhooks::Sender,
};
use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Mode,
    app::LateApp,
    args::DevArgs,
    auth::LateAuth,
    banner::{Banner, say},
    config::{self, Settings, project::Project, telemetry::Tracing},
    encryption,
    env::Env,
    graphs::GraphHosts,
    listen,
    ports::{FreshIds, SystemClock},
    refusal::{Refusal, Result},
    telemetry::Otel,
    workers::{self, Workers},
};

/// Exit code of a process that was told twice to stop, as shells count it for the first signal of the keyboard.
const INTERRUPTED: i32 = 130;

/// Name of the socket for the project's own code.
const LOOPBACK: &str = "api";

/// Name of the socket at which requests come back that went through the middleware of the project's application.
const AROUND: &str = "around";

/// How long requests get at the stop before storage is closed under them. They take milliseconds, or as long as a worker.
const SHORT_REQUESTS: Duration = Duration::from_secs(1);

/// How long supersteps in progress get to end when the project has changed. Who has just saved waits for as long.
const SUPERSTEPS: Duration = Duration::from_secs(5);

/// Why a server stopped.
enum Stopped {
    /// It was told to.
    Asked,
    /// It has to start anew, on the same port.
    Restart {
        /// The port.
        port: u16,
    },
}

/// Runs a server until it is told to stop.
///
/// Errors: a refusal for wrong settings; anything else that keeps the server from starting or going on.
pub(crate) fn run(mode: Mode, args: &DevArgs) -> Result<()> {
    let env = Env::of_process();
    let (project, settings, ignored) = config::read(mode, &args.server, &env)?;
    settings.log.start()?;
    for warning in project.warnings.iter().chain(&ignored) {
        tracing::warn!("{warning}");
    }
    if !project.build_only.is_empty() {
        let keys = project.build_only.join(", ");
        tracing::info!("langgraph.json: {keys}: only for building images, without effect here");
    }
    // Multi-threaded with one thread per core by default; named for those who look at threads.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("agent-server")
        .enable_all()
        .build()?;
    let otel = match &settings.tracing {
        Tracing::On(options) => Some(Otel::start(options, runtime.handle())?),
        Tracing::Unsupported(why) => {
            tracing::warn!("{why}; no traces are sent");
            None
        }
        Tracing::Off => None,
    };
    let traces = otel.as_ref().map(Otel::traces).unwrap_or_default();
    let served = runtime.block_on(serve(mode, args, env, project, settings, traces));
    if let Some(otel) = otel {
        runtime.block_on(otel.shutdown());
    }
    // What still blocks a thread (a scan, a name being looked up) has nobody to tell.
    runtime.shutdown_background();
    match served? {
        Stopped::Asked => Ok(()),
        Stopped::Restart { port } => Err(restart(port)),
    }
}

/// Replaces this process by a fresh one. Returns only if that fails.
fn restart(port: u16) -> anyhow::Error {
    use std::os::unix::process::CommandExt as _;
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.into(),
    };
    // The last one of a flag counts. Clients should find the server where it was.
    let arguments = std::env::args_os().skip(1).chain(["--port".into(), port.to_string().into()]);
    let error = std::process::Command::new(&program).args(arguments).exec();
    anyhow::Error::new(error).context(format!("{} cannot be started anew", program.display()))
}

async fn serve(
    mode: Mode,
    args: &DevArgs,
    env: Env,
    project: Project,
    settings: Settings,
    traces: Traces,
) -> Result<Stopped> {
    let mut signals = Signals::listen()?;
    let bound = listen::bind(&settings.http).await?;
    let install = mode == Mode::Dev && !args.offline;
    // Nothing is there yet that would have to be stopped in order.
    let encryption = tokio::select! {
        encryption = encryption::start(&project, &settings, &env, install) => encryption?,
        () = signals.next() => return Ok(Stopped::Asked),
    };
    let storage =
        encryption::open_storage(&settings.data_dir, &settings.encryption, encryption.as_ref())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let built_in = built_in(&settings, &clock)?;
    let sender = settings.webhooks.enabled.then(|| Sender::new(settings.webhooks.sender.clone()));
    let webhooks = agent_server_domain::webhooks::Options {
        policy: settings.webhooks.sender.policy.clone(),
        allowed_fields: settings.webhooks.allowed_fields.clone(),
        sender: sender.clone().map(|sender| sender as _),
    };
    let options =
        agent_server_domain::Options { webhooks, traces: traces.clone(), ..settings.runs.clone() };
    let domain = Domain::new(storage, clock, Arc::new(FreshIds), options);
    let hosts = GraphHosts::new(&project, &settings.workers, &domain.sink());
    domain.start(Arc::clone(&hosts.all)).await.context("the data cannot be used")?;

    let stop = domain.stopping();
    let (loopback_dir, loopback) = loopback()?;
    let app = project.app.is_some().then(|| Arc::new(LateApp::new()));
    let auth = project.auth.is_some().then(|| Arc::new(LateAuth::new()));
    let options = agent_server_server::Options {
        max_body_bytes: settings.http.max_body_bytes,
        langgraph_version: workers::langgraph_version,
        cors: settings.http.cors.clone(),
        auth: agent_server_server::Auth {
            authenticator: match &built_in {
                Some(built_in) => Some(Arc::clone(built_in) as _),
                None => auth.clone().map(|auth| auth as _),
            },
            authorizer: auth.clone().map(|auth| auth as _),
            trusts_studio: trusts_studio(args, &project, &settings)?,
            openapi: match &built_in {
                Some(built_in) => Some(built_in.document()),
                None => project.auth.as_ref().and_then(|auth| auth.openapi.clone()),
            }
            .map(Arc::new),
        },
        limits: settings.rates.clone(),
        app: match (&app, &project.app) {
            (Some(app), Some(described)) => {
                let (around, coming_back) = Around::bind(&loopback_dir.path().join(AROUND))
                    .context("the socket for middleware cannot be made")?;
                tokio::spawn(Arc::clone(&around).serve(coming_back, stop.clone()));
                let (authenticates, auth_first) = (described.authenticates, described.auth_first);
                Some(Mounted { app: Arc::clone(app) as _, authenticates, around, auth_first })
            }
            _ => None,
        },
        headers: settings.http.configurable_headers.clone(),
        webhooks: sender.is_some(),
        encryption: encryption.clone().map(|custom| agent_server_server::Contexts(custom)),
        metric_prefix: settings.http.metric_prefix.clone(),
        access_log: AccessLog { headers: settings.http.logged_headers.clone(), traces },
        disabled: settings.protocols.disabled,
        api_url: settings.http.document_url(),
        a2a: settings.protocols.a2a.clone(),
    };
    let mut router = agent_server_server::router(domain.clone(), options);
    if let Some(sender) = sender {
        sender.serve_own(router.clone());
    }
    let mut loopback = tokio::spawn(loopback.serve(router.clone(), stop.clone()));
    if let Some(prefix) = settings.http.mount_prefix.clone() {
        router = agent_server_server::mounted(router, prefix);
    }
    let addresses = if settings.rates.is_on() { Addresses::Shown } else { Addresses::Hidden };
    let http = agent_server_server::serve(
        bound.listener,
        router,
        settings.http.patience,
        addresses,
        stop.clone(),
    );
    let mut http = tokio::spawn(http);

    if let Some(taken) = bound.instead_of {
        say(format!("Port {taken} is in use, so this is {}.\n", bound.address.port()));
    }
    say(Banner {
        url: settings.http.url(bound.address),
        data_dir: &settings.data_dir,
        project: &project,
        workers: (settings.workers.processes, settings.workers.jobs_per_worker),
        studio_url: args.studio_url.as_deref(),
    });
    if let Some(built_in) = &built_in {
        tracing::info!("whoever asks must show who they are: {}", built_in.describe());
    } else if auth.is_none() && !settings.http.is_local() {
        tracing::warn!(
            "whoever can reach {} can run the graphs: nobody is asked who they are",
            bound.address
        );
    }

    let is_protected = built_in.is_some() || auth.is_some();
    if is_protected && project.app.as_ref().is_some_and(|app| !app.authenticates) {
        tracing::info!(
            "the routes of http.app are open to everybody; http.enable_custom_route_auth asks for credentials there, too"
        );
    }

    let workers = Workers {
        mode,
        install,
        reload: mode == Mode::Dev && !args.no_reload,
        args: args.server.clone(),
        env,
        python: OnceLock::new(),
        project,
        settings,
        address: bound.address,
        sink: domain.sink(),
        hosts,
        auth: auth.clone(),
        app: app.clone(),
        loopback: Some(loopback_dir.path().join(LOOPBACK)),
    };
    let mut workers = AbortOnDropHandle::new(tokio::spawn(workers.run()));

    let outcome = tokio::select! {
        () = signals.next() => Ok(Stopped::Asked),
        ended = &mut http => match ended {
            Ok(Ok(())) => Ok(Stopped::Asked),
            Ok(Err(error)) => Err(error).context("no connections can be accepted any more"),
            Err(panic) => Err(panic.into()),
        },
        ended = &mut loopback => match ended {
            Ok(Ok(())) => Ok(Stopped::Asked),
            Ok(Err(error)) => Err(error).context("graphs cannot reach the server any more"),
            Err(panic) => Err(panic.into()),
        },
        ended = &mut workers => match ended {
            Ok(Ok(())) => {
                say("The project has changed, starting anew.\n");
                Ok(Stopped::Restart { port: bound.address.port() })
            }
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(panic.into()),
        },
    };
    tracing::info!("stopping; a signal from now on stops at once");
    // An installation in progress is given up; workers are ended by the domain, who owns them.
    drop(workers);
    let drained = async {
        if !http.is_finished() {
            let _ = http.await;
        }
    };
    let stopping = async {
        match &outcome {
            // Somebody waits for what has changed, and runs go on with it.
            Ok(Stopped::Restart { .. }) => domain.hand_over(SUPERSTEPS).await,
            Ok(Stopped::Asked) => domain.drain().await,
            Err(_) => {}
        }
        stop.cancel();
        if let Some(auth) = &auth {
            auth.shutdown().await;
        }
        if let Some(app) = &app {
            app.shutdown().await;
        }
        tokio::pin!(drained);
        // Who still waits after that waits for a worker, which is ended now.
        if tokio::time::timeout(SHORT_REQUESTS, &mut drained).await.is_ok() {
            domain.shutdown().await;
        } else {
            tokio::join!(drained, domain.shutdown());
        }
        // Last: what is saved at the end is encrypted, too.
        if let Some(encryption) = &encryption {
            encryption.shutdown().await;
        }
    };
    tokio::select! {
        () = stopping => outcome,
        () = signals.next() => std::process::exit(INTERRUPTED),
    }
}

/// The socket through which the project's own code calls the server, and the directory that keeps others from it.
fn loopback() -> Result<(tempfile::TempDir, Loopback)> {
    use std::os::unix::fs::PermissionsExt as _;
    let only_us = std::fs::Permissions::from_mode(0o700);
    // Among the temporary files because a socket's path has at most 107 bytes.
    let dir = tempfile::Builder::new().prefix("agent-server-").permissions(only_us).tempdir();
    let dir = dir.context("no directory for a socket can be made")?;
    let loopback = Loopback::bind(&dir.path().join(LOOPBACK));
    Ok((dir, loopback.context("the socket for graphs cannot be made")?))
}

/// Whether Studio is let in without credentials: where it was asked for, and nobody else can reach the server.
fn trusts_studio(args: &DevArgs, project: &Project, settings: &Settings) -> Result<bool> {
    if !args.trust_studio || project.auth.is_none() {
        return Ok(false);
    }
    if !settings.http.is_local() {
        return Err(Refusal::usage(format!(
            "--trust-studio lets everybody in who can reach the server; it is for addresses of this machine, not {}",
            settings.http.host
        ))
        .into());
    }
    let is_refused = project.auth.as_ref().is_some_and(|auth| auth.refuses_studio);
    if is_refused {
        tracing::warn!("--trust-studio has no effect: the project sets auth.disable_studio_auth");
    }
    Ok(!is_refused)
}

/// Built-in authentication, if it is asked for.
fn built_in(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<agent_server_auth::Builtin>>> {
    let Some(options) = &settings.auth else { return Ok(None) };
    match agent_server_auth::Builtin::start(options, clock) {
        Ok(builtin) => Ok(Some(Arc::new(builtin))),
        Err(error) => Err(Refusal::usage(format!("nobody could be let in: {error}")).into()),
    }
}

/// Requests to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
