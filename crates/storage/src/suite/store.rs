//! Store items.

use serde_json::{Value, json};

use super::{ALL, at, map, raw, read, scope, write};
use crate::{
    Error, Page, Result, Scope, Storage, WriteTx,
    store::{Found, Item, Namespace, NamespaceFilter, NewItem, Pattern, Search, Ttl, Vector},
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
    put_until(tx, time, &labels(namespace), key, value, None)
}

/// Puts an item at `at(time)` that lives so many units of [`at`].
fn put_until(
    tx: &dyn WriteTx,
    time: i64,
    namespace: &[String],
    key: &str,
    value: Value,
    lives: Option<i64>,
) -> Result<()> {
    let ttl = lives.map(|lives| Ttl { micros: (at(lives) - at(0)).num_microseconds().unwrap() });
    tx.put_item(ANY, at(time), namespace, key, NewItem { value: &raw(value), ttl, vectors: &[] })
}

fn paths(found: &[Found]) -> Vec<String> {
    let items = found.iter().map(|found| &found.item);
    items.map(|item| format!("{}/{}", item.namespace.join("."), item.key)).collect()
}

/// Everything below a prefix.
fn below(prefix: &[String]) -> Search<'_> {
    Search { prefix, filter: None, query: None, page: ALL }
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
            ttl: None,
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
            let prefix = &labels(prefix);
            let search = Search { page, ..below(prefix) };
            tx.search_items(ANY, at(10), search).map(|items| paths(&items))
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
            let prefix = &labels("n");
            let search = Search { filter: Some(&filter), ..below(prefix) };
            let found = tx.search_items(ANY, at(9), search)?;
            Ok::<_, Error>(found.into_iter().map(|found| found.item.key).collect::<String>())
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
            tx.search_items(ANY, at(9), Search { filter: Some(&filter), ..below(&[]) })
        })
        .await;
    match answer {
        Err(Error::Invalid(why)) => assert_eq!(why, "Unsupported operator: $in"),
        other => panic!("{other:?}"),
    }
}

pub async fn unreadable_values_fit_no_filter(storage: &dyn Storage) {
    write(storage, |tx| {
        let odd = crate::RawJson::trusted(r#"{"n":1,"odd":"\ud800"}"#);
        let item = NewItem { value: &odd, ttl: None, vectors: &[] };
        tx.put_item(ANY, at(1), &labels("a"), "odd", item)?;
        put(tx, 1, "a/plain", json!({"n": 1}))?;
        let filter = map(json!({"n": 1}));
        let search = Search { filter: Some(&filter), ..below(&[]) };
        assert_eq!(paths(&tx.search_items(ANY, at(2), search)?), ["a/plain"]);
        let found = tx.get_item(ANY, at(2), &labels("a"), "odd")?;
        assert_eq!(found.unwrap().value, odd);
        Ok(())
    })
    .await;
}

pub async fn expired_items_are_gone(storage: &dyn Storage) {
    write(storage, |tx| {
        let a = labels("a");
        let put = |time: i64, key, lives| put_until(tx, time, &a, key, json!({"t": time}), lives);
        put(1, "k", Some(9))?;
        put(1, "for ever", None)?;
        assert!(tx.get_item(ANY, at(9), &a, "k")?.is_some());
        assert_eq!(tx.get_item(ANY, at(10), &a, "k")?, None);
        assert_eq!(paths(&tx.search_items(ANY, at(10), below(&[]))?), ["a/for ever"]);
        // A write without a lifetime takes it away.
        put(5, "k", None)?;
        let item = tx.get_item(ANY, at(20), &a, "k")?.unwrap();
        assert_eq!((item.created_at, item.updated_at, item.ttl), (at(1), at(5), None));
        // An item that has expired is not continued.
        put(6, "k", Some(4))?;
        put(30, "k", None)?;
        let item = tx.get_item(ANY, at(30), &a, "k")?.unwrap();
        assert_eq!(item.created_at, at(30));
        // A namespace whose items have all expired is not listed.
        put_until(tx, 30, &labels("b"), "k", json!({}), Some(1))?;
        let listed = tx.list_namespaces(ANY, at(32), &NamespaceFilter::default(), ALL)?;
        assert_eq!(listed, std::slice::from_ref(&a));
        Ok(())
    })
    .await;
}

pub async fn lifetimes_start_again(storage: &dyn Storage) {
    write(storage, |tx| {
        let a = labels("a");
        put_until(tx, 1, &a, "k", json!({}), Some(9))?;
        put_until(tx, 1, &a, "for ever", json!({}), None)?;
        for key in ["k", "for ever", "none"] {
            tx.refresh_item(ANY, at(8), &a, key)?;
        }
        assert_eq!(tx.next_item_expiry()?, Some(at(17)));
        assert!(tx.get_item(ANY, at(16), &a, "k")?.is_some());
        assert_eq!(tx.get_item(ANY, at(17), &a, "k")?, None);
        assert_eq!(tx.get_item(ANY, at(99), &a, "for ever")?.unwrap().updated_at, at(1));
        // What is over does not begin again.
        tx.refresh_item(ANY, at(17), &a, "k")?;
        assert_eq!(tx.get_item(ANY, at(17), &a, "k")?, None);
        Ok(())
    })
    .await;
}

pub async fn sweeps_take_what_is_over(storage: &dyn Storage) {
    write(storage, |tx| {
        assert_eq!(tx.next_item_expiry()?, None);
        for (key, lives) in [("1", Some(1)), ("2", Some(2)), ("3", Some(3)), ("4", None)] {
            put_until(tx, 0, &labels("a"), key, json!({}), lives)?;
        }
        assert_eq!(tx.sweep_items(at(0), 9)?, 0);
        assert_eq!(tx.sweep_items(at(2), 1)?, 1);
        assert_eq!(tx.sweep_items(at(2), 9)?, 1);
        assert_eq!(tx.next_item_expiry()?, Some(at(3)));
        assert_eq!(tx.sweep_items(at(9), 9)?, 1);
        assert_eq!(tx.next_item_expiry()?, None);
        assert_eq!(paths(&tx.search_items(ANY, at(0), below(&[]))?), ["a/4"]);
        Ok(())
    })
    .await;
}

pub async fn queries_rank_by_the_best_vector(storage: &dyn Storage) {
    write(storage, |tx| {
        let put = |time, path: &str, vectors: &[[f32; 2]]| {
            let (namespace, key) = path.split_once('/').unwrap();
            let vectors: Vec<_> = (0..)
                .zip(vectors)
                .map(|(at, numbers)| Vector { path: format!("p.{at}"), numbers: numbers.to_vec() })
                .collect();
            let value = &raw(json!({"time": time}));
            let item = NewItem { value, ttl: None, vectors: &vectors };
            tx.put_item(ANY, at(time), &labels(namespace), key, item)
        };
        put(1, "a/east", &[[1.0, 0.0]])?;
        put(2, "a/both", &[[0.0, 1.0], [0.6, 0.8]])?;
        put(3, "a/none", &[])?;
        put(4, "a.b/west", &[[-1.0, 0.0]])?;
        put(5, "b/east", &[[1.0, 0.0]])?;
        put(6, "a/nowhere", &[[0.0, 0.0]])?;
        let search = |prefix, filter: Option<Value>, limit, offset| {
            let (prefix, filter) = (&labels(prefix), filter.map(map));
            let page = Page { limit, offset };
            let search = Search { prefix, filter: filter.as_ref(), query: Some(&[1.0, 0.0]), page };
            let found = tx.search_items(ANY, at(9), search)?;
            Ok::<_, Error>(
                found
                    .into_iter()
                    .map(|found| {
                        let score = found.score.map(|score| (score * 10.0).round());
                        (found.item.key, score)
                    })
                    .collect::<Vec<_>>(),
            )
        };
        let named = |list: &[(&str, Option<f64>)]| -> Vec<(String, Option<f64>)> {
            list.iter().map(|(key, score)| ((*key).to_owned(), *score)).collect()
        };
        let all = named(&[
            ("east", Some(10.0)),
            ("both", Some(6.0)),
            ("nowhere", Some(0.0)),
            ("west", Some(-10.0)),
            ("none", None),
        ]);
        assert_eq!(search("a", None, 9, 0)?, all);
        assert_eq!(search("a", None, 2, 1)?, all[1..3]);
        let early = Some(json!({"time": {"$gt": 1}}));
        assert_eq!(search("a", early, 9, 0)?, all[1..]);
        assert_eq!(search("", None, 2, 0)?, named(&[("east", Some(10.0)), ("east", Some(10.0))]));
        // Other vectors replace those before; of an item that is deleted none stay.
        put(7, "a/east", &[[0.0, 1.0]])?;
        assert!(tx.delete_item(ANY, &labels("a"), "both")?);
        put(8, "a/both", &[])?;
        let now = named(&[
            ("east", Some(0.0)),
            ("nowhere", Some(0.0)),
            ("west", Some(-10.0)),
            ("both", None),
            ("none", None),
        ]);
        assert_eq!(search("a", None, 9, 0)?, now);
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
        assert!(tx.list_namespaces(scope, at(2), &NamespaceFilter::default(), ALL).is_err());
        let item = NewItem { value: &raw(json!({})), ttl: None, vectors: &[] };
        assert!(tx.put_item(scope, at(2), namespace, "1", item).is_err());
        assert!(tx.refresh_item(scope, at(2), namespace, "1").is_err());
        assert!(tx.delete_item(scope, namespace, "1").is_err());
        assert!(tx.get_item(ANY, at(2), namespace, "1")?.is_some());
        // A search judges values by it.
        put(tx, 1, "a/2", json!({"owner": "me"}))?;
        let found = tx.search_items(scope, at(2), below(&[]))?;
        let keys: Vec<_> = found.iter().map(|found| found.item.key.as_str()).collect();
        assert_eq!(keys, ["2"]);
        Ok(())
    })
    .await;
}
