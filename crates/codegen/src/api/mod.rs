//! The server half: operation table, one trait per tag, typed parameters, response enums and the router.
//!
//! Output is the body of a module inside `agent-server-api`, which supplies everything that works alike for all
//! operations. What is generated here only connects it to the particular operation.

mod echo;
mod model;
mod parameters;
mod responses;
mod router;
mod table;
mod traits;

use proc_macro2::TokenStream;
use quote::quote;
use serde_json::Value;

use crate::{Error, document::with_responses};

/// Generates the module from the document as written, which need not be lowered.
pub(crate) fn api(document: &Value) -> Result<String, Error> {
    let operations = model::operations(&with_responses(document))?;
    let mut code = prelude();
    code.extend(table::table(&operations));
    code.extend(traits::traits(&operations));
    code.extend(operations.iter().map(parameters::structs).collect::<TokenStream>());
    code.extend(operations.iter().map(responses::response).collect::<TokenStream>());
    code.extend(router::router(&operations));
    code.extend(echo::echo(&operations));
    let file =
        syn::parse2(code).map_err(|error| Error::new(format!("generated server code: {error}")))?;
    Ok(prettyplease::unparse(&file))
}

fn prelude() -> TokenStream {
    quote! {
        use std::future::Future;

        use axum::response::{IntoResponse, Response};
        use http::StatusCode;

        use crate::extract::{Call, FromCall, Refusal};
        use crate::routes::Routes;
        use crate::{
            Body, Context, Empty, Location, Operation, Options, Parameter, Raw, Rejection, Reply, RequestBody,
            ResponseSchema, ResponseSpec, Service, types,
        };
    }
}

#[cfg(test)]
mod tests;
