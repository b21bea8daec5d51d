"""From `module:qualified.name` to a callable, or to an error that says what was looked for and what is there."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from slither import _errors

FunctionKind = Literal["function", "generator", "coroutine"]
_NAMES: Final = 200


@dataclass(frozen=True)
class Bound:
    """A function that was found."""

    name: str
    call: Callable[..., Any]
    kind: FunctionKind
    is_async: bool
    # What a batch calls, where that is not the function itself: of a tool, one that calls it for each item.
    each: Bound | None = None

    @property
    def batch(self) -> Bound:
        """What a batch calls."""
        return self.each or self


class CannotImport(Exception):
    """A function was not found; `error` is what travels."""

    def __init__(self, error: _errors.Error) -> None:
        super().__init__(error["message"])
        self.error = error


def resolve(name: str, user_path: list[str]) -> Bound:
    """Import what `name` names. Raises `CannotImport`.

    `user_path` is what the pool put before `sys.path`; messages show it.
    """
    module_name, colon, attribute = name.partition(":")
    if colon and not module_name and attribute:
        return _tool(attribute)
    parts = attribute.split(".")
    if not colon or not module_name or not all(part.isidentifier() for part in parts):
        raise CannotImport(
            _errors.make(
                "import", f"{name!r} does not name a function\nhint: write module:function, as in my_model:predict"
            )
        )
    found = _import(module_name, user_path)
    for index, part in enumerate(parts):
        try:
            found = getattr(found, part)
        except AttributeError:
            owner = ":".join(filter(None, (module_name, ".".join(parts[:index]))))
            raise CannotImport(_errors.make("import", _no_attribute(owner, part, found))) from None
        except BaseException as error:
            raise CannotImport(_errors.from_exception(error, "import")) from None
    if not callable(found):
        raise CannotImport(
            _errors.make("import", f"{name!r} is of type {type(found).__name__}, and not something that can be called")
        )
    kind = kind_of(found)
    return Bound(name, found, kind, kind == "coroutine" or is_async_generator(found))


def spread(call: Callable[..., Any], args: Any) -> Any:
    """Call with a map as keyword arguments, a list as positional ones, None as none, else with the only argument."""
    if isinstance(args, dict):
        if all(type(key) is str for key in args):
            return call(**args)
        raise TypeError("keyword arguments must have str keys")
    if isinstance(args, list):
        return call(*args)
    return call() if args is None else call(args)


def _tool(name: str) -> Bound:
    """Return a tool of this worker's adapter."""
    from slither import _hosted  # a worker without an adapter has no use for it
    from slither._exceptions import UnknownTool

    try:
        return _hosted.find(name)
    except UnknownTool as error:
        raise CannotImport(_errors.make("import", str(error))) from None


def kind_of(function: Callable[..., Any]) -> FunctionKind:
    """Say how the function gives its results; an async generator is a generator, too."""
    for each in _bodies(function):
        if inspect.iscoroutinefunction(each):
            return "coroutine"
        if inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each):
            return "generator"
    return "function"


def is_async_generator(function: Callable[..., Any]) -> bool:
    """Tell whether the function is a generator that awaits."""
    return any(inspect.isasyncgenfunction(each) for each in _bodies(function))


def _bodies(function: Callable[..., Any]) -> tuple[Any, Any]:
    """Return where it may be written what the function is: itself, and what calling an object of its kind runs."""
    while isinstance(function, functools.partial):
        function = function.func
    called = function if inspect.isroutine(function) or inspect.isclass(function) else type(function).__call__
    return function, called


def _import(module_name: str, user_path: list[str]) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Only if the module itself, or a package on the way to it, is what is missing; otherwise something that
        # it imports is, and then the traceback is the message.
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise CannotImport(_errors.make("import", _no_module(module_name, error.name, user_path))) from None
        raise CannotImport(_failed_import(module_name, error)) from None
    except BaseException as error:
        raise CannotImport(_failed_import(module_name, error)) from None


def _failed_import(module_name: str, error: BaseException) -> _errors.Error:
    made = _errors.from_exception(error, "import")
    kind = _errors.class_name(type(error))
    text = f"importing {module_name!r} failed: {kind}: {made['message']}"
    if isinstance(error, ModuleNotFoundError):
        text += f"\nhint: install it for {sys.executable or 'the interpreter of this pool'}"
    made["message"] = _errors.cut(text, _errors.MESSAGE_LIMIT)
    return made


def _no_module(module_name: str, missing: str, user_path: list[str]) -> str:
    parent, _, _ = missing.rpartition(".")
    lines = [f"no module named {missing!r}" + (f" (for {module_name!r})" if missing != module_name else "")]
    lines += ["searched in:", *(f"  {_show_folder(each)}" for each in user_path[:16])]
    lines.append(f"  and the packages of {sys.executable or 'this interpreter'}")
    near = difflib.get_close_matches(missing, _modules(parent, user_path), n=3)
    if near:
        lines.append(f"hint: did you mean {' or '.join(map(repr, near))}?")
    return "\n".join(lines)


def _show_folder(folder: str) -> str:
    return folder if os.path.isdir(folder) else f"{folder} (no such folder)"


def _modules(parent: str, user_path: list[str]) -> list[str]:
    """Modules beside the one that is missing: of its package, or of the user's folders."""
    where = user_path
    if parent:
        package = sys.modules.get(parent)
        where = list(getattr(package, "__path__", []))
    try:
        names = [each.name for _, each in zip(range(_NAMES), pkgutil.iter_modules(where), strict=False)]
    except Exception:
        return []
    return [f"{parent}.{each}" if parent else each for each in names]


def _no_attribute(owner: str, part: str, found: Any) -> str:
    names = [each for each in dir(found) if not each.startswith("__")][: _NAMES * 5]
    text = f"{owner!r} has no {part!r}"
    origin = getattr(found, "__file__", None)
    if origin:
        text += f"; it was imported from {origin}"
    near = difflib.get_close_matches(part, names, n=3)
    if near:
        return f"{text}\nhint: did you mean {' or '.join(map(repr, near))}?"
    home = getattr(found, "__name__", None)
    functions = [each for each in names if not each.startswith("_") and _is_own(getattr(found, each, None), home)]
    return f"{text}\nhint: it has {', '.join(functions[:12]) or 'no functions'}"


def _is_own(value: Any, home: object) -> bool:
    """Tell whether `value` is a function of the module `home`, or a method where `home` is no module."""
    return callable(value) and (getattr(value, "__module__", home) == home or home not in sys.modules)
