"""RemoteGraph as a part of local graphs."""

import operator
from typing import Annotated
from uuid import uuid4

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_sync_client
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    foo: str
    kind: str
    found: str
    log: Annotated[list[str], operator.add]


@pytest.fixture(scope="module")
def remote(url, client):
    """Makes a RemoteGraph; all share their clients, which take long to make."""
    with get_sync_client(url=url, api_key=None) as sync:
        yield lambda graph: RemoteGraph(graph, client=client, sync_client=sync)


@pytest.fixture
def local(remote):
    """Makes a local graph whose middle node is a graph of the server."""
    return lambda graph: (
        StateGraph(State)
        .add_node("near", lambda state: {"log": ["near"]})
        .add_node("far", remote(graph))
        .add_node("home", lambda state: {"log": ["home"]})
        .add_edge(START, "near")
        .add_edge("near", "far")
        .add_edge("far", "home")
        .add_edge("home", END)
        .compile(InMemorySaver())
    )


@pytest.fixture
def config() -> dict:
    return {"configurable": {"thread_id": str(uuid4())}}


async def test_its_result_goes_on_in_the_local_graph(local, config, client):
    state = await local("deep").ainvoke({"foo": "x", "log": []}, config)
    assert state == {"foo": "x", "found": "a stone", "log": ["near", "home"]}
    # It ran on a thread of the same id.
    assert (await client.threads.get(config["configurable"]["thread_id"]))["values"] == {"foo": "x", "found": "a stone"}


def test_it_runs_synchronously_too(local, config):
    state = local("deep").invoke({"foo": "x", "log": []}, config)
    assert state == {"foo": "x", "found": "a stone", "log": ["near", "home"]}


async def test_its_stream_is_part_of_the_local_stream(local, config, names):
    stream = local("deep").astream({"foo": "x", "log": []}, config, stream_mode=["custom", "updates"], subgraphs=True)
    found = {"foo": "x", "found": "a stone"}
    chunks = [(tuple(names(list(namespace))), mode, data) async for namespace, mode, data in stream]
    assert chunks == [
        ((), "updates", {"near": {"log": ["near"]}}),
        (("far:<id 1>", "middle:<id 2>", "bottom:<id 3>"), "custom", {"depth": 2}),
        (("far:<id 1>", "middle:<id 2>", "bottom:<id 3>"), "updates", {"dig": {"found": "a stone"}}),
        (("far:<id 1>", "middle:<id 2>"), "updates", {"bottom": found}),
        (("far:<id 1>",), "updates", {"middle": found}),
        ((), "updates", {"far": found}),
        ((), "updates", {"home": {"log": ["home"]}}),
    ]


@pytest.mark.parametrize(
    ("graph", "input", "question"),
    [("approval", {"foo": "x"}, {"question": "ok?"}), ("deep", {"foo": "ask"}, "deep?")],
)
async def test_its_question_stops_the_local_graph(local, config, client, graph, input, question):
    outer = local(graph)
    asked = await outer.ainvoke(input | {"log": []}, config)
    (interrupt,) = asked["__interrupt__"]
    assert interrupt.value == question
    state = await outer.aget_state(config)
    assert (state.next, [each.value for each in state.tasks[0].interrupts]) == (("far",), [question])
    # The same question under the same id at the server, once the run has ended: its client left when it saw it.
    thread = config["configurable"]["thread_id"]
    await client.runs.join(thread, (await client.runs.list(thread))[0]["run_id"])
    row = await client.threads.get(thread)
    assert [each for task in row["interrupts"].values() for each in task] == [{"id": interrupt.id, "value": question}]
    assert row["status"] == "interrupted"


async def test_its_question_is_answered_at_the_server(local, remote, config):
    outer = local("deep")
    await outer.ainvoke({"foo": "ask", "log": []}, config)
    assert await remote("deep").ainvoke(Command(resume="gold"), config) == {"foo": "ask", "found": "gold"}
    # The local graph takes over what was found.
    await outer.aupdate_state(config, {"found": "gold"}, as_node="far")
    assert await outer.ainvoke(None, config) == {"foo": "ask", "found": "gold", "log": ["near", "home"]}


async def test_its_failure_fails_the_local_graph(local, config):
    with pytest.raises(RemoteException, match="bad value"):
        await local("errors").ainvoke({"kind": "value", "log": []}, config)


async def test_its_tokens_come_through(remote):
    class Chat(TypedDict):
        messages: Annotated[list, operator.add]

    outer = StateGraph(Chat).add_node("far", remote("chat")).add_edge(START, "far").compile()
    hi = {"messages": [{"role": "user", "content": "hi", "id": "hi"}]}
    stream = outer.astream(hi, stream_mode="messages", subgraphs=True)
    texts = [chunk[1][0]["content"] async for chunk in stream if isinstance(chunk[1][0], dict)]
    assert texts == ["hello", " ", "big", " ", "world"]
