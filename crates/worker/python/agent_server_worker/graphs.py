"""The loaded graphs, opened for one use at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

from langgraph.pregel import Pregel

from agent_server_worker.config import with_user
from agent_server_worker.errors import GraphError
from agent_server_worker.factory import server_runtime
from agent_server_worker.loader import Loaded
from agent_server_worker.scope import Scope


class Graph:
    """A graph of the configuration with what is known about it."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.graph_id = loaded.graph_id
        # Of a graph that is always the same; a factory's may differ from use to use.
        self.is_static = loaded.graph is not None
        self._scope = Scope(loaded.graph) if loaded.graph is not None else None
        self._context_shape: _ContextShape | None = None

    @asynccontextmanager
    async def opened(
        self, access: str, config: dict[str, Any], store: Any, context: Any = None
    ) -> AsyncIterator[Opened]:
        """The graph for one use."""
        if self.loaded.error is not None:
            raise GraphError(f"Graph '{self.graph_id}' failed to load: {self.loaded.error}")
        if self._scope is not None:
            yield Opened(self, self._scope)
            return
        assert self.loaded.factory is not None
        executes = access == "threads.create_run"
        configurable = dict(config.get("configurable") or {})
        user = with_user(configurable)
        runtime = server_runtime(access, user, store, context, executes=executes)
        configurable["__pregel_runtime"] = runtime
        configurable["__is_for_execution__"] = executes
        given: Any = {"tags": [], "metadata": {}, "callbacks": None}
        given.update({key: value for key, value in config.items() if key in _FACTORY_KEYS})
        given.setdefault("recursion_limit", _DEFAULT_RECURSION_LIMIT)
        given["configurable"] = configurable
        async with self.loaded.factory.graph(given, runtime) as graph:
            yield Opened(self, Scope(graph))

    def context_shape(self, graph: Pregel) -> _ContextShape:
        """What the graph's context takes."""
        if not self.is_static:
            return _ContextShape.of(graph)
        if self._context_shape is None:
            self._context_shape = _ContextShape.of(graph)
        return self._context_shape


class Opened:
    """A graph in use."""

    def __init__(self, graph: Graph, scope: Scope) -> None:
        self.info = graph
        self.scope = scope
        self.pregel = scope.graph

    def bound(self, checkpointer: Any, store: Any) -> Pregel:
        """A copy with the server's checkpointer and store.

        The user's object is shared by concurrent runs and must not be changed.
        """
        # Not its own ``copy``, which builds and checks everything anew.
        bound = copy(self.pregel)
        bound.checkpointer = checkpointer
        bound.store = store
        if bound.name == "LangGraph":
            bound.name = self.info.graph_id
        return bound

    def hide_undeclared(self, configurable: dict[str, Any], context: dict[str, Any] | None) -> None:
        """Takes those names of a given context out of the configurable that the graph's context does not know."""
        names = self.info.context_shape(self.pregel).names
        if names is not None:
            for name in context or ():
                if name not in names:
                    configurable.pop(name, None)

    def context(self, given: dict[str, Any] | None) -> dict[str, Any] | None:
        """The context for a run: without names that the graph's context does not know."""
        shape = self.info.context_shape(self.pregel)
        if shape.names is None:
            return given or None
        known = {key: value for key, value in (given or {}).items() if key in shape.names}
        # Without any value a context with defaults can be made, one with required members cannot.
        return None if not known and shape.has_required else known


@dataclass(frozen=True)
class _ContextShape:
    """Members of a graph's context."""

    names: frozenset[str] | None
    """``None`` if it takes anything."""
    has_required: bool

    @classmethod
    def of(cls, graph: Pregel) -> _ContextShape:
        try:
            schema = graph.get_context_jsonschema() or {}
        except Exception:
            schema = {}
        properties = schema.get("properties")
        return cls(frozenset(properties) if properties else None, bool(schema.get("required")))


_FACTORY_KEYS = ("tags", "metadata", "recursion_limit")
_DEFAULT_RECURSION_LIMIT = 10011
