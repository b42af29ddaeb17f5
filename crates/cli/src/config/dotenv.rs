//! Dotenv files, read as the python-dotenv library reads them, because the upstream tools use it.

use std::collections::BTreeMap;

use crate::env::Env;

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dotenv {
    /// Names and values in the order of the file; a name given twice is there twice and the later one wins.
    pub(crate) values: Vec<(String, String)>,
    /// Numbers of lines that mean nothing, counted from 1. They are skipped.
    pub(crate) bad_lines: Vec<usize>,
}

/// Reads the text of a dotenv file. `${NAME}` and `${NAME:-default}` are replaced by earlier values of the file, then by
/// variables of `env`, then by the default or nothing.
pub(crate) fn parse(text: &str, env: &Env) -> Dotenv {
    let mut found = Dotenv::default();
    let mut known = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (statement, after) = statement(rest);
        match statement {
            Statement::Empty => {}
            Statement::Bad => found.bad_lines.push(line),
            Statement::Set(name, raw) => {
                let value = expand(&raw, |name| {
                    known.get(name).map(String::as_str).or_else(|| env.get(name))
                });
                known.insert(name.clone(), value.clone());
                found.values.push((name, value));
            }
        }
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    found
}

enum Statement {
    /// Blank, a comment, or a name without a value.
    Empty,
    Bad,
    Set(String, String),
}

/// Takes one statement off the text: a line, or more where a quoted value goes on.
fn statement(text: &str) -> (Statement, &str) {
    let (line, next) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return (Statement::Empty, next);
    }
    let start = text.trim_start();
    let start = start
        .strip_prefix("export")
        .filter(|rest| rest.starts_with([' ', '\t']))
        .map_or(start, str::trim_start);
    let end = start.find(['=', '\n', '#']).unwrap_or(start.len());
    let name = start[..end].trim();
    let name = name.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')).unwrap_or(name);
    if name.is_empty() || name.contains(char::is_whitespace) {
        return (Statement::Bad, next);
    }
    let Some(value) = start[end..].strip_prefix('=') else {
        return (Statement::Empty, next);
    };
    let value = value.trim_start_matches([' ', '\t']);
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => match quoted(&value[1..], quote) {
            Some((value, after)) => {
                let (tail, next) = after.split_once('\n').unwrap_or((after, ""));
                let tail = tail.trim();
                if tail.is_empty() || tail.starts_with('#') {
                    (Statement::Set(name.into(), value), next)
                } else {
                    (Statement::Bad, next)
                }
            }
            None => (Statement::Bad, next),
        },
        _ => {
            let line = value.split('\n').next().unwrap_or_default();
            (Statement::Set(name.into(), without_comment(line).trim().into()), next)
        }
    }
}

/// An unquoted value ends where whitespace and `#` begin a comment; a `#` right after the `=` belongs to the value.
fn without_comment(line: &str) -> &str {
    let comment =
        line.match_indices('#').find(|&(at, _)| line[..at].ends_with(char::is_whitespace));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// Reads up to the closing quote. Double quotes know the usual escapes, single quotes only `\\` and `\'`.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        if char == quote {
            return Some((value, &text[at + 1..]));
        }
        if char != '\\' {
            value.push(char);
            continue;
        }
        let (_, escaped) = chars.next()?;
        match (quote, escaped) {
            (_, '\\' | '\'') | ('"', '"') => value.push(escaped),
            ('"', 'n') => value.push('\n'),
            ('"', 'r') => value.push('\r'),
            ('"', 't') => value.push('\t'),
            _ => value.extend(['\\', escaped]),
        }
    }
    None
}

/// Replaces `${NAME}` and `${NAME:-default}`.
fn expand<'a>(value: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let inside = &rest[start + 2..start + length];
        let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
        out.push_str(&rest[..start]);
        out.push_str(lookup(name).unwrap_or(default));
        rest = &rest[start + length + 1..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let env = Env::from_pairs([("HOME".into(), "/home/me".into())]);
        let found = parse(text, &env);
        let found: Vec<_> =
            found.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn values_are_read_as_python_dotenv_reads_them() {
        check("A=1\nB = two words \n", &[("A", "1"), ("B", "two words")]);
        check("export A=1", &[("A", "1")]);
        check("exported=1", &[("exported", "1")]);
        check("A=\nB=''", &[("A", ""), ("B", "")]);
        check("A", &[]);
        check("A=x=y", &[("A", "x=y")]);
        check("A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")]);
        check("\u{feff}A=1", &[("A", "1")]);
    }

    #[test]
    fn comments_end_unquoted_values_only_after_a_space() {
        check("# all\n  # of it\n\nA=1 # one", &[("A", "1")]);
        check("A=a#b", &[("A", "a#b")]);
        check("A=#fff", &[("A", "#fff")]);
        check("A='a # b' # c", &[("A", "a # b")]);
        check("A=\"a # b\"# c", &[("A", "a # b")]);
    }

    #[test]
    fn quotes_and_escapes() {
        check(r#"A="a\n\"b\"\\""#, &[("A", "a\n\"b\"\\")]);
        check(r"A='a\n\'b'", &[("A", r"a\n'b")]);
        check("A=\"one\ntwo\"\nB=3", &[("A", "one\ntwo"), ("B", "3")]);
        check(r"A=C:\new", &[("A", r"C:\new")]);
    }

    #[test]
    fn references_are_replaced() {
        check("A=1\nB=${A}-${HOME}/x", &[("A", "1"), ("B", "1-/home/me/x")]);
        check("A=${NONE}|${NONE:-none}|$HOME", &[("A", "|none|$HOME")]);
        check("A=${open", &[("A", "${open")]);
    }

    #[test]
    fn bad_lines_are_named_and_skipped() {
        let found = parse("A=1\n=x\nB='open\ntwo words=3\nC=2\n", &Env::default());
        assert_eq!(found.bad_lines, [2, 3, 4]);
        assert_eq!(found.values, [("A".into(), "1".into()), ("C".into(), "2".into())]);
    }
}
