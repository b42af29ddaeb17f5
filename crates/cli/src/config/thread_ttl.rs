//! Lifetime of threads that are made without one: `LANGGRAPH_THREAD_TTL`, else `checkpointer.ttl` of langgraph.json.
//!
//! `sweep_interval_minutes` and `sweep_limit` are accepted and mean nothing: threads are cleared up when they are due.
//! Source: reference/configuration.md, section 2.5.

use agent_server_domain::{
    storage::threads::{Ttl, TtlStrategy},
    threads::TtlChange,
};
use serde_json::Value;

use super::project::Project;
use crate::{
    env::{Env, upstream},
    refusal::{Refusal, Result},
};

/// The default lifetime, if there is one.
///
/// Errors: a refusal that names the variable or the section.
pub(crate) fn resolve(env: &Env, project: &Project) -> Result<Option<Ttl>> {
    if let Some(text) = env.get(upstream::LANGGRAPH_THREAD_TTL) {
        let place = format!("variable {}", upstream::LANGGRAPH_THREAD_TTL);
        let value = serde_json::from_str(text).map_err(|_| {
            Refusal::usage(format!("{place}: neither a number of minutes nor an object: {text}"))
        })?;
        return parse(&place, &value);
    }
    let section = project.sections.get("checkpointer").and_then(|section| section.get("ttl"));
    section.map_or(Ok(None), |value| parse("checkpointer.ttl of langgraph.json", value))
}

fn parse(place: &str, value: &Value) -> Result<Option<Ttl>> {
    let refuse = |cause: String| Err(Refusal::usage(format!("{place}: {cause}")).into());
    let minutes = match value {
        Value::Null => return Ok(None),
        Value::Number(minutes) => minutes.as_f64(),
        Value::Object(ttl) => match ttl.get("default_ttl") {
            None | Some(Value::Null) => None,
            Some(Value::Number(minutes)) => minutes.as_f64(),
            Some(other) => {
                return refuse(format!("default_ttl is {other}, not a number of minutes"));
            }
        },
        other => return refuse(format!("{other} is neither a number of minutes nor an object")),
    };
    let strategy = match value.get("strategy") {
        None | Some(Value::Null) => None,
        Some(word) => match word.as_str().and_then(TtlStrategy::parse) {
            Some(strategy) => Some(strategy),
            None => {
                return refuse(format!("strategy is {word}, not \"delete\" or \"keep_latest\""));
            }
        },
    };
    match (TtlChange { strategy, minutes }).apply(None) {
        Ok(ttl) => Ok(ttl),
        Err(error) => refuse(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(variable: Option<&str>, section: Value) -> Result<Option<Ttl>> {
        let variable = variable.map(|text| ("LANGGRAPH_THREAD_TTL".to_owned(), text.to_owned()));
        let sections = json!({"checkpointer": section}).as_object().unwrap().clone();
        resolve(&Env::from_pairs(variable), &Project { sections, ..Project::default() })
    }

    #[test]
    fn the_variable_wins_over_the_file() {
        let of = |strategy, minutes: i64| Some(Ttl { strategy, micros: minutes * 60_000_000 });
        let file = json!({"ttl": {"strategy": "keep_latest", "default_ttl": 10, "sweep_limit": 5}});
        let (delete, keep) = (TtlStrategy::Delete, TtlStrategy::KeepLatest);
        assert_eq!(check(None, file.clone()).unwrap(), of(keep, 10));
        assert_eq!(check(Some("3"), file.clone()).unwrap(), of(delete, 3));
        assert_eq!(check(Some(r#"{"default_ttl": 4}"#), file).unwrap(), of(delete, 4));
        assert_eq!(check(None, json!({"ttl": {"strategy": "delete"}})).unwrap(), None);
        assert_eq!(check(None, json!({})).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let cause = |variable, section| check(variable, section).unwrap_err().to_string();
        assert!(cause(Some("soon"), json!({})).starts_with("variable LANGGRAPH_THREAD_TTL: "));
        let strategy = json!({"ttl": {"strategy": "forget", "default_ttl": 1}});
        assert!(cause(None, strategy).contains("checkpointer.ttl of langgraph.json: strategy"));
        assert!(cause(None, json!({"ttl": {"default_ttl": -1}})).contains("-1"));
        assert!(cause(None, json!({"ttl": {"default_ttl": "1"}})).contains("default_ttl"));
    }
}
