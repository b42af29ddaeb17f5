"""Keeps count of synchronous nodes.

The library runs them in the loop's thread pool. A cancelled run ends at once, but its threads go on; the server must
know, because only the end of the process can stop one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

# Synchronous nodes mostly wait for others, so there may be more of them than cores.
_MAX_THREADS = 64


class RunThreads:
    """The threads that work for one run now."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_settled: Callable[[], None]) -> None:
        self._loop = loop
        self._on_settled = on_settled
        self._lock = threading.Lock()
        self._active = 0
        self._is_watched = False

    @property
    def active(self) -> int:
        """How many there are. From now on the end of the last one is reported."""
        with self._lock:
            self._is_watched = self._active > 0
            return self._active

    def call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Calls a function and counts it meanwhile."""
        with self._lock:
            self._active += 1
        try:
            return function(*args, **kwargs)
        finally:
            with self._lock:
                self._active -= 1
                is_last = self._is_watched and self._active == 0
            if is_last:
                self._loop.call_soon_threadsafe(self._on_settled)


current_run: ContextVar[RunThreads | None] = ContextVar("current_run", default=None)


class CountingExecutor(ThreadPoolExecutor):
    """The loop's default executor: knows which run a call belongs to."""

    def __init__(self) -> None:
        super().__init__(_MAX_THREADS, thread_name_prefix="node")

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        run = current_run.get()
        if run is None:
            return super().submit(fn, *args, **kwargs)
        return super().submit(run.call, fn, args, kwargs)
