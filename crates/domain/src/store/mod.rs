//! Items of the store, for clients and graphs alike.
//!
//! Everything is a batch: its reads see the state before its puts; of several puts to one key the last wins. Vectors are made
//! before the transaction in which they are written, so that nothing is written where that fails.
//!
//! Source: reference/assistants-crons-store-system.md, part 3; reference/langgraph-python-worker.md, section 10.

mod embed;
mod expiry;
mod namespace;

use agent_server_storage::{
    Cost, Scope, Timestamp, WriteTx,
    store::{Item, Namespace, NewItem, Read, Search, Ttl},
};

use crate::{
    Domain, Error, Result,
    ports::{StoreAnswer, StoreOp, StoreTtl},
};

pub use embed::Index;
use embed::Vectors;
pub use expiry::{lifetime, minutes};
pub use namespace::check_labels;

/// Settings of the store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lifetime of items that are written without one; `None` is for ever.
    pub default_ttl: Option<Ttl>,
    /// Whether reading an item starts its lifetime again, where the reader does not say.
    pub refresh_on_read: bool,
    /// What is embedded; `None`: nothing, and queries of searches have no effect.
    pub index: Option<Index>,
}

impl Default for Options {
    fn default() -> Self {
        Self { default_ttl: None, refresh_on_read: true, index: None }
    }
}

impl Options {
    fn ttl(&self, asked: StoreTtl) -> Result<Option<Ttl>> {
        match asked {
            StoreTtl::Configured => Ok(self.default_ttl),
            StoreTtl::Never => Ok(None),
            StoreTtl::Minutes(minutes) => lifetime(minutes).map(Some),
        }
    }
}

/// A batch that has been checked, with what it takes to carry it out.
struct Batch {
    scope: Scope,
    now: Timestamp,
    ops: Vec<StoreOp>,
    /// For each operation the lifetime that it gives.
    ttls: Vec<Option<Ttl>>,
    vectors: Vectors,
    refresh_on_read: bool,
}

/// Names of items whose lifetime starts again.
type Refreshed = Vec<(Namespace, String)>;

impl Domain {
    /// Executes one operation; see [`Domain::store_batch`].
    ///
    /// # Errors
    /// As there.
    pub async fn store_op(&self, scope: &Scope, op: StoreOp) -> Result<StoreAnswer> {
        let mut answers = self.store_batch(scope, vec![op]).await?;
        answers.pop().ok_or_else(|| Error::Internal("an operation has no answer".into()))
    }

    /// Executes one batch, all that it changes in one transaction.
    ///
    /// # Errors
    /// `Refused` or `Invalid` for an operation that is not valid, `Unavailable` where something could not be embedded;
    /// nothing of the batch is done then.
    pub async fn store_batch(&self, scope: &Scope, ops: Vec<StoreOp>) -> Result<Vec<StoreAnswer>> {
        let ttls = self.checked(&ops)?;
        let vectors = self.embedded(&ops).await?;
        let batch = Batch {
            scope: scope.clone(),
            now: self.now(),
            ops,
            ttls,
            vectors,
            refresh_on_read: self.0.options.store.refresh_on_read,
        };
        if batch.ops.iter().any(|op| matches!(op, StoreOp::Put { .. })) {
            let expires = batch.ttls.iter().any(Option::is_some);
            let answers = self
                .storage()
                .write(move |tx| {
                    let (answers, refreshed) = batch.read(tx)?;
                    batch.refresh(tx, &refreshed)?;
                    batch.put(tx)?;
                    Ok::<_, Error>(answers)
                })
                .await?;
            if expires {
                self.0.item_lifetimes.notify_one();
            }
            return Ok(answers);
        }
        let gets_only = batch.ops.iter().all(|op| matches!(op, StoreOp::Get { .. }));
        let cost = if gets_only { Cost::Point } else { Cost::Scan };
        let (answers, refreshed, batch) = self
            .storage()
            .read(cost, move |tx| {
                let (answers, refreshed) = batch.read(tx)?;
                Ok::<_, Error>((answers, refreshed, batch))
            })
            .await?;
        if !refreshed.is_empty() {
            self.storage().write(move |tx| batch.refresh(tx, &refreshed)).await?;
        }
        Ok(answers)
    }

    /// Checks all operations; the lifetime that each gives.
    fn checked(&self, ops: &[StoreOp]) -> Result<Vec<Option<Ttl>>> {
        let check = |op: &StoreOp| match op {
            StoreOp::Put { namespace, value: Some(_), ttl, .. } => {
                namespace::check_writable(namespace)?;
                self.0.options.store.ttl(*ttl)
            }
            _ => Ok(None),
        };
        ops.iter().map(check).collect()
    }
}

impl Batch {
    /// The answers, and what was read that lives longer for it.
    fn read(&self, tx: &(impl Read + ?Sized)) -> Result<(Vec<StoreAnswer>, Refreshed)> {
        let mut answers = Vec::with_capacity(self.ops.len());
        let mut refreshed = Vec::new();
        let mut note = |item: &Item, refresh: Option<bool>| {
            if item.ttl.is_some() && refresh.unwrap_or(self.refresh_on_read) {
                refreshed.push((item.namespace.clone(), item.key.clone()));
            }
        };
        for (at, op) in self.ops.iter().enumerate() {
            answers.push(match op {
                StoreOp::Get { namespace, key, refresh } => {
                    let item = tx.get_item(&self.scope, self.now, namespace, key)?;
                    item.iter().for_each(|item| note(item, *refresh));
                    StoreAnswer::Item(item)
                }
                StoreOp::Search { prefix, filter, page, refresh, .. } => {
                    let query = self.vectors.queries.get(&at).map(Vec::as_slice);
                    let search = Search { prefix, filter: filter.as_ref(), query, page: *page };
                    let found = tx.search_items(&self.scope, self.now, search)?;
                    found.iter().for_each(|found| note(&found.item, *refresh));
                    StoreAnswer::Items(found)
                }
                StoreOp::ListNamespaces { filter, page } => StoreAnswer::Namespaces(
                    tx.list_namespaces(&self.scope, self.now, filter, *page)?,
                ),
                StoreOp::Put { .. } => StoreAnswer::Done,
            });
        }
        Ok((answers, refreshed))
    }

    fn refresh(&self, tx: &dyn WriteTx, refreshed: &Refreshed) -> Result<()> {
        // They were found with the caller's scope.
        let scope = Scope::server();
        for (namespace, key) in refreshed {
            tx.refresh_item(&scope, self.now, namespace, key)?;
        }
        Ok(())
    }

    fn put(&self, tx: &dyn WriteTx) -> Result<()> {
        for (at, op) in self.ops.iter().enumerate() {
            match op {
                StoreOp::Put { namespace, key, value: Some(value), .. } => {
                    let vectors = self.vectors.values.get(&at).map_or(&[][..], Vec::as_slice);
                    let item = NewItem { value, ttl: self.ttls[at], vectors };
                    tx.put_item(&self.scope, self.now, namespace, key, item)?;
                }
                StoreOp::Put { namespace, key, value: None, .. } => {
                    tx.delete_item(&self.scope, namespace, key)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
