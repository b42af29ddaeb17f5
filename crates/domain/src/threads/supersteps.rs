//! Threads that begin with a state: the updates are made before the thread is, and both are committed together.
//!
//! Source: reference/runs-and-threads.md, 3.1.

use agent_server_storage::{
    Cost, Map, RawJson,
    threads::{Columns, Thread},
};
use serde_json::json;

use super::insert;
use crate::{
    Caller, Domain, Error, Result,
    ports::Question,
    state::{graph_of, no_graph, save_update},
};

impl Domain {
    /// Creates `thread` with the state that `supersteps` lead to.
    ///
    /// # Errors
    /// `Conflict` if the id exists. `Incomplete` without a usable graph and `Refused` by the graph: the wire has the
    /// thread exist then, without any of the updates. After all other errors there is no thread.
    pub(super) async fn seed_thread(
        &self,
        caller: &Caller,
        thread: Thread,
        do_nothing: bool,
        supersteps: RawJson,
    ) -> Result<Thread> {
        let (id, scope) = (thread.thread_id, caller.threads.clone());
        let existing = self
            .storage()
            .read(Cost::Point, move |tx| {
                tx.get_thread(&scope, id, Columns::Full).map_err(Error::from)
            })
            .await?;
        if existing.is_some() {
            // Answers or refuses without a look at the updates.
            return self.insert_thread(caller, thread, do_nothing).await;
        }
        let asked = self.ask_supersteps(caller, &thread, supersteps).await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(refusal @ (Error::Refused(_) | Error::Incomplete(_))) => {
                self.insert_thread(caller, thread, false).await?;
                return Err(refusal);
            }
            Err(error) => return Err(error),
        };
        let now = self.now();
        let scope = caller.threads.clone();
        self.storage()
            .write(move |tx| {
                insert(tx, &thread)?;
                save_update(tx, id, &answer, now)?;
                tx.get_thread(&scope, id, Columns::Full)?
                    .ok_or_else(|| Error::Internal(format!("thread {id} was not inserted")))
            })
            .await
    }

    async fn ask_supersteps(
        &self,
        caller: &Caller,
        thread: &Thread,
        supersteps: RawJson,
    ) -> Result<crate::ports::Answer> {
        let id = thread.thread_id;
        let problem = |why: &str| {
            Error::Incomplete(format!(
                "Thread {id} was created, but there were problems updating the state: {why}"
            ))
        };
        let graph_id = graph_of(thread).ok_or_else(|| problem(&no_graph(id)))?;
        match self.ready_graph(&graph_id) {
            Err(Error::NotFound(why) | Error::BadGraph(why)) => return Err(problem(&why)),
            other => other?,
        };
        let mut configurable = Map::new();
        configurable.insert("checkpoint_ns".into(), json!(""));
        configurable.insert("thread_id".into(), json!(id.to_string()));
        configurable.insert("graph_id".into(), json!(graph_id));
        caller.show_user(&mut configurable);
        let config = RawJson::of(&json!({"configurable": configurable}));
        let question = Question::Supersteps { thread_id: id, config, supersteps };
        self.host().ask(&graph_id, question).await
    }
}
