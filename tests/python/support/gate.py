"""A gate: graphs of gates.py stop at it until the test lets them go on."""

import asyncio
import json
from pathlib import Path


class Visitor:
    """A node that stands at the gate."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: dict) -> None:
        self.reader, self.writer = reader, writer
        self.pid: int = hello["pid"]
        self.run_id: str = hello["run_id"]
        self.attempt: int = hello["attempt"]
        self.name: str | None = hello["name"]
        self.step: int = hello["step"]

    def let_in(self, word: str = "passed") -> None:
        """The node goes on and writes `word` into its log. `die`, `spin SECONDS` and `eat MEGABYTES` it obeys before."""
        self.writer.write(word.encode() + b"\n")

    def refuse(self) -> None:
        """The node raises a ValueError."""
        self.writer.close()

    async def gone(self, seconds: float = 30) -> None:
        """Returns when the node has left: it was let in, was cancelled, or its process died."""
        try:
            async with asyncio.timeout(seconds):
                assert await self.reader.read() == b""
        except ConnectionError:
            pass
        except TimeoutError:
            raise AssertionError(f"the node of run {self.run_id} is still at the gate after {seconds} s") from None


class Gate:
    """A Unix socket at which nodes knock."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.queue: asyncio.Queue[Visitor] = asyncio.Queue()
        self.visitors: list[Visitor] = []

    async def __aenter__(self) -> "Gate":
        self.server = await asyncio.start_unix_server(self.arrive, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for visitor in self.visitors:
            visitor.writer.close()

    async def arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitor = Visitor(reader, writer, json.loads(await reader.readline()))
        self.visitors.append(visitor)
        self.queue.put_nowait(visitor)

    async def visitor(self, seconds: float = 45) -> Visitor:
        """The next node that arrives."""
        try:
            async with asyncio.timeout(seconds):
                return await self.queue.get()
        except TimeoutError:
            raise AssertionError(f"no node came to the gate within {seconds} s") from None

    def input(self, name: str = "run", **more: object) -> dict:
        """Input for a graph of gates.py."""
        return {"gate": self.path, "name": name, **more}

    @property
    def empty(self) -> bool:
        """Whether nobody else has come."""
        return self.queue.empty()
