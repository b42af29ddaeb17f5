//! In which context what a request writes is encrypted: what it sends in a header, as the project sees it.
//!
//! Source: reference/auth-webhooks-encryption.md, section 5.2.

use std::sync::Arc;

use agent_server_domain::{
    auth::User,
    ports::EncryptionContexts,
    storage::{Map, encrypted::with_context},
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::{auth, error::detail_response};

const HEADER: &str = "x-encryption-context";

/// Answers a request in its context. Innermost: what is carried out in a task of its own keeps it.
pub(crate) async fn in_context(
    State(contexts): State<Arc<dyn EncryptionContexts>>,
    request: Request,
    next: Next,
) -> Response {
    if auth::is_open(request.method(), request.uri().path(), true) {
        // Nothing is stored there, and whether the server is well does not hang on a handler.
        return next.run(request).await;
    }
    let given = match request.headers().get(HEADER).map(parse).transpose() {
        Ok(given) => given.unwrap_or_default(),
        Err(why) => {
            let detail = format!("Invalid X-Encryption-Context header: {why}");
            return detail_response(StatusCode::UNPROCESSABLE_ENTITY, &detail);
        }
    };
    let context = match auth::user_of(&request) {
        Some(user) => contexts.context(&user, given).await,
        None => contexts.context(&nobody(), given).await,
    };
    with_context(context, next.run(request)).await
}

fn parse(header: &HeaderValue) -> Result<Map, String> {
    let bytes = BASE64_STANDARD.decode(header.as_bytes()).map_err(|error| error.to_string())?;
    match serde_json::from_slice(&bytes).map_err(|error| error.to_string())? {
        Value::Object(context) => Ok(context),
        _ => Err("expected base64-encoded JSON object".into()),
    }
}

/// Whom handlers see where nobody is asked who they are.
fn nobody() -> User {
    let mut user = User::named("", vec![]);
    user.fields.insert("is_authenticated".into(), json!(false));
    user
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Result<Value, &str>) {
        let found = parse(&HeaderValue::from_str(header).unwrap()).map(Value::from);
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn the_header_is_an_object_in_base64() {
        check("eyJhIjogMX0=", Ok(json!({"a": 1})));
        check("WzFd", Err("expected base64-encoded JSON object"));
        check("e30", Err("Invalid padding"));
        check("eyJh", Err("EOF while parsing a string at line 1 column 3"));
    }
}
