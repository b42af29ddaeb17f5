//! SQL functions that every connection knows: the filters that SQL cannot say.

use std::sync::Arc;

use agent_server_storage::{Condition, Map, contains};
use rusqlite::{
    Connection, Error,
    functions::{Context, FunctionFlags},
    types::{Value, ValueRef},
};
use serde_json::Value as Json;

use crate::{item_filter, json_path::with_text, vault::Vault, vector, zip};

/// Registers the functions, which open what `vault` has sealed.
///
/// * `json_contains(metadata, needle)`: containment as [`contains`] decides it;
/// * `json_contains(json, needle, table)`: the same for a packed column; a null column contains nothing;
/// * `scope_allows(metadata, condition)`: whether a scope with this condition holds the row;
/// * `item_matches(value, filter)`: the filter language of the store;
/// * `item_allowed(value, condition)`: whether an item's value meets the condition of a scope;
/// * `similarity(vector, query)`: cosine of two vectors as they are stored; null where they are not of one kind;
/// * `with_text(json, table, text, path, …)`: a packed column with another string at each `path` where there is a string;
///   names of members are separated by dots, `*` is every element;
/// * `fold(text)`: lower case in every script, for comparing without regard to case.
pub(crate) fn register(connection: &Connection, vault: &Arc<Vault>) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    let own = Arc::clone(vault);
    connection.create_scalar_function("json_contains", 2, flags, move |context| {
        let needle = context.get_or_create_aux(1, parse::<Json>)?;
        Ok(contains(&Json::Object(metadata(&own, context)?), &needle))
    })?;
    let own = Arc::clone(vault);
    connection.create_scalar_function("json_contains", 3, flags, move |context| {
        let needle = context.get_or_create_aux(1, parse::<Json>)?;
        if context.get_raw(0) == ValueRef::Null {
            return Ok(false);
        }
        let table = context.get_raw(2).as_str()?;
        let value: Json = unpack(&own, context, table, |text| serde_json::from_str(text))?
            .map_err(|error| Error::UserFunctionError(error.into()))?;
        Ok(contains(&value, &needle))
    })?;
    let own = Arc::clone(vault);
    connection.create_scalar_function("scope_allows", 2, flags, move |context| {
        let condition = context.get_or_create_aux(1, parse::<Condition>)?;
        Ok(condition.is_met_by(&metadata(&own, context)?))
    })?;
    let own = Arc::clone(vault);
    connection.create_scalar_function("item_matches", 2, flags, move |context| {
        let filter = context.get_or_create_aux(1, parse::<Map>)?;
        with_value(&own, context, |value| item_filter::matches(value, &filter))
    })?;
    let own = Arc::clone(vault);
    connection.create_scalar_function("item_allowed", 2, flags, move |context| {
        let condition = context.get_or_create_aux(1, parse::<Condition>)?;
        with_value(&own, context, |value| {
            value.as_object().is_some_and(|map| condition.is_met_by(map))
        })
    })?;
    let own = Arc::clone(vault);
    connection.create_scalar_function("similarity", 2, flags, move |context| {
        let vector = own.open("item_vector", context.get_raw(0)).map_err(failed)?;
        Ok(vector::similarity(vector.value().as_blob()?, context.get_raw(1).as_blob()?))
    })?;
    let own = Arc::clone(vault);
    connection.create_scalar_function("with_text", -1, flags, move |context| {
        if context.get_raw(0) == ValueRef::Null {
            return Ok(Value::Null);
        }
        let (table, text) = (context.get_raw(1).as_str()?, context.get_raw(2).as_str()?);
        let mut json = unpack(&own, context, table, str::to_owned)?;
        for argument in 3..context.len() {
            let path: Vec<_> = context.get_raw(argument).as_str()?.split('.').collect();
            json = with_text(&json, &path, text)
                .map_err(|error| Error::UserFunctionError(error.into()))?;
        }
        let packed = zip::pack_text(&json);
        // As it was before: the metadata of a checkpoint is no content.
        let sealed = match Vault::is_hooked(context.get_raw(0)) {
            true => own.seal_content(table, packed).map_err(|error| failed(error.to_string()))?,
            false => own.seal(table, packed),
        };
        Ok(match sealed {
            zip::Json::Text(text) => Value::Text(text.to_owned()),
            zip::Json::Blob(bytes) => Value::Blob(bytes),
        })
    })?;
    connection.create_scalar_function("fold", 1, flags, |context| {
        Ok(context.get_raw(0).as_str()?.to_lowercase())
    })
}

/// The second argument is the same for every row of a query: it is read once.
fn parse<T: serde::de::DeserializeOwned>(
    argument: ValueRef<'_>,
) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
    Ok(serde_json::from_str(argument.as_str()?)?)
}

/// What `judge` says of an item's value. One that cannot be read (half a surrogate pair, a number that is too large) is kept
/// for whoever wrote it, and fits nothing.
fn with_value(
    vault: &Vault,
    context: &Context<'_>,
    judge: impl FnOnce(&Json) -> bool,
) -> rusqlite::Result<bool> {
    let value = unpack(vault, context, "item", |text| serde_json::from_str::<Json>(text))?;
    Ok(value.is_ok_and(|value| judge(&value)))
}

/// The first argument, a packed column of `table`.
fn unpack<T>(
    vault: &Vault,
    context: &Context<'_>,
    table: &str,
    read: impl FnOnce(&str) -> T,
) -> rusqlite::Result<T> {
    let opened = vault.open(table, context.get_raw(0)).map_err(failed)?;
    zip::unpack_text(opened.value(), read).map_err(failed)
}

/// The first argument, a column of metadata.
fn metadata(vault: &Vault, context: &Context<'_>) -> rusqlite::Result<Map> {
    let mut map: Map = serde_json::from_str(context.get_raw(0).as_str()?)
        .map_err(|error| Error::UserFunctionError(error.into()))?;
    vault.open_metadata(&mut map).map_err(failed)?;
    Ok(map)
}

fn failed(why: String) -> Error {
    Error::UserFunctionError(why.into())
}
