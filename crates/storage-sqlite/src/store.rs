//! Items of the store.

use agent_server_storage::{
    Error, Page, RawJson, Result, Scope, Timestamp,
    store::{Found, Item, Namespace, NamespaceFilter, NewItem, Read, Search, Ttl, Write},
};
use rusqlite::params;

use crate::{
    codec::{Fields, map_text, micros},
    error::SqlResult,
    item_filter,
    namespace::{decode, encode, ends_with, range_end, starts_with},
    tx::{Row, Tx, Where},
    vector,
    zip::Json,
};

/// Columns of an item as [`item`] reads them.
pub(crate) const COLUMNS: &str = "key, namespace, created_at, updated_at, value, ttl";
/// Items below a prefix from which on the latest of them are found by walking all items by time: sorting so many takes longer
/// than meeting some among all.
const MANY: i64 = 20_000;
/// What is not over; a parameter is the time.
const ALIVE: &str = "(expires_at IS NULL OR expires_at > ?)";

/// Items have no metadata: only a search judges a scope, by the value.
fn refuse(scope: &Scope) -> Result<()> {
    if scope.is_everything() {
        return Ok(());
    }
    Err(Error::Invalid("Store items cannot be filtered by metadata.".into()))
}

pub(crate) fn item(row: &Row<'_>) -> Result<Item> {
    let fields = Fields::new("item", row);
    Ok(Item {
        key: fields.text(0)?,
        namespace: namespace(&fields, 1)?,
        created_at: fields.time(2)?,
        updated_at: fields.time(3)?,
        value: fields.json(4)?,
        ttl: fields.get::<Option<i64>>(5)?.map(|micros| Ttl { micros }),
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
            "SELECT key, namespace, created_at, updated_at, value, ttl FROM item \
             WHERE namespace = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
            params![encode(namespace), key, micros(now)],
            item,
        )
    }

    fn search_items(
        &self,
        scope: &Scope,
        now: Timestamp,
        search: Search<'_>,
    ) -> Result<Vec<Found>> {
        let mut condition = Where::default();
        let score = match search.query {
            Some(query) => {
                // Stands before the condition, as its parameter does.
                condition.param(vector::pack(query));
                "(SELECT max(similarity(vector, ?)) FROM item_vector AS v \
                 WHERE v.namespace = item.namespace AND v.key = item.key)"
            }
            None => "NULL",
        };
        condition.and(ALIVE, micros(now));
        if !search.prefix.is_empty() {
            let start = encode(search.prefix);
            condition.and("namespace < ?", range_end(&start));
            condition.and("namespace >= ?", start);
        }
        if let Some(filter) = search.filter.filter(|filter| !filter.is_empty()) {
            item_filter::check(filter)?;
            condition.and("item_matches(value, ?)", map_text(filter));
        }
        if let Some(allowed) = scope.condition() {
            let allowed = serde_json::to_string(allowed).expect("conditions have text keys");
            condition.and("item_allowed(value, ?)", allowed);
        }
        condition.param(search.page.limit);
        condition.param(search.page.offset);
        // The order of an index, or of a sort (the plus keeps the index out).
        let (table, order) = match search.query {
            Some(_) => ("item", "score DESC, updated_at DESC"),
            None if self.has_many(search.prefix)? => {
                ("item INDEXED BY item_by_updated", "updated_at DESC")
            }
            None => ("item", "+updated_at DESC"),
        };
        let sql = format!(
            "SELECT {COLUMNS}, {score} AS score FROM {table}{} \
             ORDER BY {order}, namespace, key LIMIT ? OFFSET ?",
            condition.sql(),
        );
        self.all(&sql, condition.params(), |row| {
            Ok(Found { item: item(row)?, score: Fields::new("item", row).get(6)? })
        })
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
        let mut start = encode(&fixed);
        let end = range_end(&start);
        let depth = filter.max_depth.map_or(usize::MAX, |depth| depth as usize);
        let judged = filter.prefix.as_ref().map_or(0, Vec::len);
        let (mut found, mut skipped) = (Vec::<Namespace>::new(), 0);
        let mut last = None;
        // From one namespace to the next, however many items each has.
        while found.len() < page.limit as usize {
            let next = self.first(
                "SELECT namespace FROM item WHERE namespace >= ?1 AND namespace < ?2 \
                 AND (expires_at IS NULL OR expires_at > ?3) ORDER BY namespace, key LIMIT 1",
                params![start, end, micros(now)],
                |row| namespace(&Fields::new("item", row), 0),
            )?;
            let Some(mut labels) = next else { break };
            // The zero byte of no label follows a namespace directly.
            start = encode(&labels);
            start.push(0);
            let fits = filter.prefix.as_ref().is_none_or(|p| starts_with(&labels, p))
                && filter.suffix.as_ref().is_none_or(|s| ends_with(&labels, s));
            if !fits {
                continue;
            }
            labels.truncate(depth);
            if filter.suffix.is_none() && judged <= depth && labels.len() == depth {
                // All others below it would be cut to the same.
                start = range_end(&encode(&labels));
            }
            if last.as_ref() == Some(&labels) {
                continue;
            }
            last = Some(labels.clone());
            match skipped < page.offset {
                true => skipped += 1,
                false => found.push(labels),
            }
        }
        Ok(found)
    }

    fn next_item_expiry(&self) -> Result<Option<Timestamp>> {
        let sql = "SELECT 'next', expires_at FROM item INDEXED BY item_by_expiry \
                   WHERE expires_at IS NOT NULL ORDER BY expires_at LIMIT 1";
        self.first(sql, [], |row| Fields::new("item", row).time(1))
    }
}

impl Tx<'_> {
    /// Whether there are so many items below a prefix that they should not be sorted.
    fn has_many(&self, prefix: &[String]) -> Result<bool> {
        if prefix.is_empty() {
            return Ok(true);
        }
        let start = encode(prefix);
        let count = self.count(
            "SELECT count(*) FROM (SELECT 1 FROM item WHERE namespace >= ?1 AND namespace < ?2 LIMIT ?3)",
            params![start, range_end(&start), MANY],
        )?;
        Ok(count >= MANY.unsigned_abs())
    }
}

impl Write for Tx<'_> {
    fn put_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
        item: NewItem<'_>,
    ) -> Result<()> {
        refuse(scope)?;
        let name = encode(namespace);
        // One that is over is not continued.
        self.delete(
            "DELETE FROM item WHERE namespace = ?1 AND key = ?2 AND expires_at <= ?3",
            params![name, key, micros(now)],
        )?;
        let expires_at = item.ttl.map(|ttl| micros(now).saturating_add(ttl.micros));
        // Replaced, not deleted: what was there before leaves the files in their own time, as the old value does.
        self.change(
            "DELETE FROM item_vector WHERE namespace = ?1 AND key = ?2",
            params![name, key],
        )
        .sql()?;
        self.change(
            "INSERT INTO item (namespace, key, created_at, updated_at, expires_at, ttl, value) \
             VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6) ON CONFLICT (namespace, key) DO UPDATE SET \
             updated_at = excluded.updated_at, expires_at = excluded.expires_at, \
             ttl = excluded.ttl, value = excluded.value",
            params![
                name,
                key,
                micros(now),
                expires_at,
                item.ttl.map(|ttl| ttl.micros),
                self.packed_json("item", item.value),
            ],
        )
        .sql()?;
        for each in item.vectors {
            self.change(
                "INSERT INTO item_vector (namespace, key, path, vector) VALUES (?1, ?2, ?3, ?4)",
                params![
                    name,
                    key,
                    each.path,
                    self.vault().seal("item_vector", Json::Blob(vector::pack(&each.numbers)))
                ],
            )
            .sql()?;
        }
        Ok(())
    }

    fn rewrite_item(
        &self,
        namespace: &[String],
        key: &str,
        before: &RawJson,
        after: &RawJson,
    ) -> Result<()> {
        let name = encode(namespace);
        let sql = "SELECT key, value FROM item WHERE namespace = ?1 AND key = ?2";
        let read = |row: &Row<'_>| Fields::new("item", row).json(1);
        if self.first(sql, params![name, key], read)?.is_none_or(|now| now != *before) {
            return Ok(());
        }
        let sql = "UPDATE item SET value = ?3 WHERE namespace = ?1 AND key = ?2";
        self.change(sql, params![name, key, self.packed_json("item", after)]).sql()?;
        // What was there before leaves the files.
        self.mark_deleted();
        Ok(())
    }

    fn refresh_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
    ) -> Result<()> {
        refuse(scope)?;
        self.change(
            "UPDATE item SET expires_at = ?3 + ttl WHERE namespace = ?1 AND key = ?2 \
             AND ttl IS NOT NULL AND expires_at > ?3",
            params![encode(namespace), key, micros(now)],
        )
        .sql()?;
        Ok(())
    }

    fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str) -> Result<bool> {
        refuse(scope)?;
        let sql = "DELETE FROM item WHERE namespace = ?1 AND key = ?2";
        Ok(self.delete(sql, params![encode(namespace), key])? > 0)
    }

    fn sweep_items(&self, now: Timestamp, limit: u32) -> Result<u32> {
        let count = self.delete(
            "DELETE FROM item WHERE (namespace, key) IN (SELECT namespace, key FROM item \
             INDEXED BY item_by_expiry WHERE expires_at <= ?1 LIMIT ?2)",
            params![micros(now), limit],
        )?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}
