"""A handler whose parameters are dependencies of FastAPI, in every form that there is."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from langgraph_sdk import Auth

auth = Auth()
bearer = HTTPBearer(auto_error=False)


def note(what: str, **more: Any) -> None:
    with open(os.environ["AUTH_LOG"], "a") as file:
        print(json.dumps({"what": what, **more}), file=file)


async def session() -> AsyncIterator[str]:
    """Is open while the handler runs."""
    note("opened")
    try:
        yield "session"
    finally:
        note("closed")


def token(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
    """A synchronous dependency of a dependency."""
    if credentials is None:
        raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "Bearer"})
    if credentials.credentials == "bad":
        raise ValueError("no such token")
    if credentials.credentials == "crash":
        raise RuntimeError("secret of ours")
    return credentials.credentials


class Tenant:
    """A dependency that is a class."""

    def __init__(self, request: Request, x_tenant: Annotated[int, Header()] = 0, a: Annotated[list[str], Query()] = ()):
        self.seen = {"path": request.url.path, "path_params": request.path_params, "tenant": x_tenant, "a": list(a)}


async def scopes(scopes: SecurityScopes) -> list[str]:
    return scopes.scopes


@auth.authenticate
async def authenticate(
    method: str,
    name: Annotated[str, Depends(token)],
    opened: Annotated[str, Depends(session)],
    scopes: Annotated[list[str], Security(scopes, scopes=["read"])],
    tenant: Tenant = Depends(),
    unknown: int = 1,
) -> Any:
    note("authenticate", user=name)
    seen = {"method": method, "session": opened, "unknown": unknown, **tenant.seen}
    return {"identity": name, "permissions": scopes, "seen": seen}


@auth.on.threads.create
async def create(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> None:
    value["metadata"] = {"user": {"permissions": list(ctx.permissions), "fields": ctx.user.dict()}}
