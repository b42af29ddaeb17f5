//! What a receiver is told: put together and stored in the transaction that ends the run.
//!
//! Source: reference/auth-webhooks-encryption.md, 4.1 and 4.2.

use agent_server_storage::{
    Map, RawJson, ReadTx, Scope, Timestamp, WriteTx,
    runs::{Run, RunStatus},
    threads::Columns,
    webhooks::{Delivery, DeliveryStatus},
};
use serde_json::json;

use super::{Place, UrlPolicy};
use crate::{
    Result,
    runs::{kwargs, origin},
    state::time_text,
};

/// Fields of a payload that a configuration can choose from.
pub const FIELDS: [&str; 14] = [
    "run_id",
    "thread_id",
    "assistant_id",
    "created_at",
    "updated_at",
    "metadata",
    "kwargs",
    "multitask_strategy",
    "status",
    "run_started_at",
    "run_ended_at",
    SENT_AT,
    "values",
    "error",
];

/// The field that each try adds.
const SENT_AT: &str = "webhook_sent_at";

/// Status of a run that was rolled back: a word that only receivers see, because the run is gone.
pub(crate) const ROLLBACK: &str = "rollback";

/// Writes what is to be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    /// Whether anything is told at all.
    pub(crate) enabled: bool,
    /// The only fields of a payload.
    pub(crate) allowed_fields: Option<Vec<String>>,
    pub(crate) policy: UrlPolicy,
}

/// A run whose end is to be told, as it was before that end.
pub(crate) struct Notice<'a> {
    outbox: &'a Outbox,
    url: String,
    run: Run,
    metadata: Map,
}

impl Outbox {
    /// The notice of a run that asked for one; taken before the thread of a stateless run goes away.
    pub(crate) fn notice(
        &self,
        tx: &(impl ReadTx + ?Sized),
        run: &Run,
    ) -> Result<Option<Notice<'_>>> {
        if !self.enabled {
            return Ok(None);
        }
        let Some(url) = kwargs::webhook(&run.kwargs) else { return Ok(None) };
        let thread = tx.get_thread(&Scope::server(), run.thread_id, Columns::Header)?;
        let metadata = thread.map(|thread| thread.metadata).unwrap_or_default();
        Ok(Some(Notice { outbox: self, url, run: run.clone(), metadata }))
    }

    fn allows(&self, field: &str) -> bool {
        let allowed = self.allowed_fields.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|allowed| allowed == field))
    }

    /// What a try sends: a stored payload with the time of the try in front.
    pub(super) fn body(&self, payload: &RawJson, now: Timestamp) -> String {
        let stored = payload.get();
        if !self.allows(SENT_AT) {
            return stored.to_owned();
        }
        let members = stored.strip_prefix('{').unwrap_or("}");
        let comma = if members == "}" { "" } else { "," };
        format!("{{\"{SENT_AT}\":{}{comma}{members}", json!(time_text(now)))
    }
}

impl Notice<'_> {
    /// Stores what is told of the run, which has ended by now.
    pub(crate) fn write(
        self,
        tx: &dyn WriteTx,
        status: &str,
        error: RawJson,
        now: Timestamp,
    ) -> Result<()> {
        let thread = match status {
            ROLLBACK => None,
            _ => tx.get_thread(&Scope::server(), self.run.thread_id, Columns::Full)?,
        };
        let values = thread.and_then(|thread| thread.values).unwrap_or_else(RawJson::null);
        let payload = self.payload(status, values, error, now);
        // What is not allowed any more is found out, and noted, by the first try.
        let host = match self.outbox.policy.check(&self.url) {
            Ok(Place::Remote { host, .. }) => host,
            Ok(Place::Own) | Err(_) => String::new(),
        };
        let delivery = Delivery {
            run_id: self.run.run_id,
            thread_id: self.run.thread_id,
            assistant_id: self.run.assistant_id,
            url: self.url,
            host,
            status: DeliveryStatus::Pending,
            attempts: 0,
            created_at: now,
            updated_at: now,
            due_at: Some(now),
            outcome: None,
            metadata: self.metadata,
            trace: origin::trace(&self.run.kwargs).map(|trace| RawJson::of(&trace)),
        };
        Ok(tx.insert_delivery(&delivery, &payload)?)
    }

    fn payload(&self, status: &str, values: RawJson, error: RawJson, now: Timestamp) -> RawJson {
        let run = &self.run;
        let text = |text: &str| RawJson::of(&text);
        let time = |time: Timestamp| RawJson::of(&time_text(time));
        // A run that never started was cancelled before.
        let started = match run.status {
            RunStatus::Pending => RawJson::null(),
            _ => time(run.updated_at),
        };
        let mut fields = vec![
            ("run_id", text(&run.run_id.to_string())),
            ("thread_id", text(&run.thread_id.to_string())),
            ("assistant_id", text(&run.assistant_id.to_string())),
            ("created_at", time(run.created_at)),
            ("updated_at", time(now)),
            ("metadata", RawJson::of(&run.metadata)),
            ("kwargs", run.kwargs.clone()),
            ("multitask_strategy", text(run.multitask_strategy.as_str())),
            ("langsmith_session_name", RawJson::null()),
            ("status", text(status)),
            ("run_started_at", started),
            ("run_ended_at", time(now)),
            ("values", values),
        ];
        if !error.is_null() {
            fields.push(("error", error));
        }
        fields.retain(|(name, _)| self.outbox.allows(name));
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}:{}", json!(name), value.get())).collect();
        RawJson::trusted(format!("{{{}}}", fields.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_adds_its_time() {
        let now = Timestamp::UNIX_EPOCH;
        let body = |allowed: Option<&str>, payload: &str| {
            let allowed_fields = allowed.map(|field| vec![field.to_owned()]);
            let outbox = Outbox { allowed_fields, ..Outbox::default() };
            outbox.body(&RawJson::trusted(payload), now)
        };
        let time = r#""webhook_sent_at":"1970-01-01T00:00:00+00:00""#;
        assert_eq!(body(None, r#"{"a":1}"#), format!(r#"{{{time},"a":1}}"#));
        assert_eq!(body(Some(SENT_AT), "{}"), format!("{{{time}}}"));
        assert_eq!(body(Some("status"), r#"{"a":1}"#), r#"{"a":1}"#);
    }
}
