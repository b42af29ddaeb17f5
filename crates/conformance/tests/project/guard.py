"""Who may ask in the guarded project: anybody with a name, but for two."""

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(headers: dict[bytes, bytes]) -> str:
    """Believes every name."""
    name = headers.get(b"x-user", b"").decode()
    if not name:
        raise Auth.exceptions.HTTPException(401, "Who are you?")
    if name == "locked-out":
        raise Auth.exceptions.HTTPException(403)
    return name


@auth.on
async def decide(ctx: Auth.types.AuthContext, value: dict) -> bool:
    """Lets everybody do everything, but for one."""
    return ctx.user.identity != "powerless"
