"""What the runs and questions of one process share."""

from __future__ import annotations

import asyncio
import socket
import traceback
from typing import Any

import langgraph.version
import orjson

from agent_server_worker import frames, output
from agent_server_worker.embed import embed
from agent_server_worker.graphs import Graph
from agent_server_worker.introspect import answer
from agent_server_worker.link import Link
from agent_server_worker.loader import Loaded
from agent_server_worker.run import Run
from agent_server_worker.store import Store
from agent_server_worker.threads import CountingExecutor


class Worker:
    """Graphs, connection and jobs of the process."""

    def __init__(self, loaded: list[Loaded], init: dict[str, Any], embeddings: Any) -> None:
        self.graphs = {each.graph_id: Graph(each) for each in loaded}
        self.facts = {"langgraph_version": langgraph.version.__version__, **dict(init["facts"])}
        self.lost = asyncio.Event()
        self.connection = frames.Connection(self._frame, self.lost.set)
        self.link = Link(self.connection)
        self.store = Store(self.link, init["store"])
        self.embeddings = embeddings
        self.runs: dict[int, Run] = {}
        self.questions: set[asyncio.Task[None]] = set()
        asyncio.get_running_loop().set_default_executor(CountingExecutor())

    @classmethod
    async def serve(
        cls, sock: socket.socket, loaded: list[Loaded], init: dict[str, Any], embeddings: Any
    ) -> None:
        """Serves until the connection ends. ``embeddings``: what the store embeds with, if anything."""
        worker = cls(loaded, init, embeddings)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: worker.connection, sock=sock)
        await worker.lost.wait()
        for run in list(worker.runs.values()):
            run.cancel()

    def _frame(self, kind: int, header: bytes, blobs: list[bytes]) -> None:
        fields: dict[str, Any] = orjson.loads(header)
        if kind == frames.RUN:
            run = self.runs[fields["job"]] = Run(self, fields, blobs)
            run.start()
        elif kind == frames.REPLY:
            self.link.answered(fields, blobs)
        elif kind == frames.PING:
            self.connection.send(frames.PONG, b"{}")
        elif kind == frames.CANCEL:
            if running := self.runs.get(fields["job"]):
                running.cancel()
        elif kind == frames.YIELD:
            if running := self.runs.get(fields["job"]):
                running.let_go()
        elif kind == frames.ASK:
            answering = embed if fields["kind"] == "embed" else answer
            task = asyncio.create_task(answering(self, fields, blobs))
            self.questions.add(task)
            task.add_done_callback(self.questions.discard)

    def ended(self, run: Run) -> None:
        """A run is over."""
        self.runs.pop(run.job.number, None)

    def log_failure(self, what: str, error: BaseException) -> None:
        """Writes an exception of user code to the log."""
        text = "".join(traceback.format_exception(error))
        output.report(f"{what}: {text.rstrip()}", "error")
