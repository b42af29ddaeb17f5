//! Paths that nobody has to be known for.

use http::Method;

use crate::docs;

const HEALTH: &str = "/ok";
/// What else tells of the server itself.
const META: [&str; 5] = ["/", "/info", "/metrics", "/docs", "/openapi.json"];

/// Whether a path is open to everybody. Any other is protected, also those that lead nowhere: a stranger learns nothing of
/// what there is.
///
/// `meta`: whether what tells of the server itself is served.
pub(crate) fn is_open(method: &Method, path: &str, meta: bool) -> bool {
    let is_ui = path == "/ui" || path.starts_with("/ui/");
    let is_meta = || META.contains(&path) || docs::PARTS.contains(&path);
    path == HEALTH || (meta && is_meta()) || (*method == Method::GET && is_ui)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_open() {
        let is_open = |path| super::is_open(&Method::GET, path, true);
        for path in ["/", "/ok", "/info", "/docs", "/openapi.json", "/metrics", "/ui", "/ui/a"] {
            assert!(is_open(path), "{path}");
        }
        for path in docs::PARTS {
            assert!(is_open(path), "{path}");
        }
        for path in [
            "/docs/", "/docs/x", "/ok/", "//ok", "/OK", "/%6Fk", "/uix", "/threads", "/nothing",
            "", "*",
        ] {
            assert!(!is_open(path), "{path}");
        }
        assert!(!super::is_open(&Method::POST, "/ui/a", true));
        assert!(super::is_open(&Method::GET, "/ok", false));
        assert!(!super::is_open(&Method::GET, "/info", false));
    }
}
