//! Paths that nobody has to be known for.

use http::Method;

const OPEN: [&str; 6] = ["/", "/info", "/ok", "/metrics", "/docs", "/openapi.json"];

/// Whether a path is open to everybody. Any other is protected, also those that lead nowhere: a stranger learns nothing of
/// what there is.
pub(crate) fn is_open(method: &Method, path: &str) -> bool {
    let is_ui = path == "/ui" || path.starts_with("/ui/");
    OPEN.contains(&path) || (*method == Method::GET && is_ui)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_open() {
        let is_open = |path| super::is_open(&Method::GET, path);
        for path in ["/", "/ok", "/info", "/docs", "/openapi.json", "/metrics", "/ui", "/ui/a"] {
            assert!(is_open(path), "{path}");
        }
        for path in ["/ok/", "//ok", "/OK", "/%6Fk", "/uix", "/threads", "/nothing", "", "*"] {
            assert!(!is_open(path), "{path}");
        }
        assert!(!super::is_open(&Method::POST, "/ui/a"));
    }
}
