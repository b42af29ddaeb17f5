//! A transaction of the backend, seen through the cipher.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::Value;

use super::{
    JsonCipher, Part, context,
    fields::{self, CONTEXT, Found, Model},
    replaced::{Replaced, Stored},
};
use crate::{Map, RawJson, ReadTx, Result, WriteTx};

/// The closure's side of a transaction.
pub(super) struct View<'a, T: ?Sized> {
    pub(super) tx: &'a T,
    cipher: &'a dyn JsonCipher,
    /// Of the request.
    context: Option<Map>,
    /// Of the first row that was read: what the server does of its own accord is done for that row.
    inherited: RefCell<Option<Map>>,
    /// What is to be stored in place of what was read.
    pub(super) replaced: RefCell<Vec<Replaced>>,
}

impl<T: ReadTx + ?Sized> ReadTx for View<'_, T> {}
impl<T: WriteTx + ?Sized> WriteTx for View<'_, T> {}

/// A row that the cipher knows.
pub(super) trait Sealable: Sized {
    /// Its fields.
    const MODEL: Model;

    /// Its fields as one JSON value; they are taken out of it. Large JSON that was not encrypted stays if it is `stored`.
    ///
    /// Errors: one of them cannot be read.
    fn take(&mut self, stored: bool) -> Result<Value>;

    /// Puts them back.
    fn put(&mut self, fields: Value);

    /// How it can be stored anew; `None` for rows of which no field is ever replaced.
    fn stored(&self, fields: Value) -> Option<Stored>;
}

impl<'a, T: ?Sized> View<'a, T> {
    pub(super) fn new(tx: &'a T, cipher: &'a dyn JsonCipher, context: Option<Map>) -> Self {
        Self { tx, cipher, context, inherited: RefCell::default(), replaced: RefCell::default() }
    }

    /// Decrypts rows, all of them at once.
    pub(super) fn opened<R: Sealable>(&self, mut rows: Vec<R>) -> Result<Vec<R>> {
        let mut values = Vec::with_capacity(rows.len());
        let mut parts: Vec<(usize, Found)> = Vec::new();
        for (at, row) in rows.iter_mut().enumerate() {
            let mut value = row.take(true)?;
            parts.extend(R::MODEL.sealed_parts(&mut value).into_iter().map(|part| (at, part)));
            values.push(value);
        }
        if let Some((_, (_, first))) = parts.first() {
            self.inherited.borrow_mut().get_or_insert_with(|| first.context.clone());
        }
        let (empty, parts): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|(_, (_, part))| part.data.is_empty());
        let asked: Vec<Part> = parts.iter().map(|(_, (_, part))| part.clone()).collect();
        let answers = if asked.is_empty() { vec![] } else { self.cipher.decrypt(asked)? };
        if answers.len() != parts.len() {
            return Err(too_few());
        }
        let mut anew: BTreeMap<usize, (Value, Value)> = BTreeMap::new();
        for ((at, found), answer) in parts.iter().zip(&answers) {
            if let Some(replacement) = &answer.replacement {
                let as_it_is = || (values[*at].clone(), values[*at].clone());
                let (_, after) = anew.entry(*at).or_insert_with(as_it_is);
                fields::put_sealed(after, found, replacement.clone())?;
            }
        }
        for ((at, found), answer) in parts.iter().zip(answers) {
            fields::put_plain(&mut values[*at], found, answer.plain)?;
        }
        for (at, found) in &empty {
            fields::put_plain(&mut values[*at], found, Map::new())?;
        }
        for (at, (before, after)) in anew {
            if let (Some(before), Some(after)) = (rows[at].stored(before), rows[at].stored(after)) {
                self.replaced.borrow_mut().push(Replaced { before, after });
            }
        }
        for (row, value) in rows.iter_mut().zip(values) {
            row.put(value);
        }
        Ok(rows)
    }

    /// Decrypts a row.
    pub(super) fn opened_one<R: Sealable>(&self, row: Option<R>) -> Result<Option<R>> {
        Ok(self.opened(Vec::from_iter(row))?.pop())
    }

    /// Encrypts a row, in the context of the request, else in that which `own` says.
    pub(super) fn sealed<R: Sealable>(&self, mut row: R, own: Option<Map>) -> Result<R> {
        let context = self.context(own);
        let mut value = row.take(false)?;
        let parts = R::MODEL.plain_parts(&mut value, &context);
        let asked: Vec<Part> = parts.iter().map(|(_, part)| part.clone()).collect();
        let answers = if asked.is_empty() { vec![] } else { self.cipher.encrypt(asked)? };
        if answers.len() != parts.len() {
            return Err(too_few());
        }
        for (found, sealed) in parts.iter().zip(answers) {
            fields::put_sealed(&mut value, found, sealed)?;
        }
        // Who changes the row later, without a request, has to know it, too.
        if !context.is_empty()
            && let Some(Value::Object(metadata)) = value.get_mut("metadata")
        {
            metadata.insert(CONTEXT.into(), context.into());
        }
        row.put(value);
        Ok(row)
    }

    /// What a search compares with a field.
    pub(super) fn needle(
        &self,
        model: &Model,
        field: &'static str,
        needle: Option<&Map>,
    ) -> Result<Option<Map>> {
        let Some(needle) = needle else { return Ok(None) };
        let context = self.context(None);
        let mut row = Value::from(Map::from_iter([(field.to_owned(), needle.clone().into())]));
        let own = model.plain_parts(&mut row, &context);
        let Some((_, part)) = own.into_iter().next() else { return Ok(Some(needle.clone())) };
        let part = model.needle(field, context, part.data);
        let sealed = self.cipher.encrypt(vec![part.clone()])?.pop().ok_or_else(too_few)?;
        fields::same_keys(&part, &sealed, "encrypts")?;
        let mut needle = needle.clone();
        needle.extend(sealed);
        Ok(Some(needle))
    }

    /// The context for what is written now.
    pub(super) fn context(&self, own: Option<Map>) -> Map {
        let inherited = || self.inherited.borrow().clone();
        self.context.clone().or(own).or_else(inherited).unwrap_or_default()
    }

    /// Calls the backend, whose own ciphers are told the context.
    pub(super) fn with_blobs<O>(&self, own: Option<Map>, call: impl FnOnce() -> O) -> O {
        context::with_blobs(self.context(own), call)
    }
}

/// The context in which stored metadata was encrypted.
pub(super) fn context_of(metadata: &Map) -> Option<Map> {
    metadata.get(CONTEXT).and_then(Value::as_object).cloned()
}

/// The fields of a row on their way to the cipher and back.
#[derive(Default)]
pub(super) struct Taken(Map);

impl Taken {
    /// Small JSON.
    pub(super) fn map(mut self, name: &str, map: &mut Map) -> Self {
        self.0.insert(name.into(), std::mem::take(map).into());
        self
    }

    /// Large JSON.
    pub(super) fn json(mut self, name: &str, json: Option<&RawJson>, stored: bool) -> Result<Self> {
        // Nothing that was not encrypted is parsed: it keeps the bytes that it has.
        if let Some(json) = json.filter(|json| !stored || json.get().contains(CONTEXT)) {
            let value = json.parse().map_err(|error| {
                crate::Error::Invalid(format!("This JSON cannot be encrypted: {error}"))
            })?;
            self.0.insert(name.into(), value);
        }
        Ok(self)
    }

    pub(super) fn value(self) -> Value {
        self.0.into()
    }
}

/// Puts small JSON back.
pub(super) fn put_map(fields: &mut Value, name: &str, map: &mut Map) {
    if let Some(Value::Object(found)) = fields.get_mut(name).map(Value::take) {
        *map = found;
    }
}

/// Puts large JSON back.
pub(super) fn put_json(fields: &mut Value, name: &str, json: &mut RawJson) {
    if let Some(found) = fields.get(name) {
        *json = RawJson::of(found);
    }
}

fn too_few() -> crate::Error {
    crate::Error::Backend("the encryption did not answer for every part".into())
}
