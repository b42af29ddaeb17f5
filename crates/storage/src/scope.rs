//! Whose data a call may touch.

use crate::{Map, contains};

/// The part of the data that a caller may see and change, decided by authentication.
///
/// Every storage call on data of a tenant takes one, so that no path can forget it. Until authentication is
/// configured every caller is [`Scope::Unrestricted`].
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scope {
    /// Everything.
    #[default]
    Unrestricted,
    /// Rows whose metadata contains this object (a run is judged by its thread).
    Metadata(Map),
}

impl Scope {
    /// Whether a row with `metadata` is visible.
    pub fn allows(&self, metadata: &Map) -> bool {
        match self {
            Self::Unrestricted => true,
            Self::Metadata(needle) => needle
                .iter()
                .all(|(key, value)| metadata.get(key).is_some_and(|found| contains(found, value))),
        }
    }
}
