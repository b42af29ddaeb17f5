//! The differences that are meant, `differences.json`: what, why, and in which scenarios. [`crate::page`] shows them to
//! people.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{
    compare::{Difference, scrub},
    pattern::matches,
    scenario::Scenario,
};

/// One thing that is different on purpose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// What the peer does and what ours does.
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) seen: Vec<Place>,
}

/// Where a difference is seen. `*` in patterns stands for anything.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// Names of scenarios; each must show the difference.
    pub(crate) scenarios: Vec<String>,
    /// Method and path as the scenario has them.
    #[serde(default = "anything")]
    pub(crate) call: String,
    /// Places in the answer, such as `/body/values`.
    pub(crate) at: Vec<String>,
    /// The peer's value as compact JSON with ids and times named; `absent` where there is none.
    #[serde(default = "anything")]
    pub(crate) peer: String,
    /// Our value.
    #[serde(default = "anything")]
    pub(crate) ours: String,
}

fn anything() -> String {
    "*".to_owned()
}

impl Place {
    fn covers(&self, scenario: &Scenario, difference: &Difference) -> Option<&str> {
        let value = |value: &Option<serde_json::Value>| match value {
            Some(value) => scrub(&value.to_string()),
            None => "absent".to_owned(),
        };
        let label = scenario.steps[difference.step].label();
        let here = matches(&self.call, &label)
            && self.at.iter().any(|at| matches(at, &difference.at))
            && matches(&self.peer, &value(&difference.peer))
            && matches(&self.ours, &value(&difference.ours));
        let named = self.scenarios.iter().find(|named| matches(named, &scenario.name));
        named.filter(|_| here).map(String::as_str)
    }
}

/// The list, and which of it has been seen.
pub(crate) struct List {
    entries: Vec<Entry>,
    seen: BTreeSet<(usize, usize, String)>,
}

impl List {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let entries = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Self { entries, seen: BTreeSet::new() })
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether the difference is meant; remembers that it was seen.
    pub(crate) fn covers(&mut self, scenario: &Scenario, difference: &Difference) -> bool {
        let mut covered = false;
        for (number, entry) in self.entries.iter().enumerate() {
            for (place_number, place) in entry.seen.iter().enumerate() {
                if let Some(named) = place.covers(scenario, difference) {
                    self.seen.insert((number, place_number, named.to_owned()));
                    covered = true;
                }
            }
        }
        covered
    }

    /// What stands in the list and was not seen: the entry's `what` and the scenario's name. Scenarios that were not
    /// compared to their end are left out.
    pub(crate) fn stale(&self, compared: &[String], cut_short: &[String]) -> Vec<String> {
        let mut stale = vec![];
        for (number, entry) in self.entries.iter().enumerate() {
            for (place_number, place) in entry.seen.iter().enumerate() {
                for named in &place.scenarios {
                    let key = (number, place_number, named.clone());
                    let any = |names: &[String]| names.iter().any(|name| matches(named, name));
                    if !self.seen.contains(&key) && any(compared) && !any(cut_short) {
                        stale.push(format!("{named}: {}", entry.what));
                    }
                    if !any(compared) && !any(cut_short) {
                        stale.push(format!("{named} is no scenario: {}", entry.what));
                    }
                }
            }
        }
        stale
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scenario::Step;

    #[test]
    fn an_entry_covers_what_it_says_and_is_stale_when_unseen() {
        let entry = json!({"what": "w", "why": "y", "seen": [
            {"scenarios": ["a/one", "a/two"], "call": "GET *", "at": ["/body/x*"], "peer": "absent"}
        ]});
        let entries = serde_json::from_value(json!([entry])).expect("well-formed");
        let mut list = List { entries, seen: BTreeSet::new() };
        let step = Step { call: "GET /ok".into(), ..Step::default() };
        let scenario = Scenario { name: "a/one".into(), steps: vec![step] };
        let difference = |at: &str, peer: Option<serde_json::Value>| Difference {
            step: 0,
            at: at.into(),
            peer,
            ours: Some(json!(1)),
        };
        assert!(list.covers(&scenario, &difference("/body/x/y", None)));
        assert!(!list.covers(&scenario, &difference("/body/z", None)));
        assert!(!list.covers(&scenario, &difference("/body/x", Some(json!(null)))));
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(list.stale(&names(&["a/one", "a/two"]), &[]), ["a/two: w"]);
        assert_eq!(list.stale(&names(&["a/one"]), &names(&["a/two"])), [""; 0]);
        assert_eq!(list.stale(&names(&["a/one"]), &[]), ["a/two is no scenario: w"]);
    }
}
