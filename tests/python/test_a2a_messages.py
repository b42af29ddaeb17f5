"""What the endpoint answers to messages, to the letter: every method with every documented case, in both dialects."""

import json

import pytest

from support.names import NOBODY
from support.server import assistant

JSON = {"accept": "application/json"}
STREAM = {"accept": "text/event-stream"}
TALKS = f"/a2a/{assistant('talks')}"

SEND = ["message/send", "SendMessage"]
FOLLOW = ["message/stream", "SendStreamingMessage"]
GET = ["tasks/get", "GetTask"]
CANCEL = ["tasks/cancel", "CancelTask"]
LIST = ["tasks/list", "ListTasks"]
SUBSCRIBE = ["tasks/resubscribe", "SubscribeToTask"]
CARD = ["agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard"]
PUSH = [f"tasks/pushNotificationConfig/{verb}" for verb in ("set", "get", "list", "delete")] + [
    "CreateTaskPushNotificationConfig",
    "GetTaskPushNotificationConfig",
    "ListTaskPushNotificationConfigs",
    "DeleteTaskPushNotificationConfig",
]


def failure(code: int, message: str, id=1) -> dict:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}


async def call(http, method: str, params=None, path: str = TALKS, headers: dict = {}) -> dict:
    """The answer to a request; of a stream the only message."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    streams = method in FOLLOW + SUBSCRIBE
    answer = await http.post(path, json=body, headers=(STREAM if streams else JSON) | headers)
    assert answer.status_code == 200, answer.text
    if not streams:
        assert answer.headers["content-type"] == "application/json"
        return answer.json()
    assert answer.headers["content-type"].startswith("text/event-stream")
    [frame] = answer.text.strip().split("\r\n\r\n")
    name, data = frame.split("\r\n")
    assert name == "event: message"
    return json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ("{", 200, failure(-32700, "Invalid JSON payload", None)),
        ("", 200, failure(-32700, "Invalid JSON payload", None)),
        ("[]", 200, failure(-32600, "Invalid message format: expected object", None)),
        (
            '[{"jsonrpc":"2.0","id":1,"method":"tasks/get"}]',
            200,
            failure(-32600, "Invalid message format: expected object", None),
        ),
        ('{"id":1}', 200, failure(-32600, "Invalid JSON-RPC message: missing or invalid jsonrpc version", None)),
        (
            '{"jsonrpc":"2.0","id":{},"method":"tasks/get"}',
            200,
            failure(-32600, "Invalid JSON-RPC request: 'id' must be a string, number, or null", None),
        ),
        (
            '{"jsonrpc":"2.0","id":1,"method":7}',
            200,
            failure(-32601, "Method not found: method must be a string"),
        ),
        ('{"jsonrpc":"2.0","id":"a","method":"foo"}', 200, failure(-32601, "Method not found: foo", "a")),
        ('{"jsonrpc":"2.0","id":1}', 200, failure(-32600, "Invalid JSON-RPC request: missing 'method' field")),
        (
            '{"jsonrpc":"2.0","method":"tasks/get","params":{"id":"x"}}',
            200,
            failure(-32600, "Invalid message format: must be a JSON-RPC request or notification", None),
        ),
        (
            '{"jsonrpc":"2.0"}',
            200,
            failure(-32600, "Invalid message format: must be a JSON-RPC request or notification", None),
        ),
        ('{"jsonrpc":"2.0","id":1,"result":{}}', 202, None),
        ('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}', 202, None),
    ],
)
@pytest.mark.parametrize("end", ["", "/"])
async def test_envelopes(http, body, status, expected, end):
    answer = await http.post(TALKS + end, content=body, headers=JSON)
    assert answer.status_code == status
    assert (answer.json() if answer.content else None) == expected


@pytest.mark.parametrize(
    ("methods", "accept", "why"),
    [
        (SEND + GET + LIST, "text/event-stream", "Accept header must include application/json"),
        (SEND, "", "Accept header must include application/json"),
        (FOLLOW, "application/json", "Accept header must include text/event-stream for streaming"),
        (SUBSCRIBE, "text/html", "Accept header must include text/event-stream for streaming"),
    ],
)
async def test_answers_that_the_client_does_not_take(http, methods, accept, why):
    for method in methods:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": {}}}
        answer = await http.post(TALKS, json=body, headers={"accept": accept})
        assert (answer.status_code, answer.json()) == (400, {"error": why})


async def test_wildcards_are_taken(http):
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.5"):
        answer = await call(http, "tasks/get", {}, headers={"accept": accept})
        assert answer["error"]["code"] == -32602


TEXT = {"text": "hi"}
MESSAGE = {"role": "user", "messageId": "m", "parts": [TEXT]}
KINDS = "A2A agents support 'text', 'data', and 'file' parts only."


def sent(*, without=(), **members) -> dict:
    return {"message": {key: value for key, value in (MESSAGE | members).items() if key not in without}}


@pytest.mark.parametrize("method", SEND + FOLLOW)
@pytest.mark.parametrize(
    ("params", "code", "why"),
    [
        (None, -32602, "Invalid params: must be an object"),
        ([], -32602, "Invalid params: must be an object"),
        ({}, -32602, "Missing or invalid 'message' in params"),
        ({"message": "hi"}, -32602, "Missing or invalid 'message' in params"),
        (sent(without=["messageId"]), -32602, "Missing required 'messageId' in message"),
        (sent(without=["role"]), -32602, "Missing required 'role' in message"),
        (sent(role="robot"), -32602, "Invalid 'role' in message: 'robot' is neither user nor agent"),
        (sent(without=["parts"]), -32602, "Message must contain at least one part"),
        (sent(parts=[]), -32602, "Message must contain at least one part"),
        (sent(parts={}), -32602, "Invalid params: 'parts' must be an array"),
        (sent(parts=[{"kind": "video"}]), -32005, f"Unsupported part type. {KINDS}"),
        (sent(parts=["hi"]), -32005, f"Each message part must be an object. {KINDS}"),
        (
            sent(parts=[{"text": "a", "data": {}}]),
            -32005,
            "Each message part must contain exactly one of 'text', 'file', or 'data'. Got multiple: ['text', 'data'].",
        ),
        (sent(parts=[{"text": 7}]), -32005, "TextPart must contain a string in the 'text' field"),
        (sent(parts=[{"data": [1]}]), -32005, "DataPart must contain a JSON object in the 'data' field"),
        (sent(parts=[{"file": {}}]), -32005, "FilePart 'file' must contain either 'bytes' or 'uri'."),
        (
            sent(parts=[{"file": {"bytes": "", "uri": "x"}}]),
            -32005,
            "FilePart 'file' must contain only one of 'bytes' or 'uri'.",
        ),
        (sent(parts=[{"file": {"bytes": "a b"}}]), -32005, "FilePart 'bytes' must be base64 text"),
        (sent(parts=[{"raw": "?"}]), -32005, "FilePart 'raw' must be base64 text"),
        (sent(parts=[{"url": 7}]), -32005, "FilePart 'url' must be a string"),
        (
            sent(parts=[{"data": {}, "metadata": {"mimeType": "application/json+a2ui"}}]),
            -32602,
            "A2UI is not enabled for this agent",
        ),
        (sent(contextId=7), -32602, "contextId must be a string"),
        (sent(taskId=7), -32602, "taskId must be a string"),
        (sent(contextId="x"), -32602, "Failed to create run: Invalid thread ID"),
        (sent(taskId="x"), -32001, "Task not found: x"),
        (sent(taskId="x", contextId=NOBODY), -32001, f"Task not found: x in context '{NOBODY}'"),
        (sent() | {"configuration": []}, -32602, "configuration must be an object"),
        (sent() | {"configuration": {"historyLength": 11}}, -32602, "historyLength cannot exceed 10"),
        (
            sent() | {"configuration": {"historyLength": -1}},
            -32602,
            "historyLength must be a non-negative integer",
        ),
        (
            sent() | {"configuration": {"historyScope": "all"}},
            -32602,
            "historyScope must be 'context' or 'task'",
        ),
        (sent() | {"context": 7}, -32602, "context must be an object"),
        (
            sent(parts=[{"data": {"resume": 1}}]),
            -32602,
            "contextId and taskId are required when resuming a task",
        ),
        (
            sent(parts=[{"data": {"resume": 1}}, {"data": {"resume": 2}}]),
            -32602,
            "Only one resume value is allowed in data parts",
        ),
        (
            sent(command={"resume": 1}),
            -32602,
            "contextId is required when resuming a task with command.resume",
        ),
        (
            sent(command={"resume": 1}, contextId=NOBODY),
            -32602,
            "taskId is required when resuming a task with command.resume",
        ),
    ],
)
async def test_messages_that_cannot_be_sent(http, method, params, code, why):
    assert await call(http, method, params) == failure(code, why)


@pytest.mark.parametrize("method", SEND + FOLLOW)
async def test_agents_that_cannot_be_called(http, method):
    assert await call(http, method, sent(), path="/a2a/talks") == failure(
        -32602, "Invalid assistant ID: must be a UUID"
    )
    assert await call(http, method, sent(), path=f"/a2a/{NOBODY}") == failure(
        -32602, f"Assistant '{NOBODY}' not found"
    )
    agent = assistant("simple")
    assert await call(http, method, sent(), path=f"/a2a/{agent}") == failure(
        -32602,
        f"Assistant '{agent}' (graph 'simple') does not support A2A conversational messages. Its input has no "
        "'messages'; send a data part instead. Available input fields: ['foo', 'log']",
    )


@pytest.mark.parametrize("method", GET + CANCEL + SUBSCRIBE)
@pytest.mark.parametrize(
    ("params", "code", "why"),
    [
        (None, -32602, "Missing required parameter: id (task_id)"),
        ([], -32602, "Invalid params: must be an object"),
        ({"id": 7}, -32602, "Task id and contextId must be strings"),
        ({"id": "x", "contextId": 7}, -32602, "Task id and contextId must be strings"),
        ({"id": "x"}, -32001, "Task not found: x"),
        ({"id": f"{NOBODY}:{NOBODY}"}, -32001, f"Task not found: {NOBODY}:{NOBODY}"),
        ({"id": NOBODY, "contextId": NOBODY}, -32001, f"Task not found: {NOBODY} in context '{NOBODY}'"),
    ],
)
async def test_tasks_that_are_not_there(http, method, params, code, why):
    assert await call(http, method, params) == failure(code, why)


async def done(http, **members) -> dict:
    """A task that is over."""
    return (await call(http, "message/send", sent(**members)))["result"]


async def test_tasks_of_another_agent_are_not_there(http):
    task = await done(http)
    for method in GET + CANCEL + SUBSCRIBE:
        answer = await call(http, method, {"id": task["id"]}, path=f"/a2a/{assistant('chat')}")
        assert answer == failure(-32001, f"Task not found: {task['id']}")


async def test_tasks_that_are_over_accept_nothing(http):
    task = await done(http)
    for method in SEND + FOLLOW:
        again = sent(taskId=task["id"], contextId=task["contextId"])
        assert await call(http, method, again) == failure(-32004, "A terminal task cannot accept another message")
    for method in CANCEL:
        why = "Task is not cancelable in its current state"
        assert await call(http, method, {"id": task["id"]}) == failure(-32002, why)
    for method in SUBSCRIBE:
        why = "Task is completed; there is nothing to follow"
        assert await call(http, method, {"id": task["id"]}) == failure(-32004, why)


async def test_tasks_that_ask_nothing_are_not_answered(http, client, gate):
    path = f"/a2a/{assistant('waiting')}"
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "waiting", input=gate.input())
    await gate.visitor()
    names = {"taskId": f"{thread}:{run['run_id']}", "contextId": thread}
    for members in ({"parts": [{"data": {"resume": 1}}]}, {"command": {"resume": 1}, "parts": []}):
        answer = await call(http, "message/send", sent(**names, **members), path=path)
        assert answer == failure(-32602, "Task is not awaiting input")
    await client.threads.delete(thread)


async def test_a_task_in_both_dialects(http, names):
    task = await done(http)
    thread, _ = task["id"].split(":")
    old = (await call(http, "tasks/get", {"id": task["id"]}))["result"]
    new = (await call(http, "GetTask", {"id": task["id"]}))["result"]
    shared = {"taskId": task["id"], "contextId": thread}
    status_id, time = old["status"]["message"]["messageId"], old["status"]["timestamp"]
    artifact = {
        "artifactId": old["artifacts"][0]["artifactId"],
        "name": "Assistant Response",
        "description": f"Response from assistant {assistant('talks')}",
    }
    said = "Task completed successfully"
    assert old == {
        "kind": "task",
        "id": task["id"],
        "contextId": thread,
        "history": [
            {"kind": "message", "role": "user", "parts": [{"kind": "text", "text": "hi"}], "messageId": "m"} | shared,
            {"kind": "message", "role": "agent", "parts": [{"kind": "text", "text": "heard: hi"}], "messageId": "ai-1"}
            | shared,
        ],
        "status": {
            "state": "completed",
            "message": {
                "kind": "message",
                "role": "agent",
                "parts": [{"kind": "text", "text": said}],
                "messageId": status_id,
            }
            | shared,
            "timestamp": time,
        },
        "artifacts": [artifact | {"parts": [{"kind": "text", "text": "heard: hi"}]}],
    }
    assert new == {
        "id": task["id"],
        "contextId": thread,
        "history": [
            {"role": "ROLE_USER", "parts": [{"text": "hi"}], "messageId": "m"} | shared,
            {"role": "ROLE_AGENT", "parts": [{"text": "heard: hi"}], "messageId": "ai-1"} | shared,
        ],
        "status": {
            "state": "TASK_STATE_COMPLETED",
            "message": {"role": "ROLE_AGENT", "parts": [{"text": said}], "messageId": status_id} | shared,
            "timestamp": time,
        },
        "artifacts": [artifact | {"parts": [{"text": "heard: hi"}]}],
    }


async def test_a_task_is_named_by_its_run_alone_if_the_context_is_given(http):
    task = await done(http)
    thread, run = task["id"].split(":")
    answer = await call(http, "tasks/get", {"id": run, "contextId": thread})
    assert answer["result"]["id"] == run


async def test_the_scope_of_the_history(http):
    first = await done(http)
    second = await done(http, messageId="m2", contextId=first["contextId"])

    async def said(params: dict = {}, headers: dict = {}) -> list:
        answer = await call(http, "tasks/get", {"id": second["id"]} | params, headers=headers)
        return [message["messageId"] for message in answer["result"].get("history", [])]

    everything, own = ["m", "ai-1", "m2", "ai-3"], ["m2", "ai-3"]
    header = {"LangGraph-A2A-History-Scope": "task"}
    assert await said() == everything
    assert await said({"historyScope": "task"}) == own
    assert await said(headers=header) == own
    assert await said({"historyScope": "context"}, header) == everything
    assert await said({"historyLength": 0}) == []
    for bad in ({"historyScope": "x"}, {"historyScope": 7}):
        answer = await call(http, "tasks/get", {"id": second["id"]} | bad)
        assert answer == failure(-32602, "historyScope must be 'context' or 'task'")


@pytest.mark.parametrize("method", LIST)
@pytest.mark.parametrize(
    ("params", "why"),
    [
        ([], "Invalid params: must be an object"),
        ({"pageSize": 0}, "pageSize must be an integer between 1 and 100."),
        ({"pageSize": 101}, "pageSize must be an integer between 1 and 100."),
        ({"pageSize": "5"}, "pageSize must be an integer between 1 and 100."),
        ({"status": "bad"}, "Invalid status value: 'bad'."),
        ({"pageToken": "x"}, "Invalid pageToken."),
        ({"pageToken": 7}, "Invalid pageToken."),
        ({"statusTimestampAfter": "soon"}, "statusTimestampAfter must be a valid ISO 8601 timestamp."),
        ({"contextId": 7}, "contextId must be a string"),
        ({"historyLength": 99}, "historyLength cannot exceed 10"),
    ],
)
async def test_lists_that_cannot_be_made(http, method, params, why):
    assert await call(http, method, params) == failure(-32602, why)


async def test_tasks_are_listed(http, client):
    first = await done(http)
    second = await done(http, messageId="m2", contextId=first["contextId"])
    ours = {"contextId": first["contextId"], "historyLength": 0}

    async def listed(**params) -> dict:
        return (await call(http, "tasks/list", ours | params))["result"]

    def ids(page: dict) -> list:
        return [task["id"] for task in page["tasks"]]

    page = await listed()
    assert ids(page) == [second["id"], first["id"]]
    assert [task["artifacts"] for task in page["tasks"]] == [[], []]
    assert {key: page[key] for key in page if key != "tasks"} == {"totalSize": 2, "pageSize": 2, "nextPageToken": ""}
    page = await listed(pageSize=1)
    assert (ids(page), page["nextPageToken"], page["totalSize"]) == ([second["id"]], "1", 2)
    page = await listed(pageSize=1, pageToken="1")
    assert (ids(page), page["nextPageToken"]) == ([first["id"]], "")
    assert ids(await listed(status="TASK_STATE_FAILED")) == []
    assert ids(await listed(status="rejected")) == []
    assert ids(await listed(status="completed")) == [second["id"], first["id"]]
    after = (await listed())["tasks"][1]["status"]["timestamp"]
    assert ids(await listed(statusTimestampAfter=after)) == [second["id"]]
    [task, _] = (await listed(includeArtifacts=True))["tasks"]
    assert task["artifacts"][0]["parts"] == [{"kind": "text", "text": "heard: hi"}]
    nowhere = {"tasks": [], "totalSize": 0, "pageSize": 0, "nextPageToken": ""}
    assert await listed(contextId=NOBODY) == nowhere
    assert await listed(contextId="x") == nowhere
    # Runs that were made otherwise are tasks, too; those of other assistants are not ours.
    run = await client.runs.create(first["contextId"], "talks", input={"messages": "hello"})
    await client.runs.join(first["contextId"], run["run_id"])
    other = await client.runs.create(first["contextId"], "chat", input={"messages": "hello"})
    await client.runs.join(first["contextId"], other["run_id"])
    assert ids(await listed()) == [f"{first['contextId']}:{run['run_id']}", second["id"], first["id"]]


@pytest.mark.parametrize("method", PUSH)
async def test_there_are_no_push_notifications(http, method):
    assert await call(http, method, {"id": "x"}) == failure(
        -32003, "Push notifications are not supported by this agent"
    )


@pytest.mark.parametrize("graph", ["talks", "simple"])
async def test_cards(http, url, graph):
    agent = assistant(graph)
    talks = graph == "talks"
    address = f"{url}/a2a/{agent}"
    modes = ["application/json", "text/plain"]
    description = "Says what it heard" if talks else "Two nodes in a row"
    expected = {
        "protocolVersion": "0.3.0",
        "name": graph,
        "description": description,
        "url": address,
        "preferredTransport": "JSONRPC",
        "supportedInterfaces": [{"url": address, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {
            "streaming": True,
            "pushNotifications": False,
            "stateTransitionHistory": False,
            "extensions": [
                {
                    "uri": "https://langchain.com/a2a/extensions/history-scope/v1",
                    "description": "Chooses whether the history of a task holds the messages of its context or its own.",
                    "required": False,
                    "params": {
                        "header": "LangGraph-A2A-History-Scope",
                        "values": ["context", "task"],
                        "default": "context",
                        "methods": ["SendMessage", "GetTask", "ListTasks"],
                    },
                }
            ],
        },
        "defaultInputModes": modes,
        "defaultOutputModes": modes,
        "skills": [
            {
                "id": f"{agent}-main",
                "name": f"{graph} Capabilities",
                "description": description,
                "tags": ["assistant", "langgraph"],
                "examples": [],
                "inputModes": modes,
                "outputModes": modes,
                "metadata": {
                    "inputSchema": {
                        "required": ["messages"] if talks else ["foo", "log"],
                        "properties": ["messages"] if talks else ["foo", "log"],
                        "supportsA2A": talks,
                    }
                },
            }
        ],
        "version": "0.16.7",
    }
    for path in (
        f"/a2a/{agent}",
        f"/a2a/{agent}/",
        f"/a2a/{agent}/.well-known/agent-card.json",
        f"/a2a/{agent}/.well-known/agent.json",
        f"/.well-known/agent-card.json?assistant_id={agent}",
    ):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()) == (200, expected), path
    for method in CARD:
        assert (await call(http, method, path=f"/a2a/{agent}"))["result"] == expected
    proxied = await http.get(
        f"/a2a/{agent}/.well-known/agent-card.json", headers={"host": "example.com:443", "x-forwarded-proto": "https"}
    )
    assert proxied.json()["url"] == f"https://example.com/a2a/{agent}"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (f"/a2a/{NOBODY}", f"Assistant '{NOBODY}' not found"),
        (f"/a2a/{NOBODY}/.well-known/agent-card.json", f"Assistant '{NOBODY}' not found"),
        ("/a2a/zzz", "Failed to get assistant 'zzz': Invalid assistant ID: must be a UUID"),
        ("/.well-known/agent-card.json", "Missing required query parameter: assistant_id"),
    ],
)
async def test_cards_that_are_not_there(http, path, why):
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (400, {"error": {"code": -32602, "message": why}})


async def test_modes_of_a_card_are_the_assistants(client, http):
    made = await client.assistants.create("talks", name="picky", metadata={"a2a": {"input_modes": ["text/plain"]}})
    card = (await http.get(f"/a2a/{made['assistant_id']}")).json()
    assert (card["name"], card["description"]) == ("picky", "picky assistant")
    assert (card["defaultInputModes"], card["skills"][0]["inputModes"]) == (["text/plain"], ["text/plain"])
    await client.assistants.update(made["assistant_id"], metadata={"a2a": {"input_modes": []}})
    answer = await http.get(f"/a2a/{made['assistant_id']}")
    why = "Assistant metadata 'a2a.input_modes' must be a non-empty array of strings"
    assert (answer.status_code, answer.json()) == (400, {"error": {"code": -32602, "message": why}})
    await client.assistants.delete(made["assistant_id"])


async def test_other_methods_of_http(http):
    answers = [await http.delete(TALKS), await http.put(f"{TALKS}/"), await http.get("/.well-known/agent.json")]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (405, {"detail": "Method Not Allowed"}),
        (405, {"detail": "Method Not Allowed"}),
        (404, {"detail": "Not Found"}),
    ]
