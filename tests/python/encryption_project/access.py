"""Whoever names himself is let in, and sees what is his."""

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(headers: dict) -> Auth.types.MinimalUserDict:
    name = headers.get(b"x-user")
    if name is None:
        raise Auth.exceptions.HTTPException(status_code=401, detail="Who are you?")
    return {"identity": name.decode()}


@auth.on
async def owned(ctx: Auth.types.AuthContext, value: dict):
    if ctx.action in ("create", "create_run"):
        value["metadata"] = {**(value.get("metadata") or {}), "owner": ctx.user.identity}
    return {"owner": ctx.user.identity}


@auth.on.assistants
async def assistants(ctx: Auth.types.AuthContext, value: dict):
    return None


@auth.on.store
async def store(ctx: Auth.types.AuthContext, value: dict):
    return None
