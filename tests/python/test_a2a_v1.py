"""Assistants as agents, used by the official client of the Agent2Agent protocol, version 1.0.

Its package has the name of the one for version 0.3, so it runs with an environment of its own.
"""

import asyncio
import json
import os

from support.server import ROOT, assistant


async def saw(agent: str) -> dict:
    """What the client tells that it saw."""
    python = os.environ.get("AGENT_SERVER_TEST_A2A_V1", ROOT / "target/python/a2a-v1/venv/bin/python")
    script = ROOT / "tests/python/support/a2a_v1.py"
    client = await asyncio.create_subprocess_exec(python, script, agent, stdout=asyncio.subprocess.PIPE)
    told, _ = await client.communicate()
    assert client.returncode == 0
    return json.loads(told)


async def test_the_newer_client(url):
    seen = await saw(f"{url}/a2a/{assistant('talks')}")
    task, first, second = seen["task"], *seen["ids"]
    context = task["contextId"]
    answer = [{"text": "heard: one\ntwo"}]
    shared = {"taskId": first, "contextId": context}
    history = [
        {
            "role": "ROLE_USER",
            "parts": [{"text": "one\ntwo"}],
            "messageId": task["history"][0]["messageId"],
        }
        | shared,
        {"role": "ROLE_AGENT", "parts": answer, "messageId": "ai-1"} | shared,
    ]
    artifact = {
        "artifactId": task["artifacts"][0]["artifactId"],
        "name": "Assistant Response",
        "description": f"Response from assistant {assistant('talks')}",
        "parts": answer,
    }
    status = {"state": "TASK_STATE_COMPLETED", "timestamp": task["status"]["timestamp"]}
    assert task == {
        "id": first,
        "contextId": context,
        "history": history,
        "status": status,
        "artifacts": [artifact],
    }
    assert seen["read"]["artifacts"] == [artifact]
    assert seen["read"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert seen["seen"] == [
        {"text": "heard: text, image"},
        {"raw": "aGk=", "mediaType": "image/png", "filename": "hi.png"},
    ]
    assert seen["stream"] == ["task", "status_update", "artifact_update", "status_update"]
    assert seen["states"] == ["TASK_STATE_WORKING", "TASK_STATE_COMPLETED"]
    assert seen["artifact"] == [[{"text": "heard: hi"}]]
    assert seen["listed"] == [second, first]
    assert seen["page"] == [[second], "1", 2]
    assert seen["completed"] == 2
    assert seen["history"] == [[{"text": "heard: short"}]]
    kinds = [refusal.split(":")[0] for refusal in seen["refusals"]]
    assert kinds == ["UnsupportedOperationError", "TaskNotCancelableError", "TaskNotFoundError"]
