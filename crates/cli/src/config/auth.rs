//! Who may ask: built-in authentication, for projects without a handler of their own.
//!
//! API keys are asked for where it says so, and where keys were made: nobody makes one to leave the door open. The settings
//! are flags, `AGENT_SERVER_*` and `[auth]` of agent-server.toml; a project's own variables do not change them.

use std::{path::Path, time::Duration};

use agent_server_auth::{Options, jwt, keys::KeyFile};

use super::{
    Sources,
    file::{self, Words},
    first,
    project::Project,
};
use crate::refusal::{Refusal, Result};

/// The methods; `None` if there are none.
///
/// Errors: a refusal if settings are missing or contradict each other, and if the project has a handler as well.
pub(crate) fn resolve(
    from: &Sources<'_>,
    project: &Project,
    data_dir: &Path,
) -> Result<Option<Options>> {
    let keys = KeyFile::of(data_dir).path();
    // What cannot be looked at counts as there; opening it says why.
    let made = !matches!(keys.try_exists(), Ok(false));
    let asked = [from.args.auth.auth_keys, from.file.auth.keys];
    let keys = first(asked, || made).then_some(keys);
    let options = Options { keys, jwt: jwt(from)? };
    if options == Options::default() {
        return Ok(None);
    }
    if has_handler(project) {
        return Err(Refusal::usage(both(&options)).into());
    }
    Ok(Some(options))
}

/// Whether the project decides itself who may ask.
fn has_handler(project: &Project) -> bool {
    let path = project.sections.get("auth").and_then(|section| section.get("path"));
    path.is_some_and(|path| !path.is_null())
}

fn both(options: &Options) -> String {
    let (built_in, instead) = match (&options.keys, &options.jwt) {
        (Some(keys), None) => (
            format!("API keys are asked for ({})", keys.display()),
            "set auth.keys = false in agent-server.toml",
        ),
        _ => ("built-in authentication is set, too".to_owned(), "take the [auth] settings away"),
    };
    format!(
        "auth.path of langgraph.json names a handler, and {built_in}: only one of them can decide who asks. {instead}, \
         or remove auth.path"
    )
}

fn jwt(from: &Sources<'_>) -> Result<Option<jwt::Options>> {
    let (args, file) = (&from.args.auth, &from.file.auth.jwt);
    // A variable that is empty is one that somebody meant to fill: it must not switch a check off.
    let text = |flag: &Option<String>, file: &Option<String>| {
        flag.clone().filter(|text| !text.is_empty()).or_else(|| file.clone())
    };
    let list = |flag: &Option<Vec<String>>| {
        let words = flag.iter().flatten().map(|word| word.trim().to_owned());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        (!words.is_empty()).then_some(words)
    };
    let issuer = text(&args.jwt_issuer, &file.issuer);
    let url = text(&args.jwt_jwks_url, &file.jwks_url);
    let path = args.jwt_jwks_file.clone().filter(|path| !path.as_os_str().is_empty());
    let path = path.or_else(|| file.jwks_file.clone());
    let of_file = file.audience.clone().map(|audience| match audience {
        Words::One(word) => vec![word],
        Words::Many(words) => words,
    });
    let audience = list(&args.jwt_audience).or(of_file);

    let Some(issuer) = issuer else {
        if url.is_some() || path.is_some() || audience.is_some() || *file != file::Jwt::default() {
            return refuse(
                "issuer",
                "it is not set, but other settings of tokens are: name whose tokens are accepted",
            );
        }
        return Ok(None);
    };
    let Some(audience) = audience else {
        return refuse(
            "audience",
            "it is not set: name the audience of your tokens, so that tokens for others do not count here; an empty \
             list in the file accepts them all",
        );
    };
    let keys = match (url, path) {
        (Some(_), Some(_)) => {
            return refuse("jwks_url", "there is jwks_file as well: name one of them");
        }
        (Some(url), None) => jwt::Source::Url(url),
        (None, Some(path)) => jwt::Source::File(path),
        (None, None) => jwt::Source::Issuer,
    };
    let usual = jwt::Claims::default();
    let usual_timing = jwt::Timing::default();
    let refresh = args.jwt_refresh_seconds.or(file.refresh_seconds).map(Duration::from_secs);
    if refresh.is_some_and(|refresh| refresh < usual_timing.apart) {
        return refuse("refresh_seconds", "it is less than 10");
    }
    let leeway = args.jwt_leeway_seconds.or(file.leeway_seconds);
    if leeway.is_some_and(|seconds| seconds > 3600) {
        return refuse("leeway_seconds", "it is more than an hour");
    }
    let all = || jwt::ALGORITHMS.iter().map(|(name, _)| (*name).to_owned()).collect();
    Ok(Some(jwt::Options {
        keys,
        algorithms: first([list(&args.jwt_algorithms), file.algorithms.clone()], all),
        claims: jwt::Claims {
            issuer,
            audience,
            leeway_seconds: leeway.unwrap_or(usual.leeway_seconds),
            identity: text(&args.jwt_identity_claim, &file.identity_claim)
                .unwrap_or(usual.identity),
            permissions: text(&args.jwt_permissions_claim, &file.permissions_claim)
                .unwrap_or(usual.permissions),
            display_name: text(&args.jwt_display_name_claim, &file.display_name_claim),
            keep: first([list(&args.jwt_claims), file.claims.clone()], Vec::new),
        },
        timing: jwt::Timing { refresh: refresh.unwrap_or(usual_timing.refresh), ..usual_timing },
        allow_http: args.jwt_allow_http.or(file.allow_http).unwrap_or(false),
    }))
}

fn refuse<T>(key: &str, cause: &str) -> Result<T> {
    let variable = format!("AGENT_SERVER_JWT_{}", key.to_uppercase());
    let file = file::NAME;
    Err(Refusal::usage(format!("auth.jwt.{key} of {file} ({variable}): {cause}")).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{args::ServerArgs, env::Env};

    fn check(args: &ServerArgs, toml: &str, folder: &Path) -> Result<Option<Options>> {
        let file = toml::from_str(toml).unwrap();
        let from = Sources { args, env: &Env::default(), file: &file };
        resolve(&from, &Project::default(), folder)
    }

    fn cause(toml: &str) -> String {
        check(&ServerArgs::default(), toml, Path::new("/nowhere")).unwrap_err().to_string()
    }

    #[test]
    fn keys_are_asked_for_where_some_were_made() {
        let folder = tempfile::tempdir().unwrap();
        let args = ServerArgs::default();
        let keys = |toml| check(&args, toml, folder.path()).unwrap().map(|options| options.keys);
        assert_eq!(keys(""), None);
        let file = Some(Some(folder.path().join("keys.json")));
        assert_eq!(keys("[auth]\nkeys = true"), file);
        std::fs::write(folder.path().join("keys.json"), "").unwrap();
        assert_eq!(keys(""), file);
        assert_eq!(keys("[auth]\nkeys = false"), None);
    }

    #[test]
    fn an_issuer_and_an_audience_are_enough() {
        let toml = "[auth.jwt]\nissuer = \"https://i\"\naudience = \"us\"";
        let jwt = |args: &ServerArgs, toml: &str| {
            check(args, toml, Path::new("/nowhere")).unwrap().unwrap().jwt.unwrap()
        };
        let usual = jwt(&ServerArgs::default(), toml);
        assert_eq!(usual.keys, jwt::Source::Issuer);
        assert_eq!((usual.algorithms.len(), usual.allow_http), (9, false));
        let claims = jwt::Claims {
            issuer: "https://i".into(),
            audience: vec!["us".into()],
            ..jwt::Claims::default()
        };
        assert_eq!(usual.claims, claims);

        let mut args = ServerArgs::default();
        // What an empty variable gives does not switch the audience off.
        args.auth.jwt_audience = Some(vec![String::new()]);
        args.auth.jwt_jwks_url = Some(String::new());
        args.auth.jwt_identity_claim = Some("email".into());
        let more = "\nidentity_claim = \"name\"\nclaims = [\"org\"]\njwks_file = \"k\"";
        let more = jwt(&args, &(toml.to_owned() + more));
        assert_eq!(more.keys, jwt::Source::File("k".into()));
        let claims = jwt::Claims {
            identity: "email".into(),
            keep: vec!["org".into()],
            audience: vec!["us".into()],
            ..claims
        };
        assert_eq!(more.claims, claims);
    }

    #[test]
    fn half_a_configuration_is_refused() {
        let issuer = "[auth.jwt]\nissuer = \"https://i\"\n";
        assert!(cause("[auth.jwt]\njwks_file = \"k\"").starts_with(
            "auth.jwt.issuer of agent-server.toml (AGENT_SERVER_JWT_ISSUER): it is not set"
        ));
        assert!(cause("[auth.jwt]\nleeway_seconds = 1").contains("auth.jwt.issuer"));
        assert!(cause(issuer).starts_with("auth.jwt.audience"));
        let issuer = issuer.to_owned() + "audience = []\n";
        assert!(
            cause(&(issuer.clone() + "jwks_url = \"u\"\njwks_file = \"k\"")).contains("one of")
        );
        assert!(cause(&(issuer.clone() + "leeway_seconds = 3601")).contains("leeway_seconds"));
        assert!(cause(&(issuer + "refresh_seconds = 9")).contains("refresh_seconds"));
    }

    #[test]
    fn a_handler_and_built_in_authentication_cannot_both_decide() {
        let sections = json!({"auth": {"path": "./auth.py:auth"}}).as_object().unwrap().clone();
        let project = Project { sections, ..Project::default() };
        let check = |toml: &str| {
            let file = toml::from_str(toml).unwrap();
            let from = Sources { args: &ServerArgs::default(), env: &Env::default(), file: &file };
            resolve(&from, &project, Path::new("/nowhere"))
        };
        assert_eq!(check("").unwrap(), None);
        let error = check("[auth]\nkeys = true").unwrap_err().to_string();
        assert_eq!(
            error,
            "auth.path of langgraph.json names a handler, and API keys are asked for (/nowhere/keys.json): only one \
             of them can decide who asks. set auth.keys = false in agent-server.toml, or remove auth.path"
        );
        assert!(check("[auth.jwt]\nissuer = \"i\"\naudience = []").is_err());
    }
}
