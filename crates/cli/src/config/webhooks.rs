//! Who may be told of the ends of runs, and how: the sections `webhooks` and `http.disable_webhooks` of langgraph.json, and the
//! secret of signatures, which is a setting of our own.
//!
//! Source: reference/configuration.md, section 2.8; reference/auth-webhooks-encryption.md, 4.2 to 4.5.

use agent_server_domain::webhooks::{UrlPolicy, outbox::FIELDS};
use agent_server_server::webhooks::{Options, Secret};
use serde_json::{Map, Value};

use super::{Sources, project::Project};
use crate::{
    env::{Env, WEBHOOK_SECRET},
    refusal::{Refusal, Result},
};

/// Variables that headers may name unless the configuration says otherwise.
const PREFIX: &str = "LG_WEBHOOK_";

/// Who is told of the ends of runs.
#[derive(Clone, Debug)]
pub(crate) struct Webhooks {
    /// Whether anybody is.
    pub(crate) enabled: bool,
    /// The only fields of a payload.
    pub(crate) allowed_fields: Option<Vec<String>>,
    /// Addresses, headers, secret.
    pub(crate) sender: Options,
}

/// The settings.
///
/// Errors: a refusal that names the entry.
pub(crate) fn resolve(from: &Sources<'_>, project: &Project) -> Result<Webhooks> {
    let empty = Map::new();
    let section = |name: &str| project.sections.get(name).and_then(Value::as_object);
    let webhooks = section("webhooks").unwrap_or(&empty);
    let disabled = match section("http").and_then(|http| http.get("disable_webhooks")) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(disabled)) => *disabled,
        Some(other) => return refuse("http.disable_webhooks", format!("{other} is no boolean")),
    };
    Ok(Webhooks {
        enabled: !disabled,
        allowed_fields: allowed_fields(webhooks.get("allowed_fields"))?,
        sender: Options {
            policy: policy(webhooks.get("url"))?,
            headers: headers(webhooks, from.env)?,
            secret: secret(from)?,
        },
    })
}

fn refuse<T>(entry: &str, cause: impl std::fmt::Display) -> Result<T> {
    Err(Refusal::usage(format!("{entry} of langgraph.json: {cause}")).into())
}

fn secret(from: &Sources<'_>) -> Result<Option<Secret>> {
    let (place, text) = match (from.env.get(WEBHOOK_SECRET), &from.file.webhooks.secret) {
        (Some(text), _) => (format!("variable {WEBHOOK_SECRET}"), text),
        (None, Some(text)) => (format!("{}: webhooks.secret", super::file::NAME), text.as_str()),
        (None, None) => return Ok(None),
    };
    let parsed = Secret::parse(text.trim());
    Ok(Some(parsed.map_err(|cause| Refusal::usage(format!("{place}: {cause}")))?))
}

fn policy(section: Option<&Value>) -> Result<UrlPolicy> {
    let section = match section {
        None | Some(Value::Null) => return Ok(UrlPolicy::default()),
        Some(Value::Object(section)) => section,
        Some(other) => return refuse("webhooks.url", format!("{other} is no object")),
    };
    // An empty section counts as none: only one that says something is strict where it says nothing.
    if section.is_empty() {
        return Ok(UrlPolicy::default());
    }
    let mut policy =
        UrlPolicy { require_https: true, max_url_length: 2048, ..UrlPolicy::default() };
    for (key, value) in section.iter().filter(|(_, value)| !value.is_null()) {
        let place = format!("webhooks.url.{key}");
        let flag = || match value {
            Value::Bool(flag) => Ok(*flag),
            other => refuse(&place, format!("{other} is no boolean")),
        };
        match key.as_str() {
            "require_https" => policy.require_https = flag()?,
            "disable_loopback" => policy.disable_loopback = flag()?,
            "disable_private_ips" => policy.disable_private_ips = flag()?,
            "max_url_length" => match value.as_u64() {
                Some(length @ 1..) => policy.max_url_length = usize::try_from(length)?,
                _ => return refuse(&place, format!("{value} is no length")),
            },
            "allowed_domains" => {
                let domains = strings(&place, value)?;
                policy.allowed_domains =
                    Some(domains.iter().map(|domain| domain.to_lowercase()).collect());
            }
            "allowed_ports" => {
                let port = |port: &Value| port.as_u64().and_then(|port| u16::try_from(port).ok());
                let ports = value.as_array().map(|ports| ports.iter().map(port).collect());
                match ports {
                    Some(Some(ports)) => policy.allowed_ports = Some(ports),
                    _ => return refuse(&place, format!("{value} is no list of ports")),
                }
            }
            _ => return refuse(&place, "there is no such key"),
        }
    }
    Ok(policy)
}

fn strings(place: &str, value: &Value) -> Result<Vec<String>> {
    let texts = value
        .as_array()
        .map(|list| list.iter().map(|text| text.as_str().map(str::to_owned)).collect());
    match texts {
        Some(Some(texts)) => Ok(texts),
        _ => refuse(place, format!("{value} is no list of strings")),
    }
}

fn allowed_fields(value: Option<&Value>) -> Result<Option<Vec<String>>> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let fields = strings("webhooks.allowed_fields", value)?;
    if let Some(unknown) = fields.iter().find(|field| !FIELDS.contains(&field.as_str())) {
        let known = FIELDS.join(", ");
        return refuse(
            "webhooks.allowed_fields",
            format!("there is no field '{unknown}'; there are {known}"),
        );
    }
    Ok(Some(fields))
}

fn headers(
    section: &Map<String, Value>,
    env: &Env,
) -> Result<Vec<(http::HeaderName, http::HeaderValue)>> {
    let prefix = match section.get("env_prefix") {
        None => PREFIX,
        Some(Value::String(prefix)) => prefix,
        Some(other) => return refuse("webhooks.env_prefix", format!("{other} is no string")),
    };
    let given = match section.get("headers") {
        None | Some(Value::Null) => return Ok(vec![]),
        Some(Value::Object(given)) => given,
        Some(other) => return refuse("webhooks.headers", format!("{other} is no object")),
    };
    let mut headers = vec![];
    for (name, template) in given {
        let place = format!("webhooks.headers.{name}");
        let Value::String(template) = template else {
            return refuse(&place, format!("{template} is no string"));
        };
        let text = match fill(template, prefix, env) {
            Ok(text) => text,
            Err(cause) => return refuse(&place, cause),
        };
        // A value may be a secret, so it is not shown.
        match (http::HeaderName::try_from(name), http::HeaderValue::try_from(text)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            (Err(_), _) => return refuse(&place, "this is no name of a header"),
            (_, Err(_)) => {
                return refuse(&place, "the value has characters that no header may have");
            }
        }
    }
    Ok(headers)
}

/// A template with its variables filled in.
fn fill(template: &str, prefix: &str, env: &Env) -> std::result::Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${{") {
        let Some((expression, after)) = after.split_once("}}") else {
            return Err("'${{' without '}}'".into());
        };
        let expression = expression.trim();
        let is_word = |name: &&str| {
            !name.is_empty()
                && name.chars().all(|letter| letter == '_' || letter.is_ascii_alphanumeric())
        };
        let Some(name) = expression.strip_prefix("env.").filter(is_word) else {
            return Err(format!(
                "'{expression}' is not understood; only ${{{{ env.NAME }}}} can stand here"
            ));
        };
        if !name.starts_with(prefix) {
            return Err(format!(
                "variable {name} does not begin with {prefix}; rename it, or set webhooks.env_prefix"
            ));
        }
        let Some(value) = env.get(name) else {
            return Err(format!("variable {name} is not set"));
        };
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{args::ServerArgs, config::file::File};

    fn check(sections: Value, vars: &[(&str, &str)]) -> Result<Webhooks> {
        let env =
            Env::from_pairs(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let (args, file) = (ServerArgs::default(), File::default());
        let sections = sections.as_object().unwrap().clone();
        let project = Project { sections, ..Project::default() };
        resolve(&Sources { args: &args, env: &env, file: &file }, &project)
    }

    #[test]
    fn a_section_that_says_something_is_strict() {
        let policy =
            |url: Value| check(json!({"webhooks": {"url": url}}), &[]).unwrap().sender.policy;
        assert_eq!(policy(json!({})), UrlPolicy::default());
        assert_eq!(policy(Value::Null), UrlPolicy::default());
        let strict = UrlPolicy {
            require_https: true,
            max_url_length: 2048,
            allowed_domains: Some(vec!["a.example".into(), "*.b.example".into()]),
            allowed_ports: Some(vec![443]),
            ..UrlPolicy::default()
        };
        let url = json!({"allowed_domains": ["A.example", "*.b.example"], "allowed_ports": [443]});
        assert_eq!(policy(url), strict);
        let open = policy(json!({"require_https": false, "disable_loopback": false}));
        assert!(!open.require_https && !open.disable_loopback);
    }

    #[test]
    fn headers_are_filled_from_variables() {
        let of = |template: &str, more: Value| {
            let mut section = json!({"headers": {"X-Sig": template}});
            section.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let vars = [("LG_WEBHOOK_TOKEN", "tok123"), ("OTHER", "x")];
            check(json!({"webhooks": section}), &vars)
                .map(|webhooks| webhooks.sender.headers[0].1.to_str().unwrap().to_owned())
                .map_err(|error| error.to_string())
        };
        let none = || json!({});
        assert_eq!(of("Bearer ${{ env.LG_WEBHOOK_TOKEN }}", none()).unwrap(), "Bearer tok123");
        let twice = "${{env.LG_WEBHOOK_TOKEN}}-${{ env.LG_WEBHOOK_TOKEN }}!";
        assert_eq!(of(twice, none()).unwrap(), "tok123-tok123!");
        assert_eq!(of("${{ env.OTHER }}", json!({"env_prefix": ""})).unwrap(), "x");
        for (template, cause) in [
            ("${{ env.OTHER }}", "variable OTHER does not begin with LG_WEBHOOK_"),
            ("${{ env.LG_WEBHOOK_NONE }}", "variable LG_WEBHOOK_NONE is not set"),
            ("${{ secrets.X }}", "'secrets.X' is not understood"),
            ("${{ env.LG_WEBHOOK_A.B }}", "'env.LG_WEBHOOK_A.B' is not understood"),
            ("${{ env.X", "without '}}'"),
            ("a\nb", "no header may have"),
        ] {
            let refusal = of(template, none()).unwrap_err();
            assert!(refusal.contains("webhooks.headers.X-Sig of langgraph.json: "), "{refusal}");
            assert!(refusal.contains(cause), "{refusal}");
        }
        assert!(of("x", json!({"env_prefix": null})).unwrap_err().contains("env_prefix"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (sections, cause) in [
            (json!({"webhooks": {"allowed_fields": ["status", "secret"]}}), "no field 'secret'"),
            (
                json!({"webhooks": {"url": {"allowed_ports": [70000]}}}),
                "webhooks.url.allowed_ports",
            ),
            (json!({"webhooks": {"url": {"require_http": true}}}), "no such key"),
            (json!({"webhooks": {"url": {"max_url_length": 0}}}), "no length"),
            (json!({"http": {"disable_webhooks": "yes"}}), "http.disable_webhooks"),
        ] {
            let refusal = check(sections, &[]).unwrap_err().to_string();
            assert!(refusal.contains(cause), "{refusal}");
        }
        let secret = check(json!({}), &[(WEBHOOK_SECRET, "hunter2")]).unwrap_err().to_string();
        assert!(secret.contains(WEBHOOK_SECRET) && !secret.contains("hunter2"), "{secret}");
        assert!(!check(json!({"http": {"disable_webhooks": true}}), &[]).unwrap().enabled);
    }
}
