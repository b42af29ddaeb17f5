"""The project's encryption: loads its ``langgraph_sdk.Encryption`` object and calls its handlers.

The answers are those of ``encrypt``, ``decrypt`` and ``context`` in ``crates/worker/src/protocol.rs``. Source:
reference/auth-webhooks-encryption.md, part 5.
"""

from __future__ import annotations

import asyncio
import base64
import traceback
from typing import Any

import orjson
from langgraph_sdk import Encryption

from agent_server_worker import frames
from agent_server_worker.aside import load_object
from agent_server_worker.modules import LoadError
from agent_server_worker.user import User, dumps

try:
    from langgraph_sdk.encryption.types import DecryptResult, EncryptionContext
except ImportError:  # A version without replacements.
    from langgraph_sdk.encryption.types import EncryptionContext

    DecryptResult = None  # type: ignore[assignment,misc]

# What comes in pairs: who encrypts without being able to decrypt has lost his data.
_PAIRS = ("json", "blob")


class Wrong(Exception):
    """A handler returned something that it may not return."""


class Handlers:
    """The handlers of an ``Encryption`` object."""

    kinds = (frames.ENCRYPT, frames.DECRYPT, frames.CONTEXT)

    def __init__(self, encryption: Encryption, spec: str) -> None:
        self._handlers = {
            ("encrypt", "json"): encryption._json_encryptor,
            ("decrypt", "json"): encryption._json_decryptor,
            ("encrypt", "blob"): encryption._blob_encryptor,
            ("decrypt", "blob"): encryption._blob_decryptor,
        }
        self._context = encryption._context_handler
        for kind in _PAIRS:
            has = {way for way in ("encrypt", "decrypt") if self._handlers[way, kind] is not None}
            if len(has) == 1:
                there = has.pop()
                missing = "decrypt" if there == "encrypt" else "encrypt"
                raise LoadError(f"{spec} has a handler {there}.{kind} and none for {missing}.{kind}")
        self.hooks = [kind for kind in _PAIRS if self._handlers["encrypt", kind] is not None]
        if not self.hooks:
            raise LoadError(f"{spec} has no handlers; decorate some with @encryption.encrypt.json and decrypt.json")
        if self._context is not None:
            self.hooks.append("context")

    async def answer(self, kind: int, header: dict[str, Any], blobs: list[bytes]) -> dict[str, Any]:
        """What is asked, or what a handler failed with."""
        try:
            if kind == frames.CONTEXT:
                return {"context": await self._derive(orjson.loads(blobs[0]), orjson.loads(blobs[1]))}
            way = "encrypt" if kind == frames.ENCRYPT else "decrypt"
            parts = zip(header["parts"], blobs, strict=True)
            return {"parts": await asyncio.gather(*(self._part(way, part, blob) for part, blob in parts))}
        except asyncio.CancelledError:
            raise
        except Wrong as error:
            return {"error": str(error), "trace": None}
        except BaseException as error:
            trace = "".join(traceback.format_exception(error))
            return {"error": f"a handler of the encryption failed: {type(error).__name__}: {error}", "trace": trace}

    async def _part(self, way: str, part: dict[str, Any], blob: bytes) -> dict[str, Any]:
        kind = part["kind"]
        handler = self._handlers[way, kind]
        if handler is None:
            raise Wrong(f"this was encrypted by a handler {kind}, and there is none for it any more")
        context = EncryptionContext(part["model"], part["context"], part["field"])
        given: Any = orjson.loads(blob) if kind == "json" else blob
        result, replacement = await handler(context, given), None
        if way == "decrypt" and DecryptResult is not None and isinstance(result, DecryptResult):
            result, replacement = result.plaintext, result.replacement
        expected = dict if kind == "json" else bytes
        for value in (result, replacement) if replacement is not None else (result,):
            if not isinstance(value, expected):
                name = type(value).__name__
                raise Wrong(f"the handler {way}.{kind} has to return {expected.__name__}, and returned {name}")
        return {"data": _sent(result), "replacement": None if replacement is None else _sent(replacement)}

    async def _derive(self, user: dict[str, Any], metadata: dict[str, Any]) -> Any:
        if self._context is None:
            return metadata
        result = await self._context(User(user), EncryptionContext(None, metadata, None))
        if not isinstance(result, dict):
            raise Wrong(f"the handler context has to return dict, and returned {type(result).__name__}")
        return orjson.loads(dumps(result))


def _sent(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def load(spec: str) -> Handlers:
    """Loads the object that ``encryption.path`` names."""
    return Handlers(load_object(spec, Encryption), spec)
