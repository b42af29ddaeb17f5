//! What a namespace may be.

use crate::{Error, Result};

/// The rule for labels, wherever a client names some.
///
/// # Errors
/// `Invalid` for a label that is none.
pub fn check_labels<'a>(labels: impl IntoIterator<Item = &'a String>) -> Result<()> {
    match labels.into_iter().find(|label| label.is_empty() || label.contains('.')) {
        None => Ok(()),
        Some(label) => Err(Error::Invalid(format!(
            "Namespace label '{label}' must be a non-empty string without periods"
        ))),
    }
}

/// The rules for a namespace that is written to.
pub(super) fn check_writable(namespace: &[String]) -> Result<()> {
    check_labels(namespace)?;
    match namespace.first() {
        None => Err(Error::Refused("Namespace cannot be empty.".into())),
        Some(root) if root == "langgraph" => Err(Error::Refused(format!(
            "Root label for namespace cannot be \"langgraph\". Got: {}",
            tuple(namespace)
        ))),
        Some(_) => Ok(()),
    }
}

/// Labels as Python shows a tuple of strings.
fn tuple(labels: &[String]) -> String {
    let shown: Vec<_> = labels.iter().map(|label| quoted(label)).collect();
    let comma = if labels.len() == 1 { "," } else { "" };
    format!("({}{comma})", shown.join(", "))
}

fn quoted(label: &str) -> String {
    let quote = if label.contains('\'') && !label.contains('"') { '"' } else { '\'' };
    let mut shown = String::from(quote);
    for character in label.chars() {
        match character {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            character if character == quote => shown.extend(['\\', quote]),
            character => shown.push(character),
        }
    }
    shown.push(quote);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &[&str], expected: &str) {
        let labels: Vec<_> = labels.iter().map(|&label| label.to_owned()).collect();
        let found = check_writable(&labels).err().map(|error| error.to_string());
        assert_eq!(found.unwrap_or_default(), expected, "{labels:?}");
    }

    #[test]
    fn what_is_written_needs_a_name_of_its_own() {
        check(&["a", "langgraph"], "");
        check(&[], "Namespace cannot be empty.");
        check(&["a", ""], "Namespace label '' must be a non-empty string without periods");
        check(&["a.b"], "Namespace label 'a.b' must be a non-empty string without periods");
        let root = "Root label for namespace cannot be \"langgraph\". Got: ";
        check(&["langgraph"], &format!("{root}('langgraph',)"));
        check(&["langgraph", "it's"], &format!("{root}('langgraph', \"it's\")"));
        check(&["langgraph", "'\"\\"], &format!("{root}('langgraph', '\\'\"\\\\')"));
    }
}
