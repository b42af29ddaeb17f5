"""The JSON forms of state: task status, thread states, interrupts.

Source: reference/langgraph-python-worker.md, section 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.types import Interrupt, StateSnapshot

ERROR = "__error__"
INTERRUPT = "__interrupt__"
RETURN = "__return__"

# Channels that say what happened to a task; every other write is output, and output means that the task has finished.
CONTROL = frozenset((ERROR, INTERRUPT, "__error_source_node__", "__resume__"))

_CHECKPOINT_KEYS = ("checkpoint_id", "thread_id", "checkpoint_ns")


def interrupt_json(interrupt: Any) -> dict[str, Any]:
    """An interrupt in a state; streams show the schema also when there is none."""
    if not isinstance(interrupt, Interrupt):
        return {"id": None, "value": interrupt}
    shown = {"id": interrupt.id, "value": interrupt.value}
    schema = getattr(interrupt, "response_schema", None)
    if schema is not None:
        shown["response_schema"] = schema
    return shown


def error_text(error: Any) -> str | None:
    """How a state shows a task's error. What was saved is the text already."""
    return error if error is None or isinstance(error, str) else repr(error)


def task_status(
    writes: Sequence[tuple[str, Any]], keys: str | Sequence[str] | None
) -> dict[str, Any]:
    """Status of a task, from everything that it wrote. ``keys`` are the state channels of its graph."""
    output = [write for write in writes if write[0] not in CONTROL]
    interrupts: list[dict[str, Any]] = []
    error = None
    for channel, value in writes:
        if channel == INTERRUPT:
            raised = value if isinstance(value, Sequence) else [value]
            interrupts += [interrupt_json(each) for each in raised]
        elif channel == ERROR and error is None:
            error = error_text(value)
    return {
        "finished": bool(output),
        "result": _result(output, keys) if output else None,
        "interrupts": interrupts,
        "error": error,
    }


def _result(output: list[tuple[str, Any]], keys: str | Sequence[str] | None) -> Any:
    for channel, value in output:
        if channel == RETURN:
            return value
    if isinstance(keys, str):
        return _folded([write for write in output if write[0] == keys]).get(keys)
    if keys is None:
        # A graph that cannot be addressed: what looks like state.
        shown = [write for write in output if not write[0].startswith(("__", "branch:", "join:"))]
    else:
        shown = [write for write in output if write[0] in keys]
    return _folded(shown)


def _folded(writes: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    many: dict[str, list[Any]] = {}
    for channel, value in writes:
        if channel in many:
            many[channel].append(value)
        elif channel in result:
            many[channel] = [result[channel], value]
            result[channel] = {"$writes": many[channel]}
        else:
            result[channel] = value
    return result


def checkpoint_json(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A checkpoint as states show it; ``None`` if the config names none."""
    configurable = (config or {}).get("configurable") or {}
    if not configurable.get("checkpoint_id"):
        return None
    shown = {key: configurable.get(key) for key in _CHECKPOINT_KEYS}
    shown["checkpoint_ns"] = shown["checkpoint_ns"] or ""
    if configurable.get("checkpoint_map"):
        shown["checkpoint_map"] = configurable["checkpoint_map"]
    return shown


def state_json(snapshot: StateSnapshot) -> dict[str, Any]:
    """A thread state, nested states included."""
    tasks: list[dict[str, Any]] = []
    for task in snapshot.tasks:
        nested, checkpoint = None, None
        if isinstance(task.state, StateSnapshot):
            nested = state_json(task.state)
        elif task.state:
            checkpoint = task.state["configurable"]
        tasks.append(
            {
                "id": task.id,
                "name": task.name,
                "path": task.path,
                "error": error_text(task.error),
                "interrupts": [interrupt_json(each) for each in task.interrupts],
                "checkpoint": checkpoint,
                "state": nested,
                "result": task.result,
            }
        )
    checkpoint = checkpoint_json(snapshot.config)
    parent = checkpoint_json(snapshot.parent_config)
    return {
        "values": snapshot.values,
        "next": list(snapshot.next),
        "tasks": tasks,
        "metadata": snapshot.metadata,
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "interrupts": [each for task in tasks for each in task["interrupts"]],
        "checkpoint_id": checkpoint and checkpoint["checkpoint_id"],
        "parent_checkpoint_id": parent and parent["checkpoint_id"],
    }


def interrupts_by_task(state: Mapping[str, Any]) -> dict[str, Any]:
    """Task id to interrupts, of the tasks that have some."""
    return {task["id"]: task["interrupts"] for task in state["tasks"] if task["interrupts"]}
