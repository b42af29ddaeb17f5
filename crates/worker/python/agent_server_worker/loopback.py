"""The SDK's clients without an address: they reach this server, through a socket that only its processes know.

``get_client()`` looks for the transport of the server that it is part of, under that server's module name. What it finds
here is ours: it streams as it goes, unlike the SDK's own stand-in. Source: reference/langgraph-python-worker.md, 14.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from contextvars import ContextVar
from types import ModuleType
from typing import Any

# The run that the current code belongs to; the server gives runs that it waits for slots of their own.
within: ContextVar[str] = ContextVar("within", default="")

# Named in crates/server/src/loopback.rs.
_WITHIN = "agent-server-within-run"


def install(path: str, *, has_runs: bool) -> None:
    """Before any code of the user is imported. ``has_runs``: whether requests may come from a run."""
    try:
        import httpx
        import langgraph_sdk
    except ImportError:
        # Nobody can ask for a client then.
        return
    # Connections are not kept: clients are made at import, and then used in forked processes and several event loops.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    # Without verification because there is nothing to verify, and reading certificates takes long.
    options: dict[str, Any] = {"uds": path, "verify": False, "limits": limits}

    class ASGITransport(httpx.AsyncBaseTransport):
        """What the SDK takes for the server's in-process transport."""

        def __init__(self, app: Any = None, root_path: str = "", **_more: Any) -> None:
            self.app = app
            self._inner = httpx.AsyncHTTPTransport(**options)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if has_runs:
                request.headers[_WITHIN] = within.get()
            return await self._inner.handle_async_request(request)

        async def aclose(self) -> None:
            await self._inner.aclose()

    class SyncTransport(httpx.BaseTransport):
        """The same for the synchronous client."""

        def __init__(self) -> None:
            self._inner = httpx.HTTPTransport(**options)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if has_runs:
                request.headers[_WITHIN] = within.get()
            return self._inner.handle_request(request)

        def close(self) -> None:
            self._inner.close()

    _provide(ASGITransport)
    # The SDK then asks for nothing but the transport.
    os.environ["__LANGGRAPH_DEFER_LOOPBACK_TRANSPORT"] = "true"
    _patch_sync(langgraph_sdk, httpx, SyncTransport)


def _provide(transport: type) -> None:
    if importlib.util.find_spec("langgraph_api") is None:
        package = ModuleType("langgraph_api")
        package.__path__ = []
        sys.modules["langgraph_api"] = package
    module = ModuleType("langgraph_api.asgi_transport")
    module.ASGITransport = transport  # type: ignore[attr-defined]
    sys.modules["langgraph_api.asgi_transport"] = module


def _patch_sync(sdk: Any, httpx: Any, transport: Any) -> None:
    """The synchronous client has no place for a transport: without an address it would go to a port of its own choice."""
    original = sdk.get_sync_client

    def get_sync_client(*, url: str | None = None, **more: Any) -> Any:
        made = original(url=url or "http://api", **more)
        if url is not None:
            return made
        plain = made.http.client
        inner = httpx.Client(
            base_url=plain.base_url, headers=plain.headers, timeout=plain.timeout, transport=transport()
        )
        made.close()
        return type(made)(inner)

    get_sync_client.__doc__ = original.__doc__
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        if name.partition(".")[0] in ("langgraph_sdk", "langgraph"):
            if vars(module).get("get_sync_client") is original:
                module.get_sync_client = get_sync_client
