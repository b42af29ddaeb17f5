"""The store that graphs see: long-term memory kept by the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

from agent_server_worker import encode, frames
from agent_server_worker.errors import Refused
from agent_server_worker.link import Link

# The server counts in 32 bits.
_MOST = 2**32 - 1


class Store(BaseStore):
    """Sends each batch as one frame; the server applies its rules."""

    supports_ttl = True

    def __init__(self, link: Link) -> None:
        self.link = link
        self.ttl_config = None

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        ops = list(ops)
        header = {"ops": [_op_json(op) for op in ops]}
        try:
            reply, _ = await self.link.request(frames.STORE, header)
        except Refused as error:
            raise ValueError(str(error)) from None
        return [_result(op, answer) for op, answer in zip(ops, reply["answers"], strict=True)]

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self.link.loop:
            raise asyncio.InvalidStateError(
                "Synchronous store calls would block all runs of this process; use the async"
                " methods, for example `await store.aget(...)`."
            )
        return asyncio.run_coroutine_threadsafe(self.abatch(ops), self.link.loop).result()


def _op_json(op: Op) -> dict[str, Any]:
    if isinstance(op, GetOp):
        return {"op": "get", "namespace": _labels(op.namespace), "key": str(op.key)}
    if isinstance(op, PutOp):
        value = None if op.value is None else orjson.Fragment(encode.dumps(op.value))
        ttl = getattr(op, "ttl", None)
        ttl = float(ttl) if isinstance(ttl, (int, float)) else None
        put = {"op": "put", "namespace": _labels(op.namespace), "key": str(op.key)}
        return {**put, "value": value, "ttl_minutes": ttl}
    if isinstance(op, SearchOp):
        filters = orjson.Fragment(encode.dumps(op.filter)) if op.filter else None
        search = {"op": "search", "namespace": _labels(op.namespace_prefix), "filter": filters}
        return {**search, **_page(op)}
    if isinstance(op, ListNamespacesOp):
        listed: dict[str, Any] = {"op": "namespaces", "max_depth": op.max_depth, **_page(op)}
        for condition in op.match_conditions or ():
            path = [None if label == "*" else str(label) for label in condition.path]
            listed[condition.match_type] = path
        return listed
    raise ValueError(f"Unknown store operation: {op!r}")


def _labels(namespace: Iterable[str]) -> list[str]:
    return [str(label) for label in namespace]


def _page(op: SearchOp | ListNamespacesOp) -> dict[str, int]:
    return {"limit": min(max(op.limit, 0), _MOST), "offset": min(max(op.offset, 0), _MOST)}


def _result(op: Op, answer: Any) -> Result:
    if isinstance(op, GetOp):
        return None if answer is None else Item(**_item(answer))
    if isinstance(op, SearchOp):
        return [SearchItem(**_item(item), score=None) for item in answer]
    if isinstance(op, ListNamespacesOp):
        return [tuple(namespace) for namespace in answer]
    return None


def _item(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "value": answer["value"],
        "key": answer["key"],
        "namespace": tuple(answer["namespace"]),
        "created_at": datetime.fromisoformat(answer["created_at"]),
        "updated_at": datetime.fromisoformat(answer["updated_at"]),
    }
