//! Deliveries of webhooks: whom to tell of a run's end, written in the transaction of that end.

use crate::{AssistantId, Map, Page, RawJson, Result, RunId, Scope, ThreadId, Timestamp};

/// Status of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Another try follows.
    Pending,
    /// The receiver has taken it.
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryStatus {
    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// One delivery, without its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The run whose end is told. It ends once, so this is the id of the event as well.
    pub run_id: RunId,
    /// Its thread, which may be gone.
    pub thread_id: ThreadId,
    /// Its assistant.
    pub assistant_id: AssistantId,
    /// Where the payload goes, as the run was given it.
    pub url: String,
    /// Host and port of it; empty for the server's own routes. Tries are counted per host.
    pub host: String,
    /// See [`DeliveryStatus`].
    pub status: DeliveryStatus,
    /// Tries so far whose outcome is known.
    pub attempts: u32,
    /// When the run ended.
    pub created_at: Timestamp,
    /// When the last try ended.
    pub updated_at: Timestamp,
    /// When the next try is due; `None` when there is none.
    pub due_at: Option<Timestamp>,
    /// What came of the last try: a status, or what was in the way.
    pub outcome: Option<String>,
    /// Metadata of the thread at the end of the run: what a [`Scope`] looks at.
    pub metadata: Map,
    /// Where the run stood in a trace: whatever the rules wrote.
    pub trace: Option<RawJson>,
}

/// Reads of deliveries.
pub trait Read {
    /// One delivery, if it is there and visible.
    fn get_delivery(&self, scope: &Scope, id: RunId) -> Result<Option<Delivery>>;

    /// What a delivery sends.
    fn delivery_payload(&self, id: RunId) -> Result<Option<RawJson>>;

    /// Deliveries, newest `created_at` first, ties by id, largest first.
    fn list_deliveries(
        &self,
        scope: &Scope,
        status: Option<DeliveryStatus>,
        page: Page,
    ) -> Result<Vec<Delivery>>;

    /// Deliveries that are due at `now`, longest first, those to `except` hosts left out.
    fn due_deliveries(
        &self,
        now: Timestamp,
        except: &[String],
        limit: u32,
    ) -> Result<Vec<Delivery>>;

    /// When the next delivery that is not yet due becomes due.
    fn next_delivery(&self, now: Timestamp) -> Result<Option<Timestamp>>;

    /// When the last try of the delivery ended that has been settled longest.
    fn oldest_settled_delivery(&self) -> Result<Option<Timestamp>>;
}

/// Changes of deliveries.
pub trait Write {
    /// Adds a delivery. One that is there already stays as it is: a run ends once.
    fn insert_delivery(&self, delivery: &Delivery, payload: &RawJson) -> Result<()>;

    /// Replaces status, attempts, times and outcome; whether the delivery was there.
    fn update_delivery(&self, delivery: &Delivery) -> Result<bool>;

    /// Removes deliveries that were settled before `before`.
    fn sweep_deliveries(&self, before: Timestamp) -> Result<()>;
}
