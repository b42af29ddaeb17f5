//! From a case to a request, with fixtures in it.

use agent_server_api::Operation;
use anyhow::{Context, Result, bail};

use crate::{
    cases::{self, Case},
    fixtures::Fixtures,
    request::{Payload, Request},
};

/// The plain request of an operation.
pub(super) async fn plain(
    operation: &'static Operation,
    cases: &cases::Operation,
    fixtures: &mut Fixtures<'_>,
) -> Result<Request> {
    let payload = match &cases.body {
        Some(body) => Payload::Json(fixtures.fill_json(body).await?),
        None => Payload::None,
    };
    Ok(Request {
        operation,
        path: fixtures.fill_all(&cases.path).await?,
        query: cases.query.clone(),
        headers: cases.headers.clone(),
        payload,
    })
}

/// The request of a case: the plain one, changed.
pub(super) async fn request(
    operation: &'static Operation,
    cases: &cases::Operation,
    case: &Case,
    fixtures: &mut Fixtures<'_>,
) -> Result<Request> {
    let mut request = plain(operation, cases, fixtures).await?;
    request.path.extend(fixtures.fill_all(&case.path).await?);
    if let Some(name) = &case.without {
        request.query.retain(|(known, _)| known != name);
    }
    // A parameter may be repeated, so a case replaces all of its values.
    request.query.retain(|(known, _)| case.query.iter().all(|(name, _)| name != known));
    request.query.extend(case.query.iter().cloned());
    request.headers.extend(case.headers.iter().cloned());
    match (&case.body, &case.text, &case.bytes) {
        (Some(body), None, None) => {
            request.payload = Payload::Json(fixtures.fill_json(body).await?)
        }
        (None, Some(text), None) => request.payload = Payload::Bytes(text.clone().into_bytes()),
        (None, None, Some(hex)) => request.payload = Payload::Bytes(bytes(hex)?),
        (None, None, None) => {}
        _ => bail!("a case has more than one body"),
    }
    Ok(request)
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let digits = |at: usize| hex.get(at..at + 2).context("half a byte");
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits(at)?, 16).context("not hexadecimal"))
        .collect()
}
