//! The client crate's module: progenitor over the lowered document, then passes over its syntax tree.

use std::collections::BTreeSet;

use progenitor::{GenerationSettings, Generator, InterfaceStyle, TagStyle};
use quote::{ToTokens, format_ident, quote};
use serde_json::Value;
use syn::{Fields, File, Item, ItemStruct, PathArguments, Type, parse_quote};

use crate::{Error, lower};

/// Generates the module.
///
/// # Errors
/// See [`lower::lower`]; or progenitor refuses the lowered document.
pub fn generate(document: &Value) -> Result<String, Error> {
    let lowered = lower::lower(document)?;
    let spec: openapiv3::OpenAPI = serde_json::from_value(lowered.document)
        .map_err(|error| Error::new(format!("the lowered document is not OpenAPI 3.0: {error}")))?;
    let mut settings = GenerationSettings::new();
    settings.with_interface(InterfaceStyle::Positional);
    settings.with_tag(TagStyle::Merged);
    settings.with_replacement(lower::RAW_JSON, "crate::wire::RawJson", std::iter::empty());
    settings.with_conversion(date_time(), "crate::wire::Timestamp", std::iter::empty());
    let tokens = Generator::new(&settings)
        .generate_tokens(&spec)
        .map_err(|error| Error::new(format!("progenitor: {error}")))?;
    let mut file: File =
        syn::parse2(tokens).map_err(|error| Error::new(format!("generated client code: {error}")))?;
    polish(&mut file, &lowered.three_state);
    Ok(prettyplease::unparse(&file))
}

fn date_time() -> schemars::schema::SchemaObject {
    schemars::schema::SchemaObject {
        instance_type: Some(schemars::schema::InstanceType::String.into()),
        format: Some("date-time".into()),
        ..Default::default()
    }
}

/// Passes over the module `types`.
fn polish(file: &mut File, three_state: &BTreeSet<(String, String)>) {
    for item in &mut file.items {
        let Item::Mod(module) = item else { continue };
        if module.ident != "types" {
            continue;
        }
        let Some((_, items)) = &mut module.content else { continue };
        let mut constructors = vec![];
        for item in items.iter_mut() {
            if let Item::Struct(item) = item {
                mark_three_state(item, three_state);
                constructors.extend(constructor(item));
            }
        }
        items.extend(constructors);
    }
}

/// `Option<T>` becomes `Option<Option<T>>` where absent and null are different answers.
fn mark_three_state(item: &mut ItemStruct, three_state: &BTreeSet<(String, String)>) {
    let name = item.ident.to_string();
    let Fields::Named(fields) = &mut item.fields else { return };
    for field in &mut fields.named {
        let Some(ident) = &field.ident else { continue };
        let property = ident.to_string();
        let property = property.trim_start_matches("r#").trim_end_matches('_').to_owned();
        if !three_state.contains(&(name.clone(), property)) {
            continue;
        }
        let inner = &field.ty;
        field.ty = parse_quote!(::std::option::Option<#inner>);
        field.attrs.retain(|attribute| !attribute.path().is_ident("serde"));
        field.attrs.push(parse_quote! {
            #[serde(
                default,
                deserialize_with = "crate::wire::present",
                skip_serializing_if = "::std::option::Option::is_none"
            )]
        });
    }
}

fn is_option(kind: &Type) -> bool {
    let Type::Path(path) = kind else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == "Option")
}

/// What a constructor takes for a field: text in any form, everything else as it is.
fn argument(kind: &Type) -> (Type, bool) {
    if let Type::Path(path) = kind
        && let Some(last) = path.path.segments.last()
        && last.ident == "String"
        && matches!(last.arguments, PathArguments::None)
    {
        return (parse_quote!(impl ::std::convert::Into<::std::string::String>), true);
    }
    (kind.clone(), false)
}

/// `new` with the required fields, for structs that have both required and optional ones.
fn constructor(item: &ItemStruct) -> Option<Item> {
    let Fields::Named(fields) = &item.fields else { return None };
    let optional = fields.named.iter().filter(|field| is_option(&field.ty)).count();
    if optional == 0 || optional == fields.named.len() {
        return None;
    }
    let name = &item.ident;
    let mut arguments = vec![];
    let mut values = vec![];
    for field in &fields.named {
        let ident = field.ident.clone().unwrap_or_else(|| format_ident!("field"));
        if is_option(&field.ty) {
            values.push(quote!(#ident: ::std::option::Option::None));
            continue;
        }
        let (kind, converts) = argument(&field.ty);
        arguments.push(quote!(#ident: #kind));
        values.push(if converts { quote!(#ident: #ident.into()) } else { ident.to_token_stream() });
    }
    let doc = format!(" A `{name}` with its required fields; the others are not set.");
    Some(parse_quote! {
        impl #name {
            #[doc = #doc]
            #[allow(clippy::too_many_arguments)]
            pub fn new(#(#arguments),*) -> Self {
                Self { #(#values),* }
            }
        }
    })
}
