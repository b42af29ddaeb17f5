"""Which graph owns a checkpoint namespace, and what that means for rendering."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from langgraph.pregel import Pregel

PUSH = "__pregel_push"
PULL = "__pregel_pull"


class Scope:
    """A graph with its subgraphs, found by namespace."""

    def __init__(self, graph: Pregel) -> None:
        self.graph = graph
        self._subgraphs: dict[str, Any] | None = None

    def owner(self, ns: str) -> Any | None:
        """The graph of a namespace; ``None`` for a subgraph that the library cannot find either."""
        if not ns:
            return self.graph
        if self._subgraphs is None:
            try:
                self._subgraphs = dict(self.graph.get_subgraphs(recurse=True))
            except Exception:
                self._subgraphs = {}
        return self._subgraphs.get(static_path(ns))

    def keys(self, ns: str) -> str | Sequence[str] | None:
        """State channels of the namespace's graph."""
        owner = self.owner(ns)
        return getattr(owner, "stream_channels_asis", None)

    def ordered_tasks(
        self, ns: str, tasks: Sequence[dict[str, Any]], sends: Iterable[str]
    ) -> list[dict[str, Any]]:
        """Tasks of a checkpoint as states show them: with their paths, sent ones first, then in the order of the nodes.

        Streams sort by name instead.
        """
        if not tasks:
            return []
        owner = self.owner(ns)
        nodes = list(getattr(owner, "nodes", ()))
        pushed = [(idx, name) for idx, name in enumerate(sends) if owner is None or name in nodes]
        first = []
        rest = list(tasks)
        for idx, name in pushed:
            if not rest or rest[0]["name"] != name:
                break
            first.append(_task(rest.pop(0), [PUSH, idx, False]))
        place = {name: number for number, name in enumerate(nodes)}
        rest.sort(key=lambda task: place.get(task["name"], len(place)))
        return first + [_task(task, [PULL, task["name"]]) for task in rest]


def _task(task: dict[str, Any], path: list[Any]) -> dict[str, Any]:
    state = task["state"]
    checkpoint = state.get("configurable") if isinstance(state, dict) else None
    return {"id": task["id"], "name": task["name"], "path": path, "checkpoint": checkpoint}


def static_path(ns: str) -> str:
    """A namespace without ids of tasks and numbers of calls."""
    return "|".join(part.split(":")[0] for part in ns.split("|") if not part.isdigit())
