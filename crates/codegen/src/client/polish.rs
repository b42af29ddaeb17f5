//! Passes over what progenitor generated.

use std::collections::BTreeSet;

use proc_macro2::Ident;
use quote::{ToTokens, quote};
use serde_json::Value;
use syn::{Attribute, Field, Fields, File, ImplItem, Item, ItemStruct, LitStr, Type, parse_quote};

use super::syntax;
use crate::{
    Error,
    lower::{self, Lowered},
};

/// Applies all passes.
///
/// # Errors
/// A field that should have three states was not generated.
pub(super) fn polish(file: &mut File, lowered: &Lowered) -> Result<(), Error> {
    drop_default_client(file);
    let mut missing = lowered.three_state.clone();
    let schemas = &lowered.document["components"]["schemas"];
    for item in &mut file.items {
        let Item::Mod(module) = item else { continue };
        let Some((_, items)) = module.content.as_mut().filter(|_| module.ident == "types") else {
            continue;
        };
        let mut constructors = vec![];
        for item in items.iter_mut() {
            if let Item::Struct(item) = item {
                mark_three_state(item, &mut missing);
                let required = &schemas[item.ident.to_string()]["required"];
                constructors.extend(constructor(item, required));
            }
        }
        items.extend(constructors);
    }
    match missing.first() {
        None => Ok(()),
        Some(lower::Field { component, property, .. }) => {
            Err(Error::new(format!("no field was generated for {property} of {component}")))
        }
    }
}

/// `new` of the generated client sets a total time limit of 15 seconds, which cuts streams and waiting calls; and the hooks
/// are written by hand.
fn drop_default_client(file: &mut File) {
    file.items.retain(|item| match item {
        Item::Impl(block) => !block.trait_.as_ref().is_some_and(|(_, path, _)| {
            path.segments.last().is_some_and(|name| name.ident == "ClientHooks")
        }),
        _ => true,
    });
    for item in &mut file.items {
        let Item::Impl(block) = item else { continue };
        if block.trait_.is_none() {
            block.items.retain(
                |item| !matches!(item, ImplItem::Fn(function) if function.sig.ident == "new"),
            );
        }
    }
}

/// `Option<T>` becomes `Option<Option<T>>` where absent and null are different answers. A payload holds its own null, it only
/// must be told when to be read. Takes what it finds out of `missing`.
fn mark_three_state(item: &mut ItemStruct, missing: &mut BTreeSet<lower::Field>) {
    let component = item.ident.to_string();
    let Fields::Named(fields) = &mut item.fields else { return };
    for field in &mut fields.named {
        let Some(ident) = &field.ident else { continue };
        let renamed = field.attrs.iter().find_map(serde_name);
        let property = property(field, ident);
        let matches =
            |known: &&lower::Field| known.component == component && known.property == property;
        let Some(known) = missing.iter().find(matches).cloned() else { continue };
        missing.remove(&known);
        let reader = match known.payload {
            true => "crate::wire::payload",
            false => {
                let inner = &field.ty;
                field.ty = parse_quote!(::std::option::Option<#inner>);
                "crate::wire::present"
            }
        };
        let rename = renamed.map(|name| quote!(rename = #name,));
        field.attrs.retain(|attribute| !attribute.path().is_ident("serde"));
        field.attrs.push(parse_quote! {
            #[serde(
                #rename
                default,
                deserialize_with = #reader,
                skip_serializing_if = "::std::option::Option::is_none"
            )]
        });
    }
}

/// `name` of `#[serde(rename = "name")]`.
fn serde_name(attribute: &Attribute) -> Option<String> {
    if !attribute.path().is_ident("serde") {
        return None;
    }
    let mut found = None;
    // The other arguments have values too, which must be read to get past them.
    let _ = attribute.parse_nested_meta(|meta| {
        if let Ok(value) = meta.value() {
            let text: LitStr = value.parse()?;
            if meta.path.is_ident("rename") {
                found = Some(text.value());
            }
        }
        Ok(())
    });
    found
}

/// The name of a field on the wire.
fn property(field: &Field, ident: &Ident) -> String {
    let renamed = field.attrs.iter().find_map(serde_name);
    renamed.unwrap_or_else(|| ident.to_string().trim_start_matches("r#").to_owned())
}

/// `new` with the required fields in the order of `required`, for structs that have both required and optional ones. Structs
/// without required ones have a default, those with required ones only are written out.
fn constructor(item: &ItemStruct, required: &Value) -> Option<Item> {
    let Fields::Named(fields) = &item.fields else { return None };
    let is_option = |field: &&Field| syntax::is_option(&field.ty);
    let optional = fields.named.iter().filter(is_option).count();
    if optional == 0 || optional == fields.named.len() {
        return None;
    }
    let (mut arguments, mut values) = (vec![], vec![]);
    for field in &fields.named {
        let ident = field.ident.as_ref()?;
        if is_option(&field) {
            values.push(quote!(#ident: ::std::option::Option::None));
            continue;
        }
        let (kind, converts) = argument(&field.ty);
        let name = property(field, ident);
        let position =
            required.as_array().and_then(|names| names.iter().position(|known| *known == name));
        arguments.push((position, quote!(#ident: #kind)));
        values.push(if converts { quote!(#ident: #ident.into()) } else { ident.to_token_stream() });
    }
    arguments.sort_by_key(|(position, _)| *position);
    let arguments = arguments.into_iter().map(|(_, argument)| argument);
    let name = &item.ident;
    let doc = format!(" A `{name}` with its required fields; the others are not set.");
    Some(parse_quote! {
        impl #name {
            #[doc = #doc]
            pub fn new(#(#arguments),*) -> Self {
                Self { #(#values),* }
            }
        }
    })
}

/// What a constructor takes for a field: text and JSON in any form, everything else as it is.
fn argument(kind: &Type) -> (Type, bool) {
    match syntax::last_ident(kind) {
        Some(name) if name == "String" || name == "RawJson" => {
            (parse_quote!(impl ::std::convert::Into<#kind>), true)
        }
        _ => (kind.clone(), false),
    }
}
