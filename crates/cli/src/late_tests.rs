use agent_server_domain::{
    ports::{Event, Outcome, StoreAnswer, StoreOp},
    storage::{
        RawJson, ThreadId,
        checkpoints::{CheckpointTuple, SaverOp},
    },
};

use super::*;

/// A host that has one graph and answers with its own name.
struct Fake(Arc<Vec<GraphInfo>>);

struct Room;

impl Slot for Room {}

#[async_trait]
impl GraphHost for Fake {
    fn graphs(&self) -> Arc<Vec<GraphInfo>> {
        Arc::clone(&self.0)
    }

    fn reserve(&self, _: &str) -> Option<Box<dyn Slot>> {
        Some(Box::new(Room))
    }

    fn start(&self, _: Box<dyn Slot>, _: RunOrder) {}

    fn cancel(&self, _: Lease) {}

    async fn ask(&self, _: &str, _: Question) -> Result<Answer, Error> {
        Ok(Answer { json: RawJson::of(&"fake"), live: None, ops: vec![], lasting: false })
    }

    async fn shutdown(&self) {}
}

/// Counts what it is told about graphs and knows nothing else.
#[derive(Default)]
struct Told(Mutex<u32>);

#[async_trait]
impl RunSink for Told {
    fn event(&self, _: Lease, _: Event) {}

    fn save(&self, _: Lease, _: SaverOp) {}

    async fn flush(&self, _: Lease) -> Result<(), Error> {
        Ok(())
    }

    async fn load(
        &self,
        _: Option<Lease>,
        _: ThreadId,
        _: String,
        _: Option<String>,
    ) -> Result<Option<CheckpointTuple>, Error> {
        Ok(None)
    }

    async fn store(&self, _: Vec<StoreOp>) -> Result<Vec<StoreAnswer>, Error> {
        Ok(vec![])
    }

    async fn done(&self, _: Lease, _: Outcome) {}

    fn slot_freed(&self) {}

    fn graphs_changed(&self) {
        *self.0.lock() += 1;
    }
}

fn graph(id: &str, status: GraphStatus) -> GraphInfo {
    GraphInfo { graph_id: id.into(), name: None, description: None, status }
}

fn late() -> (Arc<LateHost>, Arc<Told>) {
    let told = Arc::new(Told::default());
    let configured = vec![
        graph("py", GraphStatus::Loading),
        graph("js", GraphStatus::Failed("not supported".into())),
    ];
    let late = LateHost::new(configured, Arc::clone(&told) as _);
    (Arc::new(late), told)
}

fn fake() -> Arc<dyn GraphHost> {
    Arc::new(Fake(Arc::new(vec![graph("py", GraphStatus::Ready)])))
}

fn statuses(late: &LateHost) -> Vec<GraphStatus> {
    late.graphs().iter().map(|graph| graph.status.clone()).collect()
}

/// Who answers for a graph.
async fn who(late: &LateHost, graph_id: &str) -> Result<String, String> {
    let question = Question::Schemas { config: RawJson::of(&()) };
    match late.ask(graph_id, question).await {
        Ok(answer) => Ok(answer.json.get().into()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn graphs_are_listed_before_and_after_the_host_arrives() {
    let (late, told) = late();
    let failed = GraphStatus::Failed("not supported".into());
    assert_eq!(statuses(&late), [GraphStatus::Loading, failed.clone()]);
    assert!(late.reserve("py").is_none());

    late.arrived(fake());
    assert_eq!(*told.0.lock(), 1);
    assert_eq!(statuses(&late), [GraphStatus::Ready, failed]);
    assert!(Arc::ptr_eq(&late.graphs(), &late.graphs()), "put together once");
    assert!(late.reserve("py").is_some());
    assert_eq!(who(&late, "py").await.unwrap(), r#""fake""#);
    assert_eq!(who(&late, "none").await.unwrap_err(), "Graph 'none' not found");
    let error = who(&late, "js").await.unwrap_err();
    assert_eq!(error, "Graph 'js' failed to load: not supported");
}

#[tokio::test]
async fn questions_wait_until_the_host_arrives() {
    let (late, _) = late();
    let asked = tokio::spawn({
        let late = Arc::clone(&late);
        async move { who(&late, "py").await }
    });
    tokio::task::yield_now().await;
    late.arrived(fake());
    assert_eq!(asked.await.unwrap().unwrap(), r#""fake""#);
}

#[tokio::test]
async fn a_host_that_cannot_be_had_fails_its_graphs() {
    let (late, told) = late();
    late.failed("no Python");
    assert_eq!(*told.0.lock(), 1);
    let failed = ["no Python", "not supported"].map(|cause| GraphStatus::Failed(cause.into()));
    assert_eq!(statuses(&late), failed);
    let error = who(&late, "py").await.unwrap_err();
    assert_eq!(error, "Graph 'py' failed to load: no Python");
}
