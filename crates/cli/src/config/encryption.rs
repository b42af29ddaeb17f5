//! Encryption of what is stored: the key of the built-in cipher, and what it encrypts beside checkpoints.
//!
//! Source: reference/auth-webhooks-encryption.md, sections 5.3 and 5.4.

use std::collections::BTreeSet;

use agent_server_domain::storage::encrypted::is_of_the_server;
use agent_server_storage_sqlite::{AesKey, Encryption};

use crate::{
    env::{Env, upstream},
    refusal::{Refusal, Result},
};

/// Refused like the keys that the server itself reads.
const CREATED_BY: &str = "created_by";

/// Reads the variables. They have no flags: command lines can be read by others.
///
/// Errors: a refusal that names the variable, and never shows the key.
pub(crate) fn resolve(env: &Env) -> Result<Encryption> {
    let refuse =
        |name: &str, why: &str| Err(Refusal::usage(format!("variable {name}: {why}")).into());
    let names = env.get(upstream::LANGGRAPH_AES_JSON_KEYS);
    let Some(key) = env.get(upstream::LANGGRAPH_AES_KEY) else {
        return match names {
            Some(_) => refuse(
                upstream::LANGGRAPH_AES_JSON_KEYS,
                "there is no key to encrypt with; set LANGGRAPH_AES_KEY, too",
            ),
            None => Ok(Encryption::default()),
        };
    };
    let Some(aes) = AesKey::new(key.as_bytes()) else {
        let why = format!("a key has 16, 24 or 32 bytes, and this one has {}", key.len());
        return refuse(upstream::LANGGRAPH_AES_KEY, &why);
    };
    let names = names.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let json_keys: BTreeSet<String> = names.map(str::to_owned).collect();
    let system = json_keys.iter().find(|name| is_of_the_server(name) || *name == CREATED_BY);
    if let Some(name) = system {
        let why = format!("'{name}' is read by the server itself and cannot be encrypted");
        return refuse(upstream::LANGGRAPH_AES_JSON_KEYS, &why);
    }
    Ok(Encryption { key: Some(aes), json_keys, hooks: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vars: &[(&str, &str)]) -> Result<Encryption> {
        let pairs = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        resolve(&Env::from_pairs(pairs))
    }

    #[test]
    fn keys_have_three_lengths() {
        for len in [16, 24, 32] {
            assert!(check(&[("LANGGRAPH_AES_KEY", &"k".repeat(len))]).unwrap().key.is_some());
        }
        let error = check(&[("LANGGRAPH_AES_KEY", "short")]).unwrap_err().to_string();
        let expected =
            "variable LANGGRAPH_AES_KEY: a key has 16, 24 or 32 bytes, and this one has 5";
        assert_eq!(error, expected);
        assert!(check(&[]).unwrap().key.is_none());
    }

    #[test]
    fn names_need_a_key_and_may_not_be_the_servers_own() {
        let key = ("LANGGRAPH_AES_KEY", "0123456789abcdef");
        let names = |names| check(&[key, ("LANGGRAPH_AES_JSON_KEYS", names)]);
        let keys = names(" email, ,ssn").unwrap().json_keys;
        assert_eq!(keys.iter().collect::<Vec<_>>(), ["email", "ssn"]);
        for name in ["graph_id", "__pregel_checkpointer", "langgraph_plan"] {
            let error = names(name).unwrap_err().to_string();
            let expected = format!(
                "variable LANGGRAPH_AES_JSON_KEYS: '{name}' is read by the server itself and cannot be encrypted"
            );
            assert_eq!(error, expected);
        }
        assert!(check(&[("LANGGRAPH_AES_JSON_KEYS", "email")]).is_err());
    }
}
