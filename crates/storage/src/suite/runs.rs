//! Runs.

use serde_json::json;

use super::{
    ALL, add_threads, assistant_id, at, read, run, run_id, scope, thread, thread_id, write,
};
use crate::{
    Error, Page, RawJson, Scope, Storage,
    runs::{Counted, Lease, MultitaskStrategy, Run, RunStatus},
};

fn numbers(runs: &[Run]) -> Vec<u128> {
    runs.iter().map(|run| run.run_id.0.as_u128() - run_id(0).0.as_u128()).collect()
}

pub async fn inserted_comes_back(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    let large = format!(r#"{{"input":"{}"}}"#, "text ".repeat(10_000));
    let given = Run {
        updated_at: at(77),
        status: RunStatus::Interrupted,
        kwargs: RawJson::trusted(large),
        multitask_strategy: MultitaskStrategy::Rollback,
        attempt: 3,
        crashes: 2,
        temporary: true,
        ..run(1, 1)
    };
    let expected = Run { crashes: 3, ..given.clone() };
    write(storage, move |tx| {
        tx.insert_run(&given)?;
        tx.count_crash(given.run_id)?;
        tx.insert_run(&run(2, 1))
    })
    .await;
    read(storage, move |tx| {
        let all = &Scope::server();
        assert_eq!(tx.get_run(all, thread_id(1), run_id(1))?, Some(expected.clone()));
        assert_eq!(tx.find_run(all, run_id(1))?, Some(expected));
        assert_eq!(tx.find_run(all, run_id(2))?, Some(run(2, 1)));
        assert_eq!(tx.get_run(all, thread_id(2), run_id(1))?, None);
        assert_eq!(tx.find_run(all, run_id(9))?, None);
        Ok(())
    })
    .await;
    let again = storage.write(|tx| tx.insert_run(&run(1, 1))).await;
    assert!(matches!(again, Err(Error::Duplicate(_))), "{again:?}");
}

pub async fn list_is_newest_first(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        for n in [2, 1, 4] {
            tx.insert_run(&run(n, 1))?;
        }
        // The same time as run 4.
        tx.insert_run(&Run { created_at: at(4), status: RunStatus::Success, ..run(3, 1) })?;
        tx.insert_run(&run(5, 2))
    })
    .await;
    read(storage, |tx| {
        let list = |status, page| {
            tx.list_runs(&Scope::server(), thread_id(1), status, page).map(|runs| numbers(&runs))
        };
        assert_eq!(list(None, ALL)?, [4, 3, 2, 1]);
        assert_eq!(list(None, Page { limit: 2, offset: 1 })?, [3, 2]);
        assert_eq!(list(Some(RunStatus::Pending), ALL)?, [4, 2, 1]);
        assert_eq!(list(Some(RunStatus::Success), ALL)?, [3]);
        assert_eq!(list(Some(RunStatus::Error), ALL)?, [0; 0]);
        Ok(())
    })
    .await;
}

pub async fn update_if_refuses_stale_attempts(storage: &dyn Storage) {
    use RunStatus::{Interrupted, Pending, Running, Success};
    add_threads(storage, 1).await;
    write(storage, |tx| {
        tx.insert_run(&run(1, 1))?;
        let id = run_id(1);
        // Claimed once; a second claimant is too late.
        assert!(tx.update_run_if(id, (Pending, 0), Running, 1, at(10))?);
        assert!(!tx.update_run_if(id, (Pending, 0), Running, 1, at(11))?);
        // Given back and claimed again: the first attempt's end changes nothing.
        assert!(tx.update_run_if(id, (Running, 1), Pending, 1, at(12))?);
        assert!(tx.update_run_if(id, (Pending, 1), Running, 2, at(13))?);
        assert!(!tx.update_run_if(id, (Running, 1), Success, 1, at(14))?);
        let lease = |attempt| Lease { attempt, ..run(1, 1).lease() };
        assert!(tx.holds_lease(lease(2))?);
        assert!(!tx.holds_lease(lease(1))?);
        let now = tx.find_run(&Scope::server(), id)?.unwrap();
        assert_eq!((now.status, now.attempt, now.updated_at), (Running, 2, at(13)));
        assert_eq!(now.created_at, at(1));
        // Ended for good: not even the holder changes it.
        assert!(tx.update_run_if(id, (Running, 2), Interrupted, 2, at(15))?);
        assert!(!tx.update_run_if(id, (Running, 2), Success, 2, at(16))?);
        assert!(!tx.holds_lease(lease(2))?);
        assert!(!tx.update_run_if(run_id(9), (Pending, 0), Running, 1, at(17))?);
        let expected = Run { status: Interrupted, attempt: 2, updated_at: at(15), ..run(1, 1) };
        assert_eq!(tx.find_run(&Scope::server(), id)?, Some(expected));
        Ok(())
    })
    .await;
}

pub async fn inflight_runs_are_oldest_first(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        for n in [3, 1, 2] {
            tx.insert_run(&run(n, 1))?;
        }
        tx.insert_run(&Run { status: RunStatus::Running, attempt: 1, ..run(4, 1) })?;
        tx.insert_run(&Run { status: RunStatus::Error, ..run(5, 1) })?;
        tx.insert_run(&run(6, 2))?;
        assert_eq!(numbers(&tx.inflight_runs(thread_id(1))?), [1, 2, 3, 4]);
        tx.update_run_if(run_id(4), (RunStatus::Running, 1), RunStatus::Success, 1, at(9))?;
        assert_eq!(numbers(&tx.inflight_runs(thread_id(1))?), [1, 2, 3]);
        Ok(())
    })
    .await;
}

pub async fn inflight_runs_of_all_threads(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        for (n, thread) in [(3, 1), (1, 2), (2, 1)] {
            tx.insert_run(&run(n, thread))?;
        }
        tx.insert_run(&Run { status: RunStatus::Running, attempt: 1, ..run(4, 2) })?;
        tx.insert_run(&Run { status: RunStatus::Success, ..run(5, 1) })?;
        let list = |scope: &Scope, status| {
            tx.inflight_runs_of_all(scope, status).map(|runs| numbers(&runs))
        };
        let all = Scope::server();
        assert_eq!(list(&all, None)?, [1, 2, 3, 4]);
        assert_eq!(list(&all, Some(RunStatus::Pending))?, [1, 2, 3]);
        assert_eq!(list(&all, Some(RunStatus::Running))?, [4]);
        assert_eq!(list(&all, Some(RunStatus::Success))?, [0; 0]);
        assert_eq!(list(&scope(json!({"owner": "odd"})), None)?, [2, 3]);
        assert_eq!(list(&scope(json!({"owner": "even"})), Some(RunStatus::Running))?, [4]);
        Ok(())
    })
    .await;
}

pub async fn inflight_runs_of_assistant(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        tx.insert_run(&run(2, 2))?;
        tx.insert_run(&Run { status: RunStatus::Running, ..run(1, 1) })?;
        tx.insert_run(&Run { status: RunStatus::Success, ..run(3, 1) })?;
        tx.insert_run(&Run { assistant_id: assistant_id(2), ..run(4, 1) })?;
        assert_eq!(numbers(&tx.inflight_runs_of_assistant(assistant_id(1))?), [1, 2]);
        assert_eq!(numbers(&tx.inflight_runs_of_assistant(assistant_id(2))?), [4]);
        assert_eq!(numbers(&tx.inflight_runs_of_assistant(assistant_id(3))?), [0; 0]);
        Ok(())
    })
    .await;
}

pub async fn scope_of_the_thread_decides(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        tx.insert_run(&run(1, 1))?;
        let (mine, other) = (scope(json!({"owner": "odd"})), scope(json!({"owner": "even"})));
        // The metadata of the run itself does not count.
        let own = scope(json!({"a": 2}));
        let (thread, id) = (thread_id(1), run_id(1));
        assert!(tx.get_run(&mine, thread, id)?.is_some());
        assert!(tx.find_run(&mine, id)?.is_some());
        assert_eq!(tx.list_runs(&mine, thread, None, ALL)?.len(), 1);
        for hidden in [&other, &own] {
            assert!(tx.get_run(hidden, thread, id)?.is_none());
            assert!(tx.find_run(hidden, id)?.is_none());
            assert!(tx.list_runs(hidden, thread, None, ALL)?.is_empty());
            assert!(!tx.delete_run(hidden, id)?);
        }
        assert!(tx.delete_run(&mine, id)?);
        Ok(())
    })
    .await;
}

pub async fn delete_removes(storage: &dyn Storage) {
    write(storage, |tx| {
        tx.insert_thread(&thread(1))?;
        tx.insert_run(&run(1, 1))?;
        tx.insert_run(&run(2, 1))?;
        assert!(tx.delete_run(&Scope::server(), run_id(1))?);
        assert!(!tx.delete_run(&Scope::server(), run_id(1))?);
        let left = tx.list_runs(&Scope::server(), thread_id(1), None, ALL)?;
        assert_eq!(numbers(&left), [2]);
        Ok(())
    })
    .await;
}

pub async fn inflight_runs_are_counted_by_owner_and_assistant(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    let owned = |n, owner: &str| Run { owner: Some(owner.into()), ..run(n, 1) };
    write(storage, move |tx| {
        for n in 1..=3 {
            tx.insert_run(&owned(n, "a"))?;
        }
        tx.insert_run(&Run { status: RunStatus::Running, attempt: 1, ..owned(4, "a") })?;
        tx.insert_run(&Run { status: RunStatus::Error, ..owned(5, "a") })?;
        tx.insert_run(&Run { assistant_id: assistant_id(2), ..owned(6, "") })?;
        // Does not count.
        tx.insert_run(&run(7, 1))?;
        // Both are seen by the transaction that has made them.
        assert_eq!(tx.count_inflight(Counted::Owner("a"), 9)?, 4);
        tx.update_run_if(run_id(1), (RunStatus::Pending, 0), RunStatus::Success, 0, at(9))?;
        Ok(())
    })
    .await;
    read(storage, |tx| {
        let count = |by| tx.count_inflight(by, 9);
        assert_eq!(
            tx.find_run(&Scope::server(), run_id(4))?.and_then(|run| run.owner),
            Some("a".into())
        );
        assert_eq!(count(Counted::Owner("a"))?, 3);
        assert_eq!(count(Counted::Owner(""))?, 1);
        assert_eq!(count(Counted::Owner("A"))?, 0);
        assert_eq!(count(Counted::Assistant(assistant_id(1)))?, 3);
        assert_eq!(count(Counted::Assistant(assistant_id(2)))?, 1);
        assert_eq!(count(Counted::Assistant(assistant_id(3)))?, 0);
        assert_eq!(tx.count_inflight(Counted::Owner("a"), 2)?, 2);
        Ok(())
    })
    .await;
}
