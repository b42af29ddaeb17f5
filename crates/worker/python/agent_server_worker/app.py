"""The project's own application: loads the ASGI app that ``http.app`` names and lets the server call it.

Every call (a request or a WebSocket) is a connection of its own to a socket of this process, with small frames both ways:
``u32 length | u8 kind | payload``. So nothing here reads HTTP, no server for ASGI has to be installed, a slow side slows
the other one down by itself, and the end of the connection is the client's leaving. Kinds are those of
``crates/server/src/app/frames.rs``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from typing import Any

from agent_server_worker import frames, modules
from agent_server_worker.around import AROUND, BrokenOff, surround
from agent_server_worker.modules import LoadError, load_variable

_HEAD = struct.Struct("<IB")

# From the server.
_SCOPE, _BODY, _BODY_END, _TEXT, _BYTES, _CLOSE = b"sbetxc"
# To the server.
_START, _CHUNK, _END, _ACCEPT, _SEND_TEXT, _SEND_BYTES, _SHUT = b"SBEATXC"

# How long the end of the application's lifespan may take; the server waits about as long.
_LAST_SECONDS = 1.5


def load(spec: str) -> Any:
    """Loads the application that ``http.app`` names."""
    path, variable, app = load_variable(spec)
    if not callable(app) or isinstance(app, type):
        raise LoadError(f"'{variable}' in {path} is a {type(app).__name__}, not an ASGI application")
    router = getattr(app, "router", None)
    if getattr(router, "on_startup", None) or getattr(router, "on_shutdown", None):
        raise LoadError(f"'{variable}' in {path} has on_startup or on_shutdown; use a lifespan instead")
    if _has_middleware(app):
        surround(app)
    return app


def routes(app: Any) -> list[dict[str, Any]] | None:
    """The routes of an application of Starlette or FastAPI; ``None`` if they cannot be known."""
    known = getattr(app, "routes", None)
    if not isinstance(known, list):
        return None
    table = []
    for route in known:
        pattern = getattr(getattr(route, "path_regex", None), "pattern", None)
        if pattern is None:
            return None
        is_mount = hasattr(route, "routes") or hasattr(route, "app") and not hasattr(route, "endpoint")
        methods = getattr(route, "methods", None)
        table.append(
            {
                "pattern": pattern,
                "methods": sorted(methods) if methods else None,
                "http": is_mount or not type(route).__name__.endswith("WebSocketRoute"),
                "websocket": is_mount or type(route).__name__.endswith("WebSocketRoute"),
            }
        )
    return table


class Lifespan:
    """The application's start and end."""

    def __init__(self, app: Any) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the application has started, or does not care. Errors: ``LoadError`` if it fails."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.ensure_future(self._app(scope, self._receive, self._answers.put))
        answer = await self._ask("lifespan.startup")
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            # Starlette sends the whole traceback.
            message = answer.get("message", "").strip()
            print(message, file=sys.stderr, flush=True)
            raise LoadError(f"its lifespan failed to start: {message.splitlines()[-1] if message else 'no message'}")
        if answer is None:
            # It does not speak of a lifespan.
            self._task = None

    async def end(self) -> None:
        """Tells the application to end, and waits for it."""
        if self._task is not None and not self._task.done():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ask("lifespan.shutdown"), _LAST_SECONDS)

    async def _receive(self) -> dict[str, Any]:
        return {"type": await self._events.get()}

    async def _ask(self, event: str) -> dict[str, Any] | None:
        """Sends an event; the answer, or ``None`` if the application ended without one."""
        assert self._task is not None
        self._events.put_nowait(event)
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait([self._task, answer], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() and not self._answers.empty():
            await asyncio.sleep(0)
        if answer.done():
            return answer.result()
        answer.cancel()
        with contextlib.suppress(BaseException):
            self._task.exception()
        return None


class Call:
    """One request or WebSocket: what the application receives and sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._kind = "http"
        self._is_whole = False
        self._is_greeted = False
        # What the server has sent and the application has not received; ``None`` at the end. Bounded, so that a large body
        # waits in the connection.
        self._frames: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(4)
        self.has_started = False

    async def scope(self, state: dict[str, Any]) -> dict[str, Any]:
        """The scope that the first frame describes."""
        _, payload = await self._next()
        given: dict[str, Any] = json.loads(payload)
        self._kind = given["type"]
        user = given.pop("user")
        around = given.pop("around", None)
        scope = {
            **given,
            # Before 2.4 frameworks would listen for the end while they answer, and so swallow what comes of the body.
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "raw_path": given["raw_path"].encode("latin-1"),
            "query_string": given["query_string"].encode("latin-1"),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given["headers"]],
            "root_path": "",
            "client": None,
            "server": None,
            "state": state.copy(),
        }
        if around is not None:
            scope[AROUND] = around
        if user is not None:
            from agent_server_worker.user import User

            scope["user"] = User(user["fields"])
            with contextlib.suppress(ImportError):
                from starlette.authentication import AuthCredentials

                scope["auth"] = AuthCredentials(user["permissions"])
        return scope

    async def _next(self) -> tuple[int, bytes]:
        length, kind = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
        return kind, await self._reader.readexactly(length)

    async def listen(self) -> None:
        """Takes what the server sends until the client has left."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                await self._frames.put(await self._next())
        await self._frames.put(None)

    def is_answering(self) -> bool:
        """Whether there is more to come of an answer that has begun."""
        return self._kind == "http" and self.has_started and not self._is_whole

    async def receive(self) -> dict[str, Any]:
        """The next event for the application."""
        if self._kind == "websocket" and not self._is_greeted:
            self._is_greeted = True
            return {"type": "websocket.connect"}
        frame = await self._frames.get()
        if frame is None:
            # For whoever asks next.
            self._frames.put_nowait(None)
            if self._kind == "websocket":
                return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
            return {"type": "http.disconnect"}
        kind, payload = frame
        if kind == _BODY:
            return {"type": "http.request", "body": payload, "more_body": True}
        if kind == _BODY_END:
            return {"type": "http.request", "body": payload, "more_body": False}
        if kind == _TEXT:
            return {"type": "websocket.receive", "text": payload.decode()}
        if kind == _BYTES:
            return {"type": "websocket.receive", "bytes": payload}
        self._frames.put_nowait(None)
        return {"type": "websocket.disconnect", **json.loads(payload)}

    async def send(self, event: dict[str, Any]) -> None:
        """Passes on what the application sends."""
        kind = event["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self.has_started = True
            await self._write(_START, {"status": event["status"], "headers": _texts(event.get("headers"))})
        elif kind in ("http.response.body", "websocket.http.response.body"):
            if body := event.get("body"):
                await self._write(_CHUNK, bytes(body))
            if not event.get("more_body"):
                self._is_whole = True
                await self._write(_END, b"")
        elif kind == "websocket.accept":
            self.has_started = True
            accepted = {"subprotocol": event.get("subprotocol"), "headers": _texts(event.get("headers"))}
            await self._write(_ACCEPT, accepted)
        elif kind == "websocket.send":
            if (text := event.get("text")) is not None:
                await self._write(_SEND_TEXT, text.encode())
            else:
                await self._write(_SEND_BYTES, bytes(event["bytes"]))
        elif kind == "websocket.close":
            self.has_started = True
            close = {"code": event.get("code") or 1000, "reason": event.get("reason") or ""}
            await self._write(_SHUT, close)

    async def _write(self, kind: int, payload: Any) -> None:
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        try:
            self._writer.write(_HEAD.pack(len(payload), kind) + payload)
            await self._writer.drain()
        except OSError:
            # Nobody listens any more, which the application hears of when it receives.
            pass

    async def failed(self) -> None:
        """The application raised before it answered."""
        await self._write(_START, {"status": 500, "headers": [["content-type", "application/json"]]})
        await self._write(_CHUNK, b'{"detail":"Internal Server Error"}')
        await self._write(_END, b"")


def _texts(headers: Any) -> list[tuple[str, str]]:
    return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers or ()]


class AppWorker:
    """Calls the application until the connection to the server ends."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.lifespan = Lifespan(app)
        self.calls: set[asyncio.Task[None]] = set()

    def arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A call has come."""
        task = asyncio.ensure_future(self._call(reader, writer))
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = Call(reader, writer)
        answering = listening = None
        try:
            scope = await call.scope(self.lifespan.state)
            answering = asyncio.ensure_future(self.app(scope, call.receive, call.send))
            listening = asyncio.ensure_future(call.listen())

            def on_left(_: asyncio.Future[None]) -> None:
                # A stream that nobody reads need not go on; everything else comes to its end.
                if call.is_answering():
                    answering.cancel()

            listening.add_done_callback(on_left)
            try:
                await answering
            except BrokenOff:
                # As does the answer, with the connection.
                pass
            except Exception:
                traceback.print_exc()
                # What has begun breaks off.
                if not call.has_started:
                    await call.failed()
        except (EOFError, OSError, asyncio.CancelledError):
            pass
        finally:
            for task in (answering, listening):
                if task is not None:
                    task.cancel()
            writer.close()


async def serve(sock: socket.socket, directory: str, spec: str, hello: Callable[..., None]) -> None:
    """Loads the application, says hello and serves until the connection ends."""
    try:
        # Here, so that the application finds a running loop, as in other servers.
        worker = AppWorker(load(spec))
        await worker.lifespan.start()
    # User code may also raise SystemExit.
    except BaseException as error:
        if not isinstance(error, LoadError):
            traceback.print_exc()
        hello(error=f"http.app {spec} cannot be served: {modules.cause(error)}")
        return
    path = os.path.join(directory, f"app-{os.getpid()}")
    server = await asyncio.start_unix_server(worker.arrived, path, backlog=1024)
    hello(app={"socket": path, "routes": routes(worker.app), "has_middleware": _has_middleware(worker.app)})
    lost = asyncio.Event()

    def on_frame(kind: int, _header: bytes, _blobs: list[bytes]) -> None:
        if kind == frames.PING:
            connection.send(frames.PONG, b"{}")

    connection = frames.Connection(on_frame, lost.set)
    sock.setblocking(False)
    await asyncio.get_running_loop().create_unix_connection(lambda: connection, sock=sock)
    await lost.wait()
    server.close()
    for task in list(worker.calls):
        task.cancel()
    await worker.lifespan.end()
    sys.stdout.flush()
    # Threads of the application that do not return would keep the interpreter from ending.
    os._exit(0)


def _has_middleware(app: Any) -> bool:
    return bool(getattr(app, "user_middleware", None)) and hasattr(app, "build_middleware_stack")
