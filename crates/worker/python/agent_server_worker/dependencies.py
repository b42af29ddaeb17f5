"""Dependencies of FastAPI (``Depends``, ``Security``) among the parameters of the authenticate handler.

FastAPI itself resolves them: an application whose only route, whatever the path, is the handler. So everything that
dependencies may be counts as it does there (classes, generators, security schemes, dependencies of dependencies), and
nothing but FastAPI's public interface is relied upon.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from agent_server_worker.modules import LoadError


def is_dependency(hint: Any, default: Any) -> bool:
    """Whether a parameter is filled by a dependency: ``Annotated[T, Depends(f)]``, or ``= Depends(f)``."""
    params = sys.modules.get("fastapi.params")
    if params is None:
        # A marker cannot be made without.
        return False
    marks = (*getattr(hint, "__metadata__", ()), default)
    return any(isinstance(mark, params.Depends) for mark in marks)


class _Call:
    """A handler that is being called: what to call it with is what the route's function is given."""

    def __init__(self, function: Callable[[dict[str, Any]], Awaitable[Any]]) -> None:
        self.function = function
        self.result: Any = None


_current: ContextVar[_Call] = ContextVar("_current")


class Dependencies:
    """The parameters of a handler that dependencies fill."""

    def __init__(self, parameters: list[inspect.Parameter]) -> None:
        from fastapi import FastAPI, Response
        from fastapi.exceptions import RequestValidationError
        from fastapi.routing import APIRoute
        from starlette.exceptions import HTTPException
        from starlette.routing import Match

        class Everywhere(APIRoute):
            """Taken for every path and method: which operation it is, is known later."""

            def matches(self, scope: Any) -> Any:
                return Match.FULL, {"endpoint": self.endpoint, "path_params": {}}

            async def handle(self, scope: Any, receive: Any, send: Any) -> None:
                await self.app(scope, receive, send)

        async def handler(**resolved: Any) -> Response:
            call = _current.get()
            call.result = await call.function(resolved)
            return Response()

        async def reraise(_: Any, error: Exception) -> Any:
            raise error

        handler.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        try:
            route = Everywhere("/", handler, response_model=None, include_in_schema=False)
        except Exception as error:
            raise LoadError(f"the dependencies of the authenticate handler: {error}") from error
        if getattr(route, "body_field", None) is not None:
            raise LoadError(
                "a dependency of the authenticate handler wants the body, which is not read before it is known who asks"
            )
        # What is refused is told by whoever calls, not by this application.
        refusals = {HTTPException: reraise, RequestValidationError: reraise}
        self._app = FastAPI(openapi_url=None, exception_handlers=refusals)
        self._app.router.routes.append(route)

    async def call(
        self, scope: dict[str, Any], function: Callable[[dict[str, Any]], Awaitable[Any]]
    ) -> Any:
        """Calls the function with what dependencies give, and afterwards closes those that are generators.

        Raises what they or the function raise; what FastAPI finds wrong with a request is a refusal with status 422.
        """
        from fastapi.exceptions import RequestValidationError
        from starlette.exceptions import HTTPException

        call = _Call(function)
        token = _current.set(call)
        try:
            await self._app(scope, _nothing, _nobody)
        except RequestValidationError as error:
            raise HTTPException(422, error.errors()) from error  # type: ignore[arg-type]
        finally:
            _current.reset(token)
        return call.result


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nobody(message: Any) -> None:
    pass
