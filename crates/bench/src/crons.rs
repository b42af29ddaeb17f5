//! How late crons are: a thousand of them, spread over a minute.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    http::{Connection, request},
    load,
    scenario::{CONNECTIONS, Figures, unique_thread},
    target::Target,
};

/// How many there are; each fires once a minute, in a second of its own.
const CRONS: usize = 1000;
/// Until each has fired once for sure.
const LONG_ENOUGH: Duration = Duration::from_secs(65);

/// From the second that a cron is due in to the creation of its run: the 99th percentile.
pub(crate) async fn measure(target: &Target, figures: &mut Figures) -> Result<()> {
    let threads: Vec<_> = (0..CRONS).map(|_| unique_thread()).collect();
    let create = |thread: &String| {
        request("POST", "/threads", Some(&json!({"thread_id": thread}).to_string()))
    };
    load::each(target.address, CONNECTIONS, threads.iter().map(create).collect()).await?;
    let crons = threads.iter().enumerate().map(|(number, thread)| {
        let body = json!({
            "assistant_id": "native",
            "schedule": format!("* * * * * {}", number % 60),
            "input": {"messages": [{"role": "user", "content": "hi"}]},
        });
        request("POST", &format!("/threads/{thread}/runs/crons"), Some(&body.to_string()))
    });
    load::each(target.address, CONNECTIONS, crons.collect()).await?;
    tokio::time::sleep(LONG_ENOUGH).await;

    let mut connection = Connection::open(target.address).await?;
    let mut late_ms = vec![];
    for (number, thread) in threads.iter().enumerate() {
        let answer =
            connection.call(&request("GET", &format!("/threads/{thread}/runs"), None)).await?;
        let runs = answer.json()?;
        let runs = runs.as_array().context("no list of runs")?;
        ensure!(!runs.is_empty(), "a cron has not fired within {} s", LONG_ENOUGH.as_secs());
        for run in runs {
            late_ms.push(lateness_ms(run, number % 60)?);
        }
    }
    // Nothing else is measured while they fire; crons go with their threads.
    let delete = |thread: &String| request("DELETE", &format!("/threads/{thread}"), None);
    load::each(target.address, CONNECTIONS, threads.iter().map(delete).collect()).await?;
    late_ms.sort_unstable_by(f64::total_cmp);
    figures.cron_late_p99_ms = late_ms[late_ms.len() * 99 / 100];
    Ok(())
}

/// From the last time that the clock showed this second to the creation of a run.
fn lateness_ms(run: &Value, second: usize) -> Result<f64> {
    let created = run["created_at"].as_str().context("no created_at")?;
    // 2026-11-28T21:40:07.123456+00:00, without a fraction on a whole second.
    let seconds = created.get(17..).and_then(|rest| rest.strip_suffix("+00:00"));
    let seconds: f64 = seconds.with_context(|| format!("created_at {created}"))?.parse()?;
    Ok((seconds - second as f64).rem_euclid(60.0) * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_counts_from_the_second_of_the_cron() {
        let check = |created: &str, second, expected: f64| {
            let found = lateness_ms(&json!({"created_at": created}), second).expect("a time");
            assert!((found - expected).abs() < 0.01, "{created}: {found}");
        };
        check("2026-11-28T21:40:07.125000+00:00", 7, 125.0);
        check("2026-11-28T21:40:07+00:00", 7, 0.0);
        check("2026-11-28T21:41:00.500000+00:00", 59, 1500.0);
        check("2026-11-28T21:40:06.999000+00:00", 7, 59_999.0);
    }
}
