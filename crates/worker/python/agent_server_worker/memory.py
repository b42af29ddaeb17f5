"""Checkpoints of one run in their stored form: what came with the order, and what the run itself has put.

The library reads back what it wrote (the state at the end, subgraphs that are called again). Answering that here saves
the round trip, and decoding a copy keeps such readers from changing live state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import ormsgpack
from langgraph.checkpoint.base import CheckpointTuple

TASKS = "__pregel_tasks"

# Text up to this length is kept with the checkpoint itself instead of in a blob of its own.
_INLINE_TEXT = 64
_INLINE_INT = 2**63

Blob = tuple[str, str, bytes]
"""Version, type tag, bytes."""


@dataclass(slots=True)
class Write:
    """One write of a task."""

    idx: int
    channel: str
    type_tag: str
    data: bytes


@dataclass(slots=True)
class TaskLog:
    """The writes of one task, by index."""

    path: str | None
    """Order key; unknown for tasks that came from the server."""
    writes: dict[int, Write] = field(default_factory=dict)


@dataclass(slots=True)
class Entry:
    """One checkpoint."""

    thread_id: str
    ns: str
    id: str
    parent_id: str | None
    metadata: bytes
    small: bytes
    blobs: dict[str, Blob | None]
    """By channel; ``None`` where only the server has the bytes."""
    created_at: str = ""
    loaded: bool = False
    """Whether it came from the server."""
    mixed: bool = False
    """Came from the server with writes and got more: only the server knows the order of all."""
    tasks: dict[str, TaskLog] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether it can be read without the server."""
        return not self.mixed and None not in self.blobs.values()

    def logs(self) -> list[tuple[str, TaskLog]]:
        """Tasks in the order of the library."""
        if self.loaded:
            return list(self.tasks.items())
        return sorted(self.tasks.items(), key=lambda item: (item[1].path or "", item[0]))

    def config(self) -> Any:
        """What names it."""
        return config_of(self.thread_id, self.ns, self.id)

    def decoded(self, serde: Any) -> CheckpointTuple:
        """Makes what the library reads."""
        small = ormsgpack.unpackb(self.small, option=ormsgpack.OPT_NON_STR_KEYS)
        values = small.pop("inline")
        for channel, blob in self.blobs.items():
            if blob is not None:
                values[channel] = serde.loads_typed((blob[1], blob[2]))
        checkpoint: Any = {"id": self.id, "channel_values": values, **small}
        parent = config_of(self.thread_id, self.ns, self.parent_id) if self.parent_id else None
        writes = [
            (task_id, write.channel, serde.loads_typed((write.type_tag, write.data)))
            for task_id, log in self.logs()
            for _, write in sorted(log.writes.items())
        ]
        metadata = orjson.loads(self.metadata)
        return CheckpointTuple(self.config(), checkpoint, metadata, parent, writes)


def config_of(thread_id: str, ns: str, checkpoint_id: str | None) -> Any:
    """A config that names a checkpoint."""
    return {
        "configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": ns,
            "checkpoint_id": checkpoint_id,
        }
    }


def stays_inline(value: Any) -> bool:
    """Whether a channel value is kept with the checkpoint. Depends on the value alone, so that the answer is the same
    at every checkpoint that holds it."""
    if value is None:
        return True
    kind = type(value)
    if kind is str:
        return len(value) <= _INLINE_TEXT and value.isprintable()
    if kind is int:
        return -_INLINE_INT <= value < _INLINE_INT
    return kind is bool or kind is float


def small_part(checkpoint: dict[str, Any], inline: dict[str, Any]) -> bytes:
    """Everything of a checkpoint but its id and blobs."""
    small = {
        "v": checkpoint["v"],
        "ts": checkpoint["ts"],
        "channel_versions": checkpoint["channel_versions"],
        "versions_seen": checkpoint["versions_seen"],
        "updated_channels": checkpoint.get("updated_channels"),
        "inline": inline,
    }
    return ormsgpack.packb(small, option=ormsgpack.OPT_NON_STR_KEYS)


def from_frame(thread_id: str, head: dict[str, Any], blobs: list[bytes]) -> Entry:
    """Reads a checkpoint that the server sent."""
    at = 2 + len(head["blobs"])
    entry = Entry(
        thread_id=thread_id,
        ns=head["ns"],
        id=head["id"],
        parent_id=head["parent"],
        metadata=blobs[0],
        small=blobs[1],
        blobs={
            channel: (version, type_tag, data)
            for (channel, version, type_tag), data in zip(head["blobs"], blobs[2:at], strict=True)
        },
        loaded=True,
    )
    for (task, idx, channel, type_tag), data in zip(head["writes"], blobs[at:], strict=True):
        log = entry.tasks.setdefault(task, TaskLog(None))
        log.writes[idx] = Write(idx, channel, type_tag, data)
    return entry
