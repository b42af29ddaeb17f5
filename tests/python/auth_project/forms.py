"""A synchronous handler that takes every parameter and returns users in every form."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

from langgraph_sdk import Auth

auth = Auth()


@dataclass
class Person:
    """A user as an object."""

    identity: str
    permissions: list[str]
    extra: list[int] = field(default_factory=lambda: [1])


def note(**call: Any) -> None:
    with open(os.environ["AUTH_LOG"], "a") as file:
        print(json.dumps(call), file=file)


@auth.authenticate
def authenticate(
    request: Any,
    path: str,
    method: str,
    path_params: dict,
    query_params: Any,
    headers: dict[bytes, bytes],
    authorization: str | None,
    scope: dict,
    user: Any,
    scopes: list,
    body: Any = "never given",
    unknown: int = 1,
) -> Any:
    if headers.get(b"x-user") == b"root":
        # The test's own look whether the server is ready.
        return "root"
    note(
        what="authenticate",
        method=method,
        path=path,
        path_params=path_params,
        query=query_params.multi_items(),
        headers=headers[b"authorization"].decode(),
        request=[request.method, request.headers["Authorization"]],
        scope=[scope["type"], scope["method"], scope["path"], scope["query_string"].decode()],
        user=user,
        scopes=scopes,
        body=body,
        port=int(request.headers["host"].split(":")[1]),
    )
    match authorization:
        case "string":
            return "name"
        case "tuple":
            return ["p"], {"identity": "name", "extra": [1]}
        case "object":
            return Person("name", ["p"])
        case "dict":
            return {"identity": "name", "display_name": "Name", "permissions": ["p"], "extra": {"deep": 1}}
        case "none":
            return None
        case "no identity":
            return {"name": "name"}
        case "triple":
            return ["p"], "name", "more"


@auth.on.threads.create
async def create(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> None:
    note(what="threads:create")
    value["metadata"] = {"user": {"permissions": list(ctx.permissions), "fields": ctx.user.dict()}}
