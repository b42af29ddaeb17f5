//! Who asks, and who decides that.
//!
//! An [`Authenticator`] looks at the credentials of a request before anything else does, and answers with a [`User`] or
//! a [`Refusal`]. An [`Authorizer`] is then asked about each [`Event`] of the operation and says what the user may touch:
//! a [`Scope`](crate::storage::Scope) per resource, kept in [`Caller`](crate::Caller).
//!
//! Source: reference/auth-webhooks-encryption.md, parts 1 and 2.

mod event;
pub mod filter;

use agent_server_storage::{Condition, Map};
use async_trait::async_trait;
use serde_json::Value;

pub use event::{Event, Resource};

/// An authenticated user.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Unique name; what data belong to.
    pub identity: String,
    /// What the user may do in general; rules do not read it, handlers of the project do.
    pub permissions: Vec<String>,
    /// The user as graphs see it: an object with `identity`, `is_authenticated`, `display_name` and whatever else the
    /// authenticator knows, in this order.
    pub fields: Map,
}

impl User {
    /// A user of whom nothing but the name is known.
    pub fn named(identity: impl Into<String>, permissions: Vec<String>) -> Self {
        let identity = identity.into();
        let fields = Map::from_iter([
            ("identity".to_owned(), Value::from(identity.clone())),
            ("is_authenticated".to_owned(), Value::from(true)),
            ("display_name".to_owned(), Value::from(identity.clone())),
        ]);
        Self { identity, permissions, fields }
    }
}

/// What an authenticator is shown of a request.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Upper case; `GET` for a WebSocket.
    pub method: String,
    /// Path without host and query.
    pub path: String,
    /// Query as sent, without the question mark.
    pub query: String,
    /// Names in lower case, in the order in which they were sent.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl std::fmt::Debug for Credentials {
    /// Names of headers alone, and no query: their values are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        write!(f, "Credentials({} {}, headers {names:?})", self.method, self.path)
    }
}

impl Credentials {
    /// The first header of a name (in lower case) that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// Why a request is not answered. The caller sees `status`, `detail` and `headers`; `cause` is for the log alone.
///
/// Without a detail the answer is the bare phrase of its status as plain text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusal {
    /// HTTP status that was asked for. A plain number, because handlers of a project choose it.
    pub status: u16,
    /// Text for the caller.
    pub detail: String,
    /// Headers for the caller.
    pub headers: Vec<(String, String)>,
    /// What was wrong, without any secret.
    pub cause: Option<String>,
}

impl Refusal {
    /// A failure of ours or of the project's handlers: the caller learns nothing about it.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self { status: 500, cause: Some(cause.into()), ..Self::default() }
    }

    /// Nobody can decide now.
    pub fn unavailable(detail: impl Into<String>, cause: impl Into<String>) -> Self {
        let (detail, cause) = (detail.into(), Some(cause.into()));
        Self { status: 503, detail, cause, headers: vec![] }
    }
}

/// Decides who asks.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The user of a request.
    ///
    /// # Errors
    /// The request is not to be answered.
    async fn authenticate(&self, credentials: &Credentials) -> Result<User, Refusal>;
}

/// What is allowed of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allowed {
    /// What the object must meet, whose absence the user sees otherwise; `None` for any.
    pub filter: Option<Condition>,
    /// The value as it is to be from now on; `None` where nobody changed it.
    pub value: Option<Map>,
}

/// Decides what a user may do.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Whether the user may do what `value` describes, and with which objects.
    ///
    /// # Errors
    /// Not at all.
    async fn authorize(&self, user: &User, event: Event, value: &Map) -> Result<Allowed, Refusal>;

    /// Whether there is anybody to ask about an event. Without one everything about it is allowed.
    async fn is_asked(&self, event: Event) -> Result<bool, Refusal>;
}
