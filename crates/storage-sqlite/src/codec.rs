//! Columns to values and back. A column that cannot be understood names its table and row.

use agent_server_storage::{Error, Map, RawJson, Result, Timestamp};
use bytes::Bytes;
use chrono::DateTime;
use rusqlite::types::{FromSql, ValueRef};
use uuid::Uuid;

use crate::{error::SqlResult, tx::Row, vault::Opened, zip};

/// Microseconds since 1970.
pub(crate) fn micros(time: Timestamp) -> i64 {
    time.timestamp_micros()
}

/// JSON text of small JSON.
pub(crate) fn map_text(map: &Map) -> String {
    serde_json::to_string(map).expect("a JSON object is always writable")
}

/// One row of `table`, whose first column is its id.
pub(crate) struct Fields<'a> {
    table: &'static str,
    row: &'a Row<'a>,
}

impl<'a> Fields<'a> {
    /// Reads columns of `row`.
    pub(crate) fn new(table: &'static str, row: &'a Row<'a>) -> Self {
        Self { table, row }
    }

    /// The error for a column that makes no sense.
    pub(crate) fn damaged(&self, column: usize, why: impl std::fmt::Display) -> Error {
        let id = match self.row.get_ref(0) {
            Ok(ValueRef::Blob(bytes)) => Uuid::from_slice(bytes)
                .map_or_else(|_| format!("{bytes:02x?}"), |id| id.hyphenated().to_string()),
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        let name = self.row.as_ref().column_name(column).unwrap_or("?");
        Error::Corrupt(format!("table {}, row {id}, column {name}: {why}", self.table))
    }

    fn raw(&self, column: usize) -> Result<ValueRef<'a>> {
        self.row.get_ref(column).sql()
    }

    /// A plain column of the driver's own types.
    pub(crate) fn get<T: FromSql>(&self, column: usize) -> Result<T> {
        T::column_result(self.raw(column)?).map_err(|error| self.damaged(column, error))
    }

    /// Text, owned.
    pub(crate) fn text(&self, column: usize) -> Result<String> {
        self.get(column)
    }

    /// An id.
    pub(crate) fn uuid(&self, column: usize) -> Result<Uuid> {
        self.get::<[u8; 16]>(column).map(Uuid::from_bytes)
    }

    /// A time.
    pub(crate) fn time(&self, column: usize) -> Result<Timestamp> {
        let micros = self.get(column)?;
        DateTime::from_timestamp_micros(micros)
            .ok_or_else(|| self.damaged(column, format_args!("{micros} is no time")))
    }

    /// A word of an enum.
    pub(crate) fn word<T>(&self, column: usize, parse: fn(&str) -> Option<T>) -> Result<T> {
        let word = self.raw(column)?.as_str().map_err(|error| self.damaged(column, error))?;
        parse(word).ok_or_else(|| self.damaged(column, format_args!("unknown word '{word}'")))
    }

    /// A packed column, opened if it was sealed.
    fn packed(&self, column: usize) -> Result<Opened<'a>> {
        let raw = self.raw(column)?;
        let opened = self.row.vault().open(self.table, raw);
        let opened = opened.map_err(|why| self.damaged(column, why))?;
        if let (Opened::Anew(_, after), ValueRef::Blob(before)) = (&opened, raw) {
            let name = self.row.as_ref().column_name(column).sql()?;
            self.row.store_anew(self.table, name, before, after);
        }
        Ok(opened)
    }

    fn small_text(&self, column: usize) -> Result<&'a [u8]> {
        match self.raw(column)? {
            ValueRef::Text(text) => Ok(text),
            other => Err(self.damaged(column, format_args!("found {}", other.data_type()))),
        }
    }

    /// Small JSON that is sealed whole.
    pub(crate) fn map(&self, column: usize) -> Result<Map> {
        let text = self.small_text(column)?;
        let text = self.row.vault().open_text(self.table, text);
        let text = text.map_err(|why| self.damaged(column, why))?;
        self.parsed_map(column, &text)
    }

    /// Small JSON of which keys are sealed: metadata.
    pub(crate) fn metadata(&self, column: usize) -> Result<Map> {
        let mut map = self.parsed_map(column, self.small_text(column)?)?;
        let opened = self.row.vault().open_metadata(&mut map);
        opened.map_err(|why| self.damaged(column, why))?;
        Ok(map)
    }

    fn parsed_map(&self, column: usize, text: &[u8]) -> Result<Map> {
        match text {
            b"{}" => Ok(Map::new()),
            text => serde_json::from_slice(text).map_err(|error| self.damaged(column, error)),
        }
    }

    /// Large JSON.
    pub(crate) fn json(&self, column: usize) -> Result<RawJson> {
        zip::unpack_text(self.packed(column)?.value(), |text| RawJson::trusted(text))
            .map_err(|why| self.damaged(column, why))
    }

    /// Whether there is nothing.
    pub(crate) fn is_null(&self, column: usize) -> Result<bool> {
        Ok(self.raw(column)? == ValueRef::Null)
    }

    /// Large JSON or nothing.
    pub(crate) fn opt_json(&self, column: usize) -> Result<Option<RawJson>> {
        match self.raw(column)? {
            ValueRef::Null => Ok(None),
            _ => self.json(column).map(Some),
        }
    }

    /// Large JSON, read as a `T`.
    pub(crate) fn parsed<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T> {
        zip::unpack_text(self.packed(column)?.value(), |text| serde_json::from_str(text))
            .map_err(|why| self.damaged(column, why))?
            .map_err(|error| self.damaged(column, error))
    }

    /// Large JSON or opaque bytes that are stored by themselves.
    pub(crate) fn unpacked(&self, column: usize) -> Result<Vec<u8>> {
        zip::unpack(self.packed(column)?.value()).map_err(|why| self.damaged(column, why))
    }

    /// Large JSON or opaque bytes that are stored as their difference to `base`.
    pub(crate) fn unpacked_onto(&self, column: usize, base: &[u8]) -> Result<Vec<u8>> {
        zip::unpack_onto(self.packed(column)?.value(), base)
            .map_err(|why| self.damaged(column, why))
    }

    /// Opaque bytes.
    pub(crate) fn bytes(&self, column: usize) -> Result<Bytes> {
        let packed = self.packed(column)?;
        let blob = packed.value().as_blob().map_err(|error| self.damaged(column, error))?;
        zip::unpack_bytes(blob).map_err(|why| self.damaged(column, why))
    }
}
