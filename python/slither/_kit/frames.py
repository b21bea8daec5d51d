"""Frames and series of pandas that report what is written to them, where pandas has been imported by the user.

pandas is never imported here. A frame is watched in place, by being of a subclass, and what is computed from it is a
plain one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

_WITNESS: Final = "_slither_witness"
_WRITES: Final = ("__setitem__", "__delitem__", "insert", "pop", "update")
# Their first write is `inplace=True`.
_PERHAPS: Final = (
    *("bfill", "clip", "drop", "drop_duplicates", "dropna", "eval", "ffill", "fillna", "interpolate", "mask"),
    *("query", "rename", "rename_axis", "replace", "reset_index", "set_index", "sort_index", "sort_values", "where"),
)
_INDEXERS: Final = ("at", "iat", "iloc", "loc")

_subclasses: Final[dict[type, type]] = {}
_guard: Final = threading.Lock()


class Witness(Protocol):
    """Who hears of a frame."""

    def wrote(self, action: str, frame: Any) -> None: ...


def can_watch(value: object) -> bool:
    """Tell whether it is a frame or a series, and of no subclass."""
    kind = type(value)
    return kind.__name__ in ("DataFrame", "Series") and kind is getattr(sys.modules.get("pandas"), kind.__name__, None)


def watch(value: Any, witness: Witness) -> None:
    """Have a frame or series report its writes to `witness` from now on."""
    # The witness first: the moment that the class is there, other threads' writes are asked for it.
    object.__setattr__(value, _WITNESS, witness)
    object.__setattr__(value, "__class__", _subclass(type(value)))


class _Indexer:
    """`frame.loc` and its like: what is set through it is a write of the frame."""

    def __init__(self, indexer: Any, frame: Any, name: str) -> None:
        self._indexer = indexer
        self._frame = frame
        self._name = name

    def __getitem__(self, key: Any) -> Any:
        return self._indexer[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        _wrote(self._frame, f"{self._name}[…] = …", sys._getframe(1))
        self._indexer[key] = value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return type(self)(self._indexer(*args, **kwargs), self._frame, self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._indexer, name)


def _subclass(kind: type) -> type:
    with _guard:
        found = _subclasses.get(kind)
        if found is None:
            names: dict[str, Any] = {"__module__": kind.__module__, "__setattr__": _setattr(kind)}
            names["__reduce_ex__"] = lambda self, protocol: self.copy().__reduce_ex__(protocol)
            for name in (*_WRITES, *_PERHAPS):
                if hasattr(kind, name):
                    names[name] = _writing(kind, name, name in _PERHAPS)
            for name in _INDEXERS:
                if hasattr(kind, name):
                    names[name] = _indexing(kind, name)
            found = _subclasses[kind] = type(kind.__name__, (kind,), names)
        return found


def _writing(kind: type, name: str, perhaps: bool) -> Callable[..., Any]:
    original = getattr(kind, name)
    action = {"__setitem__": "set an item", "__delitem__": "delete an item"}.get(name, name)

    def write(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not perhaps or kwargs.get("inplace"):
            _wrote(self, action, sys._getframe(1))
        return original(self, *args, **kwargs)

    write.__name__ = name
    write.__doc__ = original.__doc__
    return write


def _indexing(kind: type, name: str) -> property:
    original = getattr(kind, name).fget
    return property(lambda self: _Indexer(original(self), self, name))


def _setattr(kind: type) -> Callable[..., None]:
    original: Callable[..., None] = kind.__setattr__

    def set_attribute(self: Any, name: str, value: Any) -> None:
        # What begins with an underscore is pandas' own, set whenever it caches something.
        if not name.startswith("_"):
            _wrote(self, f"set .{name}", sys._getframe(1))
        original(self, name, value)

    return set_attribute


def _wrote(frame: Any, action: str, where: Any) -> None:
    witness = object.__getattribute__(frame, "__dict__").get(_WITNESS)
    if witness is not None:
        witness.wrote(action, where)
