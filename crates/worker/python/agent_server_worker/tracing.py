"""Makes spans of user code part of the trace that a run belongs to.

The library of OpenTelemetry is the project's own or not there at all.
"""

from __future__ import annotations

from typing import Any


def attach(header: dict[str, Any], kwargs: dict[str, Any]) -> None:
    """Makes the attempt's place in a trace that of the current task: spans that are begun in it are below.

    Without one of the server the place is that of the request, if it came with one.
    """
    place = header.get("trace")
    if place is None:
        configurable = (kwargs.get("config") or {}).get("configurable") or {}
        traceparent = configurable.get("__otel_traceparent__")
        if not traceparent:
            return
        place = {"traceparent": traceparent, "tracestate": configurable.get("__otel_tracestate__")}
    try:
        from opentelemetry import context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        return
    carrier = {name: value for name, value in place.items() if value}
    # Never detached: the task ends with the attempt.
    context.attach(TraceContextTextMapPropagator().extract(carrier))
