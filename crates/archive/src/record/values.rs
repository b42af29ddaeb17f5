//! Single values: words of the wire, and bytes as base64.

/// A module that writes an enum as its word.
macro_rules! word {
    ($name:ident, $type:ty) => {
        pub(super) mod $name {
            use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

            pub(in crate::record) fn serialize<S: Serializer>(
                value: &$type,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(value.as_str())
            }

            pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$type, D::Error> {
                let word = String::deserialize(deserializer)?;
                <$type>::parse(&word)
                    .ok_or_else(|| D::Error::custom(format_args!("unknown word '{word}'")))
            }
        }
    };
}

word!(thread_status, agent_server_storage::threads::ThreadStatus);
word!(ttl_strategy, agent_server_storage::threads::TtlStrategy);
word!(run_status, agent_server_storage::runs::RunStatus);
word!(multitask_strategy, agent_server_storage::runs::MultitaskStrategy);
word!(delivery_status, agent_server_storage::webhooks::DeliveryStatus);

/// A word that may be missing.
pub(super) mod on_run_completed {
    use agent_server_storage::crons::OnRunCompleted;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "serde asks so")]
    pub(in crate::record) fn serialize<S: Serializer>(
        value: &Option<OnRunCompleted>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(OnRunCompleted::as_str).serialize(serializer)
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<OnRunCompleted>, D::Error> {
        let Some(word) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let known = OnRunCompleted::parse(&word);
        known.map(Some).ok_or_else(|| D::Error::custom(format_args!("unknown word '{word}'")))
    }
}

/// JSON that may be missing: a `null` that is there is a value.
pub(super) fn json<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<agent_server_storage::RawJson>, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(Some)
}

/// Bytes.
pub(super) mod bytes {
    use ::bytes::Bytes;
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::record) fn serialize<S: Serializer>(
        value: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(value))
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
    }
}

/// A SHA-256.
pub(super) mod hash {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::record) fn serialize<S: Serializer>(
        value: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(value))
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        bytes.try_into().map_err(|_| D::Error::custom("not 32 bytes"))
    }
}

/// 32-bit floats, little endian.
pub(super) mod numbers {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::record) fn serialize<S: Serializer>(
        numbers: &[f32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(in crate::record) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<f32>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(D::Error::custom("not a list of 32-bit floats"));
        }
        Ok(numbers.iter().copied().map(f32::from_le_bytes).collect())
    }
}
