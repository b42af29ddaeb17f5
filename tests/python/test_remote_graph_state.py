"""RemoteGraph: streams in every mode, states, history, forks and people in the loop, as with a local graph."""

import pytest
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command, Interrupt
from langgraph_sdk import get_sync_client

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture(scope="module")
def remote(url, client):
    """Makes a RemoteGraph; all share their clients, which take long to make."""
    with get_sync_client(url=url, api_key=None) as sync:
        yield lambda graph: RemoteGraph(graph, client=client, sync_client=sync)


@pytest.fixture
async def config(client) -> dict:
    return {"configurable": {"thread_id": (await client.threads.create())["thread_id"]}}


def namespaces(names, chunks: list) -> list:
    """The chunks with stable names; namespaces are tuples, which the names do not look into."""
    return [(tuple(names(list(each[0]))), *names(list(each[1:]))) for each in chunks]


async def test_subgraphs_are_streamed_in_several_modes(remote, config, names):
    stream = remote("deep").astream({"foo": "x"}, config, stream_mode=["updates", "custom"], subgraphs=True)
    found = {"foo": "x", "found": "a stone"}
    assert namespaces(names, [chunk async for chunk in stream]) == [
        (("middle:<id 1>", "bottom:<id 2>"), "custom", {"depth": 2}),
        (("middle:<id 1>", "bottom:<id 2>"), "updates", {"dig": {"found": "a stone"}}),
        (("middle:<id 1>",), "updates", {"bottom": found}),
        ((), "updates", {"middle": found}),
    ]


async def test_subgraphs_are_streamed_synchronously(remote, config, names):
    chunks = remote("deep").stream({"foo": "x"}, config, stream_mode="values", subgraphs=True)
    x, found = {"foo": "x"}, {"foo": "x", "found": "a stone"}
    assert namespaces(names, list(chunks)) == [
        ((), x),
        (("middle:<id 1>",), x),
        (("middle:<id 1>", "bottom:<id 2>"), x),
        (("middle:<id 1>", "bottom:<id 2>"), found),
        (("middle:<id 1>",), found),
        ((), found),
    ]


@pytest.mark.parametrize("mode", ["values", "updates", "custom", "tasks", "checkpoints", "debug", "messages"])
async def test_every_mode_is_streamed(remote, config, mode):
    hi = {"messages": [{"role": "user", "content": "hi"}]}
    chunks = [chunk async for chunk in remote("chat").astream(hi, config, stream_mode=mode)]
    assert (
        len(chunks)
        == {
            "values": 2,
            "updates": 1,
            "custom": 0,
            "tasks": 2,
            "checkpoints": 3,
            "debug": 5,
            "messages": 5,
        }[mode]
    )


async def test_version_2_of_the_stream_format_tells_interrupts_apart(remote, config):
    stream = remote("approval").astream({"foo": "x"}, config, stream_mode="values", version="v2")
    last = [part async for part in stream][-1]
    (question,) = last.pop("interrupts")
    assert last == {"type": "values", "ns": (), "data": {"foo": "x", "log": ["before"]}}
    assert (type(question), question.value) == (Interrupt, {"question": "ok?"})
    output = await remote("approval").ainvoke(Command(resume="yes"), config, version="v2")
    assert (output.value, output.interrupts) == ({"foo": "x", "log": ["before", "answer: 'yes'"]}, ())


async def test_breakpoints_and_context_are_passed_on(remote, config):
    graph = remote("simple")
    assert await graph.ainvoke({"foo": "x"}, config, interrupt_before=["b"]) == {"foo": "A", "log": ["a"]}
    assert (await graph.aget_state(config)).next == ("b",)
    assert await graph.ainvoke(None, config, interrupt_after=["b"]) == DONE
    seen = await remote("context").ainvoke({}, config, context={"model": "m"})
    assert seen["seen"]["context"] == {"model": "m", "style": "plain"}
    bound = remote("context").with_config({"tags": ["t"], "recursion_limit": 7, "configurable": {"model": "bound"}})
    seen = (await bound.ainvoke({}, config))["seen"]
    assert (seen["tags"], seen["recursion_limit"], seen["context"]["model"]) == (["t"], 7, "bound")


async def test_a_thread_is_made_when_it_is_not_there(remote, client):
    id = "00000000-0000-4000-8000-0000000000bb"
    assert await remote("simple").ainvoke({"foo": "x"}, {"configurable": {"thread_id": id}}) == DONE
    assert (await client.threads.get(id))["values"] == DONE
    await client.threads.delete(id)


async def test_history_is_filtered_and_read_from_a_point_on(remote, config):
    graph = remote("simple")
    for word in ("one", "two"):
        await graph.ainvoke({"foo": word}, config)
    whole = [state async for state in graph.aget_state_history(config)]
    assert [state.metadata["step"] for state in whole] == [6, 5, 4, 3, 2, 1, 0, -1]
    assert whole == list(graph.get_state_history(config))

    async def history(**options) -> list[int]:
        return [state.metadata["step"] async for state in graph.aget_state_history(config, **options)]

    assert await history(limit=3) == [6, 5, 4]
    assert await history(before=whole[4].config) == [1, 0, -1]
    assert await history(filter={"source": "input"}) == [3, -1]
    assert await history(filter={"source": "input"}, before=whole[3].config, limit=1) == [-1]
    for earlier, later in zip(whole[1:4], whole[:3], strict=True):
        assert later.parent_config == earlier.config
    assert whole[-1].parent_config is None


async def test_a_state_of_the_past_is_read_and_forked(remote, config):
    graph = remote("simple")
    await graph.ainvoke({"foo": "x"}, config)
    past = [state async for state in graph.aget_state_history(config)][2]
    assert past.next == ("a",)
    read = await graph.aget_state(past.config)
    assert (read.values, read.next, read.config) == (past.values, past.next, past.config)
    fork = await graph.aupdate_state(past.config, {"log": ["fork"]}, as_node="a")
    assert graph.get_state(fork).values == {"foo": "x", "log": ["fork"]}
    assert graph.get_state(fork).parent_config == past.config
    assert graph.invoke(None, config) == {"foo": "x", "log": ["fork", "b"]}
    assert graph.get_state(config).metadata["source"] == "loop"


async def test_subgraphs_are_looked_into(remote, config):
    graph = remote("deep")
    await graph.ainvoke({"foo": "ask"}, config)
    (task,) = graph.get_state(config).tasks
    assert (task.name, task.state["configurable"]["checkpoint_ns"]) == ("middle", f"middle:{task.id}")
    state = await graph.aget_state(config, subgraphs=True)
    assert [each.value for each in state.interrupts] == ["deep?"]
    path = []
    while state.tasks and state.tasks[0].state:
        state = state.tasks[0].state
        path.append(state.next)
    assert path == [("bottom",), ("dig",)]
    # The inner state is read again and changed by its own config.
    assert (await graph.aget_state(state.config)).values == {"foo": "ask"}
    await graph.aupdate_state(state.config, {"found": "by hand"}, as_node="dig")
    assert await graph.ainvoke(None, config) == {"foo": "ask", "found": "by hand"}


async def test_questions_are_answered_by_value_by_id_and_with_an_update(remote, config):
    graph = remote("approval")
    await graph.ainvoke({"foo": "x"}, config)
    state = await graph.ainvoke(Command(resume=False, update={"foo": "u"}), config)
    assert state == {"foo": "u", "log": ["before", "answer: False"]}

    graph = remote("two_approvals")
    await graph.ainvoke({"foo": "x"}, config)
    asked = {each.value: each.id for each in (await graph.aget_state(config)).interrupts}
    assert set(asked) == {"left?", "right?"}
    await graph.ainvoke(Command(resume={asked["right?"]: "R"}), config)
    (left,) = (await graph.aget_state(config)).interrupts
    assert left.value == "left?"
    state = graph.invoke(Command(resume={left.id: "L"}), config)
    assert state["log"][-2:] == ["left: L", "right: R"]
    assert (await graph.aget_state(config)).interrupts == ()


async def test_a_failure_is_raised_with_its_kind_and_text(remote, config):
    error = {"error": "ValueError", "message": "bad value"}
    with pytest.raises(RemoteException) as failure:
        async for _ in remote("errors").astream({"kind": "value"}, config):
            pass
    assert failure.value.args == (error,)
    with pytest.raises(RemoteException) as failure:
        remote("errors").invoke({"kind": "value"})
    assert failure.value.args == (error,)
    state = await remote("errors").aget_state(config)
    assert str(state.tasks[0].error) == "ValueError('bad value')"


def test_the_graph_is_drawn(remote):
    drawing = remote("simple").get_graph()
    assert [(edge.source, edge.target) for edge in drawing.edges] == [
        ("__start__", "a"),
        ("a", "b"),
        ("b", "__end__"),
    ]
    assert "middle" in remote("deep").get_graph().nodes
    inside = set(remote("deep").get_graph(xray=True).nodes)
    assert any("dig" in node for node in inside) and "middle" not in inside


async def test_bulk_updates_are_not_offered_by_the_library(remote, config):
    """When they are, they want tests."""
    with pytest.raises(NotImplementedError):
        await remote("simple").abulk_update_state(config, [])
