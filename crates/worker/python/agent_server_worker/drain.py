"""Stopping a run between two supersteps, so that it can go on from there in another process."""

from __future__ import annotations

import sys
from typing import Any

try:
    from langgraph.errors import GraphDrained
    from langgraph.runtime import RunControl
except ImportError:
    # An older library cannot be asked: the run goes on until it ends or its process does.
    _DRAINED: tuple[type[BaseException], ...] = ()

    class RunControl:  # type: ignore[no-redef]
        """Stands in for the library's."""

        def request_drain(self, reason: str = "") -> None:
            """Does nothing."""

        @property
        def drain_requested(self) -> bool:
            """Never."""
            return False
else:
    _DRAINED = (GraphDrained,)


class _RootControl(RunControl):
    """Stops the root graph alone.

    The library hands the control on to graphs that nodes call. Those may have no checkpoints to go on from, and a node
    that catches every exception would take the stop for a failure: they come to their end.
    """

    __slots__ = ()

    @property
    def drain_requested(self) -> bool:
        # Asked by the loop of a graph, which knows whether it is inside of another; or by user code, about the run.
        asking = sys._getframe(1).f_locals.get("self")
        return not getattr(asking, "is_nested", False) and super().drain_requested


class Drain:
    """The wish that one run stops."""

    def __init__(self) -> None:
        self._control = _RootControl()
        self.is_requested = False

    def request(self) -> None:
        """Has the run stop before its next superstep."""
        self.is_requested = True
        self._control.request_drain("moved")

    def options(self) -> dict[str, Any]:
        """What the library is called with."""
        return {"control": self._control} if _DRAINED else {}


def is_drained(error: BaseException) -> bool:
    """Whether a run ended with this error because it was asked to stop."""
    return isinstance(error, _DRAINED)
