//! OpenAPI document in, Rust text out: the generator behind the root build script and cargo xtask.
