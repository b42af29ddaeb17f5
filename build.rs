//! The one build script of the workspace: openapi.json goes in, the generated module of the crate being built comes out.
//!
//! `crates/client` and `crates/api` name it as theirs; all it does is in `crates/codegen`, which `cargo xtask` calls too.

fn main() {
    if let Err(error) = agent_server_codegen::build_main() {
        eprintln!("error: openapi.json cannot be turned into code: {error}");
        std::process::exit(1);
    }
}
