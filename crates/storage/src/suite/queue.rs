//! The queue: which runs may start, and when the next becomes due.

use super::{add_threads, at, run, run_id, write};
use crate::{
    Result, Storage, Timestamp, WriteTx,
    runs::{Queue, Run, RunStatus, Waiting},
};

fn claimable(tx: &dyn WriteTx, now: Timestamp, limit: u32) -> Result<Vec<u128>> {
    let runs = tx.claimable_runs(now, limit)?;
    Ok(runs.iter().map(|run| run.run_id.0.as_u128() - run_id(0).0.as_u128()).collect())
}

pub async fn claimable_is_one_per_thread(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        tx.insert_run(&run(2, 1))?;
        tx.insert_run(&run(1, 1))?;
        tx.insert_run(&run(3, 2))?;
        // The same time as run 3: the smaller id goes first.
        tx.insert_run(&Run { created_at: at(3), ..run(4, 2) })?;
        assert_eq!(claimable(tx, at(100), 10)?, [1, 3]);
        assert_eq!(claimable(tx, at(100), 1)?, [1]);
        assert_eq!(claimable(tx, at(100), 0)?, [0; 0]);
        Ok(())
    })
    .await;
}

pub async fn claimable_skips_busy_threads(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        // Later than what waits: it was claimed before the clock went back.
        tx.insert_run(&Run { status: RunStatus::Running, attempt: 1, ..run(9, 1) })?;
        tx.insert_run(&run(1, 1))?;
        tx.insert_run(&run(2, 2))?;
        assert_eq!(claimable(tx, at(100), 10)?, [2]);
        tx.update_run_if(run_id(9), (RunStatus::Running, 1), RunStatus::Success, 1, at(50))?;
        assert_eq!(claimable(tx, at(100), 10)?, [1, 2]);
        tx.update_run_if(run_id(1), (RunStatus::Pending, 0), RunStatus::Running, 1, at(51))?;
        assert_eq!(claimable(tx, at(100), 10)?, [2]);
        Ok(())
    })
    .await;
}

pub async fn claimable_waits_for_its_time(storage: &dyn Storage) {
    add_threads(storage, 3).await;
    write(storage, |tx| {
        assert_eq!(tx.next_due(at(0))?, None);
        tx.insert_run(&run(10, 1))?;
        tx.insert_run(&run(20, 2))?;
        tx.insert_run(&Run { status: RunStatus::Success, ..run(15, 3) })?;
        assert_eq!(claimable(tx, at(9), 10)?, [0; 0]);
        assert_eq!(claimable(tx, at(10), 10)?, [10]);
        assert_eq!(tx.next_due(at(9))?, Some(at(10)));
        assert_eq!(tx.next_due(at(10))?, Some(at(20)));
        assert_eq!(tx.next_due(at(20))?, None);
        assert_eq!(tx.next_due(Timestamp::MIN_UTC)?, Some(at(10)));
        Ok(())
    })
    .await;
}

pub async fn claimable_is_oldest_first(storage: &dyn Storage) {
    add_threads(storage, 3).await;
    write(storage, |tx| {
        for n in [3, 1, 2] {
            tx.insert_run(&run(n, 4 - n))?;
        }
        assert_eq!(claimable(tx, at(100), 10)?, [1, 2, 3]);
        Ok(())
    })
    .await;
}

pub async fn running_runs_are_found(storage: &dyn Storage) {
    add_threads(storage, 3).await;
    write(storage, |tx| {
        assert!(tx.running_runs()?.is_empty());
        tx.insert_run(&run(1, 1))?;
        let running = Run { status: RunStatus::Running, attempt: 2, ..run(2, 2) };
        tx.insert_run(&running)?;
        tx.insert_run(&Run { status: RunStatus::Timeout, ..run(3, 3) })?;
        assert_eq!(tx.running_runs()?, [running]);
        Ok(())
    })
    .await;
}

pub async fn queue_tells_who_waits_and_who_is_blocked(storage: &dyn Storage) {
    add_threads(storage, 3).await;
    write(storage, |tx| {
        assert_eq!(tx.queue(at(100))?, Queue::default());
        tx.insert_run(&Run { status: RunStatus::Running, attempt: 1, ..run(1, 1) })?;
        tx.insert_run(&run(2, 1))?;
        tx.insert_run(&run(3, 2))?;
        tx.insert_run(&run(4, 2))?;
        tx.insert_run(&Run { status: RunStatus::Success, ..run(5, 3) })?;
        tx.insert_run(&run(50, 3))?;
        let waiting = |since, is_blocked| Waiting { since: at(since), is_blocked };
        let expected = vec![waiting(2, true), waiting(3, false), waiting(4, true)];
        assert_eq!(tx.queue(at(49))?, Queue { waiting: expected, running: 1 });
        Ok(())
    })
    .await;
}
