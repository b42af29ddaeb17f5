"""The project's authentication: loads its ``langgraph_sdk.Auth`` object and calls its handlers.

The answers are those of ``authenticate`` and ``authorize`` in ``crates/worker/src/protocol.rs``. Source:
reference/auth-webhooks-encryption.md, parts 1 and 2.
"""

from __future__ import annotations

import asyncio
import contextvars
import http
import inspect
import traceback
import typing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import orjson
from langgraph_sdk import Auth

from agent_server_worker import frames
from agent_server_worker.aside import Stuck, load_object
from agent_server_worker.dependencies import Dependencies, is_dependency
from agent_server_worker.modules import LoadError
from agent_server_worker.request import GIVEN, Given
from agent_server_worker.user import NotAUser, User, dumps, wire_user

# Everything that somebody may decide about.
_ACTIONS = {
    "threads": ("create", "read", "update", "delete", "search", "create_run"),
    "assistants": ("create", "read", "update", "delete", "search"),
    "crons": ("create", "read", "update", "delete", "search"),
    "store": ("put", "get", "delete", "search", "list_namespaces"),
}

# Members of a value that handlers know as UUIDs, and the events whose ids are text.
_IDS = ("thread_id", "assistant_id", "run_id", "cron_id")
_WITH_TEXT = (("crons", "update"), ("crons", "delete"))

# Synchronous handlers at a time.
_MOST_THREADS = 64


class Handlers:
    """The handlers of an ``Auth`` object."""

    kinds = (frames.AUTHENTICATE, frames.AUTHORIZE)

    def __init__(self, auth: Auth, spec: str) -> None:
        authenticate = auth._authenticate_handler
        if authenticate is None:
            raise LoadError(
                f"{spec} has no handler that says who asks; decorate one with @auth.authenticate"
            )
        self._authenticate: Callable[..., Any] = authenticate
        self._given, depending = _parameters(authenticate)
        self._dependencies = Dependencies(depending) if depending else None
        # What users are remembered by: dependencies may look at everything.
        self.parameters = [*self._given, *(["request"] if depending else [])]
        found = {
            (resource, action): self._handler(auth, resource, action)
            for resource, actions in _ACTIONS.items()
            for action in actions
        }
        self._handlers = {event: handler for event, handler in found.items() if handler is not None}
        self.events = [f"{resource}:{action}" for resource, action in self._handlers]
        open_events = [":".join(event) for event, handler in found.items() if handler is None]
        if self._handlers and open_events:
            print(f"authentication: nobody decides about {', '.join(open_events)}; all users may")
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="auth")

    @staticmethod
    def _handler(auth: Auth, resource: str, action: str) -> Callable[..., Any] | None:
        """The one handler of an event: the most exact."""
        exact = auth._handlers
        for place in ((resource, action), (resource, "*"), ("*", action), ("*", "*")):
            if registered := exact.get(place):
                return registered[-1]
        return auth._global_handlers[-1] if auth._global_handlers else None

    async def answer(self, kind: int, header: dict[str, Any], blobs: list[bytes]) -> dict[str, Any]:
        """What is asked."""
        if kind == frames.AUTHENTICATE:
            return await self.authenticate(header)
        return await self.authorize(header, blobs)

    async def authenticate(self, header: dict[str, Any]) -> dict[str, Any]:
        """Who sends a request, or why it is refused."""
        try:
            user = await self._asked(Given(header))
            try:
                return {"user": wire_user(user)}
            except NotAUser as error:
                detail = (
                    "Authentication handler returned an invalid user. Expected a string, a dict or an object with "
                    f"identity, or a tuple of permissions and user. Got {error} instead."
                )
                return _refusal(400, detail, cause=detail)
        except (asyncio.CancelledError, Stuck):
            raise
        except BaseException as error:
            return _refused(error, is_denied=False)

    async def _asked(self, given: Given) -> Any:
        arguments = {name: given.get(name) for name in self._given}
        if self._dependencies is None:
            return await self._called(self._authenticate, arguments)
        return await self._dependencies.call(
            given.get("scope"), lambda more: self._called(self._authenticate, arguments | more)
        )

    async def authorize(self, header: dict[str, Any], blobs: list[bytes]) -> dict[str, Any]:
        """What a user may do of an event, or why not."""
        resource, action = header["resource"], header["action"]
        handler = self._handlers.get((resource, action))
        if handler is None:
            return {"filter": None, "value": None}
        try:
            user = orjson.loads(blobs[0])
            value = _as_handlers_know(orjson.loads(blobs[1]), resource, action)
            before = dumps(value)
            context = Auth.types.AuthContext(
                permissions=user["permissions"],
                user=_context_user(user["fields"]),
                resource=resource,
                action=action,
            )
            result = await self._called(handler, {"ctx": context, "value": value})
            changed = value if dumps(value) != before else None
            if result is None or result is True:
                return {"filter": None, "value": changed}
            if result is False:
                return _refusal(403, "Forbidden")
            if isinstance(result, dict):
                # A dict that is no JSON is a failure of the handler, which the encoding tells.
                return {"filter": orjson.loads(dumps(result)), "value": changed}
            detail = (
                "Auth handler returned invalid result. Expected filter dict, None, or boolean. "
                f"Got {type(result)} instead."
            )
            return _refusal(500, detail, cause=f"{resource}:{action}: {detail}")
        except (asyncio.CancelledError, Stuck):
            raise
        except BaseException as error:
            return _refused(error, is_denied=True)

    async def _called(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        if _is_async(function):
            return await function(**arguments)
        context = contextvars.copy_context()
        future = self._threads.submit(context.run, lambda: function(**arguments))
        try:
            result = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.running():
                raise Stuck from None
            raise
        return await result if inspect.isawaitable(result) else result


def load(spec: str) -> Handlers:
    """Loads the object that ``auth.path`` names."""
    return Handlers(load_object(spec, Auth), spec)


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  Of an object that can be called.
    )


def _parameters(function: Callable[..., Any]) -> tuple[list[str], list[inspect.Parameter]]:
    """The parameters that the server fills, and those that dependencies fill; what nobody can fill is refused."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:
        hints = {}
    names, depending = [], []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        hint = hints.get(name, parameter.annotation)
        depends = is_dependency(hint, parameter.default)
        if parameter.kind is parameter.POSITIONAL_ONLY and (depends or name in GIVEN):
            raise LoadError(f"parameter '{name}' cannot be given by name")
        if depends:
            depending.append(parameter.replace(annotation=hint))
        elif name in GIVEN:
            names.append(name)
        elif parameter.default is parameter.empty:
            known = ", ".join(sorted(GIVEN))
            raise LoadError(
                f"parameter '{name}' of the authenticate handler is unknown and has no default; known are {known}"
            )
    return names, depending


def _as_handlers_know(value: dict[str, Any], resource: str, action: str) -> dict[str, Any]:
    if (resource, action) not in _WITH_TEXT:
        for name in _IDS:
            if isinstance(value.get(name), str):
                value[name] = UUID(value[name])
    if resource == "store" and isinstance(value.get("namespace"), list):
        value["namespace"] = tuple(value["namespace"])
    return value


def _context_user(fields: dict[str, Any]) -> Any:
    if fields.get("kind") == "StudioUser":
        return Auth.types.StudioUser(fields["identity"])
    return User(fields)


def _refusal(
    status: int, detail: str, headers: Any = None, cause: str | None = None
) -> dict[str, Any]:
    pairs = [(str(name), str(value)) for name, value in dict(headers or {}).items()]
    return {"refusal": {"status": status, "detail": detail, "headers": pairs, "cause": cause}}


def _refused(error: BaseException, *, is_denied: bool) -> dict[str, Any]:
    """What an exception of a handler means. ``is_denied``: a failed assertion says no."""
    status, detail = getattr(error, "status_code", None), getattr(error, "detail", None)
    if isinstance(status, int) and 400 <= status < 600:
        if not isinstance(detail, str):
            detail = http.HTTPStatus(status).phrase if detail is None else dumps(detail).decode()
        return _refusal(status, detail, getattr(error, "headers", None))
    if is_denied and isinstance(error, AssertionError):
        return _refusal(403, str(error) or "Forbidden")
    if isinstance(error, ValueError):
        return _refusal(400, str(error) or "Bad Request")
    return _refusal(500, "", cause="".join(traceback.format_exception(error)))
