"""Which headers of a request reach the config of the run that it creates."""

import json
import subprocess
import sys

import pytest
from support.server import ROOT, Server, binary

CONFIG = ROOT / "tests/python/custom_project/langgraph.json"
HEADERS = {
    "X-Foo": "f",
    "x-bar": "b",
    "x-bad": "never",
    "x-other": "never",
    "authorization": "never",
    "x-tenant-id": "never",
}
SEEN = {"x-foo": "f", "x-bar": "b", "user": None}


@pytest.fixture(scope="module")
def project_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), config=CONFIG)
    server.start()
    yield server
    server.stop()


async def test_patterns_choose_and_credentials_never_pass(project_server, client_of):
    client, _ = client_of(project_server)
    values = await client.runs.wait(None, "simple", input={}, headers=HEADERS)
    assert values == {"seen": SEEN}


async def test_on_threads_and_in_streams(project_server, client_of):
    client, _ = client_of(project_server)
    thread = (await client.threads.create())["thread_id"]
    stream = client.runs.stream(thread, "simple", input={}, headers=HEADERS)
    events = [part.data async for part in stream if part.event == "values"]
    assert events[-1] == {"seen": SEEN}
    run = await client.runs.create(thread, "simple", input={}, headers=HEADERS)
    kept = {name: value for name, value in run["kwargs"]["config"]["configurable"].items() if "-" in name}
    assert kept == {"x-foo": "f", "x-bar": "b"}


async def test_headers_are_those_of_the_request_and_not_kept_by_the_thread(project_server, client_of):
    client, _ = client_of(project_server)
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "simple", input={}, headers=HEADERS)
    assert await client.runs.wait(thread, "simple", input={}) == {"seen": {"user": None}}


async def test_a_batch_and_the_clients_own_values(project_server, client_of):
    _, http = client_of(project_server)
    config = {"configurable": {"x-foo": "client", "x-other": "client"}}
    body = [{"assistant_id": "simple", "input": {}, "config": config}] * 2
    runs = (await http.post("/runs/batch", json=body, headers=HEADERS)).json()
    kept = [{k: v for k, v in run["kwargs"]["config"]["configurable"].items() if "-" in k} for run in runs]
    # The header wins over a member of the same name.
    assert kept == [{"x-foo": "f", "x-other": "client", "x-bar": "b"}] * 2


async def test_tracing_is_passed_on_without_being_asked_for(url, http):
    baggage = "langsmith-metadata=%7B%22a%22%3A1%7D,langsmith-tags=x%2Cy,langsmith-project=p"
    headers = HEADERS | {"langsmith-trace": "t", "baggage": baggage}
    run = (await http.post("/runs", json={"assistant_id": "simple", "input": {}}, headers=headers)).json()
    kept = {k: v for k, v in run["kwargs"]["config"]["configurable"].items() if "-" in k}
    assert kept == {
        "langsmith-trace": "t",
        "langsmith-metadata": {"a": 1},
        "langsmith-tags": ["x", "y"],
        "langsmith-project": "p",
    }


async def test_the_variable_of_images(start_server, client_of):
    rules = json.dumps({"configurable_headers": {"include": ["*"], "exclude": ["x-b*", "a*", "c*", "h*", "u*"]}})
    server = start_server({"LANGGRAPH_HTTP": rules}, config=CONFIG, mode="serve")
    client, _ = client_of(server)
    run = await client.runs.create(None, "simple", input={}, headers=HEADERS)
    kept = {name: value for name, value in run["kwargs"]["config"]["configurable"].items() if name.startswith("x-")}
    assert kept == {"x-foo": "f", "x-other": "never"}


def test_rules_that_are_none_are_refused(tmp_path):
    config = json.loads(CONFIG.read_text())
    config["http"] = {"configurable_headers": {"includes": "x-foo"}}
    (tmp_path / "graph.py").write_text((CONFIG.parent / "graph.py").read_text())
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps(config))
    command = [binary(), "serve", "--config", file, "--port", "0", "--python", sys.executable]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2
    expected = (
        "http.configurable_headers of langgraph.json: includes: a list of names of headers is expected, not \"x-foo\""
    )
    assert expected in ended.stderr
