"""What the source of a function says, without importing anything of it: for the host's choice of a pool.

An import may turn the GIL on, take seconds and hundreds of megabytes, and start threads. So the module is found as the
import system would find it, and its file is parsed.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any, Final, TypedDict

from slither._traits import NAMES

# How many modules of one's own are read for one function, and how long each may be.
_MODULES: Final = 128
_LONGEST: Final = 4 << 20

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Description(TypedDict):
    """What the host is told; of what cannot be found, nothing."""

    file: str | None
    is_defined: bool  # by a `def` of its name
    hash: str | None
    is_async: bool
    traits: str
    imports: list[str]


class _Module:
    """A module that was found and read."""

    def __init__(self, name: str, file: str, text: bytes, is_package: bool) -> None:
        self.name = name
        self.file = file
        self.hash = hashlib.sha256(text).hexdigest()
        self.tree = ast.parse(text)
        self._package = name if is_package else name.rpartition(".")[0]

    def imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        """The modules that a statement imports, or may import: `from a import b` names `a` and perhaps `a.b`."""
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
            return
        home = self.home(node)
        if home:
            yield from (f"{home}.{each.name}" for each in node.names if each.name != "*")
            yield home

    def home(self, node: ast.ImportFrom) -> str:
        """The module that a `from` names, which may be relative."""
        if not node.level:
            return node.module or ""
        parts = self._package.split(".")
        base = parts[: len(parts) - node.level + 1]
        return ".".join([*base, *filter(None, [node.module])])


def describe(function: str, known: Sequence[str] = ()) -> Description:
    """Say what the source of `module:qualified.name` says. `known` are modules of which the host knows something."""
    name, _, attribute = function.partition(":")
    told = Description(file=None, is_defined=False, hash=None, is_async=False, traits="", imports=[])
    module = _read(name)
    if module is None:
        return told
    told["imports"] = _reached(module, known)
    module, path = _followed(module, attribute.split("."))
    told["file"], told["hash"] = module.file, module.hash
    told["is_defined"] = bool(path)
    told["is_async"] = isinstance(path[-1], ast.AsyncFunctionDef) if path else False
    told["traits"] = ",".join(_declared(module, path))
    return told


def _read(name: str) -> _Module | None:
    spec = _find(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        with open(spec.origin, "rb") as file:
            text = file.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            return None
        return _Module(name, spec.origin, text, spec.submodule_search_locations is not None)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _find(name: str) -> ModuleSpec | None:
    """Find a module as an import would, without importing its package."""
    path: Sequence[str] | None = None
    spec = None
    whole = ""
    for part in name.split("."):
        whole = f"{whole}.{part}" if whole else part
        try:
            spec = PathFinder.find_spec(whole, path)
        except Exception:
            return None
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec


def _followed(module: _Module, parts: list[str]) -> tuple[_Module, list[Definition]]:
    """Find where a name is defined: in the module, or where that has it from. The definitions on the way to it."""
    for _ in range(_MODULES):
        path = _path(module.tree, parts)
        if path:
            break
        source = next(_sources(module, parts[0]), None)
        if source is None:
            break
        module, parts = source[0], [source[1], *parts[1:]]
    else:
        path = []
    return module, path


def _path(tree: ast.Module, parts: list[str]) -> list[Definition]:
    found: list[Definition] = []
    body: list[ast.stmt] = tree.body
    for part in parts:
        named = [each for each in body if isinstance(each, Definition) and each.name == part]
        if not named:
            return []
        found.append(named[-1])
        body = named[-1].body
    return found


def _sources(module: _Module, name: str) -> Iterator[tuple[_Module, str]]:
    """Where a name of the module is from, and what it is called there."""
    for node in module.tree.body:
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                if (each.asname or each.name) == name and (home := _read(module.home(node))) is not None:
                    yield home, each.name


def _declared(module: _Module, path: list[Definition]) -> Iterator[str]:
    """The traits that are written at the definition, and what its class or module says of threads."""
    said: dict[str, None] = {}
    for definition in path:
        for decorator in definition.decorator_list:
            if isinstance(decorator, ast.Call) and _last(decorator.func) == "traits":
                words = [each.value for each in decorator.args if isinstance(each, ast.Constant)]
                said |= dict.fromkeys(word for word in words if isinstance(word, str) and word in NAMES)
    if not {"thread_safe", "not_thread_safe"} & said.keys():
        bodies = [each.body for each in reversed(path) if isinstance(each, ast.ClassDef)]
        safe = next((each for body in (*bodies, module.tree.body) if (each := _thread_safe(body)) is not None), None)
        if safe is not None:
            said["thread_safe" if safe else "not_thread_safe"] = None
    return iter(said)


def _thread_safe(body: list[ast.stmt]) -> bool | None:
    for node in body:
        targets: list[Any] = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(each, ast.Name) and each.id == "__thread_safe__" for each in targets):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            return value.value if isinstance(value, ast.Constant) and isinstance(value.value, bool) else None
    return None


def _last(node: ast.expr) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None


def _reached(module: _Module, known: Sequence[str]) -> list[str]:
    """Of the known modules those that are imported, by it or by what it imports; nowhere else is looked into those."""
    tops = {each.partition(".")[0] for each in known}
    found: dict[str, None] = {}
    seen = {module.name}
    waiting = [module]
    read = 1
    while waiting:
        reading = waiting.pop()
        for node in ast.walk(reading.tree):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            for name in reading.imported(node):
                if name in seen:
                    continue
                seen.add(name)
                top = name.partition(".")[0]
                if top in tops:
                    found[top] = None
                elif top not in sys.stdlib_module_names and top != "slither" and read < _MODULES:
                    read += 1
                    inner = _read(name)
                    waiting += [inner] if inner is not None else []
    return list(found)
