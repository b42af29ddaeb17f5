//! Sending what the outbox holds. Each try is noted when its outcome is known; one whose outcome a crash swallowed is made
//! again, with the same event id.
//!
//! Source: reference/auth-webhooks-encryption.md, 4.3.

use std::{collections::HashMap, sync::Arc};

use agent_server_storage::{
    Cost, RunId, Timestamp,
    webhooks::{Delivery, DeliveryStatus},
};
use chrono::TimeDelta;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Outbox;
use crate::{
    Domain, Error, Result,
    ports::{WebhookCall, WebhookFailure, Webhooks},
    timer::PAUSE,
    trace::SpanKind,
};

/// Tries of one delivery.
const ATTEMPTS: u32 = 3;
/// Pause after the first try; doubled with every further one, give or take a quarter.
const PAUSE_MILLIS: i64 = 1000;
/// Tries at a time per host: one that does not answer holds up its own deliveries only.
const PER_HOST: usize = 4;
/// Tries at a time in all.
const AT_ONCE: usize = 256;
/// How long deliveries that are settled can be looked at and repeated.
const KEEP: TimeDelta = TimeDelta::days(3);

/// What the deliveries in progress need.
#[derive(Default)]
pub(crate) struct Courier {
    pub(crate) outbox: Arc<Outbox>,
    /// Told when something may be due.
    pub(crate) wake: Notify,
    /// Tries in progress: the run and the host.
    in_flight: Mutex<HashMap<RunId, String>>,
}

impl Courier {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, ..Self::default() }
    }

    /// Hosts that get no more tries for now.
    fn full_hosts(&self) -> Vec<String> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for host in self.in_flight.lock().values() {
            *counts.entry(host.clone()).or_default() += 1;
        }
        counts.into_iter().filter(|(_, count)| *count >= PER_HOST).map(|(host, _)| host).collect()
    }

    /// Takes a place for a try, if there is one.
    fn begin(&self, delivery: &Delivery) -> bool {
        let mut in_flight = self.in_flight.lock();
        let same = in_flight.values().filter(|host| **host == delivery.host).count();
        if in_flight.len() >= AT_ONCE
            || same >= PER_HOST
            || in_flight.contains_key(&delivery.run_id)
        {
            return false;
        }
        in_flight.insert(delivery.run_id, delivery.host.clone());
        true
    }

    fn end(&self, id: RunId) {
        self.in_flight.lock().remove(&id);
        self.wake.notify_one();
    }
}

/// What the outcome of a try means. Pure.
fn judge(outcome: &Result<u16, WebhookFailure>) -> (DeliveryStatus, String) {
    match outcome {
        Ok(status @ 200..300) => (DeliveryStatus::Delivered, status.to_string()),
        Ok(status @ (429 | 500..)) => (DeliveryStatus::Pending, status.to_string()),
        // A redirect is not followed: it could lead where no webhook may go.
        Ok(status) => (DeliveryStatus::Failed, status.to_string()),
        Err(WebhookFailure::Unreachable(cause)) => (DeliveryStatus::Pending, cause.clone()),
        Err(WebhookFailure::Blocked(cause)) => (DeliveryStatus::Failed, cause.clone()),
    }
}

/// The delivery after a try. `jitter` is from 0 to 1. Pure.
fn after(
    delivery: Delivery,
    outcome: &Result<u16, WebhookFailure>,
    now: Timestamp,
    jitter: f64,
) -> Delivery {
    let attempts = delivery.attempts + 1;
    let (mut status, text) = judge(outcome);
    if status == DeliveryStatus::Pending && attempts >= ATTEMPTS {
        status = DeliveryStatus::Failed;
    }
    let due_at = (status == DeliveryStatus::Pending).then(|| {
        let pause = (PAUSE_MILLIS << (attempts - 1)) as f64 * (0.75 + jitter / 2.0);
        now + TimeDelta::milliseconds(pause as i64)
    });
    Delivery { status, attempts, updated_at: now, due_at, outcome: Some(text), ..delivery }
}

impl Domain {
    /// Sends what is due, until shutdown; what is left then waits for the next start.
    pub(crate) async fn delivery_loop(&self) {
        let Some(sender) = self.0.options.webhooks.sender.clone() else { return };
        let step = || self.deliver_due(&sender);
        self.on_time(&self.0.courier.wake, "the delivery of webhooks", PAUSE, step).await;
    }

    /// Begins what is due. Returns when the next delivery is due, or the oldest is not kept any longer.
    async fn deliver_due(&self, sender: &Arc<dyn Webhooks>) -> Result<Option<Timestamp>> {
        let courier = &self.0.courier;
        loop {
            let now = self.now();
            let except = courier.full_hosts();
            // Those in progress are still due, and must not hide others.
            let round = AT_ONCE + courier.in_flight.lock().len();
            let (due, next, settled) = self
                .storage()
                .read(Cost::Scan, move |tx| {
                    let due =
                        tx.due_deliveries(now, &except, u32::try_from(round).unwrap_or(u32::MAX));
                    Ok::<_, Error>((due?, tx.next_delivery(now)?, tx.oldest_settled_delivery()?))
                })
                .await?;
            if settled.is_some_and(|settled| settled + KEEP < now) {
                self.storage()
                    .write(move |tx| tx.sweep_deliveries(now - KEEP).map_err(Error::from))
                    .await?;
                continue;
            }
            let mut began = false;
            for delivery in due.into_iter().filter(|delivery| courier.begin(delivery)) {
                began = true;
                let (domain, sender) = (self.clone(), Arc::clone(sender));
                self.0.tasks.spawn(async move {
                    let id = delivery.run_id;
                    tokio::select! {
                        () = domain.0.shutdown.cancelled() => {}
                        () = domain.deliver(delivery, &sender) => {}
                    }
                    domain.0.courier.end(id);
                });
            }
            if !began {
                // A moment later, because a settled delivery goes once it is older than that.
                let swept = settled.map(|settled| settled + KEEP + TimeDelta::milliseconds(1));
                return Ok(next.into_iter().chain(swept).min());
            }
        }
    }

    /// Makes one try and notes what came of it.
    async fn deliver(&self, delivery: Delivery, sender: &Arc<dyn Webhooks>) {
        let (run_id, host) = (delivery.run_id, delivery.host.clone());
        let outcome = match self.try_once(&delivery, sender).await {
            Ok(Some(outcome)) => outcome,
            // Its thread was deleted, and it went along.
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, %run_id, "what a webhook is to send could not be read");
                return tokio::time::sleep(PAUSE).await;
            }
        };
        let jitter = f64::from(self.0.ids.random().as_bytes()[0]) / 255.0;
        let noted = after(delivery, &outcome, self.now(), jitter);
        let text = noted.outcome.as_deref().unwrap_or_default();
        match noted.status {
            DeliveryStatus::Delivered => tracing::debug!(%run_id, host, "a webhook was delivered"),
            DeliveryStatus::Pending => {
                tracing::info!(%run_id, host, "a webhook was not taken ({text}) and is tried again");
            }
            DeliveryStatus::Failed => {
                let attempts = noted.attempts;
                tracing::warn!(%run_id, host, attempts, "a webhook was given up: {text}");
            }
        }
        loop {
            let row = noted.clone();
            let write =
                self.storage().write(move |tx| tx.update_delivery(&row).map_err(Error::from));
            match write.await {
                Ok(_) => return,
                // Made again at the next start at the latest, and not before: it was made.
                Err(error) => tracing::error!(%error, %run_id, "a delivery could not be noted"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes one try; `None` if there is nothing to send any more.
    async fn try_once(
        &self,
        delivery: &Delivery,
        sender: &Arc<dyn Webhooks>,
    ) -> Result<Option<Result<u16, WebhookFailure>>> {
        let id = delivery.run_id;
        let read = self.storage().read(Cost::Point, move |tx| tx.delivery_payload(id));
        let payload =
            read.await.map_err(|error: agent_server_storage::Error| Error::from(error))?;
        let Some(payload) = payload else { return Ok(None) };
        // The configuration may have changed since the run was created.
        if let Err(refusal) = self.0.options.webhooks.policy.check(&delivery.url) {
            return Ok(Some(Err(WebhookFailure::Blocked(refusal))));
        }
        let sent_at = self.now();
        let parent = delivery.trace.as_ref().and_then(|trace| trace.parse().ok());
        let mut span = self.0.options.traces.begin("webhook", SpanKind::Client, parent.as_ref());
        span.set("langgraph.run_id", id.to_string());
        span.set("server.address", delivery.host.as_str());
        let call = WebhookCall {
            url: delivery.url.clone(),
            event_id: id.to_string(),
            sent_at,
            body: self.0.courier.outbox.body(&payload, sent_at).into(),
            trace: span.context().or(parent),
        };
        let outcome = sender.send(call).await;
        match &outcome {
            Ok(status) => span.set("http.response.status_code", i64::from(*status)),
            Err(WebhookFailure::Unreachable(why) | WebhookFailure::Blocked(why)) => span.fail(why),
        }
        Ok(Some(outcome))
    }
}

#[cfg(test)]
mod tests {
    use agent_server_storage::{AssistantId, Map, ThreadId};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn delivery(attempts: u32) -> Delivery {
        Delivery {
            run_id: RunId(Uuid::nil()),
            thread_id: ThreadId(Uuid::nil()),
            assistant_id: AssistantId(Uuid::nil()),
            url: "https://example.com/".into(),
            host: "example.com:443".into(),
            status: DeliveryStatus::Pending,
            attempts,
            created_at: NOW,
            updated_at: NOW,
            due_at: Some(NOW),
            outcome: None,
            metadata: Map::new(),
            trace: None,
        }
    }

    #[track_caller]
    fn check(
        before: u32,
        outcome: Result<u16, WebhookFailure>,
        status: DeliveryStatus,
        millis: Option<i64>,
    ) {
        let noted = after(delivery(before), &outcome, NOW, 0.5);
        let due = millis.map(|millis| NOW + TimeDelta::milliseconds(millis));
        assert_eq!((noted.status, noted.due_at), (status, due), "{outcome:?}");
        assert_eq!(noted.attempts, before + 1);
    }

    #[test]
    fn trouble_of_the_receiver_is_tried_three_times() {
        use DeliveryStatus::{Delivered, Failed, Pending};
        let unreachable = || Err(WebhookFailure::Unreachable("nobody there".into()));
        check(0, Ok(200), Delivered, None);
        check(0, Ok(204), Delivered, None);
        check(0, Ok(503), Pending, Some(1000));
        check(1, Ok(429), Pending, Some(2000));
        check(2, Ok(500), Failed, None);
        check(0, unreachable(), Pending, Some(1000));
        check(2, unreachable(), Failed, None);
        check(0, Ok(404), Failed, None);
        check(0, Ok(307), Failed, None);
        check(0, Err(WebhookFailure::Blocked("no".into())), Failed, None);
    }

    #[test]
    fn a_host_gets_a_few_tries_at_a_time() {
        let courier = Courier::default();
        let of = |n, host: &str| Delivery {
            run_id: RunId(Uuid::from_u128(n)),
            host: host.into(),
            ..delivery(0)
        };
        for n in 0..4 {
            assert!(courier.begin(&of(n, "a")));
        }
        assert!(!courier.begin(&of(9, "a")));
        assert!(!courier.begin(&of(1, "b")), "it is in progress");
        assert!(courier.begin(&of(10, "b")));
        assert_eq!(courier.full_hosts(), ["a"]);
        courier.end(RunId(Uuid::from_u128(2)));
        assert!(courier.begin(&of(9, "a")));
    }
}
