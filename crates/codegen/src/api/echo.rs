//! A service for the tests of `agent-server-api`: it answers every call with the name of the operation and the arguments
//! that arrived, so that tests see what the router made of a request.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::{Operation, ident, pascal};
use super::traits::{ARGUMENTS, signature, tags};

pub(super) fn echo(operations: &[Operation]) -> TokenStream {
    let implementations = tags(operations).into_iter().map(|tag| {
        let name = ident(&pascal(tag));
        let methods = operations.iter().filter(|operation| operation.tag == tag).map(method);
        quote! {
            impl super::#name for Echo {
                #(#methods)*
            }
        }
    });
    quote! {
        #[cfg(test)]
        pub(crate) mod echo {
            use super::*;

            /// Answers 501 with the operation's name and arguments.
            #[derive(Clone)]
            pub(crate) struct Echo;

            impl Service for Echo {
                type Error = Rejection;
            }

            #(#implementations)*
        }
    }
}

fn method(operation: &Operation) -> TokenStream {
    let (name, signature) = (&operation.name, signature(operation));
    let mut shown = Vec::new();
    for (location, argument, _) in ARGUMENTS {
        if !operation.parameters_in(location).is_empty() {
            let argument = ident(argument);
            shown.push(quote!(format!("{:?}", #argument)));
        }
    }
    match &operation.body {
        Some(body) if body.raw => shown.push(quote!(String::from_utf8_lossy(&body).into_owned())),
        Some(_) => shown.push(quote!(String::from_utf8_lossy(&body.raw).into_owned())),
        None => {}
    }
    quote! {
        #signature {
            let _ = cx;
            let shown: Vec<String> = vec![#name.to_owned(), #(#shown),*];
            async move { Err(Rejection::new(StatusCode::NOT_IMPLEMENTED, shown.join(" "))) }
        }
    }
}
