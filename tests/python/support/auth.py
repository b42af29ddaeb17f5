"""The project with authentication: its server, its users, and the calls of its handlers."""

import json
from pathlib import Path
from typing import Any

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from .server import ROOT, Server, assistant

AUTH_PROJECT = ROOT / "tests/python/auth_project"
SIMPLE = assistant("simple")


class Calls:
    """The calls of handlers since the last look."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.seen = 0

    def __call__(self) -> list[dict[str, Any]]:
        """The new calls, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        new, self.seen = lines[self.seen :], len(lines)
        return [json.loads(line) for line in new]

    def asked(self) -> list[tuple[str, Any]]:
        """The new events that somebody decided about, with their values."""
        return [(call["what"], call["value"]) for call in self() if call["what"] != "authenticate"]


class AuthServer:
    """A server of the project with authentication."""

    def __init__(self, folder: Path, config: str = "langgraph.json", **more: Any) -> None:
        log = folder / "calls"
        env = {"AUTH_LOG": str(log)} | more.pop("env", {})
        headers = more.pop("headers", {"x-user": "root"})
        self.server = Server(folder, env, config=AUTH_PROJECT / config, headers=headers, **more)
        self.calls = Calls(log)

    def client(self, user: str) -> LangGraphClient:
        """The official client of a user."""
        return get_client(url=self.server.url, api_key=None, headers={"x-user": user})

    def http(self, user: str | None = None) -> httpx.AsyncClient:
        """A plain client of a user, or of a stranger."""
        headers = {} if user is None else {"x-user": user}
        return httpx.AsyncClient(base_url=self.server.url, trust_env=False, timeout=30, headers=headers)
