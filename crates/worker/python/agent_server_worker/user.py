"""Users: as an authentication handler returns them, as they travel, and as graphs and handlers see them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import orjson


class User:
    """An authenticated user: members are attributes and items.

    Graphs see it in ``runtime.server_info.user``, handlers in ``ctx.user``.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    @property
    def identity(self) -> str:
        """The user's id."""
        return self._data.get("identity", "")

    @property
    def is_authenticated(self) -> bool:
        """Whether the user was authenticated."""
        return self._data.get("is_authenticated", True)

    @property
    def display_name(self) -> str:
        """Name for people."""
        return self._data.get("display_name") or self.identity

    @property
    def permissions(self) -> list[str]:
        """Scopes."""
        return list(self._data.get("permissions") or ())

    def __getattr__(self, name: str) -> Any:
        try:
            return _readable(self.__dict__["_data"][name])
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, User) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self.identity)

    def __repr__(self) -> str:
        # Members may be secrets.
        return f"User({self.identity!r})"

    def get(self, key: str, default: Any = None) -> Any:
        """A member, as of a dict."""
        return self._data.get(key, default)

    def keys(self) -> Any:
        """Names of the members."""
        return self._data.keys()

    def values(self) -> Any:
        """The members without their names."""
        return self._data.values()

    def items(self) -> Any:
        """Names and members."""
        return self._data.items()

    def to_dict(self) -> dict[str, Any]:
        """All members."""
        return dict(self._data)

    def dict(self) -> dict[str, Any]:
        """All members."""
        return dict(self._data)

    # What the encoder calls: a user never goes on the wire as a whole.
    def model_dump(self) -> None:
        """Nothing: members may be secrets."""


class _Readable(dict[str, Any]):
    """A dict whose members are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return _readable(self[name])
        except KeyError:
            raise AttributeError(name) from None


def _readable(value: Any) -> Any:
    return _Readable(value) if isinstance(value, dict) else value


class NotAUser(Exception):
    """What an authentication handler returned is no user; the text says why."""


def wire_user(given: Any) -> dict[str, Any]:
    """A user that a handler returned, as it travels: identity, permissions and all members."""
    permissions = None
    if isinstance(given, tuple):
        if len(given) != 2:
            raise NotAUser(f"a tuple of {len(given)}; of permissions and user it has two members")
        permissions, given = given
    members = _members(given)
    if permissions is None:
        permissions = members.get("permissions")
    identity = str(members.pop("identity"))
    fields = {
        "identity": identity,
        "is_authenticated": bool(members.pop("is_authenticated", True)),
        "display_name": members.pop("display_name", None) or identity,
        **members,
    }
    return {"identity": identity, "permissions": _texts(permissions), "fields": fields}


def _members(given: Any) -> dict[str, Any]:
    kind = type(given).__name__
    if isinstance(given, str):
        return {"identity": given}
    if isinstance(given, Mapping):
        members = {str(key): value for key, value in given.items()}
    elif (identity := _attribute(given, "identity")) is not None:
        members = {**_own_members(given), "identity": identity}
        for name in ("is_authenticated", "display_name", "permissions"):
            value = _attribute(given, name)
            if value is not None:
                members[name] = value
    else:
        raise NotAUser(f"{kind}, which has no identity")
    if members.get("identity") is None:
        raise NotAUser(f"{kind} without 'identity'")
    return {name: value for name, value in members.items() if _travels(name, value)}


def _attribute(given: Any, name: str) -> Any:
    try:
        return getattr(given, name, None)
    # Base classes of frameworks have properties that are to be overridden.
    except NotImplementedError:
        return None


def _own_members(given: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    for name in ("model_dump", "to_dict", "dict"):
        method = getattr(given, name, None)
        if callable(method):
            members = method()
            if isinstance(members, dict):
                return {str(key): value for key, value in members.items()}
    members = getattr(given, "__dict__", {})
    return {name: value for name, value in members.items() if not name.startswith("_")}


def _travels(name: str, value: Any) -> bool:
    try:
        dumps(value)
    except TypeError:
        kind = type(value).__name__
        print(f"user: member '{name}' is a {kind}, which cannot be kept; it is left out")
        return False
    return True


def _texts(permissions: Any) -> list[str]:
    if permissions is None:
        return []
    if isinstance(permissions, str):
        return [permissions]
    return [str(permission) for permission in permissions]


def dumps(value: Any) -> bytes:
    """JSON of what handlers hand over."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    for name in ("model_dump", "dict"):
        method = getattr(value, name, None)
        if callable(method) and not isinstance(value, type):
            plain = method()
            if plain is not None:
                return plain
    raise TypeError(f"{type(value).__name__} is not JSON")
