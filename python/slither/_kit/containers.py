"""Containers that report what is written to them: subclasses of list, dict, set and their like.

They are what they replace in all but their exact type: `isinstance`, `json`, pickling and copying know no
difference, and a copy is a plain container again. What is read from one is handed out watched, too, if it is a
container itself and nothing else holds it.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

# Elements of longer containers are not looked at one by one, when all of them are read.
_ELEMENTS: Final = 10_000

_DICT_WRITES: Final = ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "update")
_SET_WRITES: Final = (
    *("__iand__", "__ior__", "__isub__", "__ixor__", "add", "clear", "difference_update", "discard"),
    *("intersection_update", "pop", "remove", "symmetric_difference_update", "update"),
)
_LIST_WRITES: Final = (
    *("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "clear", "extend", "insert", "pop"),
    *("remove", "reverse"),
)
_WRITES: Final[dict[type, tuple[str, ...]]] = {
    list: (*_LIST_WRITES, "sort"),
    dict: _DICT_WRITES,
    set: _SET_WRITES,
    deque: (*_LIST_WRITES, "appendleft", "extendleft", "popleft", "rotate"),
    defaultdict: _DICT_WRITES,
    OrderedDict: (*_DICT_WRITES, "move_to_end"),
    Counter: (*_DICT_WRITES, "subtract", "__iadd__", "__isub__", "__iand__"),
}
# What would otherwise make another watched container, or show the name of the class.
_PLAIN: Final[dict[type, tuple[str, ...]]] = {
    list: ("__add__", "__mul__", "__rmul__"),
    dict: ("copy", "__or__", "__ror__"),
    set: (
        *("copy", "difference", "intersection", "symmetric_difference", "union", "__repr__"),
        *("__and__", "__or__", "__sub__", "__xor__", "__rand__", "__ror__", "__rsub__", "__rxor__"),
    ),
    deque: ("copy", "__add__", "__mul__", "__rmul__", "__repr__"),
    defaultdict: ("copy", "__or__", "__ror__", "__repr__"),
    OrderedDict: ("copy", "__or__", "__ror__", "__repr__"),
    Counter: ("copy", "__add__", "__sub__", "__or__", "__and__", "__pos__", "__neg__", "__repr__"),
}
_ACTIONS: Final = {
    "__setitem__": "set an item",
    "__delitem__": "delete an item",
    "__iadd__": "+=",
    "__imul__": "*=",
    "__ior__": "|=",
    "__iand__": "&=",
    "__isub__": "-=",
    "__ixor__": "^=",
}


class Witness(Protocol):
    """Who hears of a container: one object, bound to the path by which the container is known."""

    def wrote(self, action: str, frame: Any) -> None:
        """Something was done to it, by the code that `frame` runs."""

    def below(self, key: object) -> Witness:
        """The witness of one of its elements."""

    def take(self, container: Any, key: Any, fetch: Callable[[Any, Any], Any], put: Callable[..., Any]) -> Any:
        """An element is read that is a container: return what to hand out."""


def can_watch(value: object) -> bool:
    """Tell whether a container can be replaced by one that is watched; subclasses cannot."""
    return type(value) in _WRITES


def is_watched(value: object) -> bool:
    """Tell whether it is one of ours."""
    return type(value) in _BASES


def watch(value: Any, witness: Witness) -> Any:
    """Return a watched container with the elements of `value`, which nobody may use after this: it is emptied.

    Without a GIL it may live on for a while, and would seem to hold its elements.
    """
    kind = type(value)
    if kind is defaultdict:
        made = _WATCHED[kind](value.default_factory, value)
    elif kind is deque:
        made = _WATCHED[kind](value, value.maxlen)
    else:
        made = _WATCHED[kind](value)
    value.clear()
    made._witness = witness
    return made


def plain(value: Any) -> Any:
    """Return the plain container that a watched one stands for, with the same elements."""
    kind = _BASES[type(value)]
    if kind is defaultdict:
        return defaultdict(value.default_factory, value)
    if kind is deque:
        return deque(deque.__iter__(value), value.maxlen)
    if kind is list or kind is set:
        return kind(kind.__iter__(value))
    if kind is OrderedDict:
        return OrderedDict((key, dict.__getitem__(value, key)) for key in OrderedDict.__iter__(value))
    return kind(value)


def plain_throughout(value: Any) -> Any:
    """Return `value` with every watched container in it, however deep in plain ones, made plain."""
    kind = _BASES.get(type(value), type(value))
    if kind is list:
        return [plain_throughout(each) for each in list.__iter__(value)]
    if kind is tuple:
        return tuple(plain_throughout(each) for each in value)
    if kind is dict:
        return {key: plain_throughout(each) for key, each in dict.items(value)}
    return plain(value) if type(value) in _BASES else value


def _writing(kind: type, name: str) -> Callable[..., Any]:
    original, action = getattr(kind, name), _ACTIONS.get(name, name)

    def write(self: Any, *args: Any, **kwargs: Any) -> Any:
        witness = self._witness
        if witness is not None:
            witness.wrote(action, sys._getframe(1))
        return original(self, *args, **kwargs)

    write.__name__ = name
    return write


def _as_plain(kind: type, name: str) -> Callable[..., Any]:
    original = getattr(kind, name)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(plain(self), *args, **kwargs)

    call.__name__ = name
    return call


def _reduce(self: Any, protocol: int) -> tuple[Any, tuple[Any, ...]]:
    """For pickle and copy: what to call for a plain one."""
    del protocol
    kind = _BASES[type(self)]
    if not issubclass(kind, dict):
        elements = tuple(kind.__iter__(self))
        return kind, (elements, self.maxlen) if kind is deque else (elements,)
    if kind is Counter:
        return kind, (dict(self),)
    pairs = tuple((key, dict.__getitem__(self, key)) for key in kind.__iter__(self))
    return kind, (self.default_factory, pairs) if kind is defaultdict else (pairs,)


def _below(self: Any, key: Any, kind: Any) -> Any:
    """Hand out an element that is a container; it is fetched anew, so that nothing here seems to hold it."""
    return self._witness.take(self, key, kind.__getitem__, kind.__setitem__)


def _all_below(self: Any, kind: Any, keyed: Callable[[], Iterator[tuple[Any, Any]]]) -> None:
    if self._witness is None or len(self) > _ELEMENTS:
        return
    for key in [key for key, value in keyed() if type(value) in _WRITES]:
        try:
            _below(self, key, kind)
        except LookupError:
            continue  # another thread was faster: it is gone


def _sequence(kind: Any) -> dict[str, Any]:
    def getitem(self: Any, key: Any) -> Any:
        found = kind.__getitem__(self, key)
        if self._witness is None or isinstance(key, slice) or type(found) not in _WRITES:
            return found
        del found
        return _below(self, key, kind)

    def iterate(self: Any) -> Any:
        _all_below(self, kind, lambda: enumerate(list(kind.__iter__(self))))
        return kind.__iter__(self)

    return {"__getitem__": getitem, "__iter__": iterate}


def _mapping(kind: Any) -> dict[str, Any]:
    def getitem(self: Any, key: Any) -> Any:
        if kind is defaultdict and self._witness is not None and not dict.__contains__(self, key):
            # What is missing is put there, by some versions of Python past `__setitem__`.
            self._witness.wrote("set an item", sys._getframe(1))
        found = kind.__getitem__(self, key)
        if self._witness is None or type(found) not in _WRITES:
            return found
        del found
        return _below(self, key, kind)

    def get(self: Any, key: Any, default: Any = None) -> Any:
        return getitem(self, key) if dict.__contains__(self, key) else default

    def setdefault(self: Any, key: Any, default: Any = None) -> Any:
        if dict.__contains__(self, key):
            return getitem(self, key)
        if self._witness is not None:
            self._witness.wrote("setdefault", sys._getframe(1))
        return kind.setdefault(self, key, default)

    def pairs(self: Any) -> Any:
        return iter(list(dict.items(self)))

    def values(self: Any) -> Any:
        _all_below(self, kind, lambda: pairs(self))
        return kind.values(self)

    def items(self: Any) -> Any:
        _all_below(self, kind, lambda: pairs(self))
        return kind.items(self)

    return {"__getitem__": getitem, "get": get, "setdefault": setdefault, "values": values, "items": items}


def _watched(kind: type) -> Any:
    names: dict[str, Any] = {
        "_witness": None,
        "__doc__": f"A {kind.__name__} that reports what is written to it.",
        "__module__": __name__,
        "__copy__": plain,
        "__reduce_ex__": _reduce,
        **{name: _as_plain(kind, name) for name in _PLAIN[kind]},
        **{name: _writing(kind, name) for name in _WRITES[kind]},
    }
    if issubclass(kind, dict):
        names.update(_mapping(kind))
    elif kind is not set:
        names.update(_sequence(kind))
    return type(f"Watched{kind.__name__[0].upper()}{kind.__name__[1:]}", (kind,), names)


_WATCHED: Final[dict[type, Any]] = {kind: _watched(kind) for kind in _WRITES}
_BASES: Final[dict[type, Any]] = {watched: kind for kind, watched in _WATCHED.items()}
