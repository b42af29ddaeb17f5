"""The store that graphs see: long-term memory kept by the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, cast

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
    TTLConfig,
)

from agent_server_worker import encode, frames
from agent_server_worker.errors import Refused
from agent_server_worker.link import Link

# The server counts in 32 bits.
_MOST = 2**32 - 1


class Store(BaseStore):
    """Sends each batch as one frame; the server applies its rules."""

    supports_ttl = True

    def __init__(self, link: Link, settings: dict[str, Any]) -> None:
        self.link = link
        # The library fills in from here what a call does not say.
        given = {name: settings.get(name) for name in ("default_ttl", "refresh_on_read")}
        ttl = {name: value for name, value in given.items() if value is not None}
        self.ttl_config = cast(TTLConfig, ttl) if ttl else None

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        ops = list(ops)
        header = {"ops": [_op_json(op) for op in ops]}
        try:
            reply, blobs = await self.link.request(frames.STORE, header)
        except Refused as error:
            raise ValueError(str(error)) from None
        values = iter(blobs)
        answers = zip(ops, reply["answers"], strict=True)
        return [_result(op, answer, values) for op, answer in answers]

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
        get = {"op": "get", "namespace": _labels(op.namespace), "key": str(op.key)}
        return {**get, "refresh": bool(op.refresh_ttl)}
    if isinstance(op, PutOp):
        value = None if op.value is None else orjson.Fragment(encode.dumps(op.value))
        ttl = getattr(op, "ttl", None)
        ttl = float(ttl) if isinstance(ttl, (int, float)) else None
        put = {"op": "put", "namespace": _labels(op.namespace), "key": str(op.key)}
        index = op.index if op.index is None or op.index is False else [str(path) for path in op.index]
        return {**put, "value": value, "index": index, "ttl_minutes": ttl}
    if isinstance(op, SearchOp):
        filters = orjson.Fragment(encode.dumps(op.filter)) if op.filter else None
        search = {"op": "search", "namespace": _labels(op.namespace_prefix), "filter": filters}
        return {**search, **_page(op), "query": op.query or None, "refresh": bool(op.refresh_ttl)}
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


def _result(op: Op, answer: Any, values: Iterator[bytes]) -> Result:
    if isinstance(op, GetOp):
        return None if answer is None else Item(**_item(answer, values))
    if isinstance(op, SearchOp):
        return [SearchItem(**_item(item, values), score=item["score"]) for item in answer]
    if isinstance(op, ListNamespacesOp):
        return [tuple(namespace) for namespace in answer]
    return None


def _item(answer: dict[str, Any], values: Iterator[bytes]) -> dict[str, Any]:
    return {
        "value": loads(next(values)),
        "key": answer["key"],
        "namespace": tuple(answer["namespace"]),
        "created_at": datetime.fromisoformat(answer["created_at"]),
        "updated_at": datetime.fromisoformat(answer["updated_at"]),
    }


def loads(value: bytes) -> Any:
    """Reads a value that any client may have written: half a surrogate pair and large numbers are JSON, too."""
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return json.loads(value)
