//! The disturber: kills the server and its workers at moments that the seed chooses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{api::Api, ledger::Kind, processes::Process, random::Random, server::Server};

/// Longest wait for runs to end before the next kill.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most kills of the server in quick succession.
const BURST: u64 = 5;

/// What the server says that was left no interpreter.
const NO_GRAPH: &str = "error: no graph could be loaded";

/// Who kills.
pub(crate) struct Disturber {
    api: Api,
    random: Random,
    /// Set when it is enough.
    stop: Arc<AtomicBool>,
    /// Whether kills wait for nothing.
    restless: bool,
    /// All processes that servers left behind.
    orphans: Vec<Process>,
}

impl Disturber {
    pub(crate) fn new(api: Api, random: Random, stop: Arc<AtomicBool>, restless: bool) -> Self {
        Self { api, random, stop, restless, orphans: vec![] }
    }

    /// Kills until it is told to stop, and leaves a server that runs. Returns it and all processes that servers left behind.
    pub(crate) async fn disturb(mut self, mut server: Server) -> Result<(Server, Vec<Process>)> {
        while !self.stop.load(Ordering::Relaxed) {
            if !self.restless {
                self.until_some_ended().await;
            }
            let pause = match self.random.below(100) {
                0..60 => self.random.millis(20, 500),
                // Without any rest nothing would ever end.
                85.. if self.restless => self.random.millis(2500, 8000),
                _ => self.random.millis(500, 2500),
            };
            tokio::time::sleep(pause).await;
            if self.random.percent(65) {
                self.kill_worker(&server);
            } else {
                self.kill_server(&mut server).await?;
            }
            if let Some(how) = server.has_ended()? {
                self.has_ended(&how);
                server.restart()?;
            }
        }
        server.until_ready().await?;
        Ok((server, self.orphans))
    }

    /// Waits until some more runs have ended, now and then none: on a slow machine, too, there has to be something to
    /// disturb.
    async fn until_some_ended(&mut self) {
        let more = if self.random.percent(30) { 0 } else { self.random.below(16) };
        let (since, ended) = (Instant::now(), self.api.ledger.ended());
        while (self.api.ledger.ended() - ended) < usize::try_from(more).unwrap_or_default()
            && since.elapsed() < PATIENCE
            && !self.stop.load(Ordering::Relaxed)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Any process that the server started: one that runs graphs, one that loads them, the one that forks the others.
    fn kill_worker(&mut self, server: &Server) {
        let workers = server.workers();
        // Drawn in any case, so that what follows does not depend on it.
        let drawn = self.random.next();
        if workers.is_empty() {
            return;
        }
        let index = usize::try_from(drawn % workers.len() as u64).unwrap_or_default();
        if workers[index].kill() {
            self.api.ledger.count("worker processes killed");
        }
    }

    async fn kill_server(&mut self, server: &mut Server) -> Result<()> {
        self.kill_and_restart(server).await?;
        if self.restless && self.random.percent(40) {
            for _ in 0..1 + self.random.below(BURST) {
                // While it opens its data, takes up what was running, or starts workers.
                tokio::time::sleep(self.random.millis(0, 400)).await;
                self.kill_and_restart(server).await?;
            }
        }
        if self.random.percent(80) {
            // Else the next kill may hit it while it starts.
            if let Err(error) = server.until_ready().await {
                self.has_ended(&format!("{error:#}"));
                server.kill().ok();
                server.restart()?;
            }
        }
        Ok(())
    }

    /// A server that has ended by itself should not have, unless nobody let it load the graphs.
    fn has_ended(&self, how: &str) {
        if self.restless && how.contains(NO_GRAPH) {
            return self.api.ledger.count("starts given up for lack of an interpreter that lives");
        }
        let text = format!("the server ended by itself: {how}");
        self.api.ledger.violate(Kind::Server, text);
    }

    async fn kill_and_restart(&mut self, server: &mut Server) -> Result<()> {
        // Before the kill: who was told something before knows that it may not be kept.
        self.api.kills.fetch_add(1, Ordering::SeqCst);
        self.orphans.extend(server.kill()?);
        self.api.ledger.count("servers killed");
        let down =
            if self.random.percent(50) { Duration::ZERO } else { self.random.millis(0, 300) };
        tokio::time::sleep(down).await;
        server.restart()
    }
}
