"""Users alice and bob, who see nothing of each other. Each call of a handler is written down in $AUTH_LOG."""

import asyncio
import json
import os
import time
from typing import Any

from langgraph_sdk import Auth

auth = Auth()
LOG = os.environ.get("AUTH_LOG")


def note(what: str, **more: Any) -> None:
    if LOG:
        with open(LOG, "a") as file:
            print(json.dumps({"what": what, **more}, default=lambda value: f"{type(value).__name__}:{value}"), file=file)


class Teapot(Exception):
    """As web frameworks have it."""

    status_code = 429
    detail = "slow down"
    headers = {"Retry-After": "7"}


@auth.authenticate
async def authenticate(headers: dict[bytes, bytes]) -> Any:
    token = headers.get(b"x-user", b"").decode()
    note("authenticate", user=token)
    match token:
        case "":
            raise Auth.exceptions.HTTPException(401, "Who are you?", {"WWW-Authenticate": "Bearer"})
        case "forbidden":
            raise Auth.exceptions.HTTPException(403)
        case "teapot":
            raise Teapot
        case "value":
            raise ValueError("no such user")
        case "assertion":
            raise AssertionError("secret of ours")
        case "crash":
            raise RuntimeError("secret of ours")
        case "number":
            return 7
        case "hang":
            await asyncio.sleep(3600)
        case "block":
            time.sleep(3600)
        case "die":
            os._exit(3)
        case "string":
            return "stringy"
    return {
        "identity": token,
        "permissions": ["read", "write"],
        "org": "acme",
        "team": {"plan": "free"},
    }


@auth.on
async def own(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> Any:
    name = ctx.user.identity
    note(f"{ctx.resource}:{ctx.action}", user=name, value=value, permissions=list(ctx.permissions))
    if name == "denied":
        return False
    if name == "root":
        return None
    if isinstance(ctx.user, Auth.types.StudioUser):
        return True
    if ctx.action in ("create", "create_run", "update") and value.get("action") is None:
        value.setdefault("metadata", {})
        if value["metadata"] is None:
            value["metadata"] = {}
        value["metadata"]["owner"] = name
    return {"owner": name}


@auth.on.threads.delete
async def delete(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> Any:
    name = ctx.user.identity
    note(f"{ctx.resource}:{ctx.action}", user=name, value=value, permissions=list(ctx.permissions))
    return {"owner": name}


@auth.on.assistants.search
async def search(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> Any:
    """What handlers may answer; each user gets another."""
    name = ctx.user.identity
    note(f"{ctx.resource}:{ctx.action}", user=name, value=value, permissions=list(ctx.permissions))
    match name:
        case "seven":
            return 7
        case "ne":
            return {"owner": {"$ne": "alice"}}
        case "one-branch":
            return {"$or": [{"owner": "alice"}]}
        case "conflict":
            raise Auth.exceptions.HTTPException(409, "later", {"X-Foo": "bar"})
        case "not-you":
            raise AssertionError("not you")
        case "assert":
            assert name != "assert", "not you either"
        case "bad-value":
            raise ValueError("bad value")
        case "error":
            raise RuntimeError("secret of ours")
        case "spoil":
            value["metadata"] = 7
        case "either":
            return {"$or": [{"owner": "alice"}, {"owner": "bob"}]}
    return {"owner": name}


@auth.on.store
async def apart(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> Any:
    """Everybody has a namespace of their own; some change more than that."""
    name = ctx.user.identity
    note(f"{ctx.resource}:{ctx.action}", user=name, value=value, permissions=list(ctx.permissions))
    match name:
        case "denied":
            return False
        case "root":
            return None
        case "bad-label":
            value["namespace"] = ["a.b"]
            return None
    value["namespace"] = [name, *(value["namespace"] or ())]
    if name == "stamps":
        if ctx.action == "put":
            value["value"]["by"] = name
        return {"owner": "me"}
    return None
