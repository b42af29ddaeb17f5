//! What the row of a thread says after a run has ended, or was taken away: its status, what it shows of the newest
//! checkpoint, and the error of the last run.

use agent_server_storage::{
    Page, RawJson, Scope, ThreadId, Timestamp, WriteTx,
    runs::{Run, RunStatus},
    threads::{Changes, Columns, ThreadStatus},
};

use crate::{
    Result,
    state::{HeadView, head_view},
};

/// What ended, as far as the row shows it.
pub(super) struct Ended {
    /// Whether that makes the thread fail.
    pub(super) failed: bool,
    /// The error shown from now on; `None` leaves what is shown.
    pub(super) error: Option<RawJson>,
    pub(super) now: Timestamp,
}

/// Status of a thread from its runs, its last failure and its remaining tasks.
fn status(inflight: &[Run], failed: bool, pending: bool) -> ThreadStatus {
    match (inflight.is_empty(), failed, pending) {
        (false, _, _) => ThreadStatus::Busy,
        (true, true, _) => ThreadStatus::Error,
        (true, false, true) => ThreadStatus::Interrupted,
        (true, false, false) => ThreadStatus::Idle,
    }
}

/// Writes the row after a change of runs and checkpoints. Every end goes through here, also that of a run that waits: it may
/// have been at work before.
pub(super) fn write(tx: &dyn WriteTx, thread: ThreadId, ended: Ended) -> Result<()> {
    let head = head_view(tx, thread)?;
    write_with(tx, thread, head, ended)
}

/// The same where the view of the newest checkpoint is at hand.
pub(super) fn write_with(
    tx: &dyn WriteTx,
    thread: ThreadId,
    head: Option<HeadView>,
    Ended { failed, error, now }: Ended,
) -> Result<()> {
    let all = &Scope::server();
    let inflight = tx.inflight_runs(thread)?;
    let pending = head.as_ref().is_some_and(|head| head.pending);
    let (values, interrupts) = match head {
        Some(head) => (Some(Some(head.values)), Some(Some(head.interrupts))),
        None if tx.head_checkpoint(all, thread, "")?.is_none() => {
            (Some(None), Some(Some(RawJson::trusted("{}"))))
        }
        // One that nobody has rendered: what was shown before is nearer to it than nothing.
        None => (None, None),
    };
    let changes = Changes {
        updated_at: Some(now),
        state_updated_at: Some(now),
        status: Some(status(&inflight, failed, pending)),
        values,
        interrupts,
        error: error.map(Some),
        ..Default::default()
    };
    tx.update_thread(all, thread, &changes)?;
    Ok(())
}

/// Writes the row anew from what is stored, after runs or checkpoints were taken away.
pub(super) fn recompute(tx: &dyn WriteTx, thread: ThreadId, now: Timestamp) -> Result<()> {
    let all = &Scope::server();
    let last = tx.list_runs(all, thread, None, Page { limit: 1, offset: 0 })?.pop();
    let failed =
        last.is_some_and(|run| matches!(run.status, RunStatus::Error | RunStatus::Timeout));
    let shown = tx.get_thread(all, thread, Columns::Full)?;
    let shows_error = shown.is_some_and(|thread| thread.error.is_some());
    // The text of an earlier failure is not kept, so only one that is shown can stay.
    let error = (shows_error && !failed).then(RawJson::null);
    write(tx, thread, Ended { failed, error, now })
}
