//! Channels: the named slots of a graph's state, and how writes change them.

use serde_json::{Value, json};

use crate::messages;

/// How a write changes a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reducer {
    /// The write replaces the value; two writes in one superstep are an error.
    LastValue,
    /// A list is appended, anything else becomes one more item. Starts as `[]`.
    Append,
    /// A list of chat messages: a message with a known id replaces the older one, `remove` messages take away, messages
    /// without id get one. Starts as `[]`.
    Messages,
}

/// A channel's declaration.
#[derive(Clone, Debug)]
pub struct Channel {
    pub(crate) reducer: Reducer,
    /// JSON schema of what may be written.
    pub(crate) schema: Value,
    /// Whether inputs may carry it.
    pub(crate) input: bool,
    /// Whether `values` and `updates` show it.
    pub(crate) output: bool,
}

impl Channel {
    fn new(reducer: Reducer, schema: Value) -> Self {
        Self { reducer, schema, input: true, output: true }
    }

    /// A channel that keeps the last value written.
    pub fn last_value(schema: Value) -> Self {
        Self::new(Reducer::LastValue, schema)
    }

    /// A list that grows; `item` is the schema of its items.
    pub fn append(item: Value) -> Self {
        Self::new(Reducer::Append, json!({"type": "array", "items": item}))
    }

    /// A list of chat messages.
    pub fn messages() -> Self {
        Self::new(Reducer::Messages, messages::schema())
    }

    /// Part of the state, but neither of the input nor of the output.
    pub fn private(mut self) -> Self {
        (self.input, self.output) = (false, false);
        self
    }

    /// Not part of the input.
    pub fn output_only(mut self) -> Self {
        self.input = false;
        self
    }

    /// The value before the first write, if there is one.
    pub(crate) fn initial(&self) -> Option<Value> {
        (self.reducer != Reducer::LastValue).then(|| json!([]))
    }

    /// Applies one write.
    pub(crate) fn reduce(&self, slot: &mut Value, write: Value) {
        match self.reducer {
            Reducer::LastValue => *slot = write,
            Reducer::Append => list(slot).extend(into_list(write)),
            Reducer::Messages => messages::add(list(slot), into_list(write)),
        }
    }

    /// Makes a write repeatable: ids that `reduce` would make up are given before the write is saved.
    pub(crate) fn settle(&self, write: Value) -> Value {
        match self.reducer {
            Reducer::Messages => {
                into_list(write).into_iter().map(messages::normalized).collect::<Vec<_>>().into()
            }
            Reducer::LastValue | Reducer::Append => write,
        }
    }
}

fn into_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => vec![],
        item => vec![item],
    }
}

fn list(slot: &mut Value) -> &mut Vec<Value> {
    if !slot.is_array() {
        *slot = json!([]);
    }
    slot.as_array_mut().expect("was made an array above")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channel: Channel, writes: &[Value], expect: Value) {
        let mut slot = channel.initial().unwrap_or_default();
        for write in writes {
            channel.reduce(&mut slot, channel.settle(write.clone()));
        }
        assert_eq!(slot, expect);
    }

    #[test]
    fn writes_are_reduced() {
        check(Channel::last_value(json!({})), &[json!(1), json!(2)], json!(2));
        check(Channel::append(json!({})), &[json!([1]), json!(2)], json!([1, 2]));
    }

    #[test]
    fn messages_are_normalized_replaced_and_removed() {
        let user = json!({"role": "user", "content": "hi", "id": "1"});
        let human = json!({"content": "hi", "additional_kwargs": {}, "response_metadata": {}, "type": "human", "name": null, "id": "1"});
        check(Channel::messages(), std::slice::from_ref(&user), json!([human]));
        let mut changed = human.clone();
        changed["content"] = json!("ho");
        check(Channel::messages(), &[user.clone(), changed.clone()], json!([changed]));
        let remove = json!({"type": "remove", "id": "1"});
        check(Channel::messages(), &[user.clone(), remove], json!([]));
        let all = json!([{"type": "remove", "id": "__remove_all__"}, changed]);
        check(Channel::messages(), &[user, all], json!([changed]));
    }
}
