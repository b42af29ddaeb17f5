//! Which header counts, and what is refused before any method looks at it.

use agent_server_domain::auth::{Authenticator as _, Credentials, User};

use serde_json::{Value, json};

use super::{Signer, ann, ask, cause, claims, start, tokens_with};
use crate::{
    Builtin, Options,
    jwt::Source,
    keys::{KeyFile, NewKey},
};

/// Both methods: an API key of Bob, tokens of Ann.
struct Both {
    _folder: tempfile::TempDir,
    builtin: Builtin,
    key: String,
    token: String,
}

fn both() -> Both {
    let folder = tempfile::tempdir().unwrap();
    let keys = KeyFile::of(folder.path());
    let new =
        NewKey { name: "n".into(), identity: "bob".into(), permissions: vec![], expires_at: None };
    let now = agent_server_domain::ports::Clock::now(&*super::Hand::new());
    let key = keys.create(new, now).unwrap().1.reveal().to_owned();
    let signer = Signer::ed();
    let jwks = folder.path().join("jwks.json");
    std::fs::write(&jwks, json!({"keys": [signer.jwk("a")]}).to_string()).unwrap();
    let options = Options { keys: Some(keys.path()), ..tokens_with(Source::File(jwks)) };
    let token = signer.token("a", &claims());
    Both { _folder: folder, builtin: start(&options), key, token }
}

#[tokio::test]
async fn each_method_decides_about_its_own_credentials() {
    let both = both();
    let (key, bearer_key) = (both.key.as_str(), format!("Bearer {}", both.key));
    let token = format!("Bearer {}", both.token);
    let bob = User::named("bob", vec![]);
    for (headers, user) in [
        (&[("x-api-key", key)][..], &bob),
        (&[("authorization", &*bearer_key)], &bob),
        (&[("authorization", &*token)], &ann()),
        // Keys look first.
        (&[("authorization", &*token), ("x-api-key", key)], &bob),
        // What SDKs find in the environment and send unasked is nobody's business here.
        (&[("authorization", &*token), ("x-api-key", "lsv2_pt_0123")], &ann()),
        // A proxy's own authentication does not disturb.
        (&[("authorization", "Basic YTpi"), ("x-api-key", key)], &bob),
        (&[("authorization", &*token), ("x-api-key", "")], &ann()),
    ] {
        assert_eq!(ask(&both.builtin, headers).await.as_ref(), Ok(user), "{headers:?}");
    }
    // A key that does not count is not made good by a token.
    let wrong = "as_00000000_0000000000000000000000000000000000000000000";
    let outcome = ask(&both.builtin, &[("authorization", &token), ("x-api-key", wrong)]).await;
    assert_eq!(cause(outcome), "there is no API key 00000000");
}

#[tokio::test]
async fn what_cannot_be_a_credential_is_refused() {
    let both = both();
    let token = format!("Bearer {}", both.token);
    let long = format!("Bearer {}", "a".repeat(16 << 10));
    let unknown = "no configured method knows this kind of credential";
    for (headers, expected) in [
        (&[][..], "no credentials"),
        (&[("x-other", "1")], "no credentials"),
        (&[("authorization", "")], "no credentials"),
        (&[("authorization", "Bearer")], unknown),
        (&[("authorization", "Basic YTpi")], unknown),
        (&[("x-api-key", "lsv2_pt_0123")], unknown),
        (&[("x-api-key", &both.token)], unknown),
        (&[("authorization", &both.key)], unknown),
        (&[("authorization", "Bearer  ")], unknown),
        (&[("authorization", "Bearer a b")], "what follows Bearer is not one token"),
        (&[("authorization", "Bearer a,Bearer b")], "what follows Bearer is not one token"),
        (&[("authorization", "Bearer \u{e9}")], "what follows Bearer is not one token"),
        (&[("authorization", &long)], "header authorization has 16391 bytes, too many"),
        (
            &[("authorization", &token), ("authorization", &token)],
            "header authorization was sent more than once",
        ),
        (
            &[("x-api-key", &both.key), ("x-api-key", &both.key)],
            "header x-api-key was sent more than once",
        ),
        // Nor may the second one differ, whichever a reader would pick.
        (
            &[("authorization", &token), ("x-api-key", "a"), ("x-api-key", "b")],
            "header x-api-key was sent more than once",
        ),
    ] {
        assert_eq!(cause(ask(&both.builtin, headers).await), expected, "{headers:?}");
    }
    let headers = vec![("authorization".into(), b"Bearer \xff".to_vec())];
    let credentials = Credentials { headers, ..Credentials::default() };
    let outcome = both.builtin.authenticate(&credentials).await;
    assert_eq!(cause(outcome), "header authorization is not text");
}

#[tokio::test]
async fn a_method_that_is_off_knows_nobody() {
    let both = both();
    let tokens_off = Options { keys: Some(KeyFile::of(both._folder.path()).path()), jwt: None };
    let builtin = start(&tokens_off);
    let token = format!("Bearer {}", both.token);
    let unknown = "no configured method knows this kind of credential";
    assert_eq!(cause(ask(&builtin, &[("authorization", &token)]).await), unknown);
    let keys_off = tokens_with(Source::File(both._folder.path().join("jwks.json")));
    assert_eq!(cause(ask(&start(&keys_off), &[("x-api-key", &both.key)]).await), unknown);
}

#[tokio::test]
async fn the_document_names_the_methods_that_are_on() {
    let both = both();
    let key = json!({"type": "apiKey", "in": "header", "name": "x-api-key"});
    let bearer = json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"});
    let expected = json!({
        "securitySchemes": {"apiKey": key, "bearer": bearer},
        "security": [{"apiKey": []}, {"bearer": []}],
    });
    assert_eq!(Value::Object(both.builtin.document()), expected);
    let tokens = start(&tokens_with(Source::File(both._folder.path().join("jwks.json"))));
    let expected = json!({"securitySchemes": {"bearer": bearer}, "security": [{"bearer": []}]});
    assert_eq!(Value::Object(tokens.document()), expected);
}
