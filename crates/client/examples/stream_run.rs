//! Runs an assistant on a new thread and prints the events as they come. The stream survives broken connections.
//!
//! `cargo run -p agent-server-client --example stream_run [BASE_URL [ASSISTANT]]`

use std::error::Error;

use agent_server_client::{
    Client,
    types::{RunCreateStreamingStateful, StreamMode, StreamModes, ThreadCreate},
    wire::RawJson,
};
use futures::StreamExt;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the output of a program that people run")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let base_url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:2024".to_owned());
    let assistant = arguments.next().unwrap_or_else(|| "demo".to_owned());
    let client = Client::new(&base_url)?;

    let thread = client.create_thread(&ThreadCreate::default()).await?;
    let input = serde_json::json!({"messages": [{"role": "user", "content": "hello"}]});
    let modes = vec![StreamMode::Values, StreamMode::MessagesTuple];
    let body = RunCreateStreamingStateful {
        input: Some(RawJson::from(input)),
        stream_mode: Some(StreamModes::from(modes)),
        // Numbers the events, so that none is lost when the connection breaks.
        stream_resumable: Some(true),
        ..RunCreateStreamingStateful::new(assistant)
    };
    let mut events = client.stream_run(&thread.thread_id, &body).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        println!("{} {} {}", event.id.unwrap_or_default(), event.name, event.data);
    }
    Ok(())
}
