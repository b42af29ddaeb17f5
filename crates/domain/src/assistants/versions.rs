//! Versions: every change of an assistant is kept and can be gone back to.
//!
//! Source: reference/assistants-crons-store-system.md, 1.6.

use agent_server_storage::{AssistantId, Cost, Map, Page, assistants::Assistant};

use super::not_there;
use crate::{Caller, Domain, Error, Result};

impl Domain {
    /// Stored versions of an assistant, newest first.
    ///
    /// # Errors
    /// `NotFound` for the assistant, and when filter and page leave nothing: clients of this API know it so.
    pub async fn assistant_versions(
        &self,
        caller: &Caller,
        id: AssistantId,
        metadata: Option<Map>,
        page: Page,
    ) -> Result<Vec<Assistant>> {
        let scope = caller.assistants.clone();
        self.storage()
            .read(Cost::Scan, move |tx| {
                if tx.get_assistant(&scope, id)?.is_none() {
                    return Err(not_there(id));
                }
                let versions = tx.list_assistant_versions(id, metadata.as_ref(), page)?;
                if versions.is_empty() { Err(not_there(id)) } else { Ok(versions) }
            })
            .await
    }

    /// Makes a stored version the active one, with everything that it had (deliberate difference: upstream keeps the graph and
    /// the context of the version before). No new version is made; the next change counts on from the newest.
    ///
    /// # Errors
    /// `NotFound` for assistant or version.
    pub async fn set_latest_version(
        &self,
        caller: &Caller,
        id: AssistantId,
        number: i64,
    ) -> Result<Assistant> {
        let (scope, now) = (caller.assistants.clone(), self.now());
        self.storage()
            .write(move |tx| {
                let current = tx.get_assistant(&scope, id)?.ok_or_else(|| not_there(id))?;
                let version = match u32::try_from(number) {
                    Ok(number) => tx.get_assistant_version(id, number)?,
                    Err(_) => None,
                };
                let missing =
                    || Error::NotFound(format!("Version {number} not found for assistant {id}"));
                let version = version.ok_or_else(missing)?;
                let made = version.created_at;
                let restored = Assistant { created_at: current.created_at, ..version };
                // The version stays as it was, also when it was made.
                tx.update_assistant(&scope, &Assistant { updated_at: made, ..restored.clone() })?;
                let restored = Assistant { updated_at: now, ..restored };
                tx.touch_assistant(id, now)?;
                Ok(restored)
            })
            .await
    }
}
