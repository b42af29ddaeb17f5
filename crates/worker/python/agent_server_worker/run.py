"""Executes one attempt of a run."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any

import orjson

from agent_server_worker import encode, frames
from agent_server_worker.config import run_config, run_input
from agent_server_worker.drain import Drain, is_drained
from agent_server_worker.emit import Emitter
from agent_server_worker.errors import Refused, ServerLost, describe
from agent_server_worker.graphs import Opened
from agent_server_worker.link import Job
from agent_server_worker.memory import Entry, from_frame
from agent_server_worker.protocol import ProtocolEmitter, is_marked, transformers_of
from agent_server_worker.render import interrupts_by_task, state_json
from agent_server_worker.saver import Base, Saver
from agent_server_worker.threads import RunThreads, current_run

if TYPE_CHECKING:
    from agent_server_worker.worker import Worker

SUCCESS = "success"
ERROR = "error"
CANCELLED = "cancelled"
LOST = "lost"
MOVED = "moved"

# A run whose order is older asks whether it may still start, seconds. The server waits longer before it gives a run
# that was not started to another worker.
_LATE = 0.25


class Run:
    """One attempt. The task that executes it is cancelled to cancel the run."""

    def __init__(self, worker: Worker, header: dict[str, Any], blobs: list[bytes]) -> None:
        self.worker = worker
        self.job = Job(worker.link, header["job"])
        self.header = header
        self.kwargs: dict[str, Any] = {}
        self.order = blobs[0]
        self.blobs = blobs[1:]
        self.saver: Saver | None = None
        self.is_cancelled = False
        self.is_executing = False
        self.drain = Drain()
        self.threads = RunThreads(worker.link.loop, self._settled)
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to execute."""
        # Its own context: variables that user code sets stay with the run.
        self.task = asyncio.create_task(self._execute(), name=self.header["run_id"])

    def cancel(self) -> None:
        """Stops the run at its next await."""
        if not self.is_cancelled and self.task is not None:
            self.is_cancelled = True
            # A task that is cancelled before its first step would end without a word.
            if self.is_executing:
                self.task.cancel()

    def let_go(self) -> None:
        """Stops the run at the end of its superstep, if it can go on from there elsewhere."""
        # Without checkpoints everything would be done again: such a run had better come to its end.
        if not self.header["temporary"]:
            self.drain.request()

    async def _execute(self) -> None:
        if not await self._may_start():
            self.worker.ended(self)
            return
        self.is_executing = True
        if self.is_cancelled:
            self._finish({"ending": CANCELLED}, None)
            return
        current_run.set(self.threads)
        try:
            ending, live = await self._attempt()
        except BaseException as error:
            # Nothing of the user can get here.
            ending = {"ending": LOST, "message": f"{type(error).__name__}: {error}"}
            live = None
            if not isinstance(error, Exception):
                self._finish(ending, live)
                raise
        self._finish(ending, live)

    async def _may_start(self) -> bool:
        """Whether the run is still this worker's: it may not be if the loop was blocked."""
        if abs(time.time() - self.header["sent"]) <= _LATE:
            self.job.send(frames.STARTED, orjson.dumps({"job": self.job.number, "id": None}))
            # Known before user code gets a chance to block the loop.
            self.worker.connection.flush()
            return True
        try:
            await self.job.request(frames.STARTED, {})
        except (Refused, ServerLost):
            return False
        return True

    async def _attempt(self) -> tuple[dict[str, Any], tuple[dict[str, Any], list[bytes]] | None]:
        try:
            self.kwargs = orjson.loads(self.order)
        except ValueError as error:
            # JSON by its grammar that no program can hold, such as half a surrogate pair: the run's failure alone.
            return self._failed(error), None
        order = self.kwargs
        info = self.worker.graphs[self.header["graph"]]
        config = run_config(order["config"], self.header["attempt"], self.worker.facts)
        context = order.get("context")
        ending: dict[str, Any] = {"ending": SUCCESS}
        opened: Opened | None = None
        live: tuple[dict[str, Any], list[bytes]] | None = None
        try:
            use = info.opened("threads.create_run", config, self.worker.store, context)
            async with use as opened:
                if config["configurable"].pop("__context_provided__", False):
                    opened.hide_undeclared(config["configurable"], context)
                try:
                    await self._stream(opened, config, context)
                except asyncio.CancelledError as error:
                    ending = await self._cancelled(error)
                except Exception as error:
                    if is_drained(error) and self.drain.is_requested:
                        return {"ending": MOVED}, None
                    ending = self._failed(error)
                live = await self._live(opened, ending)
        except asyncio.CancelledError as error:
            ending = await self._cancelled(error)
        except Exception as error:
            # Its factory failed.
            ending = self._failed(error)
        # No flush: the server saves what is left together with the end.
        return ending, live

    async def _cancelled(self, error: asyncio.CancelledError) -> dict[str, Any]:
        # The library hands over what it still has to write.
        left = error.args[-1] if error.args else None
        if asyncio.isfuture(left):
            await asyncio.wait([left])
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return {"ending": CANCELLED}

    def _failed(self, error: Exception) -> dict[str, Any]:
        if isinstance(error, ServerLost):
            return {"ending": LOST, "message": str(error)}
        self.worker.log_failure(self.header["run_id"], error)
        name, message = describe(error)
        return {"ending": ERROR, "error": name, "message": message}

    async def _stream(self, opened: Opened, config: dict[str, Any], context: Any) -> None:
        order = self.kwargs
        graph = opened.pregel
        thread_id = config["configurable"]["thread_id"]
        options: dict[str, Any] = {
            "context": opened.context(context),
            "output_keys": graph.output_channels,
            "interrupt_before": order.get("interrupt_before"),
            "interrupt_after": order.get("interrupt_after"),
        }
        options.update(self.drain.options())
        if not self.header["temporary"]:
            durability = options["durability"] = order.get("durability") or "async"
            self.saver = Saver(self.job, thread_id, opened.scope, durability)
            self.saver.begin(self.header["head"], self._start_entry(thread_id))
        subgraphs = bool(order.get("subgraphs"))
        modes = order.get("stream_mode") or ["values"]
        given = run_input(order)
        bound: Any = opened.bound(self.saver, self.worker.store)
        connection = self.worker.link.connection
        if is_marked(config):
            module = opened.info.loaded.module
            protocol = ProtocolEmitter(self.job, self.saver, modes, transformers_of(graph, module))
            config = protocol.prepare(bound, config)
            options.update(stream_mode=protocol.library_modes(), subgraphs=True, version="v2")
            with _traced(config["configurable"]):
                await self._stream_protocol(bound.astream(given, config, **options), protocol)
            return
        emitter = Emitter(self.job, self.saver, modes, subgraphs)
        options["stream_mode"] = emitter.library_modes()
        options["subgraphs"] = subgraphs
        with _traced(config["configurable"]):
            if "events" in modes:
                root = None
                events = bound.astream_events(given, config, version="v2", **options)
                async with aclosing(events) as stream:
                    async for event in stream:
                        root = root or event["run_id"]
                        if event["event"] == "on_chain_stream" and event["run_id"] == root:
                            emitter.chunk(event["data"]["chunk"])
                        else:
                            emitter.library_event(event)
                        if connection.is_full:
                            await connection.writable()
                return
            async with aclosing(bound.astream(given, config, **options)) as chunks:
                async for chunk in chunks:
                    emitter.chunk(chunk)
                    if connection.is_full:
                        await connection.writable()

    async def _stream_protocol(self, parts: Any, emitter: ProtocolEmitter) -> None:
        connection = self.worker.link.connection
        try:
            async with aclosing(parts):
                async for part in parts:
                    await emitter.part(part)
                    if connection.is_full:
                        await connection.writable()
        except Exception as error:
            await emitter.fail(error)
            raise
        await emitter.finish()

    def _start_entry(self, thread_id: str) -> Entry | None:
        head = self.header.get("tuple")
        return None if head is None else from_frame(thread_id, head, self.blobs)

    # The end.

    async def _live(
        self, opened: Opened, ending: dict[str, Any]
    ) -> tuple[dict[str, Any], list[bytes]] | None:
        """The live view of the root state; ``None`` if there is none or it cannot be had."""
        saver = self.saver
        if saver is None:
            return None
        if ending["ending"] == SUCCESS and (finished := saver.finished_state()):
            return _finished_view(*finished)
        try:
            return await live_view(opened, saver, self.worker.store)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # A state that cannot be rendered must not change how the run ended.
            self.worker.log_failure(self.header["run_id"], error)
            return None

    def _finish(
        self, ending: dict[str, Any], live: tuple[dict[str, Any], list[bytes]] | None
    ) -> None:
        header = {"job": self.job.number, **ending, "threads": self.threads.active}
        header["live"] = live[0] if live else None
        self.job.send(frames.DONE, orjson.dumps(header), live[1] if live else ())
        self.worker.ended(self)

    def _settled(self) -> None:
        """The last synchronous node that a cancelled run left behind has returned."""
        self.job.send(frames.SETTLED, orjson.dumps({"job": self.job.number}))


def _finished_view(entry: Entry, base: Base) -> tuple[dict[str, Any], list[bytes]]:
    """The live view of a finished root. Its values are those of the last rendered part, which the server has."""
    metadata = orjson.loads(entry.metadata)
    place = {"checkpoint_id": entry.id, "thread_id": entry.thread_id, "checkpoint_ns": entry.ns}
    parent = {**place, "checkpoint_id": entry.parent_id} if entry.parent_id else None
    rest = {
        "next": [],
        "tasks": [],
        "metadata": metadata,
        "created_at": entry.created_at,
        "checkpoint": place,
        "parent_checkpoint": parent,
        "interrupts": [],
        "checkpoint_id": entry.id,
        "parent_checkpoint_id": entry.parent_id,
    }
    header = {"checkpoint": entry.id, "pending": False, "of_base": True}
    return header, [b"{}", orjson.dumps(rest)]


async def live_view(
    opened: Opened, saver: Saver, store: Any
) -> tuple[dict[str, Any], list[bytes]] | None:
    """Has the library render the live view of the root."""
    configurable = {"thread_id": saver.thread_id, "checkpoint_ns": ""}
    snapshot = await opened.bound(saver, store).aget_state({"configurable": configurable})
    return view_of(state_json(snapshot))


def view_of(state: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """A rendered state as header and blobs."""
    header = {
        "checkpoint": state["checkpoint_id"],
        "pending": bool(state["next"]),
        "of_base": False,
    }
    return header, [encode.dumps(interrupts_by_task(state)), encode.dumps(state)]


def _traced(configurable: dict[str, Any]) -> Any:
    """Sends traces to the run's own LangSmith project, if it names one."""
    project = configurable.get("__langsmith_project__")
    if not project:
        return nullcontext()
    from langsmith import tracing_context
    from langsmith.utils import get_tracer_project

    example = {"reference_example_id": configurable.get("__langsmith_example_id__")}
    own: Any = {"project_name": project, "updates": example}
    usual: Any = {"project_name": get_tracer_project(), "updates": None}
    return tracing_context(replicas=[own, usual])
