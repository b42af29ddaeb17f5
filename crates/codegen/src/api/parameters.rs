//! A struct each for the path, query and header parameters of an operation.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::{Location, Operation, Parameter, ident, snake};
use super::traits::{ARGUMENTS, doc_lines};

pub(super) fn structs(operation: &Operation) -> TokenStream {
    let mut code = TokenStream::new();
    for (location, argument, suffix) in ARGUMENTS {
        let parameters = operation.parameters_in(location);
        if parameters.is_empty() {
            continue;
        }
        let name = operation.type_name(suffix);
        let doc = match location {
            Location::Header => format!(" The headers that `{}` documents.", operation.name),
            _ => format!(" The {argument} parameters of `{}`.", operation.name),
        };
        let (fields, reads): (Vec<_>, Vec<_>) = parameters.into_iter().map(field).unzip();
        code.extend(quote! {
            #[doc = #doc]
            #[derive(Clone, Debug, Default, PartialEq, Eq)]
            pub struct #name { #(#fields),* }

            impl FromCall for #name {
                fn from_call(call: &Call) -> Result<Self, Rejection> {
                    Ok(Self { #(#reads),* })
                }
            }
        });
    }
    code
}

/// The field of a parameter and the expression that reads it.
///
/// Text stays text except where the document says how a bad value is answered (`x-invalid`) or which values are true
/// (`x-true`): upstream takes odd values of most parameters in stride, and so must the handlers be able to.
fn field(parameter: &Parameter) -> (TokenStream, TokenStream) {
    let name = &parameter.name;
    let field = ident(&snake(name));
    let docs = doc_lines(&parameter.description);
    let (kind, read) = match parameter.location {
        Location::Path => path(parameter),
        Location::Header => (quote!(Option<String>), quote!(call.header(#name))),
        Location::Query => query(parameter),
    };
    (quote!(#docs pub #field: #kind), quote!(#field: #read))
}

fn path(parameter: &Parameter) -> (TokenStream, TokenStream) {
    let name = &parameter.name;
    match refusal(parameter) {
        Some(refusal) if parameter.schema["format"] == "uuid" => {
            (quote!(uuid::Uuid), quote!(call.path_uuid(#name, #refusal)?))
        }
        _ => (quote!(String), quote!(call.path_text(#name))),
    }
}

fn query(parameter: &Parameter) -> (TokenStream, TokenStream) {
    let name = &parameter.name;
    match (parameter.schema["type"].as_str(), refusal(parameter)) {
        (Some("integer"), Some(refusal)) => {
            (quote!(Option<i64>), quote!(call.query_integer(#name, #refusal)?))
        }
        (Some("boolean"), _) if parameter.truths.is_some() => {
            let truths = parameter.truths.iter().flatten();
            (quote!(Option<bool>), quote!(call.query_flag(#name, &[#(#truths),*])))
        }
        (Some("array"), refusal) => {
            let choices = parameter.schema["items"]["enum"].as_array();
            let read = match (choices, refusal) {
                (Some(choices), Some(refusal)) => {
                    let choices = choices.iter().filter_map(|choice| choice.as_str());
                    quote!(call.query_choices(#name, &[#(#choices),*], #refusal)?)
                }
                _ => quote!(call.query_list(#name)),
            };
            (quote!(Vec<String>), read)
        }
        _ => (quote!(Option<String>), quote!(call.query_text(#name))),
    }
}

fn refusal(parameter: &Parameter) -> Option<TokenStream> {
    let refusal = parameter.refusal.as_ref()?;
    let (status, detail) = (refusal.status, &refusal.detail);
    Some(quote!(Refusal { status: #status, detail: #detail }))
}
