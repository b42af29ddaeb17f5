//! Users of recent requests, found again by what the handler looked at.

use std::{collections::HashMap, time::Instant};

use agent_server_domain::auth::{Credentials, User};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::AuthSettings;

/// A hash of what tells credentials apart. The secrets themselves are not kept.
pub(super) type Key = [u8; 32];

/// Headers that describe the message, the connection or the trace, and not the sender.
const OF_THE_MESSAGE: [&str; 23] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "baggage",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "langsmith-trace",
    "last-event-id",
    "pragma",
    "prefer",
    "priority",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "x-request-id",
];

/// Users, for a short time.
pub(super) struct Cache {
    settings: AuthSettings,
    users: Mutex<HashMap<Key, (User, Instant)>>,
}

impl Cache {
    pub(super) fn new(settings: AuthSettings) -> Self {
        Self { settings, users: Mutex::default() }
    }

    /// What the user of a request is kept under: everything that the handler may have looked at, given the names of its
    /// parameters. `None` if nothing is kept.
    pub(super) fn key(&self, credentials: &Credentials, parameters: &[String]) -> Option<Key> {
        if self.settings.remember.is_zero() || self.settings.most_remembered == 0 {
            return None;
        }
        let named = |name: &str| parameters.iter().any(|parameter| parameter == name);
        let everything = named("request") || named("scope");
        let chosen = self.settings.credentials.as_deref();
        let is_seen = |name: &str| match chosen {
            Some(chosen) => chosen.iter().any(|each| each == name),
            None if everything || named("headers") => !OF_THE_MESSAGE.contains(&name),
            None => name == "authorization" && named("authorization"),
        };
        let mut hash = Sha256::new();
        let mut add = |what: &str, value: &[u8]| {
            // Lengths keep neighbours apart.
            for part in [what.as_bytes(), value] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        };
        let whole = everything && chosen.is_none();
        for (name, value) in [
            ("method", &credentials.method),
            ("path", &credentials.path),
            ("query_params", &credentials.query),
        ] {
            if whole || named(name) {
                add(name, value.as_bytes());
            }
        }
        let mut headers: Vec<_> =
            credentials.headers.iter().filter(|(name, _)| is_seen(name)).collect();
        // Stable, so that repeated headers keep their order.
        headers.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, value) in headers {
            add(name, value);
        }
        Some(hash.finalize().into())
    }

    pub(super) fn find(&self, key: &Key) -> Option<User> {
        let users = self.users.lock();
        let (user, until) = users.get(key)?;
        (*until > Instant::now()).then(|| user.clone())
    }

    pub(super) fn keep(&self, key: Key, user: User) {
        let now = Instant::now();
        let mut users = self.users.lock();
        if users.len() >= self.settings.most_remembered {
            users.retain(|_, (_, until)| *until > now);
        }
        if users.len() >= self.settings.most_remembered {
            let oldest = users.iter().min_by_key(|(_, (_, until))| *until).map(|(key, _)| *key);
            oldest.and_then(|key| users.remove(&key));
        }
        users.insert(key, (user, now + self.settings.remember));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(path: &str, headers: &[(&str, &str)]) -> Credentials {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().into()));
        Credentials {
            method: "GET".into(),
            path: path.into(),
            query: String::new(),
            headers: headers.collect(),
        }
    }

    fn cache(settings: AuthSettings) -> Cache {
        Cache::new(settings)
    }

    #[track_caller]
    fn check(cache: &Cache, parameters: &[&str], a: &Credentials, b: &Credentials, same: bool) {
        let parameters: Vec<_> = parameters.iter().map(|name| (*name).to_owned()).collect();
        let key = |credentials| cache.key(credentials, &parameters).expect("something is kept");
        assert_eq!(key(a) == key(b), same, "{parameters:?}: {a:?} {b:?}");
    }

    #[test]
    fn requests_are_the_same_if_the_handler_cannot_tell_them_apart() {
        let usual = cache(AuthSettings::default());
        let alice = request("/a", &[("authorization", "alice"), ("x-org", "1"), ("accept", "x")]);
        let bob = request("/a", &[("authorization", "bob"), ("x-org", "1")]);
        let elsewhere = request("/b", &[("authorization", "alice"), ("x-org", "1")]);
        let other_org = request("/a", &[("authorization", "alice"), ("x-org", "2")]);
        let nobody = request("/a", &[]);
        for parameters in [&["authorization"][..], &["headers"], &["request"], &["scope", "path"]] {
            check(&usual, parameters, &alice, &bob, false);
            check(&usual, parameters, &alice, &nobody, false);
        }
        check(&usual, &["authorization"], &alice, &elsewhere, true);
        check(&usual, &["authorization"], &alice, &other_org, true);
        check(&usual, &["headers"], &alice, &elsewhere, true);
        check(&usual, &["headers"], &alice, &other_org, false);
        check(&usual, &["authorization", "path"], &alice, &elsewhere, false);
        check(&usual, &["request"], &alice, &elsewhere, false);

        let credentials = Some(vec!["x-org".to_owned()]);
        let chosen = cache(AuthSettings { credentials, ..AuthSettings::default() });
        check(&chosen, &["request"], &alice, &bob, true);
        check(&chosen, &["request"], &alice, &other_org, false);
        check(&chosen, &["path", "headers"], &alice, &elsewhere, false);
    }

    #[test]
    fn names_and_values_do_not_run_into_each_other() {
        let usual = cache(AuthSettings::default());
        let a = request("/", &[("a", "bc"), ("d", "")]);
        let b = request("/", &[("ab", "c"), ("d", "")]);
        check(&usual, &["headers"], &a, &b, false);
        let swapped = request("/", &[("d", ""), ("a", "bc")]);
        check(&usual, &["headers"], &a, &swapped, true);
    }

    #[test]
    fn there_are_never_more_users_than_allowed() {
        let most_remembered = 2;
        let cache = cache(AuthSettings { most_remembered, ..AuthSettings::default() });
        for n in 0..5 {
            cache.keep([n; 32], User::named(n.to_string(), vec![]));
        }
        assert_eq!(cache.users.lock().len(), 2);
        assert_eq!(cache.find(&[4; 32]), Some(User::named("4", vec![])));
        assert_eq!(cache.find(&[0; 32]), None);
    }

    #[test]
    fn without_time_nothing_is_kept() {
        let cache = cache(AuthSettings { remember: Duration::ZERO, ..AuthSettings::default() });
        assert_eq!(cache.key(&request("/", &[]), &[]), None);
    }
}
