"""Traces: the server's spans and those of user code are one trace, over a queue, a restart and a webhook."""

import json

import pytest
from support.collector import Collector
from support.receiver import Receiver

OPS = "ops_project"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5


@pytest.fixture
async def collector():
    async with Collector() as collector:
        yield collector


@pytest.fixture
def serve(start_server, tmp_path, request, collector):
    """Starts a server that sends traces to the collector, where its graphs send theirs."""

    def start(env: dict | None = None, traces: bool = True, jobs: int = 10):
        config = tmp_path / "langgraph.json"
        graphs = {name: f"{request.path.parent}/{OPS}/graphs.py:{name}" for name in ("speaks", "spans")}
        webhooks = {"url": {"require_https": False, "disable_loopback": False}}
        config.write_text(json.dumps({"dependencies": ["."], "graphs": graphs, "webhooks": webhooks}))
        own = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} if traces else {}
        # Sent soon, so that a test need not wait for the usual five seconds.
        usual = {"PROJECT_COLLECTOR": f"{collector.url}/v1/traces", "OTEL_BSP_SCHEDULE_DELAY": "50"}
        more = ("--workers", "1", "--n-jobs-per-worker", str(jobs))
        return start_server(usual | own | (env or {}), config=config, graph="spans", more=more)

    return start


async def spans_of(collector: Collector, trace: str, graph: str = "spans") -> dict:
    """The spans of a run, with the names of those around them."""
    await collector.span(f"run {graph}", trace=trace)
    create = await collector.span("create run", trace=trace)
    # The answer may come to its end last.
    await collector.span(id=create.parent)
    spans = [span for span in collector.spans if span.trace == trace]
    names = {span.id: span.name for span in spans}
    return {span.name: (span.service, span.kind, names.get(span.parent, span.parent)) for span in spans}


async def test_request_attempt_and_user_span_are_one_trace(serve, client_of, collector):
    env = {
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=a%20b",
        "OTEL_SERVICE_NAME": "my server",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a",
    }
    server = serve(env)
    client, _ = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    state = await client.runs.wait(thread, "spans", input={})
    trace = state["seen"]
    assert await spans_of(collector, trace) == {
        "POST /threads/{thread_id}/runs/wait": ("my server", SERVER, ""),
        "create run": ("my server", PRODUCER, "POST /threads/{thread_id}/runs/wait"),
        "wait in queue": ("my server", INTERNAL, "create run"),
        "run spans": ("my server", CONSUMER, "create run"),
        "user span": ("project", INTERNAL, "run spans"),
    }
    run = (await client.runs.list(thread))[0]
    attempt = await collector.span("run spans", trace=trace)
    assert attempt.attributes == {
        "langgraph.run_id": run["run_id"],
        "langgraph.thread_id": thread,
        "langgraph.graph_id": "spans",
        "langgraph.attempt": 1,
        "langgraph.assistant_id": run["assistant_id"],
        "langgraph.run_status": "success",
    }
    request = await collector.span("POST /threads/{thread_id}/runs/wait", trace=trace)
    assert request.attributes == {
        "http.request.method": "POST",
        "url.path": f"/threads/{thread}/runs/wait",
        "url.scheme": "http",
        "http.route": "/threads/{thread_id}/runs/wait",
        "http.response.status_code": 200,
    }
    assert request.begin <= attempt.begin <= attempt.end
    assert collector.paths == {"/v1/traces"}
    # The project's exporter reads the same variable.
    assert {headers["x-team"] for headers in collector.headers} == {"a b"}


async def test_a_trace_of_the_caller_goes_on_and_out(serve, client_of, collector):
    server = serve()
    _, http = client_of(server)
    async with Receiver() as receiver:
        body = {"assistant_id": "spans", "input": {}, "webhook": receiver.url()}
        answer = await http.post("/runs/wait", json=body, headers=PARENT)
        assert answer.json()["seen"] == TRACE
        assert (await spans_of(collector, TRACE))["POST /runs/wait"] == ("agent-server", SERVER, SPAN)
        told = await receiver.call()
        webhook = await collector.span("webhook", trace=TRACE)
        assert told.headers["traceparent"] == f"00-{TRACE}-{webhook.id}-01"
        assert told.headers["tracestate"] == "vendor=1"
        assert webhook.kind == CLIENT and webhook.attributes["http.response.status_code"] == 200
        assert webhook.parent == (await collector.span("create run", trace=TRACE)).id
        assert {span.state for span in collector.spans if span.trace == TRACE} == {"vendor=1"}


async def test_a_trace_survives_queue_and_kill(serve, client_of, collector, gate):
    server = serve(jobs=1)
    client, http = client_of(server)
    first = await client.runs.create(None, "spans", input={"gate": gate.path})
    await gate.visitor()
    thread = (await client.threads.create())["thread_id"]
    run = (
        await http.post(f"/threads/{thread}/runs", json={"assistant_id": "spans", "input": {}}, headers=PARENT)
    ).json()
    assert run["status"] == "pending"
    await collector.span("create run", trace=TRACE)
    server.kill()
    server.start()
    # The first run goes on at the gate; the second waits for it again.
    visitor = await gate.visitor()
    visitor.let_in()
    client, _ = client_of(server)
    await client.runs.join(thread, run["run_id"])
    assert (await client.threads.get_state(thread))["values"]["seen"] == TRACE
    assert first["run_id"] != run["run_id"]
    spans = await spans_of(collector, TRACE)
    assert spans["run spans"] == ("agent-server", CONSUMER, "create run")
    assert spans["user span"] == ("project", INTERNAL, "run spans")
    create, attempt = [await collector.span(name, trace=TRACE) for name in ("create run", "run spans")]
    queue = await collector.span("wait in queue", trace=TRACE)
    assert create.begin <= queue.end <= attempt.end and queue.begin < queue.end


async def test_a_failure_is_one_in_the_trace(serve, client_of, collector):
    server = serve()
    client, http = client_of(server)
    await http.post("/runs/wait", json={"assistant_id": "speaks", "input": {"fails": True}}, headers=PARENT)
    attempt = await collector.span("run speaks", trace=TRACE)
    assert attempt.failed and attempt.attributes["langgraph.run_status"] == "error"


async def test_what_the_caller_does_not_record_is_not_recorded(serve, client_of, collector):
    server = serve()
    client, http = client_of(server)
    headers = {"traceparent": PARENT["traceparent"].replace("-01", "-00")}
    body = {"assistant_id": "spans", "input": {}}
    assert (await http.post("/runs/wait", json=body, headers=headers)).json()["seen"] == TRACE
    other = (await client.runs.wait(None, "spans", input={}))["seen"]
    await spans_of(collector, other)
    server.stop()
    assert TRACE not in {span.trace for span in collector.spans}


async def test_the_stop_sends_what_is_left(serve, client_of, collector):
    server = serve({"OTEL_BSP_SCHEDULE_DELAY": "600000"})
    client, _ = client_of(server)
    trace = (await client.runs.wait(None, "spans", input={}))["seen"]
    server.process.terminate()
    assert "run spans" in await spans_of(collector, trace)


@pytest.mark.parametrize(
    "env",
    [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}],
)
async def test_without_traces_of_the_server_those_of_callers_are_passed_on(serve, client_of, collector, env):
    # What the project's own exporter is told is not what this is about.
    server = serve(env, traces=bool(env))
    _, http = client_of(server)
    async with Receiver() as receiver:
        body = {"assistant_id": "spans", "input": {}, "webhook": receiver.url()}
        answer = await http.post("/runs/wait", json=body, headers=PARENT)
        assert answer.status_code == 200
        told = await receiver.call()
        assert {name: told.headers[name] for name in PARENT} == PARENT
    if "OTEL_SDK_DISABLED" not in env:
        assert answer.json()["seen"] == TRACE
        assert (await collector.span("user span", trace=TRACE)).parent == SPAN
    assert {span.service for span in collector.spans} <= {"project"}
    assert ("no traces are sent" in server.log.read_text()) == ("OTEL_EXPORTER_OTLP_PROTOCOL" in env)
