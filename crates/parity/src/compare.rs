//! Two answers side by side: what differs, after free values are taken out.
//!
//! Ids are not numbered but paired: an id of the peer must stand for one id of ours, everywhere in a scenario.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::{
    free::{self, Part},
    pattern,
    scenario::Step,
};

/// One place in which two answers differ. `None` is absent, which is not `null`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// Step, from 0.
    pub(crate) step: usize,
    /// Such as `/body/metadata/graph_id`.
    pub(crate) at: String,
    pub(crate) peer: Option<Value>,
    pub(crate) ours: Option<Value>,
}

/// Compares the answers of one scenario, a step after the other.
#[derive(Default)]
pub(crate) struct Comparison {
    /// The peer's ids and ours, and the other way round.
    pairs: [HashMap<String, String>; 2],
    pub(crate) differences: Vec<Difference>,
    step: usize,
}

impl Comparison {
    /// Compares one step's answers.
    pub(crate) fn step(&mut self, number: usize, step: &Step, peer: &Value, ours: &Value) {
        self.step = number;
        let before = self.differences.len();
        let (peer, ours) = match &step.any_order {
            Some(place) => (sorted(peer, place), sorted(ours, place)),
            None => (peer.clone(), ours.clone()),
        };
        self.value("", &peer, &ours);
        let found = self.differences.split_off(before);
        let counts = |found: &Difference| {
            !step.ignore.iter().any(|ignored| pattern::matches(ignored, &found.at))
        };
        self.differences.extend(found.into_iter().filter(counts));
    }

    fn differ(&mut self, at: &str, peer: Option<&Value>, ours: Option<&Value>) {
        self.differences.push(Difference {
            step: self.step,
            at: at.to_owned(),
            peer: peer.cloned(),
            ours: ours.cloned(),
        });
    }

    fn value(&mut self, at: &str, peer: &Value, ours: &Value) {
        match (peer, ours) {
            (Value::Object(peer), Value::Object(ours)) => self.object(at, peer, ours),
            (Value::Array(peer), Value::Array(ours)) => self.array(at, peer, ours),
            (Value::String(one), Value::String(other)) => {
                if !self.text(one, other) {
                    self.differ(at, Some(peer), Some(ours));
                }
            }
            (Value::Number(one), Value::Number(other)) => {
                let time = |number: &serde_json::Number| number.as_f64().is_some_and(free::is_time);
                if one != other && !(time(one) && time(other)) {
                    self.differ(at, Some(peer), Some(ours));
                }
            }
            _ if peer == ours => {}
            _ => self.differ(at, Some(peer), Some(ours)),
        }
    }

    fn text(&mut self, peer: &str, ours: &str) -> bool {
        let (one, other) = (free::parts(peer), free::parts(ours));
        one.len() == other.len()
            && one.iter().zip(&other).all(|parts| match parts {
                (Part::Id(peer), Part::Id(ours)) => self.pair(peer, ours),
                (Part::Time(peer), Part::Time(ours)) => peer.len() == ours.len(),
                (peer, ours) => peer == ours,
            })
    }

    /// Whether the two ids stand for the same thing, as far as is known.
    fn pair(&mut self, peer: &str, ours: &str) -> bool {
        match (self.pairs[0].get(peer), self.pairs[1].get(ours)) {
            (None, None) => {
                self.pairs[0].insert(peer.to_owned(), ours.to_owned());
                self.pairs[1].insert(ours.to_owned(), peer.to_owned());
                true
            }
            (known, back) => {
                known.is_some_and(|known| known == ours) && back.is_some_and(|back| back == peer)
            }
        }
    }

    fn object(&mut self, at: &str, peer: &Map<String, Value>, ours: &Map<String, Value>) {
        let mut left: Vec<&String> = ours.keys().collect();
        for (key, value) in peer {
            let same = left.iter().position(|other| *other == key);
            // A key may be an id, or have one in it.
            let found = same.or_else(|| {
                left.iter().position(|other| {
                    !peer.contains_key(*other)
                        && free::parts(key).len() == free::parts(other).len()
                        && has_id(key)
                        && self.text(key, other)
                })
            });
            let place = format!("{at}/{}", if has_id(key) { scrub(key) } else { key.clone() });
            match found {
                Some(index) => {
                    let other = left.remove(index);
                    self.value(&place, value, &ours[other]);
                }
                None => self.differ(&place, Some(value), None),
            }
        }
        for key in left {
            self.differ(&format!("{at}/{}", scrub(key)), None, Some(&ours[key]));
        }
    }

    fn array(&mut self, at: &str, peer: &[Value], ours: &[Value]) {
        for (one, other) in align(peer, ours) {
            let place = format!("{at}/{}", one.or(other).unwrap_or_default());
            match (one, other) {
                (Some(one), Some(other)) => self.value(&place, &peer[one], &ours[other]),
                _ => self.differ(&place, one.map(|one| &peer[one]), other.map(|one| &ours[one])),
            }
        }
    }
}

fn has_id(text: &str) -> bool {
    free::parts(text).iter().any(|part| matches!(part, Part::Id(_)))
}

/// Puts the names of free values in their places, for people and for patterns.
pub(crate) fn scrub(text: &str) -> String {
    let shown = |part: &Part<'_>| match part {
        Part::Text(text) => (*text).to_owned(),
        Part::Id(_) => "<id>".to_owned(),
        Part::Time(_) => "<time>".to_owned(),
        Part::EventId => "<event id>".to_owned(),
    };
    free::parts(text).iter().map(shown).collect()
}

/// The array at a place, in an order that does not depend on ids.
fn sorted(answer: &Value, place: &str) -> Value {
    let mut answer = answer.clone();
    if let Some(Value::Array(items)) = answer.pointer_mut(place) {
        items.sort_by_key(|item| scrub(&item.to_string()));
    }
    answer
}

/// What an element is, for finding its counterpart: the name of an event, anything otherwise.
fn kind(value: &Value) -> String {
    let mut kind = scrub(value["event"].as_str().unwrap_or_default());
    // Events of the mode `events` and `debug` say in their data what they are.
    for member in ["event", "type", "name"] {
        kind.push_str(value["data"][member].as_str().unwrap_or_default());
    }
    kind
}

/// Pairs the elements of two arrays so that as many as possible of the same kind meet, in order.
fn align(peer: &[Value], ours: &[Value]) -> Vec<(Option<usize>, Option<usize>)> {
    let (rows, columns) = (peer.len(), ours.len());
    let (one, other): (Vec<_>, Vec<_>) =
        (peer.iter().map(kind).collect(), ours.iter().map(kind).collect());
    let mut longest = vec![vec![0_u32; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            longest[row][column] = if one[row] == other[column] {
                longest[row + 1][column + 1] + 1
            } else {
                longest[row + 1][column].max(longest[row][column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut pairs = vec![];
    while row < rows || column < columns {
        if row < rows && column < columns && one[row] == other[column] {
            pairs.push((Some(row), Some(column)));
            (row, column) = (row + 1, column + 1);
        } else if column == columns
            || (row < rows && longest[row + 1][column] >= longest[row][column + 1])
        {
            pairs.push((Some(row), None));
            row += 1;
        } else {
            pairs.push((None, Some(column)));
            column += 1;
        }
    }
    pairs
}

/// A difference in how far a scenario came.
pub(crate) fn stopped(step: usize, peer: Option<&str>, ours: Option<&str>) -> Difference {
    let value = |reason: Option<&str>| reason.map(|reason| json!(reason));
    Difference { step, at: "/stopped".to_owned(), peer: value(peer), ours: value(ours) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "11111111-1111-4111-8111-111111111111";
    const TWO: &str = "22222222-2222-4222-8222-222222222222";

    fn check(peer: Value, ours: Value, places: &[&str]) {
        let mut comparison = Comparison::default();
        comparison.step(0, &Step::default(), &peer, &ours);
        let found: Vec<_> = comparison.differences.iter().map(|found| found.at.as_str()).collect();
        assert_eq!(found, places, "{peer} {ours}");
    }

    #[test]
    fn ids_are_paired() {
        check(json!([ONE, ONE, TWO]), json!([TWO, TWO, ONE]), &[]);
        check(json!([ONE, ONE]), json!([ONE, TWO]), &["/1"]);
        check(json!([ONE, TWO]), json!([ONE, ONE]), &["/1"]);
        check(json!({ONE: 1}), json!({TWO: 1}), &[]);
        check(json!({ONE: 1}), json!({TWO: 2}), &["/<id>"]);
    }

    #[test]
    fn absent_null_and_empty_differ() {
        check(json!({"a": null}), json!({}), &["/a"]);
        check(json!({}), json!({"a": null}), &["/a"]);
        check(json!({"a": null}), json!({"a": {}}), &["/a"]);
        check(json!({"b": 1, "a": 2}), json!({"a": 2, "b": 1}), &[]);
    }

    #[test]
    fn a_missing_event_is_one_difference() {
        let event = |name: &str| json!({"event": name, "data": name});
        let peer = json!([event("a"), event("b"), event("c")]);
        check(peer, json!([event("a"), event("c")]), &["/1"]);
    }

    #[test]
    fn times_count_by_their_form() {
        let time = "2026-11-23T17:24:31.345411+00:00";
        check(json!(time), json!("2026-11-24T01:02:03.000001+00:00"), &[]);
        check(json!(time), json!("2026-11-23T17:24:31.345411Z"), &[""]);
    }
}
