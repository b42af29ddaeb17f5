//! What a token must claim, and the user that follows from it. Pure rules, on claims whose signature is right.

use agent_server_domain::{
    auth::User,
    storage::{Map, Timestamp},
};
use serde_json::Value;

/// Claims that are members of every user and come from settings of their own.
const OWN: [&str; 4] = ["identity", "is_authenticated", "display_name", "permissions"];

/// What a token must claim, and what becomes of it.
///
/// A claim is given by its name, or by a path with dots into objects (`realm_access.roles`); a claim of exactly that name
/// is preferred, because names of claims may be addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud` must hold one of these. An empty list asks for none: for issuers whose tokens have no audience.
    pub audience: Vec<String>,
    /// How far clocks may be apart, seconds.
    pub leeway_seconds: u64,
    /// Claim with the user's identity.
    pub identity: String,
    /// Claim with the user's permissions: a list, or words with blanks between them.
    pub permissions: String,
    /// Claim with the name that people see; the identity where it is not set or not there.
    pub display_name: Option<String>,
    /// Further claims that graphs and handlers get to see.
    pub keep: Vec<String>,
}

impl Default for Claims {
    /// The claims of RFC 7519 and RFC 8693, of an issuer that is still to be named.
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: Vec::new(),
            leeway_seconds: 60,
            identity: "sub".into(),
            permissions: "scope".into(),
            display_name: None,
            keep: Vec::new(),
        }
    }
}

impl Claims {
    /// Errors: settings that cannot be meant.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.issuer.is_empty() {
            return Err("the issuer of the tokens is not named".into());
        }
        match self.keep.iter().find(|claim| OWN.contains(&claim.as_str())) {
            Some(claim) => Err(format!("the claim '{claim}' would replace a member of the user")),
            None => Ok(()),
        }
    }

    /// The user whom the claims name now, or what is wrong with them.
    pub(super) fn judge(&self, claims: &Map, now: Timestamp) -> Result<User, String> {
        self.issuer(claims)?;
        self.audience(claims)?;
        self.time(claims, now)?;
        self.user(claims)
    }

    fn issuer(&self, claims: &Map) -> Result<(), String> {
        match claims.get("iss").and_then(Value::as_str) {
            Some(issuer) if issuer == self.issuer => Ok(()),
            Some(issuer) => Err(format!("issued by {:?}", super::brief(issuer))),
            None => Err("no issuer (iss)".into()),
        }
    }

    fn audience(&self, claims: &Map) -> Result<(), String> {
        if self.audience.is_empty() {
            return Ok(());
        }
        let ours = |value: &Value| {
            value.as_str().is_some_and(|audience| self.audience.iter().any(|own| own == audience))
        };
        match claims.get("aud") {
            Some(Value::Array(audiences)) if audiences.iter().any(ours) => Ok(()),
            Some(audience) if ours(audience) => Ok(()),
            Some(_) => Err("made for another audience (aud)".into()),
            None => Err("no audience (aud)".into()),
        }
    }

    fn time(&self, claims: &Map, now: Timestamp) -> Result<(), String> {
        let seconds = |name: &str| match claims.get(name) {
            None => Ok(None),
            // Numbers of seconds may have a fraction (RFC 7519, section 2).
            Some(value) => match value.as_f64().filter(|seconds| seconds.is_finite()) {
                Some(seconds) => Ok(Some(seconds)),
                None => Err(format!("{name} is not a time")),
            },
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds of this age are far below 2^53")]
        let (now, leeway) = (now.timestamp_millis() as f64 / 1e3, self.leeway_seconds as f64);
        let expires = seconds("exp")?.ok_or("no end (exp)")?;
        if expires + leeway <= now {
            return Err(format!("expired {:.0} seconds ago", now - expires));
        }
        match seconds("nbf")? {
            Some(begins) if begins - leeway > now => {
                Err(format!("not valid for another {:.0} seconds", begins - now))
            }
            _ => Ok(()),
        }
    }

    fn user(&self, claims: &Map) -> Result<User, String> {
        let text = |name: &str| find(claims, name).and_then(Value::as_str);
        let identity = text(&self.identity)
            .filter(|identity| !identity.trim().is_empty() && !identity.contains(char::is_control))
            .ok_or_else(|| format!("no identity ({}) that is a text", self.identity))?;
        let permissions = match find(claims, &self.permissions) {
            None | Some(Value::Null) => Vec::new(),
            Some(value) => words(value)
                .ok_or_else(|| format!("{} is neither a list nor words", self.permissions))?,
        };
        let mut user = User::named(identity, permissions);
        if let Some(name) = self.display_name.as_deref().and_then(text) {
            user.fields.insert("display_name".into(), name.into());
        }
        for claim in &self.keep {
            if let Some(value) = find(claims, claim) {
                user.fields.insert(claim.clone(), value.clone());
            }
        }
        Ok(user)
    }
}

fn find<'a>(claims: &'a Map, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, part| value.get(part))
    })
}

fn words(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Value::Array(list) => list.iter().map(|word| word.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    /// Judges claims that are right but for `changes` (null takes one away), 1,000 seconds after the epoch.
    fn judge(rules: &Claims, changes: Value) -> Result<User, String> {
        let right = json!({"iss": "https://i", "aud": "us", "exp": 1100, "sub": "ann"});
        let mut claims = right.as_object().unwrap().clone();
        claims.extend(changes.as_object().unwrap().clone());
        claims.retain(|_, value| !value.is_null());
        rules.judge(&claims, DateTime::from_timestamp(1000, 0).unwrap())
    }

    fn rules() -> Claims {
        Claims { issuer: "https://i".into(), audience: vec!["us".into()], ..Claims::default() }
    }

    fn refused(changes: Value, cause: &str) {
        assert_eq!(judge(&rules(), changes).unwrap_err(), cause);
    }

    #[test]
    fn the_right_claims_name_a_user() {
        assert_eq!(judge(&rules(), json!({})), Ok(User::named("ann", vec![])));
        let several = json!({"aud": ["them", "us"], "scope": "read  write"});
        let permissions = vec!["read".into(), "write".into()];
        assert_eq!(judge(&rules(), several), Ok(User::named("ann", permissions)));
    }

    #[test]
    fn issuer_and_audience_must_be_ours() {
        refused(json!({"iss": "https://i/"}), "issued by \"https://i/\"");
        refused(json!({"iss": null}), "no issuer (iss)");
        refused(json!({"iss": ["https://i"]}), "no issuer (iss)");
        refused(json!({"aud": "them"}), "made for another audience (aud)");
        refused(json!({"aud": []}), "made for another audience (aud)");
        refused(json!({"aud": {"us": 1}}), "made for another audience (aud)");
        refused(json!({"aud": null}), "no audience (aud)");
        let nobody = Claims { audience: vec![], ..rules() };
        assert!(judge(&nobody, json!({"aud": null})).is_ok());
    }

    #[test]
    fn time_counts_with_leeway() {
        assert!(judge(&rules(), json!({"exp": 940.5})).is_ok());
        refused(json!({"exp": 940}), "expired 60 seconds ago");
        refused(json!({"exp": null}), "no end (exp)");
        refused(json!({"exp": "1100"}), "exp is not a time");
        assert!(judge(&rules(), json!({"nbf": 1060})).is_ok());
        refused(json!({"nbf": 1061}), "not valid for another 61 seconds");
        refused(json!({"nbf": true}), "nbf is not a time");
        let strict = Claims { leeway_seconds: 0, ..rules() };
        assert!(judge(&strict, json!({"exp": 1000})).is_err());
        assert!(judge(&strict, json!({"exp": 1001, "nbf": 1000})).is_ok());
    }

    #[test]
    fn an_identity_is_a_text() {
        refused(json!({"sub": null}), "no identity (sub) that is a text");
        refused(json!({"sub": ""}), "no identity (sub) that is a text");
        refused(json!({"sub": 7}), "no identity (sub) that is a text");
        refused(json!({"sub": "a\u{0}"}), "no identity (sub) that is a text");
        refused(json!({"scope": {"read": 1}}), "scope is neither a list nor words");
        refused(json!({"scope": ["read", 1]}), "scope is neither a list nor words");
    }

    #[test]
    fn claims_are_found_by_name_and_by_path() {
        let rules = Claims {
            identity: "https://x.y/id".into(),
            permissions: "realm_access.roles".into(),
            display_name: Some("name".into()),
            keep: vec!["email".into(), "org".into(), "absent".into()],
            ..rules()
        };
        let claims = json!({
            "https://x.y/id": "ann", "realm_access": {"roles": ["admin"]}, "name": "Ann",
            "email": "ann@x", "org": {"id": 1}, "secret": "not listed",
        });
        let user = judge(&rules, claims).unwrap();
        assert_eq!(
            (user.identity.as_str(), &*user.permissions),
            ("ann", &["admin".to_owned()][..])
        );
        assert_eq!(
            Value::Object(user.fields),
            json!({"identity": "ann", "is_authenticated": true, "display_name": "Ann",
                   "email": "ann@x", "org": {"id": 1}})
        );
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        assert!(Claims::default().check().is_err());
        assert!(Claims { keep: vec!["identity".into()], ..rules() }.check().is_err());
        assert!(rules().check().is_ok());
    }
}
