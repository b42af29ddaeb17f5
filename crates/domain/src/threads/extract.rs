//! Picking values out of threads: paths such as `values.messages[-1].content`.
//!
//! What is found keeps the bytes that it has. Source: reference/runs-and-threads.md, 3.5.

use std::collections::HashMap;

use agent_server_storage::{RawJson, threads::Thread};

use crate::{Error, Result};

const ROOTS: [&str; 4] = ["config", "interrupts", "metadata", "values"];
/// Names that a thread has already.
const RESERVED: [&str; 10] = [
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "config",
    "status",
    "values",
    "interrupts",
    "error",
];

/// A value to pick out, and the name that it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extract {
    /// Name in the answer.
    pub alias: String,
    root: &'static str,
    /// `None` for a path that leads nowhere.
    steps: Option<Vec<Step>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    /// Negative from the end.
    Index(i64),
}

/// Reads aliases and paths, sorted by alias.
///
/// # Errors
/// `Invalid` for an alias that is no name or taken, and for a path with another root.
pub fn parse(extract: impl IntoIterator<Item = (String, String)>) -> Result<Vec<Extract>> {
    let mut pairs: Vec<_> = extract.into_iter().collect();
    pairs.sort();
    let taken: Vec<_> = pairs
        .iter()
        .filter(|(alias, _)| RESERVED.contains(&alias.as_str()))
        .map(|(alias, _)| format!("'{alias}'"))
        .collect();
    if !taken.is_empty() {
        return Err(Error::Invalid(format!(
            "Extract keys cannot use reserved field names: [{}]",
            taken.join(", ")
        )));
    }
    pairs.into_iter().map(|(alias, path)| Extract::parse(alias, &path)).collect()
}

impl Extract {
    fn parse(alias: String, path: &str) -> Result<Self> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !alias.chars().all(is_name)
            || alias.starts_with(|c: char| c.is_ascii_digit())
            || alias.is_empty()
        {
            return Err(Error::Invalid(format!(
                "Extract key '{alias}' must be a valid identifier (letters, digits, underscores)"
            )));
        }
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        let root = ROOTS.into_iter().find(|root| *root == name).ok_or_else(|| {
            Error::Invalid(format!(
                "Extract path '{path}' must start with one of: {}",
                ROOTS.join(", ")
            ))
        })?;
        Ok(Self { alias, root, steps: steps(rest) })
    }

    /// Whether the value is in one of the large columns.
    pub fn is_large(&self) -> bool {
        matches!(self.root, "values" | "interrupts")
    }

    /// The value of `thread`; `null` where the path leads nowhere.
    pub fn value(&self, thread: &Thread) -> RawJson {
        let root = match self.root {
            "config" => Some(RawJson::of(&thread.config)),
            "metadata" => Some(RawJson::of(&thread.metadata)),
            "values" => thread.values.clone(),
            _ => thread.interrupts.clone().or_else(|| Some(RawJson::trusted("{}"))),
        };
        root.zip(self.steps.as_ref())
            .and_then(|(root, steps)| steps.iter().try_fold(root, |json, step| step.of(&json)))
            .unwrap_or_else(RawJson::null)
    }
}

/// The parts after the root; `None` for what is no path.
fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = vec![];
    while !rest.is_empty() {
        let step;
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, next) = after.split_at(end);
            if key.is_empty() || key.starts_with('_') {
                return None;
            }
            (step, rest) = (Step::Key(key.to_owned()), next);
        } else {
            let (index, next) = rest.strip_prefix('[')?.split_once(']')?;
            (step, rest) = (Step::Index(index.parse().ok()?), next);
        }
        steps.push(step);
    }
    Some(steps)
}

impl Step {
    fn of(&self, json: &RawJson) -> Option<RawJson> {
        match self {
            Self::Key(key) => json.parse::<HashMap<String, RawJson>>().ok()?.remove(key),
            Self::Index(index) => {
                let mut elements: Vec<RawJson> = json.parse().ok()?;
                let len = i64::try_from(elements.len()).ok()?;
                let index = if *index < 0 { index.checked_add(len)? } else { *index };
                let index = usize::try_from(index).ok()?;
                (index < elements.len()).then(|| elements.swap_remove(index))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_server_storage::{Map, ThreadId, Timestamp};

    use super::*;
    use crate::threads::fresh_thread;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let metadata = Map::from_iter([("a".into(), 1.into())]);
        let thread = Thread {
            values: Some(RawJson::trusted(
                r#"{"n":1.50,"list":[{"x":"one"},{"x":"two"}],"_own":1,"empty":{"_":1}}"#,
            )),
            ..fresh_thread(ThreadId::from(uuid::Uuid::nil()), metadata, Timestamp::UNIX_EPOCH)
        };
        let extract = parse([("alias".into(), path.into())]).unwrap();
        assert_eq!(extract[0].value(&thread).get(), expected, "{path}");
    }

    #[test]
    fn paths_lead_through_members_and_elements() {
        check("values.n", "1.50");
        check("values.list[0].x", r#""one""#);
        check("values.list[-1].x", r#""two""#);
        check("metadata.a", "1");
        check("metadata", r#"{"a":1}"#);
        check("config", "{}");
        check("interrupts", "{}");
    }

    #[test]
    fn what_leads_nowhere_is_null() {
        for path in [
            "values.zzz",
            "values.n.x",
            "values.list[2]",
            "values.list[-3]",
            "values.list.x",
            "values.n[0]",
            "values._own",
            "values.empty._",
            "values.",
            "values[",
            "values[x]",
            "values.list[0]x",
            "values..n",
        ] {
            check(path, "null");
        }
    }

    #[test]
    fn aliases_and_roots_are_checked() {
        let refused =
            |alias: &str, path: &str| parse([(alias.into(), path.into())]).unwrap_err().to_string();
        assert_eq!(
            refused("status", "values.n"),
            "Extract keys cannot use reserved field names: ['status']"
        );
        assert_eq!(
            refused("n", "foo.n"),
            "Extract path 'foo.n' must start with one of: config, interrupts, metadata, values"
        );
        for alias in ["", "1a", "a-b", "é"] {
            assert!(refused(alias, "values").contains("must be a valid identifier"), "{alias}");
        }
    }
}
