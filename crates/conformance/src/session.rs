//! The server that is judged, and what is known about it.

use agent_server_api::Operation;
use anyhow::{Context, Result, bail};
use reqwest::{
    Client, Method, Url,
    header::{HeaderMap, HeaderName},
};
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    contract::Contract,
    fixtures::text,
    launch::Server,
    request::{self, Request},
    statuses::Statuses,
    suite::Options,
};

/// Upstream's default, which is that of this workspace too.
const BODY_LIMIT: u64 = 314_572_800;

/// A connection to the server.
pub(crate) struct Session {
    client: Client,
    base: Url,
    /// What the document says.
    pub(crate) contract: Contract,
    /// What runs name as their assistant: id or graph.
    pub(crate) assistant: String,
    /// The graph of that assistant.
    pub(crate) graph_id: String,
    /// A node of that graph.
    pub(crate) node: String,
    /// Whether this is the server of this workspace, to which `not_implemented.json` applies.
    pub(crate) ours: bool,
    /// Whether the graph behaves like the built-in demo, which behaviour cases need.
    pub(crate) demo: bool,
    /// Largest request body, bytes.
    pub(crate) body_limit: u64,
    statuses: Statuses,
}

impl Session {
    /// Looks at the server: what it is, and what there is to run.
    ///
    /// # Errors
    /// The server does not answer, or has no assistant.
    pub(crate) async fn open(
        url: &str,
        options: &Options,
        server: Option<&Server>,
    ) -> Result<Self> {
        let base: Url = url.parse().with_context(|| format!("{url} is not a URL"))?;
        // Redirects are answers, too.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.default_headers(headers(&options.headers)?).build()?;
        let mut session = Self {
            client,
            base,
            contract: Contract::default(),
            assistant: String::new(),
            graph_id: String::new(),
            node: String::new(),
            ours: false,
            demo: false,
            body_limit: server.map_or(BODY_LIMIT, Server::body_limit),
            statuses: options.statuses.clone(),
        };
        let info = session.get("server_info").await.context("the server cannot be judged")?;
        session.ours = info["agent_server_version"].is_string();
        session.choose_assistant(options.assistant.as_deref()).await?;
        session.node = session.find_node().await?;
        session.demo = session.speaks_like_the_demo().await?;
        Ok(session)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// There is no complete answer in time.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer> {
        let answer = request.send(&self.client, &self.base).await?;
        self.statuses.note(request.operation, answer.status);
        Ok(answer)
    }

    /// Sends a bare request to any path, also to one that no operation has.
    ///
    /// # Errors
    /// There is no complete answer in time.
    pub(crate) async fn fetch(&self, method: Method, path: &str) -> Result<Answer> {
        let url = self.base.join(path)?;
        request::complete(self.client.request(method, url)).await
    }

    /// Sends a request that must succeed.
    ///
    /// # Errors
    /// It does not; the error says what was sent and what came back.
    pub(crate) async fn call(&self, request: Request) -> Result<Value> {
        let answer = self.send(&request).await.and_then(|answer| answer.success());
        answer.with_context(|| request.describe(&self.base))
    }

    /// A request in one line, for people.
    pub(crate) fn describe(&self, request: &Request) -> String {
        request.describe(&self.base)
    }

    async fn get(&self, operation: &str) -> Result<Value> {
        self.call(Request::to(operation)?).await
    }

    async fn choose_assistant(&mut self, wanted: Option<&str>) -> Result<()> {
        let oldest = json!({ "limit": 1000, "sort_by": "created_at", "sort_order": "asc" });
        let found = self.call(Request::to("search_assistants")?.body(oldest)).await?;
        let found = found.as_array().cloned().unwrap_or_default();
        let named = |assistant: &&Value| {
            wanted.is_none_or(|wanted| {
                assistant["assistant_id"] == wanted || assistant["graph_id"] == wanted
            })
        };
        let Some(assistant) = found.iter().find(named) else {
            bail!("the server has no assistant {}", wanted.unwrap_or("at all"));
        };
        self.graph_id = text(assistant, "graph_id")?;
        self.assistant = wanted.map_or_else(|| self.graph_id.clone(), str::to_owned);
        Ok(())
    }

    /// Some node of the graph that user code stands behind.
    async fn find_node(&self) -> Result<String> {
        let drawing = Request::to("get_assistant_graph")?.path("assistant_id", &self.graph_id);
        let drawing = self.call(drawing).await?;
        let nodes = drawing["nodes"].as_array().cloned().unwrap_or_default();
        let mut ids = nodes.iter().filter_map(|node| node["id"].as_str());
        let node = ids.find(|id| !id.starts_with("__"));
        node.map(str::to_owned).context("the graph has no node")
    }

    async fn speaks_like_the_demo(&self) -> Result<bool> {
        let answer = self.call(Request::to("wait_stateless_run")?.body(self.says("hello"))).await?;
        Ok(answer["messages"][1]["content"] == "You said: hello")
    }

    /// The body of a run in which the user says something.
    pub(crate) fn says(&self, text: &str) -> Value {
        json!({
            "assistant_id": self.assistant,
            "input": { "messages": [{ "role": "user", "content": text }] },
        })
    }

    /// Whether the server must answer 501.
    pub(crate) fn lacks(&self, operation: &Operation) -> bool {
        self.ours && crate::not_implemented::list().operations.contains(operation.name)
    }
}

fn headers(texts: &[String]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for text in texts {
        let (name, value) = text.split_once(':').context("a header is written NAME: VALUE")?;
        headers.insert(name.trim().parse::<HeaderName>()?, value.trim().parse()?);
    }
    Ok(headers)
}
