//! Crons and their slots.

use serde_json::json;

use super::{
    ALL, add_threads, assistant_id, at, cron_id, map, raw, read, run_id, scope, thread_id, write,
};
use crate::{
    Error, Map, Page, Scope, SortOrder, Storage, Timestamp,
    assistants::Assistant,
    crons::{Cron, Filter, OnRunCompleted, SortBy},
};

const EVERYBODY: &Scope = &Scope::server();
const OLDEST_FIRST: (SortBy, SortOrder) = (SortBy::CreatedAt, SortOrder::Asc);

pub(super) fn assistant(n: u32) -> Assistant {
    Assistant {
        assistant_id: assistant_id(n.into()),
        graph_id: "agent".into(),
        config: Map::new(),
        context: Map::new(),
        metadata: Map::new(),
        name: "agent".into(),
        description: None,
        version: 1,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A cron of assistant 1 without a thread, made at `at(n)`, due at `at(100 + n)`.
pub(super) fn cron(n: u32) -> Cron {
    Cron {
        cron_id: cron_id(n.into()),
        assistant_id: assistant_id(1),
        thread_id: None,
        user_id: Some(String::new()),
        end_time: None,
        schedule: "* * * * *".into(),
        timezone: None,
        payload: raw(json!({"schedule": "* * * * *", "input": {"z": 1, "a": [1.50, "é"]}})),
        next_run_date: Some(at(100 + i64::from(n))),
        metadata: map(json!({"n": n, "owner": if n.is_multiple_of(2) { "even" } else { "odd" }})),
        on_run_completed: Some(OnRunCompleted::Delete),
        enabled: true,
        created_at: at(n.into()),
        updated_at: at(50 - i64::from(n)),
    }
}

/// Three crons: 2 is of thread 1, 3 of assistant 2 and switched off.
async fn add(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        tx.insert_assistant(&assistant(1))?;
        tx.insert_assistant(&assistant(2))?;
        tx.insert_cron(&cron(1))?;
        tx.insert_cron(&Cron { thread_id: Some(thread_id(1)), on_run_completed: None, ..cron(2) })?;
        let end_time = Some(at(500));
        let off = Cron { assistant_id: assistant_id(2), enabled: false, end_time, ..cron(3) };
        tx.insert_cron(&off)
    })
    .await;
}

fn numbers(crons: &[Cron]) -> Vec<u64> {
    crons.iter().map(|cron| cron.metadata["n"].as_u64().unwrap()).collect()
}

async fn found(
    storage: &dyn Storage,
    filter: Filter,
    sort: (SortBy, SortOrder),
    page: Page,
) -> Vec<u64> {
    let found = read(storage, move |tx| {
        let found = tx.search_crons(EVERYBODY, &filter, sort, page)?;
        if page == ALL {
            assert_eq!(tx.count_crons(EVERYBODY, &filter)?, found.len() as u64);
        }
        Ok(found)
    })
    .await;
    numbers(&found)
}

async fn due(storage: &dyn Storage, micros: i64) -> (Vec<u64>, Option<Timestamp>) {
    let (due, next) = read(storage, move |tx| {
        Ok((tx.due_crons(at(micros), 10)?, tx.next_cron_date(at(micros))?))
    })
    .await;
    assert!(due.iter().all(|cron| cron.due_slot(at(micros)).is_some()));
    (numbers(&due), next)
}

pub async fn inserted_comes_back(storage: &dyn Storage) {
    add(storage).await;
    let full = Cron {
        thread_id: Some(thread_id(2)),
        user_id: None,
        end_time: Some(at(7)),
        timezone: Some("Europe/Paris".into()),
        payload: raw(json!({"input": "x".repeat(100_000)})),
        next_run_date: None,
        on_run_completed: Some(OnRunCompleted::Keep),
        enabled: false,
        ..cron(4)
    };
    let given = full.clone();
    let again = write(storage, move |tx| {
        tx.insert_cron(&given)?;
        Ok(tx.insert_cron(&given))
    })
    .await;
    assert!(matches!(again, Err(Error::Duplicate(_))), "{again:?}");
    let get = |n| read(storage, move |tx| tx.get_cron(EVERYBODY, cron_id(n)));
    assert_eq!(get(4).await, Some(full));
    assert_eq!(get(1).await, Some(cron(1)));
    assert_eq!(get(9).await, None);
}

pub async fn update_and_delete(storage: &dyn Storage) {
    add(storage).await;
    let changed =
        Cron { schedule: "@daily".into(), enabled: false, end_time: Some(at(9)), ..cron(1) };
    let given = changed.clone();
    write(storage, move |tx| {
        assert!(tx.update_cron(EVERYBODY, &given)?);
        assert!(!tx.update_cron(EVERYBODY, &cron(9))?);
        tx.set_next_run_date(cron_id(2), None)?;
        assert!(tx.delete_cron(EVERYBODY, cron_id(3))?);
        assert!(!tx.delete_cron(EVERYBODY, cron_id(3))?);
        Ok(())
    })
    .await;
    let get = |n| read(storage, move |tx| tx.get_cron(EVERYBODY, cron_id(n)));
    assert_eq!(get(1).await, Some(changed));
    assert_eq!(
        get(2).await.map(|cron| (cron.next_run_date, cron.updated_at)),
        Some((None, at(48)))
    );
    assert_eq!(get(3).await, None);
}

pub async fn search_filters(storage: &dyn Storage) {
    add(storage).await;
    let by = |filter| found(storage, filter, OLDEST_FIRST, ALL);
    assert_eq!(by(Filter::default()).await, [1, 2, 3]);
    assert_eq!(
        by(Filter { assistant_id: Some(assistant_id(1)), ..Filter::default() }).await,
        [1, 2]
    );
    assert_eq!(by(Filter { thread_id: Some(thread_id(1)), ..Filter::default() }).await, [2]);
    assert_eq!(by(Filter { enabled: Some(true), ..Filter::default() }).await, [1, 2]);
    assert_eq!(by(Filter { enabled: Some(false), ..Filter::default() }).await, [3]);
    let metadata = Some(map(json!({"owner": "odd"})));
    assert_eq!(by(Filter { metadata, ..Filter::default() }).await, [1, 3]);
    assert_eq!(by(Filter { thread_id: Some(thread_id(9)), ..Filter::default() }).await, [0; 0]);
}

pub async fn search_sorts(storage: &dyn Storage) {
    add(storage).await;
    let by = |by, order| found(storage, Filter::default(), (by, order), ALL);
    assert_eq!(by(SortBy::CreatedAt, SortOrder::Desc).await, [3, 2, 1]);
    assert_eq!(by(SortBy::UpdatedAt, SortOrder::Asc).await, [3, 2, 1]);
    assert_eq!(by(SortBy::CronId, SortOrder::Asc).await, [1, 2, 3]);
    assert_eq!(by(SortBy::NextRunDate, SortOrder::Desc).await, [3, 2, 1]);
    // Ties follow the direction, and nothing comes before everything.
    assert_eq!(by(SortBy::AssistantId, SortOrder::Desc).await, [3, 2, 1]);
    assert_eq!(by(SortBy::ThreadId, SortOrder::Asc).await, [1, 3, 2]);
    assert_eq!(by(SortBy::EndTime, SortOrder::Desc).await, [3, 2, 1]);
    let page = Page { limit: 1, offset: 1 };
    assert_eq!(found(storage, Filter::default(), OLDEST_FIRST, page).await, [2]);
}

pub async fn scope_hides(storage: &dyn Storage) {
    add(storage).await;
    write(storage, |tx| {
        let (mine, other) = (scope(json!({"n": 1})), scope(json!({"n": 2})));
        assert!(tx.get_cron(&mine, cron_id(1))?.is_some());
        assert!(tx.get_cron(&other, cron_id(1))?.is_none());
        let found = tx.search_crons(&mine, &Filter::default(), OLDEST_FIRST, ALL)?;
        assert_eq!(numbers(&found), [1]);
        assert_eq!(tx.count_crons(&other, &Filter::default())?, 1);
        assert!(!tx.update_cron(&other, &Cron { enabled: false, ..cron(1) })?);
        assert!(!tx.delete_cron(&other, cron_id(1))?);
        assert_eq!(tx.get_cron(&mine, cron_id(1))?, Some(cron(1)));
        assert!(tx.delete_cron(&mine, cron_id(1))?);
        Ok(())
    })
    .await;
}

pub async fn go_away_with_assistant_and_thread(storage: &dyn Storage) {
    add(storage).await;
    write(storage, |tx| {
        tx.insert_slot(cron_id(2), at(1), run_id(1), at(0))?;
        tx.insert_slot(cron_id(3), at(1), run_id(2), at(0))?;
        assert!(tx.delete_thread(EVERYBODY, thread_id(1))?);
        assert!(tx.delete_assistant(EVERYBODY, assistant_id(2))?);
        Ok(())
    })
    .await;
    assert_eq!(found(storage, Filter::default(), OLDEST_FIRST, ALL).await, [1]);
}

pub async fn due_ones_are_found(storage: &dyn Storage) {
    add(storage).await;
    assert_eq!(due(storage, 100).await, (vec![], Some(at(101))));
    assert_eq!(due(storage, 101).await, (vec![1], Some(at(102))));
    // The third is switched off.
    assert_eq!(due(storage, 300).await, (vec![1, 2], None));
    write(storage, |tx| {
        tx.update_cron(EVERYBODY, &Cron { end_time: Some(at(200)), ..cron(1) })?;
        tx.set_next_run_date(cron_id(2), None)
    })
    .await;
    assert_eq!(due(storage, 200).await, (vec![1], None));
    assert_eq!(due(storage, 201).await, (vec![], None), "its end has come before it was fired");
    write(storage, |tx| {
        tx.update_cron(EVERYBODY, &Cron { end_time: Some(at(100)), ..cron(1) })?;
        tx.set_next_run_date(cron_id(2), Some(at(150)))
    })
    .await;
    assert_eq!(due(storage, 100).await, (vec![], Some(at(150))), "the first ends before its slot");
}

pub async fn a_slot_is_fired_for_once(storage: &dyn Storage) {
    add(storage).await;
    write(storage, |tx| {
        tx.insert_slot(cron_id(1), at(1), run_id(1), at(0))?;
        tx.insert_slot(cron_id(1), at(2), run_id(2), at(0))?;
        tx.insert_slot(cron_id(2), at(1), run_id(3), at(0))
    })
    .await;
    let again = storage
        .write(|tx| {
            tx.set_next_run_date(cron_id(1), Some(at(900)))?;
            tx.insert_slot(cron_id(1), at(1), run_id(4), at(0))
        })
        .await;
    assert!(matches!(again, Err(Error::Duplicate(_))), "{again:?}");
    let kept = read(storage, |tx| tx.get_cron(EVERYBODY, cron_id(1))).await;
    assert_eq!(kept, Some(cron(1)), "nothing of the refused transaction is left");
}

pub async fn old_slots_are_forgotten(storage: &dyn Storage) {
    add(storage).await;
    write(storage, |tx| {
        for slot in 1..=3 {
            tx.insert_slot(cron_id(1), at(slot), run_id(1), at(0))?;
            tx.insert_slot(cron_id(2), at(slot), run_id(2), at(0))?;
        }
        tx.insert_slot(cron_id(1), at(4), run_id(3), at(3))?;
        // Forgotten, so that it could be fired for again; others are not.
        tx.insert_slot(cron_id(1), at(2), run_id(4), at(0))?;
        for (cron, slot) in [(1, 3), (1, 4), (2, 1)] {
            let again = tx.insert_slot(cron_id(cron), at(slot), run_id(5), at(0));
            assert!(matches!(again, Err(Error::Duplicate(_))), "{cron} {slot}: {again:?}");
        }
        Ok(())
    })
    .await;
}
