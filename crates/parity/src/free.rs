//! Values that are free: ids, times, stream ids, the server's own address. Everything else in a text counts.

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Counts as it is.
    Text(&'a str),
    /// An id: a UUID or the 32 hex digits of an interrupt. Must stand for the same thing wherever it occurs.
    Id(&'a str),
    /// A time, of which only the form counts.
    Time(&'a str),
    /// `<milliseconds>-<number>`, the id of an event.
    EventId,
}

/// Smallest number that is taken for a time in milliseconds: 2020.
const EARLY_MS: f64 = 1.577e12;

/// Whether a number is a time in milliseconds, or in seconds with a fraction.
pub(crate) fn is_time(number: f64) -> bool {
    number > EARLY_MS && number < 2.0 * EARLY_MS
}

/// Takes a text apart.
pub(crate) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = vec![];
    let mut plain = 0;
    let mut at = 0;
    let before_ends_word = |at: usize| at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric();
    while at < text.len() {
        let found = before_ends_word(at).then(|| special(&text[at..])).flatten();
        let Some((part, length)) = found else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        if plain < at {
            parts.push(Part::Text(&text[plain..at]));
        }
        parts.push(part);
        at += length;
        plain = at;
    }
    if plain < at {
        parts.push(Part::Text(&text[plain..at]));
    }
    parts
}

/// What is free at the beginning of the text, and how long it is.
fn special(text: &str) -> Option<(Part<'_>, usize)> {
    type Make = fn(&str) -> Part<'_>;
    let forms: [(&str, Make); 4] = [
        ("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", |id| Part::Id(id)),
        ("dddd-dd-ddTdd:dd:dd.dddddd+00:00", |time| Part::Time(&time[19..])),
        ("dddd-dd-ddTdd:dd:dd+00:00", |time| Part::Time(&time[19..])),
        ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", |id| Part::Id(id)),
    ];
    for (form, make) in forms {
        if let Some(head) = text.get(..form.len())
            && has_form(head, form)
            && !text.as_bytes().get(form.len()).is_some_and(u8::is_ascii_alphanumeric)
        {
            return Some((make(head), form.len()));
        }
    }
    let milliseconds = text.get(..14).filter(|head| has_form(head, "ddddddddddddd-"))?;
    let digits = text[milliseconds.len()..].bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then_some((Part::EventId, milliseconds.len() + digits))
}

/// `x` stands for a hex digit in lower case, `d` for a digit.
fn has_form(text: &str, form: &str) -> bool {
    text.bytes().zip(form.bytes()).all(|(byte, wanted)| match wanted {
        b'x' => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_times_are_found_in_texts() {
        let id = "01a2096a-ebdd-7294-9743-0874fc202e29";
        assert_eq!(parts(id), [Part::Id(id)]);
        let text = format!("/threads/{id}/runs");
        let expected = [Part::Text("/threads/"), Part::Id(id), Part::Text("/runs")];
        assert_eq!(parts(&text), expected);
        assert_eq!(parts("2026-11-23T17:24:31.345411+00:00"), [Part::Time(".345411+00:00")]);
        assert_eq!(parts("2026-11-23T17:24:31.345411Z").len(), 1);
        assert_eq!(parts("1795454636239-0"), [Part::EventId]);
        assert_eq!(parts("größer"), [Part::Text("größer")]);
        let interrupt = "4c43ae7b30579526f5bd7e9d207b02b1";
        assert_eq!(parts(interrupt), [Part::Id(interrupt)]);
    }
}
