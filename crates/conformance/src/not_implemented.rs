//! What this workspace's server does not do yet, see `not_implemented.json`. The server refuses it by the same list.

use std::{collections::HashSet, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

/// The list. It may only shrink: an entry that answers anything but 501 fails, and so does a 501 without an entry.
#[derive(Debug, Deserialize)]
pub(crate) struct List {
    /// Short names of operations.
    pub(crate) operations: HashSet<String>,
    /// Fields of request bodies: operation and field.
    pub(crate) fields: HashSet<(String, String)>,
}

impl List {
    /// The fields of the list that a body of an operation has. `null` asks for nothing.
    pub(crate) fn fields_in<'a>(&self, operation: &str, body: Option<&'a Value>) -> Vec<&'a str> {
        let members = body.and_then(Value::as_object).into_iter().flatten();
        members
            .filter(|(_, value)| !value.is_null())
            .filter(|(field, _)| self.fields.contains(&(operation.to_owned(), (*field).clone())))
            .map(|(field, _)| field.as_str())
            .collect()
    }
}

/// The list.
pub(crate) fn list() -> &'static List {
    static LIST: LazyLock<List> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../not_implemented.json"))
            .expect("the list has the form that the server reads too")
    });
    &LIST
}
