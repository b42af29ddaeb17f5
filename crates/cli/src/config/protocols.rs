//! Which parts of the API are served, and what is special about the protocols beside it.

use agent_server_server::Disabled;
use serde_json::Value;

use super::project::Project;
use crate::{
    env::{Env, upstream},
    refusal::Result,
};

/// What is served.
#[derive(Clone, Debug, Default)]
pub(crate) struct Protocols {
    /// Parts that are not.
    pub(crate) disabled: Disabled,
    /// Settings of the Agent2Agent protocol.
    pub(crate) a2a: agent_server_server::A2aOptions,
}

impl Protocols {
    /// Reads the `http` section of the project, and upstream's variables.
    ///
    /// Errors: a refusal that names the variable.
    pub(crate) fn resolve(env: &Env, project: &Project) -> Result<Self> {
        let http = project.sections.get("http");
        let is_set = |key: &str| http.and_then(|http| http.get(key)) == Some(&Value::Bool(true));
        let tools = |list: &str| {
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        let streams_events = env.flag_or_yes(upstream::FF_V2_EVENT_STREAMING)?.unwrap_or(true);
        Ok(Self {
            disabled: Disabled {
                assistants: is_set("disable_assistants"),
                threads: is_set("disable_threads"),
                runs: is_set("disable_runs"),
                store: is_set("disable_store"),
                mcp: is_set("disable_mcp"),
                a2a: is_set("disable_a2a"),
                event_streaming: is_set("disable_event_streaming") || !streams_events,
                meta: is_set("disable_meta"),
            },
            a2a: agent_server_server::A2aOptions {
                default_assistant: env.get(upstream::DEFAULT_A2A_ASSISTANT_ID).map(str::to_owned),
                shown_tools: env.get(upstream::A2A_ALLOWED_TOOL_CALL_RESULTS).map(tools),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_project_switches_off_and_variables_choose() {
        let sections =
            json!({"http": {"disable_mcp": true, "disable_a2a": false, "disable_store": true}});
        let project =
            Project { sections: sections.as_object().unwrap().clone(), ..Project::default() };
        let env = Env::from_pairs([
            ("A2A_ALLOWED_TOOL_CALL_RESULTS".into(), "add, search,".into()),
            ("FF_V2_EVENT_STREAMING".into(), "No".into()),
        ]);
        let protocols = Protocols::resolve(&env, &project).unwrap();
        let off = Disabled { mcp: true, store: true, event_streaming: true, ..Disabled::default() };
        assert_eq!(protocols.disabled, off);
        assert_eq!(protocols.a2a.shown_tools, Some(vec!["add".into(), "search".into()]));
        assert_eq!(protocols.a2a.default_assistant, None);
    }
}
