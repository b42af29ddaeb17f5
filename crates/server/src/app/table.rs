//! Which requests are the application's.

use regex::Regex;

/// A route of the application, as it describes it.
#[derive(Debug)]
pub struct Route {
    pattern: Regex,
    /// Upper case; `None`: all.
    methods: Option<Vec<String>>,
    http: bool,
    websocket: bool,
}

impl Route {
    /// A route whose paths are those that `pattern` finds itself in.
    ///
    /// # Errors
    /// The pattern is one that only Python understands.
    pub fn new(
        pattern: &str,
        methods: Option<Vec<String>>,
        http: bool,
        websocket: bool,
    ) -> Result<Self, regex::Error> {
        Ok(Self { pattern: Regex::new(pattern)?, methods, http, websocket })
    }
}

/// The routes of the application.
#[derive(Debug, Default)]
pub struct Table {
    /// In order; `None` if they are not known: then it gets what nobody else has.
    pub routes: Option<Vec<Route>>,
    /// Whether the application has middleware, which then runs around the API as well.
    pub has_middleware: bool,
}

/// A request as far as routing looks at it.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) method: &'a str,
    /// Decoded.
    pub(super) path: &'a str,
    pub(super) websocket: bool,
}

impl Table {
    /// Whether a request goes to the application; `is_ours` says whether the server has the path itself.
    ///
    /// A route of the application wins over one of the server, method by method. What fits a path of it, but no method, is
    /// its own to refuse where the server has nothing.
    pub(super) fn takes(&self, wanted: Wanted<'_>, is_ours: impl FnOnce() -> bool) -> bool {
        let Some(routes) = &self.routes else { return !is_ours() };
        let fits = |route: &&Route| {
            let kind = if wanted.websocket { route.websocket } else { route.http };
            kind && route.pattern.is_match(wanted.path)
        };
        let mut of_path = routes.iter().filter(fits).peekable();
        if of_path.peek().is_none() {
            return false;
        }
        let mut has_method = of_path.map(|route| match &route.methods {
            Some(methods) if !wanted.websocket => {
                methods.iter().any(|method| method == wanted.method)
            }
            _ => true,
        });
        has_method.any(|fits| fits) || !is_ours()
    }
}

/// Whether a path is one of the server's: a template of the document or what is served beside it.
pub(super) fn is_ours(path: &str) -> bool {
    const BESIDE: [&str; 2] = ["/", "/openapi.json"];
    BESIDE.contains(&path)
        || agent_server_api::OPERATIONS.iter().any(|operation| describes(operation.path, path))
}

fn describes(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(given)) if part == given => {}
            (Some(part), Some(given)) if part.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_decide_where_both_have_the_path() {
        let methods = |names: &[&str]| Some(names.iter().map(|&name| name.into()).collect());
        let route = |pattern, methods, http, websocket| {
            Route::new(pattern, methods, http, websocket).unwrap()
        };
        let table = Table {
            routes: Some(vec![
                route("^/threads/search$", methods(&["GET", "HEAD"]), true, false),
                route("^/hello/(?P<name>[^/]+)$", methods(&["GET", "HEAD"]), true, false),
                route("^/ws$", None, false, true),
                route("^/files/(?P<path>.*)$", None, true, true),
            ]),
            has_middleware: false,
        };
        for (method, path, websocket, expected) in [
            ("GET", "/threads/search", false, true),
            ("POST", "/threads/search", false, false),
            ("GET", "/threads", false, false),
            ("GET", "/hello/you", false, true),
            // Refused by the application, which knows what it has.
            ("PUT", "/hello/you", false, true),
            ("GET", "/hello/you", true, false),
            ("GET", "/hello", false, false),
            ("GET", "/ws", true, true),
            ("GET", "/ws", false, false),
            ("DELETE", "/files/a/b", false, true),
        ] {
            let wanted = Wanted { method, path, websocket };
            assert_eq!(table.takes(wanted, || is_ours(path)), expected, "{method} {path}");
        }
    }

    #[test]
    fn an_application_of_unknown_routes_gets_what_is_left() {
        let table = Table::default();
        for (path, expected) in [
            ("/threads", false),
            ("/threads/x/runs/y/cancel", false),
            ("/info", false),
            ("/", false),
            ("/hello", true),
            ("/threads/x/y/z", true),
        ] {
            let wanted = Wanted { method: "GET", path, websocket: false };
            assert_eq!(table.takes(wanted, || is_ours(path)), expected, "{path}");
        }
    }
}
