//! From the operation table to an axum router.
//!
//! Three things differ from registering each operation as a route, all for the sake of clients that know upstream:
//!
//! * Upstream tries its routes in order and goes on when only the method differs, axum commits to the most exact
//!   template. `GET /threads/search` must reach `GET /threads/{thread_id}` although `POST /threads/search` is a route
//!   of its own, so routes inherit the methods of the published parameter routes that they shadow.
//! * Unknown paths and wrong methods answer JSON. Upstream's meta routes (`/ok`, `/info`, …) stand in front of its API: a
//!   method that they do not have is looked for there, and not found.
//! * The endpoints of MCP and A2A are served with and without a trailing slash, agent cards under their older name as well.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, on};
use http::Request;

use crate::Service;
use crate::extract::Call;
use crate::operation::Operation;
use crate::rejection::Rejection;

/// What can be set about the generated layer.
#[derive(Clone, Debug)]
pub struct Options {
    /// Largest request body in bytes; larger ones are answered with 413. The default is upstream's 300 MiB.
    pub body_limit: usize,
    /// Names of operations that are not served: as if the document did not have them.
    pub without: Vec<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self { body_limit: 314_572_800, without: vec![] }
    }
}

/// The tag of upstream's meta routes.
const META: &str = "System";

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;
/// Runs one operation on a request; the second argument are the path parameters that the template spells out.
type Handler = Arc<dyn Fn(Request<Body>, Fixed) -> Answer + Send + Sync>;
/// Path parameters whose values are known when the router is built.
type Fixed = Arc<[(String, String)]>;

/// Collects the handlers of all operations.
pub(crate) struct Routes<S> {
    service: S,
    options: Options,
    /// Path template, then method.
    handlers: BTreeMap<&'static str, Vec<(&'static Operation, Handler)>>,
}

impl<S: Service> Routes<S> {
    pub(crate) fn new(service: S, options: Options) -> Self {
        Self { service, options, handlers: BTreeMap::new() }
    }

    /// Adds an operation. Rejections of `run` and of the request itself become answers through the service's error.
    pub(crate) fn add<F, R>(&mut self, operation: &'static Operation, run: F)
    where
        F: Fn(S, Call) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Response, S::Error>> + Send + 'static,
    {
        if self.options.without.contains(&operation.name) {
            return;
        }
        let service = self.service.clone();
        let body_limit = self.options.body_limit;
        let handler: Handler = Arc::new(move |request, fixed| {
            let (service, run) = (service.clone(), run.clone());
            Box::pin(async move {
                let answer = match Call::new(operation, request, &fixed, body_limit).await {
                    Ok(call) => run(service, call).await,
                    Err(rejection) => Err(rejection.into()),
                };
                answer.unwrap_or_else(IntoResponse::into_response)
            })
        });
        self.handlers.entry(operation.path).or_default().push((operation, handler));
    }

    /// Builds the router. Its fallback answers unknown paths, so add routes of other origin before or replace it.
    pub(crate) fn into_router(self) -> Router {
        let mut router = Router::new();
        for template in self.handlers.keys() {
            let methods = self.methods_of(template);
            for path in spellings(template) {
                router = router.route(path, methods.clone());
            }
        }
        router.fallback(nothing_here)
    }

    /// The methods served under a template: its own, then those of the templates that it shadows, closest first.
    fn methods_of(&self, template: &str) -> MethodRouter {
        let mut shadowed: Vec<_> = self
            .handlers
            .keys()
            .filter_map(|other| Some((shadows(template, other)?, *other)))
            .collect();
        shadowed.sort_by_key(|(fixed, _)| fixed.len());
        let is_meta = self.handlers[template].iter().all(|(operation, _)| operation.tag == META);
        let mut taken = Vec::new();
        let mut methods = match is_meta {
            // Unlike a fallback, this leaves the answer without an `Allow` header.
            true => any(nothing_here),
            false => MethodRouter::new().fallback(no_such_method),
        };
        for (fixed, source) in shadowed {
            let fixed: Fixed = fixed.into();
            for (operation, handler) in &self.handlers[source] {
                let Ok(filter) = MethodFilter::try_from(operation.http_method()) else { continue };
                // Routes of our own must not change how a published path answers.
                let inherited_extension = operation.extension && !fixed.is_empty();
                if inherited_extension || taken.contains(&operation.method) {
                    continue;
                }
                taken.push(operation.method);
                let (handler, fixed) = (handler.clone(), fixed.clone());
                methods = methods.merge(on(filter, move |request| handler(request, fixed)));
            }
        }
        methods
    }
}

/// Whether every path that matches `template` also matches `other`, and the values that `other`'s parameters then have
/// where `template` spells them out. A template shadows itself, with no such values.
fn shadows(template: &str, other: &str) -> Option<Vec<(String, String)>> {
    if template.split('/').count() != other.split('/').count() {
        return None;
    }
    let mut fixed = Vec::new();
    for (segment, pattern) in template.split('/').zip(other.split('/')) {
        match parameter(pattern) {
            _ if segment == pattern => {}
            Some(name) if parameter(segment).is_none() && !segment.is_empty() => {
                fixed.push((name.to_owned(), segment.to_owned()));
            }
            _ => return None,
        }
    }
    Some(fixed)
}

fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The paths under which a template is served.
pub(crate) fn spellings(template: &'static str) -> Vec<&'static str> {
    match template {
        "/mcp" | "/mcp/" => vec!["/mcp", "/mcp/"],
        "/a2a/{assistant_id}" => vec![template, "/a2a/{assistant_id}/"],
        "/a2a/{assistant_id}/.well-known/agent-card.json" => {
            vec![template, "/a2a/{assistant_id}/.well-known/agent.json"]
        }
        _ => vec![template],
    }
}

async fn nothing_here() -> Rejection {
    Rejection::not_found()
}

async fn no_such_method() -> Rejection {
    Rejection::method_not_allowed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_segments_shadow_parameters() {
        let fixed =
            shadows("/threads/{thread_id}/runs/crons", "/threads/{thread_id}/runs/{run_id}");
        assert_eq!(fixed, Some(vec![("run_id".to_owned(), "crons".to_owned())]));
        assert_eq!(shadows("/threads/search", "/threads/search"), Some(Vec::new()));
        for (template, other) in [
            ("/threads/{thread_id}", "/threads/search"),
            ("/threads/search", "/assistants/{assistant_id}"),
            ("/runs/crons/search", "/runs/{run_id}"),
            ("/runs/", "/runs/{run_id}"),
            ("/a/{x}", "/a/{y}"),
        ] {
            assert_eq!(shadows(template, other), None, "{template} {other}");
        }
    }
}
