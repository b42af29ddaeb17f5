//! Scopes: every condition, on everything that is judged by metadata.

use serde_json::{Value, json};

use super::{ALL, assistants::assistant, map, read, run, run_id, thread, thread_id, write};
use crate::{
    Condition, Scope, Storage,
    assistants::{self, Assistant},
    threads::{self, Columns, Thread},
};

/// Metadata of the rows `1..`.
fn rows() -> [Value; 5] {
    [
        json!({"owner": "alice", "team": ["red", "blue"]}),
        json!({"owner": "bob", "team": ["red"], "open": true}),
        json!({"owner": ["alice"], "team": "red", "open": null}),
        json!({"Owner": "alice", "n": 1}),
        json!({}),
    ]
}

fn equals(key: &str, value: Value) -> Condition {
    Condition::Equals(key.into(), value)
}

fn holds<const N: usize>(key: &str, values: [Value; N]) -> Condition {
    Condition::Holds(key.into(), values.into())
}

/// Conditions with the rows that meet them.
fn cases() -> Vec<(Condition, &'static [u32])> {
    use Condition::{All, Any};
    let alice = || equals("owner", json!("alice"));
    let bob = || equals("owner", json!("bob"));
    let red = || holds("team", [json!("red")]);
    vec![
        (alice(), &[1]),
        (equals("owner", json!(["alice"])), &[3]),
        (equals("open", json!(null)), &[3]),
        (equals("n", json!(1.0)), &[4]),
        (equals("n", json!("1")), &[]),
        (equals("team", json!(["blue", "red"])), &[]),
        // A part of what is there is not equal to it, and text that would be SQL or JSON is text.
        (equals("owner", json!("ali")), &[]),
        (equals("owner", json!("' OR 1 = 1 --")), &[]),
        (equals("a.b\"'?", json!(1)), &[]),
        (red(), &[1, 2]),
        (holds("team", [json!("blue"), json!("red")]), &[1]),
        (holds("team", []), &[1, 2]),
        (holds("owner", [json!("alice")]), &[3]),
        (All(vec![alice(), red()]), &[1]),
        (All(vec![alice(), bob()]), &[]),
        (All(vec![]), &[1, 2, 3, 4, 5]),
        (Any(vec![alice(), bob()]), &[1, 2]),
        (Any(vec![]), &[]),
        (All(vec![red(), Any(vec![equals("open", json!(true)), alice()])]), &[1, 2]),
        (Any(vec![All(vec![bob(), red()]), equals("n", json!(1))]), &[2, 4]),
    ]
}

fn thread_of(n: u32, metadata: Value) -> Thread {
    Thread { metadata: map(metadata), ..thread(n) }
}

/// Numbers of rows, from the last part of their ids.
fn numbers(ids: impl Iterator<Item = uuid::Uuid>) -> Vec<u32> {
    let mut numbers: Vec<_> = ids.map(|id| (id.as_u128() & 0xffff) as u32).collect();
    numbers.sort_unstable();
    numbers
}

async fn add_threads(storage: &dyn Storage) {
    write(storage, |tx| {
        (1..).zip(rows()).try_for_each(|(n, metadata)| {
            tx.insert_thread(&thread_of(n, metadata))?;
            tx.insert_run(&run(n, n))
        })
    })
    .await;
}

pub async fn of_threads(storage: &dyn Storage) {
    add_threads(storage).await;
    read(storage, |tx| {
        for (condition, expected) in cases() {
            let scope = Scope::of(condition);
            let filter = threads::Filter::default();
            let found =
                tx.search_threads(&scope, &filter, Default::default(), ALL, Columns::Header)?;
            let found = numbers(found.iter().map(|thread| thread.thread_id.0));
            assert_eq!(found, expected, "search, {scope:?}");
            assert_eq!(tx.count_threads(&scope, &filter)?, expected.len() as u64, "{scope:?}");
            for n in 1..=5 {
                let id = thread_id(n.into());
                let is_there = tx.get_thread(&scope, id, Columns::Full)?.is_some();
                assert_eq!(is_there, expected.contains(&n), "get {n}, {scope:?}");
            }
        }
        Ok(())
    })
    .await;
}

pub async fn of_assistants(storage: &dyn Storage) {
    write(storage, |tx| {
        (1..).zip(rows()).try_for_each(|(n, metadata)| {
            let metadata = map(metadata);
            tx.insert_assistant(&Assistant { metadata, ..assistant(n, "agent", "name") })
        })
    })
    .await;
    read(storage, |tx| {
        for (condition, expected) in cases() {
            let scope = Scope::of(condition);
            let filter = assistants::Filter::default();
            let found = tx.search_assistants(&scope, &filter, Default::default(), ALL)?;
            for assistant in &found {
                assert!(tx.get_assistant(&scope, assistant.assistant_id)?.is_some());
            }
            let found = numbers(found.iter().map(|assistant| assistant.assistant_id.0));
            assert_eq!(found, expected, "{scope:?}");
            assert_eq!(tx.count_assistants(&scope, &filter)?, expected.len() as u64, "{scope:?}");
        }
        Ok(())
    })
    .await;
}

pub async fn of_runs(storage: &dyn Storage) {
    add_threads(storage).await;
    read(storage, |tx| {
        for (condition, expected) in cases() {
            let scope = Scope::of(condition);
            let found = tx.inflight_runs_of_all(&scope, None)?;
            let found = numbers(found.iter().map(|run| run.run_id.0));
            assert_eq!(found, expected, "{scope:?}");
            for n in 1..=5 {
                let (thread, id) = (thread_id(n.into()), run_id(n.into()));
                let is_there = expected.contains(&n);
                assert_eq!(tx.find_run(&scope, id)?.is_some(), is_there, "{n}, {scope:?}");
                assert_eq!(tx.get_run(&scope, thread, id)?.is_some(), is_there);
                let listed = tx.list_runs(&scope, thread, None, ALL)?;
                assert_eq!(!listed.is_empty(), is_there);
            }
        }
        Ok(())
    })
    .await;
}
