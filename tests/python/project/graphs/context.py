"""Shows what a node sees: configurable, context, metadata, tags, environment, headers."""

import os
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


@dataclass
class Context:
    model: str = "none"
    style: str = "plain"


class State(TypedDict, total=False):
    seen: dict[str, Any]


def look(state: State, config: RunnableConfig, runtime: Runtime[Context]) -> dict:
    configurable = {
        key: value
        for key, value in config["configurable"].items()
        if not key.startswith(("__", "langgraph_", "checkpoint"))
    }
    return {
        "seen": {
            "configurable": configurable,
            "context": {"model": runtime.context.model, "style": runtime.context.style} if runtime.context else None,
            "metadata": {
                key: config["metadata"].get(key) for key in ("created_by", "from_assistant", "from_run", "run_attempt")
            },
            "tags": config.get("tags"),
            "recursion_limit": config.get("recursion_limit"),
            "environment": os.environ.get("PROJECT_COLOUR"),
        }
    }


graph = (
    StateGraph(State, context_schema=Context)
    .add_node("look", look)
    .add_edge(START, "look")
    .add_edge("look", END)
    .compile()
)
