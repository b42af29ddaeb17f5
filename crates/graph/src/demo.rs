//! The built-in demo: a chat that answers without any model or network.
//!
//! It repeats what the user says, word by word. A message that begins with `ask ` stops for a human's answer first,
//! `sleep N` waits so many milliseconds, `fail` fails.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Channel, Context, END, Failure, Graph, GraphBuilder, NodeError, START, Update, messages,
};

/// The demo graph.
pub fn graph() -> Graph {
    GraphBuilder::new("demo")
        .description(
            "Repeats what you say. `ask …` waits for your answer, `sleep 100` waits, `fail` fails.",
        )
        .channel("messages", Channel::messages())
        .node("reply", reply)
        .edge(START, "reply")
        .edge("reply", END)
        .build()
        .expect("the demo is a well-formed graph")
}

async fn reply(mut cx: Context) -> Result<Update, NodeError> {
    let last = cx.state().get("messages").and_then(|list| list.as_array()?.last());
    let said = last.map(messages::text_of).unwrap_or_default();
    let answer = match said.split_once(' ') {
        Some(("ask", question)) => {
            let answer = cx.interrupt(json!({"question": question}))?;
            let answer = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
            format!("You answered: {answer}")
        }
        Some(("sleep", millis)) => {
            tokio::time::sleep(Duration::from_millis(millis.parse()?)).await;
            format!("I slept {millis} ms.")
        }
        None if said == "fail" => {
            return Err(Failure::new("ValueError", "You asked for it.").into());
        }
        _ => format!("You said: {said}"),
    };
    let id = cx.message_id();
    for word in answer.split_inclusive(' ') {
        cx.token(&id, word);
    }
    cx.last_token(&id);
    let reply: Vec<Value> = vec![messages::ai_message(&id, &answer)];
    Ok(Update::none().set("messages", reply))
}
