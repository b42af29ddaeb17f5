//! How many runs may be in flight at a time, for each identity and for each assistant.
//!
//! Looked at in the transaction that creates a run, so that the limits hold however many are created at once. A run counts
//! from its creation to its end, whichever process it is in by then: under whose name is written in its row.
//!
//! What a run creates through the server belongs to that run, and what the project's own code creates to nobody: neither
//! counts nor is refused. A graph that waits for another would stand in its own way.

use agent_server_storage::{
    AssistantId, ReadTx,
    runs::{Counted, Run},
};

use crate::{Caller, Error, Result};

/// Most runs that may be pending or running; `None` for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of one identity. Where nobody is asked who they are, all callers are one.
    pub per_identity: Option<u32>,
    /// Of one assistant, whoever creates them.
    pub per_assistant: Option<u32>,
}

impl Limits {
    /// Under whose name a run counts that the caller creates; `None` where nothing is limited, or the run does not count.
    pub(super) fn owner(&self, caller: &Caller) -> Option<String> {
        let is_limited = *self != Self::default();
        let counts = caller.counts && caller.within.is_none();
        (is_limited && counts)
            .then(|| caller.user.as_ref().map(|user| user.identity.clone()).unwrap_or_default())
    }

    /// Refuses a run for which there is no room, but for that of `going`, which end before it begins.
    ///
    /// Errors: `Limited`.
    pub(super) fn check(
        &self,
        tx: &(impl ReadTx + ?Sized),
        owner: Option<&str>,
        assistant: AssistantId,
        going: &[Run],
    ) -> Result<()> {
        let Some(owner) = owner else { return Ok(()) };
        let of_owner = |run: &Run| run.owner.as_deref() == Some(owner);
        let of_assistant = |run: &Run| run.owner.is_some() && run.assistant_id == assistant;
        let is_full = |most: u32, by: Counted<'_>, is_counted: &dyn Fn(&Run) -> bool| {
            let going = going.iter().filter(|run| is_counted(run)).count();
            let full = most.saturating_add(u32::try_from(going).unwrap_or(u32::MAX));
            Ok::<_, Error>(tx.count_inflight(by, full)? >= full)
        };
        if let Some(most) = self.per_identity
            && is_full(most, Counted::Owner(owner), &of_owner)?
        {
            return Err(refused("inflight_runs", most, "identity"));
        }
        if let Some(most) = self.per_assistant
            && is_full(most, Counted::Assistant(assistant), &of_assistant)?
        {
            return Err(refused("inflight_runs_per_assistant", most, "assistant"));
        }
        Ok(())
    }
}

fn refused(limit: &'static str, most: u32, whose: &str) -> Error {
    let detail = format!(
        "Too many runs in flight: at most {most} per {whose} may be pending or running. Wait until one has ended, or \
         cancel one, and try again."
    );
    Error::Limited { limit, detail }
}
