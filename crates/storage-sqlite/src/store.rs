//! Items of the store.

use std::collections::BTreeSet;

use agent_server_storage::{
    Error, Map, Page, RawJson, Result, Scope, Timestamp,
    store::{Item, Namespace, NamespaceFilter, Read, Write},
};
use rusqlite::{Row, params};

use crate::{
    codec::{Fields, map_text, micros},
    error::SqlResult,
    item_filter,
    namespace::{decode, encode, ends_with, range_end, starts_with},
    tx::{Tx, Where},
    zip::pack_json,
};

/// Most expired items that one write removes on its way.
const SWEEP: u32 = 16;

/// Items have no metadata, so a scope of metadata cannot be judged here.
fn refuse(scope: &Scope) -> Result<()> {
    if scope.is_everything() {
        return Ok(());
    }
    Err(Error::Invalid("Store items cannot be filtered by metadata.".into()))
}

fn item(row: &Row<'_>) -> Result<Item> {
    let fields = Fields::new("item", row);
    Ok(Item {
        key: fields.text(0)?,
        namespace: namespace(&fields, 1)?,
        created_at: fields.time(2)?,
        updated_at: fields.time(3)?,
        value: fields.json(4)?,
    })
}

fn namespace(fields: &Fields<'_>, column: usize) -> Result<Namespace> {
    let key: Vec<u8> = fields.get(column)?;
    decode(&key).ok_or_else(|| fields.damaged(column, "no list of labels"))
}

impl Read for Tx<'_> {
    fn get_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
    ) -> Result<Option<Item>> {
        refuse(scope)?;
        self.first(
            "SELECT key, namespace, created_at, updated_at, value FROM item \
             WHERE namespace = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
            params![encode(namespace), key, micros(now)],
            item,
        )
    }

    fn search_items(
        &self,
        scope: &Scope,
        now: Timestamp,
        prefix: &[String],
        filter: Option<&Map>,
        page: Page,
    ) -> Result<Vec<Item>> {
        refuse(scope)?;
        let mut condition = Where::default();
        condition.and("(expires_at IS NULL OR expires_at > ?)", micros(now));
        if !prefix.is_empty() {
            let start = encode(prefix);
            condition.and("namespace < ?", range_end(&start));
            condition.and("namespace >= ?", start);
        }
        if let Some(filter) = filter.filter(|filter| !filter.is_empty()) {
            item_filter::check(filter)?;
            condition.and("item_matches(value, ?)", map_text(filter));
        }
        condition.param(page.limit);
        condition.param(page.offset);
        let sql = format!(
            "SELECT key, namespace, created_at, updated_at, value FROM item{} \
             ORDER BY updated_at DESC, namespace, key LIMIT ? OFFSET ?",
            condition.sql(),
        );
        self.all(&sql, condition.params(), item)
    }

    fn list_namespaces(
        &self,
        scope: &Scope,
        now: Timestamp,
        filter: &NamespaceFilter,
        page: Page,
    ) -> Result<Vec<Namespace>> {
        refuse(scope)?;
        // The labels before the first wildcard bound the range; the pattern itself is matched here.
        let fixed: Vec<String> = filter.prefix.iter().flatten().map_while(Clone::clone).collect();
        let start = encode(&fixed);
        let stored = self.all(
            "SELECT DISTINCT namespace FROM item WHERE namespace >= ?1 AND namespace < ?2 \
             AND (expires_at IS NULL OR expires_at > ?3)",
            params![start, range_end(&start), micros(now)],
            |row| namespace(&Fields::new("item", row), 0),
        )?;
        let found: BTreeSet<Namespace> = stored
            .into_iter()
            .filter(|labels| filter.prefix.as_ref().is_none_or(|p| starts_with(labels, p)))
            .filter(|labels| filter.suffix.as_ref().is_none_or(|s| ends_with(labels, s)))
            .map(|mut labels| {
                labels.truncate(filter.max_depth.map_or(usize::MAX, |depth| depth as usize));
                labels
            })
            .collect();
        Ok(found.into_iter().skip(page.offset as usize).take(page.limit as usize).collect())
    }
}

impl Write for Tx<'_> {
    fn put_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
        value: &RawJson,
        expires_at: Option<Timestamp>,
    ) -> Result<()> {
        refuse(scope)?;
        // Expired items are invisible; writers take a few of them along, so that they do not pile up. The item itself
        // may be among them and then counts as new.
        self.delete(
            "DELETE FROM item WHERE namespace = ?1 AND key = ?2 AND expires_at <= ?3",
            params![encode(namespace), key, micros(now)],
        )?;
        self.delete(
            "DELETE FROM item WHERE rowid IN \
             (SELECT rowid FROM item INDEXED BY item_by_expiry WHERE expires_at <= ?1 LIMIT ?2)",
            params![micros(now), SWEEP],
        )?;
        self.change(
            "INSERT INTO item (namespace, key, created_at, updated_at, expires_at, value) \
             VALUES (?1, ?2, ?3, ?3, ?4, ?5) ON CONFLICT (namespace, key) DO UPDATE SET \
             updated_at = excluded.updated_at, expires_at = excluded.expires_at, value = excluded.value",
            params![
                encode(namespace),
                key,
                micros(now),
                expires_at.map(micros),
                pack_json(value),
            ],
        )
        .sql()?;
        Ok(())
    }

    fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str) -> Result<bool> {
        refuse(scope)?;
        let sql = "DELETE FROM item WHERE namespace = ?1 AND key = ?2";
        Ok(self.delete(sql, params![encode(namespace), key])? > 0)
    }
}
