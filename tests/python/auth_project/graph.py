"""A graph that counts, and one that tells what it sees of its user."""

from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph_sdk.runtime import ServerRuntime


class Counted(TypedDict, total=False):
    n: int
    secret: str


def count(state: Counted) -> dict[str, Any]:
    return {"n": state.get("n", 0) + 1}


graph = StateGraph(Counted).add_node("count", count).add_edge(START, "count").add_edge("count", END).compile()


class Seen(TypedDict, total=False):
    seen: dict[str, Any]


def tell(state: Seen, config: RunnableConfig, runtime: Runtime) -> dict[str, Any]:
    configurable = config["configurable"]
    user = configurable["langgraph_auth_user"]
    server_info = getattr(runtime, "server_info", None)
    server_user = getattr(server_info, "user", None)
    return {
        "seen": {
            "identity": user.identity,
            "org": user["org"],
            "plan": user.team.plan,
            "is_authenticated": user.is_authenticated,
            "display_name": user.display_name,
            "keys": sorted(user.keys()),
            "as_dict": dict(user) == user.dict(),
            "id": configurable["langgraph_auth_user_id"],
            "permissions": configurable["langgraph_auth_permissions"],
            "user_id": configurable["user_id"],
            "server_info": server_user and server_user.identity,
        }
    }


user = StateGraph(Seen).add_node("tell", tell).add_edge(START, "tell").add_edge("tell", END).compile()


def make(runtime: ServerRuntime):
    """Whose name is in the graph's nodes."""
    name = runtime.user.identity
    return StateGraph(Counted).add_node(name, count).add_edge(START, name).add_edge(name, END).compile()
