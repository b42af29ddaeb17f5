//! The two refusals. A caller learns whether something was sent, which it knows, and nothing about what was wrong with it.

use agent_server_domain::auth::Refusal;

/// For every caller whose credentials do not count, whatever the reason.
const DETAIL: &str = "Invalid or missing credentials";

/// Nothing was presented.
pub(crate) fn missing() -> Refusal {
    refusal("Bearer", "no credentials")
}

/// What was presented does not count; `cause` holds no secret.
pub(crate) fn invalid(cause: impl Into<String>) -> Refusal {
    refusal("Bearer error=\"invalid_token\"", cause)
}

fn refusal(challenge: &str, cause: impl Into<String>) -> Refusal {
    Refusal {
        status: 401,
        detail: DETAIL.into(),
        headers: vec![("www-authenticate".into(), challenge.into())],
        cause: Some(cause.into()),
    }
}
