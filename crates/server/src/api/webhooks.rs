//! Tag Webhooks.

use agent_server_api::{types, *};
use agent_server_domain::{
    Found,
    auth::Event,
    storage::{
        Page, RunId,
        webhooks::{Delivery, DeliveryStatus},
    },
};
use serde_json::json;

use super::{Api, Result, allowed, pagination};
use crate::convert;

/// Most entries of a page.
const MOST: u32 = 1000;

impl Webhooks for Api {
    async fn list_webhook_deliveries(
        &self,
        cx: Context,
        query: ListWebhookDeliveriesQuery,
    ) -> Result<ListWebhookDeliveriesResponse> {
        let bounded = |value: i64, most: u32| u32::try_from(value.max(0)).unwrap_or(most).min(most);
        let page = Page {
            limit: bounded(query.limit.unwrap_or(10), MOST),
            offset: bounded(query.offset.unwrap_or(0), u32::MAX),
        };
        let value = || json!({"limit": page.limit, "offset": page.offset});
        let caller = allowed(&cx, Event::THREADS_SEARCH, value).await?;
        // A status that does not exist is one that no delivery has.
        let found = match query.status.as_deref().filter(|word| !word.is_empty()) {
            None => self.domain.list_deliveries(&caller, None, page).await?,
            Some(word) => match DeliveryStatus::parse(word) {
                Some(status) => self.domain.list_deliveries(&caller, Some(status), page).await?,
                None => Found { items: vec![], more: false },
            },
        };
        let deliveries: Vec<_> = found.items.iter().map(delivery_of).collect();
        let mut reply = Reply::new(&deliveries);
        for (name, value) in pagination(page, deliveries.len(), found.more) {
            reply = reply.with_header(name, value);
        }
        Ok(ListWebhookDeliveriesResponse::Ok(reply))
    }

    async fn replay_webhook_delivery(
        &self,
        cx: Context,
        path: ReplayWebhookDeliveryPath,
    ) -> Result<ReplayWebhookDeliveryResponse> {
        let run = RunId::from(path.run_id);
        let value = || json!({"thread_id": null, "run_id": run, "action": "replay"});
        let caller = allowed(&cx, Event::THREADS_UPDATE, value).await?;
        let delivery = self.domain.replay_delivery(&caller, run).await?;
        Ok(ReplayWebhookDeliveryResponse::Ok(delivery_of(&delivery).into()))
    }
}

/// A delivery on the wire.
fn delivery_of(delivery: &Delivery) -> types::WebhookDelivery {
    types::WebhookDelivery {
        run_id: delivery.run_id.0,
        thread_id: delivery.thread_id.0,
        assistant_id: delivery.assistant_id.0,
        url: delivery.url.clone(),
        status: match delivery.status {
            DeliveryStatus::Pending => types::WebhookDeliveryStatus::Pending,
            DeliveryStatus::Delivered => types::WebhookDeliveryStatus::Delivered,
            DeliveryStatus::Failed => types::WebhookDeliveryStatus::Failed,
        },
        attempts: i64::from(delivery.attempts),
        created_at: convert::time(delivery.created_at),
        updated_at: convert::time(delivery.updated_at),
        due_at: delivery.due_at.map(convert::time),
        outcome: delivery.outcome.clone(),
    }
}
