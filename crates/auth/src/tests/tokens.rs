//! Tokens that must count and tokens that must not, with keys from a file.

use std::path::PathBuf;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{NOW, Signer, ann, bearer, cause, claims, encode, start, tokens_with, unsigned};
use crate::{Builtin, jwt::Source};

/// An issuer whose keys are in a file.
struct Filed {
    _folder: TempDir,
    file: PathBuf,
    builtin: Builtin,
}

fn filed(keys: &[Value]) -> Filed {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, json!({"keys": keys}).to_string()).unwrap();
    let builtin = start(&tokens_with(Source::File(file.clone())));
    Filed { _folder: folder, file, builtin }
}

#[tokio::test]
async fn every_kind_of_key_signs() {
    let signers = [("r", Signer::rsa()), ("e", Signer::p256()), ("o", Signer::ed())];
    let keys: Vec<_> = signers.iter().map(|(kid, signer)| signer.jwk(kid)).collect();
    let filed = filed(&keys);
    for (kid, signer) in &signers {
        assert_eq!(bearer(&filed.builtin, &signer.token(kid, &claims())).await, Ok(ann()), "{kid}");
        // The scheme's name has no case.
        let header = format!("bEARER {}", signer.token(kid, &claims()));
        assert_eq!(super::ask(&filed.builtin, &[("authorization", &header)]).await, Ok(ann()));
    }
}

#[tokio::test]
async fn claims_that_are_not_right_are_refused() {
    let signer = Signer::p256();
    let filed = filed(&[signer.jwk("a")]);
    for (claim, value, expected) in [
        ("exp", json!(NOW - 61), "expired 61 seconds ago"),
        ("exp", Value::Null, "exp is not a time"),
        ("nbf", json!(NOW + 90), "not valid for another 90 seconds"),
        ("aud", json!("them"), "made for another audience (aud)"),
        ("iss", json!("https://other"), "issued by \"https://other\""),
        ("sub", json!(""), "no identity (sub) that is a text"),
    ] {
        let mut claims = claims();
        claims[claim] = value;
        let outcome = bearer(&filed.builtin, &signer.token("a", &claims)).await;
        assert_eq!(cause(outcome), expected);
    }
    let outcome = bearer(&filed.builtin, &signer.token("a", &json!([1]))).await;
    assert_eq!(cause(outcome), "the token's claims are not a JSON object");
}

#[tokio::test]
async fn a_signature_that_was_right_counts_no_longer_than_its_key() {
    let (signer, other) = (Signer::p256(), Signer::p256());
    let filed = filed(&[signer.jwk("a")]);
    let token = signer.token("a", &claims());
    let write = |jwk: Value| std::fs::write(&filed.file, json!({"keys": [jwk, {}]}).to_string());
    for _ in 0..2 {
        assert_eq!(bearer(&filed.builtin, &token).await, Ok(ann()));
    }
    // What differs in a single letter is another token.
    let (first, rest) = token.split_at(token.len() - 20);
    let changed = format!(
        "{first}{}",
        rest.replacen(&rest[..1], if rest.starts_with('A') { "B" } else { "A" }, 1)
    );
    assert_eq!(cause(bearer(&filed.builtin, &changed).await), "the signature is wrong");
    write(other.jwk("a")).unwrap();
    assert_eq!(cause(bearer(&filed.builtin, &token).await), "the signature is wrong");
    write(signer.jwk("a")).unwrap();
    assert_eq!(bearer(&filed.builtin, &token).await, Ok(ann()));
}

#[tokio::test]
async fn signatures_are_of_the_key_that_the_token_names() {
    let (signer, other) = (Signer::p256(), Signer::p256());
    let filed = filed(&[signer.jwk("a"), other.jwk("b"), Signer::rsa().jwk("r")]);
    let refused = async |token: &str| cause(bearer(&filed.builtin, token).await);
    assert_eq!(refused(&other.token("a", &claims())).await, "the signature is wrong");
    assert_eq!(refused(&signer.token("c", &claims())).await, "the issuer has no key \"c\"");
    let expected = "the key that the token names is not for ES256";
    assert_eq!(refused(&signer.token("r", &claims())).await, expected);
    // Two keys fit, and it is not for us to try them all.
    let header = json!({"alg": "ES256"});
    let expected = "several keys fit, and the token does not say which";
    assert_eq!(refused(&signer.token_with(&header, &claims())).await, expected);
    // Claims of one token with the signature of another.
    let token = signer.token("a", &claims());
    let signature = token.rsplit('.').next().unwrap();
    let mut other = claims();
    other["sub"] = json!("root");
    let forged = format!("{}.{signature}", unsigned(&json!({"alg": "ES256", "kid": "a"}), &other));
    assert_eq!(refused(&forged).await, "the signature is wrong");
    assert_eq!(
        refused(&format!("{}.", token.rsplit_once('.').unwrap().0)).await,
        "the signature is wrong"
    );
}

#[tokio::test]
async fn a_token_may_leave_out_the_key_where_one_fits() {
    let (signer, other) = (Signer::p256(), Signer::ed());
    let filed = filed(&[signer.jwk("a"), other.jwk("b")]);
    let token = signer.token_with(&json!({"alg": "ES256"}), &claims());
    assert_eq!(bearer(&filed.builtin, &token).await, Ok(ann()));
}

#[tokio::test]
async fn no_algorithm_can_be_talked_into() {
    let signer = Signer::rsa();
    let filed = filed(&[signer.jwk("a")]);
    let refused = async |token: &str| cause(bearer(&filed.builtin, token).await);
    for alg in ["none", "None", "HS256", "HS512", "rs256", "ES256K", ""] {
        let header = json!({"alg": alg, "kid": "a"});
        let expected = format!("algorithm {alg:?} is not allowed");
        let unsigned = unsigned(&header, &claims());
        assert_eq!(refused(&format!("{unsigned}.")).await, expected);
        // The public key as the secret of an HMAC: what confuses whoever believes the header.
        for secret in [signer.jwk("a").to_string(), signer.jwk("a")["n"].as_str().unwrap().into()] {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let tag = encode(hmac::sign(&key, unsigned.as_bytes()).as_ref());
            assert_eq!(refused(&format!("{unsigned}.{tag}")).await, expected);
        }
    }
    // Another algorithm of the same key, in the header alone.
    let header = json!({"alg": "PS256", "kid": "a"});
    assert_eq!(refused(&signer.token_with(&header, &claims())).await, "the signature is wrong");
    let header = json!({"alg": "ES256", "kid": "a"});
    let expected = "the key that the token names is not for ES256";
    assert_eq!(refused(&signer.token_with(&header, &claims())).await, expected);
    // What a token brings with it is not believed either.
    let own = Signer::ed();
    let header = json!({"alg": "EdDSA", "jwk": own.jwk("a"), "jku": "https://attacker/keys"});
    let expected = "the issuer has no key that fits";
    assert_eq!(refused(&own.token_with(&header, &claims())).await, expected);
    let header = json!({"alg": "RS256", "kid": "a", "crit": ["b64"], "b64": false});
    let expected = "the token's header has critical members";
    assert_eq!(refused(&signer.token_with(&header, &claims())).await, expected);
}

#[tokio::test]
async fn only_allowed_algorithms_count() {
    let signer = Signer::ed();
    let filed = filed(&[signer.jwk("a")]);
    let mut options = tokens_with(Source::File(filed.file.clone()));
    options.jwt.as_mut().unwrap().algorithms = vec!["RS256".into()];
    let outcome = bearer(&start(&options), &signer.token("a", &claims())).await;
    assert_eq!(cause(outcome), "algorithm \"EdDSA\" is not allowed");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let filed = filed(&[Signer::ed().jwk("a")]);
    let header = encode(br#"{"alg": "EdDSA", "kid": "a"}"#);
    for (text, expected) in [
        ("..", "the token's header is not JSON with an \"alg\""),
        ("a.b.c", "the token's header is not JSON with an \"alg\""),
        (&format!("{}.e30.", encode(b"[]")), "the token's header is not JSON with an \"alg\""),
        (
            &format!("{}.e30.", encode(br#"{"alg": 1}"#)),
            "the token's header is not JSON with an \"alg\"",
        ),
        (&format!("{header}.e30.="), "the signature is wrong"),
        ("opaque", "no configured method knows this kind of credential"),
        ("a.b", "no configured method knows this kind of credential"),
        ("a.b.c.d.e", "no configured method knows this kind of credential"),
    ] {
        assert_eq!(cause(bearer(&filed.builtin, text).await), expected, "{text}");
    }
}

#[tokio::test]
async fn a_changed_file_counts_at_once_and_a_broken_one_lets_nobody_in() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let filed = filed(&[old.jwk("old")]);
    assert_eq!(bearer(&filed.builtin, &old.token("old", &claims())).await, Ok(ann()));
    std::fs::write(&filed.file, json!({"keys": [new.jwk("new")]}).to_string()).unwrap();
    assert_eq!(bearer(&filed.builtin, &new.token("new", &claims())).await, Ok(ann()));
    assert_eq!(
        cause(bearer(&filed.builtin, &old.token("old", &claims())).await),
        "the issuer has no key \"old\""
    );
    std::fs::write(&filed.file, "{").unwrap();
    let broken = cause(bearer(&filed.builtin, &new.token("new", &claims())).await);
    assert!(broken.contains("jwks.json: not a JWK set"), "{broken}");
    std::fs::remove_file(&filed.file).unwrap();
    let gone = cause(bearer(&filed.builtin, &new.token("new", &claims())).await);
    assert_eq!(gone, "the file of public keys is gone");
}

#[test]
fn a_server_does_not_start_with_keys_that_check_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock: std::sync::Arc<dyn agent_server_domain::ports::Clock> = super::Hand::new();
    let start = |content: Option<Value>| {
        let file = folder.path().join("jwks.json");
        if let Some(content) = content {
            std::fs::write(&file, content.to_string()).unwrap();
        }
        Builtin::start(&tokens_with(Source::File(file)), &clock).unwrap_err().to_string()
    };
    assert!(start(None).ends_with("jwks.json is not there"));
    assert!(start(Some(json!([]))).contains("not a JWK set"));
    let secret = json!({"kty": "oct", "k": encode(b"a secret of an HMAC"), "alg": "HS256"});
    let encrypting = json!({"kty": "RSA", "use": "enc", "n": "AQ", "e": "AQAB"});
    let odd = json!({"kty": "EC", "crv": "secp256k1", "x": "AQ", "y": "AQ"});
    let error = start(Some(json!({"keys": [secret, encrypting, odd, 5]})));
    assert!(error.contains("no key in this JWK set can check signatures"), "{error}");
    assert!(!error.contains(&encode(b"a secret of an HMAC")));
}
