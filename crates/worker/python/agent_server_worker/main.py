"""The worker process: connects to the server, loads the graphs, executes runs and answers questions.

One event loop, one task per run. The process lives as long as its connection. Until the graphs are loaded only the
standard library is used, so that a missing package can be reported.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import importlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from typing import Any

from agent_server_worker import frames, modules
from agent_server_worker.template import may_fork, redirect_output
from agent_server_worker.template import serve as serve_template

# Part of the handshake: the server refuses another number.
PROTOCOL = 1

# How much sooner than the server this process is to be ended when memory runs out, thousandths of all memory.
_OOM_SCORE = 100

# How long an orderly end may take after the server has gone.
_LAST_SECONDS = 3.0


def main() -> None:
    """Runs a worker until the server closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _go_before_the_server()
    atexit.register(_tidy, os.getpid(), os.getppid(), os.path.dirname(sys.argv[1]))
    sock = _connect(sys.argv[1])
    _, header, _ = frames.receive(sock)
    init: dict[str, Any] = json.loads(header)
    _restore_environment(init)
    os.chdir(init["root"])
    hello, graphs, embeddings = _load(init)
    # What was loaded stays: later collections need not look at it, and memory is shared after a fork.
    gc.collect()
    gc.freeze()
    is_template = hello["can_fork"] = bool(graphs) and init["template"] and may_fork(sock.fileno())
    _send(sock, frames.HELLO, hello)
    if not graphs:
        sock.close()
        return
    if is_template:
        path = serve_template(sock)
        if path is None:
            return
        sock = _connect(path)
        redirect_output(path)
        _send(sock, frames.HELLO, {**hello, "pid": os.getpid()})
    # Runs make many objects that live as long as they do; looking for cycles all the time costs more than it frees.
    gc.set_threshold(20_000, 20, 50)
    _serve(sock, graphs, init, embeddings)


def _go_before_the_server() -> None:
    """When memory runs out it is graphs that have eaten it: the system shall not end the server for it."""
    try:
        with open("/proc/self/oom_score_adj", "r+") as file:
            score = min(int(file.read()) + _OOM_SCORE, 1000)
            file.seek(0)
            file.write(str(score))
    except (OSError, ValueError):
        # Not Linux, or not allowed.
        pass


def _tidy(process: int, server: int, directory: str) -> None:
    """Removes what a server that was killed could not remove itself: the directory of its sockets and of this package.

    Processes that were forked from this one leave it alone.
    """
    if os.getpid() != process:
        return
    # A dying process closes its connections a moment before its children see that it is dead.
    for _ in range(5):
        if os.getppid() != server:
            shutil.rmtree(directory, ignore_errors=True)
            return
        time.sleep(0.02)


def _connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    join = {"pid": os.getpid(), "protocol": PROTOCOL}
    _send(sock, frames.JOIN, join)
    return sock


def _send(sock: socket.socket, kind: int, header: dict[str, Any]) -> None:
    sock.sendall(b"".join(frames.pack(kind, json.dumps(header).encode())))


def _restore_environment(init: dict[str, Any]) -> None:
    """What led the interpreter to this package is no business of the graphs and of processes that they start."""
    if init["python_path"] is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = init["python_path"]
    sys.argv = ["agent-server-worker"]


def _load(init: dict[str, Any]) -> tuple[dict[str, Any], list[Any], Any]:
    """Imports what this process serves, and what the store embeds with.

    Returns the hello, what was loaded and the embeddings; nothing if the process is of no use.
    """
    hello: dict[str, Any] = {
        "pid": os.getpid(),
        "protocol": PROTOCOL,
        "python": sys.version.split()[0],
        "error": None,
        "graphs": [],
    }
    modules.prepare_path(init["import_dirs"])
    if init["auth"] is not None:
        return _load_aside("auth", "authentication", init["auth"], hello)
    if init["encryption"] is not None:
        return _load_aside("encryption", "encryption", init["encryption"], hello)
    try:
        import langgraph.version

        from agent_server_worker import loader
    except ImportError as error:
        traceback.print_exc()
        hello["error"] = (
            f"langgraph cannot be imported by {sys.executable} ({error}); install it there, or name another interpreter"
        )
        return hello, [], None
    embeddings = None
    if (spec := init["store"]["embed"]) is not None:
        try:
            embeddings = loader.load_embeddings(spec)
        except modules.LoadError as error:
            hello["error"] = f"store.index.embed of langgraph.json: {error}"
            return hello, [], None
    loaded = loader.load_all(init["graphs"])
    hello["langgraph"] = langgraph.version.__version__
    hello["graphs"] = [
        {"graph_id": each.graph_id, "name": each.name, "error": each.error} for each in loaded
    ]
    return hello, loaded, embeddings


def _load_aside(
    key: str, name: str, spec: str, hello: dict[str, Any]
) -> tuple[dict[str, Any], list[Any], Any]:
    """Imports the project's authentication or encryption, which this process serves instead of graphs."""
    try:
        handlers = importlib.import_module(f"agent_server_worker.{key}").load(spec)
    # User code may also raise SystemExit.
    except BaseException as error:
        traceback.print_exc()
        hello["error"] = f"the {name} {spec} cannot be loaded: {modules.cause(error)}"
        return hello, [], None
    told = ("parameters", "events") if key == "auth" else ("hooks",)
    hello[key] = {each: getattr(handlers, each) for each in told}
    return hello, [handlers], None


async def _work(sock: socket.socket, loaded: list[Any], init: dict[str, Any], embeddings: Any) -> None:
    if init["auth"] is not None or init["encryption"] is not None:
        from agent_server_worker.aside import AsideWorker

        await AsideWorker.serve(sock, loaded[0])
    else:
        from agent_server_worker.worker import Worker

        await Worker.serve(sock, loaded, init, embeddings)


def _serve(sock: socket.socket, loaded: list[Any], init: dict[str, Any], embeddings: Any) -> None:
    try:
        import uvloop  # type: ignore[import-not-found]
    except ImportError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    _watch(sock)
    try:
        loop.run_until_complete(_work(sock, loaded, init, embeddings))
    finally:
        # Threads of stuck nodes would keep the interpreter from ending by itself.
        timer = threading.Timer(_LAST_SECONDS, os._exit, (1,))
        timer.daemon = True
        timer.start()


def _watch(sock: socket.socket) -> None:
    """Ends the process soon after the server has gone, even if a node blocks the loop."""
    import select

    if not hasattr(select, "POLLRDHUP"):
        return
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP)

    def wait() -> None:
        poll.poll()
        threading.Event().wait(_LAST_SECONDS)
        os._exit(1)

    threading.Thread(target=wait, name="server-watch", daemon=True).start()
