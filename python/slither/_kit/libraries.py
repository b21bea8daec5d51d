"""Libraries that threads may not use at once: where a class's methods use them outside a lock.

That a method names pandas is read from its source; that several threads really ran it, and held no lock when they
called it, is for the checker to see. `sqlite3` is not looked for in methods: a connection of each thread's own is
the right way to use it, and what is wrong, a connection that is shared, is held by the adapter.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from slither._kit.ledger import Place

# Module -> the library as it is called.
_USED: Final = {"pandas": "pandas", "matplotlib.pyplot": "matplotlib.pyplot"}
# Classes of objects that no two threads may use at once; by module and, where it matters, by name.
_HELD: Final = {"pandas": "pandas", "sqlite3": "sqlite3", "matplotlib": "matplotlib"}
_LOCK: Final = re.compile(r"lock|mutex|cond|sem", re.IGNORECASE)


class Use(NamedTuple):
    """A library used by a method, outside a lock as far as its source shows."""

    library: str
    place: Place


def uses(owner: type, name: str) -> list[Use]:
    """Return the uses of such libraries in a method, outside any `with` of a lock; none if there is no source."""
    function = inspect.unwrap(_function(inspect.getattr_static(owner, name, None)))
    if not isinstance(function, types.FunctionType):
        return []
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return []
    names = dict(_imported(tree))
    scan = _Scan(lambda used: names.get(used) or _library_of(function.__globals__.get(used)))
    for each in tree.body:
        scan.visit(each)
    code = function.__code__
    return [
        Use(library, Place(code.co_filename, first + line - 1, getattr(code, "co_qualname", function.__qualname__)))
        for library, line in scan.found
    ]


def held(value: object) -> str | None:
    """Return the library of an object that no two threads may use at once, None for all others."""
    kind = type(value)
    return _HELD.get(kind.__module__.partition(".")[0]) if not isinstance(value, types.ModuleType) else None


class _Scan(ast.NodeVisitor):
    """Finds the names that stand for a library, and are not within a lock."""

    def __init__(self, library_of: Callable[[str], str | None]) -> None:
        self._library_of = library_of
        self._locked_from = sys.maxsize
        self.found: list[tuple[str, int]] = []

    def visit_With(self, node: ast.With) -> None:
        """Pass over what a lock protects."""
        if any(_is_lock(item.context_expr) for item in node.items):
            return
        self.generic_visit(node)

    visit_AsyncWith = visit_With  # type: ignore[assignment]  # noqa: N815

    def visit_Call(self, node: ast.Call) -> None:
        """What follows `lock.acquire()` is taken for protected."""
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr == "acquire" and _is_lock(function.value):
            self._locked_from = min(self._locked_from, node.lineno)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Note a name of a library."""
        library = self._library_of(node.id)
        if library is not None and node.lineno < self._locked_from:
            self.found.append((library, node.lineno))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Look at what a function does, and not at its annotations and decorators."""
        for each in node.body:
            self.visit(each)

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]  # noqa: N815


def _is_lock(expression: ast.expr) -> bool:
    if isinstance(expression, ast.Call):
        expression = expression.func
    name = getattr(expression, "attr", None) or getattr(expression, "id", "")
    return bool(_LOCK.search(str(name)))


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that a function imports for itself, and their libraries."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                library = _named(each.name)
                if library is not None:
                    yield each.asname or each.name.partition(".")[0], library
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                library = _named(f"{node.module}.{each.name}")
                if library is not None:
                    yield each.asname or each.name, library


def _library_of(value: object) -> str | None:
    """The library that a global stands for: the module, or something that was imported from it."""
    if isinstance(value, types.ModuleType):
        return _named(value.__name__)
    if isinstance(value, (type, types.FunctionType)):
        return _named(value.__module__ or "")
    return None


def _named(module: str) -> str | None:
    return next((library for name, library in _USED.items() if f"{module}.".startswith(f"{name}.")), None)


def _function(found: object) -> Any:
    return found.__func__ if isinstance(found, (staticmethod, classmethod)) else found
