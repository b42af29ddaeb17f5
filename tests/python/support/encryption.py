"""The project with an encryption of its own: its server, its users, and what its cipher was asked."""

import base64
import json
import random
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from .server import ROOT, Server

ENCRYPTION_PROJECT = ROOT / "tests/python/encryption_project"
PART_BYTES = 24


def canary(seed: int) -> str:
    """Letters that nothing else has, few enough to lie uncompressed in most rows of a server without a key."""
    noise = random.Random(seed)
    return "".join(chr(noise.randrange(0x4E00, 0x9000)) for _ in range(60))


def holds(server: Server, *texts: str) -> set[str]:
    """Files of the data folder in which some part of a text can be read, as it is or in JSON's escapes."""
    parts = []
    for text in texts:
        for whole in (text.encode(), text.encode("utf-16-le"), text.encode("unicode_escape")):
            parts += [whole[at : at + PART_BYTES] for at in range(0, len(whole) - PART_BYTES, PART_BYTES)]
    files = [file for file in server.data.rglob("*") if file.is_file()]
    assert any(file.name == "agent-server.db" for file in files)
    return {file.name for file in files if any(part in file.read_bytes() for part in parts)}


class Asked(NamedTuple):
    """One call of a handler."""

    way: str
    kind: str
    model: str | None
    field: str | None
    context: dict[str, Any]
    names: list[str]


class EncryptionServer:
    """A server of the project, which is told to use the key `1`."""

    def __init__(self, folder: Path, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.seen = 0
        self.turn_key("1")
        env = {"CIPHER_FOLDER": str(folder)} | (env or {})
        config = ENCRYPTION_PROJECT / "langgraph.json"
        self.server = Server(folder, env, config=config, headers={"x-user": "root"})

    def turn_key(self, key: str) -> None:
        (self.folder / "key").write_text(key)

    def asked(self) -> list[Asked]:
        """What the cipher was asked since the last look."""
        file = self.folder / "asked"
        lines = file.read_text().splitlines() if file.exists() else []
        new, self.seen = lines[self.seen :], len(lines)
        return [Asked(*json.loads(line)) for line in new]

    def client(self, user: str, **context: Any) -> LangGraphClient:
        """The official client of a user, whose data are encrypted in a context."""
        return get_client(url=self.server.url, api_key=None, headers=self._headers(user, context))

    def http(self, user: str, **context: Any) -> httpx.AsyncClient:
        """A plain client of a user."""
        headers = self._headers(user, context)
        return httpx.AsyncClient(base_url=self.server.url, trust_env=False, timeout=30, headers=headers)

    @staticmethod
    def _headers(user: str, context: dict[str, Any]) -> dict[str, str]:
        header = base64.b64encode(json.dumps(context).encode()).decode()
        return {"x-user": user} | ({"x-encryption-context": header} if context else {})
