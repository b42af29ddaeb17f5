//! What can go wrong in a backend.

/// Result of a storage call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the storage layer, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The row exists already. The caller usually answers 409.
    #[error("{0} already exists")]
    Duplicate(&'static str),
    /// The caller asked for something that the store's filter language does not know.
    #[error("{0}")]
    Invalid(String),
    /// Nothing was written and a later try may succeed: disk full, read-only folder, lock held elsewhere.
    #[error("storage is unavailable: {0}")]
    Unavailable(String),
    /// The data folder or a row cannot be understood.
    #[error("storage is damaged or of another version: {0}")]
    Corrupt(String),
    /// Anything else of the backend.
    #[error("storage failed: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an error of a backend's driver.
    pub fn backend(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Backend(Box::new(error))
    }
}
