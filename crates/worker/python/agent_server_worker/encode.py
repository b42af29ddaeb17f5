"""JSON as the wire wants it: every value that a graph may hold becomes something, nothing makes a stream fail.

Values are encoded once, with orjson; :func:`dumps` is the only way out of the process for values of users.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import uuid
from collections import deque
from collections.abc import Mapping
from datetime import timedelta, tzinfo
from decimal import Decimal
from pathlib import PurePath
from typing import Any

import orjson
from langchain_core.messages import BaseMessage
from langgraph.types import Send

from agent_server_worker.errors import describe

_COMMON = orjson.OPT_SERIALIZE_NUMPY
_ANY_KEY = _COMMON | orjson.OPT_NON_STR_KEYS

# Numbers outside of what orjson writes.
_MAX_INT = 2**64 - 1
_MIN_INT = -(2**63)

# Per message class: its field names, or None if pydantic does more than copying them.
_fields: dict[type, tuple[str, ...] | None] = {}


def dumps(value: Any) -> bytes:
    """Encodes any value as JSON."""
    try:
        return orjson.dumps(value, default, _COMMON)
    except TypeError:
        # Rare: keys that are no strings, lone surrogates, huge integers.
        try:
            return orjson.dumps(value, default, _ANY_KEY)
        except TypeError:
            return orjson.dumps(_repaired(value, 0), default, _ANY_KEY)


def message_dict(message: BaseMessage) -> dict[str, Any]:
    """Does what ``message.model_dump()`` does, without pydantic where its result is known to be the fields."""
    cls = message.__class__
    try:
        names = _fields[cls]
    except KeyError:
        names = _fields[cls] = _plain_fields(cls)
    if names is None or message.__pydantic_extra__:
        return message.model_dump()
    values = message.__dict__
    try:
        return {name: values[name] for name in names}
    except KeyError:
        return message.model_dump()


def _plain_fields(cls: type[BaseMessage]) -> tuple[str, ...] | None:
    rules = cls.__pydantic_decorators__
    if rules.field_serializers or rules.model_serializers or rules.computed_fields:
        return None
    if any(field.exclude for field in cls.model_fields.values()):
        return None
    return tuple(cls.model_fields)


def default(value: Any) -> Any:
    """What orjson writes for a value that it does not know; the order of the cases is that of the wire."""
    if isinstance(value, BaseMessage):
        return message_dict(value)
    if isinstance(value, Send):
        return {"node": value.node, "args": value.arg}
    if not isinstance(value, type):
        for name in ("model_dump", "dict", "_asdict"):
            method = getattr(value, name, None)
            if callable(method):
                try:
                    return method()
                except Exception:
                    return None
    if isinstance(value, BaseException):
        name, message = describe(value)
        return {"error": name, "message": message}
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset, deque)):
        return list(value)
    if isinstance(value, tzinfo):
        return value.tzname(None)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, (uuid.UUID, PurePath, *_IP_TYPES)):
        return str(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Mapping):
        return dict(value)
    return None


_IP_TYPES = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)


def _decimal(value: Decimal) -> int | float | None:
    if not value.is_finite():
        return None
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


def _repaired(value: Any, depth: int) -> Any:
    """A copy that orjson can write: whole numbers of any size, text without lone surrogates."""
    if depth > 250:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8", "replace")
    if isinstance(value, int) and not isinstance(value, bool):
        # As text that is already JSON: exact, whatever its size.
        return value if _MIN_INT <= value <= _MAX_INT else orjson.Fragment(str(int(value)))
    if isinstance(value, dict):
        return {
            _repaired(key, depth + 1) if isinstance(key, str) else key: _repaired(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        return [_repaired(item, depth + 1) for item in value]
    if value is None or isinstance(value, (bool, float, orjson.Fragment)):
        return value
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is not None and not isinstance(value, type):
        return {name: _repaired(getattr(value, name, None), depth + 1) for name in fields}
    known = default(value)
    if known is None:
        # orjson knows dates, ids, enums and arrays by itself.
        return value
    return _repaired(known, depth + 1)
