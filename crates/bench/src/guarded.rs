//! What authentication costs: the same read on a server that lets everybody in and on servers that ask who one is.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{self, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{
    http::{Connection, request, request_with},
    load,
    scenario::{CONNECTIONS, Effort, Figures},
    target::{self, Guard, Programs, Target},
};

/// How often each server is asked in turn: how fast the machine is changes while one waits.
const TURNS: u32 = 8;

/// A server and the request that reads a thread of its own.
struct Asked {
    target: Target,
    read: Vec<u8>,
    rates: Vec<f64>,
}

/// How many times longer a read takes with each way to authenticate.
pub(crate) async fn measure(
    programs: &Programs,
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let token = issue(folder.path())?;
    let keys = folder.path().join("jwks.json");
    let guards = [
        (Guard::None, None),
        (Guard::Handler, Some(("authorization".to_owned(), "Bearer bench".to_owned()))),
        (Guard::Keys, None),
        (Guard::Tokens(keys), Some(("authorization".to_owned(), format!("Bearer {token}")))),
    ];
    let mut asked = vec![];
    for (guard, credential) in guards {
        let (target, key) = target::guarded(programs, &guard).await?;
        let credential = credential.or(key.map(|key| ("x-api-key".to_owned(), key)));
        let read = thread_of(&target, credential.as_ref(), &guard).await?;
        asked.push(Asked { target, read, rates: vec![] });
    }
    for _ in 0..TURNS {
        for Asked { target, read, rates } in &mut asked {
            let load = effort.load / TURNS;
            let reads = load::run(target.address, CONNECTIONS, load, vec![read.clone()]);
            rates.push(reads.await?.per_second);
        }
    }
    let mut medians = asked.iter_mut().map(|Asked { rates, .. }| {
        rates.sort_unstable_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    let open = medians.next().context("a server without authentication")?;
    for (figure, rate) in
        [&mut figures.auth_handler, &mut figures.auth_keys, &mut figures.auth_tokens]
            .into_iter()
            .zip(medians)
    {
        *figure = open / rate;
    }
    Ok(())
}

/// Makes a thread; the request that reads it.
async fn thread_of(
    target: &Target,
    credential: Option<&(String, String)>,
    guard: &Guard,
) -> Result<Vec<u8>> {
    let mut connection = Connection::open(target.address).await?;
    if !matches!(guard, Guard::None) {
        let stranger = connection.call(&request("GET", "/threads/x", None)).await?;
        ensure!(stranger.status == 401, "{guard:?} lets strangers in: status {}", stranger.status);
    }
    let headers: Vec<_> = credential.into_iter().cloned().collect();
    let create = request_with("POST", "/threads", &headers, Some("{}"));
    let made = connection.call(&create).await?;
    ensure!(made.status == 200, "{guard:?}: status {}", made.status);
    let thread = made.json()?["thread_id"].as_str().context("no id")?.to_owned();
    Ok(request_with("GET", &format!("/threads/{thread}"), &headers, None))
}

/// An issuer: writes its public key into a folder, and returns a token of its own that counts for an hour.
fn issue(folder: &Path) -> Result<String> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let pair = KeyPair::generate(KeySize::Rsa2048)?;
    let public = pair.public_key();
    let (n, e) = (public.modulus(), public.exponent());
    let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
    let key = json!({"kty": "RSA", "kid": "bench", "use": "sig", "n": encode(n), "e": encode(e)});
    std::fs::write(folder.join("jwks.json"), json!({"keys": [key]}).to_string())?;
    let now = std::time::UNIX_EPOCH.elapsed()?.as_secs();
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "bench"});
    let claims = json!({
        "iss": target::ISSUER, "aud": target::AUDIENCE, "sub": "bench", "exp": now + 3600,
    });
    let part = |value: serde_json::Value| encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut bytes = vec![0; pair.public_modulus_len()];
    let random = SystemRandom::new();
    pair.sign(&signature::RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut bytes)?;
    Ok(format!("{signed}.{}", encode(&bytes)))
}
