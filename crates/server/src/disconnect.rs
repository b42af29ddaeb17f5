//! What a client's disconnect does to its run.

use agent_server_domain::{Domain, storage::runs::Run};

const REASON: &str = "client disconnected from the run stream (on_disconnect=cancel)";

/// Cancels a run when dropped, unless disarmed: a response body that is dropped before its end has lost its client.
pub(crate) struct OnDisconnect(Option<(Domain, Run)>);

impl OnDisconnect {
    /// Lets the run go on.
    pub(crate) fn go_on() -> Self {
        Self(None)
    }

    /// Cancels the run.
    pub(crate) fn cancel(domain: Domain, run: Run) -> Self {
        Self(Some((domain, run)))
    }

    /// `cancel` or not.
    pub(crate) fn new(cancel: bool, domain: &Domain, run: &Run) -> Self {
        if cancel { Self::cancel(domain.clone(), run.clone()) } else { Self::go_on() }
    }

    /// The run has ended, or the server does: nothing to cancel.
    pub(crate) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for OnDisconnect {
    fn drop(&mut self) {
        let Some((domain, run)) = self.0.take() else { return };
        // Outside a runtime (it is being torn down) nothing can be cancelled; the next start takes the run up again.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = domain.interrupt(&run, REASON).await {
                tracing::warn!(%error, run_id = %run.run_id, "a run could not be cancelled after its client left");
            }
        });
    }
}
