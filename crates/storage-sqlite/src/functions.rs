//! SQL functions that every connection knows: the filters that SQL cannot say.

use agent_server_storage::{Condition, Map, contains};
use rusqlite::{
    Connection, Error,
    functions::{Context, FunctionFlags},
    types::{Value, ValueRef},
};
use serde_json::Value as Json;

use crate::{item_filter, json_path::with_text, vector, zip};

/// Registers the functions.
///
/// * `json_contains(json, needle)`: containment as [`contains`] decides it; a null column contains nothing;
/// * `scope_allows(metadata, condition)`: whether a scope with this condition holds the row;
/// * `item_matches(value, filter)`: the filter language of the store;
/// * `item_allowed(value, condition)`: whether an item's value meets the condition of a scope;
/// * `similarity(vector, query)`: cosine of two vectors as they are stored; null where they are not of one kind;
/// * `with_text(json, path, text)`: JSON as it is stored, with another string at `path` if there is a string; names of
///   members are separated by dots, `*` is every element;
/// * `fold(text)`: lower case in every script, for comparing without regard to case.
pub(crate) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("json_contains", 2, flags, |context| {
        let needle = context.get_or_create_aux(1, parse::<Json>)?;
        with_json(context, |value| contains(value, &needle))
    })?;
    connection.create_scalar_function("scope_allows", 2, flags, |context| {
        let condition = context.get_or_create_aux(1, parse::<Condition>)?;
        with_json(context, |metadata| {
            metadata.as_object().is_some_and(|map| condition.is_met_by(map))
        })
    })?;
    connection.create_scalar_function("item_matches", 2, flags, |context| {
        let filter = context.get_or_create_aux(1, parse::<Map>)?;
        with_value(context, |value| item_filter::matches(value, &filter))
    })?;
    connection.create_scalar_function("item_allowed", 2, flags, |context| {
        let condition = context.get_or_create_aux(1, parse::<Condition>)?;
        with_value(context, |value| value.as_object().is_some_and(|map| condition.is_met_by(map)))
    })?;
    connection.create_scalar_function("similarity", 2, flags, |context| {
        Ok(vector::similarity(context.get_raw(0).as_blob()?, context.get_raw(1).as_blob()?))
    })?;
    connection.create_scalar_function("with_text", 3, flags, |context| {
        let column = context.get_raw(0);
        if column == ValueRef::Null {
            return Ok(Value::Null);
        }
        let (path, text) = (context.get_raw(1).as_str()?, context.get_raw(2).as_str()?);
        let path: Vec<_> = path.split('.').collect();
        let changed = zip::unpack_text(column, |json| with_text(json, &path, text))
            .map_err(|why| Error::UserFunctionError(why.into()))?
            .map_err(|error| Error::UserFunctionError(error.into()))?;
        Ok(match zip::pack_text(&changed) {
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
fn with_value(context: &Context<'_>, judge: impl FnOnce(&Json) -> bool) -> rusqlite::Result<bool> {
    let value = zip::unpack_text(context.get_raw(0), |text| serde_json::from_str::<Json>(text))
        .map_err(|why| Error::UserFunctionError(why.into()))?;
    Ok(value.is_ok_and(|value| judge(&value)))
}

fn with_json(context: &Context<'_>, test: impl FnOnce(&Json) -> bool) -> rusqlite::Result<bool> {
    let column = context.get_raw(0);
    if column == ValueRef::Null {
        return Ok(false);
    }
    let value: Json = zip::unpack_text(column, |text| serde_json::from_str(text))
        .map_err(|why| Error::UserFunctionError(why.into()))?
        .map_err(|error| Error::UserFunctionError(error.into()))?;
    Ok(test(&value))
}
