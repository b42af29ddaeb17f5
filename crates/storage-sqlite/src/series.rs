//! Series: the versions of one growing value, stored as differences.
//!
//! The state of a chat is written anew at every step, and nearly all of it is what the step before wrote. So a large value
//! is stored as its difference to an earlier version of the same series. Versions are counted; the base of version *n* is
//! *n* with its lowest digit other than zero, to the base four, set to zero. So a thousand versions are at most five
//! differences deep, and a difference spans few versions.
//!
//! What must stay true: a base is older than what is built on it, and before it is removed or replaced everything that is
//! built on it is stored whole ([`Tx::release`]).

use std::collections::HashSet;

use agent_server_storage::{Error, Result};
use rusqlite::{Params, ToSql};

use crate::{
    codec::Fields,
    error::SqlResult,
    tx::{Row, Tx},
    zip::{self, Json},
};

/// Below this many bytes a difference saves less than the rows that have to be read for it cost.
const MIN_LEN: usize = 4096;

/// Where the versions of one value are stored. Their ids grow in text order.
#[derive(Clone, Copy)]
pub(crate) enum Series<'a> {
    /// Rendered values of the checkpoints of a namespace, by checkpoint id.
    Values(i64, &'a str),
    /// Values of a channel of a namespace, by version.
    Channel(i64, &'a str, &'a str),
}

impl<'a> Series<'a> {
    /// Table, and the columns of ids and values.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Values(..) => ("rendered", "checkpoint_id", "state_values"),
            Self::Channel(..) => ("channel_blob", "version", "bytes"),
        }
    }

    /// The condition that a row belongs to the series; parameters 1 to 3.
    fn condition(self) -> &'static str {
        match self {
            Self::Values(..) => "thread_key = ?1 AND ns = ?2 AND ?3 = ''",
            Self::Channel(..) => "thread_key = ?1 AND ns = ?2 AND channel = ?3",
        }
    }

    /// The parameters of a statement: those of the condition and `more`.
    fn params<'p>(&'p self, more: &[&'p dyn ToSql]) -> impl Params + use<'p, 'a> {
        let mut params: Vec<&'p dyn ToSql> = match self {
            Self::Values(key, ns) => vec![key, ns, &""],
            Self::Channel(key, ns, channel) => vec![key, ns, channel],
        };
        params.extend(more);
        rusqlite::params_from_iter(params)
    }
}

/// A value as its row holds it.
pub(crate) struct Packed<'a> {
    pub(crate) value: Json<'a>,
    /// Number of the version; `None` for a value that is too small to be built on.
    pub(crate) seq: Option<i64>,
    /// Id of the version that `value` is the difference to.
    pub(crate) base: Option<String>,
}

/// What a row says of its place in the series.
struct Place {
    id: String,
    seq: Option<i64>,
    base: Option<String>,
}

/// The number of the version that version `seq` is built on.
fn base_number(seq: i64) -> i64 {
    let digit = seq.trailing_zeros() / 2 * 2;
    seq & !(3 << digit)
}

impl Tx<'_> {
    /// How version `id` with the content `raw` is to be stored; `whole` packs it by itself.
    pub(crate) fn pack_version<'v>(
        &self,
        series: Series<'_>,
        id: &str,
        raw: &[u8],
        whole: impl FnOnce() -> Json<'v>,
    ) -> Result<Packed<'v>> {
        // What is stored is sealed after the difference was taken.
        let seal = |packed| self.vault().seal_content(series.names().0, packed);
        if raw.len() < MIN_LEN {
            return Ok(Packed { value: seal(whole())?, seq: None, base: None });
        }
        let root = |value| Ok(Packed { value: seal(value)?, seq: Some(0), base: None });
        let Some(mut place) = self.place(series, "<", id)? else { return root(whole()) };
        let Some(previous) = place.seq else { return root(whole()) };
        let seq = previous + 1;
        while place.seq.is_some_and(|seq_of| seq_of > base_number(seq))
            && let Some(base) = place.base.take()
        {
            place = self.place(series, "<=", &base)?.ok_or_else(|| missing(series, &base))?;
        }
        let base = self.version(series, &place.id)?;
        match zip::difference(&base, raw) {
            Some(difference) => {
                let value = seal(Json::Blob(difference))?;
                Ok(Packed { value, seq: Some(seq), base: Some(place.id) })
            }
            None => root(whole()),
        }
    }

    /// The content of version `id`.
    pub(crate) fn version(&self, series: Series<'_>, id: &str) -> Result<Vec<u8>> {
        let (table, id_column, value) = series.names();
        let sql = format!(
            "SELECT {id_column}, base, {value} FROM {table} WHERE {} AND {id_column} = ?4",
            series.condition()
        );
        let found =
            self.first(&sql, series.params(&[&id]), |row| self.restored(series, row, (0, 1, 2)))?;
        found.ok_or_else(|| missing(series, id))
    }

    /// The content of the version in `row`, whose id, base and value are in these columns.
    pub(crate) fn restored(
        &self,
        series: Series<'_>,
        row: &Row<'_>,
        (id, base, value): (usize, usize, usize),
    ) -> Result<Vec<u8>> {
        let fields = Fields::new(series.names().0, row);
        let Some(base) = fields.get::<Option<String>>(base)? else { return fields.unpacked(value) };
        if base >= fields.text(id)? {
            return Err(fields.damaged(value, "built on a later version"));
        }
        let base = self.version(series, &base)?;
        fields.unpacked_onto(value, &base)
    }

    /// Stores whole what is built on versions that are about to be removed or replaced and stays itself.
    pub(crate) fn release(&self, series: Series<'_>, going: &HashSet<&str>) -> Result<()> {
        let Some(first) = going.iter().min() else { return Ok(()) };
        let (table, id_column, value) = series.names();
        let condition = series.condition();
        let sql = format!(
            "SELECT {id_column}, base FROM {table} WHERE {condition} AND {id_column} > ?4 AND base IS NOT NULL"
        );
        let built = self.all(&sql, series.params(&[first]), |row| {
            let fields = Fields::new(table, row);
            Ok((fields.text(0)?, fields.text(1)?))
        })?;
        for (id, base) in built {
            if !going.contains(&*base) || going.contains(&*id) {
                continue;
            }
            let raw = self.version(series, &id)?;
            let whole = self.content_bytes(table, &raw)?;
            let sql = format!(
                "UPDATE {table} SET {value} = ?5, seq = 0, base = NULL WHERE {condition} AND {id_column} = ?4"
            );
            self.change(&sql, series.params(&[&id, &whole])).sql()?;
        }
        Ok(())
    }

    /// Where the last version stands whose id compares so to `id`.
    fn place(&self, series: Series<'_>, compare: &str, id: &str) -> Result<Option<Place>> {
        let (table, id_column, _) = series.names();
        let sql = format!(
            "SELECT {id_column}, seq, base FROM {table} WHERE {} AND {id_column} {compare} ?4 \
             ORDER BY {id_column} DESC LIMIT 1",
            series.condition()
        );
        self.first(&sql, series.params(&[&id]), |row| {
            let fields = Fields::new(table, row);
            Ok(Place { id: fields.text(0)?, seq: fields.get(1)?, base: fields.get(2)? })
        })
    }
}

fn missing(series: Series<'_>, id: &str) -> Error {
    Error::Corrupt(format!(
        "table {}: version {id}, on which others are built, is missing",
        series.names().0
    ))
}

#[cfg(test)]
mod tests {
    use super::base_number;

    #[test]
    fn bases_are_few_and_lie_on_the_way_back() {
        assert_eq!(
            [1, 2, 3, 4, 5, 7, 8, 16, 20, 21].map(base_number),
            [0, 0, 0, 0, 4, 4, 0, 0, 16, 20]
        );
        for seq in 1..5000_i64 {
            // Walking back from the version before passes the base.
            let mut at = seq - 1;
            while at > base_number(seq) {
                at = base_number(at);
            }
            assert_eq!(at, base_number(seq));
            let mut depth = 0;
            let mut at = seq;
            while at > 0 {
                at = base_number(at);
                depth += 1;
            }
            assert!(depth <= 7, "{seq} is {depth} deep");
        }
    }
}
