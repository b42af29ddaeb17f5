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

/// Kills until it is told to stop, and leaves a server that runs. Returns it and all processes that servers left behind.
pub(crate) async fn disturb(
    mut server: Server,
    api: Api,
    mut random: Random,
    stop: Arc<AtomicBool>,
) -> Result<(Server, Vec<Process>)> {
    let mut orphans = vec![];
    while !stop.load(Ordering::Relaxed) {
        until_some_ended(&api, &mut random, &stop).await;
        let pause =
            if random.percent(60) { random.millis(20, 500) } else { random.millis(500, 2500) };
        tokio::time::sleep(pause).await;
        if random.percent(65) {
            kill_worker(&server, &api, &mut random);
        } else {
            orphans.extend(kill_server(&mut server, &api, &mut random).await?);
        }
        if let Some(how) = server.has_ended()? {
            api.ledger.violate(Kind::Server, format!("the server ended by itself with {how}"));
            server.restart()?;
        }
    }
    server.until_ready().await?;
    Ok((server, orphans))
}

/// Waits until some more runs have ended, now and then none: on a slow machine, too, there has to be something to disturb.
async fn until_some_ended(api: &Api, random: &mut Random, stop: &AtomicBool) {
    let more = if random.percent(30) { 0 } else { random.below(16) };
    let (since, ended) = (Instant::now(), api.ledger.ended());
    while (api.ledger.ended() - ended) < usize::try_from(more).unwrap_or_default()
        && since.elapsed() < PATIENCE
        && !stop.load(Ordering::Relaxed)
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Any process that the server started: one that runs graphs, one that loads them, the one that forks the others.
fn kill_worker(server: &Server, api: &Api, random: &mut Random) {
    let workers = server.workers();
    // Drawn in any case, so that what follows does not depend on it.
    let drawn = random.next();
    if workers.is_empty() {
        return;
    }
    let index = usize::try_from(drawn % workers.len() as u64).unwrap_or_default();
    if workers[index].kill() {
        api.ledger.count("worker processes killed");
    }
}

async fn kill_server(server: &mut Server, api: &Api, random: &mut Random) -> Result<Vec<Process>> {
    // Before the kill: who was told something before knows that it may not be kept.
    api.kills.fetch_add(1, Ordering::SeqCst);
    let orphans = server.kill()?;
    api.ledger.count("servers killed");
    let down = if random.percent(50) { Duration::ZERO } else { random.millis(0, 300) };
    tokio::time::sleep(down).await;
    server.restart()?;
    if random.percent(80) {
        // Else the next kill may hit it while it starts.
        if let Err(error) = server.until_ready().await {
            api.ledger.violate(Kind::Server, format!("{error:#}"));
            server.kill().ok();
            server.restart()?;
        }
    }
    Ok(orphans)
}
