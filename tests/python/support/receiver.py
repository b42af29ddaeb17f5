"""A receiver of webhooks: notes what comes, and answers as it is told to."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)


@dataclass
class Receiver:
    """Answers 200 unless something else was put into `answers`: a status, `(status, location)`, `hang` or `drop`."""

    answers: list[Any] = field(default_factory=list)
    calls: asyncio.Queue[Call] = field(default_factory=asyncio.Queue)
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def __aenter__(self) -> "Receiver":
        self.server = await asyncio.start_server(self.arrive, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.open:
            writer.close()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.append(writer)
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ", 1) for line in lines if line)
        raw = await reader.readexactly(int(headers["content-length"]))
        answer = self.answers.pop(0) if self.answers else 200
        self.calls.put_nowait(Call(line.split()[1], headers, raw))
        match answer:
            case "hang":
                return
            case "drop":
                pass
            case (status, location):
                writer.write(f"HTTP/1.1 {status} x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode())
            case status:
                writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\nok".encode())
        writer.close()

    async def call(self, seconds: float = 15) -> Call:
        """The next request that comes."""
        try:
            async with asyncio.timeout(seconds):
                return await self.calls.get()
        except TimeoutError:
            raise AssertionError(f"no webhook within {seconds} s") from None

    @property
    def quiet(self) -> bool:
        """Whether nothing else has come."""
        return self.calls.empty()
