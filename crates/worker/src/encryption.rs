//! A project's own encryption: its handlers, asked in a Python process that does nothing else.
//!
//! Storage asks for all that one call needs at once, on threads that may wait, and the handlers of one question run side by
//! side.

use std::{io, sync::Arc, time::Duration};

use agent_server_domain::{auth::User, ports::EncryptionContexts};
use agent_server_storage::{
    Error, Map, Result,
    encrypted::{BlobCipher, Decrypted, DecryptedBlob, JsonCipher, Part},
};
use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::{
    Options,
    aside::Aside,
    protocol::{self, kind},
};

/// How long the handlers of one question may take. They may ask a service that manages keys.
const LIMIT: Duration = Duration::from_secs(30);

/// What a project's encryption has handlers for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// JSON.
    pub json: bool,
    /// Blobs of checkpoints.
    pub blob: bool,
    /// The context of a request.
    pub context: bool,
}

/// The handlers of a project's `langgraph_sdk.Encryption` object.
pub struct CustomEncryption {
    process: Aside,
    /// Where the process is listened to, while threads of storage wait.
    runtime: Handle,
    hooks: Hooks,
}

impl CustomEncryption {
    /// Starts the process and waits until the handlers are loaded. `options` are those of the workers, with
    /// [`Options::encryption`] set.
    ///
    /// # Errors
    /// The handlers cannot be loaded.
    pub async fn start(options: Options) -> Result<Arc<Self>, String> {
        let process = Aside::start("encryption", options, LIMIT)
            .map_err(|error: io::Error| error.to_string())?;
        let handlers = match process.handlers().await {
            Ok(handlers) => handlers,
            Err(cause) => {
                process.shutdown().await;
                return Err(cause);
            }
        };
        let has = |name: &str| handlers.hooks.iter().any(|hook| hook == name);
        let hooks = Hooks { json: has("json"), blob: has("blob"), context: has("context") };
        Ok(Arc::new(Self { process, runtime: Handle::current(), hooks }))
    }

    /// What there are handlers for.
    pub fn hooks(&self) -> Hooks {
        self.hooks
    }

    /// Ends the process.
    pub async fn shutdown(&self) {
        self.process.shutdown().await;
    }

    async fn ask<T: DeserializeOwned>(&self, frame: impl Fn(u64) -> Vec<u8>) -> Result<T> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Verdict<T> {
            Failed { error: String, trace: Option<String> },
            Given(T),
        }
        let late =
            |why: String| Error::Unavailable(format!("the encryption does not answer: {why}"));
        let answer = self.process.ask(frame).await.map_err(late)?;
        let answer = answer.map_err(|error| Error::Backend(error.to_string().into()))?;
        match answer.json.parse() {
            Ok(Verdict::Given(given)) => Ok(given),
            Ok(Verdict::Failed { error, trace }) => {
                if let Some(trace) = trace {
                    tracing::error!("{}", trace.trim_end());
                }
                Err(Error::Backend(error.into()))
            }
            Err(error) => {
                Err(Error::Backend(format!("the encryption's answer is odd: {error}").into()))
            }
        }
    }

    fn crypt<T: DeserializeOwned>(
        &self,
        kind: u8,
        parts: &[Value],
        data: &[Vec<u8>],
    ) -> Result<Vec<T>> {
        #[derive(Deserialize)]
        struct Given<T> {
            parts: Vec<T>,
        }
        let asked = self.ask(|job| protocol::crypt(kind, job, parts, data));
        let Given { parts: answers } = self.runtime.block_on(asked)?;
        match answers.len() == parts.len() {
            true => Ok(answers),
            false => Err(Error::Backend("the encryption did not answer for every part".into())),
        }
    }

    fn json(&self, kind: u8, parts: Vec<Part>) -> Result<Vec<Decrypted>> {
        #[derive(Deserialize)]
        struct Answer {
            data: Map,
            replacement: Option<Map>,
        }
        let (heads, data): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .map(|Part { model, field, context, data }| {
                let head =
                    json!({"kind": "json", "model": model, "field": field, "context": context});
                (head, serde_json::to_vec(&data).expect("keys are text"))
            })
            .unzip();
        let answers: Vec<Answer> = self.crypt(kind, &heads, &data)?;
        Ok(answers
            .into_iter()
            .map(|Answer { data, replacement }| Decrypted { plain: data, replacement })
            .collect())
    }

    fn blob(&self, kind: u8, context: &Map, blob: &[u8]) -> Result<DecryptedBlob> {
        #[derive(Deserialize)]
        struct Answer {
            data: String,
            replacement: Option<String>,
        }
        let head =
            json!({"kind": "blob", "model": "checkpoint", "field": "blob", "context": context});
        let answers: Vec<Answer> = self.crypt(kind, &[head], &[blob.to_vec()])?;
        let [Answer { data, replacement }] = &answers[..] else {
            return Err(Error::Backend("the encryption did not answer".into()));
        };
        let decoded = |text: &String| BASE64_STANDARD.decode(text).map_err(Error::backend);
        let replacement = replacement.as_ref().map(decoded).transpose()?;
        Ok(DecryptedBlob { plain: decoded(data)?, replacement })
    }
}

#[async_trait]
impl EncryptionContexts for CustomEncryption {
    async fn context(&self, user: &User, given: Map) -> Map {
        #[derive(Deserialize)]
        struct Given {
            context: Map,
        }
        if !self.hooks.context {
            return given;
        }
        match self.ask(|job| protocol::context(job, &user.fields, &given)).await {
            Ok(Given { context }) => context,
            Err(error) => {
                tracing::error!(%error, "the context of a request could not be told; it is what was sent");
                given
            }
        }
    }
}

impl JsonCipher for CustomEncryption {
    fn encrypt(&self, parts: Vec<Part>) -> Result<Vec<Map>> {
        if !self.hooks.json {
            return Ok(parts.into_iter().map(|part| part.data).collect());
        }
        let answers = self.json(kind::ENCRYPT, parts)?;
        Ok(answers.into_iter().map(|answer| answer.plain).collect())
    }

    fn decrypt(&self, parts: Vec<Part>) -> Result<Vec<Decrypted>> {
        if !self.hooks.json {
            let plain = |part: Part| Decrypted { plain: part.data, replacement: None };
            return Ok(parts.into_iter().map(plain).collect());
        }
        self.json(kind::DECRYPT, parts)
    }
}

impl BlobCipher for CustomEncryption {
    fn encrypt(&self, context: &Map, blob: &[u8]) -> Result<Vec<u8>> {
        Ok(self.blob(kind::ENCRYPT, context, blob)?.plain)
    }

    fn decrypt(&self, context: &Map, blob: &[u8]) -> Result<DecryptedBlob> {
        self.blob(kind::DECRYPT, context, blob)
    }
}
