//! The history of a task, as far as the client wants to see it.

use serde_json::{Map, Value};

use super::{
    super::rpc::{Failure, Outcome},
    Api, Call,
    conversation::{by_task, messages},
    model::Message,
    task::{Context, Task},
};

/// Longest history that can be asked for.
const MAX_LENGTH: u64 = 10;

/// Which messages are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The last of them; all if `None`.
    length: Option<usize>,
    /// Only those of the task.
    of_task: bool,
}

impl Wanted {
    /// Reads `historyLength` and `historyScope`; the header stands in for the latter.
    pub(super) fn read(members: &Map<String, Value>, header: Option<&str>) -> Outcome<Self> {
        let length = match members.get("historyLength") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_u64() {
                Some(length) if length > MAX_LENGTH => {
                    let why = format!("historyLength cannot exceed {MAX_LENGTH}");
                    return Err(Failure::params(why));
                }
                Some(length) => Some(length as usize),
                None => {
                    return Err(Failure::params("historyLength must be a non-negative integer"));
                }
            },
        };
        let scope = match members.get("historyScope") {
            None | Some(Value::Null) => header,
            Some(Value::String(scope)) => Some(scope.as_str()),
            Some(_) => Some(""),
        };
        let of_task = match scope {
            None | Some("context") => false,
            Some("task") => true,
            Some(_) => return Err(Failure::params("historyScope must be 'context' or 'task'")),
        };
        Ok(Self { length, of_task })
    }

    /// What the arguments of a call say.
    pub(super) fn of(call: &Call<'_>) -> Outcome<Self> {
        Self::read(&call.params, call.scope_header.as_deref())
    }

    /// What the configuration of a sent message says.
    pub(super) fn of_sent(call: &Call<'_>) -> Outcome<Self> {
        let header = call.scope_header.as_deref();
        match call.params.get("configuration") {
            None | Some(Value::Null) => Self::read(&Map::new(), header),
            Some(Value::Object(configuration)) => Self::read(configuration, header),
            Some(_) => Err(Failure::params("configuration must be an object")),
        }
    }

    /// Of a history what is wanted of it; `None` for none at all.
    pub(super) fn cut<T>(self, mut history: Vec<T>) -> Option<Vec<T>> {
        match self.length {
            None => Some(history),
            Some(0) => None,
            Some(length) => Some(history.split_off(history.len().saturating_sub(length))),
        }
    }
}

impl Api {
    /// The history of a task in the values of its thread.
    pub(super) fn history_of(
        &self,
        context: &Context,
        task: &Task,
        values: &Value,
        wanted: Wanted,
    ) -> Option<Vec<Message>> {
        let shown_tools = self.options.a2a.shown_tools.as_deref();
        let context_id = context.thread.thread_id.to_string();
        let mut history = vec![];
        for (index, (name, said)) in
            by_task(context, &messages(values).unwrap_or_default()).into_iter().enumerate()
        {
            let is_own = name.as_deref() == Some(&task.name);
            // What cannot be shown is left out of the past; as a result it would be a failure.
            let Ok((role, parts)) = said.shown(shown_tools) else { continue };
            if parts.is_empty() || (wanted.of_task && !is_own) {
                continue;
            }
            let task_id = if is_own { Some(task.id.clone()) } else { name };
            let id = said.id().map_or_else(|| format!("message-{index}"), str::to_owned);
            history.push(Message { role, parts, id, task_id, context_id: context_id.clone() });
        }
        wanted.cut(history)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn histories_are_bounded() {
        let read = |members: Value| {
            Wanted::read(members.as_object().expect("an object"), None).map_err(|why| why.message)
        };
        let cut = |length: Value| {
            let wanted = read(json!({ "historyLength": length })).expect("wanted");
            wanted.cut(vec![1, 2, 3])
        };
        assert_eq!(cut(json!(null)), Some(vec![1, 2, 3]));
        assert_eq!(cut(json!(2)), Some(vec![2, 3]));
        assert_eq!(cut(json!(0)), None);
        assert_eq!(
            read(json!({"historyLength": 11})).unwrap_err(),
            "historyLength cannot exceed 10"
        );
        for bad in [json!(-1), json!(1.5), json!("1"), json!(true)] {
            let why = "historyLength must be a non-negative integer";
            assert_eq!(read(json!({ "historyLength": bad })).unwrap_err(), why);
        }
    }
}
