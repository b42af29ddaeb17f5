//! Who asks, and what of the data may be touched for it.

use std::sync::Arc;

use agent_server_storage::{Condition, Map, Scope};
use serde_json::Value;

use crate::{
    auth::{Resource, User},
    runs::Within,
    trace::TraceContext,
};

/// Who asks: what a handler knows about the request that rules need.
///
/// Where somebody decides what users may do, a caller may touch nothing at first; each event that was allowed opens its
/// resource. An operation that forgets to ask finds nothing.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Threads that it may touch, with their runs, states and events.
    pub threads: Scope,
    /// Assistants that it may touch. Those that the server made for its graphs may be run by everybody.
    pub assistants: Scope,
    /// Crons that it may touch.
    pub crons: Scope,
    /// All of the store or nothing: items have no metadata, so tenants are kept apart by namespace.
    pub store: Scope,
    /// Who it is; `None` where nobody is asked.
    pub user: Option<Arc<User>>,
    /// The request's id, kept in the config of runs it creates.
    pub request_id: String,
    /// Where its request stands in a trace.
    pub trace: Option<TraceContext>,
    /// What the request brings into the configurable of runs it creates: headers, under their names.
    pub forwarded: Option<Arc<Map>>,
    /// Whether its runs count where runs in flight are limited: not those of the project's own code.
    pub counts: bool,
    /// The run that the request comes from, if it comes from one.
    pub within: Option<Within>,
}

impl Caller {
    /// A caller on whom nothing is imposed.
    pub fn open(user: Option<Arc<User>>, request_id: String) -> Self {
        Self::with(Scope::open, user, request_id)
    }

    /// A caller who may touch nothing yet.
    pub fn closed(user: Arc<User>, request_id: String) -> Self {
        Self::with(Scope::nothing, Some(user), request_id)
    }

    fn with(scope: fn() -> Scope, user: Option<Arc<User>>, request_id: String) -> Self {
        Self {
            threads: scope(),
            assistants: scope(),
            crons: scope(),
            store: scope(),
            user,
            request_id,
            trace: None,
            forwarded: None,
            counts: true,
            within: None,
        }
    }

    /// Puts the user into a configurable, for factories that make graphs for their users.
    pub(crate) fn show_user(&self, configurable: &mut Map) {
        if let Some(user) = &self.user {
            let fields = Value::Object(user.fields.clone());
            configurable.insert("langgraph_auth_user".into(), fields);
        }
    }

    /// Opens a resource as far as `filter` goes. Of several filters all count.
    pub fn allow(&mut self, resource: Resource, filter: Option<Condition>) {
        let scope = match resource {
            Resource::Threads => &mut self.threads,
            Resource::Assistants => &mut self.assistants,
            Resource::Crons => &mut self.crons,
            Resource::Store => &mut self.store,
        };
        if *scope == Scope::nothing() {
            *scope = Scope::open();
        }
        if let Some(filter) = filter {
            *scope = scope.clone().and(filter);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_seen_until_somebody_allows_it() {
        let of = |owner: &str| Condition::Equals("owner".into(), json!(owner));
        let row = |owner: &str| [("owner".to_owned(), json!(owner))].into_iter().collect();
        let user = Arc::new(User::named("alice", vec![]));
        let mut caller = Caller::closed(user, String::new());
        assert!(!caller.threads.allows(&row("alice")));
        caller.allow(Resource::Threads, Some(of("alice")));
        assert!(caller.threads.allows(&row("alice")) && !caller.threads.allows(&row("bob")));
        assert!(!caller.assistants.allows(&row("alice")));
        // An allowance without a filter does not lift the filter of another.
        caller.allow(Resource::Threads, None);
        assert!(!caller.threads.allows(&row("bob")));
        caller.allow(Resource::Threads, Some(of("bob")));
        assert!(!caller.threads.allows(&row("alice")) && !caller.threads.allows(&row("bob")));
    }
}
