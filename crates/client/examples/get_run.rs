//! Creates a thread and a run on it, asks for the run until it has ended, and prints it.
//!
//! `cargo run -p agent-server-client --example get_run [BASE_URL [ASSISTANT]]`

use std::{error::Error, time::Duration};

use agent_server_client::{
    Client,
    types::{AssistantSearchRequest, RunCreateStateful, RunStatus, ThreadCreate},
    wire::RawJson,
};

/// How long to wait between two questions.
const PAUSE: Duration = Duration::from_millis(200);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the output of a program that people run")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let base_url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:2024".to_owned());
    let client = Client::new(&base_url)?;
    let assistant = match arguments.next() {
        Some(assistant) => assistant,
        None => first_assistant(&client).await?,
    };

    let thread = client.create_thread(&ThreadCreate::default()).await?;
    let input = serde_json::json!({"messages": [{"role": "user", "content": "hello"}]});
    let body = RunCreateStateful {
        input: Some(RawJson::from(input)),
        ..RunCreateStateful::new(assistant)
    };
    let mut run = client.create_run(&thread.thread_id, &body).await?;
    while matches!(run.status, RunStatus::Pending | RunStatus::Running) {
        tokio::time::sleep(PAUSE).await;
        run = client.get_run(&thread.thread_id, &run.run_id).await?;
    }
    println!("{}", serde_json::to_string_pretty(&run)?);
    Ok(())
}

async fn first_assistant(client: &Client) -> Result<String, Box<dyn Error>> {
    let search = AssistantSearchRequest { limit: Some(1), ..Default::default() };
    let found = client.search_assistants(&search).await?;
    let first = found.first().and_then(|assistant| assistant.assistant_id);
    Ok(first.ok_or("the server has no assistant")?.to_string())
}
