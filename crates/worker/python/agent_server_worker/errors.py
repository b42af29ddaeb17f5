"""What of an exception may be shown to clients."""

from __future__ import annotations

from langgraph.errors import EmptyInputError, GraphBubbleUp, InvalidUpdateError, TaskNotFound

HIDDEN = "An internal error occurred"

_SHOWN = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RuntimeError,
    RecursionError,
    TimeoutError,
    InvalidUpdateError,
    GraphBubbleUp,
    EmptyInputError,
    TaskNotFound,
)


class GraphError(Exception):
    """The graph itself is unusable: it did not load, or its factory returned something else."""

    status_code = 424

    @property
    def detail(self) -> str:
        """As HTTP exceptions have it."""
        return str(self)


class ServerLost(Exception):
    """The server could not do what the graph needs of it: save, load, store."""


class Refused(Exception):
    """The server refused a request of the graph because of its arguments."""


def describe(error: BaseException) -> tuple[str, str]:
    """Class name and the text that may be shown.

    Source: reference/runs-and-threads.md, 10.3: the text of classes that users raise on purpose is shown, the text of
    others may hold secrets and is not.
    """
    name = type(error).__name__
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and hasattr(error, "detail"):
        # As upstream's clients see it, whatever the framework that the class is of.
        return "HTTPException", f"{status}: {error.detail}"
    if isinstance(error, _SHOWN):
        return name, str(error)
    return name, HIDDEN
