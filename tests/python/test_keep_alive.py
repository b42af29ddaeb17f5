"""Signs of life of answers that take long: newlines before a JSON body, comments in a stream."""

import asyncio
import json
from contextlib import AsyncExitStack

import httpx
import pytest


@pytest.fixture
async def http(url):
    """A client with room for many answers at once."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
        yield http


async def test_whoever_waits_hears_of_it_every_five_seconds(client, http, gate):
    """All ways to wait at once, because each takes five seconds: for runs at work, and for runs in the queue."""
    thread, busy = [(await client.threads.create())["thread_id"] for _ in range(2)]
    run = await client.runs.create(thread, "waiting", input=gate.input("joined"))
    first = await client.runs.create(busy, "waiting", input=gate.input("first"))
    visitors = [await gate.visitor() for _ in range(2)]
    body = {"assistant_id": "waiting", "input": gate.input("later")}
    silent = body | {"stream_mode": "custom"}
    path = f"/threads/{thread}/runs/{run['run_id']}"
    requests = {
        "wait": ("POST", "/runs/wait", body),
        "wait in the queue": ("POST", f"/threads/{busy}/runs/wait", body),
        "join": ("GET", f"{path}/join", None),
        "stream": ("POST", "/runs/stream", silent),
        "stream in the queue": ("POST", f"/threads/{busy}/runs/stream", silent),
        "join a stream": ("GET", f"{path}/stream", None),
        "join a stream in the queue": ("GET", f"/threads/{busy}/runs/{first['run_id']}/stream", None),
        "follow a thread": ("GET", f"/threads/{busy}/stream", None),
    }
    # The official client takes no notice: what comes before the body is white space of JSON.
    waiting = asyncio.create_task(client.runs.wait(None, "waiting", input=gate.input("official")))
    now = asyncio.get_running_loop().time

    async with AsyncExitStack() as stack:
        opened, heard = {}, {}

        async def listen(name: str, method: str, path: str, body: dict | None) -> None:
            answer = await stack.enter_async_context(http.stream(method, path, json=body))
            begin = now()
            assert answer.status_code == 200
            opened[name] = answer.aiter_raw()
            text = b""
            async for piece in opened[name]:
                text += piece
                if text == b"\n" or text.endswith(b": heartbeat\r\n\r\n"):
                    break
            heard[name] = (now() - begin, text)

        await asyncio.gather(*(listen(name, *request) for name, request in requests.items()))
        for name, (seconds, text) in heard.items():
            assert 4 < seconds < 6.5, name
            if "wait" in name or name == "join":
                assert text == b"\n", name
            else:
                assert text.endswith(b": heartbeat\r\n\r\n"), name

        async def rest(name: str) -> bytes:
            return b"".join([piece async for piece in opened[name]])

        visitors += [await gate.visitor() for _ in range(3)]
        for visitor in visitors:
            visitor.let_in()
        for _ in range(2):
            (await gate.visitor()).let_in()
        for name in ("wait", "wait in the queue", "join"):
            assert json.loads(await rest(name))["log"][-1].endswith(" passed")
        for name in ("stream", "stream in the queue", "join a stream", "join a stream in the queue"):
            await rest(name)
        assert (await waiting)["log"] == ["official arrives", "official passed"]
