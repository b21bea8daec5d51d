"""`@tool`: which methods of a class a host may call, and what it is told of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypedDict, TypeVar, cast, overload

MARK: Final = "__slither_tool__"
# On an `execute_tool` that does what a host does without one.
ORDINARY: Final = "__slither_ordinary__"

Method = TypeVar("Method", bound=Callable[..., Any])


class ParameterDescription(TypedDict):
    """A parameter of a tool. `type` and `default` are source text, None where there is none."""

    name: str
    kind: str
    type: str | None
    required: bool
    default: str | None


class ToolDescription(TypedDict):
    """What a host may know of a tool before it calls it; all of it can travel."""

    name: str
    description: str
    signature: str
    parameters: list[ParameterDescription]
    returns: str | None
    streaming: bool
    asynchronous: bool
    required_variables: list[str]


class _Mark(TypedDict):
    name: str | None
    description: str | None
    streaming: bool
    required_variables: list[str]


@overload
def tool(method: Method, /) -> Method: ...


@overload
def tool(
    description: str | None = None,
    /,
    *,
    name: str | None = None,
    supports_streaming: bool = False,
    required_variables: Sequence[str] = (),
) -> Callable[[Method], Method]: ...


@overload
def tool(
    *,
    description: str | None = None,
    name: str | None = None,
    supports_streaming: bool = False,
    required_variables: Sequence[str] = (),
) -> Callable[[Method], Method]: ...


def tool(
    given: Any = None,
    /,
    *,
    description: str | None = None,
    name: str | None = None,
    supports_streaming: bool = False,
    required_variables: Sequence[str] = (),
) -> Any:
    """Mark a method as a tool: something that a host may call by name.

        @tool(description="Doubles each number")
        def double(self, numbers: list[int]) -> list[int]: ...

    `description` is for people; without it the first paragraph of the docstring is taken. `name` is what the host
    calls it by, the method's own if it is absent. A generator function is a streaming tool, whose values the host
    takes one by one; `supports_streaming` says so of a method that only returns a generator. An `async def` is
    allowed. `required_variables` is told to the host and otherwise unused.

    The method itself is returned, unchanged but for the mark.
    """

    def mark(method: Method) -> Method:
        made: _Mark = {
            "name": name,
            "description": description if given is None or callable(given) else given,
            "streaming": supports_streaming,
            "required_variables": list(required_variables),
        }
        setattr(method, MARK, made)
        return method

    return mark(given) if callable(given) else mark


def find_tools(owner: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield name and function of each tool of a class, in the order of definition, those of its bases first.

    What a subclass overrides without the mark is no tool any more.
    """
    names = dict.fromkeys(name for base in reversed(owner.__mro__) for name in vars(base))
    for attribute in names:
        found = inspect.getattr_static(owner, attribute)
        if isinstance(found, (staticmethod, classmethod)):
            found = found.__func__
        mark = _mark_of(found)
        if mark is not None:
            yield mark["name"] or attribute, found


def describe_tools(owner: type) -> list[ToolDescription]:
    """Return what a host may know of each tool of a class."""
    return [describe(name, function) for name, function in find_tools(owner)]


def describe(name: str, function: Callable[..., Any]) -> ToolDescription:
    """Return what a host may know of one tool."""
    mark = _mark_of(function)
    signature = signature_of(function)
    listed = list(signature.parameters.values())[1:]  # without self
    document = inspect.getdoc(function) or ""
    return {
        "name": name,
        "description": (mark and mark["description"]) or " ".join(document.partition("\n\n")[0].split()),
        "signature": str(signature.replace(parameters=listed)),
        "parameters": [_parameter(each) for each in listed],
        "returns": _text(signature.return_annotation),
        "streaming": is_streaming(function),
        "asynchronous": inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
        "required_variables": mark["required_variables"] if mark else [],
    }


def is_streaming(function: Callable[..., Any]) -> bool:
    """Tell whether a tool gives its result in pieces."""
    mark = _mark_of(function)
    return (
        inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
        or bool(mark and mark["streaming"])
    )


def own_dispatcher(owner: type) -> Callable[..., Any] | None:
    """Return the `execute_tool` of a class that calls its tools in a way of its own, else None."""
    found = getattr(owner, "execute_tool", None)
    return found if callable(found) and not getattr(found, ORDINARY, False) else None


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return a function's signature; annotations that cannot be evaluated yet are left as text."""
    if sys.version_info >= (3, 14):
        import annotationlib  # there since 3.14, and only there needed

        return inspect.signature(function, annotation_format=annotationlib.Format.STRING)
    return inspect.signature(function)


def _mark_of(found: object) -> _Mark | None:
    return cast("_Mark | None", getattr(found, MARK, None)) if callable(found) else None


def _parameter(each: inspect.Parameter) -> ParameterDescription:
    kinds: dict[Any, str] = {
        each.VAR_POSITIONAL: "variadic",
        each.VAR_KEYWORD: "variadic keyword",
        each.KEYWORD_ONLY: "keyword",
    }
    absent = each.default is each.empty
    return {
        "name": each.name,
        "kind": kinds.get(each.kind, "positional"),
        "type": _text(each.annotation),
        "required": absent and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD),
        "default": None if absent else repr(each.default)[:200],
    }


def _text(annotation: Any) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
