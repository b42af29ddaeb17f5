//! The table of the bench: what, measured, the limit it has to reach, and whether it did.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::scenario::Figures;

/// What the bare library does in one Python process (two where it says per second).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Bare {
    pub(crate) run_ms: f64,
    pub(crate) steps_ms: f64,
    pub(crate) first_token_ms: f64,
    pub(crate) token_events_per_s: f64,
    pub(crate) runs_per_s: f64,
    pub(crate) short_ms: f64,
    pub(crate) long_ms: f64,
}

/// The median of every figure over several rounds: how fast the machine is changes while one waits. `None` without rounds.
pub(crate) fn medians<T: Serialize + DeserializeOwned>(
    rounds: &[T],
) -> serde_json::Result<Option<T>> {
    if rounds.is_empty() {
        return Ok(None);
    }
    let mut columns: Vec<(String, Vec<f64>)> = vec![];
    for round in rounds {
        let figures: Map<String, Value> = serde_json::from_value(serde_json::to_value(round)?)?;
        for (at, (name, figure)) in figures.into_iter().enumerate() {
            if at == columns.len() {
                columns.push((name, vec![]));
            }
            columns[at].1.extend(figure.as_f64());
        }
    }
    let median = |(name, mut values): (String, Vec<f64>)| {
        values.sort_unstable_by(f64::total_cmp);
        (name, Value::from(values.get(values.len() / 2).copied()))
    };
    serde_json::from_value(Value::Object(columns.into_iter().map(median).collect())).map(Some)
}

enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

struct Line {
    what: &'static str,
    value: f64,
    unit: &'static str,
    reference: String,
    goal: Goal,
}

impl Line {
    fn reached(&self) -> bool {
        match self.goal {
            Goal::AtLeast(limit) => self.value >= limit,
            Goal::AtMost(limit) => self.value <= limit,
        }
    }
}

/// Seconds that one durable write takes on the disk of the data folder: the time of a flush of 4 kB.
pub(crate) fn flush_seconds(folder: &std::path::Path) -> std::io::Result<f64> {
    use std::io::Write as _;
    let path = folder.join("flush");
    let mut file = std::fs::File::create(&path)?;
    let mut times = vec![];
    for _ in 0..200 {
        file.write_all(&[0; 4096])?;
        let begin = std::time::Instant::now();
        file.sync_data()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn lines(ours: &Figures, peer: Option<&Figures>, bare: &Bare, flush_s: f64) -> Vec<Line> {
    let mut lines = vec![];
    if let Some(peer) = peer {
        let mut ratio = |what, value: f64, reference: f64, factor: f64| {
            lines.push(Line {
                what,
                value,
                unit: "/s",
                reference: format!("peer {reference:.0}/s, ratio {:.1}", value / reference),
                goal: Goal::AtLeast(factor * reference),
            });
        };
        ratio("GET run, 16 connections", ours.get_run, peer.get_run, 20.0);
        ratio("GET thread, 16 connections", ours.get_thread, peer.get_thread, 20.0);
        ratio("GET state, 16 connections", ours.get_state, peer.get_state, 40.0);
        ratio("history of 10, 16 connections", ours.history, peer.history, 40.0);
        ratio("thread search, 16 connections", ours.search, peer.search, 40.0);
        if flush_s < 0.0005 {
            ratio(
                "create thread (durable), 16 connections",
                ours.create_thread,
                peer.create_thread,
                20.0,
            );
        }
        ratio("trivial runs/wait, 16 clients", ours.runs_per_s, peer.runs_per_s, 30.0);
        if flush_s < 0.0005 {
            ratio("store put (durable), 16 connections", ours.store_put, peer.store_put, 10.0);
        }
    }
    if flush_s >= 0.0005 {
        lines.push(Line {
            what: "create thread (durable), 16 connections",
            value: ours.create_thread,
            unit: "/s",
            reference: format!("16 ÷ flush = {:.0}/s", 16.0 / flush_s),
            goal: Goal::AtLeast(0.7 * 16.0 / flush_s),
        });
    }
    if flush_s >= 0.0005 {
        lines.push(Line {
            what: "store put (durable), 16 connections",
            value: ours.store_put,
            unit: "/s",
            reference: format!("16 ÷ flush = {:.0}/s", 16.0 / flush_s),
            goal: Goal::AtLeast(0.7 * 16.0 / flush_s),
        });
    }
    let mut line = |what, value, unit, reference, goal| {
        lines.push(Line { what, value, unit, reference, goal })
    };
    line(
        "GET run beside our own /ok",
        ours.get_run,
        "/s",
        format!("/ok {:.0}/s", ours.ok),
        Goal::AtLeast(0.6 * ours.ok),
    );
    line("GET run, p99", ours.get_run_p99_ms, "ms", String::new(), Goal::AtMost(5.0));
    let reference = format!("bare {:.2} ms", bare.run_ms);
    line(
        "trivial runs/wait, one client",
        ours.run_ms,
        "ms",
        reference,
        Goal::AtMost(2.0 * bare.run_ms + 2.0),
    );
    let reference = format!("2 bare processes {:.0}/s", bare.runs_per_s);
    line(
        "trivial runs/wait, 16 clients",
        ours.runs_per_s,
        "/s",
        reference,
        Goal::AtLeast(0.6 * bare.runs_per_s),
    );
    let reference = format!("bare {:.0} ms", bare.steps_ms);
    line("100 supersteps", ours.steps_ms, "ms", reference, Goal::AtMost(1.4 * bare.steps_ms));
    let reference = format!("bare {:.2} ms", bare.first_token_ms);
    line(
        "first token",
        ours.first_token_ms,
        "ms",
        reference,
        Goal::AtMost(bare.first_token_ms + 3.0),
    );
    let reference = format!("2 bare processes that encode {:.0}/s", bare.token_events_per_s);
    line(
        "token events, 16 streams",
        ours.token_events_per_s,
        "/s",
        reference,
        Goal::AtLeast(0.7 * bare.token_events_per_s),
    );
    let (growth, bare_growth) = (ours.long_ms / ours.short_ms, bare.long_ms / bare.short_ms);
    let reference = format!(
        "{:.2} → {:.2} ms; bare {:.2} → {:.2} ms",
        ours.short_ms, ours.long_ms, bare.short_ms, bare.long_ms
    );
    let goal = Goal::AtMost(bare_growth);
    line("run and state read, 10 → 1,000 messages", growth, "×", reference, goal);
    let reference = format!("among few {:.0}/s", ours.store_put);
    let goal = Goal::AtLeast(0.7 * ours.store_put);
    line("store put among a million items", ours.store_put_full, "/s", reference, goal);
    let reference = format!("among few {:.0}/s", ours.store_get);
    let goal = Goal::AtLeast(0.7 * ours.store_get);
    line("store get among a million items", ours.store_get_full, "/s", reference, goal);
    line(
        "filtered search of 5,000 among a million items",
        ours.store_search_ms,
        "ms",
        String::new(),
        Goal::AtMost(50.0),
    );
    line("chat of 500 turns on disk", ours.chat_mb, "MB", String::new(), Goal::AtMost(5.0));
    let reference = format!("was {:.2} MB", ours.chat_mb);
    let goal = Goal::AtMost(0.2 * ours.chat_mb);
    line("the same, deleted", ours.deleted_mb, "MB", reference, goal);
    line(
        "Rust graph, trivial run, 16 clients",
        ours.native_runs_per_s,
        "/s",
        String::new(),
        Goal::AtLeast(3000.0),
    );
    for (what, value) in [
        ("GET thread, known by the project's handler", ours.auth_handler),
        ("GET thread, known by an API key", ours.auth_keys),
        ("GET thread, known by a token", ours.auth_tokens),
    ] {
        line(what, value, "×", "without authentication".into(), Goal::AtMost(1.3));
    }
    let reference = "from the slot to the run".to_owned();
    let late = ours.cron_late_p99_ms;
    line("lateness of 1,000 crons, p99", late, "ms", reference, Goal::AtMost(100.0));
    let blocked = ours.blocked_ok_p99_ms;
    line("/ok while nodes block, p99", blocked, "ms", String::new(), Goal::AtMost(50.0));
    line("exec to first /ok", ours.start_ms, "ms", String::new(), Goal::AtMost(100.0));
    line("server memory, idle", ours.idle_mb, "MB", String::new(), Goal::AtMost(30.0));
    line(
        "server memory, 10,000 idle streams",
        ours.streams_mb,
        "MB",
        String::new(),
        Goal::AtMost(600.0),
    );
    // What was left out.
    lines.retain(|line| line.value > 0.0);
    lines
}

/// The table as Markdown, and how many goals were missed.
pub(crate) fn render(
    ours: &Figures,
    peer: Option<&Figures>,
    bare: &Bare,
    flush_s: f64,
) -> (String, usize) {
    let mut text = format!(
        "One disk flush: {:.2} ms\n\n| what | measured | beside | goal | reached |\n|---|---|---|---|---|\n",
        flush_s * 1e3
    );
    let mut missed = 0;
    for line in lines(ours, peer, bare, flush_s) {
        let number =
            |value: f64| if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
        let goal = match line.goal {
            Goal::AtLeast(limit) => format!("≥ {} {}", number(limit), line.unit),
            Goal::AtMost(limit) => format!("≤ {} {}", number(limit), line.unit),
        };
        let reached = line.reached();
        missed += usize::from(!reached);
        let mark = if reached { "yes" } else { "**no**" };
        let value = number(line.value);
        text += &format!(
            "| {} | {value} {} | {} | {goal} | {mark} |\n",
            line.what, line.unit, line.reference
        );
    }
    (text, missed)
}
