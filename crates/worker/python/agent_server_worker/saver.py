"""The checkpointer of one run: what the library saves goes to the server as frames, without waiting.

Ordering: frames of a connection are processed in the order in which they were sent, and a flush is answered when
everything before it is durable. Versions are text with a random part: with plain numbers two branches of a thread
would overwrite each other's values.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

import orjson
from langgraph.checkpoint.base import WRITES_IDX_MAP, BaseCheckpointSaver, CheckpointTuple

from agent_server_worker import encode, frames
from agent_server_worker.link import Job
from agent_server_worker.memory import (
    TASKS,
    Entry,
    TaskLog,
    Write,
    config_of,
    from_frame,
    small_part,
    stays_inline,
)
from agent_server_worker.render import task_status
from agent_server_worker.scope import Scope

NO_TASK = "00000000-0000-0000-0000-000000000000"

# Configurable keys that are no metadata of a checkpoint. Source: reference/langgraph-python-worker.md, 4.1.
_NOT_METADATA = frozenset(
    (
        "checkpoint_ns",
        "checkpoint_id",
        "run_id",
        "thread_id",
        "langgraph_auth_user",
        "langgraph_auth_permissions",
        "langgraph_auth_user_id",
        "langgraph_request_id",
    )
)
_LAST = ("langgraph_auth_user_id", "langgraph_request_id")

T = TypeVar("T")


class _Memory:
    """State of a saver. A separate object because the library copies savers shallowly."""

    def __init__(self) -> None:
        self.heads: dict[tuple[str, str], Entry | None] = {}
        self.by_id: dict[tuple[str, str, str], Entry] = {}
        # Writes that came before their checkpoint was put.
        self.early: dict[tuple[str, str, str], dict[str, TaskLog]] = {}
        # Of checkpoints with tasks that were sent: the nodes, in order.
        self.sends: dict[str, list[str]] = {}
        self.put_ids: set[str] = set()
        # Rendered parts that wait for their checkpoint to be put.
        self.bases: dict[tuple[str, str], Base] = {}
        self.head_id: str | None = None
        self.is_fresh = False
        # Id of the thread's newest checkpoint where it is not the one that the run starts from, until it was asked for.
        self.newer: str | None = None
        self.last_base: Base | None = None
        self.warned = False


class Base:
    """The rendered part of a checkpoint, from the stream mode ``checkpoints``."""

    __slots__ = ("id", "ns", "tasks", "values")

    def __init__(
        self, ns: str, checkpoint_id: str, values: bytes, tasks: list[dict[str, Any]]
    ) -> None:
        self.ns = ns
        self.id = checkpoint_id
        self.values = values
        self.tasks = tasks


class Saver(BaseCheckpointSaver[str]):
    """Saves and loads for one job."""

    def __init__(self, job: Job, thread_id: str, scope: Scope, durability: str | None) -> None:
        super().__init__()
        self.job = job
        self.thread_id = thread_id
        self.scope = scope
        self.durability = durability
        self.memory = _Memory()

    def begin(self, head_id: str | None, start: Entry | None) -> None:
        """Takes in what came with a run's order."""
        memory = self.memory
        memory.head_id = head_id
        memory.is_fresh = head_id is None
        if start is not None and start.id != head_id:
            memory.by_id[(self.thread_id, start.ns, start.id)] = start
            memory.newer = head_id
        elif start is not None or head_id is None:
            memory.heads[(self.thread_id, "")] = start
        if start is not None:
            self._note_sends(start)
            memory.put_ids.add(start.id)

    # Reading.

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        entry = await self._find(config["configurable"])
        if entry is None:
            return None
        if isinstance(entry, str):
            # Only the id is looked at: whether the thread has moved on.
            found = config_of(self.thread_id, "", entry)
            known: Any = {"id": entry}
            return CheckpointTuple(found, known, {}, None, [])
        return entry.decoded(self.serde)

    async def _find(self, configurable: dict[str, Any]) -> Entry | str | None:
        thread_id = str(configurable["thread_id"])
        ns = configurable.get("checkpoint_ns") or ""
        wanted = configurable.get("checkpoint_id")
        memory = self.memory
        key = (thread_id, ns)
        head = memory.heads.get(key)
        if wanted:
            known = head if head and head.id == wanted else memory.by_id.get((*key, wanted))
            if known is not None and known.is_complete:
                return known
        elif head is not None:
            if head.is_complete:
                return head
        elif key in memory.heads or self._is_new(thread_id, ns, configurable):
            return None
        elif memory.newer and not ns and thread_id == self.thread_id:
            newer, memory.newer = memory.newer, None
            return newer
        header = {"thread": thread_id, "ns": ns, "checkpoint": wanted}
        reply, blobs = await self.job.request(frames.LOAD, header)
        if reply["tuple"] is None:
            return None
        entry = from_frame(thread_id, reply["tuple"], blobs)
        self._note_sends(entry)
        memory.put_ids.add(entry.id)
        if wanted:
            memory.by_id[(*key, wanted)] = entry
        else:
            memory.heads[key] = entry
        return entry

    def _is_new(self, thread_id: str, ns: str, configurable: dict[str, Any]) -> bool:
        """Whether the namespace cannot hold anything yet.

        So it is if its name contains the id of a task of a checkpoint that this run made. Checkpoint ids grow in text
        order.
        """
        if thread_id != self.thread_id or not ns or self.job.is_question:
            return False
        if self.memory.is_fresh:
            return True
        root = (configurable.get("checkpoint_map") or {}).get("")
        head = self.memory.head_id
        return bool(":" in ns and root and head and root > head)

    async def alist(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        # Along the parents of the head: other branches are not seen from inside a graph.
        end = ((before or {}).get("configurable") or {}).get("checkpoint_id")
        found = 0
        cursor = config
        while cursor is not None and (limit is None or found < limit):
            item = await self.aget_tuple(cursor)
            if item is None:
                return
            cursor = item.parent_config
            if end and item.config["configurable"]["checkpoint_id"] >= end:
                continue
            metadata: Any = item.metadata
            if filter and any(metadata.get(key) != value for key, value in filter.items()):
                continue
            found += 1
            yield item

    # Writing.

    def get_next_version(self, current: Any, channel: None) -> str:
        if current is None:
            number = 0
        elif isinstance(current, int):
            number = current
        else:
            number = int(str(current).split(".")[0])
        return f"{number + 1:032}.{random.random():016}"

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        configurable = config["configurable"]
        thread_id, ns = str(configurable["thread_id"]), configurable.get("checkpoint_ns") or ""
        versions = checkpoint["channel_versions"]
        memory = self.memory
        key = (thread_id, ns)
        inline: dict[str, Any] = {}
        refs: list[tuple[str, str]] = []
        new: list[tuple[str, str, str]] = []
        blobs: dict[str, tuple[str, str, bytes] | None] = {}
        data: list[bytes] = []
        older = memory.heads.get(key)
        for channel, value in checkpoint["channel_values"].items():
            if stays_inline(value):
                inline[channel] = value
                continue
            version = str(versions[channel])
            refs.append((channel, version))
            if channel in new_versions:
                tag, encoded = self.serde.dumps_typed(value)
                new.append((channel, version, tag))
                data.append(encoded)
                blobs[channel] = (version, tag, encoded)
            else:
                known = older.blobs.get(channel) if older else None
                blobs[channel] = known if known and known[0] == version else None
        entry = Entry(
            thread_id=thread_id,
            ns=ns,
            id=checkpoint["id"],
            parent_id=configurable.get("checkpoint_id") or None,
            metadata=encode.dumps(_metadata(config, metadata)),
            small=small_part(checkpoint, inline),
            blobs=blobs,
            created_at=checkpoint["ts"],
        )
        entry.tasks = memory.early.pop((*key, entry.id), {})
        memory.heads[key] = entry
        self._forget(key, entry.parent_id or "")
        if sends := checkpoint["channel_values"].get(TASKS):
            memory.sends[entry.id] = [send.node for send in sends]
        if self._is_foreign(thread_id):
            return entry.config()
        header = {
            "job": self.job.number,
            "ns": ns,
            "id": entry.id,
            "parent": entry.parent_id,
            "ts": entry.created_at,
            "step": metadata.get("step", -1),
            "source": metadata.get("source", "loop"),
            "refs": refs,
            "blobs": new,
        }
        self.job.send(frames.PUT, orjson.dumps(header), [entry.metadata, entry.small, *data])
        memory.put_ids.add(entry.id)
        if base := memory.bases.pop((ns, entry.id), None):
            self._send_base(base, same=False)
        if self.durability == "sync":
            await self.job.flush()
        return entry.config()

    async def aput_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        configurable = config["configurable"]
        thread_id, ns = str(configurable["thread_id"]), configurable.get("checkpoint_ns") or ""
        checkpoint_id = configurable["checkpoint_id"]
        log = self._log(thread_id, ns, checkpoint_id, task_id, task_path)
        older = sorted(log.writes.items())
        values: dict[int, tuple[str, Any]] = {}
        new: list[Write] = []
        for position, (channel, value) in enumerate(writes):
            idx = WRITES_IDX_MAP.get(channel, position)
            tag, encoded = self.serde.dumps_typed(value)
            write = Write(idx, channel, tag, encoded)
            new.append(write)
            if idx >= 0 and idx in log.writes:
                continue
            log.writes[idx] = write
            values[idx] = (channel, value)
        for idx, write in older:
            if idx not in values:
                decoded = self.serde.loads_typed((write.type_tag, write.data))
                values[idx] = (write.channel, decoded)
        if task_id == NO_TASK:
            sends = [value.node for channel, value in writes if channel == TASKS]
            if sends:
                self.memory.sends[checkpoint_id] = sends
        if self._is_foreign(thread_id):
            return
        status = task_status([values[idx] for idx in sorted(values)], self.scope.keys(ns))
        header = {
            "job": self.job.number,
            "ns": ns,
            "checkpoint": checkpoint_id,
            "task": task_id,
            "path": task_path,
            "writes": [(write.idx, write.channel, write.type_tag) for write in new],
        }
        blobs = [encode.dumps(status), *(write.data for write in new)]
        self.job.send(frames.WRITES, orjson.dumps(header), blobs)

    def _log(self, thread_id: str, ns: str, checkpoint_id: str, task_id: str, path: str) -> TaskLog:
        memory = self.memory
        entry = memory.heads.get((thread_id, ns))
        if entry is None or entry.id != checkpoint_id:
            entry = memory.by_id.get((thread_id, ns, checkpoint_id))
        if entry is None:
            tasks = memory.early.setdefault((thread_id, ns, checkpoint_id), {})
        else:
            tasks = entry.tasks
            entry.mixed = entry.mixed or (entry.loaded and bool(tasks))
        log = tasks.get(task_id)
        if log is None:
            log = tasks[task_id] = TaskLog(path)
        return log

    def _forget(self, key: tuple[str, str], before: str) -> None:
        """Drops writes of checkpoints that nothing will read again from here."""
        early = self.memory.early
        for old in [old for old in early if old[:2] == key and old[2] < before]:
            del early[old]

    def _is_foreign(self, thread_id: str) -> bool:
        """Whether user code runs a graph of its own on another thread with this saver.

        Such state lives as long as the run: nothing may be written to a thread whose lease the run does not hold.
        """
        if thread_id == self.thread_id:
            return False
        if not self.memory.warned:
            self.memory.warned = True
            own = self.thread_id
            print(f"state of thread {thread_id} is not saved: the run is one of thread {own}")
        return True

    # Rendered parts.

    def base(self, base: Base, same: bool) -> None:
        """Takes a rendered part in. ``same``: its values are those of the last root ``values`` event."""
        memory = self.memory
        if base.id in memory.put_ids:
            self._send_base(base, same)
            return
        if self.durability == "exit":
            # Of the checkpoints of this run only the last one will ever be put.
            for key in [key for key in memory.bases if key[0] == base.ns]:
                del memory.bases[key]
        memory.bases[(base.ns, base.id)] = base

    def _send_base(self, base: Base, same: bool) -> None:
        sends = self.memory.sends.get(base.id, ())
        tasks = self.scope.ordered_tasks(base.ns, base.tasks, sends)
        header = {
            "job": self.job.number,
            "ns": base.ns,
            "checkpoint": base.id,
            "next": [task["name"] for task in tasks],
            "tasks": tasks,
        }
        self.job.send(frames.BASE, orjson.dumps(header), () if same else (base.values,))
        if not base.ns:
            self.memory.last_base = base

    def _note_sends(self, entry: Entry) -> None:
        blob = entry.blobs.get(TASKS)
        if blob is not None:
            sends = self.serde.loads_typed((blob[1], blob[2]))
            self.memory.sends[entry.id] = [send.node for send in sends]

    def finished_state(self) -> tuple[Entry, Base] | None:
        """The root's last checkpoint and its rendered part, if they belong together and no task is left.

        Then the two are the thread's state, and the library need not be asked.
        """
        entry, base = self.memory.heads.get((self.thread_id, "")), self.memory.last_base
        if entry is None or base is None or entry.id != base.id or entry.loaded or base.tasks:
            return None
        return entry, base

    # For user code that runs graphs synchronously, in a thread.

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        loop = self.job.loop
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is loop:
            work.close()
            raise RuntimeError(
                "Synchronous graph calls are not possible in async code; use the async methods."
            )
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        return self._wait(self.aget_tuple(config))

    def list(
        self, config: Any, *, filter: Any = None, before: Any = None, limit: int | None = None
    ) -> Iterator[CheckpointTuple]:
        async def collect() -> list[CheckpointTuple]:
            items = self.alist(config, filter=filter, before=before, limit=limit)
            return [item async for item in items]

        yield from self._wait(collect())

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        return self._wait(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._wait(self.aput_writes(config, writes, task_id, task_path))


# The library looks at these for every run; finding a signature takes longer than a write.
for _method in (Saver.put_writes, Saver.aput_writes):
    _method.__signature__ = inspect.signature(_method)  # type: ignore[attr-defined]


def _metadata(config: Any, metadata: Any) -> dict[str, Any]:
    """Metadata of a checkpoint as clients see and filter it."""
    configurable = config["configurable"]
    merged = {
        key: value
        for key, value in configurable.items()
        if key not in _NOT_METADATA and not key.startswith("__")
    }
    merged.update(config.get("metadata") or {})
    merged.update(metadata)
    for key in _LAST:
        if key in configurable:
            merged[key] = configurable[key]
    return merged
