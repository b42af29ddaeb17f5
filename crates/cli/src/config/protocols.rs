//! Protocols beside the API: which are served, and what is special about them.

use serde_json::Value;

use super::project::Project;
use crate::env::{Env, upstream};

/// Protocols beside the API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Protocols {
    /// Whether assistants are no tools of the Model Context Protocol.
    pub(crate) disable_mcp: bool,
    /// Settings of the Agent2Agent protocol.
    pub(crate) a2a: agent_server_server::A2aOptions,
}

impl Protocols {
    /// Reads the `http` section of the project, and upstream's variables.
    pub(crate) fn resolve(env: &Env, project: &Project) -> Self {
        let http = project.sections.get("http");
        let is_set = |key: &str| http.and_then(|http| http.get(key)) == Some(&Value::Bool(true));
        let tools = |list: &str| {
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        Self {
            disable_mcp: is_set("disable_mcp"),
            a2a: agent_server_server::A2aOptions {
                disabled: is_set("disable_a2a"),
                default_assistant: env.get(upstream::DEFAULT_A2A_ASSISTANT_ID).map(str::to_owned),
                shown_tools: env.get(upstream::A2A_ALLOWED_TOOL_CALL_RESULTS).map(tools),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_project_switches_off_and_variables_choose() {
        let sections = json!({"http": {"disable_mcp": true, "disable_a2a": false}});
        let project =
            Project { sections: sections.as_object().unwrap().clone(), ..Project::default() };
        let env =
            Env::from_pairs([("A2A_ALLOWED_TOOL_CALL_RESULTS".into(), "add, search,".into())]);
        let protocols = Protocols::resolve(&env, &project);
        assert_eq!((protocols.disable_mcp, protocols.a2a.disabled), (true, false));
        assert_eq!(protocols.a2a.shown_tools, Some(vec!["add".into(), "search".into()]));
        assert_eq!(protocols.a2a.default_assistant, None);
    }
}
