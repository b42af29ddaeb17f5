"""Stable names for what differs from run to run, so that whole answers can be compared."""

import json
import re
from pathlib import Path
from typing import Any

from .server import PROJECT, assistant

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
IDS = re.compile(rf"{UUID}|(?<![0-9a-f])[0-9a-f]{{32}}(?![0-9a-f])")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00")
NOBODY = "99999999-9999-4999-8999-999999999999"
"""An id that nothing has."""
KINDS = {
    "run_id": "run",
    "thread_id": "thread",
    "checkpoint_id": "checkpoint",
    "parent_checkpoint_id": "checkpoint",
    "": "checkpoint",  # `checkpoint_map`: the root's namespace
    "assistant_id": "assistant",
}
# Versions and addresses: a name if they look as they should.
SURROUNDINGS = {
    "langgraph_version": r"\d+\.\d+\.\d+",
    "langgraph_api_version": r"\d+\.\d+\.\d+",
    "langgraph_plan": r".+",
    "langgraph_host": r".+",
    "langgraph_api_url": r"http://.+",
    "langgraph_request_id": rf"{UUID}",
}


class Names:
    """Gives each id a name of its kind, numbered in the order of appearance; the same id always has the same name."""

    def __init__(self) -> None:
        graphs = json.loads(Path(PROJECT / "langgraph.json").read_text())["graphs"]
        self.names = {assistant(graph_id): f"<assistant {graph_id}>" for graph_id in graphs}
        self.counts: dict[str, int] = {}

    def name(self, id: str, kind: str) -> str:
        if id not in self.names:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self.names[id] = f"<{kind} {self.counts[kind]}>"
        return self.names[id]

    def __call__(self, value: Any, key: str | None = None) -> Any:
        """A copy of `value` with names in the place of ids, times and versions."""
        if key == "lc_versions" and isinstance(value, dict):
            return "<versions>"
        if isinstance(value, dict):
            return {self.text(k, None): self(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self(item, key) for item in value]
        if isinstance(value, str):
            if key in SURROUNDINGS and re.fullmatch(SURROUNDINGS[key], value):
                return f"<{key}>"
            return self.text(value, key)
        if key == "__request_start_time_ms__" and isinstance(value, int):
            return "<milliseconds>"
        return value

    def text(self, value: str, key: str | None) -> str:
        if TIME.fullmatch(value):
            return "<time>"

        def named(match: re.Match[str]) -> str:
            kind = "interrupt" if len(match[0]) == 32 else KINDS.get(key, "id")
            return self.name(match[0], kind)

        return IDS.sub(named, value)
