//! One trait per tag with one method per operation.
//!
//! Methods have no default bodies: an operation that the server does not implement is a compile error that prints the
//! signature to write.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::{Location, Operation, component_type, ident, pascal};

pub(super) fn traits(operations: &[Operation]) -> TokenStream {
    tags(operations)
        .into_iter()
        .map(|tag| {
            let name = ident(&pascal(tag));
            let doc = format!(" The operations tagged `{tag}`.");
            let methods = operations.iter().filter(|operation| operation.tag == tag).map(method);
            quote! {
                #[doc = #doc]
                pub trait #name: Service {
                    #(#methods)*
                }
            }
        })
        .collect()
}

/// The tags that operations have, in the order of their first operation.
pub(super) fn tags(operations: &[Operation]) -> Vec<&str> {
    let mut tags = Vec::new();
    for operation in operations {
        if !tags.contains(&operation.tag.as_str()) {
            tags.push(&operation.tag);
        }
    }
    tags
}

/// The arguments that an operation has beside its context, with the struct that each is read into.
pub(super) const ARGUMENTS: [(Location, &str, &str); 3] = [
    (Location::Path, "path", "Path"),
    (Location::Query, "query", "Query"),
    (Location::Header, "headers", "Headers"),
];

fn method(operation: &Operation) -> TokenStream {
    let (docs, signature) = (docs(operation), signature(operation));
    quote!(#docs #signature;)
}

/// `fn name(&self, …) -> …` without body or semicolon.
pub(super) fn signature(operation: &Operation) -> TokenStream {
    let name = operation.method_name();
    let mut arguments = vec![quote!(cx: Context)];
    for (location, argument, suffix) in ARGUMENTS {
        if !operation.parameters_in(location).is_empty() {
            let (argument, kind) = (ident(argument), operation.type_name(suffix));
            arguments.push(quote!(#argument: #kind));
        }
    }
    if let Some(body) = &operation.body {
        let kind = component_type(&body.component);
        arguments.push(if body.raw {
            quote!(body: bytes::Bytes)
        } else {
            quote!(body: Body<#kind>)
        });
    }
    let response = operation.type_name("Response");
    quote! {
        fn #name(&self, #(#arguments),*) -> impl Future<Output = Result<#response, Self::Error>> + Send
    }
}

fn docs(operation: &Operation) -> TokenStream {
    let mut lines = vec![operation.summary.clone(), String::new()];
    lines.extend(operation.description.lines().map(str::to_owned));
    lines.push(String::new());
    lines.push(format!("`{}`", operation.line()));
    doc_lines(&lines.join("\n"))
}

/// Text as doc comments, with empty lines never doubled and never first.
pub(super) fn doc_lines(text: &str) -> TokenStream {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if !(line.is_empty() && lines.last().is_none_or(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    let lines =
        lines.iter().map(|line| if line.is_empty() { String::new() } else { format!(" {line}") });
    quote!(#(#[doc = #lines])*)
}
