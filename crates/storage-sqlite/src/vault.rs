//! What is encrypted on its way into a column, and how.
//!
//! Everything that [`crate::zip`] packs is sealed after it was compressed, item by item, so that differences stay small. Config
//! and context of rows are sealed whole. Metadata stays readable, for it says whose a row is, except for the keys that the user
//! names. What is compared in queries is opened by the SQL functions, so that searches and scopes judge what the user wrote.
//!
//! What must stay true: a folder with a row in `encryption` has no plaintext where a sealed value belongs. The transaction that
//! writes the row seals what was there before ([`unlock`]); after that, plaintext in such a column is refused.

use std::{borrow::Cow, collections::BTreeSet, fmt, sync::Arc};

use agent_server_storage::{
    Error, Map, Result,
    encrypted::{BlobCipher, blob_context},
};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use rusqlite::{
    Connection, OptionalExtension as _, functions::FunctionFlags, params, types::ValueRef,
};
use serde_json::{Value, json};

use crate::{
    aes::{Aes, AesKey, OVERHEAD, SALT_LEN, random},
    codec::map_text,
    error::SqlResult,
    zip::Json,
};

/// First byte of a sealed blob; those of [`crate::zip`] are others.
const SEALED: u8 = 4;
/// First byte of a blob that a cipher of somebody else has made: length of its context (u32, little endian), the context as JSON,
/// then what the cipher made.
const HOOKED: u8 = 5;
/// What a sealed text begins with.
pub(crate) const PREFIX: &str = "encrypted.aes:";
/// Key under which JSON says how parts of it were encrypted.
pub(crate) const CONTEXT: &str = "__encryption_context__";
/// Under [`CONTEXT`]: with what.
const TYPE: &str = "__langgraph_encryption_type__";
/// Under [`CONTEXT`]: what stood there before.
const BEFORE: &str = "before";
/// What proves a key, as a kind of its own.
const CHECK: &str = "key check";

/// Packed columns, by table. Copies (`task_before`) are read as what they were.
const PACKED: &[(&str, &str, &[&str])] = &[
    ("thread_state", "thread_state", &["state_values", "interrupts", "error", "live"]),
    ("run", "run", &["kwargs"]),
    ("checkpoint", "checkpoint", &["metadata", "refs", "small"]),
    ("rendered", "rendered", &["next", "tasks", "state_values"]),
    ("channel_blob", "channel_blob", &["bytes"]),
    ("task_write", "task_write", &["bytes"]),
    ("task_write_before", "task_write", &["bytes"]),
    ("task", "task", &["status"]),
    ("task_before", "task", &["status"]),
    ("event_chunk", "event_chunk", &["events"]),
    ("item", "item", &["value"]),
    ("item_vector", "item_vector", &["vector"]),
    ("cron", "cron", &["payload"]),
    ("webhook_delivery", "webhook_delivery", &["payload"]),
];
/// Text columns that are sealed whole.
const WHOLE: &[(&str, &[&str])] = &[
    ("thread", &["config"]),
    ("assistant", &["config", "context"]),
    ("assistant_version", &["config", "context"]),
];
/// Tables whose metadata may have sealed keys.
const NAMED: &[&str] =
    &["thread", "run", "assistant", "assistant_version", "cron", "webhook_delivery"];

/// How the contents of a folder are encrypted. The default: not at all.
#[derive(Clone, Debug, Default)]
pub struct Encryption {
    /// The key of the built-in cipher.
    pub key: Option<AesKey>,
    /// Top-level keys of metadata that are encrypted, too.
    pub json_keys: BTreeSet<String>,
    /// Somebody else's encryption, in front of this backend and in it.
    pub hooks: Option<Hooks>,
}

/// Somebody else's encryption. A folder that was written with one is opened with one alone.
#[derive(Clone, Default)]
pub struct Hooks {
    /// What encrypts the contents of checkpoints, instead of the built-in cipher.
    pub blobs: Option<Arc<dyn BlobCipher>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("blobs", &self.blobs.is_some()).finish()
    }
}

impl Encryption {
    fn blobs(&self) -> Option<Arc<dyn BlobCipher>> {
        self.hooks.as_ref().and_then(|hooks| hooks.blobs.clone())
    }
}

/// The way into columns and out of them.
#[derive(Default)]
pub(crate) struct Vault {
    aes: Option<Aes>,
    json_keys: BTreeSet<String>,
    blobs: Option<Arc<dyn BlobCipher>>,
}

/// The vault of a folder. Given a key for the first time, seals what is there; `true` then.
///
/// Errors: `Unavailable` if the key is missing or another one.
pub(crate) fn unlock(
    connection: &mut Connection,
    encryption: &Encryption,
) -> Result<(Arc<Vault>, bool)> {
    know_hooks(connection, encryption)?;
    let blobs = encryption.blobs();
    if let Some(vault) = locked(connection, encryption)? {
        return Ok((Arc::new(vault), false));
    }
    let Some(key) = &encryption.key else {
        return Ok((Arc::new(Vault { blobs, ..Vault::default() }), false));
    };
    let salt: [u8; SALT_LEN] = random();
    let aes = Aes::new(key, &salt);
    let check = aes.seal(CHECK, &[], &[]);
    let vault = Vault { aes: Some(aes), json_keys: encryption.json_keys.clone(), blobs };
    let vault = Arc::new(vault);
    register_seals(connection, &vault).sql()?;
    let transaction = connection.transaction().sql()?;
    for (table, kind, columns) in PACKED {
        for column in *columns {
            let sql = format!(
                "UPDATE {table} SET {column} = seal_packed({column}, '{kind}') WHERE {column} IS NOT NULL"
            );
            transaction.execute(&sql, []).sql()?;
        }
    }
    for (table, columns) in WHOLE {
        for column in *columns {
            let sql = format!("UPDATE {table} SET {column} = seal_text({column}, '{table}')");
            transaction.execute(&sql, []).sql()?;
        }
    }
    if !vault.json_keys.is_empty() {
        for table in NAMED {
            let sql = format!("UPDATE {table} SET metadata = seal_keys(metadata)");
            transaction.execute(&sql, []).sql()?;
        }
    }
    transaction
        .execute(
            "INSERT INTO encryption (only, salt, key_check) VALUES (1, ?1, ?2)",
            params![salt, check],
        )
        .sql()?;
    transaction.commit().sql()?;
    Ok((vault, true))
}

/// The vault of a folder that is encrypted already; `None` if it is not.
///
/// Errors: as [`unlock`].
pub(crate) fn locked(connection: &Connection, encryption: &Encryption) -> Result<Option<Vault>> {
    let found = connection
        .query_row("SELECT salt, key_check FROM encryption", [], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()
        .sql()?;
    let Some((salt, check)) = found else { return Ok(None) };
    let refuse = |why: &str| {
        let path = connection.path().unwrap_or("the database");
        Err(Error::Unavailable(format!("{path} is encrypted, and {why}")))
    };
    let Some(key) = &encryption.key else {
        return refuse(
            "there is no key: set LANGGRAPH_AES_KEY to the one that it was written with",
        );
    };
    let aes = Aes::new(key, &salt);
    match aes.open(CHECK, &check) {
        Some(_) => Ok(Some(Vault {
            aes: Some(aes),
            json_keys: encryption.json_keys.clone(),
            blobs: encryption.blobs(),
        })),
        None => refuse("LANGGRAPH_AES_KEY is not the key that it was written with"),
    }
}

/// The vault for somebody who changes nothing.
///
/// Errors: as [`unlock`].
pub(crate) fn of_reader(connection: &Connection, encryption: &Encryption) -> Result<Vault> {
    if encryption.hooks.is_none() {
        refuse_hooked(connection)?;
    }
    let plain = || Vault { blobs: encryption.blobs(), ..Vault::default() };
    Ok(locked(connection, encryption)?.unwrap_or_else(plain))
}

/// Notes that a folder is written with hooks.
///
/// Errors: `Unavailable` if it was, and there are none now: what they made would be taken for what was written.
fn know_hooks(connection: &Connection, encryption: &Encryption) -> Result<()> {
    if encryption.hooks.is_some() {
        let sql = "INSERT INTO encryption_hooks (only) VALUES (1) ON CONFLICT DO NOTHING";
        connection.execute(sql, []).sql()?;
        return Ok(());
    }
    refuse_hooked(connection)
}

/// Errors: `Unavailable` if the folder was written with hooks.
fn refuse_hooked(connection: &Connection) -> Result<()> {
    let found = connection.query_row("SELECT 1 FROM encryption_hooks", [], |_| Ok(())).optional();
    match found.sql()? {
        Some(()) => Err(Error::Unavailable(format!(
            "{} was written with a project's own encryption: set encryption.path to it",
            connection.path().unwrap_or("the database")
        ))),
        None => Ok(()),
    }
}

/// The functions with which [`unlock`] seals what is there.
fn register_seals(connection: &Connection, vault: &Arc<Vault>) -> rusqlite::Result<()> {
    let failed = |why: String| rusqlite::Error::UserFunctionError(why.into());
    let own = Arc::clone(vault);
    let flags = FunctionFlags::SQLITE_UTF8;
    connection.create_scalar_function("seal_packed", 2, flags, move |context| {
        let packed = match context.get_raw(0) {
            ValueRef::Text(text) => Json::Text(str::from_utf8(text)?),
            // What somebody else has encrypted stays theirs.
            ValueRef::Blob(hooked @ [HOOKED, ..]) => return Ok(hooked.to_vec()),
            other => Json::Blob(other.as_blob()?.to_vec()),
        };
        match own.seal(context.get_raw(1).as_str()?, packed) {
            Json::Blob(sealed) => Ok(sealed),
            Json::Text(_) => Err(failed("nothing was sealed".into())),
        }
    })?;
    let own = Arc::clone(vault);
    connection.create_scalar_function("seal_text", 2, flags, move |context| {
        let text = context.get_raw(0).as_str()?.to_owned();
        Ok(own.seal_text(context.get_raw(1).as_str()?, text))
    })?;
    let own = Arc::clone(vault);
    connection.create_scalar_function("seal_keys", 1, flags, move |context| {
        let map: Map = serde_json::from_str(context.get_raw(0).as_str()?)
            .map_err(|error| failed(error.to_string()))?;
        Ok(own.metadata_text(&map))
    })
}

/// A column's value, opened if it was sealed.
pub(crate) enum Opened<'a> {
    /// As it is in the row.
    Plain(ValueRef<'a>),
    /// What was sealed: a blob as [`crate::zip`] makes them.
    Blob(Vec<u8>),
    /// The same, and what is to be stored in its place.
    Anew(Vec<u8>, Vec<u8>),
}

impl Opened<'_> {
    pub(crate) fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Plain(value) => *value,
            Self::Blob(bytes) | Self::Anew(bytes, _) => ValueRef::Blob(bytes),
        }
    }
}

impl Vault {
    /// A packed value of `kind`, as it goes into its column.
    pub(crate) fn seal<'v>(&self, kind: &str, packed: Json<'v>) -> Json<'v> {
        match &self.aes {
            Some(aes) => Json::Blob(aes.seal(kind, &[SEALED], &packed.into_bytes())),
            None => packed,
        }
    }

    /// A packed value of a checkpoint, which somebody else may want to encrypt.
    pub(crate) fn seal_content<'v>(&self, kind: &str, packed: Json<'v>) -> Result<Json<'v>> {
        let Some(blobs) = &self.blobs else { return Ok(self.seal(kind, packed)) };
        let context = blob_context();
        let hooked = blobs.encrypt(&context, &packed.into_bytes())?;
        Ok(Json::Blob(with_context(map_text(&context).as_bytes(), &hooked)))
    }

    /// Whether somebody else has encrypted a value.
    pub(crate) fn is_hooked(column: ValueRef<'_>) -> bool {
        matches!(column, ValueRef::Blob([HOOKED, ..]))
    }

    fn open_hooked<'v>(&self, hooked: &[u8]) -> Result<Opened<'v>, String> {
        let Some(blobs) = &self.blobs else {
            return Err("was encrypted by a handler of a project, and there is none for it".into());
        };
        let odd = || "is no encrypted blob".to_owned();
        let (len, rest) = hooked.split_first_chunk().ok_or_else(odd)?;
        let (text, blob) =
            rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(odd)?;
        let context: Map = serde_json::from_slice(text).map_err(|_| odd())?;
        let opened = blobs.decrypt(&context, blob).map_err(|error| error.to_string())?;
        Ok(match opened.replacement {
            Some(replacement) => Opened::Anew(opened.plain, with_context(text, &replacement)),
            None => Opened::Blob(opened.plain),
        })
    }

    /// Reverses [`Vault::seal`] and [`Vault::seal_content`].
    pub(crate) fn open<'v>(&self, kind: &str, column: ValueRef<'v>) -> Result<Opened<'v>, String> {
        if let ValueRef::Blob([HOOKED, hooked @ ..]) = column {
            return self.open_hooked(hooked);
        }
        let Some(aes) = &self.aes else { return Ok(Opened::Plain(column)) };
        match column {
            ValueRef::Null => Ok(Opened::Plain(column)),
            ValueRef::Blob([SEALED, sealed @ ..]) => {
                aes.open(kind, sealed).map(Opened::Blob).ok_or_else(|| "cannot be decrypted".into())
            }
            _ => Err("is not encrypted, as all others are".into()),
        }
    }

    /// How much longer a packed value is for being sealed.
    pub(crate) fn overhead(&self) -> i64 {
        if self.aes.is_some() { 1 + OVERHEAD as i64 } else { 0 }
    }

    /// Text of `kind` that is sealed whole.
    pub(crate) fn seal_text(&self, kind: &str, text: String) -> String {
        match &self.aes {
            Some(aes) => encoded(aes, kind, text.as_bytes()),
            None => text,
        }
    }

    /// Reverses [`Vault::seal_text`].
    pub(crate) fn open_text<'v>(
        &self,
        kind: &str,
        text: &'v [u8],
    ) -> Result<Cow<'v, [u8]>, String> {
        match &self.aes {
            Some(aes) => {
                let text = str::from_utf8(text).map_err(|error| error.to_string())?;
                let opened = decoded(aes, kind, text);
                opened.map(Cow::Owned).ok_or_else(|| "cannot be decrypted".into())
            }
            None => Ok(text.into()),
        }
    }

    /// Metadata as text, with its named keys sealed. Text that looks sealed is sealed as well, so that it comes back as it was.
    pub(crate) fn metadata_text(&self, metadata: &Map) -> String {
        let Some(aes) = &self.aes else { return map_text(metadata) };
        let is_named = |key: &str, value: &Value| {
            self.json_keys.contains(key) || value.as_str().is_some_and(|v| v.starts_with(PREFIX))
        };
        let is_ours = |key: &str| key == CONTEXT;
        if !metadata.iter().any(|(key, value)| is_named(key, value) || is_ours(key)) {
            return map_text(metadata);
        }
        let mut sealed = metadata.clone();
        let before = sealed.shift_remove(CONTEXT);
        for (key, value) in &mut sealed {
            if is_named(key, value) {
                *value = encoded(aes, key, value.to_string().as_bytes()).into();
            }
        }
        let mut marker = json!({TYPE: "aes"});
        if let Some(before) = before {
            marker[BEFORE] = before;
        }
        sealed.insert(CONTEXT.into(), marker);
        map_text(&sealed)
    }

    /// Reverses [`Vault::metadata_text`], read already.
    pub(crate) fn open_metadata(&self, metadata: &mut Map) -> Result<(), String> {
        let Some(aes) = &self.aes else { return Ok(()) };
        if metadata.get(CONTEXT).and_then(|context| context.get(TYPE)).is_none() {
            return Ok(());
        }
        let mut marker = metadata.shift_remove(CONTEXT).unwrap_or_default();
        for (key, value) in metadata.iter_mut() {
            let Some(text) = value.as_str().filter(|text| text.starts_with(PREFIX)) else {
                continue;
            };
            let opened = decoded(aes, key, text).ok_or("a key cannot be decrypted")?;
            *value = serde_json::from_slice(&opened).map_err(|error| error.to_string())?;
        }
        if let Some(before) = marker.get_mut(BEFORE) {
            metadata.insert(CONTEXT.into(), before.take());
        }
        Ok(())
    }
}

fn with_context(context: &[u8], hooked: &[u8]) -> Vec<u8> {
    let len = u32::try_from(context.len()).expect("a context came in a header");
    [&[HOOKED], &len.to_le_bytes()[..], context, hooked].concat()
}

fn encoded(aes: &Aes, kind: &str, plain: &[u8]) -> String {
    format!("{PREFIX}{}", BASE64_STANDARD_NO_PAD.encode(aes.seal(kind, &[], plain)))
}

fn decoded(aes: &Aes, kind: &str, text: &str) -> Option<Vec<u8>> {
    let sealed = BASE64_STANDARD_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
    aes.open(kind, &sealed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{CONTEXT, Vault};
    use crate::{aes::AesKey, zip};

    fn vault() -> Vault {
        Vault {
            aes: Some(crate::aes::Aes::new(&AesKey::new(&[7; 32]).unwrap(), b"salt")),
            json_keys: ["secret".to_owned()].into(),
            blobs: None,
        }
    }

    #[test]
    fn packed_values_come_back_and_plain_ones_are_refused() {
        let vault = vault();
        let zip::Json::Blob(sealed) = vault.seal("run", zip::pack_text("{}")) else { panic!() };
        let open = |kind, blob| {
            let opened = vault.open(kind, rusqlite::types::ValueRef::Blob(blob))?;
            zip::unpack_text(opened.value(), str::to_owned)
        };
        assert_eq!(open("run", &sealed), Ok("{}".into()));
        assert_eq!(open("task", &sealed), Err("cannot be decrypted".into()));
        assert_eq!(open("run", &[0, 1, 2]), Err("is not encrypted, as all others are".into()));
    }

    #[test]
    fn metadata_hides_its_named_keys_and_nothing_else() {
        let vault = vault();
        let json = json!({"secret": {"a": [1]}, "owner": "me", "odd": "encrypted.aes:x",
            "__encryption_context__": {"tenant": "mine"}});
        let map = json.as_object().unwrap();
        let text = vault.metadata_text(map);
        let mut stored: agent_server_storage::Map = serde_json::from_str(&text).unwrap();
        assert!(stored["secret"].as_str().unwrap().starts_with("encrypted.aes:"));
        assert_eq!(stored["owner"], "me");
        assert_eq!(
            stored[CONTEXT],
            json!({"__langgraph_encryption_type__": "aes", "before": {"tenant": "mine"}})
        );
        vault.open_metadata(&mut stored).unwrap();
        assert_eq!(&stored, map);
        // Each value belongs to its key.
        let mut moved: agent_server_storage::Map = serde_json::from_str(&text).unwrap();
        moved["owner"] = moved["secret"].clone();
        assert!(vault.open_metadata(&mut moved).is_err());
        let plain = json!({"owner": "me"});
        assert_eq!(vault.metadata_text(plain.as_object().unwrap()), r#"{"owner":"me"}"#);
    }
}
