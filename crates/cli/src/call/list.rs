//! The operations, for people who look for one.

use std::fmt::Write as _;

use agent_server_api::{OPERATIONS, Operation, document};

use super::flags::command_name;

/// The end of the help of `call`: what can be called, and how.
pub(super) fn help() -> String {
    format!(
        "{}\nExamples:\n  \
         agent-server call search-assistants --limit 5\n  \
         agent-server call create-run --thread-id ID --assistant-id agent --input '{{\"messages\": []}}'\n  \
         agent-server call stream-stateless-run --assistant-id agent --input @input.json --stream-mode updates\n\n\
         agent-server call OPERATION --help tells what an operation does, takes and answers.",
        list()
    )
}

/// All operations by tag, in the order of the document.
pub(super) fn list() -> String {
    let width = OPERATIONS.iter().map(|operation| operation.name.len()).max().unwrap_or_default();
    let tags = document()["tags"].as_array().into_iter().flatten();
    let mut tags: Vec<&str> = tags.filter_map(|tag| tag["name"].as_str()).collect();
    tags.extend(OPERATIONS.iter().map(|operation| operation.tag));
    let mut text = String::new();
    for (index, tag) in tags.iter().enumerate() {
        let of_tag: Vec<&Operation> =
            OPERATIONS.iter().filter(|operation| operation.tag == *tag).collect();
        if of_tag.is_empty() || tags[..index].contains(tag) {
            continue;
        }
        let _ = writeln!(text, "{}{tag}:", if text.is_empty() { "" } else { "\n" });
        for operation in of_tag {
            let _ = writeln!(text, "  {:width$}  {}", command_name(operation), operation.summary);
        }
    }
    text
}
