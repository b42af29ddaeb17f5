"""What graphs in graphs stream: every mode under the namespace of the graph that it comes from."""

import pytest
from support.wire import run_metadata

START = ("metadata", {"run_id": "<run 1>", "attempt": 1})
X, FOUND = {"foo": "x"}, {"foo": "x", "found": "a stone"}
MIDDLE, BOTTOM = "middle:<id 1>", "middle:<id 1>|bottom:<id 2>"


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.fixture
def deep(client, record, thread):
    """What a run of deep streams in a mode."""

    async def deep(mode, subgraphs: bool = True) -> list:
        stream = client.runs.stream(thread, "deep", input=X, stream_mode=mode, stream_subgraphs=subgraphs)
        return await record(stream)

    return deep


async def test_values(deep):
    assert await deep("values") == [
        START,
        ("values", X),
        (f"values|{MIDDLE}", X),
        (f"values|{BOTTOM}", X),
        (f"values|{BOTTOM}", FOUND),
        (f"values|{MIDDLE}", FOUND),
        ("values", FOUND),
    ]


async def test_updates_and_custom(deep):
    assert await deep(["updates", "custom"]) == [
        START,
        (f"custom|{BOTTOM}", {"depth": 2}),
        (f"updates|{BOTTOM}", {"dig": {"found": "a stone"}}),
        (f"updates|{MIDDLE}", {"bottom": FOUND}),
        ("updates", {"middle": FOUND}),
    ]


async def test_without_subgraphs_nothing_of_theirs_is_shown(deep):
    assert await deep(["updates", "custom", "values"], subgraphs=False) == [
        START,
        ("values", X),
        ("updates", {"middle": FOUND}),
        ("values", FOUND),
    ]


def task(id: str, node: str, result: dict | None = None, namespace: str = "") -> tuple[str, dict]:
    event = f"tasks|{namespace}" if namespace else "tasks"
    if result is not None:
        return event, {"id": id, "name": node, "error": None, "result": result, "interrupts": []}
    return event, {"id": id, "name": node, "input": X, "triggers": [f"branch:to:{node}"], "metadata": ...}


async def test_tasks(deep):
    transcript = await deep("tasks")
    metadata = [data.pop("metadata") for _, data in transcript[1:] if "metadata" in data]
    for each in metadata:
        # Those of inner tasks say more, of where they are.
        assert each.items() >= run_metadata("deep").items()
    shown = [(event, data if "result" in data else data | {"metadata": ...}) for event, data in transcript[1:]]
    assert shown == [
        task("<id 1>", "middle"),
        task("<id 2>", "bottom", namespace=MIDDLE),
        task("<id 3>", "dig", namespace=BOTTOM),
        task("<id 3>", "dig", {"found": "a stone"}, namespace=BOTTOM),
        task("<id 2>", "bottom", FOUND, namespace=MIDDLE),
        task("<id 1>", "middle", FOUND),
    ]


async def test_checkpoints(deep):
    transcript = await deep("checkpoints")
    shown = [(event, data["metadata"]["step"], data["values"], data["next"]) for event, data in transcript[1:]]
    middle, bottom = "checkpoints|middle:<id 2>", "checkpoints|middle:<id 2>|bottom:<id 6>"
    assert shown == [
        ("checkpoints", -1, {}, ["__start__"]),
        ("checkpoints", 0, X, ["middle"]),
        (middle, -1, {}, ["__start__"]),
        (middle, 0, X, ["bottom"]),
        (bottom, -1, {}, ["__start__"]),
        (bottom, 0, X, ["dig"]),
        (bottom, 1, FOUND, []),
        (middle, 1, FOUND, []),
        ("checkpoints", 1, FOUND, []),
    ]
    outer = transcript[2][1]["tasks"][0]
    assert outer["state"] == {"configurable": {"thread_id": "<thread 1>", "checkpoint_ns": "middle:<id 2>"}}
    assert transcript[6][1]["metadata"]["parents"] == {"": "<checkpoint 2>", "middle:<id 2>": "<id 5>"}


async def test_debug(deep):
    transcript = await deep("debug")
    shown = [(event.partition("|")[2].count(":"), data["step"], data["type"]) for event, data in transcript[1:]]
    assert {event.partition("|")[0] for event, _ in transcript[1:]} == {"debug"}
    level = [("checkpoint", -1), ("checkpoint", 0), ("task", 1)], [("task_result", 1), ("checkpoint", 1)]
    assert [(depth, type, step) for depth, step, type in shown] == [
        *[(depth, type, step) for depth in (0, 1, 2) for type, step in level[0]],
        *[(depth, type, step) for depth in (2, 1, 0) for type, step in level[1]],
    ]
    inner = [data for event, data in transcript[1:] if event.count(":") == 2 and data["type"] == "checkpoint"]
    place = inner[1]["payload"]["checkpoint"]
    assert place["checkpoint_ns"].startswith("middle:") and set(place["checkpoint_map"]) == {
        "",
        place["checkpoint_ns"].partition("|")[0],
        place["checkpoint_ns"],
    }


async def test_events_come_from_everywhere_whether_asked_for_or_not(deep):
    for subgraphs in (True, False):
        transcript = await deep("events", subgraphs)
        assert {event for event, _ in transcript[1:]} == {"events"}
        started = [data["name"] for _, data in transcript[1:] if data["event"] == "on_chain_start"]
        assert started[0] == "deep" and started[-1] == "dig" and {"middle", "bottom"} <= set(started)


async def test_a_listener_that_asks_for_a_mode_gets_it_from_every_graph(client, names, thread):
    modes = ["values", "updates", "custom"]
    stream = client.runs.stream(
        thread, "deep", input=X, stream_mode=modes, stream_subgraphs=True, stream_resumable=True
    )
    parts = [part async for part in stream]
    run = parts[0].data["run_id"]
    for mode in modes:
        replay = client.runs.join_stream(thread, run, stream_mode=mode, last_event_id="-1")
        assert [part async for part in replay] == [part for part in parts if part.event.split("|")[0] == mode]
    namespace = next(part.event for part in parts if part.event.startswith("values|"))
    replay = client.runs.join_stream(thread, run, stream_mode=namespace, last_event_id="-1")
    assert {part.event async for part in replay} == {namespace}


async def test_parallel_subgraphs_are_told_apart(client, names, thread):
    stream = client.runs.stream(
        thread, "experts", input={"names": ["ann", "bob"]}, stream_mode="updates", stream_subgraphs=True
    )
    inside: dict[str, list] = {}
    async for part in stream:
        if "|" in part.event:
            inside.setdefault(part.event, []).append(list(part.data))
    assert list(inside.values()) == [[["prepare"], ["__interrupt__"]]] * 2


async def test_version_2_of_the_stream_format_splits_the_namespace(client, names, thread):
    stream = client.runs.stream(thread, "deep", input=X, stream_mode="custom", stream_subgraphs=True, version="v2")
    parts = [names(part) async for part in stream]
    assert parts[1:] == [
        {"type": "custom", "ns": ["middle:<id 1>", "bottom:<id 2>"], "data": {"depth": 2}, "interrupts": []}
    ]
