//! Assistants and versions.

use serde_json::json;

use super::{ALL, assistant_id, at, map, read, scope, write};
use crate::{
    Error, Map, Page, Scope, SortOrder, Storage,
    assistants::{Assistant, Filter, SortBy},
};

const OLDEST_FIRST: (SortBy, SortOrder) = (SortBy::CreatedAt, SortOrder::Asc);

pub(super) fn assistant(n: u32, graph: &str, name: &str) -> Assistant {
    Assistant {
        assistant_id: assistant_id(n.into()),
        graph_id: graph.into(),
        config: map(json!({"recursion_limit": 5, "configurable": {"z": 1, "a": 2}})),
        context: Map::new(),
        metadata: map(json!({"n": n, "tags": ["x", n]})),
        name: name.into(),
        description: None,
        version: 1,
        created_at: at(n.into()),
        updated_at: at(100 - i64::from(n)),
    }
}

async fn add(storage: &dyn Storage) {
    write(storage, |tx| {
        tx.insert_assistant(&assistant(1, "chat", "beta"))?;
        tx.insert_assistant(&assistant(2, "Agent", "Alpha"))?;
        tx.insert_assistant(&assistant(3, "chat", "ÉCLAIR"))
    })
    .await;
}

async fn names(
    storage: &dyn Storage,
    filter: Filter,
    sort: (SortBy, SortOrder),
    page: Page,
) -> Vec<u128> {
    let found = read(storage, move |tx| {
        let found = tx.search_assistants(&Scope::server(), &filter, sort, page)?;
        if page == ALL {
            let count = tx.count_assistants(&Scope::server(), &filter)?;
            assert_eq!(count, found.len() as u64);
        }
        Ok(found)
    })
    .await;
    found.iter().map(|found| found.assistant_id.0.as_u128() - assistant_id(0).0.as_u128()).collect()
}

pub async fn inserted_comes_back(storage: &dyn Storage) {
    let given = Assistant { description: Some("text".into()), ..assistant(1, "chat", "") };
    let expected = given.clone();
    write(storage, move |tx| tx.insert_assistant(&given)).await;
    let found = read(storage, |tx| tx.get_assistant(&Scope::server(), assistant_id(1))).await;
    let found = found.unwrap();
    assert_eq!(found, expected);
    // Objects compare without regard to order; the order of keys is kept all the same.
    assert_eq!(
        serde_json::to_string(&found.config).unwrap(),
        serde_json::to_string(&expected.config).unwrap()
    );
    let none = read(storage, |tx| tx.get_assistant(&Scope::server(), assistant_id(2))).await;
    assert_eq!(none, None);
}

pub async fn duplicate_is_refused(storage: &dyn Storage) {
    add(storage).await;
    let again = storage.write(|tx| tx.insert_assistant(&assistant(1, "other", "other"))).await;
    assert!(matches!(again, Err(Error::Duplicate(_))), "{again:?}");
    let kept = read(storage, |tx| tx.get_assistant(&Scope::server(), assistant_id(1))).await;
    assert_eq!(kept.unwrap().name, "beta");
}

pub async fn versions_are_counted(storage: &dyn Storage) {
    add(storage).await;
    let latest = write(storage, |tx| {
        assert_eq!(tx.latest_assistant_version(assistant_id(9))?, 0);
        let second = Assistant { version: 2, ..assistant(1, "chat", "second") };
        assert!(tx.update_assistant(&Scope::server(), &second)?);
        // Back to the first version: the number of the next one does not fall.
        let first = Assistant { version: 1, ..assistant(1, "chat", "first") };
        assert!(tx.update_assistant(&Scope::server(), &first)?);
        let missing = assistant(9, "chat", "missing");
        assert!(!tx.update_assistant(&Scope::server(), &missing)?);
        tx.latest_assistant_version(assistant_id(1))
    })
    .await;
    assert_eq!(latest, 2);
    let active = read(storage, |tx| tx.get_assistant(&Scope::server(), assistant_id(1))).await;
    assert_eq!(active.map(|active| (active.version, active.name)), Some((1, "first".into())));
}

pub async fn search_filters(storage: &dyn Storage) {
    add(storage).await;
    let by = |filter| names(storage, filter, OLDEST_FIRST, ALL);
    assert_eq!(by(Filter::default()).await, [1, 2, 3]);
    assert_eq!(by(Filter { graph_id: Some("chat".into()), ..Filter::default() }).await, [1, 3]);
    assert_eq!(by(Filter { name: Some("LPH".into()), ..Filter::default() }).await, [2]);
    assert_eq!(by(Filter { name: Some("écl".into()), ..Filter::default() }).await, [3]);
    assert_eq!(by(Filter { name: Some("%".into()), ..Filter::default() }).await, [0; 0]);
    let metadata = Some(map(json!({"tags": [2]})));
    assert_eq!(by(Filter { metadata, ..Filter::default() }).await, [2]);
    let known_graphs = Some(vec!["Agent".into(), "absent".into()]);
    assert_eq!(by(Filter { known_graphs, ..Filter::default() }).await, [2]);
    assert_eq!(by(Filter { known_graphs: Some(vec![]), ..Filter::default() }).await, [0; 0]);
    let both =
        Filter { graph_id: Some("chat".into()), name: Some("b".into()), ..Filter::default() };
    assert_eq!(by(both).await, [1]);
}

pub async fn search_sorts(storage: &dyn Storage) {
    add(storage).await;
    let by = |by, order| names(storage, Filter::default(), (by, order), ALL);
    assert_eq!(by(SortBy::CreatedAt, SortOrder::Desc).await, [3, 2, 1]);
    assert_eq!(by(SortBy::UpdatedAt, SortOrder::Desc).await, [1, 2, 3]);
    assert_eq!(by(SortBy::AssistantId, SortOrder::Asc).await, [1, 2, 3]);
    assert_eq!(by(SortBy::Name, SortOrder::Asc).await, [2, 1, 3]);
    // Ties follow the direction.
    assert_eq!(by(SortBy::GraphId, SortOrder::Asc).await, [2, 1, 3]);
    assert_eq!(by(SortBy::GraphId, SortOrder::Desc).await, [3, 1, 2]);
    let page = Page { limit: 1, offset: 1 };
    assert_eq!(names(storage, Filter::default(), OLDEST_FIRST, page).await, [2]);
}

pub async fn scope_hides(storage: &dyn Storage) {
    add(storage).await;
    write(storage, |tx| {
        let (mine, other) = (scope(json!({"n": 1})), scope(json!({"n": 2})));
        assert!(tx.get_assistant(&mine, assistant_id(1))?.is_some());
        assert!(tx.get_assistant(&other, assistant_id(1))?.is_none());
        assert!(!tx.update_assistant(&other, &assistant(1, "chat", "stolen"))?);
        assert!(!tx.delete_assistant(&other, assistant_id(1))?);
        assert_eq!(tx.count_assistants(&other, &Filter::default())?, 1);
        let found = tx.search_assistants(&other, &Filter::default(), OLDEST_FIRST, ALL)?;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].assistant_id, assistant_id(2));
        assert!(tx.delete_assistant(&mine, assistant_id(1))?);
        Ok(())
    })
    .await;
}

pub async fn delete_removes_versions(storage: &dyn Storage) {
    add(storage).await;
    write(storage, |tx| {
        assert!(tx.delete_assistant(&Scope::server(), assistant_id(1))?);
        assert!(!tx.delete_assistant(&Scope::server(), assistant_id(1))?);
        assert_eq!(tx.latest_assistant_version(assistant_id(1))?, 0);
        Ok(())
    })
    .await;
}
