//! Namespaces as keys: byte order is the order of label lists, a prefix of labels is a range.
//!
//! Each label ends with a zero byte; a zero byte inside a label is followed by `0xff`, which no UTF-8 text contains.

use agent_server_storage::store::{Namespace, Pattern};

const END: u8 = 0;
const ESCAPED: u8 = 0xff;

/// The key of a namespace, and of the range of namespaces below it.
pub(crate) fn encode(labels: &[String]) -> Vec<u8> {
    let mut key = Vec::with_capacity(labels.iter().map(|label| label.len() + 1).sum());
    for label in labels {
        for byte in label.bytes() {
            key.push(byte);
            if byte == END {
                key.push(ESCAPED);
            }
        }
        key.push(END);
    }
    key
}

/// The end of the range that begins at `key`, exclusive.
pub(crate) fn range_end(key: &[u8]) -> Vec<u8> {
    let mut end = key.to_vec();
    end.push(ESCAPED);
    end
}

/// Reverses [`encode`]; `None` if `key` was not made by it.
pub(crate) fn decode(key: &[u8]) -> Option<Namespace> {
    let mut labels = Vec::new();
    let mut label = Vec::new();
    let mut bytes = key.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != END {
            label.push(byte);
        } else if bytes.next_if_eq(&ESCAPED).is_some() {
            label.push(END);
        } else {
            labels.push(String::from_utf8(std::mem::take(&mut label)).ok()?);
        }
    }
    label.is_empty().then_some(labels)
}

/// Whether the first labels fit `pattern`.
pub(crate) fn starts_with(labels: &[String], pattern: &Pattern) -> bool {
    labels.len() >= pattern.len() && fits(&labels[..pattern.len()], pattern)
}

/// Whether the last labels fit `pattern`.
pub(crate) fn ends_with(labels: &[String], pattern: &Pattern) -> bool {
    labels.len() >= pattern.len() && fits(&labels[labels.len() - pattern.len()..], pattern)
}

fn fits(labels: &[String], pattern: &Pattern) -> bool {
    labels.iter().zip(pattern).all(|(label, wanted)| wanted.as_ref().is_none_or(|w| w == label))
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, range_end};

    fn labels(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|&label| label.to_owned()).collect()
    }

    #[test]
    fn keys_sort_as_label_lists_and_come_back() {
        let mut lists = [
            labels(&["b"]),
            labels(&["a", "b"]),
            labels(&[]),
            labels(&["a\0", "z"]),
            labels(&["a"]),
            labels(&["ab"]),
            labels(&["a", ""]),
            labels(&["é", "x"]),
            labels(&["a\0b"]),
        ];
        lists.sort();
        let keys: Vec<_> = lists.iter().map(|list| encode(list)).collect();
        assert!(keys.is_sorted());
        for (list, key) in lists.iter().zip(&keys) {
            assert_eq!(decode(key).as_ref(), Some(list));
        }
        assert_eq!(decode(b"no end"), None);
    }

    #[test]
    fn a_range_holds_whole_labels_only() {
        let below = |prefix: &[&str], list: &[&str]| {
            let (start, key) = (encode(&labels(prefix)), encode(&labels(list)));
            start <= key && key < range_end(&start)
        };
        assert!(below(&["a"], &["a"]));
        assert!(below(&["a"], &["a", "b"]));
        assert!(below(&["a"], &["a", ""]));
        assert!(below(&[], &["a"]));
        assert!(!below(&["a"], &["ab"]));
        assert!(!below(&["a"], &["a\0b"]));
        assert!(!below(&["a"], &["b"]));
    }
}
