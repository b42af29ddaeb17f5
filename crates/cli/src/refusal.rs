//! Refusals: start-up failures that the user can mend, each with the exit code that scripts rely on.

/// Result of everything in this crate that may fail.
pub(crate) type Result<T, E = anyhow::Error> = std::result::Result<T, E>;

/// A clear text for the user, and an exit code. Travels inside `anyhow::Error`; every other error exits with 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// 2: flags, files or variables are wrong. 3: graphs did not load.
    pub(crate) code: u8,
    text: String,
}

impl Refusal {
    /// Flags, files or variables are wrong (exit code 2).
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into() }
    }

    /// No graph could be loaded (exit code 3).
    pub(crate) fn graphs(text: impl Into<String>) -> Self {
        Self { code: 3, text: text.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

/// The exit code that belongs to an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Refusal>())
        .map_or(1, |refusal| refusal.code)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn exit_code_is_found_under_context() {
        let refused: Result<()> = Err(Refusal::usage("no").into());
        assert_eq!(exit_code(&refused.context("while starting").unwrap_err()), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("disk full")), 1);
    }
}
