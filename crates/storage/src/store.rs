//! Store items: long-term memory that graphs and clients share.
//!
//! Items have no metadata: a scope cannot narrow them by it. Isolation is by namespace, which authentication rewrites
//! before the call; the scope is passed so that a backend can refuse what it cannot judge.

use crate::{Map, Page, RawJson, Result, Scope, Timestamp};

/// Labels that scope an item, outermost first.
pub type Namespace = Vec<String>;

/// One item.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Namespace.
    pub namespace: Namespace,
    /// Key within the namespace.
    pub key: String,
    /// Value, an object.
    pub value: RawJson,
    /// First written.
    pub created_at: Timestamp,
    /// Last written.
    pub updated_at: Timestamp,
}

/// A label pattern of a namespace listing; `None` matches any label.
pub type Pattern = Vec<Option<String>>;

/// What a namespace listing returns.
#[derive(Clone, Debug, Default)]
pub struct NamespaceFilter {
    /// Leading labels.
    pub prefix: Option<Pattern>,
    /// Trailing labels.
    pub suffix: Option<Pattern>,
    /// Truncate to so many labels, then drop repetitions.
    pub max_depth: Option<u32>,
}

/// Reads of store items. Expired items are never returned.
pub trait Read {
    /// One item.
    fn get_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
    ) -> Result<Option<Item>>;

    /// Items below `prefix` (whole labels), latest `updated_at` first, then by namespace and key. `filter` is the filter
    /// language of the store: top-level keys, equality, nested subsets, `$eq $ne $gt $gte $lt $lte`; another operator is
    /// `Invalid`.
    fn search_items(
        &self,
        scope: &Scope,
        now: Timestamp,
        prefix: &[String],
        filter: Option<&Map>,
        page: Page,
    ) -> Result<Vec<Item>>;

    /// Namespaces that hold items, sorted by label list.
    fn list_namespaces(
        &self,
        scope: &Scope,
        now: Timestamp,
        filter: &NamespaceFilter,
        page: Page,
    ) -> Result<Vec<Namespace>>;
}

/// Changes of store items.
pub trait Write {
    /// Writes an item; keeps `created_at` of an older one. `expires_at`: when it stops being returned.
    fn put_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
        value: &RawJson,
        expires_at: Option<Timestamp>,
    ) -> Result<()>;

    /// Removes an item; whether it was there.
    fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str) -> Result<bool>;
}
