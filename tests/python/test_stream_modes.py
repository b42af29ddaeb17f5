"""What each stream mode carries: whole transcripts of runs.stream."""

import pytest
from support.wire import chunk, interrupt, message, model_metadata, node_metadata, run_metadata

START = ("metadata", {"run_id": "<run 1>", "attempt": 1})


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def test_values_shows_the_state_after_the_input_and_after_each_superstep(client, record, thread):
    assert await record(client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode="values")) == [
        START,
        ("values", {"foo": "x", "log": []}),
        ("values", {"foo": "A", "log": ["a"]}),
        ("values", {"foo": "A", "log": ["a", "b"]}),
    ]


async def test_values_is_the_default_mode(client, record, thread):
    assert [event for event, _ in await record(client.runs.stream(thread, "simple", input={"foo": "x"}))] == [
        "metadata",
        "values",
        "values",
        "values",
    ]


async def test_updates_shows_what_each_node_returned(client, record, thread):
    assert await record(client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode="updates")) == [
        START,
        ("updates", {"a": {"foo": "A", "log": ["a"]}}),
        ("updates", {"b": {"log": ["b"]}}),
    ]


async def test_custom_shows_what_nodes_wrote(client, record, thread):
    stream = client.runs.stream(thread, "progress", input={"foo": "x"}, stream_mode=["custom", "updates"])
    assert await record(stream) == [
        START,
        ("custom", {"progress": 1}),
        ("custom", "half way, äöü €"),
        ("custom", [1, 2]),
        ("updates", {"report": {"log": ["reported"]}}),
    ]


async def test_several_modes_are_interleaved_as_the_library_produces_them(client, record, thread):
    stream = client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode=["updates", "values"])
    assert await record(stream) == [
        START,
        ("values", {"foo": "x", "log": []}),
        ("updates", {"a": {"foo": "A", "log": ["a"]}}),
        ("values", {"foo": "A", "log": ["a"]}),
        ("updates", {"b": {"log": ["b"]}}),
        ("values", {"foo": "A", "log": ["a", "b"]}),
    ]


def task_start(id: str, node: str, values: dict) -> dict:
    return {
        "id": id,
        "name": node,
        "input": values,
        "triggers": [f"branch:to:{node}"],
        "metadata": run_metadata("simple"),
    }


def task_result(id: str, node: str, result: dict) -> dict:
    return {"id": id, "name": node, "error": None, "result": result, "interrupts": []}


async def test_tasks_shows_start_and_result_of_each_task(client, record, thread):
    assert await record(client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode="tasks")) == [
        START,
        ("tasks", task_start("<id 1>", "a", {"foo": "x", "log": []})),
        ("tasks", task_result("<id 1>", "a", {"foo": "A", "log": ["a"]})),
        ("tasks", task_start("<id 2>", "b", {"foo": "A", "log": ["a"]})),
        ("tasks", task_result("<id 2>", "b", {"log": ["b"]})),
    ]


def config(number: int) -> dict | None:
    """The config of checkpoint `number` of a run of simple."""
    if number == 0:
        return None
    return {
        "configurable": {
            "checkpoint_ns": "",
            "langgraph_auth_user": None,
            "langgraph_auth_user_id": "",
            "langgraph_auth_permissions": [],
            "langgraph_request_id": "<langgraph_request_id>",
            "run_id": "<run 1>",
            "thread_id": "<thread 1>",
            "graph_id": "simple",
            "assistant_id": "<assistant simple>",
            "user_id": "",
            "checkpoint_id": f"<checkpoint {number}>",
        }
    }


def without_internals(value):
    """A copy without the keys that begin with `__`, which do not leave the server; the reference server shows some."""
    if isinstance(value, dict):
        return {key: without_internals(item) for key, item in value.items() if not key.startswith("__")}
    return [without_internals(item) for item in value] if isinstance(value, list) else value


def checkpoint(number: int, values: dict, node: str | None, source: str = "loop") -> dict:
    tasks = [{"id": f"<id {number}>", "name": node, "interrupts": [], "state": None}] if node else []
    return {
        "config": config(number),
        "parent_config": config(number - 1),
        "values": values,
        "metadata": {"source": source, "step": number - 2, "parents": {}},
        "next": [node] if node else [],
        "tasks": tasks,
    }


async def test_checkpoints_shows_each_checkpoint_from_the_input_on(client, record, thread):
    transcript = await record(client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode="checkpoints"))
    assert [(event, without_internals(data)) for event, data in transcript] == [
        START,
        ("checkpoints", checkpoint(1, {"log": []}, "__start__", "input")),
        ("checkpoints", checkpoint(2, {"foo": "x", "log": []}, "a")),
        ("checkpoints", checkpoint(3, {"foo": "A", "log": ["a"]}, "b")),
        ("checkpoints", checkpoint(4, {"foo": "A", "log": ["a", "b"]}, None)),
    ]


async def test_debug_shows_checkpoints_and_tasks_with_step_and_time(client, record, thread):
    def place(number: int) -> dict | None:
        return (
            {"checkpoint_id": f"<checkpoint {number}>", "thread_id": "<thread 1>", "checkpoint_ns": ""}
            if number
            else None
        )

    def debug(step: int, type: str, payload: dict) -> tuple[str, dict]:
        return "debug", {"step": step, "timestamp": "<time>", "type": type, "payload": payload}

    def debug_checkpoint(number: int, values: dict, node: str | None, source: str = "loop") -> tuple[str, dict]:
        places = {"checkpoint": place(number), "parent_checkpoint": place(number - 1)}
        return debug(number - 2, "checkpoint", checkpoint(number, values, node, source) | places)

    transcript = await record(client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode="debug"))
    assert [(event, without_internals(data)) for event, data in transcript] == [
        START,
        debug_checkpoint(1, {"log": []}, "__start__", "input"),
        debug_checkpoint(2, {"foo": "x", "log": []}, "a"),
        debug(1, "task", task_start("<id 2>", "a", {"foo": "x", "log": []})),
        debug(1, "task_result", task_result("<id 2>", "a", {"foo": "A", "log": ["a"]})),
        debug_checkpoint(3, {"foo": "A", "log": ["a"]}, "b"),
        debug(2, "task", task_start("<id 3>", "b", {"foo": "A", "log": ["a"]})),
        debug(2, "task_result", task_result("<id 3>", "b", {"log": ["b"]})),
        debug_checkpoint(4, {"foo": "A", "log": ["a", "b"]}, None),
    ]


async def test_events_shows_the_callbacks_of_graph_and_nodes(client, record, thread):
    root = run_metadata("simple", thread_id="<thread 1>", ls_integration="langgraph")

    def graph_event(kind: str, data: dict) -> tuple[str, dict]:
        return "events", {
            "event": kind,
            "data": data,
            "name": "simple",
            "tags": [],
            "run_id": "<run 1>",
            "metadata": root,
            "parent_ids": [],
        }

    def node_event(kind: str, node: str, data: dict) -> tuple[str, dict]:
        step = {"a": 1, "b": 2}[node]
        return "events", {
            "event": kind,
            "data": data,
            "name": node,
            "tags": [f"graph:step:{step}"],
            "run_id": f"<run {step + 1}>",
            "metadata": node_metadata("simple", node, step, f"<id {step}>"),
            "parent_ids": ["<run 1>"],
        }

    a, b = {"foo": "A", "log": ["a"]}, {"log": ["b"]}
    assert await record(client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode="events")) == [
        START,
        graph_event("on_chain_start", {"input": {"foo": "x"}}),
        node_event("on_chain_start", "a", {"input": {"foo": "x", "log": []}}),
        node_event("on_chain_stream", "a", {"chunk": a}),
        node_event("on_chain_end", "a", {"output": a, "input": {"foo": "x", "log": []}}),
        node_event("on_chain_start", "b", {"input": {"foo": "A", "log": ["a"]}}),
        node_event("on_chain_stream", "b", {"chunk": b}),
        node_event("on_chain_end", "b", {"output": b, "input": {"foo": "A", "log": ["a"]}}),
        graph_event("on_chain_end", {"output": {"foo": "A", "log": ["a", "b"]}}),
    ]


HI = {"messages": [{"role": "user", "content": "hi", "id": "hi-1"}]}


async def test_events_shows_the_tokens_of_chat_models(client, record, thread):
    transcript = await record(client.runs.stream(thread, "chat", input=HI, stream_mode="events"))
    assert [(data["event"], data["name"]) for _, data in transcript[1:]] == [
        ("on_chain_start", "chat"),
        ("on_chain_start", "call"),
        ("on_chat_model_start", "GenericFakeChatModel"),
        *[("on_chat_model_stream", "GenericFakeChatModel")] * 5,
        ("on_chat_model_end", "GenericFakeChatModel"),
        ("on_chain_stream", "call"),
        ("on_chain_end", "call"),
        ("on_chain_end", "chat"),
    ]
    assert transcript[4] == (
        "events",
        {
            "event": "on_chat_model_stream",
            "data": {"chunk": chunk("hello", "ai-1")},
            "run_id": "<run 3>",
            "name": "GenericFakeChatModel",
            "tags": ["seq:step:1"],
            "metadata": model_metadata("chat", "call", 1, "<id 1>"),
            "parent_ids": ["<run 1>", "<run 2>"],
        },
    )


async def test_messages_shows_the_text_so_far_of_a_streamed_message(client, record, thread):
    texts = ["hello", "hello ", "hello big", "hello big ", "hello big world"]
    assert await record(client.runs.stream(thread, "chat", input=HI, stream_mode="messages")) == [
        START,
        ("messages/metadata", {"ai-1": {"metadata": model_metadata("chat", "call", 1, "<id 1>")}}),
        *[("messages/partial", [message("ai", text, "ai-1")]) for text in texts],
    ]


async def test_messages_tuple_shows_deltas_with_metadata(client, record, thread):
    metadata = model_metadata("chat", "call", 1, "<id 1>")
    assert await record(client.runs.stream(thread, "chat", input=HI, stream_mode="messages-tuple")) == [
        START,
        *[("messages", [chunk(text, "ai-1"), metadata]) for text in ("hello", " ", "big", " ")],
        ("messages", [chunk("world", "ai-1", chunk_position="last"), metadata]),
    ]


async def test_messages_tuple_wins_over_messages(client, record, thread):
    stream = client.runs.stream(thread, "chat", input=HI, stream_mode=["messages", "messages-tuple"])
    assert [event for event, _ in await record(stream)] == ["metadata", *["messages"] * 5]


async def test_messages_shows_tool_calls_as_they_arrive_and_tool_results_whole(client, record, thread):
    def asked(args: dict) -> tuple[str, list]:
        call = {"name": "add", "args": args, "id": "call-1", "type": "tool_call"}
        return "messages/partial", [message("ai", "", "question", tool_calls=[call])]

    metadata = model_metadata("agent", "model", 1, "<id 1>", provider="adder")
    assert await record(client.runs.stream(thread, "agent", input=HI, stream_mode="messages")) == [
        START,
        ("messages/metadata", {"question": {"metadata": metadata}}),
        asked({}),
        asked({"a": 1}),
        asked({"a": 1, "b": 2}),
    ]

    tool_metadata = node_metadata("agent", "tools", 3, "<id 3>", run_id="<run 2>")
    metadata = model_metadata("agent", "model", 4, "<id 4>", provider="adder", run_id="<run 2>")
    result = message("tool", "3", "<id 2>", name="add", tool_call_id="call-1", artifact=None, status="success")
    texts = ["the sum", "the sum is ", "the sum is 3"]
    assert await record(client.runs.stream(thread, "agent", command={"resume": True}, stream_mode="messages")) == [
        ("metadata", {"run_id": "<run 2>", "attempt": 1}),
        ("messages/metadata", {"<id 2>": {"metadata": tool_metadata}}),
        ("messages/complete", [result]),
        ("messages/metadata", {"answer": {"metadata": metadata}}),
        *[("messages/partial", [message("ai", text, "answer")]) for text in texts],
    ]


INNER = "inner: sub speaks, answer: none"
AROUND = [
    ("values", {"foo": "x", "log": []}),
    ("updates", {"pre": {"log": ["pre"]}}),
    ("values", {"foo": "x", "log": ["pre"]}),
    ("updates", {"child": {"foo": "x", "log": ["pre", INNER]}}),
    ("values", {"foo": "x", "log": ["pre", "pre", INNER]}),
    ("updates", {"post": {"log": ["post"]}}),
    ("values", {"foo": "x", "log": ["pre", "pre", INNER, "post"]}),
]
MODES = ["values", "updates", "custom", "messages-tuple"]


async def test_subgraphs_are_not_shown_unless_asked_for(client, record, thread):
    assert await record(client.runs.stream(thread, "nested", input={"foo": "x"}, stream_mode=MODES)) == [START, *AROUND]


async def test_subgraphs_are_shown_under_their_namespace(client, record, thread):
    metadata = model_metadata(
        "nested",
        "inner",
        1,
        "<id 2>",
        checkpoint_ns="child:<id 1>",
        langgraph_checkpoint_ns="child:<id 1>|inner:<id 2>",
    )
    stream = client.runs.stream(thread, "nested", input={"foo": "x"}, stream_mode=MODES, stream_subgraphs=True)
    assert await record(stream) == [
        START,
        *AROUND[:3],
        ("values|child:<id 1>", {"foo": "x", "log": ["pre"]}),
        ("custom|child:<id 1>", {"inside": True}),
        ("messages|child:<id 1>", [chunk("sub", "ai-sub"), metadata]),
        ("messages|child:<id 1>", [chunk(" ", "ai-sub"), metadata]),
        ("messages|child:<id 1>", [chunk("speaks", "ai-sub", chunk_position="last"), metadata]),
        ("updates|child:<id 1>", {"inner": {"log": [INNER]}}),
        ("values|child:<id 1>", {"foo": "x", "log": ["pre", INNER]}),
        *AROUND[3:],
    ]


async def test_messages_of_subgraphs_carry_no_namespace_in_mode_messages(client, record, thread):
    stream = client.runs.stream(thread, "nested", input={"foo": "x"}, stream_mode="messages", stream_subgraphs=True)
    assert [event for event, _ in await record(stream)] == ["metadata", "messages/metadata", *["messages/partial"] * 3]


async def test_an_interrupt_in_a_subgraph_is_shown_inside_then_at_the_root(client, record, thread):
    asked = {"foo": "ask", "log": ["pre"]}
    question = {"__interrupt__": [interrupt("inside?")]}
    stream = client.runs.stream(
        thread, "nested", input={"foo": "ask"}, stream_mode=["values", "updates"], stream_subgraphs=True
    )
    assert await record(stream) == [
        START,
        ("values", {"foo": "ask", "log": []}),
        ("updates", {"pre": {"log": ["pre"]}}),
        ("values", asked),
        ("values|child:<id 1>", asked),
        ("updates|child:<id 1>", question),
        ("values|child:<id 1>", asked | question),
        ("updates", question),
        ("values", asked | question),
    ]


async def test_fan_out_shows_each_task_and_one_state(client, record, thread):
    stream = client.runs.stream(thread, "parallel", input={"items": [0, 1, 2]}, stream_mode=["updates", "values"])
    assert await record(stream) == [
        START,
        ("values", {"items": [0, 1, 2], "log": []}),
        ("updates", {"work": {"log": ["w0"]}}),
        ("updates", {"work": {"log": ["w1"]}}),
        ("updates", {"work": {"log": ["w2"]}}),
        ("values", {"items": [0, 1, 2], "log": ["w0", "w1", "w2"]}),
        ("updates", {"join": {"log": ["joined 3"]}}),
        ("values", {"items": [0, 1, 2], "log": ["w0", "w1", "w2", "joined 3"]}),
    ]


async def test_functional_workflows_show_tasks_and_their_result(client, record, thread):
    stream = client.runs.stream(thread, "functional", input={"n": 2}, stream_mode=["updates", "values"])
    assert await record(stream) == [
        START,
        ("updates", {"double": 4}),
        ("updates", {"workflow": {"doubled": 4, "previous": None}}),
        ("values", {"doubled": 4, "previous": None}),
    ]


async def test_parallel_interrupts_come_one_by_one(client, record, thread):
    stream = client.runs.stream(thread, "two_approvals", input={"foo": "x"}, stream_mode=["updates", "values"])
    left = {"__interrupt__": [interrupt("left?")]}
    right = {"__interrupt__": [interrupt("right?", "<interrupt 2>")]}
    assert await record(stream) == [
        START,
        ("values", {"foo": "x", "log": []}),
        ("updates", left),
        ("values", {"foo": "x", "log": []} | left),
        ("updates", right),
        ("values", {"foo": "x", "log": []} | right),
    ]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("value", {"error": "ValueError", "message": "bad value"}),
        ("boom", {"error": "Boom", "message": "An internal error occurred"}),
    ],
)
async def test_an_exception_is_the_last_event(client, record, thread, kind, error):
    stream = client.runs.stream(thread, "errors", input={"kind": kind}, stream_mode=["values", "tasks"])
    transcript = await record(stream)
    assert transcript[-2:] == [
        ("tasks", {"id": "<id 2>", "name": "fail", "error": error, "result": {}, "interrupts": []}),
        ("error", error),
    ]
    assert [event for event, _ in transcript] == [
        "metadata",
        "values",
        "tasks",
        "tasks",
        "values",
        "tasks",
        "tasks",
        "error",
    ]


async def test_version_2_of_the_stream_format_tells_interrupts_apart(client, names, thread):
    parts = [
        names(part)
        async for part in client.runs.stream(
            thread, "approval", input={"foo": "x"}, stream_mode=["values", "updates"], version="v2"
        )
    ]
    assert parts == [
        {"type": "metadata", "ns": [], "data": {"run_id": "<run 1>", "attempt": 1}, "interrupts": []},
        {"type": "values", "ns": [], "data": {"foo": "x", "log": []}, "interrupts": []},
        {"type": "updates", "ns": [], "data": {"before": {"log": ["before"]}}, "interrupts": []},
        {"type": "values", "ns": [], "data": {"foo": "x", "log": ["before"]}, "interrupts": []},
        {
            "type": "updates",
            "ns": [],
            "data": {"__interrupt__": [interrupt({"question": "ok?"})]},
            "interrupts": [],
        },
        {
            "type": "values",
            "ns": [],
            "data": {"foo": "x", "log": ["before"]},
            "interrupts": [interrupt({"question": "ok?"})],
        },
    ]
