"""What user code prints and logs, told apart by run.

Lines of a run go out as JSON behind a mark that no text begins with, everything else as it is; the server reads both from
the same pipes. Nothing waits here for the server: what was printed before a process dies is in its pipe.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import traceback
from contextvars import ContextVar
from typing import Any

_MARK = "\x1f"
_PIECE = 8000
"""A longer line is cut in pieces, characters."""

_NAMES = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error", "CRITICAL": "error"}
_LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}


class Origin:
    """The attempt that code works for, and lines of it that have not ended."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields
        self.partial: dict[str, str] = {}

    def finish(self) -> None:
        """Writes what was printed without an end of the line."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, Output):
                stream.finish(self)


origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


class Output(io.TextIOBase):
    """Standard output or error of the process."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream = stream
        self._name = name
        self._lock = threading.RLock()
        # The only thread of a forked process must not wait for one that it does not have.
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Writes the lines that are complete; the rest follows with its end."""
        whose = origin.get()
        if whose is None or not isinstance(text, str):
            return self._stream.write(text)
        with self._lock:
            *lines, rest = (whose.partial.pop(self._name, "") + text).split("\n")
            if len(rest) > _PIECE:
                lines.append(rest)
                rest = ""
            if rest:
                whose.partial[self._name] = rest
            for line in lines:
                self.record(line.rstrip("\r"), whose, {})
        return len(text)

    def record(self, text: str, whose: Origin | None, fields: dict[str, Any]) -> None:
        """Writes one entry of the log, which may have several lines."""
        known = whose.fields if whose is not None else {}
        for start in range(0, len(text) or 1, _PIECE):
            entry = json.dumps({"text": text[start : start + _PIECE], **fields, **known})
            with self._lock:
                self._stream.write(f"{_MARK}{entry}\n")

    def finish(self, whose: Origin) -> None:
        """Writes what is left of a run."""
        with self._lock:
            if rest := whose.partial.pop(self._name, ""):
                self.record(rest, whose, {})

    # Otherwise the stream is what it was.

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    @property
    def buffer(self) -> Any:
        return self._stream.buffer

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Stays open: others print as well."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Handler(logging.Handler):
    """Where records go for which the project has set up nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info:
                text = f"{text}\n{''.join(traceback.format_exception(*record.exc_info)).rstrip()}"
            report(text, _NAMES.get(record.levelname, "info"), record.name)
        except Exception:
            self.handleError(record)


def report(text: str, level: str, logger: str = "agent_server_worker") -> None:
    """Writes an entry of the log with a level of its own."""
    err = sys.stderr
    if isinstance(err, Output):
        err.record(text, origin.get(), {"level": level, "logger": logger})
    else:
        print(text, file=err)


def install(level: str) -> None:
    """Takes over the outputs of the process, and what is logged at ``level`` and above without a handler."""
    sys.stdout = Output(sys.stdout, "stdout")
    sys.stderr = Output(sys.stderr, "stderr")
    # In the place of the one that writes bare warnings: a project that sets up logging does it as anywhere else.
    logging.lastResort = _Handler()  # type: ignore[assignment]
    logging.getLogger().setLevel(_LEVELS.get(level, logging.INFO))
