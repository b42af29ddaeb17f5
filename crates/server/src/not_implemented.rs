//! What the document describes and this version does not do yet.
//!
//! The list is `crates/conformance/not_implemented.json`, in one place for the server, which refuses these with 501, and for
//! the conformance suite, which demands exactly that. It may only shrink.

use std::{collections::HashSet, sync::LazyLock};

use agent_server_api::Context;
use agent_server_domain as domain;
use serde::Deserialize;

use crate::error::Error;

#[derive(Deserialize)]
struct List {
    operations: HashSet<String>,
}

static LIST: LazyLock<List> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../conformance/not_implemented.json"))
        .expect("the list is checked by a test")
});

/// The answer of an operation that is in the list.
pub fn operation(cx: &Context) -> Error {
    let name = cx.operation.name;
    debug_assert!(LIST.operations.contains(name), "{name} is not in the list");
    Error::Domain(domain::Error::NotImplemented(format!(
        "{} {} ({name}) is not implemented by this version of agent-server",
        cx.operation.method, cx.operation.path
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_operations_of_the_document() {
        for name in &LIST.operations {
            assert!(
                agent_server_api::OPERATIONS.iter().any(|operation| operation.name == name),
                "{name} is no operation"
            );
        }
    }
}
