//! The messages of a thread, as those of the protocol.

use serde_json::{Map, Value, json};

use super::{
    model::{File, Part, Role, Source},
    part::is_base64,
    task::{Context, MARK, START, TASK},
};

/// A message of the graph.
#[derive(Clone, Copy)]
pub(super) struct Said<'a>(pub(super) &'a Map<String, Value>);

/// Kinds of messages that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Human,
    Ai,
    Tool,
    /// System messages and whatever else is nobody's business.
    Other,
}

/// A content block that cannot be made into a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadBlock;

/// The messages of some values, if they have a list of them.
pub(super) fn messages(values: &Value) -> Option<Vec<Said<'_>>> {
    let messages = values.get("messages")?.as_array()?;
    Some(messages.iter().filter_map(Value::as_object).map(Said).collect())
}

impl<'a> Said<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(super) fn kind(self) -> Kind {
        match self.text("type").or_else(|| self.text("role")).unwrap_or_default() {
            "human" | "user" | "HumanMessageChunk" => Kind::Human,
            "ai" | "assistant" | "AIMessageChunk" => Kind::Ai,
            "tool" | "ToolMessageChunk" => Kind::Tool,
            _ => Kind::Other,
        }
    }

    pub(super) fn id(self) -> Option<&'a str> {
        self.text("id")
    }

    /// The name of the task that begins or goes on with this message, if it is marked.
    fn task(self, context: &Context) -> Option<String> {
        let mark = self.0.get("additional_kwargs")?.get(MARK)?;
        match mark.get(TASK).and_then(Value::as_str) {
            Some(name) => Some(name.to_owned()),
            None => context.started(mark.get(START)?.as_str()?),
        }
    }

    /// Who says it, and what of it is to be shown; no parts for what is not.
    pub(super) fn shown(
        self,
        shown_tools: Option<&[String]>,
    ) -> Result<(Role, Vec<Part>), BadBlock> {
        Ok(match self.kind() {
            Kind::Human => (Role::User, self.parts()?),
            Kind::Ai => (Role::Agent, self.parts()?),
            Kind::Tool => (Role::Agent, self.tool_result(shown_tools).into_iter().collect()),
            Kind::Other => (Role::Agent, vec![]),
        })
    }

    fn tool_result(self, shown_tools: Option<&[String]>) -> Option<Part> {
        let name = self.text("name").unwrap_or_default();
        let is_shown = shown_tools.is_none_or(|shown| shown.iter().any(|shown| shown == name));
        let result = json!({
            "toolCallId": self.0.get("tool_call_id"),
            "content": self.0.get("content"),
            "name": self.0.get("name"),
            "status": self.text("status").unwrap_or("success"),
        });
        is_shown.then(|| Part::Data(json!({"tool_results": [result]})))
    }

    /// Texts and files of the content. Texts that follow one another are one.
    pub(super) fn parts(self) -> Result<Vec<Part>, BadBlock> {
        let mut parts: Vec<Part> = vec![];
        let blocks = match self.0.get("content") {
            Some(Value::Array(blocks)) => blocks.as_slice(),
            Some(text @ Value::String(_)) => std::slice::from_ref(text),
            _ => &[],
        };
        for block in blocks {
            match (part_of(block)?, parts.last_mut()) {
                (Some(Part::Text(more)), Some(Part::Text(text))) => text.push_str(&more),
                (Some(Part::Text(text)), _) if text.is_empty() => {}
                (Some(part), _) => parts.push(part),
                (None, _) => {}
            }
        }
        Ok(parts)
    }
}

/// The part that a content block is; `None` for what is not for people, such as calls of tools.
fn part_of(block: &Value) -> Result<Option<Part>, BadBlock> {
    let text = |name: &str| block[name].as_str().map(str::to_owned);
    let kind = match block {
        Value::String(text) => return Ok(Some(Part::Text(text.clone()))),
        block => block["type"].as_str().unwrap_or_default(),
    };
    let source = match kind {
        "text" => return Ok(text("text").map(Part::Text)),
        "image_url" => {
            let url = block["image_url"].as_str().or_else(|| block["image_url"]["url"].as_str());
            let Some(url) = url else { return Ok(None) };
            Source::Uri(url.to_owned())
        }
        "image" | "audio" | "video" | "file" => match (text("base64"), text("url")) {
            (Some(bytes), _) if is_base64(&bytes) => Source::Bytes(bytes),
            (Some(_), _) => return Err(BadBlock),
            (None, Some(url)) => Source::Uri(url),
            (None, None) => return Ok(None),
        },
        _ => return Ok(None),
    };
    let name = block["extras"]["filename"].as_str().map(str::to_owned);
    Ok(Some(Part::File(File { source, media_type: text("mime_type"), name })))
}

/// Each message with the task that it belongs to: a mark holds until the next one.
pub(super) fn by_task<'a>(
    context: &Context,
    messages: &[Said<'a>],
) -> Vec<(Option<String>, Said<'a>)> {
    let mut task = None;
    let each = messages.iter().map(|message| {
        task = message.task(context).or_else(|| task.take());
        (task.clone(), *message)
    });
    each.collect()
}

/// What the agent says at last to the last thing it was told; `None` if that is nothing.
pub(super) fn answer(messages: &[Said<'_>]) -> Result<Option<Vec<Part>>, BadBlock> {
    for message in messages.iter().rev() {
        match message.kind() {
            Kind::Human => break,
            Kind::Ai => {
                let parts = message.parts()?;
                if !parts.is_empty() {
                    return Ok(Some(parts));
                }
            }
            Kind::Tool | Kind::Other => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(content: Value) -> Result<Vec<Part>, BadBlock> {
        let message = json!({"type": "ai", "content": content});
        Said(message.as_object().expect("an object")).parts()
    }

    #[test]
    fn texts_join_and_files_stay() {
        let content = json!([
            {"type": "text", "text": "a"}, "b",
            {"type": "tool_use", "id": "1"},
            {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
            {"type": "text", "text": ""}, {"type": "text", "text": "c"},
        ]);
        let file = File {
            source: Source::Bytes("aGk=".into()),
            media_type: Some("image/png".into()),
            name: None,
        };
        assert_eq!(
            parts(content),
            Ok(vec![Part::Text("ab".into()), Part::File(file), Part::Text("c".into())])
        );
        assert_eq!(parts(json!("")), Ok(vec![]));
        assert_eq!(parts(json!([{"type": "file", "base64": "?"}])), Err(BadBlock));
    }

    #[test]
    fn answers_follow_the_last_question() {
        let values = json!({"messages": [
            {"type": "human", "content": "q"},
            {"type": "ai", "content": "old"},
            {"type": "human", "content": "q2"},
            {"type": "ai", "content": "new"},
            {"type": "ai", "content": "", "tool_calls": []},
        ]});
        let all = messages(&values).expect("messages");
        assert_eq!(answer(&all), Ok(Some(vec![Part::Text("new".into())])));
        assert_eq!(answer(&all[..3]), Ok(None));
    }
}
