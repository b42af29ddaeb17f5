"""What the library is called with: config, context, input.

Source: reference/langgraph-python-worker.md, 3.1 and 3.2. The server has merged assistant, thread and request.
"""

from __future__ import annotations

from typing import Any

from langgraph.errors import EmptyInputError
from langgraph.types import Command, Send

from agent_server_worker.user import User


def with_user(configurable: dict[str, Any]) -> Any:
    """Makes the user in a configurable an object; returns it."""
    user = configurable.get("langgraph_auth_user")
    if isinstance(user, dict):
        user = configurable["langgraph_auth_user"] = User(user)
    return user


def run_config(config: dict[str, Any], attempt: int, facts: dict[str, Any]) -> dict[str, Any]:
    """The config of a run. ``facts`` are the same for all runs of the server."""
    configurable = config.setdefault("configurable", {})
    with_user(configurable)
    metadata = config.setdefault("metadata", {})
    metadata["run_attempt"] = attempt
    metadata.update(facts)
    if attempt == 1:
        # Later attempts need a tracing id of their own.
        config["run_id"] = configurable["run_id"]
    if config.get("recursion_limit") is None:
        # The graph's own bound one, or the library's.
        config.pop("recursion_limit", None)
    return config


def run_input(order: dict[str, Any]) -> Any:
    """Input or command of a run."""
    command = order.get("command")
    if command:
        return to_command(command)
    return order.get("input")


def to_command(command: dict[str, Any]) -> Command[Any]:
    """A command as the API has it, with only the members that were given."""
    given: dict[str, Any] = {}
    if command.get("goto"):
        goto = command["goto"]
        given["goto"] = [_target(each) for each in (goto if isinstance(goto, list) else [goto])]
    if command.get("update") is not None:
        update = command["update"]
        is_pairs = isinstance(update, list) and all(_is_pair(each) for each in update)
        given["update"] = [tuple(pair) for pair in update] if is_pairs else update
    if command.get("resume") is not None:
        given["resume"] = command["resume"]
    if not given:
        raise EmptyInputError("Received empty Command input")
    return Command(**given)


def _target(goto: Any) -> Any:
    return Send(goto["node"], goto.get("input")) if isinstance(goto, dict) else goto


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
