//! Webhooks: receivers that are told of a run's end.
//!
//! An address is checked when a run asks for it ([`policy`]). What is told is stored in the transaction that ends the run
//! ([`outbox`]) and sent afterwards (`deliver`), again and again over restarts until it is taken or given up. The deliveries of
//! the last days can be listed and repeated.
//!
//! Source: reference/auth-webhooks-encryption.md, part 4.

mod deliver;
pub mod outbox;
pub mod policy;

use std::sync::Arc;

use agent_server_storage::{
    Cost, Page, RunId,
    webhooks::{Delivery, DeliveryStatus},
};

use crate::{Caller, Domain, Error, Found, Result, ports::Webhooks};

pub(crate) use deliver::Courier;
pub(crate) use outbox::{Outbox, ROLLBACK};
pub use policy::{Place, UrlPolicy};

/// What is told to whom.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which addresses may be called.
    pub policy: UrlPolicy,
    /// The only fields of a payload, of [`outbox::FIELDS`]; `None` is all.
    pub allowed_fields: Option<Vec<String>>,
    /// Who sends; without anybody nothing is told.
    pub sender: Option<Arc<dyn Webhooks>>,
}

impl Options {
    pub(crate) fn outbox(&self) -> Arc<Outbox> {
        Arc::new(Outbox {
            enabled: self.sender.is_some(),
            allowed_fields: self.allowed_fields.clone(),
            policy: self.policy.clone(),
        })
    }
}

impl Domain {
    /// For closures that end runs.
    pub(crate) fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.0.courier.outbox)
    }

    /// Refuses an address that must not be told of a run's end. Names are looked up unless nothing is sent anyway.
    ///
    /// # Errors
    /// `Invalid`.
    pub async fn check_webhook(&self, address: &str) -> Result<()> {
        let Options { policy, sender, .. } = &self.0.options.webhooks;
        let place = policy.check(address).map_err(Error::Invalid)?;
        if let (Place::Remote { unresolved: Some(name), .. }, Some(sender)) = (place, sender) {
            let addresses = sender.resolve(&name).await;
            policy.check_addresses(&addresses).map_err(Error::Invalid)?;
        }
        Ok(())
    }

    /// Deliveries of the last days, newest first.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn list_deliveries(
        &self,
        caller: &Caller,
        status: Option<DeliveryStatus>,
        page: Page,
    ) -> Result<Found<Delivery>> {
        let scope = caller.threads.clone();
        let wanted = Page { limit: page.limit + 1, ..page };
        let items = self
            .storage()
            .read(Cost::Scan, move |tx| {
                tx.list_deliveries(&scope, status, wanted).map_err(Error::from)
            })
            .await?;
        Ok(Found::from_lookahead(items, page.limit))
    }

    /// Has a delivery made again, with all its tries: at once, or when webhooks are not disabled any more.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn replay_delivery(&self, caller: &Caller, id: RunId) -> Result<Delivery> {
        let (scope, now) = (caller.threads.clone(), self.now());
        let delivery = self
            .storage()
            .write(move |tx| {
                let missing = || Error::NotFound(format!("Delivery of run {id} not found"));
                let found = tx.get_delivery(&scope, id)?.ok_or_else(missing)?;
                let again = Delivery {
                    status: DeliveryStatus::Pending,
                    attempts: 0,
                    updated_at: now,
                    due_at: Some(now),
                    ..found
                };
                tx.update_delivery(&again)?;
                Ok::<_, Error>(again)
            })
            .await?;
        self.0.courier.wake.notify_one();
        Ok(delivery)
    }
}
