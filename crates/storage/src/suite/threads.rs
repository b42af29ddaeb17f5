//! Threads.

use serde_json::{Value, json};

use super::{ALL, add_threads, at, map, raw, read, run, run_id, scope, thread, thread_id, write};
use crate::{
    Error, Page, RawJson, Scope, SortOrder, Storage,
    checkpoints::SaverOp,
    suite::checkpoints::put,
    threads::{Changes, Columns, Filter, SortBy, Thread, ThreadStatus},
};

const NEWEST_FIRST: (SortBy, SortOrder) = (SortBy::UpdatedAt, SortOrder::Desc);

fn number(thread: &Thread) -> u64 {
    thread.metadata["n"].as_u64().unwrap()
}

async fn search(
    storage: &dyn Storage,
    filter: Filter,
    sort: (SortBy, SortOrder),
    page: Page,
) -> Vec<u64> {
    let found = read(storage, move |tx| {
        let found = tx.search_threads(&Scope::server(), &filter, sort, page, Columns::Full)?;
        if page == ALL {
            let count = tx.count_threads(&Scope::server(), &filter)?;
            assert_eq!(count, found.len() as u64);
            let headers =
                tx.search_threads(&Scope::server(), &filter, sort, page, Columns::Header)?;
            assert_eq!(headers.len(), found.len());
        }
        Ok(found)
    })
    .await;
    found.iter().map(number).collect()
}

async fn get(storage: &dyn Storage, n: u128, columns: Columns) -> Option<Thread> {
    read(storage, move |tx| tx.get_thread(&Scope::server(), thread_id(n), columns)).await
}

pub async fn inserted_comes_back(storage: &dyn Storage) {
    let given = Thread {
        updated_at: at(5_000_001),
        config: map(json!({"configurable": {"a": 1}})),
        status: ThreadStatus::Interrupted,
        // Order, number forms and escapes of user JSON are kept.
        values: Some(RawJson::trusted(r#"{"b":1.00,"a":"\u00e9","b2":1e2}"#)),
        interrupts: Some(raw(json!({"task": [{"id": "x", "value": 1}]}))),
        error: Some(RawJson::null()),
        ..thread(1)
    };
    let expected = given.clone();
    write(storage, move |tx| tx.insert_thread(&given)).await;
    assert_eq!(get(storage, 1, Columns::Full).await, Some(expected));
    assert_eq!(get(storage, 2, Columns::Full).await, None);
}

pub async fn duplicate_is_refused(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    let again = storage.write(|tx| tx.insert_thread(&thread(1))).await;
    assert!(matches!(again, Err(Error::Duplicate(_))), "{again:?}");
    // The caller may go on after the refusal.
    write(storage, |tx| {
        assert!(tx.insert_thread(&thread(1)).is_err());
        tx.insert_thread(&thread(2))
    })
    .await;
    assert!(get(storage, 2, Columns::Header).await.is_some());
}

pub async fn update_changes_given_fields_only(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    let update = |changes: Changes| {
        write(storage, move |tx| tx.update_thread(&Scope::server(), thread_id(1), &changes))
    };
    assert!(update(Changes::default()).await);
    assert_eq!(get(storage, 1, Columns::Full).await, Some(thread(1)));

    let values = Some(Some(raw(json!({"a": 1}))));
    assert!(update(Changes { values, ..Changes::default() }).await);
    let with_values = Thread { values: Some(raw(json!({"a": 1}))), ..thread(1) };
    assert_eq!(get(storage, 1, Columns::Full).await, Some(with_values.clone()));

    let changes = Changes {
        updated_at: Some(at(50)),
        state_updated_at: Some(at(60)),
        metadata: Some(map(json!({"n": 1, "new": true}))),
        config: Some(map(json!({"tags": []}))),
        status: Some(ThreadStatus::Error),
        error: Some(Some(raw(json!({"error": "E", "message": "m"})))),
        ..Changes::default()
    };
    assert!(update(changes).await);
    let all = Thread {
        updated_at: at(50),
        state_updated_at: at(60),
        metadata: map(json!({"n": 1, "new": true})),
        config: map(json!({"tags": []})),
        status: ThreadStatus::Error,
        error: Some(raw(json!({"error": "E", "message": "m"}))),
        ..with_values
    };
    assert_eq!(get(storage, 1, Columns::Full).await, Some(all.clone()));

    let interrupts = Some(Some(raw(json!({}))));
    assert!(update(Changes { values: Some(None), interrupts, ..Changes::default() }).await);
    let cleared = Thread { values: None, interrupts: Some(raw(json!({}))), ..all };
    assert_eq!(get(storage, 1, Columns::Full).await, Some(cleared));
    let missing =
        write(storage, |tx| tx.update_thread(&Scope::server(), thread_id(9), &Changes::default()));
    assert!(!missing.await);
}

pub async fn header_leaves_large_columns_out(storage: &dyn Storage) {
    let given = Thread { values: Some(raw(json!({}))), error: Some(RawJson::null()), ..thread(1) };
    write(storage, move |tx| tx.insert_thread(&given)).await;
    assert_eq!(get(storage, 1, Columns::Header).await, Some(thread(1)));
}

pub async fn search_pages_in_order(storage: &dyn Storage) {
    add_threads(storage, 7).await;
    write(storage, |tx| {
        let changes = Changes {
            updated_at: Some(at(100)),
            status: Some(ThreadStatus::Busy),
            ..Changes::default()
        };
        tx.update_thread(&Scope::server(), thread_id(3), &changes)?;
        let changes = Changes { state_updated_at: Some(at(100)), ..Changes::default() };
        tx.update_thread(&Scope::server(), thread_id(2), &changes)
    })
    .await;
    let all = |by, order| search(storage, Filter::default(), (by, order), ALL);
    assert_eq!(all(SortBy::UpdatedAt, SortOrder::Desc).await, [3, 7, 6, 5, 4, 2, 1]);
    assert_eq!(all(SortBy::UpdatedAt, SortOrder::Asc).await, [1, 2, 4, 5, 6, 7, 3]);
    assert_eq!(all(SortBy::CreatedAt, SortOrder::Desc).await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(all(SortBy::StateUpdatedAt, SortOrder::Desc).await, [2, 7, 6, 5, 4, 3, 1]);
    assert_eq!(all(SortBy::ThreadId, SortOrder::Asc).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(all(SortBy::Status, SortOrder::Asc).await, [3, 1, 2, 4, 5, 6, 7]);
    let mut paged = Vec::new();
    for offset in [0, 3, 6, 9] {
        let page = Page { limit: 3, offset };
        paged.extend(search(storage, Filter::default(), NEWEST_FIRST, page).await);
    }
    assert_eq!(paged, [3, 7, 6, 5, 4, 2, 1]);
    let none = Page { limit: 0, offset: 0 };
    assert_eq!(search(storage, Filter::default(), NEWEST_FIRST, none).await, [0; 0]);
}

pub async fn search_breaks_ties_by_id(storage: &dyn Storage) {
    write(storage, |tx| {
        [2, 1, 3].into_iter().try_for_each(|n| {
            tx.insert_thread(&Thread { updated_at: at(0), created_at: at(0), ..thread(n) })
        })
    })
    .await;
    for by in [SortBy::UpdatedAt, SortBy::CreatedAt, SortBy::Status] {
        let found = search(storage, Filter::default(), (by, SortOrder::Desc), ALL).await;
        assert_eq!(found, [3, 2, 1], "{by:?}");
        let found = search(storage, Filter::default(), (by, SortOrder::Asc), ALL).await;
        assert_eq!(found, [1, 2, 3], "{by:?}");
    }
}

pub async fn search_filters(storage: &dyn Storage) {
    add_threads(storage, 4).await;
    write(storage, |tx| {
        let changes = Changes {
            status: Some(ThreadStatus::Busy),
            values: Some(Some(raw(json!({"topic": {"a": 1, "b": [1, 2]}})))),
            ..Changes::default()
        };
        tx.update_thread(&Scope::server(), thread_id(2), &changes)?;
        let changes = Changes { values: Some(Some(RawJson::null())), ..Changes::default() };
        tx.update_thread(&Scope::server(), thread_id(3), &changes)
    })
    .await;
    let by = |filter| search(storage, filter, NEWEST_FIRST, ALL);
    let object = |value: Value| Some(map(value));
    let any = Filter::default;
    assert_eq!(by(Filter { metadata: object(json!({"owner": "odd"})), ..any() }).await, [3, 1]);
    assert_eq!(by(Filter { metadata: object(json!({})), ..any() }).await, [4, 3, 2, 1]);
    assert_eq!(by(Filter { metadata: object(json!({"absent": null})), ..any() }).await, [0; 0]);
    assert_eq!(by(Filter { values: object(json!({"topic": {"b": [2]}})), ..any() }).await, [2]);
    assert_eq!(by(Filter { values: object(json!({})), ..any() }).await, [2]);
    assert_eq!(by(Filter { status: Some(ThreadStatus::Busy), ..any() }).await, [2]);
    assert_eq!(by(Filter { status: Some(ThreadStatus::Idle), ..any() }).await, [4, 3, 1]);
    let ids = Some(vec![thread_id(1), thread_id(4), thread_id(9)]);
    assert_eq!(by(Filter { ids: ids.clone(), ..any() }).await, [4, 1]);
    assert_eq!(by(Filter { ids: Some(vec![]), ..any() }).await, [0; 0]);
    let metadata = object(json!({"owner": "odd"}));
    assert_eq!(by(Filter { ids, metadata, ..any() }).await, [1]);
}

pub async fn scope_hides(storage: &dyn Storage) {
    add_threads(storage, 4).await;
    write(storage, |tx| {
        let (even, odd) = (scope(json!({"owner": "even"})), scope(json!({"owner": "odd"})));
        assert!(tx.get_thread(&even, thread_id(2), Columns::Full)?.is_some());
        assert!(tx.get_thread(&odd, thread_id(2), Columns::Full)?.is_none());
        assert!(!tx.update_thread(&odd, thread_id(2), &Changes::default())?);
        assert!(!tx.delete_thread(&odd, thread_id(2))?);
        assert_eq!(tx.count_threads(&odd, &Filter::default())?, 2);
        let found =
            tx.search_threads(&odd, &Filter::default(), NEWEST_FIRST, ALL, Columns::Header)?;
        assert_eq!(found.iter().map(number).collect::<Vec<_>>(), [3, 1]);
        let ids = Filter { ids: Some(vec![thread_id(2)]), ..Filter::default() };
        assert_eq!(tx.count_threads(&odd, &ids)?, 0);
        assert!(tx.delete_thread(&even, thread_id(2))?);
        Ok(())
    })
    .await;
}

pub async fn delete_removes_everything_below(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        let all = &Scope::server();
        for n in [1, 2] {
            tx.insert_run(&run(n, n))?;
            let id = thread_id(n.into());
            tx.save(id, &[SaverOp::Put(put("c1", None, &[("x", "1", b"v")]))])?;
            tx.put_live_state(id, "c1", &raw(json!({"values": {}})))?;
        }
        assert!(tx.delete_thread(all, thread_id(1))?);
        assert!(!tx.delete_thread(all, thread_id(1))?);
        // A thread of the same id starts empty.
        tx.insert_thread(&thread(1))?;
        assert_eq!(tx.find_run(all, run_id(1))?, None);
        assert_eq!(tx.head_checkpoint(all, thread_id(1), "")?, None);
        assert_eq!(tx.get_live_state(all, thread_id(1))?, None);
        // Its neighbour is whole.
        assert!(tx.find_run(all, run_id(2))?.is_some());
        assert!(tx.get_checkpoint(all, thread_id(2), "", Some("c1"))?.is_some());
        assert!(tx.get_live_state(all, thread_id(2))?.is_some());
        Ok(())
    })
    .await;
}

pub async fn large_values_come_back(storage: &dyn Storage) {
    let messages: Vec<_> =
        (0..5000).map(|n| json!({"content": format!("message {n} é")})).collect();
    let values = raw(json!({"messages": messages, "last": 1}));
    let expected = values.clone();
    write(storage, move |tx| tx.insert_thread(&Thread { values: Some(values), ..thread(1) })).await;
    let found = get(storage, 1, Columns::Full).await.unwrap();
    assert!(found.values == Some(expected), "values differ");
    let last = Filter { values: Some(map(json!({"last": 1}))), ..Filter::default() };
    assert_eq!(search(storage, last, NEWEST_FIRST, ALL).await, [1]);
}
