//! Tag Thread Runs: values in a run's body that are JSON by its grammar and that no program can hold.
//!
//! Half a surrogate pair is no text, and a number may be larger than all that are stored. To refuse such a body is right, to
//! let its run fail is right, too. It must harm nothing else, and nothing may get lost without a word.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::behaviours;
use crate::{
    answer::Answer,
    request::{Payload, Request},
    session::Session,
};

behaviours! {
    wait_run: odd_input_fails_its_run_and_no_worker;
    create_run: odd_context_is_refused_or_kept;
    create_run: endless_delay_is_refused_or_waited_for;
}

const ODD: [&str; 4] = [r#""\ud800""#, r#""\udc00\ud800""#, "1e400", "[-1e400]"];

/// Sends a body that is written by hand: no JSON library writes these.
async fn send(session: &Session, operation: &str, members: &str) -> Result<Answer> {
    let thread = session.thread(serde_json::json!({})).await?;
    let mut request = Request::to(operation)?.path("thread_id", thread);
    let body = format!(r#"{{"assistant_id":"{}",{members}}}"#, session.assistant);
    request.payload = Payload::Bytes(body.into_bytes());
    session.send(&request).await
}

async fn odd_input_fails_its_run_and_no_worker(session: &Session) -> Result<()> {
    for odd in ODD {
        let input =
            format!(r#""input":{{"messages":[{{"role":"user","content":"hello","k":{odd}}}]}}"#);
        let answer = send(session, "wait_run", &input).await?;
        if answer.status == 422 {
            continue;
        }
        let result = answer.success()?;
        let message = result["__error__"]["message"].as_str().unwrap_or_default();
        ensure!(!message.contains("exceeded max attempts"), "{odd} ends workers: {message}");
    }
    Ok(())
}

async fn odd_context_is_refused_or_kept(session: &Session) -> Result<()> {
    for odd in ODD {
        let answer =
            send(session, "create_run", &format!(r#""context":{{"kept":1,"odd":{odd}}}"#)).await?;
        if answer.status == 422 {
            continue;
        }
        let context = answer.success()?["kwargs"]["context"].clone();
        ensure!(context["kept"] == 1, "with {odd} in it the context becomes {context}");
    }
    Ok(())
}

async fn endless_delay_is_refused_or_waited_for(session: &Session) -> Result<()> {
    let now = session.call(Request::to("create_thread")?.body(serde_json::json!({}))).await?;
    let answer =
        send(session, "create_run", r#""input":{"messages":"hello"},"after_seconds":1e300"#)
            .await?;
    if answer.status == 422 {
        return Ok(());
    }
    let run = answer.success()?;
    let day = |value: &Value| value["created_at"].as_str().map(|time| time[..10].to_owned());
    ensure!(
        day(&run) > day(&now),
        "after 1e300 seconds means at once: created_at is {}",
        run["created_at"]
    );
    Ok(())
}
