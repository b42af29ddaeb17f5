//! Hand-written scalars that the generator is told to use where its own would not reproduce the wire.
//!
//! [`Timestamp`] for every `date-time`, [`RawJson`] for everything that the document marks as a payload. Fields with three
//! states (absent, null, a value) are `Option<Option<T>>`: the outer `None` is left out, the inner one is `null`.

use std::{fmt, str::FromStr, sync::Arc};

use chrono::{DateTime, SecondsFormat, Timelike, Utc};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::SerializeStruct,
};
use serde_json::value::RawValue;

/// A point in time as the wire writes it: UTC with a numeric offset and microseconds, no fraction on a whole second.
///
/// Reads any RFC 3339 text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub DateTime<Utc>);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below a microsecond the wire knows nothing, so such a rest does not make a fraction.
        let whole = self.0.nanosecond() < 1_000;
        let format = if whole { SecondsFormat::Secs } else { SecondsFormat::Micros };
        f.write_str(&self.0.to_rfc3339_opts(format, false))
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|time| Self(time.to_utc()))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The name by which `serde_json` recognises text that it passes on as it is. It is what its `RawValue` uses; going
/// through that type would scan the text again on every write.
const RAW_TEXT: &str = "$serde_json::private::RawValue";

/// JSON that belongs to the user, kept as the text that was sent: neither parsed nor reordered.
///
/// Cloning shares the text. Two are equal when their text is. Only `serde_json` can read and write one.
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(Arc<str>);

impl RawJson {
    /// Takes text that is one JSON value.
    ///
    /// # Errors
    /// It is not.
    pub fn from_string(text: String) -> serde_json::Result<Self> {
        let trimmed = serde_json::from_str::<&RawValue>(&text)?.get();
        Ok(Self(trimmed.into()))
    }

    /// Takes text that is known to be one JSON value, such as what was checked when it was stored.
    ///
    /// Text that is something else makes everything invalid that it is written into.
    pub fn trusted(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Writes a value.
    ///
    /// # Errors
    /// The value cannot be JSON (a map with keys that are not text).
    pub fn of(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::to_string(value).map(|text| Self(text.into()))
    }

    /// The value `null`.
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Whether this is the value `null`.
    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }

    /// The text.
    pub fn get(&self) -> &str {
        &self.0
    }

    /// Reads the text as a `T`.
    ///
    /// # Errors
    /// It is not a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.get())
    }
}

impl Default for RawJson {
    fn default() -> Self {
        Self::null()
    }
}

impl From<serde_json::Value> for RawJson {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

impl FromStr for RawJson {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_string(text.to_owned())
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut raw = serializer.serialize_struct(RAW_TEXT, 1)?;
        raw.serialize_field(RAW_TEXT, self.get())?;
        raw.end()
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Box::<str>::from(raw).into()))
    }
}

/// Reads a field that is there, so that `null` is `Some(None)` and only an absent field is `None`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Reads a payload that is there. To an `Option` its `null` would be the same as an absent field.
pub(crate) fn payload<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<RawJson>, D::Error> {
    RawJson::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_written_as_the_wire_has_them() {
        for (text, expected) in [
            ("2026-11-23T17:24:31.345411Z", "2026-11-23T17:24:31.345411+00:00"),
            ("2026-11-24T01:00:00+01:00", "2026-11-24T00:00:00+00:00"),
            ("2026-11-24T00:00:00.5Z", "2026-11-24T00:00:00.500000+00:00"),
            ("2026-11-24T00:00:00.000000400Z", "2026-11-24T00:00:00+00:00"),
            ("2026-11-24t00:00:00.123456789z", "2026-11-24T00:00:00.123456+00:00"),
        ] {
            let time: Timestamp = serde_json::from_value(text.into()).expect("RFC 3339");
            assert_eq!(serde_json::to_value(time).expect("text"), expected);
        }
        assert!(serde_json::from_value::<Timestamp>("yesterday".into()).is_err());
    }

    #[test]
    fn raw_json_keeps_its_text() {
        let text = r#"{"b":1.0,"a":[ 5, 12345678901234567890123 ]}"#;
        let raw: RawJson = serde_json::from_str(text).expect("JSON");
        assert_eq!(serde_json::to_string(&raw).expect("JSON"), text);
        assert_eq!(serde_json::to_string(&[&raw]).expect("JSON"), format!("[{text}]"));
        assert_eq!(serde_json::to_value(&raw).expect("JSON")["b"], 1.0);
    }

    #[test]
    fn raw_json_is_checked_unless_trusted() {
        assert!(RawJson::from_string("{".to_owned()).is_err());
        assert!("1 2".parse::<RawJson>().is_err());
        assert!(RawJson::null().is_null());
        assert!(RawJson::from_string(" null\n".to_owned()).expect("JSON").is_null());
        assert_eq!(RawJson::from(json!({"a": 1})), RawJson::trusted(r#"{"a":1}"#));
        assert_eq!(
            RawJson::of(&[1, 2]).expect("JSON").parse::<Vec<u8>>().expect("numbers"),
            [1, 2]
        );
    }
}
