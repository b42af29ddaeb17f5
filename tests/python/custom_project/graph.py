"""Graphs that call the server that they run in, and one that tells its config."""

import asyncio
import json
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph_sdk import get_client, get_sync_client

# Made at import, as in most projects.
client = get_client()
sync_client = get_sync_client()


class State(TypedDict, total=False):
    left: int
    gate: str
    assistant: str
    thread: str
    run: str
    path: list[str]
    seen: Any


def one_node(node: Any) -> Any:
    return StateGraph(State).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile()


async def knock(gate: str, config: RunnableConfig, name: str) -> None:
    """Stops until the test opens."""
    reader, writer = await asyncio.open_unix_connection(gate)
    run_id = config["configurable"]["run_id"]
    hello = {"pid": 0, "run_id": run_id, "attempt": 1, "name": name, "step": 0}
    writer.write(json.dumps(hello).encode() + b"\n")
    await reader.readline()
    writer.close()


def tell(state: State, config: RunnableConfig) -> dict[str, Any]:
    configurable = config["configurable"]
    known = ("x-foo", "x-bar", "x-bad", "x-other", "authorization", "x-tenant-id", "user-agent", "langsmith-trace")
    seen = {name: configurable[name] for name in known if name in configurable}
    user = configurable.get("langgraph_auth_user")
    return {"seen": seen | {"user": user and user.identity}}


async def descend(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Waits for a run of the same graph, as deep as asked for."""
    left = state["left"]
    if not left:
        if gate := state.get("gate"):
            await knock(gate, config, "leaf")
        return {"path": ["leaf"]}
    result = await client.runs.wait(None, "nest", input={"left": left - 1, "gate": state.get("gate")})
    return {"path": [str(left), *result["path"]]}


def descend_sync(state: State) -> dict[str, Any]:
    left = state["left"]
    if not left:
        return {"path": ["leaf"]}
    result = sync_client.runs.wait(None, "nest_sync", input={"left": left - 1})
    return {"path": [str(left), *result["path"]]}


async def tell_slowly(state: State, config: RunnableConfig) -> dict[str, Any]:
    get_stream_writer()("before the gate")
    await knock(state["gate"], config, "teller")
    get_stream_writer()("after the gate")
    return {"path": ["told"]}


async def listen(state: State) -> dict[str, Any]:
    """Passes on what another run tells, as it comes."""
    async for part in client.runs.stream(None, "teller", input={"gate": state["gate"]}, stream_mode="custom"):
        if part.event == "custom":
            get_stream_writer()(part.data)
    return {"path": ["listened"]}


async def stand_behind(state: State) -> dict[str, Any]:
    """Waits for a run on a thread that others wait for already."""
    result = await client.runs.wait(
        state["thread"], "simple", input={}, multitask_strategy="enqueue", headers={"x-foo": "within"}
    )
    return {"seen": result["seen"]}


async def join(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Waits for a run that somebody else has started."""
    await knock(state["gate"], config, "joiner")
    return {"seen": await client.runs.join(state["thread"], state["run"])}


simple = one_node(tell)
nest = one_node(descend)
nest_sync = one_node(descend_sync)
teller = one_node(tell_slowly)
listener = one_node(listen)
behind = one_node(stand_behind)
joiner = one_node(join)
