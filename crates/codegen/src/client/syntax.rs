//! Small questions about Rust syntax.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{
    Fields, File, GenericArgument, Item, PathArguments, Type, TypePath, parse_quote,
    visit_mut::{VisitMut, visit_type_path_mut},
};

/// Items of a module of the file.
pub(super) fn module_items<'a>(file: &'a File, name: &str) -> &'a [Item] {
    let module = file.items.iter().find_map(|item| match item {
        Item::Mod(module) if module.ident == name => module.content.as_ref(),
        _ => None,
    });
    module.map_or(&[], |(_, items)| items)
}

/// First generic argument: `T` of `Option<T>` or `Result<T, E>`.
pub(super) fn argument(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    })
}

/// Last name of a path: `Option` of `::std::option::Option<T>`.
pub(super) fn last_ident(kind: &Type) -> Option<&Ident> {
    let Type::Path(path) = kind else { return None };
    path.path.segments.last().map(|segment| &segment.ident)
}

/// `T` of `Option<T>`.
pub(super) fn option(kind: &Type) -> Option<&Type> {
    argument(kind).filter(|_| last_ident(kind).is_some_and(|name| name == "Option"))
}

pub(super) fn is_option(kind: &Type) -> bool {
    option(kind).is_some()
}

/// Structs of module `types` with one unnamed field, and the type of that field as seen from outside of the module.
pub(super) fn transparent_structs(file: &File) -> BTreeMap<String, Type> {
    let items = module_items(file, "types");
    let names = items.iter().filter_map(|item| match item {
        Item::Struct(item) => Some(item.ident.clone()),
        Item::Enum(item) => Some(item.ident.clone()),
        _ => None,
    });
    let mut outside = Outside { names: names.collect() };
    let mut found = BTreeMap::new();
    for item in items {
        let Item::Struct(item) = item else { continue };
        let Fields::Unnamed(fields) = &item.fields else { continue };
        let Some(field) = fields.unnamed.first().filter(|_| fields.unnamed.len() == 1) else {
            continue;
        };
        let mut kind = field.ty.clone();
        outside.visit_type_mut(&mut kind);
        found.insert(item.ident.to_string(), kind);
    }
    found
}

/// Puts `types::` in front of names that are from there.
struct Outside {
    names: Vec<Ident>,
}

impl VisitMut for Outside {
    fn visit_type_path_mut(&mut self, path: &mut TypePath) {
        visit_type_path_mut(self, path);
        if let Some(name) = path.path.get_ident().filter(|name| self.names.contains(name)) {
            *path = parse_quote!(types::#name);
        }
    }
}

/// Doc attributes of a text.
pub(super) fn docs(text: &str) -> TokenStream {
    let lines = text.trim().lines().map(|line| format!(" {line}"));
    quote!(#(#[doc = #lines])*)
}
