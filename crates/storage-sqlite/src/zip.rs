//! Compression of columns.
//!
//! JSON is stored as text while it is tiny and as a compressed blob when that pays; opaque bytes carry a marker byte. What is
//! small is compressed with a dictionary of what small values have in common. Contexts are kept per thread: making one costs
//! more than compressing a few kilobytes.

use std::{cell::RefCell, io};

use agent_server_storage::RawJson;
use bytes::Bytes;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::CParameter,
};

use crate::dictionary;

/// Below this many bytes the few that are saved are not worth some microseconds of the only writer.
const MIN_LEN: usize = 512;
/// Below this many bytes a value has too little of its own to compress without a dictionary.
const SMALL: usize = 4096;
/// Level 1 packs chat-like JSON to a quarter at several hundred MB/s; higher levels gain a few percent for twice the time.
const LEVEL: i32 = 1;
/// First byte of a stored blob: the rest is the value.
const PLAIN: u8 = 0;
/// First byte of a stored blob: length of the value (u32, little endian), then a zstd frame.
const ZSTD: u8 = 1;
/// Like [`ZSTD`], for a frame that refers to another value.
const DIFFERENCE: u8 = 2;
/// Like [`ZSTD`], for a frame that refers to the [`dictionary`].
const SHARED: u8 = 3;
/// Marker and length.
const HEADER: usize = 5;

/// Contexts for one of the two ways, made when first needed.
struct Contexts {
    compressor: RefCell<Option<Compressor<'static>>>,
    decompressor: RefCell<Option<Decompressor<'static>>>,
}

impl Contexts {
    const fn new() -> Self {
        Self { compressor: RefCell::new(None), decompressor: RefCell::new(None) }
    }

    fn compress(
        &self,
        bytes: &[u8],
        make: impl FnOnce() -> io::Result<Compressor<'static>>,
    ) -> io::Result<Vec<u8>> {
        let mut slot = self.compressor.borrow_mut();
        let compressor = match &mut *slot {
            Some(compressor) => compressor,
            None => slot.insert(make()?),
        };
        compressor.compress(bytes)
    }

    fn decompress(
        &self,
        frame: &[u8],
        len: usize,
        make: impl FnOnce() -> io::Result<Decompressor<'static>>,
    ) -> io::Result<Vec<u8>> {
        let mut slot = self.decompressor.borrow_mut();
        let decompressor = match &mut *slot {
            Some(decompressor) => decompressor,
            None => slot.insert(make()?),
        };
        decompressor.decompress(frame, len)
    }
}

thread_local! {
    static ALONE: Contexts = const { Contexts::new() };
    static WITH_DICTIONARY: Contexts = const { Contexts::new() };
}

/// JSON, or a compressed blob, on its way into a column.
pub(crate) enum Json<'a> {
    Text(&'a str),
    Blob(Vec<u8>),
}

impl Json<'_> {
    /// As a blob in any case.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => plain(text.as_bytes()),
            Self::Blob(bytes) => bytes,
        }
    }
}

impl ToSql for Json<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Text as it is stored.
pub(crate) fn pack_text(text: &str) -> Json<'_> {
    compress(text.as_bytes()).map_or(Json::Text(text), Json::Blob)
}

/// JSON as it is stored.
pub(crate) fn pack_json(json: &RawJson) -> Json<'_> {
    pack_text(json.get())
}

/// Bytes as they are stored.
pub(crate) fn pack_bytes(bytes: &[u8]) -> Vec<u8> {
    compress(bytes).unwrap_or_else(|| plain(bytes))
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len() + 1);
    plain.push(PLAIN);
    plain.extend_from_slice(bytes);
    plain
}

/// Reverses [`pack_text`] and hands the text to `read`.
pub(crate) fn unpack_text<T>(
    column: ValueRef<'_>,
    read: impl FnOnce(&str) -> T,
) -> Result<T, String> {
    match column {
        ValueRef::Text(text) => Ok(read(str::from_utf8(text).map_err(|error| error.to_string())?)),
        other => {
            let bytes = unpack(other)?;
            Ok(read(str::from_utf8(&bytes).map_err(|error| error.to_string())?))
        }
    }
}

/// Reverses [`pack_bytes`].
pub(crate) fn unpack_bytes(blob: &[u8]) -> Result<Bytes, String> {
    match blob.split_first() {
        Some((&PLAIN, bytes)) => Ok(Bytes::copy_from_slice(bytes)),
        _ => decompress(blob).map(Bytes::from),
    }
}

/// A value that [`difference`] did not make: text, plain bytes or a compressed blob.
pub(crate) fn unpack(column: ValueRef<'_>) -> Result<Vec<u8>, String> {
    match column {
        ValueRef::Text(text) => Ok(text.to_vec()),
        ValueRef::Blob([PLAIN, bytes @ ..]) => Ok(bytes.to_vec()),
        ValueRef::Blob(blob) => decompress(blob),
        other => Err(format!("expected text or a blob, found {}", other.data_type())),
    }
}

/// What `bytes` has that `base` has not; `None` when that is most of it.
///
/// Reversed by [`unpack_onto`].
pub(crate) fn difference(base: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(bytes.len()).ok()?;
    let zip = || -> io::Result<Vec<u8>> {
        let mut compressor = Compressor::new(LEVEL)?;
        // The window has to reach over the whole base, and only the matcher for long distances finds its beginning.
        let window = (base.len() + bytes.len()).next_power_of_two().ilog2().clamp(10, 27);
        compressor.set_parameter(CParameter::WindowLog(window))?;
        compressor.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
        compressor
            .context_mut()
            .ref_prefix(base)
            .map_err(|code| io::Error::other(zstd::zstd_safe::get_error_name(code)))?;
        compressor.compress(bytes)
    };
    let frame = zip().ok().filter(|frame| frame.len() < bytes.len() / 4)?;
    Some(with_header(DIFFERENCE, len, &frame))
}

/// Reverses [`difference`].
pub(crate) fn unpack_onto(column: ValueRef<'_>, base: &[u8]) -> Result<Vec<u8>, String> {
    let ValueRef::Blob(blob) = column else { return Err("expected a difference".into()) };
    let (len, frame) = without_header(DIFFERENCE, blob)?;
    let bytes = Decompressor::with_dictionary(base)
        .and_then(|mut decompressor| decompressor.decompress(frame, len));
    complete(bytes, len)
}

fn with_header(marker: u8, len: u32, frame: &[u8]) -> Vec<u8> {
    let mut zipped = Vec::with_capacity(frame.len() + HEADER);
    zipped.push(marker);
    zipped.extend_from_slice(&len.to_le_bytes());
    zipped.extend_from_slice(frame);
    zipped
}

fn without_header(marker: u8, blob: &[u8]) -> Result<(usize, &[u8]), String> {
    match blob.split_first_chunk::<HEADER>() {
        Some((&[found, a, b, c, d], frame)) if found == marker => {
            Ok((u32::from_le_bytes([a, b, c, d]) as usize, frame))
        }
        _ => Err("unknown compression".into()),
    }
}

fn complete(bytes: io::Result<Vec<u8>>, len: usize) -> Result<Vec<u8>, String> {
    let bytes = bytes.map_err(|error| format!("cannot be decompressed: {error}"))?;
    if bytes.len() == len { Ok(bytes) } else { Err("length differs after decompression".into()) }
}

/// `None` when it does not pay.
fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(bytes.len()).ok()?;
    if bytes.len() < MIN_LEN {
        return None;
    }
    let small = bytes.len() < SMALL;
    let frame = if small {
        let make = || Compressor::with_prepared_dictionary(&dictionary::ENCODER);
        WITH_DICTIONARY.with(|contexts| contexts.compress(bytes, make))
    } else {
        ALONE.with(|contexts| contexts.compress(bytes, || Compressor::new(LEVEL)))
    }
    .ok()?;
    if frame.len() + HEADER > bytes.len() / 8 * 7 {
        return None;
    }
    Some(with_header(if small { SHARED } else { ZSTD }, len, &frame))
}

fn decompress(blob: &[u8]) -> Result<Vec<u8>, String> {
    if blob.first() == Some(&SHARED) {
        let (len, frame) = without_header(SHARED, blob)?;
        let make = || Decompressor::with_prepared_dictionary(&dictionary::DECODER);
        let bytes = WITH_DICTIONARY.with(|contexts| contexts.decompress(frame, len, make));
        return complete(bytes, len);
    }
    let (len, frame) = without_header(ZSTD, blob)?;
    let bytes = ALONE.with(|contexts| contexts.decompress(frame, len, Decompressor::new));
    complete(bytes, len)
}

#[cfg(test)]
mod tests {
    use rusqlite::types::ValueRef;

    use super::{Json, difference, pack_bytes, pack_text, unpack_bytes, unpack_onto, unpack_text};

    #[test]
    fn bytes_come_back_as_they_went_in() {
        for bytes in
            [vec![], vec![7; 10], vec![7; 100_000], (0..5000u32).map(|i| (i * i) as u8).collect()]
        {
            assert_eq!(unpack_bytes(&pack_bytes(&bytes)), Ok(bytes.into()));
        }
    }

    #[test]
    fn text_is_compressed_where_that_pays() {
        assert!(matches!(pack_text("{}"), Json::Text("{}")));
        let usual = r#"{"graph_id":"mine","assistant_id":"d4ac7f8c-ba4f-58ac-9ddc-e5a2bce55f95","user_id":"","created_by":"system","run_attempt":2,"langgraph_version":"1.2.22","langgraph_api_url":"http://127.0.0.1:8000","thread_id":"802f11aa-262b-4067-b88d-90132fe11b2e","source":"loop","step":14,"parents":{},"langgraph_host":"self-hosted","langgraph_plan":"developer","langgraph_request_id":"9e8b6a0c-5f0f-4c3a-8d2e-1b7f2d6c4a11","langgraph_auth_user_id":"","langgraph_api_version":"0.16.7","ls_integration":"langgraph","thread_name":"weather"}"#;
        let Json::Blob(zipped) = pack_text(usual) else { panic!("not compressed") };
        assert!(zipped.len() < usual.len() / 3 * 2, "{}", zipped.len());
        assert_eq!(unpack_text(ValueRef::Blob(&zipped), str::to_owned), Ok(usual.into()));
        let large = format!("[{}1]", "1,".repeat(4000));
        let Json::Blob(zipped) = pack_text(&large) else { panic!("not compressed") };
        assert!(zipped.len() < large.len() / 10);
        assert_eq!(unpack_text(ValueRef::Blob(&zipped), str::to_owned), Ok(large));
    }

    #[test]
    fn a_difference_is_as_large_as_what_is_new() {
        let noise = |seed: u64| {
            (0..20_000).map(move |i: u64| {
                let mixed = (i + (seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8
            })
        };
        let base: Vec<u8> = noise(1).chain(noise(2)).collect();
        let new: Vec<u8> =
            [7, 7, 7].into_iter().chain(base.iter().copied()).chain(noise(3).take(500)).collect();
        let stored = difference(&base, &new).unwrap();
        assert!(stored.len() < 700, "{} bytes", stored.len());
        assert_eq!(unpack_onto(ValueRef::Blob(&stored), &base), Ok(new));
        assert!(unpack_onto(ValueRef::Blob(&stored), &base[1..]).is_err());
        assert!(difference(&base, &noise(9).collect::<Vec<_>>()).is_none());
    }

    #[test]
    fn damage_is_an_error() {
        let mut zipped = pack_bytes(&[7; 5000]);
        let end = zipped.len();
        zipped[end - 3] ^= 0xff;
        zipped.truncate(end - 1);
        assert!(unpack_bytes(&zipped).is_err());
        assert!(unpack_bytes(&[]).is_err());
        assert!(unpack_bytes(&[9, 1, 2, 3, 4, 5]).is_err());
    }
}
