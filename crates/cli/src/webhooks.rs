//! `agent-server webhooks`: what was told to receivers, and once more. Asks a running server, which alone may write its data
//! folder and knows what the caller may see.

use agent_server_client::{Client, params, types};
use anyhow::Context as _;

use crate::{
    args::{Status, WebhooksCommand},
    banner::say,
    refusal::Result,
};

/// Deliveries of one request.
const PAGE: i64 = 100;

/// Carries out one of the commands.
///
/// Errors: the server cannot be reached, or refuses.
pub(crate) fn run(command: WebhooksCommand) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            WebhooksCommand::List { server, status, limit } => {
                let deliveries = list(&server.client().build()?, status, limit).await?;
                say(deliveries.iter().map(line).collect::<String>());
            }
            WebhooksCommand::Replay { server, run_ids, failed } => {
                let client = server.client().build()?;
                let ids = match failed {
                    true => {
                        let failed = list(&client, Some(Status::Failed), u32::MAX).await?;
                        failed.iter().map(|delivery| delivery.run_id).collect()
                    }
                    false => run_ids,
                };
                for id in ids {
                    let again = client.replay_webhook_delivery(&id).await;
                    say(line(&again.with_context(|| format!("run {id}"))?));
                }
            }
        }
        Ok(())
    })
}

/// The newest deliveries, at most `limit`.
async fn list(
    client: &Client,
    status: Option<Status>,
    limit: u32,
) -> Result<Vec<types::WebhookDelivery>> {
    let mut found = vec![];
    let limit = i64::from(limit);
    loop {
        let offset = i64::try_from(found.len())?;
        let wanted = PAGE.min(limit - offset);
        let params = params::ListWebhookDeliveries {
            status: status.map(|status| status.word().to_owned()),
            limit: Some(wanted),
            offset: Some(offset),
        };
        let page = client.list_webhook_deliveries_with(params).await?;
        let last = i64::try_from(page.len())? < wanted;
        found.extend(page);
        if last || i64::try_from(found.len())? >= limit {
            return Ok(found);
        }
    }
}

/// A delivery as a line: when, what became of it, of which run, to whom.
fn line(delivery: &types::WebhookDelivery) -> String {
    let types::WebhookDelivery { created_at, status, attempts, run_id, url, outcome, .. } =
        delivery;
    let outcome = outcome.as_deref().map(|outcome| format!("  {outcome}")).unwrap_or_default();
    format!("{created_at}  {status:<9}  {attempts} tries  {run_id}  {url}{outcome}\n")
}
