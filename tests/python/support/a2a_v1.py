"""The official client of A2A 1.0 at work. Run with an environment of its own: `a2a_v1.py URL-OF-AGENT`; tells as JSON what it saw."""

import asyncio
import json
import sys
from uuid import uuid4

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import A2AError
from google.protobuf.json_format import MessageToDict


def message(*parts: Part, **more: str) -> SendMessageRequest:
    return SendMessageRequest(message=Message(message_id=str(uuid4()), role=Role.ROLE_USER, parts=parts, **more))


def plain(message) -> dict:
    return MessageToDict(message)


async def last(client, request: SendMessageRequest) -> Task:
    task = None
    async for answer in client.send_message(request):
        if answer.HasField("task"):
            task = answer.task
    return task


async def refusal(awaitable) -> str:
    try:
        await awaitable
    except (A2AError, A2AClientError) as error:
        return f"{type(error).__name__}: {error}"
    return "no refusal"


async def main(url: str) -> dict:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:

        async def connect(url: str, streaming: bool):
            card = await A2ACardResolver(http, url).get_agent_card()
            return ClientFactory(ClientConfig(httpx_client=http, streaming=streaming)).create(card)

        client, streaming = await connect(url, False), await connect(url, True)
        task = await last(client, message(Part(text="one"), Part(text="two")))
        picture = Part(raw=b"hi", media_type="image/png", filename="hi.png")
        seen = await last(client, message(Part(text="look"), picture, context_id=task.context_id))
        stream = [answer async for answer in streaming.send_message(message(Part(text="hi")))]
        listed = await client.list_tasks(ListTasksRequest(context_id=task.context_id))
        one = await client.list_tasks(ListTasksRequest(context_id=task.context_id, page_size=1))
        completed = ListTasksRequest(context_id=task.context_id, status=TaskState.TASK_STATE_COMPLETED)
        again = message(Part(text="more"), context_id=task.context_id, task_id=task.id)
        short = message(Part(text="short"))
        short.configuration.CopyFrom(SendMessageConfiguration(history_length=1))
        return {
            "ids": [task.id, seen.id],
            "task": plain(task),
            "seen": [plain(part) for part in seen.artifacts[0].parts],
            "stream": [answer.WhichOneof("payload") for answer in stream],
            "states": [TaskState.Name(a.status_update.status.state) for a in stream if a.HasField("status_update")],
            "artifact": [plain(a.artifact_update.artifact)["parts"] for a in stream if a.HasField("artifact_update")],
            "read": plain(await client.get_task(GetTaskRequest(id=task.id))),
            "listed": [found.id for found in listed.tasks],
            "page": [[found.id for found in one.tasks], one.next_page_token, one.total_size],
            "completed": len((await client.list_tasks(completed)).tasks),
            "history": [plain(said)["parts"] for said in (await last(client, short)).history],
            "refusals": [
                await refusal(last(client, again)),
                await refusal(client.cancel_task(CancelTaskRequest(id=task.id))),
                await refusal(client.get_task(GetTaskRequest(id="x"))),
            ],
        }


print(json.dumps(asyncio.run(main(sys.argv[1]))))
