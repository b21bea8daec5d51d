"""Samples: arguments for tools, from what is given, or from type hints and defaults."""

from __future__ import annotations

import ast
import collections.abc
import inspect
import json
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Union

from slither._kit.tools import find_tools

_DEPTH: Final = 4


class Call(NamedTuple):
    """A call of a tool: its name, positional and keyword arguments."""

    tool: str
    args: list[Any]
    kwargs: dict[str, Any]


class NoSample(ValueError):
    """What a person gave is no call, or a parameter's type says too little to make a value of it."""


def parse_call(text: str) -> Call:
    """Read `tool('a', b=1)`, whose arguments are literals. Raises `NoSample`."""
    hint = "\nhint: write it as in --call \"predict('some text', limit=3)\""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Name):
            return Call(node.id, [], {})
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise NoSample(f"{text!r} is no call of a tool{hint}")
        kwargs = {each.arg: ast.literal_eval(each.value) for each in node.keywords if each.arg is not None}
        return Call(node.func.id, [ast.literal_eval(each) for each in node.args], kwargs)
    except (SyntaxError, ValueError) as error:
        if isinstance(error, NoSample):
            raise
        why = error.msg if isinstance(error, SyntaxError) else error
        raise NoSample(f"{text!r} is no call with literals as arguments: {why}{hint}") from None


_FORM: Final = '\nhint: a sample has lines like {"tool": "score", "args": ["some text"]}'


def read_file(path: Path) -> list[Call]:
    """Read calls from a file: a JSON array, or a line each, of `{"tool": …, "args": […] or {…}}`."""
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise NoSample(f"{path} cannot be read: {error}") from None
    if text.lstrip().startswith("["):
        lines = _json(path, 1, text)
    else:
        lines = [_json(path, number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    calls = []
    for number, each in enumerate(lines, 1):
        args = each.get("args", []) if isinstance(each, dict) else None
        if not isinstance(each, dict) or not isinstance(each.get("tool"), str) or not isinstance(args, (list, dict)):
            raise NoSample(f'{path}: entry {number} is not {{"tool": name, "args": [...] or {{...}}}}')
        positional, named = (args, {}) if isinstance(args, list) else ([], args)
        calls.append(Call(each["tool"], positional, named))
    return calls


def _json(path: Path, first: int, text: str) -> Any:
    """Read what begins in this line of a file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}:{first - 1 + error.lineno}"
        raise NoSample(f"{where}: no JSON: {error.msg}, at column {error.colno}{_FORM}") from None


def samples(owner: type, name: str, function: Callable[..., Any]) -> Iterator[Call]:
    """Yield calls of a tool without end, with values that differ from call to call. Raises `NoSample` at once."""
    required = _required(owner, name, function)
    numbers = 0
    while True:
        kwargs = {each: value(kind, numbers) for each, kind in required.items()}
        yield Call(name, [], kwargs)
        numbers += 1


def all_tools(owner: type) -> dict[str, Callable[..., Any]]:
    """Return the tools of a class by name."""
    return dict(find_tools(owner))


def _required(owner: type, name: str, function: Callable[..., Any]) -> dict[str, Any]:
    function = inspect.unwrap(function)
    try:
        hints = typing.get_type_hints(function)
    except Exception as error:
        raise NoSample(f"the types of {owner.__name__}.{name} cannot be known: {error}") from None
    required = {}
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            continue
        hint = hints.get(parameter.name)
        try:
            value(hint, 0)
        except NoSample as error:
            raise NoSample(
                f"{owner.__name__}.{name} has the parameter {parameter.name!r}, {error}\n"
                f'hint: give a call: --call "{name}({parameter.name}=…)"'
            ) from None
        required[parameter.name] = hint
    return required


_SCALARS: Final[dict[Any, Callable[[int], Any]]] = {
    int: lambda number: number % 10 + 1,
    float: lambda number: (number % 10 + 1) / 2,
    bool: lambda number: number % 2 == 0,
    str: lambda number: f"sample {number % 10}",
    bytes: lambda number: f"sample {number % 10}".encode(),
    object: lambda number: number % 10 + 1,
    Any: lambda number: number % 10 + 1,
    type(None): lambda _: None,
}


def value(kind: Any, number: int, depth: int = 0) -> Any:
    """Return a value of a type; `number` tells one from the next. Raises `NoSample` for a type that is not plain."""
    if kind in _SCALARS:
        return _SCALARS[kind](number)
    origin, args = typing.get_origin(kind) or kind, typing.get_args(kind)
    if depth < _DEPTH:
        if origin in (
            list,
            set,
            frozenset,
            collections.abc.Sequence,
            collections.abc.Iterable,
            collections.abc.Collection,
        ):
            made = [value(args[0] if args else float, number + each, depth + 1) for each in range(3)]
            return origin(made) if origin in (set, frozenset) else made
        if origin is tuple:
            kinds = args[:1] * 3 if args[1:] == (Ellipsis,) else args
            return tuple(value(each, number, depth + 1) for each in kinds)
        if origin in (dict, collections.abc.Mapping, collections.abc.MutableMapping):
            key, kind = args or (str, float)
            return {value(key, number + each, depth + 1): value(kind, number + each, depth + 1) for each in range(2)}
        if origin in (Union, types.UnionType):
            return value(args[0], number, depth + 1)
        if origin is typing.Annotated:
            return value(args[0], number, depth + 1)
        if origin is Literal:
            return args[number % len(args)]
    said = "which has no type" if kind is None else f"of type {getattr(kind, '__name__', kind)}"
    raise NoSample(f"{said}, and no value can be made up for it")
