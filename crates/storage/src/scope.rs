//! Whose data a call may touch.

mod condition;

use std::sync::Arc;

use crate::Map;

pub use condition::Condition;

/// The part of the data that a call may see and change.
///
/// Every storage call on data of a tenant takes one, so that no path can forget it. It has no default, and everything is
/// only to be had by saying why: [`Scope::server`] or [`Scope::open`].
#[derive(Clone, Debug, PartialEq)]
pub struct Scope(Option<Arc<Condition>>);

impl Scope {
    /// Everything, for what the server does of its own accord or after a caller was found entitled to it: queue, sweeps,
    /// recovery, saves of a run in progress, the second half of an operation whose first half took the caller's scope.
    /// What a request names goes through the caller's scope first.
    pub const fn server() -> Self {
        Self(None)
    }

    /// Everything, for a caller on whom nothing is imposed: no authentication is configured, or whoever decides has
    /// decided so.
    pub const fn open() -> Self {
        Self(None)
    }

    /// Nothing: of a caller about whom nobody was asked yet.
    pub fn nothing() -> Self {
        Self::of(Condition::Any(vec![]))
    }

    /// Rows whose metadata meets the condition (a run is judged by its thread).
    pub fn of(condition: Condition) -> Self {
        Self(Some(Arc::new(condition)))
    }

    /// What is in this scope and meets the condition as well.
    pub fn and(self, condition: Condition) -> Self {
        match self.0 {
            None => Self::of(condition),
            Some(own) => Self::of(Condition::All(vec![Condition::clone(&own), condition])),
        }
    }

    /// What rows must meet; `None` for everything.
    pub fn condition(&self) -> Option<&Condition> {
        self.0.as_deref()
    }

    /// Whether it holds everything.
    pub fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a row with `metadata` is visible.
    pub fn allows(&self, metadata: &Map) -> bool {
        self.0.as_ref().is_none_or(|condition| condition.is_met_by(metadata))
    }
}
