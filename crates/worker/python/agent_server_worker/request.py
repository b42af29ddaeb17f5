"""A request as authentication handlers see it: parameters by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote

GIVEN = (
    "request",
    "path",
    "method",
    "path_params",
    "query_params",
    "headers",
    "authorization",
    "scope",
    "user",
    "scopes",
)
"""Names of the parameters that a handler may have."""


class Given:
    """What a request has to give for the parameters of a handler."""

    def __init__(self, header: dict[str, Any]) -> None:
        self._method: str = header["method"]
        self._raw_path: str = header["path"]
        self._query: str = header["query"]
        self._headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in header["headers"]
        ]

    def get(self, name: str) -> Any:
        """The value of a parameter."""
        return getattr(self, f"_{name}_value")()

    def _path_value(self) -> str:
        return unquote(self._raw_path)

    def _method_value(self) -> str:
        return self._method

    def _path_params_value(self) -> dict[str, str]:
        # Routing comes later.
        return {}

    def _query_params_value(self) -> Any:
        try:
            from starlette.datastructures import QueryParams
        except ImportError:
            return QueryDict(self._query)
        return QueryParams(self._query)

    def _headers_value(self) -> dict[bytes, bytes]:
        return dict(self._headers)

    def _authorization_value(self) -> str | None:
        value = dict(self._headers).get(b"authorization")
        return None if value is None else value.decode("latin-1")

    def _scope_value(self) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "method": self._method,
            "path": self._path_value(),
            "raw_path": self._raw_path.encode("latin-1", "replace"),
            "query_string": self._query.encode("latin-1", "replace"),
            "root_path": "",
            "headers": list(self._headers),
            "path_params": {},
            "client": None,
            "server": None,
        }

    def _request_value(self) -> Any:
        try:
            from starlette.requests import Request
        except ImportError:
            return PlainRequest(self)
        return Request(self._scope_value())

    def _user_value(self) -> None:
        return None

    def _scopes_value(self) -> list[str]:
        return []


class QueryDict(dict[str, str]):
    """Query parameters: the last value of each; all of them with :meth:`getlist`."""

    def __init__(self, query: str) -> None:
        self._all = parse_qsl(query, keep_blank_values=True)
        super().__init__(self._all)

    def getlist(self, key: str) -> list[str]:
        """All values of a parameter."""
        return [value for name, value in self._all if name == key]

    def multi_items(self) -> list[tuple[str, str]]:
        """All names and values, in order."""
        return list(self._all)


class HeaderDict:
    """Headers as text, without regard to case."""

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._all = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]

    def __getitem__(self, name: str) -> str:
        for known, value in self._all:
            if known == name.lower():
                return value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(known == name.lower() for known, _ in self._all)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._all))

    def get(self, name: str, default: Any = None) -> Any:
        """A header, or the default."""
        return self[name] if name in self else default

    def items(self) -> list[tuple[str, str]]:
        """Names and values."""
        return list(self._all)


class PlainRequest:
    """A request where Starlette is not installed: what most handlers read of it."""

    def __init__(self, given: Given) -> None:
        self.method: str = given.get("method")
        self.scope: dict[str, Any] = given.get("scope")
        self.path: str = given.get("path")
        self.query_params = QueryDict(self.scope["query_string"].decode("latin-1"))
        self.headers = HeaderDict(self.scope["headers"])
        self.path_params: dict[str, str] = {}
