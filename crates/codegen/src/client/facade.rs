//! The methods that people call: thin ones over those of progenitor.
//!
//! They return the body instead of a wrapped answer and the client's own error; optional parameters are a struct with a
//! default; operations that answer with events return a stream that continues by itself.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use serde_json::Value;
use syn::{File, FnArg, GenericArgument, ImplItem, Item, Pat, PathArguments, ReturnType, Type};

use super::syntax;
use crate::{
    Error,
    document::{self, Operation},
};

/// What progenitor made of an operation.
struct Raw {
    /// Name and type of the arguments behind `self`.
    arguments: Vec<(Ident, Type)>,
    /// The type of the body.
    output: Type,
}

/// How the answer of an operation is handed out.
enum Answer {
    /// As a stream that continues after a broken connection.
    RunStream,
    /// As a stream of one connection.
    EventStream,
    /// As a body of this type; `true` if it is inside a struct with one unnamed field.
    Body(Type, bool),
    /// As a body that may be missing; its component, and the type inside of it if it is such a struct.
    MaybeBody(Ident, Option<Type>),
    /// As it is.
    Raw,
}

/// The items to add to the module: an `impl` of the client, module `params`, table `ACCEPT`.
pub(super) fn facade(file: &File, document: &Value) -> Result<TokenStream, Error> {
    let raw = raw_methods(file);
    let wrapped = syntax::transparent_structs(file);
    let (mut methods, mut structs, mut accepts) = (vec![], vec![], vec![]);
    for operation in document::operations(document) {
        let name = operation.short_name()?;
        let raw = raw.get(&name).ok_or_else(|| {
            Error::new(format!("{}: no method {name} was generated", operation.place()))
        })?;
        let answer = answer(&operation, raw, &wrapped);
        methods.push(method(&operation, &name, raw, &answer)?);
        structs.extend(params(&operation, &name, raw));
        if is_bytes(&raw.output) && !media_types(&operation).is_empty() {
            let accept = media_types(&operation).join(", ");
            accepts.push(quote!((#name, #accept)));
        }
    }
    Ok(quote! {
        /// Operation and media types, for answers that are not JSON of one shape.
        pub(crate) const ACCEPT: &[(&str, &str)] = &[#(#accepts),*];

        /// Optional parameters.
        pub mod params { #(#structs)* }

        impl crate::Client { #(#methods)* }
    })
}

/// The methods of progenitor's client.
fn raw_methods(file: &File) -> BTreeMap<String, Raw> {
    let blocks = file.items.iter().filter_map(|item| match item {
        Item::Impl(block) if block.trait_.is_none() => Some(&block.items),
        _ => None,
    });
    let functions = blocks.flatten().filter_map(|item| match item {
        ImplItem::Fn(function) if function.sig.asyncness.is_some() => Some(&function.sig),
        _ => None,
    });
    functions
        .filter_map(|signature| {
            let arguments = signature.inputs.iter().filter_map(|argument| match argument {
                FnArg::Typed(argument) => match &*argument.pat {
                    Pat::Ident(name) => Some((name.ident.clone(), without_lifetime(&argument.ty))),
                    _ => None,
                },
                FnArg::Receiver(_) => None,
            });
            let ReturnType::Type(_, result) = &signature.output else { return None };
            // Result<ResponseValue<T>, …>
            let output = syntax::argument(syntax::argument(result)?)?.clone();
            Some((signature.ident.to_string(), Raw { arguments: arguments.collect(), output }))
        })
        .collect()
}

fn answer(operation: &Operation<'_>, raw: &Raw, wrapped: &BTreeMap<String, Type>) -> Answer {
    let media_types = media_types(operation);
    if media_types == ["text/event-stream"] {
        let continues = operation.method == "get"
            || operation
                .successes()
                .any(|(_, response)| response["headers"].get("Location").is_some());
        return if continues { Answer::RunStream } else { Answer::EventStream };
    }
    if !is_bytes(&raw.output) {
        let inner = syntax::last_ident(&raw.output).and_then(|name| wrapped.get(&name.to_string()));
        return match inner {
            Some(inner) => Answer::Body(inner.clone(), true),
            None => Answer::Body(raw.output.clone(), false),
        };
    }
    let component = operation.successes().find_map(|(_, response)| {
        document::ref_name(&response["content"]["application/json"]["schema"])
    });
    match component {
        Some(component) if media_types == ["application/json"] => {
            Answer::MaybeBody(format_ident!("{component}"), wrapped.get(component).cloned())
        }
        _ => Answer::Raw,
    }
}

fn method(
    operation: &Operation<'_>,
    name: &str,
    raw: &Raw,
    answer: &Answer,
) -> Result<TokenStream, Error> {
    let output = match answer {
        Answer::RunStream => quote!(crate::RunStream),
        Answer::EventStream => quote!(crate::EventStream),
        Answer::Body(kind, _) => quote!(#kind),
        Answer::MaybeBody(_, Some(kind)) => quote!(::std::option::Option<#kind>),
        Answer::MaybeBody(component, None) => quote!(::std::option::Option<types::#component>),
        Answer::Raw => quote!(crate::RawResponse),
    };
    let call = match answer {
        Answer::RunStream | Answer::EventStream => stream_call(operation, raw)?,
        _ => raw_call(name, raw),
    };
    let body = match answer {
        Answer::RunStream => quote!(crate::RunStream::open(self, #call).await),
        Answer::EventStream => quote!(crate::EventStream::open(self, #call).await),
        Answer::Body(_, false) => quote!(crate::error::body(#call).await),
        Answer::Body(_, true) => quote!(Ok(crate::error::body(#call).await?.0)),
        Answer::MaybeBody(component, inner) => {
            let unwrapped = inner.as_ref().map(|_| quote!(.map(|body| body.0)));
            quote! {
                let response = crate::RawResponse::new(crate::error::answer(#call).await?);
                let body: ::std::option::Option<types::#component> = response.json().await?;
                Ok(body #unwrapped)
            }
        }
        Answer::Raw => quote!(Ok(crate::RawResponse::new(crate::error::answer(#call).await?))),
    };
    let (optional, mut required): (Vec<_>, Vec<_>) =
        raw.arguments.iter().partition(|(_, kind)| syntax::is_option(kind));
    // The order of the document; progenitor's is the alphabet's.
    let position = |(name, _): &&(Ident, Type)| {
        let is_it = |parameter: &Value| name == &snake(document::text(&parameter["name"]));
        operation.parameters().position(is_it).unwrap_or(usize::MAX)
    };
    required.sort_by_key(position);
    let arguments = required.iter().map(|(name, kind)| quote!(#name: #kind));
    let arguments = quote!(&self #(, #arguments)*);
    let docs = docs(operation);
    let short = format_ident!("{name}");
    if optional.is_empty() {
        return Ok(quote! {
            #docs
            pub async fn #short(#arguments) -> Result<#output, crate::Error> { #body }
        });
    }
    let with = format_ident!("{name}_with");
    let params = format_ident!("{}", pascal(name));
    let names = required.iter().map(|(name, _)| quote!(#name,));
    let doc = format!(" Like [`{name}`](Self::{name}), with optional parameters.");
    Ok(quote! {
        #docs
        pub async fn #short(#arguments) -> Result<#output, crate::Error> {
            self.#with(#(#names)* params::#params::default()).await
        }

        #[doc = #doc]
        pub async fn #with(#arguments, params: params::#params) -> Result<#output, crate::Error> { #body }
    })
}

/// `self.raw.get_run(thread_id, run_id).await`
fn raw_call(name: &str, raw: &Raw) -> TokenStream {
    let name = format_ident!("{name}");
    let arguments = raw.arguments.iter().map(|(name, kind)| match syntax::option(kind) {
        None => quote!(#name),
        Some(Type::Reference(inner))
            if syntax::last_ident(&inner.elem).is_some_and(|kind| kind == "str") =>
        {
            quote!(params.#name.as_deref())
        }
        Some(Type::Reference(_)) => quote!(params.#name.as_ref()),
        Some(_) => quote!(params.#name),
    });
    quote!(self.raw.#name(#(#arguments),*).await)
}

/// The request for an event stream, put together from the document.
fn stream_call(operation: &Operation<'_>, raw: &Raw) -> Result<TokenStream, Error> {
    let (path, method) = (operation.path, format_ident!("{}", operation.method.to_uppercase()));
    let mut call = quote!(crate::call::Call::new(::reqwest::Method::#method, #path));
    for parameter in operation.parameters() {
        let wire_name = document::text(&parameter["name"]);
        let name = format_ident!("{}", snake(wire_name));
        call.extend(match document::text(&parameter["in"]) {
            "path" => quote!(.path(#wire_name, #name)),
            "query" if parameter["schema"]["type"] == "array" => {
                quote!(.query_list(#wire_name, params.#name))
            }
            "query" => quote!(.query(#wire_name, params.#name)),
            "header" if wire_name == "Last-Event-ID" => quote!(.last_event_id(params.#name)),
            "header" if wire_name == "Accept" => TokenStream::new(),
            "header" => quote!(.header(#wire_name, params.#name)),
            _ => {
                let place = operation.place();
                return Err(Error::new(format!(
                    "{place}: no rule sends parameter {wire_name} of an event stream"
                )));
            }
        });
    }
    if raw.arguments.iter().any(|(name, _)| name == "body") {
        call.extend(quote!(.body(body)));
    }
    Ok(call)
}

/// The struct of an operation's optional parameters.
fn params(operation: &Operation<'_>, name: &str, raw: &Raw) -> Option<TokenStream> {
    let fields: Vec<_> = raw
        .arguments
        .iter()
        .filter_map(|(name, kind)| Some((name, owned(syntax::option(kind)?))))
        .map(|(name, kind)| {
            let parameter = operation
                .parameters()
                .find(|parameter| name == &snake(document::text(&parameter["name"])));
            let docs =
                parameter.map(|parameter| syntax::docs(document::text(&parameter["description"])));
            quote!(#docs pub #name: ::std::option::Option<#kind>)
        })
        .collect();
    if fields.is_empty() {
        return None;
    }
    let struct_name = format_ident!("{}", pascal(name));
    let doc =
        format!(" Optional parameters of [`Client::{name}_with`](crate::Client::{name}_with).");
    Some(quote! {
        #[doc = #doc]
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct #struct_name { #(#fields),* }
    })
}

/// Summary, description, method and path, and when it fails.
fn docs(operation: &Operation<'_>) -> TokenStream {
    let mut text = format!(
        "{}.\n\n{}\n\n`{} {}`\n\n# Errors\n",
        document::text(&operation.value["summary"]).trim_end_matches('.'),
        document::text(&operation.value["description"]),
        operation.method.to_uppercase(),
        operation.path,
    );
    for (status, response) in operation.failures() {
        text.push_str(&format!("- {status}: {}\n", document::text(&response["description"])));
    }
    syntax::docs(text.trim_end_matches("\n# Errors\n"))
}

/// Media types of the successes, each once, in the order of the document.
fn media_types<'a>(operation: &Operation<'a>) -> Vec<&'a str> {
    let mut found: Vec<&str> = vec![];
    for (_, response) in operation.successes() {
        for (media_type, _) in document::entries(&response["content"]) {
            if !found.contains(&media_type.as_str()) {
                found.push(media_type);
            }
        }
    }
    found
}

fn is_bytes(kind: &Type) -> bool {
    syntax::last_ident(kind).is_some_and(|name| name == "ByteStream")
}

/// `&'a str` without `'a`, also inside `Option`.
fn without_lifetime(kind: &Type) -> Type {
    let mut kind = kind.clone();
    match &mut kind {
        Type::Reference(reference) => reference.lifetime = None,
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else {
                    continue;
                };
                for argument in &mut arguments.args {
                    if let GenericArgument::Type(inner) = argument {
                        *inner = without_lifetime(inner);
                    }
                }
            }
        }
        _ => {}
    }
    kind
}

/// `&str` as `String`, `&Vec<String>` as `Vec<String>`.
fn owned(kind: &Type) -> TokenStream {
    match kind {
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => quote!(::std::string::String),
            other => quote!(#other),
        },
        other => quote!(#other),
    }
}

fn pascal(name: &str) -> String {
    name.split('_').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect()
}

fn snake(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}
