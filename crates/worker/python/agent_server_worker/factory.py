"""Graph factories: callables that make a graph for each use.

Source: reference/langgraph-python-worker.md, 2.2.
"""

from __future__ import annotations

import inspect
import time
import typing
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from agent_server_worker.errors import GraphError

try:
    from langgraph_sdk import runtime as sdk_runtime
except ImportError:  # Older SDK.
    sdk_runtime = None  # type: ignore[assignment]

# A factory is called on every use of its graph, so a slow one makes everything slow.
_SLOW_SECONDS = 0.1


@dataclass
class Factory:
    """A callable and what it wants to be given."""

    graph_id: str
    function: Callable[..., Any]
    config: str | None
    """Parameter for the config."""
    runtime: str | None
    """Parameter for the server's runtime."""
    by_keyword: bool

    @classmethod
    def of(cls, graph_id: str, function: Callable[..., Any]) -> Factory:
        """Classifies a factory by its signature."""
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        named = [each for each in parameters if each.kind not in _VARIADIC]
        hints = _hints(function)
        runtimes = [
            each.name for each in named if _is_runtime(hints.get(each.name, each.annotation))
        ]
        rest = [each.name for each in named if each.name not in runtimes]
        if len(named) > 2 or (len(named) == 2 and len(runtimes) != 1):
            raise TypeError(
                f"Graph factory '{graph_id}' must take no parameter, a config, a ServerRuntime, or one of each"
                f" (exactly one annotated ServerRuntime); it takes {len(named)}"
            )
        return cls(
            graph_id,
            function,
            rest[0] if rest else None,
            runtimes[0] if runtimes else None,
            len(named) == 2,
        )

    def _call(self, config: RunnableConfig, runtime: Any) -> Any:
        if self.by_keyword:
            given = {self.config or "": config, self.runtime or "": runtime}
            return self.function(**given)
        if self.config is not None:
            return self.function(config)
        if self.runtime is not None:
            return self.function(runtime)
        return self.function()

    @asynccontextmanager
    async def graph(self, config: RunnableConfig, runtime: Any) -> AsyncIterator[Pregel]:
        """Makes the graph; what the factory opened is closed when the use ends."""
        token = var_child_runnable_config.set(config)
        start = time.monotonic()
        try:
            async with AsyncExitStack() as stack:
                value = self._call(config, runtime)
                if inspect.isawaitable(value):
                    value = await value
                if not isinstance(value, (Pregel, StateGraph)):
                    if hasattr(value, "__aenter__"):
                        value = await stack.enter_async_context(value)
                    elif hasattr(value, "__enter__"):
                        value = stack.enter_context(value)
                if isinstance(value, StateGraph):
                    value = value.compile()
                if not isinstance(value, Pregel):
                    kind = type(value).__name__
                    raise GraphError(
                        f"Graph '{self.graph_id}' is not valid. Its factory returned {kind}."
                    )
                seconds = time.monotonic() - start
                if seconds > _SLOW_SECONDS:
                    print(f"factory of graph '{self.graph_id}' took {seconds * 1000:.0f} ms")
                yield value
        finally:
            # Left in another context than entered, after a cancel: then the context dies with its task.
            with suppress(ValueError):
                var_child_runnable_config.reset(token)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    names: dict[str, Any] = {"RunnableConfig": RunnableConfig, "Config": RunnableConfig}
    if sdk_runtime is not None:
        names["ServerRuntime"] = sdk_runtime.ServerRuntime
    target = inspect.unwrap(function)
    if not inspect.isroutine(target) and not inspect.isclass(target):
        target = getattr(target, "func", None) or type(target).__call__
    try:
        return typing.get_type_hints(target, localns=names, include_extras=True)
    except Exception:
        return {}


def _is_runtime(annotation: Any) -> bool:
    if sdk_runtime is None or annotation is inspect.Parameter.empty:
        return False
    if isinstance(annotation, str):
        return "ServerRuntime" in annotation
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    known: list[Any] = [sdk_runtime.ServerRuntime]
    known += [getattr(sdk_runtime, name, None) for name in ("_ExecutionRuntime", "_ReadRuntime")]
    return annotation in known or typing.get_origin(annotation) in known


def server_runtime(
    access: str, user: Any, store: Any, context: Any = None, *, executes: bool = False
) -> Any:
    """What a factory is told about the use of its graph."""
    if sdk_runtime is None:
        return None
    kind = "_ExecutionRuntime" if executes else "_ReadRuntime"
    cls = getattr(sdk_runtime, kind, None)
    if cls is None:
        return None
    given = {"access_context": access, "user": user, "store": store}
    return cls(**given, context=context) if executes else cls(**given)
