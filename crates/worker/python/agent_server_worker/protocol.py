"""Runs of the event protocol: the library's second stream form with its content-block messages, as events of the run.

All channels flow, whatever the graph was compiled with. Transformers of the graph, and those that its module exports as
``stream_transformers``, see every event before it is sent, as the library has it; what they push to named channels is sent
as ``custom:<name>``. The server makes the protocol's envelopes of what is sent here.

Source: reference/event-streaming-v2.md, section 4.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk, ToolMessage

from agent_server_worker import encode
from agent_server_worker.emit import Emitter, shown_config
from agent_server_worker.link import Job
from agent_server_worker.saver import Saver

try:
    from langchain_core.language_models._compat_bridge import message_to_events
    from langgraph._internal._constants import CONFIG_KEY_STREAM_MESSAGES_V2
    from langgraph.stream import LifecycleTransformer
    from langgraph.stream._convert import convert_to_protocol_event
    from langgraph.stream._mux import StreamMux
except ImportError:
    # An older library: such runs are streamed as all others are.
    IS_SUPPORTED = False
else:
    IS_SUPPORTED = True

# Set by the server in the configurable of a run that a command of the protocol has started.
MARK = "__event_streaming_v2"

_LIBRARY_MODES = ("values", "updates", "messages", "tools", "custom", "tasks", "checkpoints")

Factory = Callable[[tuple[str, ...]], Any]


def is_marked(config: dict[str, Any]) -> bool:
    """Whether a run is one of the protocol."""
    return IS_SUPPORTED and bool(config["configurable"].get(MARK))


def transformers_of(graph: Any, module: str | None) -> list[Factory]:
    """What is to see the events of a graph: its own transformers, and those of its module."""
    own: Sequence[Factory] = getattr(graph, "stream_transformers", ()) or ()
    exported = getattr(sys.modules.get(module or ""), "stream_transformers", None)
    made = exported() if callable(exported) else ()
    return [*own, *(made or ())]


class ProtocolEmitter(Emitter):
    """Turns the parts of one run into frames."""

    def __init__(
        self, job: Job, saver: Saver | None, modes: list[str], factories: list[Factory]
    ) -> None:
        super().__init__(job, saver, modes, True)
        self._mux = StreamMux(factories=[LifecycleTransformer, *factories], is_async=True)
        self._required = {
            mode
            for transformer in self._mux._transformers
            for mode in getattr(transformer, "required_stream_modes", ())
        }
        # Called for every event that the transformers let through, at once and in order.
        self._mux._events._wire(self._forward)
        self._graph_names: dict[tuple[str, ...], str] = {}
        # Ids of the messages that are being streamed, by the runs of their models.
        self._message_ids: dict[str, str] = {}

    def library_modes(self) -> list[str]:
        """What the library is asked for."""
        modes = [mode for mode in _LIBRARY_MODES if mode in self._wanted]
        if self._saver is not None and "checkpoints" not in modes:
            modes.append("checkpoints")
        return [*modes, *sorted(self._required.difference(modes))]

    def prepare(self, graph: Any, config: dict[str, Any]) -> dict[str, Any]:
        """The config for a run of the graph, a copy of the user's that may be changed."""
        # States are sent and saved as they are in other runs: plain objects.
        graph._output_mapper = graph._state_mapper = None
        configurable = {**config["configurable"], CONFIG_KEY_STREAM_MESSAGES_V2: True}
        return {**config, "configurable": configurable}

    async def part(self, part: dict[str, Any]) -> None:
        """Emits what the library yielded."""
        ns, mode, data = part["ns"], part["type"], part["data"]
        if mode == "checkpoints":
            self._emit_checkpoint(ns, data)
        elif mode == "tasks" and mode in self._wanted:
            # The transformers make events of a lifecycle of these, and keep them to themselves.
            self._event(mode, ns, encode.dumps(data))
        await self._mux.apush(convert_to_protocol_event(part))

    async def finish(self) -> None:
        """The graph has come to its end: transformers may have something left to say."""
        await self._mux.aclose()

    async def fail(self, error: BaseException) -> None:
        """The graph has failed, and so have its subgraphs that are at work."""
        await self._mux.afail(error)

    def _forward(self, event: dict[str, Any]) -> None:
        params = event["params"]
        method, data, ns = event["method"], params["data"], tuple(params["namespace"])
        if method.startswith("custom:"):
            self._event(method, ns, encode.dumps(data))
        elif method == "lifecycle":
            self._lifecycle(data)
        elif method not in self._wanted:
            # Asked for by a transformer alone.
            return
        elif method == "values":
            self._values_of(ns, data, params.get("interrupts"))
        elif method == "messages":
            self._message(ns, *data)
        elif method in ("updates", "custom", "tools"):
            self._event(method, ns, encode.dumps(data), urgent=method == "tools")

    def _values_of(self, ns: tuple[str, ...], values: Any, interrupts: Any) -> None:
        if interrupts and isinstance(values, dict):
            values = {**values, "__interrupt__": interrupts}
        self._emit_values(ns, values)

    def _emit_checkpoint(self, ns: tuple[str, ...], payload: dict[str, Any]) -> None:
        self._save_base(ns, payload)
        if "checkpoints" not in self._wanted:
            return
        config, parent = shown_config(payload["config"]), shown_config(payload["parent_config"])
        metadata = payload["metadata"]
        shown = {"id": config["configurable"]["checkpoint_id"]} if config else {}
        if parent:
            shown["parent_id"] = parent["configurable"]["checkpoint_id"]
        shown.update({name: metadata[name] for name in ("step", "source") if name in metadata})
        self._event("checkpoints", ns, encode.dumps(shown))

    def _lifecycle(self, data: dict[str, Any]) -> None:
        ns = tuple(data["namespace"])
        if data["event"] == "started":
            self._graph_names[ns] = data.get("graph_name") or ""
            shown = data
        elif data["event"] == "drained":
            # It goes on elsewhere.
            return
        else:
            shown = {key: value for key, value in data.items() if key != "namespace"}
            shown["graph_name"] = self._graph_names.get(ns, "")
        self._event("lifecycle", ns, encode.dumps(shown))

    # Messages.

    def _message(self, ns: tuple[str, ...], message: Any, metadata: dict[str, Any]) -> None:
        node = metadata.get("langgraph_node")
        if isinstance(message, dict) and "event" in message:
            self._message_event(ns, node, self._with_id(message, str(metadata.get("run_id"))))
        elif isinstance(message, BaseMessage) and not isinstance(
            message, (BaseMessageChunk, ToolMessage)
        ):
            # One that came whole. Results of tools have events of their own.
            for event in message_to_events(message, message_id=message.id):
                if event["event"] == "message-start":
                    event = {**event, "role": message.type}
                self._message_event(ns, node, {**event, "id": message.id})

    def _with_id(self, event: dict[str, Any], model_run: str) -> dict[str, Any]:
        """The event with the id of its message, by which clients tell messages of one graph apart."""
        if event["event"] == "message-start":
            id = event.get("id") or event.get("message_id")
            if id:
                self._message_ids[model_run] = id
            return event
        id = self._message_ids.get(model_run)
        if event["event"] in ("message-finish", "error"):
            self._message_ids.pop(model_run, None)
        return {**event, "id": id} if id else event

    def _message_event(self, ns: tuple[str, ...], node: str | None, event: dict[str, Any]) -> None:
        self._event("messages", ns, encode.dumps([event, {"langgraph_node": node}]), urgent=True)

