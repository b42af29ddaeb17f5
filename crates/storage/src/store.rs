//! Store items: long-term memory that graphs and clients share.
//!
//! Items have no metadata: a scope cannot narrow them by it. Isolation is by namespace, which authentication rewrites
//! before the call; the scope is passed so that a backend can refuse what it cannot judge. A search judges values by it.

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
    /// Lifetime; `None` is for ever.
    pub ttl: Option<Ttl>,
}

/// An item, and how well it fits the query of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The item.
    pub item: Item,
    /// Cosine of its best vector and the query's, -1 to 1; `None` without a query, and for an item without vectors.
    pub score: Option<f64>,
}

/// How long an item lives from its last write, or from its last read if that refreshes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// Microseconds, above 0.
    pub micros: i64,
}

/// One vector of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// Path in the value that the text was found at; where a path has several, with the number of the text behind a dot.
    pub path: String,
    /// Of length 1, or all zero.
    pub numbers: Vec<f32>,
}

/// What an item is written with.
#[derive(Clone, Copy, Debug)]
pub struct NewItem<'a> {
    /// Value, an object.
    pub value: &'a RawJson,
    /// Its lifetime; `None` is for ever.
    pub ttl: Option<Ttl>,
    /// Its vectors; they replace all older ones.
    pub vectors: &'a [Vector],
}

/// What a search returns.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Leading labels of the namespace.
    pub prefix: &'a [String],
    /// Filter language of the store: top-level keys, equality, nested subsets, `$eq $ne $gt $gte $lt $lte`; another operator is
    /// `Invalid`.
    pub filter: Option<&'a Map>,
    /// Vector of the query, of length 1 or all zero.
    pub query: Option<&'a [f32]>,
    /// Page.
    pub page: Page,
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

    /// Items below a prefix (whole labels): best score first, items without one last; then latest `updated_at` first,
    /// then by namespace and key.
    fn search_items(&self, scope: &Scope, now: Timestamp, search: Search<'_>)
    -> Result<Vec<Found>>;

    /// Namespaces that hold items, sorted by label list.
    fn list_namespaces(
        &self,
        scope: &Scope,
        now: Timestamp,
        filter: &NamespaceFilter,
        page: Page,
    ) -> Result<Vec<Namespace>>;

    /// When the next item expires; what has expired and was not swept yet counts.
    fn next_item_expiry(&self) -> Result<Option<Timestamp>>;
}

/// Changes of store items.
pub trait Write {
    /// Writes an item with its vectors; keeps `created_at` of an older one that has not expired.
    fn put_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
        item: NewItem<'_>,
    ) -> Result<()>;

    /// Replaces a value by the same in another form, if it is still `before`, and changes nothing else.
    fn rewrite_item(
        &self,
        namespace: &[String],
        key: &str,
        before: &RawJson,
        after: &RawJson,
    ) -> Result<()>;

    /// Starts the lifetime of an item again, if it has one and it is not over.
    fn refresh_item(
        &self,
        scope: &Scope,
        now: Timestamp,
        namespace: &[String],
        key: &str,
    ) -> Result<()>;

    /// Removes an item; whether it was there.
    fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str) -> Result<bool>;

    /// Removes expired items, `limit` at most; how many.
    fn sweep_items(&self, now: Timestamp, limit: u32) -> Result<u32>;
}
