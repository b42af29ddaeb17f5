//! Events of resumable runs.

use bytes::Bytes;
use serde_json::json;

use super::{add_threads, at, read, run, run_id, scope, thread_id, write};
use crate::{
    ReadTx, RunId, Scope, Storage, Timestamp,
    events::{EventId, Filter, StoredEvent},
    runs::{Run, RunStatus},
};

const fn id(n: u64) -> EventId {
    EventId { millis: n, seq: n % 3 }
}

fn event(n: u64) -> StoredEvent {
    let data = Bytes::from(format!(r#"{{"n":{n}}}"#));
    StoredEvent { id: id(n), name: "values|child:1".into(), data, thread_only: false }
}

fn filter(run: Option<RunId>) -> Filter {
    Filter { run, after: EventId::MIN, until: EventId::MAX, kept_since: Timestamp::MIN_UTC }
}

/// Numbers of the events that pass.
fn list(tx: &dyn ReadTx, filter: &Filter) -> Vec<u64> {
    let events = tx.list_events(&Scope::server(), thread_id(1), filter, 1 << 20).unwrap();
    events.iter().map(|(_, event)| event.id.millis).collect()
}

/// Thread 1 with run 1, which has ended at `at(10)`, and run 2, which is running.
async fn add_runs(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        tx.insert_run(&Run { status: RunStatus::Success, updated_at: at(10), ..run(1, 1) })?;
        tx.insert_run(&Run { status: RunStatus::Running, ..run(2, 1) })
    })
    .await;
}

async fn append(storage: &dyn Storage, run: u32, numbers: &[u64]) {
    let events: Vec<_> = numbers.iter().copied().map(event).collect();
    write(storage, move |tx| tx.append_events(run_id(run.into()), &events)).await;
}

pub async fn come_back_in_order(storage: &dyn Storage) {
    add_runs(storage).await;
    let large = Bytes::from(format!(r#""{}""#, "text ".repeat(100_000)));
    let given = vec![
        event(1),
        StoredEvent { data: large, ..event(2) },
        StoredEvent { data: Bytes::new(), name: String::new(), ..event(3) },
    ];
    let expected = given.clone();
    write(storage, move |tx| tx.append_events(run_id(1), &given)).await;
    append(storage, 1, &[4]).await;
    append(storage, 1, &[]).await;
    append(storage, 1, &[7, 9]).await;
    read(storage, move |tx| {
        let all = filter(Some(run_id(1)));
        let found = tx.list_events(&Scope::server(), thread_id(1), &all, 1 << 20)?;
        let expected: Vec<_> = expected.into_iter().map(|event| (run_id(1), event)).collect();
        assert_eq!(found[..3], expected);
        assert_eq!(list(tx, &all), [1, 2, 3, 4, 7, 9]);
        assert_eq!(list(tx, &Filter { after: id(2), ..all }), [3, 4, 7, 9]);
        assert_eq!(list(tx, &Filter { after: id(8), ..all }), [9]);
        assert_eq!(list(tx, &Filter { after: id(9), ..all }), [0; 0]);
        assert_eq!(list(tx, &Filter { after: EventId::MAX, ..all }), [0; 0]);
        assert_eq!(list(tx, &Filter { after: id(2), until: id(8), ..all }), [3, 4, 7]);
        Ok(())
    })
    .await;
}

pub async fn pages_are_bounded(storage: &dyn Storage) {
    add_runs(storage).await;
    for n in 1..=5 {
        append(storage, 1, &[2 * n, 2 * n + 1]).await;
    }
    read(storage, |tx| {
        let mut seen = vec![];
        let mut after = EventId::MIN;
        loop {
            let filter = Filter { after, ..filter(Some(run_id(1))) };
            let page = tx.list_events(&Scope::server(), thread_id(1), &filter, 1)?;
            let Some((_, last)) = page.last() else { break };
            assert_eq!(page.len(), 2, "a chunk is enough");
            after = last.id;
            seen.extend(page.iter().map(|(_, event)| event.id.millis));
        }
        assert_eq!(seen, (2..=11).collect::<Vec<_>>());
        Ok(())
    })
    .await;
}

pub async fn of_a_run_or_of_the_thread(storage: &dyn Storage) {
    add_runs(storage).await;
    write(storage, |tx| {
        let marker = StoredEvent { thread_only: true, ..event(2) };
        tx.append_events(run_id(1), &[event(1), marker])
    })
    .await;
    append(storage, 2, &[3]).await;
    read(storage, |tx| {
        assert_eq!(list(tx, &filter(None)), [1, 2, 3]);
        let all = tx.list_events(&Scope::server(), thread_id(1), &filter(None), 1 << 20)?;
        let runs: Vec<_> = all.iter().map(|(run, _)| *run).collect();
        assert_eq!(runs, [run_id(1), run_id(1), run_id(2)]);
        assert_eq!(list(tx, &filter(Some(run_id(1)))), [1]);
        assert_eq!(list(tx, &filter(Some(run_id(2)))), [3]);
        assert_eq!(list(tx, &filter(Some(run_id(9)))), [0; 0]);
        Ok(())
    })
    .await;
}

pub async fn old_ones_are_not_shown_and_swept(storage: &dyn Storage) {
    add_runs(storage).await;
    append(storage, 1, &[1]).await;
    append(storage, 2, &[2]).await;
    let shown =
        |kept_since| read(storage, move |tx| Ok(list(tx, &Filter { kept_since, ..filter(None) })));
    assert_eq!(shown(at(10)).await, [1, 2]);
    assert_eq!(shown(at(11)).await, [2], "a run in flight keeps its events");
    write(storage, |tx| tx.sweep_events(at(10))).await;
    assert_eq!(shown(at(0)).await, [1, 2]);
    write(storage, |tx| tx.sweep_events(at(11))).await;
    assert_eq!(shown(at(0)).await, [2]);
}

pub async fn go_away_with_run_and_thread(storage: &dyn Storage) {
    add_runs(storage).await;
    append(storage, 1, &[1]).await;
    append(storage, 2, &[2]).await;
    let shown = || read(storage, |tx| Ok(list(tx, &filter(None))));
    write(storage, |tx| tx.delete_run(&Scope::server(), run_id(1))).await;
    assert_eq!(shown().await, [2]);
    append(storage, 1, &[3]).await;
    assert_eq!(shown().await, [2], "a run that is gone gets no events");
    write(storage, |tx| tx.delete_thread(&Scope::server(), thread_id(1))).await;
    assert_eq!(shown().await, [0; 0]);
    assert_eq!(read(storage, |tx| tx.last_event_id()).await, EventId::MIN);
}

pub async fn scope_hides(storage: &dyn Storage) {
    add_runs(storage).await;
    append(storage, 1, &[1]).await;
    read(storage, |tx| {
        let list = |owner| {
            let scope = scope(json!({"owner": owner}));
            tx.list_events(&scope, thread_id(1), &filter(None), 1 << 20).map(|page| page.len())
        };
        assert_eq!((list("odd")?, list("even")?), (1, 0));
        Ok(())
    })
    .await;
}

pub async fn storing_twice_is_storing_once(storage: &dyn Storage) {
    add_runs(storage).await;
    append(storage, 1, &[1, 2]).await;
    append(storage, 1, &[1, 2]).await;
    read(storage, |tx| {
        assert_eq!(list(tx, &filter(None)), [1, 2]);
        Ok(())
    })
    .await;
}

pub async fn last_id_is_known(storage: &dyn Storage) {
    add_runs(storage).await;
    assert_eq!(read(storage, |tx| tx.last_event_id()).await, EventId::MIN);
    append(storage, 1, &[1, 5]).await;
    append(storage, 2, &[7, 8]).await;
    assert_eq!(read(storage, |tx| tx.last_event_id()).await, id(8));
}
