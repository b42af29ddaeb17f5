//! The `router` function: for each operation, how a call becomes the arguments of its method.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::{Operation, component_type, ident, pascal};
use super::traits::{ARGUMENTS, tags};

pub(super) fn router(operations: &[Operation]) -> TokenStream {
    let traits: Vec<_> = tags(operations).into_iter().map(|tag| ident(&pascal(tag))).collect();
    let routes = operations.iter().enumerate().map(route);
    quote! {
        /// Serves all operations of the document with one service.
        pub fn router<S>(service: S, options: Options) -> axum::Router
        where
            S: #(#traits)+*,
        {
            let mut routes = Routes::new(service, options);
            #(#routes)*
            routes.into_router()
        }
    }
}

fn route((index, operation): (usize, &Operation)) -> TokenStream {
    let method = operation.method_name();
    let mut reads = Vec::new();
    let mut arguments = Vec::new();
    for (location, argument, suffix) in ARGUMENTS {
        if !operation.parameters_in(location).is_empty() {
            let (argument, kind) = (ident(argument), operation.type_name(suffix));
            reads.push(quote!(let #argument = #kind::from_call(&call)?;));
            arguments.push(quote!(#argument));
        }
    }
    let mut call = quote!(call);
    if let Some(body) = &operation.body {
        call = quote!(mut call);
        let (component, kind) = (&body.component, component_type(&body.component));
        reads.push(if body.raw {
            quote!(let body = call.bytes().await?;)
        } else {
            quote!(let body = call.json::<#kind>(#component).await?;)
        });
        arguments.push(quote!(body));
    }
    quote! {
        routes.add(&OPERATIONS[#index], |service: S, #call: Call| async move {
            #(#reads)*
            let answer = service.#method(call.into_context(), #(#arguments),*).await?;
            Ok::<Response, S::Error>(answer.into_response())
        });
    }
}
