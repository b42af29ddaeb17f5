//! The `OPERATIONS` table.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::model::{Location, Operation, Parameter, Response, Schema};

pub(super) fn table(operations: &[Operation]) -> TokenStream {
    let entries = operations.iter().map(entry);
    quote! {
        /// All operations of the document, in its order.
        pub static OPERATIONS: &[Operation] = &[#(#entries),*];
    }
}

fn entry(operation: &Operation) -> TokenStream {
    let Operation { name, id, tag, method, path, summary, extension, .. } = operation;
    let parameters = operation.parameters.iter().map(parameter);
    let body = match &operation.body {
        Some(body) => {
            let (component, raw) = (&body.component, body.raw);
            quote!(Some(RequestBody { component: #component, raw: #raw }))
        }
        None => quote!(None),
    };
    let responses = operation.responses.iter().map(response);
    quote! {
        Operation {
            name: #name,
            id: #id,
            tag: #tag,
            method: #method,
            path: #path,
            summary: #summary,
            parameters: &[#(#parameters),*],
            body: #body,
            responses: &[#(#responses),*],
            extension: #extension,
        }
    }
}

fn parameter(parameter: &Parameter) -> TokenStream {
    let Parameter { name, required, description, .. } = parameter;
    let schema = parameter.schema.to_string();
    let location = format_ident!(
        "{}",
        match parameter.location {
            Location::Path => "Path",
            Location::Query => "Query",
            Location::Header => "Header",
        }
    );
    quote! {
        Parameter {
            name: #name,
            location: Location::#location,
            required: #required,
            schema: #schema,
            description: #description,
        }
    }
}

fn response(response: &Response) -> TokenStream {
    let Response { status, headers, failure, .. } = response;
    let media_type = match &response.media_type {
        Some(media_type) => quote!(Some(#media_type)),
        None => quote!(None),
    };
    let schema = match &response.schema {
        Schema::None => quote!(ResponseSchema::None),
        Schema::Component(name) => quote!(ResponseSchema::Component(#name)),
        Schema::ArrayOf(name) => quote!(ResponseSchema::ArrayOf(#name)),
        Schema::Inline(schema) => {
            let schema = schema.to_string();
            quote!(ResponseSchema::Inline(#schema))
        }
    };
    quote! {
        ResponseSpec {
            status: #status,
            media_type: #media_type,
            schema: #schema,
            headers: &[#(#headers),*],
            failure: #failure,
        }
    }
}
