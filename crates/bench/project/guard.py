"""Who asks: what the bench measures of a handler is how little it is asked."""

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(authorization: str | None) -> str:
    if authorization is None:
        raise Auth.exceptions.HTTPException(401, "Who are you?")
    return authorization.removeprefix("Bearer ")
