//! Which rate a request is counted by: that of its operation, else that of the operation's tag, else the one for all.

use std::collections::HashMap;

use agent_server_api::{OPERATIONS, Operation};
use http::Method;

use super::Rate;
use crate::{api::EVENT_SOCKET, docs};

/// What the rate for all requests is called.
const ALL: &str = "requests_per_second";
/// Operations of this tag are for those who look after the server.
const NEVER: &str = "System";

/// A rate and what it is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) rate: Rate,
    /// As settings have it; `None` for all requests.
    operations: Option<String>,
}

impl Rule {
    /// The rule in figures and in the log.
    pub(super) fn name(&self) -> &str {
        self.operations.as_deref().unwrap_or(ALL)
    }

    /// What is limited, for people.
    pub(super) fn subject(&self) -> String {
        match &self.operations {
            None => "requests".to_owned(),
            Some(operations) => format!("requests for {operations}"),
        }
    }
}

/// Rates of operations.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Which rule is for what is in no table: other paths and methods.
    rest: Option<usize>,
    /// By path as routes have it, then by method.
    routes: HashMap<&'static str, Vec<(&'static str, Option<usize>)>>,
}

impl Rules {
    /// Rules with a rate for everything that `operations` does not name. Those are operations, or tags of the document.
    /// A tag's operations share one bucket; an operation or tag that has a rate of its own does not count elsewhere.
    ///
    /// # Errors
    /// A name that is neither, or that nothing may limit.
    pub fn new(all: Option<Rate>, operations: &[(String, Rate)]) -> Result<Self, String> {
        let mut rules: Vec<Rule> =
            all.into_iter().map(|rate| Rule { rate, operations: None }).collect();
        let rest = (!rules.is_empty()).then_some(0);
        let mut named = HashMap::new();
        for (name, rate) in operations {
            let of_name = OPERATIONS.iter().find(|operation| same(operation.name, name));
            let of_tag = OPERATIONS.iter().find(|operation| same(operation.tag, name));
            let (known, tag) = match (of_name, of_tag) {
                (Some(operation), _) => (operation.name, operation.tag),
                (None, Some(operation)) => (operation.tag, operation.tag),
                (None, None) => return Err(format!("there is no operation or tag '{name}'")),
            };
            if tag == NEVER {
                return Err(format!(
                    "'{name}' is for those who look after the server, and never limited"
                ));
            }
            let rule = Rule {
                rate: *rate,
                operations: Some(known.to_lowercase().replace(['_', ' '], "-")),
            };
            if named.insert(known, rules.len()).is_some() {
                return Err(format!("'{name}' is there twice"));
            }
            rules.push(rule);
        }
        let mut rules = Self { rules, rest, routes: HashMap::new() };
        if rules.is_empty() {
            return Ok(rules);
        }
        for operation in OPERATIONS {
            let own = named.get(operation.name).or_else(|| named.get(operation.tag)).copied();
            let rule = if operation.tag == NEVER { None } else { own.or(rest) };
            for path in operation.paths() {
                rules.add(path, operation.method, rule);
            }
            if operation.path == EVENT_SOCKET {
                rules.add(EVENT_SOCKET, "GET", rule);
            }
        }
        for path in docs::PARTS {
            rules.add(path, "GET", None);
        }
        Ok(rules)
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    fn add(&mut self, path: &'static str, method: &'static str, rule: Option<usize>) {
        self.routes.entry(path).or_default().push((method, rule));
    }

    /// The rule for a request, if it is limited.
    pub(super) fn of(&self, method: &Method, route: Option<&str>) -> Option<&Rule> {
        // Routes answer it as the method that they have.
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        let methods = route.and_then(|route| self.routes.get(route));
        let known = methods.and_then(|methods| methods.iter().find(|(known, _)| *known == method));
        let rule = known.map_or(self.rest, |(_, rule)| *rule);
        Some(&self.rules[rule?])
    }
}

/// Names are written with hyphens, as commands have them, or as the document does.
fn same(known: &str, given: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace(['_', ' '], "-");
    plain(known) == plain(given)
}

/// Names of what can have a rate of its own: operations and tags.
pub fn names() -> impl Iterator<Item = &'static str> {
    let limited = OPERATIONS.iter().filter(|operation| operation.tag != NEVER);
    limited.flat_map(|operation: &Operation| [operation.name, operation.tag])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: f64) -> Rate {
        Rate::new(per_second, None).unwrap()
    }

    #[test]
    fn the_closest_rule_counts() {
        let own = [("create-run".to_owned(), rate(1.0)), ("Thread Runs".to_owned(), rate(2.0))];
        let check = |all: Option<Rate>, method: Method, route: &str, expected: Option<&str>| {
            let rules = Rules::new(all, &own).unwrap();
            let found = rules.of(&method, Some(route)).map(Rule::name);
            assert_eq!(found, expected, "{method} {route}");
        };
        let all = Some(rate(3.0));
        check(all, Method::POST, "/threads/{thread_id}/runs", Some("create-run"));
        check(all, Method::GET, "/threads/{thread_id}/runs", Some("thread-runs"));
        check(all, Method::HEAD, "/threads/{thread_id}/runs", Some("thread-runs"));
        check(all, Method::POST, "/threads", Some(ALL));
        check(all, Method::GET, "/threads/{thread_id}/stream/events", Some(ALL));
        check(all, Method::PUT, "/threads", Some(ALL));
        check(all, Method::GET, "/nothing", Some(ALL));
        check(None, Method::POST, "/threads", None);
        check(None, Method::POST, "/threads/{thread_id}/runs", Some("create-run"));
        for open in ["/ok", "/metrics", "/info", "/docs", "/openapi.json", "/", docs::PARTS[0]] {
            check(all, Method::GET, open, None);
        }
    }

    #[test]
    fn other_spellings_and_the_socket_count_as_their_operations() {
        let own = ["mcp", "get_well_known_agent_card", "stream-thread-events"];
        let own: Vec<_> = own.iter().map(|name| ((*name).to_owned(), rate(1.0))).collect();
        let rules = Rules::new(None, &own).unwrap();
        let name = |method: Method, route| rules.of(&method, Some(route)).map(Rule::name);
        assert_eq!(name(Method::POST, "/mcp"), Some("mcp"));
        assert_eq!(name(Method::POST, "/mcp/"), Some("mcp"));
        let older = "/a2a/{assistant_id}/.well-known/agent.json";
        assert_eq!(name(Method::GET, older), Some("get-well-known-agent-card"));
        assert_eq!(name(Method::GET, EVENT_SOCKET), Some("stream-thread-events"));
    }

    #[test]
    fn names_that_mean_nothing_are_refused() {
        let refused = |names: &[&str]| {
            let named: Vec<_> = names.iter().map(|name| ((*name).to_owned(), rate(1.0))).collect();
            Rules::new(None, &named).unwrap_err()
        };
        assert_eq!(refused(&["creat-run"]), "there is no operation or tag 'creat-run'");
        let never = "is for those who look after the server, and never limited";
        assert_eq!(refused(&["health-check"]), format!("'health-check' {never}"));
        assert_eq!(refused(&["system"]), format!("'system' {never}"));
        assert_eq!(refused(&["create_run", "create-run"]), "'create-run' is there twice");
    }
}
