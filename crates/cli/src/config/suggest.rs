//! "Did you mean": the nearest known word to a mistyped one.

/// The known word that `word` most likely was meant to be, if one is near enough.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|&candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        // A third of the letters may be wrong; short words must be nearly right.
        .filter(|&(distance, candidate)| distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// A warning about a key that means nothing.
pub(crate) fn unknown_key(place: &str, key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(word) => format!("{place}: unknown key '{key}', did you mean '{word}'?"),
        None => format!("{place}: unknown key '{key}' has no effect"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["graphs", "dependencies", "env", "http"];
        assert_eq!(nearest("grphs", &known), Some("graphs"));
        assert_eq!(nearest("dependancies", &known), Some("dependencies"));
        assert_eq!(nearest("Env", &known), Some("env"));
        assert_eq!(nearest("colour", &known), None);
    }
}
