//! A validated request body as handlers see it.

use std::ops::Range;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::rejection::Rejection;
use crate::validate;

/// A request body that follows its schema, typed and as text.
///
/// The typed value cannot tell a field that was not sent from one that was sent as `null`; [`Body::has`] can. Fields
/// that belong to the user can be taken out as the bytes that were sent with [`Body::field`].
#[derive(Clone, Debug)]
pub struct Body<T> {
    /// The body as its wire type.
    pub value: T,
    /// The body as JSON text, without the keys that clients may not set.
    pub raw: Bytes,
    /// Name and place in `raw` of each member of the outermost object; empty for arrays.
    members: Vec<(String, Range<usize>)>,
}

impl<T> Body<T> {
    /// Whether the field was sent, `null` included.
    pub fn has(&self, field: &str) -> bool {
        self.range(field).is_some()
    }

    /// Whether the field was sent as `null`.
    pub fn is_null(&self, field: &str) -> bool {
        self.range(field).is_some_and(|range| &self.raw[range] == b"null")
    }

    /// The JSON text of a field as it was sent, without copying it; `None` if it was not sent.
    pub fn field(&self, field: &str) -> Option<Bytes> {
        self.range(field).map(|range| self.raw.slice(range))
    }

    /// The names of the fields that were sent, in order.
    pub fn present(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    fn range(&self, field: &str) -> Option<Range<usize>> {
        self.members.iter().find(|(name, _)| name == field).map(|(_, range)| range.clone())
    }
}

impl<T: DeserializeOwned> Body<T> {
    /// Validates `raw` against a component schema of the document and reads it.
    ///
    /// Errors: 422 with the texts of `reference/runs-and-threads.md` section 1.2.
    pub fn parse(component: &str, raw: impl Into<Bytes>) -> Result<Self, Rejection> {
        let validate::Checked { raw, members } = validate::check(component, raw.into())?;
        // The schema does not assert formats such as date-time, the types do.
        let value = serde_json::from_slice(&raw).map_err(|error| {
            Rejection::unprocessable(format!("Invalid value in request body: {error}"))
        })?;
        Ok(Self { value, raw, members })
    }
}
