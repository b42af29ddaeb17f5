"""Finds the graphs that ``langgraph.json`` names.

Source: reference/configuration.md, section 3. A graph that cannot be loaded does not keep others from loading.
"""

from __future__ import annotations

import importlib
import traceback
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from langchain_core.embeddings import Embeddings
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import ensure_embeddings

from agent_server_worker.factory import Factory
from agent_server_worker.modules import LoadError, cause, import_file, import_named, split


@dataclass
class Loaded:
    """One entry of ``graphs``: a graph, a factory of graphs, or why there is neither."""

    graph_id: str
    graph: Pregel | None = None
    factory: Factory | None = None
    error: str | None = None
    module: str | None = None
    """Name under which its module was imported."""

    @property
    def name(self) -> str | None:
        """The graph's own name, if it was given one."""
        name = self.graph.name if self.graph is not None else None
        return None if name == "LangGraph" else name


def load_all(specs: list[tuple[str, str]]) -> list[Loaded]:
    """Loads every graph, in order; ``specs`` are ids and ``path:variable``."""
    return [_load_reported(graph_id, spec) for graph_id, spec in specs]


def _load_reported(graph_id: str, spec: str) -> Loaded:
    try:
        return _load(graph_id, spec)
    # User code may also raise SystemExit.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        traceback.print_exc()
        return Loaded(graph_id, error=f"{spec}: {cause(error)}")


def load_embeddings(spec: str) -> Embeddings:
    """What the store embeds with: ``path:variable`` of a Python file or module, else ``provider:model``.

    Raises LoadError, whatever is wrong.
    """
    path, _, variable = spec.rpartition(":")
    try:
        if "/" in path or path.endswith(".py"):
            return ensure_embeddings(_embedding_variable(import_file(path), variable))
        if "." in path and ":" not in path:
            return ensure_embeddings(_embedding_variable(importlib.import_module(path), variable))
        return ensure_embeddings(spec)
    except LoadError as error:
        raise LoadError(f"{spec}: {error}") from None
    # User code may also raise SystemExit.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        traceback.print_exc()
        raise LoadError(f"{spec}: {cause(error)}") from None


def _embedding_variable(module: ModuleType, variable: str) -> Any:
    value = getattr(module, variable, None)
    if value is None:
        raise LoadError(f"Module '{module.__name__}' has no variable '{variable}'.")
    if not callable(value) and not isinstance(value, Embeddings):
        raise LoadError(
            f"Variable '{variable}' in module '{module.__name__}' is neither a function from a list of"
            " strings to a list of vectors nor an embeddings object"
        )
    return value


def _load(graph_id: str, spec: str) -> Loaded:
    named = split(spec)
    if named is None:
        raise LoadError(f"Invalid path '{spec}' for graph '{graph_id}'.")
    path, variable = named
    module = import_named(path)
    value = _variable(module, variable, graph_id)
    if isinstance(value, StateGraph):
        value = value.compile()
    if isinstance(value, Pregel):
        if value.checkpointer not in (None, True, False) or value.store is not None:
            print(f"graph '{graph_id}': its checkpointer and store are replaced by the server's")
        return Loaded(graph_id, graph=value, module=module.__name__)
    if callable(value):
        return Loaded(graph_id, factory=Factory.of(graph_id, value), module=module.__name__)
    raise LoadError(
        f"Variable '{variable}' in module '{module.__name__}' is not a Graph or Graph factory function"
    )


def _variable(module: ModuleType, variable: str, graph_id: str) -> Any:
    if not variable:
        members = [getattr(module, name) for name in sorted(vars(module))]
        for kind in (Pregel, StateGraph):
            for member in members:
                if isinstance(member, kind):
                    return member
        raise LoadError(f"Module '{module.__name__}' holds no graph (graph '{graph_id}')")
    try:
        return getattr(module, variable)
    except AttributeError:
        likely = [
            name
            for name in sorted(vars(module))
            if isinstance(vars(module)[name], (Pregel, StateGraph)) and not name.startswith("_")
        ]
        hint = f" Graphs in it: {', '.join(likely)}." if likely else ""
        text = f"Module '{module.__name__}' has no variable '{variable}'.{hint}"
        raise LoadError(text) from None
