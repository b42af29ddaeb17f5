"""Answers questions about graphs and states, without a run.

Source: reference/langgraph-python-worker.md, sections 6, 8 and 9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from langgraph.errors import EmptyInputError, InvalidUpdateError
from langgraph.pregel import Pregel
from langgraph.runtime import Runtime
from langgraph.types import StateUpdate
from pydantic import BaseModel, Field, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from agent_server_worker import encode, frames
from agent_server_worker.config import to_command, with_user
from agent_server_worker.errors import GraphError, Refused, ServerLost
from agent_server_worker.graphs import Graph
from agent_server_worker.link import Job
from agent_server_worker.render import state_json
from agent_server_worker.run import live_view, view_of
from agent_server_worker.saver import Saver

if TYPE_CHECKING:
    from agent_server_worker.worker import Worker

_INTERNAL_CONFIG = (
    "thread_id",
    "checkpoint_id",
    "checkpoint_ns",
    "checkpoint_map",
    "__pregel_checkpointer",
    "__pregel_store",
)

View = tuple[dict[str, Any], list[bytes]]


async def answer(worker: Worker, header: dict[str, Any], blobs: list[bytes]) -> None:
    """Answers one question; every outcome is an answer."""
    job = Job(worker.link, header["job"], is_question=True)
    reply: dict[str, Any] = {"job": job.number, "error": None, "live": None}
    out: list[bytes] = []
    try:
        graph = worker.graphs.get(header["graph"])
        if graph is None:
            raise GraphError(f"Graph '{header['graph']}' not found")
        data, live = await _ANSWERS[header["kind"]](worker, job, graph, header, blobs)
        out = [data]
        # What a graph that is always the same says about itself does not change before its code does.
        reply["lasting"] = graph.is_static and header["kind"] in _DESCRIPTIONS
        if live is not None:
            reply["live"], out = live[0], [data, *live[1]]
    except Exception as error:
        kind = _kind(error)
        if kind == "internal":
            worker.log_failure(f"question about {header['graph']}", error)
        reply["error"] = {"kind": kind, "message": str(error) or type(error).__name__}
    job.send(frames.ANSWER, orjson.dumps(reply), out)


def _kind(error: Exception) -> str:
    if isinstance(error, GraphError):
        return "bad_graph"
    if isinstance(error, NotImplementedError):
        return "invalid"
    if isinstance(error, ServerLost):
        return "unavailable"
    if isinstance(error, (ValueError, InvalidUpdateError, EmptyInputError, Refused)):
        return "refused"
    return "internal"


async def _schemas(
    worker: Worker, job: Job, graph: Graph, header: dict[str, Any], blobs: list[bytes]
) -> tuple[bytes, View | None]:
    async with graph.opened("assistants.read", orjson.loads(blobs[0]), worker.store) as opened:
        return encode.dumps(schemas(opened.bound(None, None))), None


async def _subgraphs(
    worker: Worker, job: Job, graph: Graph, header: dict[str, Any], blobs: list[bytes]
) -> tuple[bytes, View | None]:
    async with graph.opened("assistants.read", orjson.loads(blobs[0]), worker.store) as opened:
        nested = opened.pregel.aget_subgraphs(recurse=header["recurse"])
        return encode.dumps({namespace: schemas(each) async for namespace, each in nested}), None


def schemas(graph: Pregel) -> dict[str, Any]:
    """The JSON schemas of a graph; those that cannot be made are null."""
    return {
        "input_schema": _tried(graph, "input", graph.get_input_jsonschema),
        "output_schema": _tried(graph, "output", graph.get_output_jsonschema),
        "state_schema": _tried(graph, "state", lambda: _state_schema(graph)),
        "config_schema": _tried(graph, "config", lambda: _config_schema(graph)),
        "context_schema": _tried(graph, "context", graph.get_context_jsonschema),
    }


def _tried(graph: Pregel, what: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as error:
        print(f"graph '{graph.name}' has no {what} schema: {type(error).__name__}: {error}")
        return None


def _state_schema(graph: Pregel) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in graph.stream_channels_list:
        kind = getattr(graph.channels[name], "UpdateType", Any)
        try:
            create_model("Probe", probe=(kind, None)).model_json_schema()  # type: ignore[call-overload]
        except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, TypeError, NameError):
            kind = Any
        if name.startswith("_") or hasattr(BaseModel, name):
            # No field can have this name, but its schema can.
            title = name.lstrip("_").replace("_", " ").title()
            fields[f"private_{name}"] = (kind, Field(None, alias=name, title=title))
        else:
            fields[name] = (kind, None)
    model = create_model(graph.get_name("State"), **fields)
    return model.model_json_schema()


def _config_schema(graph: Pregel) -> dict[str, Any]:
    schema = graph.config_schema().model_json_schema()
    definitions = schema.get("$defs") or {}
    found = (schema.get("properties") or {}).get("configurable") or {}
    if "$ref" in found:
        found = definitions.get(found["$ref"].rsplit("/", 1)[1], {})
    properties = {
        name: value
        for name, value in (found.get("properties") or {}).items()
        if name not in _INTERNAL_CONFIG
    }
    if not properties:
        return {}
    kind = getattr(graph, "context_schema", None) or getattr(graph, "config_type", None)
    title = getattr(kind, "__name__", None) or found.get("title") or "Configurable"
    result = {**found, "properties": properties, "title": title}
    if "required" in result:
        result["required"] = [name for name in result["required"] if name in properties]
        if not result["required"]:
            del result["required"]
    rest = {name: value for name, value in definitions.items() if name != "Configurable"}
    return {"$defs": rest, **result} if rest and "$ref" in str(properties) else result


async def _drawing(
    worker: Worker, job: Job, graph: Graph, header: dict[str, Any], blobs: list[bytes]
) -> tuple[bytes, View | None]:
    config = orjson.loads(blobs[0])
    async with graph.opened("assistants.read", config, worker.store) as opened:
        configurable = dict(config.get("configurable") or {})
        configurable["__pregel_runtime"] = Runtime(store=worker.store)
        try:
            drawn = await opened.pregel.aget_graph({"configurable": configurable}, xray=header["xray"])
        except NotImplementedError:
            raise NotImplementedError("The graph does not support visualization") from None
        shown = drawn.to_json()
    for node in shown.get("nodes", []):
        if isinstance(node.get("data"), dict):
            node["data"].pop("id", None)
    return encode.dumps(shown), None


def _thread_config(header: dict[str, Any], data: bytes) -> dict[str, Any]:
    """The config of a question about the state of a thread."""
    config: dict[str, Any] = orjson.loads(data)
    configurable = config.setdefault("configurable", {})
    with_user(configurable)
    configurable.setdefault("checkpoint_ns", "")
    configurable["thread_id"] = header["thread"]
    if not configurable.get("checkpoint_id"):
        # Present but empty would mean: as recorded, not as it is now.
        configurable.pop("checkpoint_id", None)
    return config


async def _state(
    worker: Worker, job: Job, graph: Graph, header: dict[str, Any], blobs: list[bytes]
) -> tuple[bytes, View | None]:
    config = _thread_config(header, blobs[0])
    configurable = config["configurable"]
    async with graph.opened("threads.read", config, worker.store) as opened:
        saver = Saver(job, header["thread"], opened.scope, None)
        bound = opened.bound(saver, worker.store)
        snapshot = await bound.aget_state(config, subgraphs=header["subgraphs"])
        state = state_json(snapshot)
    is_root = not configurable["checkpoint_ns"] and "checkpoint_id" not in configurable
    if is_root and not header["subgraphs"]:
        live = view_of(state)
        return live[1][1], live
    return encode.dumps(state), None


async def _update(
    worker: Worker, job: Job, graph: Graph, header: dict[str, Any], blobs: list[bytes]
) -> tuple[bytes, View | None]:
    config, values = _thread_config(header, blobs[0]), orjson.loads(blobs[1])
    async with graph.opened("threads.update", config, worker.store) as opened:
        saver = Saver(job, header["thread"], opened.scope, None)
        bound = opened.bound(saver, worker.store)
        updated = await bound.aupdate_state(config, values, as_node=header["as_node"])
        live = await live_view(opened, saver, worker.store)
    return _place(updated), live


async def _supersteps(
    worker: Worker, job: Job, graph: Graph, header: dict[str, Any], blobs: list[bytes]
) -> tuple[bytes, View | None]:
    config = _thread_config(header, blobs[0])
    supersteps = [
        [_state_update(update) for update in superstep["updates"]] for superstep in orjson.loads(blobs[1])
    ]
    async with graph.opened("threads.create", config, worker.store) as opened:
        saver = Saver(job, header["thread"], opened.scope, None)
        bound = opened.bound(saver, worker.store)
        updated = await bound.abulk_update_state(config, supersteps)
        live = await live_view(opened, saver, worker.store)
    return _place(updated), live


def _state_update(update: dict[str, Any]) -> StateUpdate:
    command = update.get("command")
    values = to_command(command) if command else update.get("values")
    return StateUpdate(values, update["as_node"])


def _place(config: dict[str, Any]) -> bytes:
    """Where an update led to."""
    names = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")
    new = config["configurable"]
    return encode.dumps({"configurable": {name: new[name] for name in names if name in new}})


_DESCRIPTIONS = ("schemas", "drawing", "subgraphs")
"""Questions about the graph alone."""

_ANSWERS = {
    "schemas": _schemas,
    "drawing": _drawing,
    "subgraphs": _subgraphs,
    "state": _state,
    "update": _update,
    "supersteps": _supersteps,
}
