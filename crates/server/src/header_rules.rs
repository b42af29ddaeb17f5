//! Which headers a configuration means: patterns of names.

/// Headers chosen by patterns: names, in which `*` stands for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRules {
    includes: Vec<String>,
    excludes: Vec<String>,
}

impl HeaderRules {
    /// Chooses what one of `includes` names and none of `excludes`, in any case of letters.
    pub fn new(includes: &[String], excludes: &[String]) -> Self {
        let lower = |patterns: &[String]| {
            patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect()
        };
        Self { includes: lower(includes), excludes: lower(excludes) }
    }

    /// Whether a header, named in lower case, is chosen.
    pub fn selects(&self, name: &str) -> bool {
        let names = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        names(&self.includes) && !names(&self.excludes)
    }

    /// Whether none is ever chosen.
    pub(crate) fn is_empty(&self) -> bool {
        self.includes.is_empty()
    }
}

/// Whether a pattern with `*` describes all of a name.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(start) else { return false };
    // Every place where the rest may begin.
    name.char_indices()
        .map(|(place, _)| place)
        .chain([name.len()])
        .any(|place| matches(rest, &name[place..]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn rules(includes: &[&str], excludes: &[&str]) -> HeaderRules {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        HeaderRules::new(&owned(includes), &owned(excludes))
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("x-foo", "x-foo", true),
            ("x-foo", "x-fool", false),
            ("x-*", "x-", true),
            ("x-*-id", "x-a-b-id", true),
            ("x-*-id", "x-id", false),
            ("*", "anything", true),
            ("*a*", "banana", true),
            ("*a*c", "banana", false),
            ("x.foo", "x-foo", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn excludes_win_and_names_have_no_case() {
        let rules = rules(&["X-Foo", "x-b*"], &["x-BAD"]);
        let chosen: Vec<_> =
            ["x-foo", "x-bar", "x-bad", "x-other"].map(|name| rules.selects(name)).into();
        assert_eq!(chosen, [true, true, false, false]);
    }
}
