//! Crons: create, get, patch, delete, search, count; `scheduler` lets them fire.
//!
//! `schedule` knows when, `payload` with what. docs/crons.md says it for users.
//!
//! Source: reference/assistants-crons-store-system.md, section 2.

mod payload;
mod schedule;
mod scheduler;

use agent_server_storage::{
    AssistantId, Cost, CronId, Map, Page, RawJson, SortOrder, ThreadId, Timestamp,
    crons::{Cron, Filter, OnRunCompleted, SortBy},
    threads::Columns,
};
use chrono::{NaiveDate, NaiveDateTime};

use crate::{
    Caller, Domain, Error, Found, Result,
    assistants::{default_assistant_id, merged},
    runs::runnable,
};
use payload::Payload;
use schedule::Schedule;

/// Body of a create.
#[derive(Clone, Debug)]
pub struct NewCron {
    /// Its id, where somebody was told of it before; else it is made here.
    pub cron_id: Option<CronId>,
    /// Assistant id or graph id.
    pub assistant_id: String,
    /// Thread of its runs; `None`: each has its own.
    pub thread_id: Option<ThreadId>,
    /// When it fires.
    pub schedule: String,
    /// IANA zone of the schedule.
    pub timezone: Option<String>,
    /// When it ends, as it was sent.
    pub end_time: Option<String>,
    /// Metadata.
    pub metadata: Map,
    /// What becomes of the threads of its runs; without meaning if it has a thread.
    pub on_run_completed: OnRunCompleted,
    /// Whether it fires at all.
    pub enabled: bool,
    /// Address that is told of the ends of its runs.
    pub webhook: Option<String>,
    /// The whole body.
    pub payload: RawJson,
}

/// Body of a patch; `None` is "not sent".
#[derive(Clone, Debug)]
pub struct Patch {
    /// New schedule.
    pub schedule: Option<String>,
    /// New zone.
    pub timezone: Option<String>,
    /// New end, or none.
    pub end_time: Option<Option<String>>,
    /// Merged shallowly.
    pub metadata: Option<Map>,
    /// New treatment of threads.
    pub on_run_completed: Option<OnRunCompleted>,
    /// Switches it on or off.
    pub enabled: Option<bool>,
    /// New address.
    pub webhook: Option<String>,
    /// The whole body.
    pub payload: RawJson,
}

/// A time as clients send it: with an offset, or without one in UTC, or a day.
fn end_time(text: &str) -> Result<Timestamp> {
    let plain = |text: &str| {
        let text = text.replacen(' ', "T", 1);
        text.parse::<NaiveDateTime>()
            .ok()
            .or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))
    };
    let exact = text.parse().ok();
    exact.or_else(|| plain(text).map(|time| time.and_utc())).ok_or_else(|| {
        Error::Invalid(format!(
            "Invalid end_time: '{text}'. Must be a date and time, such as '2030-01-31T09:00:00+00:00'."
        ))
    })
}

fn next_run_date(schedule: &Schedule, now: Timestamp) -> Result<Timestamp> {
    schedule.next(now).ok_or_else(|| Error::Refused("failed to find next date".into()))
}

fn not_found() -> Error {
    Error::NotFound("Not Found".into())
}

impl Domain {
    /// An id for a cron that will be created.
    pub fn new_cron_id(&self) -> CronId {
        CronId(self.0.ids.ordered())
    }

    /// Creates a cron.
    ///
    /// # Errors
    /// `Invalid` for a bad schedule, time zone, end or address; `Refused` for a schedule that never comes; `NotFound` for
    /// assistant or thread.
    pub async fn create_cron(&self, caller: &Caller, new: NewCron) -> Result<Cron> {
        let now = self.now();
        let schedule = Schedule::parse(&new.schedule, new.timezone.as_deref())?;
        let next_run_date = Some(next_run_date(&schedule, now)?);
        let end_time = new.end_time.as_deref().map(end_time).transpose()?;
        if let Some(address) = &new.webhook {
            self.check_webhook(address).await?;
        }
        let no_assistant =
            || Error::NotFound(format!("Assistant '{}' not found", new.assistant_id));
        let assistant_id: AssistantId = match self.graph(&new.assistant_id) {
            Some(_) => default_assistant_id(&new.assistant_id),
            None => uuid::Uuid::try_parse(&new.assistant_id).map_err(|_| no_assistant())?.into(),
        };
        let cron_id = new.cron_id.unwrap_or_else(|| self.new_cron_id());
        let mut payload = Payload::of(&new.payload)?;
        payload.set("assistant_id", RawJson::of(&assistant_id.to_string()));
        payload.mark(&cron_id.to_string());
        let cron = Cron {
            cron_id,
            assistant_id,
            thread_id: new.thread_id,
            user_id: Some(
                caller.user.as_ref().map(|user| user.identity.clone()).unwrap_or_default(),
            ),
            end_time,
            schedule: new.schedule,
            timezone: new.timezone,
            payload: payload.to_json(),
            next_run_date,
            metadata: new.metadata,
            on_run_completed: match new.thread_id {
                Some(_) => None,
                None => Some(new.on_run_completed),
            },
            enabled: new.enabled,
            created_at: now,
            updated_at: now,
        };
        let (caller, no_assistant, graphs) = (caller.clone(), no_assistant(), self.graphs());
        let is_default = self.is_default(assistant_id);
        let cron = self
            .storage()
            .write(move |tx| {
                let known = |id: &str| graphs.iter().any(|graph| graph.graph_id == id);
                if runnable(tx, &caller, assistant_id, is_default, &known)?.is_none() {
                    return Err(no_assistant);
                }
                if let Some(id) = cron.thread_id
                    && tx.get_thread(&caller.threads, id, Columns::Header)?.is_none()
                {
                    return Err(Error::NotFound(format!(
                        "Thread with ID '{id}' not found. Create the thread before its crons."
                    )));
                }
                tx.insert_cron(&cron)?;
                Ok(cron)
            })
            .await?;
        self.0.crons.notify_one();
        Ok(cron)
    }

    /// One cron.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_cron(&self, caller: &Caller, id: CronId) -> Result<Cron> {
        let scope = caller.crons.clone();
        self.storage()
            .read(Cost::Point, move |tx| tx.get_cron(&scope, id).map_err(Error::from))
            .await?
            .ok_or_else(not_found)
    }

    /// Changes a cron. A new schedule or zone sets the next firing anew; one that is switched on again and whose time has
    /// come meanwhile fires at once.
    ///
    /// # Errors
    /// `NotFound`; `Refused` for a patch without members, or a schedule that never comes; `Invalid` as for a create.
    pub async fn patch_cron(&self, caller: &Caller, id: CronId, patch: Patch) -> Result<Cron> {
        let changes = Payload::of(&patch.payload)?;
        if changes.is_empty() {
            return Err(Error::Refused("Request body cannot be empty".into()));
        }
        if let Some(address) = &patch.webhook {
            self.check_webhook(address).await?;
        }
        let end_time = patch.end_time.map(|end| end.as_deref().map(end_time).transpose());
        let end_time = end_time.transpose()?;
        let (scope, now) = (caller.crons.clone(), self.now());
        let cron = self
            .storage()
            .write(move |tx| {
                let missing = || Error::NotFound(format!("Cron '{id}' not found"));
                let mut cron = tx.get_cron(&scope, id)?.ok_or_else(missing)?;
                let is_moved = patch.schedule.is_some() || patch.timezone.is_some();
                cron.schedule = patch.schedule.unwrap_or(cron.schedule);
                cron.timezone = patch.timezone.or(cron.timezone);
                if is_moved {
                    let schedule = Schedule::parse(&cron.schedule, cron.timezone.as_deref())?;
                    cron.next_run_date = Some(next_run_date(&schedule, now)?);
                }
                if let Some(end_time) = end_time {
                    cron.end_time = end_time;
                }
                if let Some(metadata) = patch.metadata {
                    cron.metadata = merged(cron.metadata, &metadata);
                }
                cron.on_run_completed = patch.on_run_completed.or(cron.on_run_completed);
                cron.enabled = patch.enabled.unwrap_or(cron.enabled);
                let mut payload = Payload::of(&cron.payload)?;
                payload.merge(changes);
                payload.mark(&id.to_string());
                cron.payload = payload.to_json();
                cron.updated_at = now;
                tx.update_cron(&scope, &cron)?;
                Ok::<_, Error>(cron)
            })
            .await?;
        self.0.crons.notify_one();
        Ok(cron)
    }

    /// Deletes a cron. Runs that it made stay.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_cron(&self, caller: &Caller, id: CronId) -> Result<()> {
        let scope = caller.crons.clone();
        let was_there =
            self.storage().write(move |tx| tx.delete_cron(&scope, id).map_err(Error::from)).await?;
        if was_there { Ok(()) } else { Err(not_found()) }
    }

    /// Searches crons.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn search_crons(
        &self,
        caller: &Caller,
        filter: Filter,
        sort: (SortBy, SortOrder),
        page: Page,
    ) -> Result<Found<Cron>> {
        let scope = caller.crons.clone();
        let wanted = Page { limit: page.limit + 1, ..page };
        let items = self
            .storage()
            .read(Cost::Scan, move |tx| {
                tx.search_crons(&scope, &filter, sort, wanted).map_err(Error::from)
            })
            .await?;
        Ok(Found::from_lookahead(items, page.limit))
    }

    /// Counts crons.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn count_crons(&self, caller: &Caller, filter: Filter) -> Result<u64> {
        let scope = caller.crons.clone();
        self.storage()
            .read(Cost::Scan, move |tx| tx.count_crons(&scope, &filter).map_err(Error::from))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_as_clients_write_them() {
        for (text, expected) in [
            ("2030-01-31T09:00:00+01:00", "2030-01-31T08:00:00Z"),
            ("2030-01-31T09:00:00.25Z", "2030-01-31T09:00:00.25Z"),
            ("2030-01-31T09:00:00.25", "2030-01-31T09:00:00.25Z"),
            ("2030-01-31 09:00:00", "2030-01-31T09:00:00Z"),
            ("2030-01-31", "2030-01-31T00:00:00Z"),
        ] {
            assert_eq!(end_time(text).unwrap(), expected.parse::<Timestamp>().unwrap(), "{text}");
        }
        for text in ["", "tomorrow", "2030-02-31", "1893456000"] {
            assert!(matches!(end_time(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
