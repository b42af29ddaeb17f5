"""What runs and questions use to talk to the server."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import orjson

from agent_server_worker import frames
from agent_server_worker.errors import Refused, ServerLost


class Link:
    """The connection, and the requests that wait for an answer."""

    def __init__(self, connection: frames.Connection) -> None:
        self.connection = connection
        self.loop = asyncio.get_running_loop()
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[tuple[dict[str, Any], list[bytes]]]] = {}

    async def request(
        self, kind: int, header: dict[str, Any], blobs: Sequence[bytes] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Sends a request and returns the answer."""
        number = next(self._ids)
        future = self._waiting[number] = self.loop.create_future()
        self.connection.send(kind, orjson.dumps({**header, "id": number}), blobs)
        try:
            return await future
        finally:
            self._waiting.pop(number, None)

    def answered(self, header: dict[str, Any], blobs: list[bytes]) -> None:
        """Takes an answer in."""
        future = self._waiting.get(header["id"])
        if future is None or future.done():
            return
        error = header.get("error")
        if error is None:
            future.set_result((header, blobs))
        elif error["kind"] == "refused":
            future.set_exception(Refused(error["message"]))
        else:
            future.set_exception(ServerLost(error["message"]))


class Job:
    """A run or a question: its number goes with every frame."""

    def __init__(self, link: Link, number: int, is_question: bool = False) -> None:
        self.link = link
        self.number = number
        self.is_question = is_question

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one loop of the process."""
        return self.link.loop

    def send(self, kind: int, header: bytes, blobs: Sequence[bytes] = ()) -> None:
        """Sends a frame without waiting. ``header`` names the job."""
        self.link.connection.send(kind, header, blobs)

    async def request(
        self, kind: int, header: dict[str, Any], blobs: Sequence[bytes] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Asks the server on behalf of the job."""
        return await self.link.request(kind, {**header, "job": self.number}, blobs)

    async def flush(self) -> None:
        """Returns when everything that was sent before is durable."""
        if not self.is_question:
            await self.request(frames.FLUSH, {})
