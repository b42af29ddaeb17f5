"""What a node sees: config, context, metadata, environment; and what other ways to define a graph there are."""

import pytest
from support.server import assistant


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


def seen(thread: str, run: str, **changes) -> dict:
    configurable = {
        "run_id": run,
        "thread_id": thread,
        "graph_id": "context",
        "assistant_id": assistant("context"),
        "user_id": "",
    } | changes.pop("configurable", {})
    return {
        "configurable": configurable,
        "context": {"model": "none", "style": "plain"},
        "metadata": {"created_by": "system", "from_assistant": None, "from_run": None, "run_attempt": 1},
        "tags": None,
        "recursion_limit": None,
        "environment": "green",
    } | changes


async def look(client, thread: str, assistant: str = "context", **options) -> tuple[dict, str]:
    state = await client.runs.wait(thread, assistant, input={}, **options)
    return state["seen"], (await client.runs.list(thread, limit=1))[0]["run_id"]


async def test_a_node_sees_the_defaults(client, thread):
    view, run = await look(client, thread)
    assert view == seen(thread, run)


async def test_a_node_sees_the_config_of_the_run(client, thread):
    view, run = await look(
        client,
        thread,
        config={
            "configurable": {"model": "m", "other": [1], "langgraph_auth_user_id": "reserved, and so dropped"},
            "tags": ["t"],
            "recursion_limit": 7,
            "metadata": {"from_run": 1},
        },
    )
    assert view == seen(
        thread,
        run,
        configurable={"model": "m", "other": [1]},
        context={"model": "m", "style": "plain"},
        metadata={"created_by": "system", "from_assistant": None, "from_run": 1, "run_attempt": 1},
        tags=["t"],
        recursion_limit=7,
    )


async def test_a_node_sees_the_context_of_the_run(client, thread):
    view, run = await look(client, thread, context={"model": "m", "undeclared": 1})
    assert view["context"] == {"model": "m", "style": "plain"}
    assert view["configurable"]["model"] == "m" and "undeclared" not in view["configurable"]


async def test_the_run_wins_over_the_assistant(client, thread):
    made = await client.assistants.create(
        "context",
        config={"configurable": {"model": "assistant's", "style": "assistant's"}, "tags": ["a"], "recursion_limit": 9},
        metadata={"from_assistant": 1, "from_run": "assistant's"},
    )
    view, run = await look(
        client,
        thread,
        made["assistant_id"],
        config={"configurable": {"model": "run's"}, "tags": ["r"]},
        metadata={"from_run": "run's"},
    )
    assert view == seen(
        thread,
        run,
        configurable={"assistant_id": made["assistant_id"], "model": "run's", "style": "assistant's"},
        context={"model": "run's", "style": "assistant's"},
        metadata={"created_by": None, "from_assistant": 1, "from_run": "run's", "run_attempt": 1},
        tags=["r"],
        recursion_limit=9,
    )
    run = await client.runs.get(thread, run)
    assert run["kwargs"]["context"] == {"model": "run's", "style": "assistant's"}
    assert run["metadata"] == {
        "from_assistant": 1,
        "from_run": "run's",
        "graph_id": "context",
        "assistant_id": made["assistant_id"],
    }
    # A thread remembers the config of the assistant that it first ran with.
    assert (await client.threads.get(thread))["config"]["configurable"] == {
        "model": "assistant's",
        "style": "assistant's",
    }
    view, _ = await look(client, thread)
    assert (view["configurable"]["model"], view["configurable"]["style"]) == ("assistant's", "assistant's")
    await client.assistants.delete(made["assistant_id"])


async def test_configurable_and_context_together_are_refused(http, thread):
    body = {"assistant_id": "context", "config": {"configurable": {"a": 1}}, "context": {"b": 1}}
    for path in (f"/threads/{thread}/runs", f"/threads/{thread}/runs/wait", "/runs/stream"):
        answer = await http.post(path, json=body)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("Cannot specify both configurable and context.")


async def test_headers_do_not_reach_the_node_unless_configured(client, thread):
    view, _ = await look(client, thread, headers={"x-custom": "1", "authorization": "secret"})
    assert not {"x-custom", "authorization"} & set(view["configurable"])


@pytest.mark.parametrize(
    ("graph", "line"),
    [
        ("sync_factory", "sync w"),
        ("async_factory", "async w"),
        ("manager_factory", "manager, open: True"),
        ("runtime_factory", "made for threads.create_run"),
        ("builder", "built"),
        ("named", "named"),
    ],
)
async def test_a_graph_may_be_defined_in_many_ways(client, thread, graph, line):
    config = {"configurable": {"word": "w"}}
    assert await client.runs.wait(thread, graph, input={}, config=config) == {"log": [line]}
    assert (await client.threads.get_state(thread))["values"] == {"log": [line]}
    drawing = await client.assistants.get_graph(graph)
    assert [node["id"] for node in drawing["nodes"]] == ["__start__", "work", "__end__"]


async def test_a_functional_workflow_remembers_its_last_result(client, thread):
    assert await client.runs.wait(thread, "functional", input={"n": 2}) == {"doubled": 4, "previous": None}
    assert await client.runs.wait(thread, "functional", input={"n": 3}) == {"doubled": 6, "previous": 4}


async def test_a_chat_keeps_its_messages_between_runs(client, thread):
    for turn in (1, 2):
        hi = {"messages": [{"role": "user", "content": "hi", "id": f"hi-{turn}"}]}
        state = await client.runs.wait(thread, "chat", input=hi)
    assert [(each["type"], each["id"]) for each in state["messages"]] == [
        ("human", "hi-1"),
        ("ai", "ai-1"),
        ("human", "hi-2"),
        ("ai", "ai-2"),
    ]
