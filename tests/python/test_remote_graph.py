"""RemoteGraph: a graph of this server used like a local one."""

import pytest
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture
def remote(url):
    return lambda graph: RemoteGraph(graph, url=url)


@pytest.fixture
async def config(client) -> dict:
    return {"configurable": {"thread_id": (await client.threads.create())["thread_id"]}}


async def test_invoke_returns_the_state(remote, config):
    assert await remote("simple").ainvoke({"foo": "x"}, config) == DONE
    assert remote("simple").invoke({"foo": "x"}) == DONE


async def test_stream_yields_the_chunks_of_a_mode(remote, config):
    assert [chunk async for chunk in remote("simple").astream({"foo": "x"}, config, stream_mode="updates")] == [
        {"a": {"foo": "A", "log": ["a"]}},
        {"b": {"log": ["b"]}},
    ]
    chunks = list(remote("simple").stream({"foo": "x"}, stream_mode=["values", "updates"]))
    assert [(each.event, each.data) for each in chunks[-2:]] == [("updates", {"b": {"log": ["b"]}}), ("values", DONE)]


async def test_tokens_come_one_by_one(remote, config):
    hi = {"messages": [{"role": "user", "content": "hi"}]}
    chunks = [chunk async for chunk in remote("chat").astream(hi, config, stream_mode="messages")]
    assert [message["content"] for message, _ in chunks] == ["hello", " ", "big", " ", "world"]


async def test_subgraphs_come_with_their_namespace(remote, config):
    stream = remote("nested").astream({"foo": "x"}, config, stream_mode="custom", subgraphs=True)
    ((namespace, chunk),) = [each async for each in stream]
    assert chunk == {"inside": True} and namespace[0].startswith("child:")


async def test_state_and_history_can_be_read_and_changed(remote, config):
    graph = remote("simple")
    await graph.ainvoke({"foo": "x"}, config)
    state = await graph.aget_state(config)
    assert (state.values, state.next, state.metadata["step"]) == (DONE, (), 2)
    history = [each async for each in graph.aget_state_history(config)]
    assert [each.metadata["step"] for each in history] == [2, 1, 0, -1]

    changed = await graph.aupdate_state(config, {"log": ["by hand"]}, as_node="a")
    state = await graph.aget_state(changed)
    assert (state.values["log"], state.next) == (["a", "b", "by hand"], ("b",))
    assert await graph.ainvoke(None, config) == {"foo": "A", "log": ["a", "b", "by hand", "b"]}


async def test_an_interrupt_is_answered_with_a_command(remote, config):
    graph = remote("approval")
    asked = await graph.ainvoke({"foo": "x"}, config)
    (question,) = asked["__interrupt__"]
    assert (question["value"] if isinstance(question, dict) else question.value) == {"question": "ok?"}
    state = await graph.aget_state(config)
    assert (state.next, [each.value for each in state.tasks[0].interrupts]) == (("ask",), [{"question": "ok?"}])
    assert await graph.ainvoke(Command(resume="yes"), config) == {"foo": "x", "log": ["before", "answer: 'yes'"]}


async def test_a_failure_is_raised(remote, config):
    with pytest.raises(RemoteException, match="bad value"):
        await remote("errors").ainvoke({"kind": "value"}, config)


async def test_the_graph_can_be_drawn(remote):
    drawing = await remote("simple").aget_graph()
    assert list(drawing.nodes) == ["__start__", "a", "b", "__end__"]


async def test_a_remote_graph_can_be_a_node(remote, config):
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import START, StateGraph
    from typing_extensions import TypedDict

    class State(TypedDict):
        foo: str

    local = StateGraph(State).add_node("far", remote("simple")).add_edge(START, "far").compile(InMemorySaver())
    assert await local.ainvoke({"foo": "x"}, {"configurable": {"thread_id": config["configurable"]["thread_id"]}}) == {
        "foo": "A"
    }
