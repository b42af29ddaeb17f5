//! What is printed.

use std::{collections::BTreeMap, time::Duration};

use crate::ledger::{Kind, Ledger};

/// Violations of one kind that are listed; the others are counted.
const LISTED: usize = 20;

/// One line of progress.
pub(crate) fn progress(ledger: &Ledger, elapsed: Duration, runs: u64) -> String {
    let counts = ledger.counts();
    let count = |what| counts.get(what).copied().unwrap_or_default();
    format!(
        "{:>4} s: {} of {runs} runs asked for, {} accepted, {} seen to end; {} servers and {} workers killed, {} violations",
        elapsed.as_secs(),
        count("runs asked for"),
        count("runs accepted"),
        ledger.ended(),
        count("servers killed"),
        count("worker processes killed"),
        ledger.violations().len(),
    )
}

/// The table, and the list of what must not have happened.
pub(crate) fn table(ledger: &Ledger, elapsed: Duration) -> String {
    let mut text = String::from("| what | number |\n|---|---|\n");
    for (what, count) in ledger.counts() {
        text += &format!("| {what} | {count} |\n");
    }
    text += &format!("| seconds | {} |\n", elapsed.as_secs());
    let mut violations: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for (kind, what) in ledger.violations() {
        violations.entry(kind).or_default().push(what);
    }
    for kind in Kind::ALL {
        let count = violations.get(&kind).map_or(0, Vec::len);
        text += &format!("| **{}** | **{count}** |\n", kind.label());
    }
    for (kind, list) in violations {
        text += &format!("\n{}:\n", kind.label());
        for what in list.iter().take(LISTED) {
            text += &format!("- {what}\n");
        }
        if list.len() > LISTED {
            text += &format!("- … and {} more\n", list.len() - LISTED);
        }
    }
    text
}
