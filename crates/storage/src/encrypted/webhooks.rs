//! Deliveries behind the cipher: they repeat the metadata of a thread and tell of the run and its values.

use serde_json::Value;

use super::{
    fields::{DELIVERY, Model},
    replaced::Stored,
    threads::ROUND,
    view::{Sealable, Taken, View, put_json, put_map},
};
use crate::{
    Map, Page, RawJson, ReadTx, Result, RunId, Scope, Timestamp, WriteTx,
    webhooks::{Delivery, DeliveryStatus, Read, Write},
};

const ALL: &Scope = &Scope::server();

/// The fields of a delivery. Some days later the row is gone: nobody asks to have it stored anew.
#[derive(Default)]
pub(super) struct Told {
    pub(super) metadata: Map,
    pub(super) payload: Option<RawJson>,
}

impl Sealable for Told {
    const MODEL: Model = DELIVERY;

    fn take(&mut self, stored: bool) -> Result<Value> {
        let taken = Taken::default().map("metadata", &mut self.metadata);
        Ok(taken.json("payload", self.payload.as_ref(), stored)?.value())
    }

    fn put(&mut self, mut fields: Value) {
        put_map(&mut fields, "metadata", &mut self.metadata);
        if let Some(payload) = &mut self.payload {
            put_json(&mut fields, "payload", payload);
        }
    }

    fn stored(&self, _: Value) -> Option<Stored> {
        None
    }
}

impl<T: ReadTx + ?Sized> View<'_, T> {
    fn opened_deliveries(&self, mut deliveries: Vec<Delivery>) -> Result<Vec<Delivery>> {
        let metadata = deliveries
            .iter_mut()
            .map(|each| Told { metadata: std::mem::take(&mut each.metadata), payload: None });
        let metadata = metadata.collect();
        for (delivery, told) in deliveries.iter_mut().zip(self.opened(metadata)?) {
            delivery.metadata = told.metadata;
        }
        Ok(deliveries)
    }
}

impl<T: ReadTx + ?Sized> Read for View<'_, T> {
    fn get_delivery(&self, scope: &Scope, id: RunId) -> Result<Option<Delivery>> {
        let found = Vec::from_iter(self.tx.get_delivery(ALL, id)?);
        let found = self.opened_deliveries(found)?.pop();
        Ok(found.filter(|delivery| scope.allows(&delivery.metadata)))
    }

    fn delivery_payload(&self, id: RunId) -> Result<Option<RawJson>> {
        let Some(payload) = self.tx.delivery_payload(id)? else { return Ok(None) };
        let told = Told { payload: Some(payload), ..Told::default() };
        Ok(self.opened_one(Some(told))?.and_then(|told| told.payload))
    }

    fn list_deliveries(
        &self,
        scope: &Scope,
        status: Option<DeliveryStatus>,
        page: Page,
    ) -> Result<Vec<Delivery>> {
        if scope.is_everything() {
            return self.opened_deliveries(self.tx.list_deliveries(ALL, status, page)?);
        }
        let (mut skipped, mut found) = (0, Vec::new());
        let mut round = Page { limit: ROUND, offset: 0 };
        loop {
            let deliveries = self.tx.list_deliveries(ALL, status, round)?;
            let is_last = deliveries.len() < ROUND as usize;
            for delivery in self.opened_deliveries(deliveries)? {
                if !scope.allows(&delivery.metadata) {
                    continue;
                }
                if skipped < page.offset {
                    skipped += 1;
                } else if found.len() < page.limit as usize {
                    found.push(delivery);
                }
            }
            if is_last || found.len() >= page.limit as usize {
                return Ok(found);
            }
            round.offset += ROUND;
        }
    }

    fn due_deliveries(
        &self,
        now: Timestamp,
        except: &[String],
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        self.opened_deliveries(self.tx.due_deliveries(now, except, limit)?)
    }

    fn next_delivery(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.tx.next_delivery(now)
    }

    fn oldest_settled_delivery(&self) -> Result<Option<Timestamp>> {
        self.tx.oldest_settled_delivery()
    }
}

impl<T: WriteTx + ?Sized> Write for View<'_, T> {
    fn insert_delivery(&self, delivery: &Delivery, payload: &RawJson) -> Result<()> {
        let own = self.context_of_thread(delivery.thread_id)?;
        let told = Told { metadata: delivery.metadata.clone(), payload: Some(payload.clone()) };
        let told = self.sealed(told, own.clone())?;
        let delivery = Delivery { metadata: told.metadata, ..delivery.clone() };
        let payload = told.payload.unwrap_or_else(|| payload.clone());
        self.with_blobs(own, || self.tx.insert_delivery(&delivery, &payload))
    }

    fn update_delivery(&self, delivery: &Delivery) -> Result<bool> {
        self.tx.update_delivery(delivery)
    }

    fn sweep_deliveries(&self, before: Timestamp) -> Result<()> {
        self.tx.sweep_deliveries(before)
    }
}
