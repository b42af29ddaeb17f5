//! No secret leaves: not in refusals, not in `Debug` output, not in the log, not on disk.

use std::{
    io,
    sync::{Arc, Mutex},
};

use agent_server_domain::{auth::Credentials, ports::Clock as _};

use super::{Hand, Signer, ask, claims, start, tokens_with};
use crate::{
    Options,
    jwt::Source,
    keys::{KeyFile, NewKey},
};

/// Takes what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_told() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::of(folder.path());
    let new = |name: &str| NewKey {
        name: name.into(),
        identity: "bob".into(),
        permissions: vec![],
        expires_at: None,
    };
    let now = Hand::new().now();
    let (key, secret) = file.create(new("a"), now).unwrap();
    let (_, revoked) = file.create(new("b"), now).unwrap();
    file.revoke(revoked.reveal(), now).unwrap();
    let signer = Signer::ed();
    let jwks = folder.path().join("jwks.json");
    std::fs::write(&jwks, serde_json::json!({"keys": [signer.jwk("k")]}).to_string()).unwrap();
    let options = Options { keys: Some(file.path()), ..tokens_with(Source::File(jwks)) };
    let builtin = start(&options);

    let forged = Signer::ed().token("k", &claims());
    let token = signer.token("k", &serde_json::json!({"iss": "other"}));
    // Each is the part of a credential that must not be seen.
    let hidden = |text: &str| text[text.len().saturating_sub(20)..].to_owned();
    let credentials = [secret.reveal(), revoked.reveal(), &token, &forged, "lsv2_pt_abcdefgh"];
    let hidden: Vec<_> = credentials.iter().map(|text| hidden(text)).collect();

    let mut told = format!("{options:?} {builtin:?} {key:?} {secret:?} {revoked:?} {file:?}");
    for text in credentials {
        let bearer = format!("Bearer {text}");
        for headers in [[("x-api-key", text)], [("authorization", &*bearer)]] {
            let broken = headers.map(|(name, text)| (name, &text[..text.len() - 1]));
            let joined = format!("{bearer}, {bearer}");
            for headers in [headers, broken, [("authorization", &*joined)]] {
                told += &format!("{:?}", ask(&builtin, &headers).await);
            }
            let headers = headers.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
            let query = format!("token={text}");
            told += &format!(
                "{:?}",
                Credentials { headers: headers.into(), query, ..Credentials::default() }
            );
        }
    }
    // Somebody writes a key into the file by hand, or pastes one where a name belongs.
    let content = std::fs::read_to_string(file.path()).unwrap();
    std::fs::write(file.path(), content.replacen("\"a\"", secret.reveal(), 1)).unwrap();
    told += &format!("{:?}", ask(&builtin, &[("x-api-key", secret.reveal())]).await);
    std::fs::write(file.path(), content.clone()).unwrap();
    told += &format!("{:?}", file.revoke(&secret.reveal()[..51], now));
    told += &String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    told += &content;

    assert!(told.contains("is damaged"), "the log was heard");
    for secret in hidden {
        let start = &secret[..8];
        assert!(!told.contains(start), "{secret} in {told}");
    }
}
