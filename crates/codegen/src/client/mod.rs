//! The client crate's module: progenitor over the lowered document, then passes over its syntax tree.
//!
//! `polish` corrects what progenitor cannot be told, `facade` adds the methods that people call.

mod facade;
mod polish;
mod syntax;

use progenitor::{GenerationSettings, Generator, InterfaceStyle, TagStyle};
use schemars::schema::{InstanceType, SchemaObject};
use serde_json::Value;
use syn::File;

use crate::{Error, document::with_responses, lower};

/// Generates the module.
///
/// # Errors
/// See [`lower::lower`]; or progenitor refuses the lowered document.
pub fn generate(document: &Value) -> Result<String, Error> {
    let lowered = lower::lower(document)?;
    let document = &with_responses(document);
    let mut file = progenitor(&lowered.document)?;
    polish::polish(&mut file, &lowered)?;
    let facade: File = syn::parse2(facade::facade(&file, document)?)
        .map_err(|error| Error::new(format!("generated methods: {error}")))?;
    file.items.extend(facade.items);
    Ok(prettyplease::unparse(&file))
}

/// Positional, because it compiles in a third less time than the builder; one client for all tags.
fn progenitor(lowered: &Value) -> Result<File, Error> {
    let spec: openapiv3::OpenAPI = serde::Deserialize::deserialize(lowered)
        .map_err(|error| Error::new(format!("the lowered document is not OpenAPI 3.0: {error}")))?;
    let date_time = SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        format: Some("date-time".into()),
        ..Default::default()
    };
    let mut settings = GenerationSettings::new();
    settings.with_interface(InterfaceStyle::Positional);
    settings.with_tag(TagStyle::Merged);
    settings.with_replacement(lower::RAW_JSON, "crate::wire::RawJson", std::iter::empty());
    settings.with_conversion(date_time, "crate::wire::Timestamp", std::iter::empty());
    let tokens = Generator::new(&settings)
        .generate_tokens(&spec)
        .map_err(|error| Error::new(format!("progenitor: {error}")))?;
    syn::parse2(tokens).map_err(|error| Error::new(format!("generated client code: {error}")))
}

#[cfg(test)]
mod tests;
