//! The conformance cases: what to send to each operation and what must come back, derived from the document.
//!
//! The output is data for the crate `agent-server-conformance`, one file per tag, committed so that a change of the
//! document shows what it changes in the contract. [`operation`] derives the cases of one operation: requests that must
//! succeed, path and query parameters of a wrong form, and ([`bodies`]) bodies that break one rule of their schema each.
//! The text of a refusal is the validator's own ([`wording`]). Statuses that need a story to be told first (a duplicate, a
//! busy thread) are listed as `scenarios`; the crate has them by hand and is checked against this list.

mod bodies;
mod case;
mod operation;
mod print;
mod sample;
mod schema;
#[cfg(test)]
mod tests;
mod wording;

use serde_json::Value;

use crate::{Error, document::with_responses};

/// The files of `crates/conformance/tests/generated/`: name and text.
///
/// # Errors
/// An operation has no name or no example, or a schema cannot be compiled.
pub fn conformance(document: &Value) -> Result<Vec<(String, String)>, Error> {
    let mut tags: Vec<(String, Vec<operation::Cases>)> = Vec::new();
    for cases in operation::all(&with_responses(document))? {
        match tags.iter_mut().find(|(tag, _)| *tag == cases.tag) {
            Some((_, list)) => list.push(cases),
            None => tags.push((cases.tag.clone(), vec![cases])),
        }
    }
    let stem = |tag: &str| tag.to_lowercase().replace(' ', "_");
    let mut files: Vec<_> = tags
        .iter()
        .map(|(tag, operations)| (format!("{}.json", stem(tag)), print::tag(tag, operations)))
        .collect();
    files.sort();
    let index = print::index(files.iter().map(|(name, _)| name.as_str()));
    files.push(("mod.rs".to_owned(), index));
    Ok(files)
}
