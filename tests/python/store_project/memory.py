"""A graph that calls the store as its input says, and answers with what came back."""

from typing import Any

from langgraph.config import get_store
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import Item
from typing_extensions import TypedDict


class Calls(TypedDict, total=False):
    calls: list[list]
    sync: bool
    answers: list


def plain(answer: Any) -> Any:
    """An answer without its times."""
    if isinstance(answer, Item):
        shown = answer.dict()
        assert shown.pop("created_at") and shown.pop("updated_at")
        return shown
    if isinstance(answer, list):
        return [plain(each) for each in answer]
    return list(answer) if isinstance(answer, tuple) else answer


def arguments(given: list) -> list:
    return [tuple(each) if isinstance(each, list) else each for each in given]


async def call(state: Calls, runtime: Runtime) -> dict:
    answers = []
    for name, given, named in state["calls"]:
        try:
            answers.append(plain(await getattr(runtime.store, f"a{name}")(*arguments(given), **named)))
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")
    return {"answers": answers}


def call_sync(state: Calls) -> dict:
    store = get_store()
    return {"answers": [plain(getattr(store, name)(*arguments(given), **named)) for name, given, named in state["calls"]]}


graph = (
    StateGraph(Calls)
    .add_node("call", call)
    .add_node("call_sync", call_sync)
    .add_conditional_edges(START, lambda state: "call_sync" if state.get("sync") else "call", ["call", "call_sync"])
    .add_edge("call", END)
    .add_edge("call_sync", END)
    .compile()
)
