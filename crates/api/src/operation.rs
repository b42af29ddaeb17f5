//! What `OPERATIONS` is made of: the document's operations as constant data.
//!
//! The table is for programs that treat all operations alike: the router, the conformance suite, the `call` command
//! and the documentation. Schemas are kept as text and looked up in [`crate::document`] by whoever needs them.

use http::{Method, StatusCode};

/// One operation of the document.
#[derive(Debug)]
pub struct Operation {
    /// Short name, also the name of the trait method: `get_run`.
    pub name: &'static str,
    /// The document's `operationId`.
    pub id: &'static str,
    /// Tag as written in the document: `Thread Runs`.
    pub tag: &'static str,
    /// Method in upper case.
    pub method: &'static str,
    /// Path template: `/threads/{thread_id}/runs/{run_id}`.
    pub path: &'static str,
    /// One line saying what the operation does.
    pub summary: &'static str,
    /// Parameters in the order of the document.
    pub parameters: &'static [Parameter],
    /// The request body, if the operation reads one.
    pub body: Option<RequestBody>,
    /// All documented answers, successes first as in the document.
    pub responses: &'static [ResponseSpec],
    /// True for routes that this server adds to the published API.
    pub extension: bool,
}

impl Operation {
    /// Looks an operation up by its short name or its `operationId`.
    pub fn find(name: &str) -> Option<&'static Self> {
        crate::OPERATIONS.iter().find(|operation| operation.name == name || operation.id == name)
    }

    /// The method as the HTTP library wants it.
    pub fn http_method(&self) -> Method {
        // The generator only emits the methods that a path item can have, all of which parse.
        Method::from_bytes(self.method.as_bytes()).unwrap_or(Method::GET)
    }

    /// The templates of all paths that it is served at.
    pub fn paths(&self) -> Vec<&'static str> {
        crate::routes::spellings(self.path)
    }

    /// The parameters that stand in `location`.
    pub fn parameters_in(&self, location: Location) -> impl Iterator<Item = &'static Parameter> {
        self.parameters.iter().filter(move |parameter| parameter.location == location)
    }

    /// The documented statuses that report a failure.
    pub fn error_statuses(&self) -> impl Iterator<Item = u16> {
        self.responses.iter().filter(|response| response.failure).map(|response| response.status)
    }

    /// The documented answer with this status and media type; `None` as media type finds the first with the status.
    pub fn response(
        &self,
        status: StatusCode,
        media_type: Option<&str>,
    ) -> Option<&'static ResponseSpec> {
        self.responses.iter().find(|response| {
            response.status == status.as_u16()
                && (media_type.is_none() || response.media_type == media_type)
        })
    }
}

/// Where a parameter is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the path template.
    Path,
    /// In the query string.
    Query,
    /// In a request header.
    Header,
}

/// One parameter of an operation.
#[derive(Debug)]
pub struct Parameter {
    /// Name on the wire.
    pub name: &'static str,
    /// Where it is sent.
    pub location: Location,
    /// Whether a request without it is refused.
    pub required: bool,
    /// Its JSON Schema, as JSON text.
    pub schema: &'static str,
    /// What it means.
    pub description: &'static str,
}

/// The request body of an operation. All bodies are JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestBody {
    /// The component schema that the body follows.
    pub component: &'static str,
    /// True where the operation speaks a protocol of its own (JSON-RPC and the like) that answers bad bodies in its own
    /// words: the handler then gets the bytes unchecked.
    pub raw: bool,
}

/// One documented answer: a status with one media type.
#[derive(Debug)]
pub struct ResponseSpec {
    /// HTTP status.
    pub status: u16,
    /// Media type; none when the answer has no body.
    pub media_type: Option<&'static str>,
    /// Shape of the body.
    pub schema: ResponseSchema,
    /// Names of the documented response headers.
    pub headers: &'static [&'static str],
    /// True for errors, also for those that carry a status below 400.
    pub failure: bool,
}

/// The shape of a response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseSchema {
    /// No body, or one that is not described.
    None,
    /// One component schema.
    Component(&'static str),
    /// An array of a component schema.
    ArrayOf(&'static str),
    /// A schema written in place, as JSON text.
    Inline(&'static str),
}
