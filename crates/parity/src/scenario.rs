//! Scenarios: data, so that a new one is some lines of JSON.
//!
//! A file holds an object of scenarios by name, each a list of steps. In paths, headers and bodies `{name}` stands for a
//! value that an earlier step took from its answer, `{new.name}` for a fresh UUID, `{tag}` for a text that no other
//! scenario has.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// One request, what becomes of its answer, and how long to wait.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Method and path, such as `GET /threads/{thread}`. Absent only with `finish`.
    #[serde(default)]
    pub(crate) call: String,
    /// JSON body.
    pub(crate) body: Option<Value>,
    /// Body that is no JSON.
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Values for later steps: a name and a JSON pointer into the body, or `header:<name>/<segment of its path>`.
    #[serde(default)]
    pub(crate) take: BTreeMap<String, String>,
    /// The answer is a stream of events; pointers then lead into an array of `{event, data, id}`.
    #[serde(default)]
    pub(crate) stream: bool,
    /// Hang up after so many events.
    pub(crate) events: Option<usize>,
    /// Repeat the call until these pointers lead to these values; only the last answer counts.
    #[serde(default)]
    pub(crate) until: BTreeMap<String, Value>,
    /// Seconds to wait before the call.
    #[serde(default)]
    pub(crate) pause: f64,
    /// Go on with the next step while this answer arrives, and call it so.
    pub(crate) open: Option<String>,
    /// The answer of the call that was opened under this name.
    pub(crate) finish: Option<String>,
    /// Places whose values are free, such as `/body/*/extra`.
    #[serde(default)]
    pub(crate) ignore: Vec<String>,
    /// Elements of the array in this place come in any order.
    pub(crate) any_order: Option<String>,
    /// The call only prepares something; its answer is not compared.
    #[serde(default)]
    pub(crate) silent: bool,
}

impl Step {
    /// How the step is called in reports.
    pub(crate) fn label(&self) -> String {
        match &self.finish {
            Some(name) => format!("the answer of {name}"),
            None => self.call.clone(),
        }
    }
}

/// A named list of steps.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// File and name in it: `threads/create`.
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// Reads all scenarios of a folder, in the order of their names.
pub(crate) fn read(folder: &Path) -> Result<Vec<Scenario>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut scenarios = vec![];
    for path in paths {
        let file = path.file_stem().context("a file without a name")?.to_string_lossy();
        let text = fs::read_to_string(&path)?;
        let object: serde_json::Map<String, Value> =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        for (name, steps) in object {
            let name = format!("{file}/{name}");
            let steps = serde_json::from_value(steps).with_context(|| name.clone())?;
            scenarios.push(Scenario { name, steps });
        }
    }
    for scenario in &scenarios {
        check(scenario).with_context(|| scenario.name.clone())?;
    }
    Ok(scenarios)
}

/// Refuses what can only be a slip.
fn check(scenario: &Scenario) -> Result<()> {
    ensure!(!scenario.steps.is_empty(), "no steps");
    for step in &scenario.steps {
        ensure!(
            step.finish.is_some() != step.call.contains(" /"),
            "a step is a call such as `GET /ok` or finishes one: {step:?}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_scenarios_can_be_read_and_are_many() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"));
        let scenarios = read(folder).expect("well-formed");
        let names: std::collections::BTreeSet<_> = scenarios.iter().map(|one| &one.name).collect();
        assert_eq!(names.len(), scenarios.len(), "two scenarios have one name");
        assert!(names.len() >= 150, "only {} scenarios", names.len());
    }
}
