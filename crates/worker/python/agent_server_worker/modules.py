"""Finds modules of the project: by file or by name, from the places that ``langgraph.json`` names.

Only the standard library, so that a process that serves no graphs need not load theirs.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any


class LoadError(Exception):
    """The entry itself is wrong; the text says how."""


def prepare_path(directories: list[str]) -> None:
    """Makes the project's modules importable, before those of installed packages."""
    for directory in reversed(directories):
        while directory in sys.path:
            sys.path.remove(directory)
        sys.path.insert(0, directory)


def split(spec: str) -> tuple[str, str] | None:
    """Path or module, and variable, of ``path:variable``."""
    path, colon, variable = spec.rpartition(":")
    return (path, variable) if colon and path else None


def load_variable(spec: str, wanted: type | None = None) -> tuple[str, str, Any]:
    """What ``path:variable`` names, after path and variable. Where there is none, those of the wanted type are told."""
    named = split(spec)
    if named is None or not named[1]:
        raise LoadError(f"'{spec}' is not like ./file.py:variable or module:variable")
    path, variable = named
    module = import_named(path)
    try:
        return path, variable, getattr(module, variable)
    except AttributeError:
        likely = [name for name, value in vars(module).items() if wanted and isinstance(value, wanted)]
        hint = f"; it has {', '.join(likely)}" if likely else ""
        raise LoadError(f"{path} has no variable '{variable}'{hint}") from None


def import_named(path: str) -> ModuleType:
    """Imports a file, or a module by its name."""
    is_file = "/" in path or os.sep in path
    return import_file(path) if is_file else importlib.import_module(path)


def import_file(path: str) -> ModuleType:
    """Imports a file under the name that its path makes."""
    file = Path(path)
    if not file.is_file():
        raise LoadError(f"there is no file '{path}'")
    if file.is_absolute() and file.is_relative_to(Path.cwd()):
        # Named as in langgraph.json: saved state refers to classes by module, and projects move.
        path = f"./{file.relative_to(Path.cwd())}"
    name = path.replace("/", "__").replace(os.sep, "__").replace(" ", "_")
    name = name.removesuffix(".py").lstrip(".")
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise LoadError(f"'{path}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Before it is executed: pickling and type hints look their module up.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def cause(error: BaseException) -> str:
    """An exception in one line, with the place in the user's code."""
    place = ""
    own = os.path.dirname(__file__)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((own, "<frozen")):
            place = f" ({frame.filename}, line {frame.lineno})"
            break
    text = str(error)
    name = type(error).__name__
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}, line {error.lineno})"
        text = error.msg or text
    if isinstance(error, LoadError):
        return text
    return (f"{name}: {text}" if text else name) + place
