"""Assistants as agents, used by the official client of the Agent2Agent protocol, version 0.3."""

import asyncio
from contextlib import aclosing
from uuid import uuid4

import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    DataPart,
    FilePart,
    FileWithBytes,
    FileWithUri,
    Message,
    MessageSendConfiguration,
    Part,
    Task,
    TaskIdParams,
    TaskQueryParams,
    TextPart,
)

from support.server import assistant


@pytest.fixture
def agent(url, http):
    """Makes the official client of an agent."""

    async def connect(graph: str, streaming: bool = False):
        card = await A2ACardResolver(http, f"{url}/a2a/{assistant(graph)}").get_agent_card()
        return ClientFactory(ClientConfig(httpx_client=http, streaming=streaming)).create(card)

    return connect


def message(*parts, **more) -> Message:
    parts = [TextPart(text=part) if isinstance(part, str) else part for part in parts]
    return Message(role="user", message_id=str(uuid4()), parts=[Part(root=part) for part in parts], **more)


async def send(client, message: Message, **more) -> Task:
    """The task that one message ends in."""
    [(task, _)] = [event async for event in client.send_message(message, **more)]
    return task


def plain(model) -> dict:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def parts(holder) -> list[dict]:
    return [plain(part) for part in holder.parts]


async def test_a_message_is_answered(agent, names):
    client = await agent("talks")
    asked = message("hello")
    task = await send(client, asked)
    thread, run = task.id.split(":")
    assert thread == task.context_id
    shared = {"kind": "message", "taskId": task.id, "contextId": thread}
    answer = [{"kind": "text", "text": "heard: hello"}]
    assert names(plain(task)) == names(
        {
            "kind": "task",
            "id": task.id,
            "contextId": thread,
            "status": {"state": "completed", "timestamp": task.status.timestamp},
            "history": [
                shared
                | {"role": "user", "messageId": asked.message_id, "parts": [{"kind": "text", "text": "hello"}]},
                shared | {"role": "agent", "messageId": "ai-1", "parts": answer},
            ],
            "artifacts": [
                {
                    "artifactId": task.artifacts[0].artifact_id,
                    "name": "Assistant Response",
                    "description": f"Response from assistant {assistant('talks')}",
                    "parts": answer,
                }
            ],
        }
    )


async def test_a_context_is_a_thread(agent, client):
    talks = await agent("talks")
    first = await send(talks, message("one"))
    second = await send(talks, message("two", context_id=first.context_id))
    assert second.context_id == first.context_id and second.id != first.id
    state = await client.threads.get_state(first.context_id)
    assert [said["content"] for said in state["values"]["messages"]] == ["one", "heard: one", "two", "heard: two"]
    assert [said.task_id for said in second.history] == [first.id, first.id, second.id, second.id]
    again = await talks.get_task(TaskQueryParams(id=first.id))
    assert parts(again.artifacts[0]) == [{"kind": "text", "text": "heard: one"}]
    own = await talks.get_task(TaskQueryParams(id=second.id, history_length=1))
    assert [parts(said) for said in own.history] == [[{"kind": "text", "text": "heard: two"}]]
    assert own.status.message.parts[0].root.text == "Task completed successfully"


async def test_all_text_parts_are_kept(agent):
    task = await send(await agent("talks"), message("one", "two"))
    assert parts(task.artifacts[0]) == [{"kind": "text", "text": "heard: one\ntwo"}]


async def test_files_go_in_and_come_out(agent):
    picture = FileWithBytes(bytes="aGk=", mime_type="image/png", name="hi.png")
    sound = FileWithUri(uri="https://example.com/a.wav", mime_type="audio/wav")
    task = await send(await agent("talks"), message("look", FilePart(file=picture), FilePart(file=sound)))
    assert [parts(said) for said in task.history] == [
        [
            {"kind": "text", "text": "look"},
            {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "image/png", "name": "hi.png"}},
            {"kind": "file", "file": {"uri": "https://example.com/a.wav", "mimeType": "audio/wav"}},
        ],
        [
            {"kind": "text", "text": "heard: text, image, audio"},
            {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "image/png", "name": "hi.png"}},
        ],
    ]
    assert parts(task.artifacts[0]) == parts(task.history[1])


async def test_data_is_the_input_and_the_values_are_data(agent):
    client = await agent("simple")
    task = await send(client, message(DataPart(data={"foo": "x"})))
    values = [{"kind": "data", "data": {"foo": "A", "log": ["a", "b"]}}]
    assert (task.status.state, task.history, parts(task.artifacts[0])) == ("completed", [], values)
    again = await client.get_task(TaskQueryParams(id=task.id))
    assert plain(again.artifacts[0]) == plain(task.artifacts[0])


async def test_a_failed_task_says_what_went_wrong(agent):
    client = await agent("fails")
    task = await send(client, message("hello"))
    assert (task.status.state, task.artifacts) == ("failed", None)
    assert task.status.message.parts[0].root.text == "Error executing assistant: ValueError: kaboom"
    again = await client.get_task(TaskQueryParams(id=task.id))
    assert again.status.message.parts[0].root.text == "Task failed with status: error"


@pytest.mark.parametrize("reply", ["text", "data"])
async def test_a_question_is_answered(agent, reply):
    client = await agent("asks")
    task = await send(client, message("hello"))
    assert task.status.state == "input-required"
    [artifact] = task.artifacts
    [part] = artifact.parts
    assert (artifact.name, part.root.data["value"]) == ("Interrupt", {"question": "sure?"})
    waiting = await client.get_task(TaskQueryParams(id=task.id))
    assert (waiting.status.state, plain(waiting.artifacts[0])) == ("input-required", plain(artifact))
    given = "yes" if reply == "text" else DataPart(data={"resume": {"sure": True}})
    done = await send(client, message(given, task_id=task.id, context_id=task.context_id))
    told = "told: 'yes'" if reply == "text" else "told: {'sure': True}"
    assert (done.id, done.status.state) == (task.id, "completed")
    assert parts(done.artifacts[0]) == [{"kind": "text", "text": told}]
    assert [said.parts[0].root.text for said in done.history] == ["hello", told]


async def test_a_stream_tells_what_is_said_while_it_is_said(agent):
    client = await agent("chat", streaming=True)
    asked = message("hi")
    seen, updates = [], []
    async for task, update in client.send_message(asked):
        seen.append(task)
        updates.append(update)
    first = seen[0]
    assert updates[0] is None
    said = [
        update.status.message.parts[0].root.text
        for update in updates[1:]
        if update.kind == "status-update" and update.status.state == "working"
    ]
    assert said[-1] == "hello big world" and said == sorted(set(said), key=len) and len(said) > 2
    artifact, last = updates[-2:]
    assert (artifact.append, artifact.last_chunk) == (False, True)
    assert parts(artifact.artifact) == [{"kind": "text", "text": "hello big world"}]
    assert (last.status.state, last.final) == ("completed", True)
    assert {(update.task_id, update.context_id) for update in updates[1:]} == {(first.id, first.context_id)}
    whole = await client.get_task(TaskQueryParams(id=first.id))
    assert plain(whole.artifacts[0]) == plain(artifact.artifact)


@pytest.mark.parametrize(
    ("graph", "state", "kinds"),
    [
        ("fails", "failed", ["status-update"]),
        ("asks", "input-required", ["artifact-update", "status-update"]),
    ],
)
async def test_a_stream_ends_with_the_last_state(agent, graph, state, kinds):
    client = await agent(graph, streaming=True)
    updates = [update async for _, update in client.send_message(message("hello"))]
    assert [update.kind for update in updates[1:]] == kinds
    assert (updates[-1].status.state, updates[-1].final) == (state, True)


async def test_a_running_task_is_followed_and_cancelled(agent, gate):
    client = await agent("waiting", streaming=True)
    stream = client.send_message(message(DataPart(data=gate.input())))
    task, _ = await anext(stream)
    assert task.status.state == "submitted"
    visitor = await gate.visitor()
    assert (await client.get_task(TaskQueryParams(id=task.id))).status.state == "working"
    follower = client.resubscribe(TaskIdParams(id=task.id))
    followed, _ = await anext(follower)
    assert (followed.id, followed.status.state) == (task.id, "working")
    cancelled = await client.cancel_task(TaskIdParams(id=task.id))
    assert cancelled.status.state == "canceled"
    assert cancelled.status.message.parts[0].root.text == "Task was canceled"
    await visitor.gone()
    for rest in (stream, follower):
        last = [update async for _, update in rest][-1]
        assert (last.status.state, last.final) == ("canceled", True)
    assert (await client.get_task(TaskQueryParams(id=task.id))).status.state == "canceled"


async def test_a_cancelled_message_is_not_said_to_be_completed(agent, client, gate):
    waiting = await agent("waiting")
    context = str(uuid4())
    sent = asyncio.create_task(send(waiting, message(DataPart(data=gate.input()), context_id=context)))
    await gate.visitor()
    [run] = await client.runs.list(context)
    await client.runs.cancel(context, run["run_id"])
    assert (await sent).status.state == "canceled"


async def test_a_question_can_be_given_up(agent, client):
    asks = await agent("asks")
    task = await send(asks, message("hello"))
    cancelled = await asks.cancel_task(TaskIdParams(id=task.id))
    assert cancelled.status.state == "canceled"
    assert (await asks.get_task(TaskQueryParams(id=task.id))).status.state == "canceled"
    thread = await client.threads.get(task.context_id)
    assert (thread["status"], thread["interrupts"]) == ("idle", {})


async def test_a_followed_question_needs_no_waiting(agent):
    client = await agent("asks", streaming=True)
    task = [task async for task, _ in client.send_message(message("hello"))][-1]
    async with aclosing(client.resubscribe(TaskIdParams(id=task.id))) as stream:
        [(shown, update)] = [event async for event in stream]
    assert (update, shown.status.state) == (None, "input-required")


async def test_the_history_is_cut(agent):
    client = await agent("talks")
    for length, expected in [(0, None), (1, ["heard: hello"]), (2, ["hello", "heard: hello"])]:
        task = await send(client, message("hello"), configuration=MessageSendConfiguration(history_length=length))
        said = task.history and [said.parts[0].root.text for said in task.history]
        assert said == expected


async def test_results_of_tools_are_data(agent):
    client = await agent("agent")
    task = await send(client, message("add"))
    done = await send(client, message(DataPart(data={"resume": True}), task_id=task.id, context_id=task.context_id))
    result = {"toolCallId": "call-1", "content": "3", "name": "add", "status": "success"}
    assert [parts(said) for said in done.history] == [
        [{"kind": "text", "text": "add"}],
        [{"kind": "data", "data": {"tool_results": [result]}}],
        [{"kind": "text", "text": "the sum is 3"}],
    ]
