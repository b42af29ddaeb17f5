"""A process that serves no graphs: it answers questions with an object of the project, such as its authentication."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any, Protocol, TypeVar

import orjson

from agent_server_worker import frames
from agent_server_worker.modules import LoadError, load_variable
from agent_server_worker.user import dumps

T = TypeVar("T")


class Stuck(Exception):
    """A synchronous handler goes on although nobody waits for it any more."""


class Answers(Protocol):
    """Handlers of the project."""

    kinds: tuple[int, ...]
    """The frames that they answer."""

    async def answer(self, kind: int, header: dict[str, Any], blobs: list[bytes]) -> dict[str, Any]:
        """The answer to a frame."""


def load_object(spec: str, expected: type[T]) -> T:
    """Loads the object of the project that ``path:variable`` names."""
    path, variable, found = load_variable(spec, expected)
    if not isinstance(found, expected):
        kind = f"langgraph_sdk.{expected.__name__}"
        raise LoadError(f"'{variable}' in {path} is a {type(found).__name__}, not a {kind}")
    return found


class AsideWorker:
    """Answers the server's questions until the connection ends."""

    def __init__(self, handlers: Answers) -> None:
        self.handlers = handlers
        self.lost = asyncio.Event()
        self.connection = frames.Connection(self._frame, self.lost.set)
        self.tasks: dict[int, asyncio.Task[None]] = {}

    @classmethod
    async def serve(cls, sock: socket.socket, handlers: Answers) -> None:
        """Serves until the connection ends."""
        worker = cls(handlers)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: worker.connection, sock=sock)
        await worker.lost.wait()
        sys.stdout.flush()
        # Threads of handlers that do not return would keep the interpreter from ending.
        os._exit(0)

    def _frame(self, kind: int, header: bytes, blobs: list[bytes]) -> None:
        fields: dict[str, Any] = orjson.loads(header)
        if kind == frames.PING:
            self.connection.send(frames.PONG, b"{}")
        elif kind == frames.CANCEL:
            if task := self.tasks.get(fields["job"]):
                task.cancel()
        elif kind in self.handlers.kinds:
            number = fields["job"]
            task = asyncio.create_task(self._answer(kind, fields, blobs))
            self.tasks[number] = task
            task.add_done_callback(lambda _: self.tasks.pop(number, None))

    async def _answer(self, kind: int, header: dict[str, Any], blobs: list[bytes]) -> None:
        reply: dict[str, Any] = {"job": header["job"], "error": None, "live": None}
        out: list[bytes] = []
        try:
            out = [dumps(await self.handlers.answer(kind, header, blobs))]
        except asyncio.CancelledError:
            reply["error"] = {"kind": "refused", "message": "the handler was stopped"}
        except Stuck:
            reply["error"] = {"kind": "unavailable", "message": "the handler goes on"}
        self.connection.send(frames.ANSWER, orjson.dumps(reply), out)
