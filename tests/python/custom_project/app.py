"""An application with routes of its own: Starlette, with a lifespan, streams both ways, and WebSockets."""

import asyncio
import os
from contextlib import asynccontextmanager

from langgraph_sdk import get_client
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

client = get_client()


@asynccontextmanager
async def lifespan(app):
    print("the app starts", flush=True)
    yield {"started": True}
    print("the app ends", flush=True)


async def hello(request):
    return JSONResponse(
        {
            "name": request.path_params["name"],
            "query": dict(request.query_params),
            "header": request.headers.get("x-foo"),
            "started": request.state.started,
            "user": getattr(request.scope.get("user"), "identity", None),
            "scopes": getattr(request.scope.get("auth"), "scopes", None),
        },
        status_code=201,
        headers={"x-app": "yes"},
    )


async def echo(request):
    """Answers each part of the body while the rest is still to come."""

    async def parts():
        async for part in request.stream():
            yield part.upper()

    return StreamingResponse(parts(), media_type="text/plain")


async def search(request):
    return PlainTextResponse("mine")


async def info(request):
    return JSONResponse({"mine": True})


async def ok(request):
    return PlainTextResponse("never")


async def assistants(request):
    """Calls the API of the server that it is part of."""
    found = await client.assistants.search()
    return JSONResponse(sorted(assistant["graph_id"] for assistant in found))


async def run(request):
    return JSONResponse(await client.runs.wait(None, "nest", input={"left": 1}))


async def fail(request):
    raise ValueError("this is not for clients")


async def die(request):
    os._exit(7)


async def until_left(request):
    """Streams until the client has left, and says so to whoever listens at the gate."""

    async def parts():
        reader, writer = await asyncio.open_unix_connection(request.query_params["gate"])
        writer.write(b'{"pid": 0, "run_id": "", "attempt": 1, "name": null, "step": 0}\n')
        try:
            yield b"here"
            await asyncio.Event().wait()
        finally:
            writer.close()

    return StreamingResponse(parts())


async def talk(socket):
    await socket.accept(subprotocol="upper" if "upper" in socket.scope["subprotocols"] else None)
    async for text in socket.iter_text():
        if text == "bytes":
            await socket.send_bytes(b"\x00\xff")
        elif text == "end":
            await socket.close(4000, "as asked")
            return
        elif text == "die":
            os._exit(7)
        else:
            await socket.send_text(text.upper())


async def refuse(socket):
    await socket.close()


async def tree(request):
    return PlainTextResponse(f"{request.method} {request.path_params['path']}")


class Stamp:
    """Adds a header to the answers of the application."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def stamped(event):
            if event["type"] == "http.response.start":
                event["headers"].append((b"x-stamp", b"yes"))
            await send(event)

        await self.app(scope, receive, stamped)


app = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/echo", echo, methods=["POST"]),
        Route("/threads/search", search, methods=["GET"]),
        Route("/info", info),
        Route("/ok", ok),
        Route("/app/assistants", assistants),
        Route("/app/run", run),
        Route("/fail", fail),
        Route("/die", die),
        Route("/until-left", until_left),
        WebSocketRoute("/talk", talk),
        WebSocketRoute("/refuse", refuse),
        Mount("/tree", routes=[Route("/{path:path}", tree, methods=["GET", "POST"])]),
    ],
    middleware=[Middleware(Stamp)],
    lifespan=lifespan,
)


without_middleware = Starlette(routes=app.routes, lifespan=lifespan)


async def bare(scope, receive, send):
    """An application of nothing but ASGI, which speaks of no lifespan and has no table of routes."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@asynccontextmanager
async def broken_lifespan(app):
    raise RuntimeError("no database")
    yield


broken = Starlette(routes=[Route("/ok", ok)], lifespan=broken_lifespan)
no_app = 7
