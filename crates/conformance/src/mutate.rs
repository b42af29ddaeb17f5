//! Changes of requests that a seed determines: what a careless or malicious client could send in the place of a good one.

use fastrand::Rng;
use serde_json::{Value, json};

/// Values that break assumptions, in the place of any other.
fn odd(random: &mut Rng) -> Value {
    match random.u8(..20) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(i64::MAX),
        5 => json!(u64::MAX),
        6 => json!(1e308),
        7 => json!(0.5),
        8 => json!([]),
        9 => json!({}),
        10 => json!([null]),
        11 => json!({"": 1}),
        12 => json!({"$eq": {"$ne": []}}),
        13 => nested(random.u8(1..120)),
        14 => json!("x".repeat(random.usize(1000..70_000))),
        _ => Value::String(odd_text(random)),
    }
}

/// Texts that break assumptions, as values, names of members and parameters.
pub(crate) fn odd_text(random: &mut Rng) -> String {
    const TEXTS: [&str; 22] = [
        "",
        " ",
        ".",
        "..",
        "../../etc/passwd",
        "a/b",
        "%00",
        "%2e%2e%2f",
        "null",
        "true",
        "-1",
        "1e400",
        "NaN",
        "\u{0}",
        "\u{202e}\u{feff}",
        "🦀👩‍👩‍👧‍👦",
        "' OR 1=1 --",
        "{{env.HOME}}",
        "__proto__",
        "9999-12-31T23:59:59.999999999Z",
        "00000000-0000-0000-0000-000000000000",
        "\r\nx-injected: 1",
    ];
    random.choice(TEXTS).unwrap_or_default().to_owned()
}

fn nested(depth: u8) -> Value {
    (0..depth).fold(json!(1), |inner, level| match level % 2 {
        0 => json!([inner]),
        _ => json!({ "a": inner }),
    })
}

/// Changes a body in one to three places.
pub(crate) fn body(random: &mut Rng, body: &mut Value) {
    for _ in 0..random.u8(1..=3) {
        let other = pick(random, body).clone();
        let place = pick_mut(random, body);
        match random.u8(..8) {
            0..3 => *place = odd(random),
            3 => *place = other,
            4 => *place = json!([place.take()]),
            5 => *place = json!({ odd_text(random): place.take() }),
            6 => drop_one(random, place),
            _ => add_one(random, place, other),
        }
    }
}

fn drop_one(random: &mut Rng, place: &mut Value) {
    match place {
        Value::Object(members) if !members.is_empty() => {
            let name = members.keys().nth(random.usize(..members.len())).cloned();
            name.and_then(|name| members.shift_remove(&name));
        }
        Value::Array(items) if !items.is_empty() => {
            items.remove(random.usize(..items.len()));
        }
        other => *other = Value::Null,
    }
}

fn add_one(random: &mut Rng, place: &mut Value, value: Value) {
    match place {
        Value::Object(members) => {
            members.insert(odd_text(random), value);
        }
        Value::Array(items) => items.push(value),
        other => *other = odd(random),
    }
}

/// Some value in the tree, the tree itself included.
fn pick<'v>(random: &mut Rng, value: &'v Value) -> &'v Value {
    match way_down(random, value) {
        None => value,
        Some(index) => match value {
            Value::Object(members) => members.values().nth(index),
            Value::Array(items) => items.get(index),
            _ => None,
        }
        .map_or(value, |child| pick(random, child)),
    }
}

/// The same to be changed.
fn pick_mut<'v>(random: &mut Rng, value: &'v mut Value) -> &'v mut Value {
    let Some(index) = way_down(random, value) else { return value };
    let child = match value {
        Value::Object(members) => members.values_mut().nth(index),
        Value::Array(items) => items.get_mut(index),
        _ => None,
    };
    pick_mut(random, child.expect("there is a child of that index"))
}

/// Which child to go on with, unless this value is the one.
fn way_down(random: &mut Rng, value: &Value) -> Option<usize> {
    let children = match value {
        Value::Object(members) => members.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    (children > 0 && random.u8(..8) > 0).then(|| random.usize(..children))
}

/// Takes away what would let an answer wait longer than anybody does: that is asked for, and no fault.
pub(crate) fn without_pauses(body: &mut Value) {
    match body {
        Value::Object(members) => {
            members.shift_remove("after_seconds");
            members.values_mut().for_each(without_pauses);
        }
        Value::Array(items) => items.iter_mut().for_each(without_pauses),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_changes_and_most_change_something() {
        let plain = json!({"input": {"messages": [{"role": "user"}]}, "metadata": {"a": 1}});
        let changed = |seed| {
            let mut value = plain.clone();
            body(&mut Rng::with_seed(seed), &mut value);
            value
        };
        let all: Vec<_> = (0..200).map(changed).collect();
        assert_eq!(all, (0..200).map(changed).collect::<Vec<_>>());
        assert!(all.iter().filter(|value| **value != plain).count() > 150);
    }

    #[test]
    fn pauses_are_taken_out_wherever_they_are() {
        let mut value = json!([{"after_seconds": 5, "a": {"after_seconds": 1, "b": 2}}]);
        without_pauses(&mut value);
        assert_eq!(value, json!([{"a": {"b": 2}}]));
    }
}
