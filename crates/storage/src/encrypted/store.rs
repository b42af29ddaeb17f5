//! Items of the store behind the cipher: their values.

use serde_json::Value;

use super::{
    fields::{CONTEXT, ITEM, Model},
    replaced::Stored,
    threads::ROUND,
    view::{Sealable, Taken, View, put_json},
};
use crate::{
    Map, Page, RawJson, ReadTx, Result, Scope, Timestamp, WriteTx,
    store::{Found, Item, Namespace, NamespaceFilter, NewItem, Read, Search, Write},
};

const ALL: &Scope = &Scope::server();

impl Sealable for Item {
    const MODEL: Model = ITEM;

    fn take(&mut self, stored: bool) -> Result<Value> {
        Ok(Taken::default().json("value", Some(&self.value), stored)?.value())
    }

    fn put(&mut self, mut fields: Value) {
        put_json(&mut fields, "value", &mut self.value);
    }

    fn stored(&self, fields: Value) -> Option<Stored> {
        let mut row = self.clone();
        row.put(fields);
        Some(Stored::Item(Box::new(row)))
    }
}

/// A value on its way into the backend.
struct NewValue(RawJson);

impl Sealable for NewValue {
    const MODEL: Model = ITEM;

    fn take(&mut self, stored: bool) -> Result<Value> {
        Ok(Taken::default().json("value", Some(&self.0), stored)?.value())
    }

    fn put(&mut self, mut fields: Value) {
        put_json(&mut fields, "value", &mut self.0);
    }

    fn stored(&self, _: Value) -> Option<Stored> {
        None
    }
}

impl<T: ReadTx + ?Sized> View<'_, T> {
    /// Equality is compared with what is stored; operators are the backend's.
    fn item_needle(&self, filter: Option<&Map>) -> Result<Option<Map>> {
        let Some(filter) = filter else { return Ok(None) };
        let has_operator = |value: &Value| {
            value.as_object().is_some_and(|map| map.keys().any(|key| key.starts_with('$')))
        };
        let (operators, equal): (Map, Map) =
            filter.clone().into_iter().partition(|(_, value)| has_operator(value));
        let mut needle = self.needle(&ITEM, "value", Some(&equal))?.unwrap_or_default();
        needle.extend(operators);
        Ok(Some(needle))
    }

    fn opened_items(&self, found: Vec<Found>) -> Result<Vec<Found>> {
        let (items, scores): (Vec<_>, Vec<_>) =
            found.into_iter().map(|found| (found.item, found.score)).unzip();
        let items = self.opened(items)?.into_iter();
        Ok(items.zip(scores).map(|(item, score)| Found { item, score }).collect())
    }
}

impl<T: ReadTx + ?Sized> Read for View<'_, T> {
    fn get_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
    ) -> Result<Option<Item>> {
        self.opened_one(self.tx.get_item(scope, now, namespace, key)?)
    }

    fn search_items(
        &self,
        scope: &Scope,
        now: Timestamp,
        search: Search<'_>,
    ) -> Result<Vec<Found>> {
        let filter = self.item_needle(search.filter)?;
        let search = Search { filter: filter.as_ref(), ..search };
        if scope.is_everything() {
            return self.opened_items(self.tx.search_items(ALL, now, search)?);
        }
        let (mut skipped, mut allowed) = (0, Vec::new());
        let mut page = Page { limit: ROUND, offset: 0 };
        loop {
            let round = self.tx.search_items(ALL, now, Search { page, ..search })?;
            let is_last = round.len() < ROUND as usize;
            for found in self.opened_items(round)? {
                // A value that cannot be read fits nothing.
                let value = found.item.value.parse::<Map>();
                if !value.is_ok_and(|value| scope.allows(&value)) {
                    continue;
                }
                if skipped < search.page.offset {
                    skipped += 1;
                } else if allowed.len() < search.page.limit as usize {
                    allowed.push(found);
                }
            }
            if is_last || allowed.len() >= search.page.limit as usize {
                return Ok(allowed);
            }
            page.offset += ROUND;
        }
    }

    fn list_namespaces(
        &self,
        scope: &Scope,
        now: Timestamp,
        filter: &NamespaceFilter,
        page: Page,
    ) -> Result<Vec<Namespace>> {
        self.tx.list_namespaces(scope, now, filter, page)
    }

    fn next_item_expiry(&self) -> Result<Option<Timestamp>> {
        self.tx.next_item_expiry()
    }
}

impl<T: WriteTx + ?Sized> Write for View<'_, T> {
    fn put_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
        item: NewItem<'_>,
    ) -> Result<()> {
        let old = self.tx.get_item(scope, now, namespace, key)?;
        let context = |old: Item| {
            let value = old.value.parse::<Map>().ok()?;
            value.get(CONTEXT).and_then(Value::as_object).cloned()
        };
        let NewValue(value) = self.sealed(NewValue(item.value.clone()), old.and_then(context))?;
        self.tx.put_item(scope, now, namespace, key, NewItem { value: &value, ..item })
    }

    fn rewrite_item(
        &self,
        namespace: &[String],
        key: &str,
        before: &RawJson,
        after: &RawJson,
    ) -> Result<()> {
        self.tx.rewrite_item(namespace, key, before, after)
    }

    fn refresh_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
    ) -> Result<()> {
        self.tx.refresh_item(scope, now, namespace, key)
    }

    fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str) -> Result<bool> {
        self.tx.delete_item(scope, namespace, key)
    }

    fn sweep_items(&self, now: Timestamp, limit: u32) -> Result<u32> {
        self.tx.sweep_items(now, limit)
    }
}
