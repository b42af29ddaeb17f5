"""The application's middleware around the API of the server.

A request of the API is called like one of the application, through the one stack of middleware that there is. At its inner
end it goes back to the server instead of to a route, over a connection of its own, with the frames of ``app.py``.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

AROUND = "agent_server.around"
"""Key of the scope of a request that is not the application's own: where it goes, and its number there."""

_HEAD = struct.Struct("<IB")
_SCOPE, _BODY, _BODY_END = b"sbe"
_START, _CHUNK, _END = b"SBE"

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class BrokenOff(Exception):
    """The server did not answer to the end."""


_NO_ANSWER = b'{"detail":"The server is stopping"}'


def surround(app: Any) -> None:
    """Builds the application's stack so that it ends at the server for requests that are the server's."""
    routes = app.router

    async def inner(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if AROUND in scope and scope["type"] == "http":
            await _send_back(scope, receive, send)
        else:
            await routes(scope, receive, send)

    app.router = inner
    try:
        app.middleware_stack = app.build_middleware_stack()
    finally:
        app.router = routes


async def _send_back(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    around = scope[AROUND]
    reader, writer = await asyncio.open_unix_connection(around["socket"])
    passing = asyncio.ensure_future(_pass_body(scope, around["number"], receive, writer))
    try:
        await _answer(reader, send)
    finally:
        passing.cancel()
        writer.close()


async def _pass_body(scope: dict[str, Any], number: int, receive: Receive, writer: asyncio.StreamWriter) -> None:
    """Passes the request on, then waits for the client to leave, which the end of the connection says."""
    back = {
        "number": number,
        "query_string": scope["query_string"].decode("latin-1"),
        "headers": [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in scope["headers"]],
    }
    try:
        await _write(writer, _SCOPE, json.dumps(back).encode())
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                break
            if body := event.get("body"):
                await _write(writer, _BODY, bytes(body))
            if not event.get("more_body"):
                await _write(writer, _BODY_END, b"")
    except OSError:
        # The server has answered before it read everything.
        return
    writer.close()


async def _answer(reader: asyncio.StreamReader, send: Send) -> None:
    has_started = False
    while True:
        try:
            length, kind = _HEAD.unpack(await reader.readexactly(_HEAD.size))
            payload = await reader.readexactly(length)
        except (EOFError, OSError):
            if has_started:
                raise BrokenOff from None
            await send({"type": "http.response.start", "status": 503, "headers": [(b"content-type", b"application/json")]})
            await send({"type": "http.response.body", "body": _NO_ANSWER, "more_body": False})
            return
        if kind == _START:
            has_started = True
            head = json.loads(payload)
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head["headers"]]
            await send({"type": "http.response.start", "status": head["status"], "headers": headers})
        elif kind == _CHUNK:
            await send({"type": "http.response.body", "body": payload, "more_body": True})
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return


async def _write(writer: asyncio.StreamWriter, kind: int, payload: bytes) -> None:
    writer.write(_HEAD.pack(len(payload), kind) + payload)
    await writer.drain()
