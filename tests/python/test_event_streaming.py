"""The event protocol of a thread over HTTP: commands, and whole transcripts of what runs send."""

import asyncio
from contextlib import aclosing
from uuid import uuid4

import pytest
from support.events import command, ends, frames, is_root, read, shown, start, times


@pytest.fixture
def http(events_http):
    return events_http


@pytest.fixture
def thread() -> str:
    """The id of a thread that a run makes."""
    return str(uuid4())


def of(events, *methods):
    return [event for event in events if event["method"] in methods]


def lifecycle(event, namespace=(), graph="speaker", **more):
    return ("lifecycle", list(namespace), {"event": event, "graph_name": graph, **more})


def spoken(id, node, *events, namespace=()):
    return [("messages", list(namespace), node, {**event, "id": id}) for event in events]


async def test_a_model_and_its_tool_are_told_on_every_channel(http, thread, names):
    await start(http, thread, "speaker", {"messages": [{"role": "user", "content": "hi", "id": "hi"}]})
    events = await read(http, thread, ends)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    told = shown(of(events, "lifecycle", "values", "updates", "messages", "tools"), names)
    hi = {"content": "hi", "type": "human", "id": "hi"}
    call = {"type": "tool_call", "name": "add", "args": {"a": 2, "b": 3}, "id": "call-1"}
    asks = {
        "content": [
            {"type": "text", "text": "Let me add.", "index": 0},
            {"type": "tool_call", "id": "call-1", "name": "add", "args": {"a": 2, "b": 3}},
        ],
        "type": "ai",
        "id": "lc_run--<id 1>",
        "response_metadata": {"output_version": "v1"},
        "tool_calls": [call],
    }
    result = {
        "content": "5",
        "type": "tool",
        "name": "add",
        "tool_call_id": "call-1",
        "status": "success",
        "artifact": None,
    }
    answers = {
        "content": [{"type": "text", "text": "It is 5", "index": 0}],
        "type": "ai",
        "id": "lc_run--<id 3>",
        "response_metadata": {"model_name": "fake-1", "output_version": "v1"},
    }
    # The tool message has no id until it is part of the state.
    in_state = result | {"id": "<id 2>"}
    text = {"type": "text", "text": ""}
    output = result | {"additional_kwargs": {}, "response_metadata": {}, "id": None}

    def delta(index, type, **more):
        return {"event": "content-block-delta", "index": index, "delta": {"type": type, **more}}

    expected = [
        lifecycle("running"),
        ("values", [], {"messages": [hi]}),
        *spoken(
            "lc_run--<id 1>",
            "speak",
            {"event": "message-start", "role": "ai"},
            {"event": "content-block-start", "index": 0, "content": text},
            delta(0, "text-delta", text="Let me "),
            delta(0, "text-delta", text="add."),
            {
                "event": "content-block-start",
                "index": 1,
                "content": {"type": "tool_call_chunk", "id": "call-1", "name": "add", "args": "", "index": 1},
            },
            delta(1, "tool-call-delta", args='{"a": 2,'),
            delta(1, "tool-call-delta", args=' "b": 3}'),
            {"event": "content-block-finish", "index": 0, "content": text | {"text": "Let me add."}},
            {
                "event": "content-block-finish",
                "index": 1,
                "content": {"type": "tool_call", "id": "call-1", "name": "add", "args": {"a": 2, "b": 3}},
            },
            {"event": "message-finish"},
        ),
        ("updates", [], {"speak": {"messages": [asks]}}),
        ("values", [], {"messages": [hi, asks]}),
        ("tools", [], {"event": "tool-started", "tool_call_id": "call-1", "tool_name": "add", "input": {"a": 2, "b": 3}}),
        ("tools", [], {"event": "tool-output-delta", "tool_call_id": "call-1", "delta": "wait"}),
        ("tools", [], {"event": "tool-finished", "tool_call_id": "call-1", "output": output}),
        *(
            ("messages", ["tools:call-1"], {**event, "id": "tool-call-1"})
            for event in (
                {"event": "message-start", "role": "tool", "tool_call_id": "call-1"},
                {"event": "content-block-start", "index": 0, "content": text},
                delta(0, "text-delta", text="5") | {"content": text | {"text": "5"}},
                {"event": "content-block-finish", "index": 0, "content": text | {"text": "5"}},
                {"event": "message-finish", "metadata": {}},
            )
        ),
        ("updates", [], {"tools": {"messages": [result]}}),
        ("values", [], {"messages": [hi, asks, in_state]}),
        *spoken(
            "lc_run--<id 3>",
            "speak",
            {"event": "message-start", "role": "ai"},
            {"event": "content-block-start", "index": 0, "content": text},
            delta(0, "text-delta", text="It is "),
            delta(0, "text-delta", text="5"),
            {"event": "content-block-finish", "index": 0, "content": text | {"text": "It is 5"}},
            {
                "event": "message-finish",
                "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
                "metadata": {"model_name": "fake-1"},
            },
        ),
        ("updates", [], {"speak": {"messages": [answers]}}),
        ("values", [], {"messages": [hi, asks, in_state, answers]}),
        lifecycle("completed"),
    ]
    assert told == expected
    tasks = [event["params"]["data"] for event in of(events, "tasks")]
    assert [(task["name"], "result" in task) for task in tasks] == [
        (name, ended) for name in ("speak", "tools", "speak") for ended in (False, True)
    ]
    checkpoints = [event["params"]["data"] for event in of(events, "checkpoints")]
    assert [(one["step"], one["source"]) for one in checkpoints] == [(-1, "input"), *((n, "loop") for n in range(4))]
    assert [one.get("parent_id") for one in checkpoints] == [None, *(one["id"] for one in checkpoints[:-1])]
    state = (await http.get(f"/threads/{thread}/state")).json()
    assert state["checkpoint_id"] == checkpoints[-1]["id"]


async def test_a_question_of_a_subgraph_is_asked_and_answered(http, thread, names):
    first = await start(http, thread, "asking", {"n": 1})
    events = await read(http, thread, ends)
    question = of(events, "input.requested")[0]["params"]
    answer = {"interrupt_id": question["data"]["interrupt_id"], "namespace": question["namespace"], "response": "yes"}
    assert await command(http, thread, "input.respond", **answer) == {
        "type": "success",
        "id": 7,
        "result": {},
        "meta": {"applied_through_seq": 0},
    }
    events = await read(http, thread, times(2, ends))
    told = shown(of(events, "lifecycle", "input.requested", "values"), names)
    child = ["child:<id 1>"]
    started = {
        "event": "started",
        "namespace": child,
        "graph_name": "child",
        "trigger_call_id": "<id 1>",
    }
    before = {"n": 1, "log": []}
    after = {"n": 1, "log": ["answer: yes"]}
    assert told == [
        lifecycle("running", graph="asking"),
        ("values", [], before),
        ("values", child, before),
        ("lifecycle", child, started),
        (
            "input.requested",
            child,
            {"interrupt_id": "<interrupt 1>", "payload": "really?", "value": "really?"},
        ),
        lifecycle("interrupted", graph="asking"),
        ("values", child, before),
        ("values", [], before),
        lifecycle("interrupted", child, "child"),
        lifecycle("running", graph="asking"),
        ("values", [], before),
        ("values", child, before),
        ("lifecycle", child, started),
        ("values", child, after),
        lifecycle("completed", child, "child"),
        ("values", [], after),
        lifecycle("completed", graph="asking"),
    ]
    runs = (await http.get(f"/threads/{thread}/runs")).json()
    assert [run["status"] for run in runs] == ["success", "success"] and runs[1]["run_id"] == first
    assert runs[0]["kwargs"]["command"] == {"resume": {answer["interrupt_id"]: "yes"}}
    gone = await command(http, thread, "input.respond", **answer)
    assert gone == {
        "type": "error",
        "id": 7,
        "error": "no_such_interrupt",
        "message": f"Unknown or already-consumed interrupt: {answer['interrupt_id']}",
    }


async def test_answers_may_come_together_with_an_update(http, thread):
    await start(http, thread, "asking", {"n": 1})
    events = await read(http, thread, ends)
    id = of(events, "input.requested")[0]["params"]["data"]["interrupt_id"]
    responses = [{"interrupt_id": id, "response": {"a": 1}}]
    done = await command(http, thread, "input.respond", responses=responses, update={"n": 2}, metadata={"m": 1})
    assert done["result"] == {}
    events = await read(http, thread, times(2, ends))
    assert of(events, "values")[-1]["params"]["data"]["log"] == ["answer: {'a': 1}"]
    runs = (await http.get(f"/threads/{thread}/runs")).json()
    assert runs[0]["kwargs"]["command"] == {"resume": {id: {"a": 1}}, "update": {"n": 2}}
    assert runs[0]["metadata"]["m"] == 1


async def test_a_start_answers_the_question_of_an_interrupted_thread(http, thread):
    """Also at once, when the run that asks has not come to its end."""
    await start(http, thread, "asking", {"n": 1})
    await read(http, thread, is_root("interrupted"))
    await start(http, thread, "asking", "go")
    events = await read(http, thread, is_root("completed"))
    assert of(events, "values")[-1]["params"]["data"]["log"] == ["answer: go"]
    assert (await http.get(f"/threads/{thread}/runs")).json()[0]["kwargs"]["command"] == {"resume": "go"}


async def test_a_failure_keeps_its_error_on_replay(http, thread, names):
    await start(http, thread, "failing", {"n": 1})
    live = await read(http, thread, ends)
    failed = lifecycle("failed", graph="failing", error="kaboom")
    assert shown(of(live, "lifecycle"), names) == [lifecycle("running", graph="failing"), failed]
    assert await read(http, thread, ends) == live


async def test_named_channels_are_replayed_too(http, thread, names):
    await start(http, thread, "counted", {"n": 1})
    channels = ["custom:counter", "lifecycle"]
    live = await read(http, thread, ends, channels=channels)
    assert shown(live, names)[1:-1] == [
        ("custom", [], {"name": "counter", "payload": {"n": n}}) for n in (1, 2, "done")
    ]
    assert await read(http, thread, ends, channels=channels) == live
    others = await read(http, thread, ends, channels=["custom:other", "lifecycle"])
    assert [event["method"] for event in others] == ["lifecycle", "lifecycle"]


async def test_parallel_models_can_be_told_apart(http, thread):
    await start(http, thread, "choir", {"n": 1})
    events = of(await read(http, thread, ends), "messages")
    assert {event["params"]["node"] for event in events} == {"sing"}
    by_id: dict[str, list] = {}
    for event in events:
        by_id.setdefault(event["params"]["data"]["id"], []).append(event["params"]["data"])
    texts = {data[-2]["content"]["text"] for data in by_id.values()}
    assert texts == {"alto sings", "bass sings"}


async def test_a_stream_waits_for_its_thread_and_goes_over_many_runs(http, thread):
    async with aclosing(frames(http, thread, channels=["lifecycle"])) as stream:
        words = []

        async def follow() -> None:
            async for _, _, event in stream:
                words.append(event["params"]["data"]["event"])
                if words.count("completed") == 2:
                    return

        following = asyncio.create_task(follow())
        await start(http, thread, "counted", {"n": 1})
        await read(http, thread, ends)
        await start(http, thread, "counted", {"n": 1})
        await following
    assert words == ["running", "completed"] * 2


async def test_what_was_seen_is_left_out(http, thread):
    await start(http, thread, "counted", {"n": 1})
    events = await read(http, thread, ends)
    assert await read(http, thread, ends, since=events[3]["seq"]) == events[4:]
    for since in (-1, "x", None, True):
        assert await read(http, thread, ends, since=since) == events


async def test_namespaces_choose(http, thread):
    await start(http, thread, "asking", {"n": 1})
    events = await read(http, thread, ends)

    async def chosen(**filter) -> list:
        other = await read(http, thread, lambda event: event["seq"] >= events[-2]["seq"], **filter)
        return [event for event in other if event["seq"] <= events[-2]["seq"]]

    at = events[-2]["params"]["namespace"]
    assert [event["method"] for event in events[-2:]] == ["input.requested", "lifecycle"]
    inner = [event for event in events if event["params"]["namespace"] == at]
    assert await chosen(namespaces=[["child"]]) == inner
    assert await chosen(namespaces=[at]) == inner
    assert await chosen(namespaces=[["child"], ["other"]], depth=0) == inner
    root = await read(http, thread, ends, namespaces=[[]], depth=0)
    assert root == [event for event in events if event["params"]["namespace"] == []]


async def test_runs_of_other_endpoints_are_visible_when_they_are_resumable(http, thread, names):
    await http.post("/threads", json={"thread_id": thread})
    body = {
        "assistant_id": "counted",
        "input": {"n": 1},
        "stream_mode": ["values", "updates", "custom", "messages", "checkpoints"],
    }
    await http.post(f"/threads/{thread}/runs/wait", json=body)
    await http.post(f"/threads/{thread}/runs/wait", json=body | {"stream_resumable": True})
    events = await read(http, thread, ends)
    assert shown(of(events, "lifecycle", "values", "updates"), names) == [
        lifecycle("running", graph="counted"),
        ("values", [], {"n": 1, "log": ["step"]}),
        ("updates", [], "step", {"log": ["step"]}),
        ("values", [], {"n": 1, "log": ["step", "step"]}),
        lifecycle("completed", graph="counted"),
    ]
    assert [event["params"]["data"]["step"] for event in of(events, "checkpoints")] == [2, 3, 4]


async def test_a_run_of_the_protocol_can_be_read_as_others_are(http, thread):
    run = await start(http, thread, "counted", {"n": 1})
    await read(http, thread, ends)
    answer = await http.get(f"/threads/{thread}/runs/{run}/stream", headers={"last-event-id": "-"})
    assert 'event: values\r\ndata: {"n":1,"log":["step"]}\r\n' in answer.text
    found = (await http.get(f"/threads/{thread}/runs/{run}")).json()
    kwargs = found["kwargs"]
    assert kwargs["config"]["configurable"]["__event_streaming_v2"] is True
    assert kwargs["context"] == {"__event_streaming_v2": True, "thread_id": thread}
    assert kwargs["stream_mode"] == [
        "values",
        "updates",
        "messages",
        "tools",
        "lifecycle",
        "custom",
        "tasks",
        "checkpoints",
    ]
    assert (kwargs["subgraphs"], kwargs["resumable"], kwargs["durability"]) == (True, True, "async")


async def test_a_cancelled_run_is_interrupted(http, thread):
    run = await start(http, thread, "gated", {"n": 1})
    await read(http, thread, lambda event: event["method"] == "updates")
    assert (await http.post(f"/threads/{thread}/runs/{run}/cancel")).status_code == 202
    live = await read(http, thread, ends)
    assert live[-1]["params"]["data"] == {"event": "interrupted", "graph_name": "gated"}
    assert await read(http, thread, ends) == live


async def test_what_is_deleted_is_not_replayed(http, thread):
    first = await start(http, thread, "counted", {"n": 1})
    await read(http, thread, ends)
    second = await start(http, thread, "counted", {"n": 1})
    await read(http, thread, times(2, ends))
    await http.delete(f"/threads/{thread}/runs/{first}")
    events = await read(http, thread, ends)
    assert events[0]["event_id"] == f"synth:{second}:lc||running" and events[0]["seq"] == 1


async def test_a_stream_ends_with_its_thread(http, thread):
    await start(http, thread, "counted", {"n": 1})
    await read(http, thread, ends)
    async with aclosing(frames(http, thread, channels=["lifecycle"])) as stream:
        assert (await anext(stream))[2]["params"]["data"]["event"] == "running"
        assert (await anext(stream))[2]["params"]["data"]["event"] == "completed"
        await http.delete(f"/threads/{thread}")
        assert [event async for event in stream] == []


async def test_a_stream_ends_with_its_thread_although_a_run_is_in_flight(http, thread):
    await start(http, thread, "gated", {"n": 1})
    async with aclosing(frames(http, thread, channels=["lifecycle"])) as stream:
        assert (await anext(stream))[2]["params"]["data"]["event"] == "running"
        await http.delete(f"/threads/{thread}")
        # Whether the end of the run is still told depends on what is closed first.
        assert [event["params"]["data"]["event"] async for _, _, event in stream] in (["interrupted"], [])


async def test_a_run_goes_on_from_an_earlier_checkpoint(http, thread):
    await start(http, thread, "counted", {"n": 1})
    events = await read(http, thread, ends)
    fork = of(events, "checkpoints")[0]["params"]["data"]["id"]
    config = {"configurable": {"checkpoint_id": fork}}
    await start(http, thread, "counted", None, config=config)
    again = await read(http, thread, times(2, ends))
    assert of(again, "values")[-1]["params"]["data"] == {"n": 1, "log": ["step"]}
    for id, message in (
        ("", "config.configurable.checkpoint_id must be a non-empty string."),
        ("abc", "Invalid config.configurable.checkpoint_id: 'abc'."),
    ):
        config = {"configurable": {"checkpoint_id": id}}
        refused = await command(http, thread, "run.start", assistant_id="counted", config=config)
        assert (refused["error"], refused["message"]) == ("invalid_argument", message)
