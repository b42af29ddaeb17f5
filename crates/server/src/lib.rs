//! The HTTP server: thin axum handlers over the domain.
