//! Flags of built-in authentication.

use std::path::PathBuf;

use clap::{Args, builder::BoolishValueParser};

/// Who may ask. Without any of these everybody may, unless the project has a handler or the data folder has API keys.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Authentication")]
pub(crate) struct AuthArgs {
    /// Ask for API keys [default: if some were made with agent-server keys create]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          env = "AGENT_SERVER_AUTH_KEYS", value_parser = BoolishValueParser::new())]
    pub(crate) auth_keys: Option<bool>,
    /// Accept JSON Web Tokens of this issuer, exactly as their "iss" says
    #[arg(long, value_name = "ISSUER", env = "AGENT_SERVER_JWT_ISSUER")]
    pub(crate) jwt_issuer: Option<String>,
    /// Whom tokens must be made for ("aud"), one of these
    #[arg(long, value_name = "NAMES", env = "AGENT_SERVER_JWT_AUDIENCE", value_delimiter = ',')]
    pub(crate) jwt_audience: Option<Vec<String>>,
    /// Address of the issuer's public keys [default: the one that the issuer names]
    #[arg(long, value_name = "URL", env = "AGENT_SERVER_JWT_JWKS_URL")]
    pub(crate) jwt_jwks_url: Option<String>,
    /// File of the issuer's public keys (JWK set); nothing is fetched then
    #[arg(long, value_name = "FILE", env = "AGENT_SERVER_JWT_JWKS_FILE")]
    pub(crate) jwt_jwks_file: Option<PathBuf>,
    /// Age at which public keys are fetched again, seconds [default: 600]
    #[arg(long, value_name = "SECONDS", env = "AGENT_SERVER_JWT_REFRESH_SECONDS",
          value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) jwt_refresh_seconds: Option<u64>,
    /// Fetch public keys without encryption, in a network that can be trusted
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          env = "AGENT_SERVER_JWT_ALLOW_HTTP", value_parser = BoolishValueParser::new())]
    pub(crate) jwt_allow_http: Option<bool>,
    /// What may sign tokens [default: RS256 to RS512, PS256 to PS512, ES256, ES384, EdDSA]
    #[arg(long, value_name = "NAMES", env = "AGENT_SERVER_JWT_ALGORITHMS", value_delimiter = ',')]
    pub(crate) jwt_algorithms: Option<Vec<String>>,
    /// How far clocks may be apart, seconds [default: 60]
    #[arg(long, value_name = "SECONDS", env = "AGENT_SERVER_JWT_LEEWAY_SECONDS",
          value_parser = clap::value_parser!(u64).range(..=3600))]
    pub(crate) jwt_leeway_seconds: Option<u64>,
    /// Claim with the user's identity [default: sub]
    #[arg(long, value_name = "CLAIM", env = "AGENT_SERVER_JWT_IDENTITY_CLAIM")]
    pub(crate) jwt_identity_claim: Option<String>,
    /// Claim with the user's permissions, a list or words with blanks between them [default: scope]
    #[arg(long, value_name = "CLAIM", env = "AGENT_SERVER_JWT_PERMISSIONS_CLAIM")]
    pub(crate) jwt_permissions_claim: Option<String>,
    /// Claim with the name that people see [default: the identity]
    #[arg(long, value_name = "CLAIM", env = "AGENT_SERVER_JWT_DISPLAY_NAME_CLAIM")]
    pub(crate) jwt_display_name_claim: Option<String>,
    /// Further claims that graphs get to see
    #[arg(long, value_name = "CLAIMS", env = "AGENT_SERVER_JWT_CLAIMS", value_delimiter = ',')]
    pub(crate) jwt_claims: Option<Vec<String>>,
}
