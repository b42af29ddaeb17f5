//! One enum per operation with a variant for each documented answer.
//!
//! Failures with the common error body are not among them, they are the service's error type. Failures with a body of
//! their own are, because nothing else would check their shape.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::model::{Operation, Response, Schema, ident, pascal};
use super::traits::doc_lines;

pub(super) fn response(operation: &Operation) -> TokenStream {
    let name = operation.type_name("Response");
    let doc = format!(" The answers of `{}`.", operation.name);
    let answers: Vec<_> =
        operation.responses.iter().filter(|response| !response.is_error).collect();
    let variants: Vec<_> = answers.iter().map(|answer| Variant::of(answer, &answers)).collect();
    let definitions = variants.iter().map(Variant::definition);
    let arms = variants.iter().map(Variant::arm);
    let conversion = conversion(&name, &answers, &variants);
    quote! {
        #[doc = #doc]
        pub enum #name { #(#definitions),* }

        impl IntoResponse for #name {
            fn into_response(self) -> Response {
                match self { #(#arms),* }
            }
        }

        #conversion
    }
}

struct Variant<'a> {
    name: Ident,
    answer: &'a Response,
}

impl<'a> Variant<'a> {
    /// JSON and empty answers are named after their status, others after their media type.
    fn of(answer: &'a Response, all: &[&Response]) -> Self {
        let by_status = pascal(reason(answer.status));
        let name = match answer.media_type.as_deref() {
            None | Some("application/json") => by_status,
            Some(media_type) => {
                let kind = pascal(media_type.split('/').next_back().unwrap_or(media_type));
                let rivals = all.iter().filter(|other| other.media_type == answer.media_type);
                if rivals.count() > 1 { format!("{by_status}{kind}") } else { kind }
            }
        };
        Self { name: ident(&name), answer }
    }

    fn definition(&self) -> TokenStream {
        let name = &self.name;
        let answer = self.answer;
        let doc = doc_lines(&match &answer.media_type {
            Some(media_type) => format!("{} with `{media_type}`.", answer.status),
            None => format!("{} without a body.", answer.status),
        });
        match self.content() {
            Some(content) => quote!(#doc #name(#content)),
            None => quote!(#doc #name),
        }
    }

    fn content(&self) -> Option<TokenStream> {
        match self.answer.media_type.as_deref() {
            Some("application/json") => {
                let shape = self.answer.schema.rust_type();
                Some(quote!(Reply<#shape>))
            }
            Some(_) => Some(quote!(Raw)),
            None if !self.answer.headers.is_empty() => Some(quote!(Empty)),
            None => None,
        }
    }

    fn arm(&self) -> TokenStream {
        let name = &self.name;
        let status = ident(&reason(self.answer.status).replace([' ', '-'], "_").to_uppercase());
        let status = quote!(StatusCode::#status);
        match self.answer.media_type.as_deref() {
            Some("application/json") => quote!(Self::#name(reply) => reply.respond(#status)),
            Some(media_type) => {
                let media_type = content_type(media_type);
                quote!(Self::#name(raw) => raw.respond(#status, #media_type))
            }
            None if !self.answer.headers.is_empty() => {
                quote!(Self::#name(empty) => empty.respond(#status))
            }
            None => quote!(Self::#name => #status.into_response()),
        }
    }
}

/// `Ok(run.into())` instead of `Ok(GetRunResponse::Ok(run.into()))`, where only one answer of an operation is a success.
fn conversion(
    name: &Ident,
    answers: &[&Response],
    variants: &[Variant<'_>],
) -> Option<TokenStream> {
    let mut successes = answers.iter().zip(variants).filter(|(answer, _)| !answer.failure);
    let (answer, variant) = successes.next()?;
    if successes.next().is_some() {
        return None;
    }
    let (Some(content), variant) = (variant.content(), &variant.name) else { return None };
    // The component `null` of an untyped body says nothing, so nothing is converted into it.
    if matches!(answer.schema, Schema::None)
        && answer.media_type.as_deref() == Some("application/json")
    {
        return None;
    }
    Some(quote! {
        impl From<#content> for #name {
            fn from(content: #content) -> Self {
                Self::#variant(content)
            }
        }
    })
}

/// Text types are sent as UTF-8 and say so.
fn content_type(media_type: &str) -> String {
    match media_type.starts_with("text/") {
        true => format!("{media_type}; charset=utf-8"),
        false => media_type.to_owned(),
    }
}

/// The statuses that the document uses, under the names that both the enums and the HTTP library give them.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Payload Too Large",
        422 => "Unprocessable Entity",
        424 => "Failed Dependency",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Undocumented",
    }
}
