"""Parts of expected answers that come back in many tests."""

from typing import Any


def run_metadata(graph: str, **more: Any) -> dict:
    """Metadata that the server gives to a run of the graph's own assistant, as nodes and streams see it."""
    return {
        "created_by": "system",
        "graph_id": graph,
        "assistant_id": f"<assistant {graph}>",
        "run_attempt": 1,
        "langgraph_version": "<langgraph_version>",
        "langgraph_api_version": "<langgraph_api_version>",
        "langgraph_plan": "<langgraph_plan>",
        "langgraph_host": "<langgraph_host>",
        "langgraph_api_url": "<langgraph_api_url>",
        "run_id": "<run 1>",
        **more,
    }


def node_metadata(graph: str, node: str, step: int, task: str, **more: Any) -> dict:
    """Metadata of an event from within a node."""
    return (
        run_metadata(
            graph,
            thread_id="<thread 1>",
            ls_integration="langgraph",
            langgraph_step=step,
            langgraph_node=node,
            langgraph_triggers=[f"branch:to:{node}"],
            langgraph_path=["__pregel_pull", node],
            langgraph_checkpoint_ns=f"{node}:{task}",
        )
        | more
    )


def model_metadata(
    graph: str, node: str, step: int, task: str, provider: str = "genericfakechatmodel", **more: Any
) -> dict:
    """Metadata of an event of a chat model within a node."""
    return (
        node_metadata(graph, node, step, task)
        | {
            "ls_integration": "langchain_chat_model",
            "checkpoint_ns": f"{node}:{task}",
            "ls_provider": provider,
            "ls_model_type": "chat",
            "lc_versions": "<versions>",
        }
        | more
    )


def message(type: str, content: str, id: str, **more: Any) -> dict:
    """A message as values and whole-message events carry it."""
    base = {
        "content": content,
        "additional_kwargs": {},
        "response_metadata": {},
        "type": type,
        "name": None,
        "id": id,
    }
    if type in ("ai", "AIMessageChunk"):
        base |= {"tool_calls": [], "invalid_tool_calls": [], "usage_metadata": None}
    return base | more


def chunk(content: str, id: str, **more: Any) -> dict:
    """A delta of a streamed message."""
    return message("AIMessageChunk", content, id, tool_call_chunks=[], chunk_position=None) | more


def interrupt(value: Any, name: str = "<interrupt 1>") -> dict:
    """An interrupt as streams and `wait` show it."""
    return {"value": value, "id": name, "response_schema": None}


EMPTY_STATE = {
    "values": {},
    "next": [],
    "tasks": [],
    "metadata": None,
    "created_at": None,
    "checkpoint": None,
    "parent_checkpoint": None,
    "interrupts": [],
    "checkpoint_id": None,
    "parent_checkpoint_id": None,
}
"""State of a thread that no run and no update has touched."""
