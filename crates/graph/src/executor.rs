//! Execution in supersteps: run the tasks, apply their writes, note the next tasks, stop where asked.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Checkpoint, Command, Context, Event, Failure, Finished, Graph, Input, Interrupt, Invocation,
    Map, NO_TASK, NodeError, Observer, Progress, Reducer, START, Source, Stop, Target, Task,
    TaskRecord, Update, View, ids, invocation::Seen,
};

/// Executes a graph from where it was left.
pub async fn run(
    graph: Arc<Graph>,
    saved: Option<Progress>,
    invocation: Invocation,
    observer: Arc<dyn Observer>,
) -> Finished {
    let invocation = Arc::new(invocation);
    let mut left = saved.clone();
    let (progress, resumed) = match begin(&graph, saved, &invocation, &*observer) {
        Ok(begun) => begun,
        Err(failure) => return Finished { progress: left.take(), result: Err(failure) },
    };
    let mut execution = Execution { graph, invocation, observer, seen: Seen::default(), progress };
    let result = execution.supersteps(resumed).await;
    Finished { progress: Some(execution.progress), result }
}

/// Takes the input in. What comes out has tasks to execute, or is at its end; and whether it stood there before, so that
/// a breakpoint at its tasks has done its work.
fn begin(
    graph: &Graph,
    saved: Option<Progress>,
    invocation: &Invocation,
    observer: &dyn Observer,
) -> Result<(Progress, bool), Failure> {
    let input = if invocation.retry { &Input::Continue } else { &invocation.input };
    let progress = match (saved, input) {
        (None, Input::Continue) => {
            return Err(Failure::new("EmptyInputError", "Received no input for __start__"));
        }
        (None, Input::Command(command)) if command.update.is_empty() => {
            return Err(Failure::new("EmptyInputError", "Received no input for __start__"));
        }
        (saved, Input::Values(values)) => {
            let Value::Object(values) = values else {
                return Err(Failure::new(
                    "InvalidUpdateError",
                    format!("Expected dict, got {values}"),
                ));
            };
            return Ok((new_turn(graph, saved, values.clone(), vec![], observer), false));
        }
        (None, Input::Command(Command { update, goto, .. })) => {
            return Ok((new_turn(graph, None, update.clone(), goto.clone(), observer), false));
        }
        (Some(progress), Input::Continue)
            if invocation.fork && !progress.checkpoint.tasks.is_empty() =>
        {
            let targets = progress.checkpoint.tasks.iter().map(|task| match &task.input {
                None => Target::Node(task.node.clone()),
                Some(input) => Target::Send { node: task.node.clone(), input: input.clone() },
            });
            let values = Arc::clone(&progress.checkpoint.values);
            let writers = progress.checkpoint.writers.clone();
            let fork = progress.next(graph, Source::Fork, values, writers, targets.collect());
            observer.on(Event::Checkpoint { progress: &fork, fresh: true });
            return Ok((fork, true));
        }
        (Some(progress), Input::Continue) => progress,
        (Some(progress), Input::Command(command)) => commanded(graph, progress, command, observer)?,
    };
    observer.on(Event::Checkpoint { progress: &progress, fresh: false });
    Ok((progress, true))
}

/// Makes the checkpoint before the input and the one after it.
fn new_turn(
    graph: &Graph,
    saved: Option<Progress>,
    input: Map,
    goto: Vec<Target>,
    observer: &dyn Observer,
) -> Progress {
    let (parent_id, step, values) = match saved {
        Some(Progress { checkpoint, .. }) => {
            (Some(checkpoint.id), checkpoint.step + 1, checkpoint.values)
        }
        None => (None, -1, Arc::new(graph.initial())),
    };
    let (id, created_micros) = ids::checkpoint(step);
    let start = Task { id: ids::task(&id, START, 0), node: START.into(), input: None };
    let (tasks, source, writers) = (vec![start.clone()], Source::Input, vec![]);
    let checkpoint =
        Checkpoint { id, parent_id, step, source, created_micros, values, tasks, writers };
    let mut progress = Progress::new(checkpoint);
    observer.on(Event::Checkpoint { progress: &progress, fresh: true });
    let update = Update { values: graph.settle(input, true), goto: vec![] };
    let record = TaskRecord { update: Some(update), ..Default::default() };
    let checkpoint = &progress.checkpoint;
    observer.on(Event::Commanded { checkpoint, task_id: &start.id, record: &record });
    let mut values = std::mem::take(&mut progress.checkpoint.values);
    if let Some(update) = &record.update {
        graph.apply(Arc::make_mut(&mut values), &update.values);
    }
    let mut targets = graph.successors(START, &values);
    targets.extend(goto);
    let next = progress.next(graph, Source::Loop, values, vec![START.into()], targets);
    observer.on(Event::Checkpoint { progress: &next, fresh: true });
    next
}

/// What an update finds on a thread without checkpoints.
pub(crate) fn empty(graph: &Graph) -> Progress {
    Progress::new(Checkpoint {
        id: String::new(),
        parent_id: None,
        step: -1,
        source: Source::Input,
        created_micros: 0,
        values: Arc::new(graph.initial()),
        tasks: vec![],
        writers: vec![],
    })
}

/// Notes a command's answers, changes and jumps. Doing it twice has the same effect as once.
fn commanded(
    graph: &Graph,
    mut progress: Progress,
    command: &Command,
    observer: &dyn Observer,
) -> Result<Progress, Failure> {
    let waiting: Vec<(String, Interrupt)> = progress
        .record(graph)
        .tasks
        .iter()
        .filter(|task| !progress.is_finished(task))
        .filter_map(|task| Some((task, progress.records.get(&task.id)?)))
        .flat_map(|(task, record)| record.interrupts.iter().map(|i| (task.id.clone(), i.clone())))
        .collect();
    let is_id = |key: &String| key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit());
    let answers: Vec<(&(String, Interrupt), Value)> = match &command.resume {
        None => vec![],
        Some(Value::Object(map)) if map.keys().all(is_id) => {
            waiting.iter().filter_map(|item| Some((item, map.get(&item.1.id)?.clone()))).collect()
        }
        Some(_) if waiting.len() > 1 => {
            return Err(Failure::new(
                "RuntimeError",
                "When there are multiple pending interrupts, you must specify the interrupt id when resuming.",
            ));
        }
        Some(answer) => waiting.iter().map(|item| (item, answer.clone())).collect(),
    };
    let mut changed = vec![];
    for ((task, interrupt), answer) in answers {
        let record = progress.records.entry(task.clone()).or_default();
        let known = record.answers.len();
        let position = (0..=known).find(|&index| ids::interrupt(task, index) == interrupt.id);
        record.answers.truncate(position.unwrap_or(known));
        record.answers.push(answer);
        changed.push(task.clone());
    }
    if !command.update.is_empty() || !command.goto.is_empty() {
        let values = graph.settle(command.update.clone(), false);
        let update = Some(Update { values, goto: command.goto.clone() });
        progress.records.insert(NO_TASK.into(), TaskRecord { update, ..Default::default() });
        changed.push(NO_TASK.into());
    }
    let checkpoint = &progress.checkpoint;
    for task_id in &changed {
        observer.on(Event::Commanded { checkpoint, task_id, record: &progress.records[task_id] });
    }
    Ok(progress)
}

struct Execution {
    graph: Arc<Graph>,
    invocation: Arc<Invocation>,
    observer: Arc<dyn Observer>,
    seen: Seen,
    progress: Progress,
}

impl Execution {
    async fn supersteps(&mut self, mut resumed: bool) -> Result<Stop, Failure> {
        self.observer.superstep().await?;
        for executed in 0.. {
            let View { values, tasks } = self.progress.record(&self.graph);
            let open: Vec<Task> =
                tasks.iter().filter(|task| !self.progress.is_finished(task)).cloned().collect();
            if tasks.is_empty() {
                break;
            }
            if executed >= self.invocation.recursion_limit {
                let limit = self.invocation.recursion_limit;
                return Err(Failure::new(
                    "GraphRecursionError",
                    format!(
                        "Recursion limit of {limit} reached without hitting a stop condition. You can increase the limit by setting the `recursion_limit` config key."
                    ),
                ));
            }
            if !resumed && self.invocation.interrupt_before.has(&open) {
                self.observer.on(Event::Breakpoint);
                return Ok(Stop::Interrupted);
            }
            resumed = false;
            if self.work(&values, open).await? {
                return Ok(Stop::Interrupted);
            }
            drop(values);
            self.one_write_per_channel(&tasks)?;
            self.advance(&tasks);
            self.observer.on(Event::Checkpoint { progress: &self.progress, fresh: true });
            self.observer.superstep().await?;
            let more = !self.progress.checkpoint.tasks.is_empty();
            if more && self.invocation.interrupt_after.has(&tasks) {
                self.observer.on(Event::Breakpoint);
                return Ok(Stop::Interrupted);
            }
        }
        Ok(Stop::End)
    }

    /// Executes tasks side by side. Whether one of them waits for an answer.
    async fn work(&mut self, values: &Arc<Map>, tasks: Vec<Task>) -> Result<bool, Failure> {
        let mut running = JoinSet::new();
        let mut names = HashMap::new();
        let step = self.progress.checkpoint.step + 1;
        for task in tasks {
            let Some(work) = self.graph.work(&task.node) else { continue };
            let answers = self.progress.records.get(&task.id).map(|record| record.answers.clone());
            let context = Context {
                state: Arc::clone(values),
                task: task.clone(),
                step,
                invocation: Arc::clone(&self.invocation),
                observer: Arc::clone(&self.observer),
                seen: self.seen.clone(),
                answers: answers.unwrap_or_default(),
                asked: 0,
            };
            let checkpoint = &self.progress.checkpoint;
            self.observer.on(Event::Started { checkpoint, task: &task, values });
            names.insert(running.spawn(work(context)).id(), task);
        }
        let mut waits = false;
        while let Some(joined) = running.join_next_with_id().await {
            let (id, result) = match joined {
                Ok(joined) => joined,
                Err(error) => (
                    error.id(),
                    Err(NodeError::Failed(Failure::new("Panic", "The node panicked."))),
                ),
            };
            let Some(task) = names.remove(&id) else { continue };
            let record = self.progress.records.entry(task.id.clone()).or_default();
            record.error = None;
            let mut failed = None;
            match result {
                Ok(Update { values: writes, goto }) => {
                    let writes = self.graph.settle(writes, false);
                    record.update = Some(Update { values: writes, goto });
                }
                Err(NodeError::Interrupt(interrupt)) => {
                    record.interrupts = vec![interrupt];
                    waits = true;
                }
                Err(NodeError::Failed(failure)) => {
                    record.error = Some(failure.clone());
                    failed = Some(failure);
                }
            }
            let checkpoint = &self.progress.checkpoint;
            let record = &self.progress.records[&task.id];
            if let Some(update) = &record.update {
                self.stream_messages(step, &task, values, &update.values);
            }
            self.observer.on(Event::Ended { checkpoint, task: &task, record });
            if let Some(failure) = failed {
                // Dropping the set stops the other tasks at their next await.
                return Err(failure);
            }
        }
        Ok(waits)
    }

    /// Messages that a node returned without having streamed them.
    fn stream_messages(&self, step: i64, task: &Task, before: &Map, writes: &Map) {
        for (channel, write) in writes {
            if self.graph.reducer(channel) != Some(Reducer::Messages) {
                continue;
            }
            let known = before.get(channel).and_then(Value::as_array);
            for message in write.as_array().into_iter().flatten() {
                let Some(id) = message["id"].as_str() else { continue };
                let old = known.is_some_and(|list| list.iter().any(|old| old["id"] == id));
                if !old && message["type"] != "remove" && self.seen.add(id) {
                    self.observer.on(Event::Message { step, task, message });
                }
            }
        }
    }

    /// Applies the results of a superstep that is over and notes the tasks of the next.
    fn advance(&mut self, tasks: &[Task]) {
        let results: Vec<(&Task, Update)> = tasks
            .iter()
            .filter_map(|task| {
                Some((task, self.progress.records.get_mut(&task.id)?.update.take()?))
            })
            .collect();
        // Taken, so that it is changed in place and not copied.
        let mut values = std::mem::take(&mut self.progress.checkpoint.values);
        let state = Arc::make_mut(&mut values);
        if let Some(update) = self.progress.command() {
            self.graph.apply(state, &update.values);
        }
        for (_, update) in &results {
            self.graph.apply(state, &update.values);
        }
        let mut targets = vec![];
        for (task, update) in &results {
            targets.extend(self.graph.successors(&task.node, &values));
            targets.extend(update.goto.iter().cloned());
        }
        let writers = tasks.iter().map(|task| task.node.clone()).collect();
        self.progress = self.progress.next(&self.graph, Source::Loop, values, writers, targets);
    }

    /// Two tasks of a superstep must not both write a channel that keeps one value: which would win is chance.
    fn one_write_per_channel(&self, tasks: &[Task]) -> Result<(), Failure> {
        let mut written = HashSet::new();
        let records = tasks.iter().filter_map(|task| self.progress.records.get(&task.id));
        for channel in
            records.filter_map(|record| record.update.as_ref()).flat_map(|u| u.values.keys())
        {
            if self.graph.reducer(channel) == Some(Reducer::LastValue) && !written.insert(channel) {
                return Err(Failure::new(
                    "InvalidUpdateError",
                    format!(
                        "At key '{channel}': Can receive only one value per step. Use an Annotated key to handle multiple values."
                    ),
                ));
            }
        }
        Ok(())
    }
}
