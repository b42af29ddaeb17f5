//! What an authorizer is asked about.

/// Kinds of objects that are authorised. Runs, states and events belong to their thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Threads, with everything below them.
    Threads,
    /// Assistants.
    Assistants,
    /// Crons.
    Crons,
    /// Items of the store.
    Store,
}

/// One thing that is done with one kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// What it is done with.
    pub resource: Resource,
    /// What is done, as the wire names it.
    pub action: &'static str,
}

macro_rules! events {
    ($($name:ident = $resource:ident $action:literal;)+) => {
        impl Event {
            $(
                #[doc = concat!("`", stringify!($resource), "`, `", $action, "`.")]
                pub const $name: Self = Self { resource: Resource::$resource, action: $action };
            )+

            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

events! {
    THREADS_CREATE = Threads "create";
    THREADS_READ = Threads "read";
    THREADS_UPDATE = Threads "update";
    THREADS_DELETE = Threads "delete";
    THREADS_SEARCH = Threads "search";
    THREADS_CREATE_RUN = Threads "create_run";
    ASSISTANTS_CREATE = Assistants "create";
    ASSISTANTS_READ = Assistants "read";
    ASSISTANTS_UPDATE = Assistants "update";
    ASSISTANTS_DELETE = Assistants "delete";
    ASSISTANTS_SEARCH = Assistants "search";
    CRONS_CREATE = Crons "create";
    CRONS_READ = Crons "read";
    CRONS_UPDATE = Crons "update";
    CRONS_DELETE = Crons "delete";
    CRONS_SEARCH = Crons "search";
    STORE_PUT = Store "put";
    STORE_GET = Store "get";
    STORE_DELETE = Store "delete";
    STORE_SEARCH = Store "search";
    STORE_LIST_NAMESPACES = Store "list_namespaces";
}

impl Resource {
    /// As the wire names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Assistants => "assistants",
            Self::Crons => "crons",
            Self::Store => "store",
        }
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.resource.as_str(), self.action)
    }
}
