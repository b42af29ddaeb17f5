//! Store batches of graphs: reads of a batch see the state before its puts; of several puts to one key the last wins.
//!
//! Source: reference/langgraph-python-worker.md, section 10.

use agent_server_storage::{Scope, Timestamp, WriteTx};
use chrono::TimeDelta;

use crate::{
    Domain, Error, Result,
    ports::{StoreAnswer, StoreOp},
};

impl Domain {
    /// Executes one batch in one transaction.
    ///
    /// # Errors
    /// `Refused` for an operation that is not valid; nothing of the batch is done then.
    pub async fn store_batch(&self, ops: Vec<StoreOp>) -> Result<Vec<StoreAnswer>> {
        let now = self.now();
        let reads_only = ops.iter().all(|op| !matches!(op, StoreOp::Put { .. }));
        if reads_only {
            return self
                .storage()
                .read(agent_server_storage::Cost::Scan, move |tx| {
                    ops.iter().map(|op| read(tx, now, op)).collect()
                })
                .await;
        }
        self.storage()
            .write(move |tx| {
                let answers: Result<Vec<_>> = ops.iter().map(|op| read(tx, now, op)).collect();
                let answers = answers?;
                for op in &ops {
                    put(tx, now, op)?;
                }
                Ok(answers)
            })
            .await
    }
}

fn read(
    tx: &(impl agent_server_storage::store::Read + ?Sized),
    now: Timestamp,
    op: &StoreOp,
) -> Result<StoreAnswer> {
    let scope = &Scope::server();
    Ok(match op {
        StoreOp::Get { namespace, key } => {
            StoreAnswer::Item(tx.get_item(scope, now, namespace, key)?)
        }
        StoreOp::Search { prefix, filter, page } => {
            StoreAnswer::Items(tx.search_items(scope, now, prefix, filter.as_ref(), *page)?)
        }
        StoreOp::ListNamespaces { filter, page } => {
            StoreAnswer::Namespaces(tx.list_namespaces(scope, now, filter, *page)?)
        }
        StoreOp::Put { .. } => StoreAnswer::Done,
    })
}

fn put(tx: &dyn WriteTx, now: Timestamp, op: &StoreOp) -> Result<()> {
    let StoreOp::Put { namespace, key, value, ttl_minutes } = op else { return Ok(()) };
    check_namespace(namespace)?;
    match value {
        Some(value) => {
            let expires_at = ttl_minutes.and_then(|minutes| expiry(now, minutes));
            tx.put_item(&Scope::server(), now, namespace, key, value, expires_at)?;
        }
        None => {
            tx.delete_item(&Scope::server(), namespace, key)?;
        }
    }
    Ok(())
}

/// `None` when the time lies beyond what a timestamp can say: it never expires.
fn expiry(now: Timestamp, minutes: f64) -> Option<Timestamp> {
    let micros = minutes * 60e6;
    (micros.is_finite() && micros.abs() < 9e18)
        .then(|| now.checked_add_signed(TimeDelta::microseconds(micros as i64)))
        .flatten()
}

/// The rules for a namespace that is written to.
fn check_namespace(namespace: &[String]) -> Result<()> {
    if namespace.is_empty() {
        return Err(Error::Refused("Namespace cannot be empty.".into()));
    }
    for label in namespace {
        if label.is_empty() || label.contains('.') {
            return Err(Error::Invalid(format!(
                "Namespace label '{label}' must be a non-empty string without periods"
            )));
        }
    }
    if namespace[0] == "langgraph" {
        let labels: Vec<_> = namespace.iter().map(|label| format!("'{label}'")).collect();
        let comma = if labels.len() == 1 { "," } else { "" };
        return Err(Error::Refused(format!(
            "Root label for namespace cannot be \"langgraph\". Got: ({}{comma})",
            labels.join(", ")
        )));
    }
    Ok(())
}
