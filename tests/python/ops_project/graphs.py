"""Graphs that print, log and trace as projects do."""

import asyncio
import json
import logging
import os
import socket

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from typing_extensions import TypedDict

logger = logging.getLogger("project")

if endpoint := os.environ.get("PROJECT_COLLECTOR"):
    provider = TracerProvider(resource=Resource.create({"service.name": "project"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)

tracer = trace.get_tracer("project")


class State(TypedDict, total=False):
    gate: str
    fails: bool
    seen: str


def speak(state: State) -> State:
    """A synchronous node, which works in a thread."""
    print("printed", "twice")
    print("no end", end="")
    logger.debug("too quiet")
    logger.info("logged %s", "so")
    try:
        raise ValueError("on purpose")
    except ValueError:
        logger.exception("it broke")
    if state.get("fails"):
        raise RuntimeError("the node fails")
    return {}


async def span(state: State, config: RunnableConfig) -> State:
    """A span of the project's own."""
    with tracer.start_as_current_span("user span") as own:
        if gate := state.get("gate"):
            reader, writer = await asyncio.open_unix_connection(gate)
            hello = {"pid": os.getpid(), "run_id": config["configurable"]["run_id"], "attempt": 1, "name": None, "step": 0}
            writer.write(json.dumps(hello).encode() + b"\n")
            await reader.readline()
            writer.close()
        return {"seen": format(own.get_span_context().trace_id, "032x")}


def graph(*nodes):
    builder = StateGraph(State)
    before = START
    for node in nodes:
        builder.add_node(node)
        builder.add_edge(before, node.__name__)
        before = node.__name__
    return builder.compile()


speaks = graph(speak)
spans = graph(span)

print("loading", socket.AF_UNIX.name)
