//! The errors of the domain, one variant per reaction of the caller, free of HTTP.

/// Result of a domain call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call was refused or failed. Texts are shown to callers word for word and are part of the contract.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for is not there, or not visible.
    #[error("{0}")]
    NotFound(String),
    /// The present state forbids it; the caller may look and try again.
    #[error("{0}")]
    Conflict(String),
    /// A well-formed request that asks for something impossible (the wire's 422).
    #[error("{0}")]
    Invalid(String),
    /// A value that the graph library or a rule refused (the wire's 400).
    #[error("{0}")]
    Refused(String),
    /// What was asked for is there, but without something that was asked for too (the wire's 201, with an error body).
    #[error("{0}")]
    Incomplete(String),
    /// The graph itself is broken or not there (the wire's 424).
    #[error("{0}")]
    BadGraph(String),
    /// Nothing was changed; later it may work: disk full, no worker.
    #[error("{0}")]
    Unavailable(String),
    /// More than the caller may have at a time. Nothing was changed; later it may work.
    #[error("{detail}")]
    Limited {
        /// Name of the limit, as settings have it.
        limit: &'static str,
        /// What was too much, and what to do.
        detail: String,
    },
    /// Asked for something that this version does not do yet.
    #[error("{0}")]
    NotImplemented(String),
    /// A defect or damage; the text is for the log, callers see a bare message.
    #[error("{0}")]
    Internal(String),
}

impl From<agent_server_storage::Error> for Error {
    fn from(error: agent_server_storage::Error) -> Self {
        use agent_server_storage::Error as E;
        match error {
            E::Duplicate(what) => Self::Conflict(format!("{what} already exists")),
            E::Invalid(why) => Self::Refused(why),
            E::Unavailable(_) => Self::Unavailable(error.to_string()),
            E::Corrupt(_) | E::Backend(_) => Self::Internal(error.to_string()),
        }
    }
}
