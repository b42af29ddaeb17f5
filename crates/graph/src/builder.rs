//! Declaring graphs: channels, nodes, edges; their schemas and drawings.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    Channel, Context, END, Failure, Map, NodeError, Reducer, START, Target, Task, Update, ids,
    node::NodeFn,
};

type Choose = Arc<dyn Fn(&Map) -> Vec<Target> + Send + Sync>;

struct Edge {
    from: String,
    to: String,
}

struct Branch {
    from: String,
    /// Where it may lead; only drawings read it.
    targets: Vec<String>,
    choose: Choose,
}

/// A graph: immutable, shared by all runs of it.
pub struct Graph {
    name: String,
    description: Option<String>,
    channels: Vec<(String, Channel)>,
    nodes: Vec<(String, NodeFn)>,
    edges: Vec<Edge>,
    branches: Vec<Branch>,
    context_schema: Value,
}

/// Makes a [`Graph`].
pub struct GraphBuilder(Graph);

impl GraphBuilder {
    /// A graph without anything.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Graph {
            name: name.into(),
            description: None,
            channels: vec![],
            nodes: vec![],
            edges: vec![],
            branches: vec![],
            context_schema: Value::Null,
        })
    }

    /// What the graph is for.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.0.description = Some(text.into());
        self
    }

    /// JSON schema of the run's context.
    pub fn context_schema(mut self, schema: Value) -> Self {
        self.0.context_schema = schema;
        self
    }

    /// Adds a channel.
    pub fn channel(mut self, name: impl Into<String>, channel: Channel) -> Self {
        self.0.channels.push((name.into(), channel));
        self
    }

    /// Adds a node.
    pub fn node<F, Fut>(mut self, name: impl Into<String>, work: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Update, NodeError>> + Send + 'static,
    {
        self.0.nodes.push((name.into(), Arc::new(move |context| Box::pin(work(context)))));
        self
    }

    /// `to` follows `from` ([`START`] and [`END`] included).
    pub fn edge(mut self, from: &str, to: &str) -> Self {
        self.0.edges.push(Edge { from: from.into(), to: to.into() });
        self
    }

    /// What `choose` says follows `from`, judged by the state after the superstep. `targets` lists where it may lead.
    pub fn branch(
        mut self,
        from: &str,
        targets: &[&str],
        choose: impl Fn(&Map) -> Vec<Target> + Send + Sync + 'static,
    ) -> Self {
        let targets = targets.iter().map(|&target| target.to_owned()).collect();
        self.0.branches.push(Branch { from: from.into(), targets, choose: Arc::new(choose) });
        self
    }

    /// The graph.
    ///
    /// # Errors
    /// A name is used twice, an edge leads from or to a node that is not there, or nothing follows [`START`].
    pub fn build(self) -> Result<Graph, Failure> {
        let graph = self.0;
        let refuse = |text: String| Err(Failure::new("ValueError", text));
        for (index, (name, _)) in graph.nodes.iter().enumerate() {
            let reserved = name == START || name == END;
            if reserved || graph.nodes.iter().skip(index + 1).any(|(other, _)| other == name) {
                return refuse(format!("node '{name}' is reserved or declared twice"));
            }
        }
        let edges = graph.edges.iter().map(|edge| (&edge.from, &edge.to));
        let branches = graph
            .branches
            .iter()
            .flat_map(|branch| branch.targets.iter().map(move |target| (&branch.from, target)));
        for (from, to) in edges.chain(branches) {
            if from != START && !graph.has_node(from) {
                return refuse(format!("an edge leaves '{from}', which is no node"));
            }
            if to != END && !graph.has_node(to) {
                return refuse(format!("an edge leads to '{to}', which is no node"));
            }
        }
        let mut sources = graph.edges.iter().map(|edge| &edge.from);
        if !sources.any(|from| from == START) && !graph.branches.iter().any(|b| b.from == START) {
            return refuse(format!("no edge leaves {START}"));
        }
        Ok(graph)
    }
}

impl Graph {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the graph is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Whether there is such a node.
    pub fn has_node(&self, name: &str) -> bool {
        self.nodes.iter().any(|(node, _)| node == name)
    }

    pub(crate) fn only_node(&self) -> Option<&str> {
        match &self.nodes[..] {
            [(name, _)] => Some(name),
            _ => None,
        }
    }

    pub(crate) fn work(&self, node: &str) -> Option<&NodeFn> {
        self.nodes.iter().find(|(name, _)| name == node).map(|(_, work)| work)
    }

    pub(crate) fn reducer(&self, channel: &str) -> Option<Reducer> {
        self.channel(channel).map(|channel| channel.reducer)
    }

    fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|(channel, _)| channel == name).map(|(_, channel)| channel)
    }

    /// The state before anything was written.
    pub(crate) fn initial(&self) -> Map {
        let initial =
            |(name, channel): &(String, Channel)| Some((name.clone(), channel.initial()?));
        self.channels.iter().filter_map(initial).collect()
    }

    /// Drops writes to what is no channel, and makes the others repeatable.
    pub(crate) fn settle(&self, values: Map, input: bool) -> Map {
        let known = |(name, value): (String, Value)| {
            let channel = self.channel(&name).filter(|channel| !input || channel.input)?;
            Some((name, channel.settle(value)))
        };
        values.into_iter().filter_map(known).collect()
    }

    /// Applies settled writes.
    pub(crate) fn apply(&self, values: &mut Map, writes: &Map) {
        for (name, write) in writes {
            if let Some(channel) = self.channel(name) {
                let slot =
                    values.entry(name).or_insert_with(|| channel.initial().unwrap_or_default());
                channel.reduce(slot, write.clone());
            }
        }
    }

    /// The part of a state that streams show.
    pub fn output(&self, values: &Map) -> Map {
        let shown = |name: &str| self.channel(name).is_some_and(|channel| channel.output);
        let pairs = values.iter().filter(|(name, _)| shown(name));
        pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether streams show every channel.
    pub fn shows_all(&self) -> bool {
        self.channels.iter().all(|(_, channel)| channel.output)
    }

    /// What follows `node` in the state `values`.
    pub(crate) fn successors(&self, node: &str, values: &Map) -> Vec<Target> {
        let edges = self.edges.iter().filter(|edge| edge.from == node);
        let mut targets: Vec<Target> = edges.map(|edge| Target::Node(edge.to.clone())).collect();
        for branch in self.branches.iter().filter(|branch| branch.from == node) {
            targets.extend((branch.choose)(values));
        }
        targets
    }

    /// Tasks for targets: those with an input of their own first, each node at most once for the others, in the order of
    /// the nodes. Unknown nodes are left out. `offset` tells tasks apart that are added to a superstep later.
    pub(crate) fn tasks(&self, checkpoint: &str, offset: usize, targets: Vec<Target>) -> Vec<Task> {
        let mut tasks = vec![];
        let mut push = |node: String, input: Option<Value>| {
            let id = ids::task(checkpoint, &node, offset + tasks.len());
            tasks.push(Task { id, node, input });
        };
        let mut pulled = vec![];
        for target in targets.into_iter().filter(|target| self.has_node(target.node())) {
            match target {
                Target::Send { node, input } => push(node, Some(input)),
                Target::Node(node) => pulled.push(node),
            }
        }
        for (node, _) in &self.nodes {
            if pulled.contains(node) {
                push(node.clone(), None);
            }
        }
        tasks
    }

    fn schema(&self, title: &str, shown: impl Fn(&Channel) -> bool) -> Value {
        let channels = self.channels.iter().filter(|(_, channel)| shown(channel));
        let properties: Map =
            channels.map(|(name, channel)| (name.clone(), channel.schema.clone())).collect();
        json!({"title": title, "type": "object", "properties": properties})
    }

    /// Object with `input_schema`, `output_schema`, `state_schema`, `config_schema`, `context_schema`.
    pub fn schemas(&self) -> Value {
        let name = &self.name;
        let config =
            if self.context_schema.is_null() { json!({}) } else { self.context_schema.clone() };
        json!({
            "input_schema": self.schema(&format!("{name}_input"), |channel| channel.input),
            "output_schema": self.schema(&format!("{name}_output"), |channel| channel.output),
            "state_schema": self.schema(&format!("{name}_state"), |_| true),
            "config_schema": config,
            "context_schema": self.context_schema,
        })
    }

    /// The drawable graph: object with `nodes` and `edges`.
    pub fn drawing(&self) -> Value {
        let runnable = |name: &str| json!({"id": name, "type": "runnable", "data": {"name": name}});
        let mut nodes = vec![runnable(START)];
        nodes.extend(self.nodes.iter().map(|(name, _)| runnable(name)));
        nodes.push(json!({"id": END}));
        let plain = self.edges.iter().map(|edge| (&edge.from, &edge.to, false));
        let branches = self.branches.iter().flat_map(|branch| {
            branch.targets.iter().map(move |target| (&branch.from, target, true))
        });
        let mut edges: Vec<_> = plain.chain(branches).collect();
        // Without an edge of its own a node may still jump; that cannot be known. It ends the path otherwise.
        let end = END.to_owned();
        for (name, _) in &self.nodes {
            if !edges.iter().any(|(from, ..)| *from == name) {
                edges.push((name, &end, false));
            }
        }
        edges.sort();
        let edge = |(from, to, conditional)| match conditional {
            true => json!({"source": from, "target": to, "conditional": true}),
            false => json!({"source": from, "target": to}),
        };
        json!({"nodes": nodes, "edges": edges.into_iter().map(edge).collect::<Vec<_>>()})
    }
}
