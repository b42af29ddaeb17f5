"""Embeds texts for the store, with what ``store.index.embed`` of langgraph.json names.

Source: reference/assistants-crons-store-system.md, 3.6. Where the texts are in a value is the library's rule.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson
from langgraph.store.base import get_text_at_path

from agent_server_worker import frames
from agent_server_worker.errors import describe
from agent_server_worker.store import loads

if TYPE_CHECKING:
    from agent_server_worker.worker import Worker


async def embed(worker: Worker, header: dict[str, Any], blobs: list[bytes]) -> None:
    """Answers with the vectors of all texts; every outcome is an answer."""
    reply: dict[str, Any] = {"job": header["job"], "error": None, "live": None}
    out: list[bytes] = []
    try:
        out = [await _vectors(worker.embeddings, header["paths"], header["queries"], blobs)]
    # User code may also raise SystemExit, which must not end the process.
    except BaseException as error:
        worker.log_failure("store.index.embed", error)
        name, text = describe(error)
        reply["error"] = {"kind": "unavailable", "message": f"store.index.embed failed: {name}: {text}"}
    worker.connection.send(frames.ANSWER, orjson.dumps(reply), out)


async def _vectors(
    embeddings: Any, paths: list[list[str]], queries: list[str], blobs: list[bytes]
) -> bytes:
    found = [_texts(loads(blob), each) for blob, each in zip(blobs, paths, strict=True)]
    texts = [text for value in found for _, text in value]
    vectors = iter(_checked(await embeddings.aembed_documents(texts), len(texts)) if texts else [])
    values = [[(path, next(vectors)) for path, _ in value] for value in found]
    answered = [_checked([await embeddings.aembed_query(query)], 1)[0] for query in queries]
    return orjson.dumps({"values": values, "queries": answered})


def _texts(value: Any, paths: list[str]) -> list[tuple[str, str]]:
    """The texts of a value, each with a path of its own."""
    found: dict[str, str] = {}
    for path in paths:
        texts = get_text_at_path(value, path)
        for number, text in enumerate(texts):
            found[path if len(texts) == 1 else f"{path}.{number}"] = text
    return list(found.items())


def _checked(vectors: Any, count: int) -> list[list[float]]:
    """Vectors as lists of numbers, whatever sequences the function made of them."""
    vectors = [[float(number) for number in vector] for vector in vectors]
    if len(vectors) != count:
        raise ValueError(f"it returned {len(vectors)} vectors for {count} texts")
    if not all(math.isfinite(number) for vector in vectors for number in vector):
        raise ValueError("it returned a vector with numbers that are not finite")
    return vectors
