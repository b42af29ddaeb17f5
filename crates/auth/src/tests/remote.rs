//! Keys that come from the issuer: when they are fetched, and what happens when they cannot be.

use std::time::Duration;

use serde_json::json;

use super::{Signer, ann, bearer, cause, claims, issuer::Issuer, start, tokens_with};
use crate::{
    Builtin,
    jwt::{Source, Timing},
};

/// Long enough never to be over within a test.
const NEVER: Duration = Duration::from_secs(3600);

fn timing() -> Timing {
    Timing { refresh: NEVER, apart: NEVER, stale: NEVER, wait: Duration::from_secs(30) }
}

fn accept(issuer: &Issuer, timing: Timing) -> Builtin {
    let mut options = tokens_with(Source::Url(issuer.keys_url()));
    options.jwt.as_mut().unwrap().timing = timing;
    start(&options)
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_requests() {
    let signer = Signer::p256();
    let issuer = Issuer::start(vec![signer.jwk("a")]).await;
    let builtin = accept(&issuer, timing());
    let token = signer.token("a", &claims());
    for _ in 0..20 {
        assert_eq!(bearer(&builtin, &token).await, Ok(ann()));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn unknown_keys_are_asked_for_but_not_with_every_token() {
    let signer = Signer::p256();
    let issuer = Issuer::start(vec![signer.jwk("a")]).await;
    let builtin = accept(&issuer, timing());
    let other = signer.token("nobody's", &claims());
    for _ in 0..20 {
        assert_eq!(cause(bearer(&builtin, &other).await), "the issuer has no key \"nobody's\"");
    }
    assert_eq!(issuer.asked(), 1, "the first fetch is recent enough");
    assert_eq!(bearer(&builtin, &signer.token("a", &claims())).await, Ok(ann()));
}

#[tokio::test]
async fn a_new_key_counts_with_the_first_token_that_names_it() {
    let (old, new) = (Signer::p256(), Signer::ed());
    let issuer = Issuer::start(vec![old.jwk("old")]).await;
    let builtin = accept(&issuer, Timing { apart: Duration::ZERO, ..timing() });
    assert_eq!(bearer(&builtin, &old.token("old", &claims())).await, Ok(ann()));
    issuer.answers.lock().keys = vec![new.jwk("new")];
    assert_eq!(bearer(&builtin, &new.token("new", &claims())).await, Ok(ann()));
    let cause = cause(bearer(&builtin, &old.token("old", &claims())).await);
    assert_eq!(cause, "the issuer has no key \"old\"");
}

#[tokio::test]
async fn a_withdrawn_key_counts_no_longer_than_its_age() {
    let signer = Signer::p256();
    let issuer = Issuer::start(vec![signer.jwk("a")]).await;
    let builtin = accept(&issuer, Timing { refresh: Duration::from_millis(1), ..timing() });
    let token = signer.token("a", &claims());
    assert_eq!(bearer(&builtin, &token).await, Ok(ann()));
    issuer.answers.lock().keys = vec![Signer::p256().jwk("b")];
    // Two answers later one of them has been put in place.
    issuer.asked_at_least(issuer.asked() + 2).await;
    assert_eq!(cause(bearer(&builtin, &token).await), "the issuer has no key \"a\"");
}

#[tokio::test]
async fn an_issuer_that_is_down_leaves_known_keys_until_they_are_stale() {
    let signer = Signer::p256();
    let token = signer.token("a", &claims());
    for (stale, counts) in [(NEVER, true), (Duration::ZERO, false)] {
        let issuer = Issuer::start(vec![signer.jwk("a")]).await;
        let often = Duration::from_millis(1);
        let builtin = accept(&issuer, Timing { refresh: often, apart: often, stale, ..timing() });
        issuer.asked_at_least(1).await;
        issuer.answers.lock().instead = Some("503 Service Unavailable");
        let outcome = bearer(&builtin, &token).await;
        if counts {
            assert_eq!(outcome, Ok(ann()));
        } else {
            assert_eq!(cause(outcome), "the issuer has no key \"a\"");
        }
    }
}

#[tokio::test]
async fn nobody_gets_in_while_keys_cannot_be_fetched() {
    let signer = Signer::p256();
    for instead in ["503 Service Unavailable", "302 Found", "200 OK"] {
        let issuer = Issuer::start(vec![signer.jwk("a")]).await;
        issuer.answers.lock().instead = Some(instead);
        let builtin = accept(&issuer, timing());
        let cause = cause(bearer(&builtin, &signer.token("a", &claims())).await);
        assert_eq!(cause, "the public keys of the issuer could not be fetched", "{instead}");
        assert_eq!(issuer.asked(), 1, "nothing that is pointed to is fetched");
    }
}

#[tokio::test]
async fn the_issuer_says_where_its_keys_are() {
    let signer = Signer::rsa();
    let issuer = Issuer::start(vec![signer.jwk("a")]).await;
    let mut claims = claims();
    claims["iss"] = json!(issuer.url);
    let token = signer.token("a", &claims);
    let mut options = tokens_with(Source::Issuer);
    let jwt = options.jwt.as_mut().unwrap();
    (jwt.claims.issuer, jwt.timing) = (issuer.url.clone(), timing());
    assert_eq!(bearer(&start(&options), &token).await, Ok(ann()));

    issuer.answers.lock().name = "https://somebody.else".into();
    let cause = cause(bearer(&start(&options), &token).await);
    assert_eq!(cause, "the public keys of the issuer could not be fetched");
}
