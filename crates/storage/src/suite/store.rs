//! Store items.

use serde_json::{Value, json};

use super::{ALL, at, map, raw, read, scope, write};
use crate::{
    Error, Page, Result, Scope, Storage, WriteTx,
    store::{Item, Namespace, NamespaceFilter, Pattern},
};

const ANY: &Scope = &Scope::server();

fn labels(dotted: &str) -> Namespace {
    dotted.split('.').filter(|label| !label.is_empty()).map(Into::into).collect()
}

fn pattern(dotted: &str) -> Option<Pattern> {
    Some(labels(dotted).into_iter().map(|label| (label != "*").then_some(label)).collect())
}

/// Puts `namespace/key` at `at(time)`.
fn put(tx: &dyn WriteTx, time: i64, path: &str, value: Value) -> Result<()> {
    let (namespace, key) = path.split_once('/').unwrap();
    tx.put_item(ANY, at(time), &labels(namespace), key, &raw(value), None)
}

fn paths(items: &[Item]) -> Vec<String> {
    items.iter().map(|item| format!("{}/{}", item.namespace.join("."), item.key)).collect()
}

pub async fn put_get_delete(storage: &dyn Storage) {
    write(storage, |tx| {
        put(tx, 1, "a.b/k", json!({"z": 1, "a": 2}))?;
        put(tx, 2, "a/k", json!({}))?;
        put(tx, 3, "a.b/", json!({"empty": "key"}))?;
        put(tx, 9, "a.b/k", json!({"z": 3}))
    })
    .await;
    read(storage, |tx| {
        let get = |namespace, key| tx.get_item(ANY, at(10), &labels(namespace), key);
        let expected = Item {
            namespace: labels("a.b"),
            key: "k".into(),
            value: raw(json!({"z": 3})),
            created_at: at(1),
            updated_at: at(9),
        };
        assert_eq!(get("a.b", "k")?, Some(expected));
        assert_eq!(get("a.b", "")?.unwrap().value, raw(json!({"empty": "key"})));
        assert_eq!(get("a.b", "other")?, None);
        assert_eq!(get("ab", "k")?, None);
        Ok(())
    })
    .await;
    write(storage, |tx| {
        assert!(tx.delete_item(ANY, &labels("a.b"), "k")?);
        assert!(!tx.delete_item(ANY, &labels("a.b"), "k")?);
        assert_eq!(tx.get_item(ANY, at(10), &labels("a.b"), "k")?, None);
        assert!(tx.get_item(ANY, at(10), &labels("a"), "k")?.is_some());
        Ok(())
    })
    .await;
}

pub async fn search_by_prefix_and_page(storage: &dyn Storage) {
    write(storage, |tx| {
        for (time, path) in
            [(1, "a/1"), (2, "a.b/2"), (3, "ab/3"), (4, "b.a/4"), (5, "a.b.c/5"), (6, "a/6")]
        {
            put(tx, time, path, json!({}))?;
        }
        // The same time: by namespace and key.
        put(tx, 5, "a.a/x", json!({}))?;
        let search = |prefix, limit, offset| {
            let page = Page { limit, offset };
            tx.search_items(ANY, at(10), &labels(prefix), None, page).map(|items| paths(&items))
        };
        let below_a = ["a/6", "a.a/x", "a.b.c/5", "a.b/2", "a/1"];
        assert_eq!(search("a", 10, 0)?, below_a);
        assert_eq!(search("a", 2, 1)?, below_a[1..3]);
        assert_eq!(search("a.b", 10, 0)?, ["a.b.c/5", "a.b/2"]);
        assert_eq!(
            search("", 10, 0)?,
            ["a/6", "a.a/x", "a.b.c/5", "b.a/4", "ab/3", "a.b/2", "a/1"]
        );
        assert_eq!(search("", 10, 7)?, [""; 0]);
        assert_eq!(search("c", 10, 0)?, [""; 0]);
        Ok(())
    })
    .await;
}

pub async fn search_filters(storage: &dyn Storage) {
    write(storage, |tx| {
        put(tx, 1, "n/1", json!({"n": 1, "s": "b", "o": {"x": 1, "y": 2}}))?;
        put(tx, 2, "n/2", json!({"n": 2.5, "s": "c", "l": [1, 2]}))?;
        put(tx, 3, "n/3", json!({"n": "10", "z": null, "text": "é".repeat(4000)}))?;
        let search = |filter: Value| {
            let filter = map(filter);
            let found = tx.search_items(ANY, at(9), &labels("n"), Some(&filter), ALL)?;
            Ok::<_, Error>(found.into_iter().map(|item| item.key).collect::<String>())
        };
        assert_eq!(search(json!({}))?, "321");
        assert_eq!(search(json!({"n": 1.0}))?, "1");
        assert_eq!(search(json!({"n": {"$gt": 1}}))?, "2");
        assert_eq!(search(json!({"n": {"$gte": 1, "$lt": 2}}))?, "1");
        assert_eq!(search(json!({"s": {"$lte": "b"}}))?, "1");
        assert_eq!(search(json!({"s": {"$ne": "b"}}))?, "32");
        assert_eq!(search(json!({"s": {"$eq": "b"}}))?, "1");
        assert_eq!(search(json!({"z": null}))?, "321");
        assert_eq!(search(json!({"s": null}))?, "3");
        assert_eq!(search(json!({"o": {"x": 1}}))?, "1");
        assert_eq!(search(json!({"o": {"x": {"$gt": 1}}}))?, "");
        assert_eq!(search(json!({"l": [1, 2]}))?, "2");
        assert_eq!(search(json!({"l": [1]}))?, "");
        assert_eq!(search(json!({"n": 1, "s": "c"}))?, "");
        Ok(())
    })
    .await;
}

pub async fn unknown_operator_is_refused(storage: &dyn Storage) {
    let answer = storage
        .read(crate::Cost::Scan, |tx| {
            let filter = map(json!({"n": {"$in": [1]}}));
            tx.search_items(ANY, at(9), &[], Some(&filter), ALL)
        })
        .await;
    match answer {
        Err(Error::Invalid(why)) => assert_eq!(why, "Unsupported operator: $in"),
        other => panic!("{other:?}"),
    }
}

pub async fn expired_items_are_gone(storage: &dyn Storage) {
    write(storage, |tx| {
        let put = |time, key, expires| {
            tx.put_item(ANY, at(time), &labels("a"), key, &raw(json!({"t": time})), expires)
        };
        put(1, "k", Some(at(10)))?;
        put(1, "for ever", None)?;
        assert!(tx.get_item(ANY, at(9), &labels("a"), "k")?.is_some());
        assert_eq!(tx.get_item(ANY, at(10), &labels("a"), "k")?, None);
        assert_eq!(paths(&tx.search_items(ANY, at(10), &[], None, ALL)?), ["a/for ever"]);
        // A write without a time takes it away.
        put(5, "k", None)?;
        let item = tx.get_item(ANY, at(20), &labels("a"), "k")?.unwrap();
        assert_eq!((item.created_at, item.updated_at), (at(1), at(5)));
        // An item that has expired is not continued.
        put(6, "k", Some(at(10)))?;
        put(30, "k", None)?;
        let item = tx.get_item(ANY, at(30), &labels("a"), "k")?.unwrap();
        assert_eq!(item.created_at, at(30));
        // A namespace whose items have all expired is not listed.
        tx.put_item(ANY, at(30), &labels("b"), "k", &raw(json!({})), Some(at(31)))?;
        let listed = tx.list_namespaces(ANY, at(32), &NamespaceFilter::default(), ALL)?;
        assert_eq!(listed, [labels("a")]);
        Ok(())
    })
    .await;
}

pub async fn namespaces_are_listed(storage: &dyn Storage) {
    write(storage, |tx| {
        for path in ["b.x/1", "a.b.c/1", "a.b.c/2", "a.b.d/1", "a/1", "a.é.c/1", "ab.b/1"] {
            put(tx, 1, path, json!({}))?;
        }
        let list = |prefix: Option<Pattern>, suffix: Option<Pattern>, max_depth, page| {
            let filter = NamespaceFilter { prefix, suffix, max_depth };
            let found = tx.list_namespaces(ANY, at(2), &filter, page)?;
            Ok::<_, Error>(found.iter().map(|labels| labels.join(".")).collect::<Vec<_>>())
        };
        let every = ["a", "a.b.c", "a.b.d", "a.é.c", "ab.b", "b.x"];
        assert_eq!(list(None, None, None, ALL)?, every);
        assert_eq!(list(None, None, None, Page { limit: 2, offset: 3 })?, ["a.é.c", "ab.b"]);
        assert_eq!(list(None, None, None, Page { limit: 0, offset: 0 })?, [""; 0]);
        assert_eq!(list(pattern(""), pattern(""), None, ALL)?, every);
        assert_eq!(list(pattern("a"), None, None, ALL)?, ["a", "a.b.c", "a.b.d", "a.é.c"]);
        assert_eq!(list(pattern("a.*.c"), None, None, ALL)?, ["a.b.c", "a.é.c"]);
        assert_eq!(list(pattern("*.b"), None, None, ALL)?, ["a.b.c", "a.b.d", "ab.b"]);
        assert_eq!(list(None, pattern("c"), None, ALL)?, ["a.b.c", "a.é.c"]);
        assert_eq!(list(None, pattern("b.*"), None, ALL)?, ["a.b.c", "a.b.d", "b.x"]);
        assert_eq!(list(pattern("a"), pattern("d"), None, ALL)?, ["a.b.d"]);
        assert_eq!(list(None, None, Some(1), ALL)?, ["a", "ab", "b"]);
        assert_eq!(list(None, None, Some(2), ALL)?, ["a", "a.b", "a.é", "ab.b", "b.x"]);
        // Conditions are about whole namespaces, also when the answer is cut.
        assert_eq!(list(None, pattern("d"), Some(1), ALL)?, ["a"]);
        assert_eq!(list(None, None, Some(0), ALL)?, [""]);
        assert_eq!(list(pattern("none"), None, Some(0), ALL)?, [""; 0]);
        Ok(())
    })
    .await;
}

pub async fn metadata_scope_is_refused(storage: &dyn Storage) {
    write(storage, |tx| {
        put(tx, 1, "a/1", json!({}))?;
        let scope = &scope(json!({"owner": "me"}));
        let namespace = &labels("a");
        assert!(tx.get_item(scope, at(2), namespace, "1").is_err());
        assert!(tx.search_items(scope, at(2), &[], None, ALL).is_err());
        assert!(tx.list_namespaces(scope, at(2), &NamespaceFilter::default(), ALL).is_err());
        assert!(tx.put_item(scope, at(2), namespace, "1", &raw(json!({})), None).is_err());
        assert!(tx.delete_item(scope, namespace, "1").is_err());
        assert!(tx.get_item(ANY, at(2), namespace, "1")?.is_some());
        Ok(())
    })
    .await;
}
