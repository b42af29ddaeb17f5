"""From chunks of the library to events of the stream.

Source: reference/langgraph-python-worker.md, section 7, and reference/streaming.md, 5 and 6. A value is encoded once
and at once: what the library yields is live state.
"""

from __future__ import annotations

from typing import Any

import orjson
from langchain_core.messages import (
    BaseMessage,
    BaseMessageChunk,
    convert_to_messages,
    message_chunk_to_message,
)
from langchain_core.messages.ai import AIMessageChunk
from langchain_core.messages.chat import ChatMessageChunk
from langchain_core.messages.tool import ToolMessageChunk

from agent_server_worker import encode, frames
from agent_server_worker.link import Job
from agent_server_worker.saver import Base, Saver

_METADATA_CACHE = 64


class Emitter:
    """Turns the chunks of one run into frames."""

    def __init__(self, job: Job, saver: Saver | None, modes: list[str], subgraphs: bool) -> None:
        self._send = job.link.connection.send
        self._send_now = job.link.connection.send_now
        self._saver = saver
        self._subgraphs = subgraphs
        self._wanted = frozenset(modes)
        self._number = job.number
        self._headers: dict[str, bytes] = {}
        # The last root values: chunk and bytes.
        self._values: Any = None
        self._values_data = b""
        # The values of the last checkpoint, shared by its checkpoints and debug chunks.
        self._shared: Any = None
        self._shared_data = b""
        self._messages: dict[str, BaseMessage] = {}
        self._metadata: dict[int, tuple[Any, orjson.Fragment]] = {}
        self._tuples = "messages-tuple" in self._wanted

    def library_modes(self) -> list[str]:
        """What the library is asked for."""
        modes: list[str] = [
            mode
            for mode in ("values", "updates", "custom", "tasks", "debug", "checkpoints")
            if mode in self._wanted
        ]
        if self._saver is not None and "checkpoints" not in modes:
            modes.append("checkpoints")
        if "messages" in self._wanted or self._tuples:
            modes.append("messages")
        return modes

    def chunk(self, chunk: tuple[Any, ...]) -> None:
        """Emits what the library yielded."""
        if self._subgraphs:
            ns, mode, data = chunk
        else:
            mode, data = chunk
            ns = ()
        if mode == "values":
            self._emit_values(ns, data)
        elif mode == "messages":
            self._emit_message(ns, *data)
        elif mode == "checkpoints":
            self._emit_checkpoint(ns, data)
        elif mode == "debug":
            self._event(mode, ns, encode.dumps(self._debug(data)))
        else:
            self._event(mode, ns, encode.dumps(data))

    def library_event(self, event: dict[str, Any]) -> None:
        """Emits an event of ``astream_events``."""
        if "langsmith:hidden" not in (event.get("tags") or ()):
            self._event("events", (), encode.dumps(event))

    def _event(self, mode: str, ns: tuple[str, ...], data: bytes, urgent: bool = False) -> None:
        name = "|".join((mode, *ns)) if ns else mode
        header = self._headers.get(name)
        if header is None:
            header = self._headers[name] = orjson.dumps([self._number, name])
        send = self._send_now if urgent else self._send
        send(frames.EVENT, header, (data,))

    def _emit_values(self, ns: tuple[str, ...], values: Any) -> None:
        data = encode.dumps(values)
        if not ns:
            self._values, self._values_data = values, data
        self._event("values", ns, data)

    # Checkpoints.

    def _emit_checkpoint(self, ns: tuple[str, ...], payload: dict[str, Any]) -> None:
        values = self._save_base(ns, payload)
        if "checkpoints" in self._wanted:
            shown = _shown_checkpoint(payload)
            shown["values"] = values
            self._event("checkpoints", ns, encode.dumps(shown))

    def _save_base(self, ns: tuple[str, ...], payload: dict[str, Any]) -> orjson.Fragment:
        """Hands the rendered part of a checkpoint to the saver; returns the values in it."""
        values, data, same = self._checkpoint_values(payload["values"])
        if self._saver is not None:
            configurable = payload["config"]["configurable"]
            base = Base(
                configurable.get("checkpoint_ns") or "",
                configurable["checkpoint_id"],
                data,
                payload["tasks"],
            )
            self._saver.base(base, same and not ns)
        return values

    def _checkpoint_values(self, values: Any) -> tuple[orjson.Fragment, bytes, bool]:
        """The values as JSON, the bytes, and whether they are those of the last root ``values`` event."""
        if values is self._shared and values is not None:
            return orjson.Fragment(self._shared_data), self._shared_data, False
        same = _is_same(values, self._values)
        data = self._values_data if same else encode.dumps(values)
        self._shared, self._shared_data = values, data
        return orjson.Fragment(data), data, same

    def _debug(self, chunk: dict[str, Any]) -> dict[str, Any]:
        if chunk["type"] != "checkpoint":
            return chunk
        payload = chunk["payload"]
        shown = _shown_checkpoint(payload)
        shown["values"] = self._checkpoint_values(payload["values"])[0]
        shown["tasks"] = [_debug_task(task) for task in payload["tasks"]]
        shown["checkpoint"] = _checkpoint_of(payload["config"])
        shown["parent_checkpoint"] = _checkpoint_of(payload["parent_config"])
        return {**chunk, "payload": shown}

    # Messages.

    def _emit_message(self, ns: tuple[str, ...], message: Any, metadata: Any) -> None:
        known = self._metadata.get(id(metadata))
        if known is None:
            if len(self._metadata) >= _METADATA_CACHE:
                self._metadata.clear()
            # The object is kept with it, so that its address is not used again.
            known = (metadata, orjson.Fragment(encode.dumps(metadata)))
            self._metadata[id(metadata)] = known
        shown = known[1]
        if self._tuples:
            self._event("messages", ns, encode.dumps([message, shown]), urgent=True)
            return
        is_raw_chunk = False
        if isinstance(message, dict):
            message, is_raw_chunk = _from_dict(message)
        key = message.id
        so_far = self._messages.get(key)
        if so_far is None:
            self._event("messages/metadata", (), encode.dumps({key: {"metadata": shown}}))
            total = message
        else:
            total = so_far + message  # type: ignore[operator, assignment]
        self._messages[key] = total
        is_chunk = isinstance(message, BaseMessageChunk)
        full = total if is_raw_chunk else message_chunk_to_message(total)  # type: ignore[arg-type]
        name = "messages/partial" if is_chunk else "messages/complete"
        self._event(name, (), encode.dumps([full]), urgent=True)


def _is_same(values: Any, last: Any) -> bool:
    """Whether two states consist of the very same objects."""
    if type(values) is not dict or type(last) is not dict or len(values) != len(last):
        return False
    for (key, value), (other, known) in zip(values.items(), last.items(), strict=True):
        if value is not known or key != other:
            return False
    return True


def shown_config(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """A config as it may leave the process."""
    if config is None:
        return None
    shown = {key: value for key, value in config["configurable"].items() if key[:2] != "__"}
    return {"configurable": shown}


def _shown_checkpoint(payload: dict[str, Any]) -> dict[str, Any]:
    config = shown_config(payload["config"])
    return {**payload, "config": config, "parent_config": shown_config(payload["parent_config"])}


def _checkpoint_of(config: dict[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    configurable = config["configurable"]
    names = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
    return {name: configurable[name] for name in names if name in configurable}


def _debug_task(task: dict[str, Any]) -> dict[str, Any]:
    state = task.get("state")
    if not isinstance(state, dict) or "configurable" not in state:
        return task
    rest = {key: value for key, value in task.items() if key != "state"}
    return {**rest, "checkpoint": state["configurable"]}


def _from_dict(message: dict[str, Any]) -> tuple[BaseMessage, bool]:
    """A message from a plain object, and whether it was a chunk."""
    kind = str(message.get("type") or message.get("role") or "").lower()
    if "chunk" not in kind:
        return convert_to_messages([message])[0], False
    rest = {key: value for key, value in message.items() if key not in ("type", "role")}
    role = str(message.get("role") or kind)
    if "ai" in role or "assistant" in role:
        return AIMessageChunk(**rest), True
    if "tool" in role:
        return ToolMessageChunk(**rest), True
    return ChatMessageChunk(**rest, role=role), True
