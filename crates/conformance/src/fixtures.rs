//! What cases need to find on the server: they name it by a placeholder, here it is made.
//!
//! | placeholder | stands for |
//! |---|---|
//! | `<assistant>`, `<graph_id>`, `<node>` | what the suite was pointed at: assistant, its graph, a node of that |
//! | `<assistant_id>` | an assistant made for the case |
//! | `<thread_id>` | a thread with one finished run |
//! | `<run_id>`, `<checkpoint_id>` | that run and its last checkpoint; where runs are cancelled, one that waits for its time |
//! | `<stateless_run_id>` | a finished run without a thread of its own, which was kept |
//! | `<new_id>` | an id that nothing has |
//! | `<name\|braced>` | an id in capitals and braces |
//! | `<n x>` | a text of n letters |

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{request::Request, session::Session};

/// Seconds after which a run that is only there to wait would start.
pub(crate) const NEVER: u32 = 86_400;

/// Fixtures that some cases share, or that one case has for itself.
pub(crate) struct Fixtures<'a> {
    session: &'a Session,
    /// Whether `<run_id>` is a run that has not started.
    pub(crate) pending: bool,
    made: HashMap<String, String>,
}

impl<'a> Fixtures<'a> {
    /// None made yet; they are when they are named.
    pub(crate) fn new(session: &'a Session) -> Self {
        Self { session, pending: false, made: HashMap::new() }
    }

    /// The same for an operation, which decides what kind of run it needs.
    pub(crate) fn for_operation(session: &'a Session, operation: &str) -> Self {
        Self { pending: operation.starts_with("cancel_run"), ..Self::new(session) }
    }

    /// Forgets the id that is new for each case.
    pub(crate) fn next_case(&mut self) {
        self.made.remove("new_id");
    }

    /// The text with fixtures in the place of their names.
    ///
    /// # Errors
    /// A fixture cannot be made, or is not known.
    pub(crate) async fn fill(&mut self, text: &str) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            let (before, from) = rest.split_at(start);
            filled.push_str(before);
            match from.find('>') {
                Some(end) if is_name(&from[1..end]) => {
                    filled += &self.get(&from[1..end]).await?;
                    rest = &from[end + 1..];
                }
                _ => {
                    filled.push('<');
                    rest = &from[1..];
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// [`Fixtures::fill`] for every text of a map.
    pub(crate) async fn fill_all(
        &mut self,
        texts: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>> {
        let mut filled = BTreeMap::new();
        for (name, text) in texts {
            filled.insert(name.clone(), self.fill(text).await?);
        }
        Ok(filled)
    }

    /// [`Fixtures::fill`] for a JSON value.
    pub(crate) async fn fill_json(&mut self, value: &Value) -> Result<Value> {
        // Ids and names of fixtures need no escaping.
        Ok(serde_json::from_str(&self.fill(&value.to_string()).await?)?)
    }

    /// One fixture, made if it is not there.
    pub(crate) async fn get(&mut self, name: &str) -> Result<String> {
        if let Some(length) = name.strip_suffix(" x") {
            return Ok("x".repeat(length.parse()?));
        }
        if let Some(name) = name.strip_suffix("|braced") {
            let id = Box::pin(self.get(name)).await?;
            return Ok(format!("{{{}}}", id.to_uppercase()));
        }
        if !self.made.contains_key(name) {
            self.make(name)
                .await
                .with_context(|| format!("the fixture <{name}> cannot be made"))?;
        }
        self.made.get(name).cloned().with_context(|| format!("there is no fixture <{name}>"))
    }

    async fn make(&mut self, name: &str) -> Result<()> {
        let value = match name {
            "assistant" => self.session.assistant.clone(),
            "graph_id" => self.session.graph_id.clone(),
            "node" => self.session.node.clone(),
            "new_id" => new_id(),
            "cron_id" => self.make_cron().await?,
            "assistant_id" => self.make_assistant().await?,
            "stateless_run_id" => self.make_stateless_run().await?,
            "thread_id" | "run_id" | "checkpoint_id" => return self.make_thread().await,
            _ => bail!("cases name a fixture that the suite does not know"),
        };
        self.made.insert(name.to_owned(), value);
        Ok(())
    }

    async fn make_assistant(&self) -> Result<String> {
        let body = json!({ "graph_id": self.session.graph_id, "name": "Conformance" });
        text(&self.session.call(Request::to("create_assistant")?.body(body)).await?, "assistant_id")
    }

    async fn make_cron(&self) -> Result<String> {
        let body = json!({ "assistant_id": self.session.assistant, "schedule": "0 0 1 1 *" });
        text(&self.session.call(Request::to("create_cron")?.body(body)).await?, "cron_id")
    }

    async fn make_stateless_run(&self) -> Result<String> {
        let keep = json!({ "on_completion": "keep" });
        let request = Request::to("create_stateless_run")?.body(self.session.says("hello"));
        let run = self.session.call(request.with(keep)).await?;
        self.end(&text(&run, "thread_id")?, &run).await
    }

    async fn make_thread(&mut self) -> Result<()> {
        let session = self.session;
        let thread = session.call(Request::to("create_thread")?.body(json!({}))).await?;
        let thread = text(&thread, "thread_id")?;
        let create =
            Request::to("create_run")?.path("thread_id", &thread).body(session.says("hello"));
        let run = session.call(create.clone()).await?;
        let mut run = self.end(&thread, &run).await?;
        let state = Request::to("get_thread_state")?.path("thread_id", &thread);
        let checkpoint = text(&session.call(state).await?, "checkpoint_id")?;
        if self.pending {
            let later = json!({ "after_seconds": NEVER });
            run = text(&session.call(create.with(later)).await?, "run_id")?;
        }
        self.made.insert("thread_id".into(), thread);
        self.made.insert("run_id".into(), run);
        self.made.insert("checkpoint_id".into(), checkpoint);
        Ok(())
    }

    /// Waits for the end of a run and returns its id.
    async fn end(&self, thread: &str, run: &Value) -> Result<String> {
        let run = text(run, "run_id")?;
        let join = Request::to("join_run")?.path("thread_id", thread).path("run_id", &run);
        self.session.call(join).await.map(|_| run)
    }
}

/// An id that nothing on the server has.
#[expect(clippy::disallowed_methods, reason = "a client makes up its own ids")]
pub(crate) fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// A text member of a JSON object.
pub(crate) fn text(value: &Value, key: &str) -> Result<String> {
    let found = value[key].as_str().with_context(|| format!("no {key} in {value}"))?;
    Ok(found.to_owned())
}

fn is_name(text: &str) -> bool {
    let known = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    !text.is_empty() && text.chars().all(|letter| known(letter) || "_| ".contains(letter))
}
