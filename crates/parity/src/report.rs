//! What was found, for people.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use crate::{
    compare::{Difference, scrub},
    scenario::Scenario,
};

/// Characters of a value that are shown.
const WIDTH: usize = 600;

/// How a scenario ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Both servers answered the same.
    Equal,
    /// They differ as the list of deliberate differences says, in so many places.
    Deliberate(usize),
    /// Ours answers 501 to this call.
    NotImplemented(String),
    /// They differ otherwise.
    Differs(Vec<Difference>),
    /// The scenario cannot be played on either.
    Broken(String),
}

/// The differences of one scenario.
pub(crate) fn differences(scenario: &Scenario, found: &[Difference]) -> String {
    let mut text = format!("{}: {} differences\n", scenario.name, found.len());
    let mut step = None;
    for one in found {
        if step != Some(one.step) {
            let label = scenario.steps[one.step].label();
            let _ = writeln!(text, "  step {}: {label}", one.step + 1);
            step = Some(one.step);
        }
        let _ = writeln!(text, "    {}", if one.at.is_empty() { "/" } else { &one.at });
        let _ = writeln!(text, "      peer: {}", shown(one.peer.as_ref()));
        let _ = writeln!(text, "      ours: {}", shown(one.ours.as_ref()));
    }
    text
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "absent".to_owned();
    };
    let text = scrub(&value.to_string());
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{} … ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// Counts, and which calls are not implemented.
pub(crate) fn summary(outcomes: &[(&Scenario, Outcome)], stale: &[String]) -> String {
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|(_, one)| is(one)).count();
    let mut missing = BTreeMap::<&str, usize>::new();
    for (_, outcome) in outcomes {
        if let Outcome::NotImplemented(call) = outcome {
            *missing.entry(call).or_default() += 1;
        }
    }
    let mut text = String::new();
    if !missing.is_empty() {
        text.push_str("Not implemented yet:\n");
        for (call, number) in missing {
            let _ = writeln!(text, "  {call} ({number} scenarios)");
        }
    }
    if !stale.is_empty() {
        text.push_str("Deliberate differences that no longer occur:\n");
        for one in stale {
            let _ = writeln!(text, "  {one}");
        }
    }
    let _ = write!(
        text,
        "{} scenarios: {} equal, {} deliberately different, {} not implemented, {} different, {} broken",
        outcomes.len(),
        count(|one| *one == Outcome::Equal),
        count(|one| matches!(one, Outcome::Deliberate(_))),
        count(|one| matches!(one, Outcome::NotImplemented(_))),
        count(|one| matches!(one, Outcome::Differs(_))),
        count(|one| matches!(one, Outcome::Broken(_))),
    );
    text
}
