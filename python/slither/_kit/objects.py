"""Objects that report what is written to their attributes: adapters, and what they hold of the user's own classes.

An object is watched by being of a subclass that is made here, so that it stays the object that it was, for everybody
who holds it. It says of itself that it is of the user's class.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from slither._kit import containers, frames, locks

WITNESS: Final = "_slither_witness"
_OURS: Final = "_slither_"
_OWN: Final = "_slither_own_class"


class Owner(Protocol):
    """The adapter that an object belongs to."""

    def is_own(self, owner: type) -> bool:
        """Tell whether a class is the user's own."""

    def read(self, name: str, value: Any) -> Any:
        """An attribute of the adapter itself is read; return what to hand out."""


class Witness(Protocol):
    """Who hears of an object's attributes."""

    @property
    def watch(self) -> Owner: ...

    @property
    def too_deep(self) -> bool: ...

    @property
    def outermost(self) -> bool: ...

    def wrote(self, action: str, frame: Any) -> None: ...

    def wrote_attribute(self, name: str, action: str, frame: Any) -> None: ...

    def attribute(self, name: str) -> Witness: ...

    def of_class(self, owner: type, name: str) -> Witness: ...

    def take_attribute(self, container: Any, name: str, fetch: Callable[..., Any], put: Callable[..., Any]) -> Any: ...


class _Silent:
    """Keeps the `__init_subclass__` of a user's class out: no class of theirs is being made."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """Do nothing."""


def _hooks(owner: Any) -> dict[str, Any]:
    """Return what the subclass of a watched object's class has in place of what the class has."""
    get, put, delete, reduce = owner.__getattribute__, owner.__setattr__, owner.__delattr__, owner.__reduce_ex__

    def getattribute(self: Any, name: str) -> Any:
        value = get(self, name)
        if name.startswith(("__", _OURS)):
            return value
        attributes = object.__getattribute__(self, "__dict__")
        witness: Witness | None = attributes.get(WITNESS)
        if witness is None:
            return value
        if witness.outermost:
            value = witness.watch.read(name, value)
        if containers.can_watch(value):
            if name in attributes:
                del value  # or it would seem to be in use elsewhere
                return witness.attribute(name).take_attribute(attributes, name, dict.__getitem__, dict.__setitem__)
            base = _class_with(type(self), name)
            if base is not None and witness.watch.is_own(base):
                # A container of the class is shared by all instances.
                del value
                return witness.of_class(base, name).take_attribute(base, name, _of_class, setattr)
            return value
        if locks.is_lock(value):
            return locks.track(value)
        if name in attributes and not witness.too_deep:
            _adopt(value, witness, name)
        return value

    def setattribute(self: Any, name: str, value: Any) -> None:
        _wrote(self, name, "set", sys._getframe(1))
        put(self, name, value)

    def delattribute(self: Any, name: str) -> None:
        _wrote(self, name, "delete", sys._getframe(1))
        delete(self, name)

    def reduce_ex(self: Any, protocol: Any) -> Any:
        made = reduce(self, protocol)
        if not isinstance(made, tuple) or len(made) < 2:
            return made
        function, arguments, *rest = made
        if rest and type(rest[0]) is dict:
            rest[0] = {key: value for key, value in rest[0].items() if key != WITNESS}
        return (function, tuple(own_class(each) if isinstance(each, type) else each for each in arguments), *rest)

    return {
        "__slots__": (),
        "__module__": owner.__module__,
        "__qualname__": owner.__qualname__,
        "__doc__": owner.__doc__,
        "__class__": property(lambda _: owner),  # so that it compares like what it was
        "__getattribute__": getattribute,
        "__setattr__": setattribute,
        "__delattr__": delattribute,
        "__reduce_ex__": reduce_ex,
        _OWN: owner,
    }


_subclasses: Final[dict[type, type]] = {}
_guard: Final = threading.Lock()


def subclass(owner: type) -> type:
    """Return the class that a watched object of class `owner` is of."""
    with _guard:
        found = _subclasses.get(owner)
        if found is None:
            # With a second base the layout is another one, and an object cannot be given the class in place.
            inert = isinstance(owner.__init_subclass__, types.BuiltinMethodType)
            bases = (owner,) if inert else (_Silent, owner)
            found = _subclasses[owner] = type(owner)(owner.__name__, bases, _hooks(owner))
        return found


def own_class(kind: type) -> type:
    """Return the user's class that a subclass of ours stands for, or the class itself."""
    return cast("type", vars(kind).get(_OWN, kind))


def _adopt(value: Any, witness: Witness, name: str) -> None:
    """Watch an object that an attribute holds, in place, if it is one of the user's own or a frame of pandas."""
    kind = type(value)
    if frames.can_watch(value):
        frames.watch(value, witness.attribute(name))
        return
    if (
        not witness.watch.is_own(kind)
        or _OWN in vars(kind)
        or issubclass(kind, (type, BaseException))
        or not isinstance(getattr(value, "__dict__", None), dict)
    ):
        return
    attributes = object.__getattribute__(value, "__dict__")
    # The witness first: the moment that the class is there, other threads' writes are asked for it.
    attributes.setdefault(WITNESS, witness.attribute(name))
    try:
        object.__setattr__(value, "__class__", subclass(kind))
    except (AttributeError, TypeError):
        del attributes[WITNESS]  # a class that allows no subclass, or a layout of its own: it stays as it is


def _wrote(watched: Any, name: str, action: str, frame: Any) -> None:
    witness = object.__getattribute__(watched, "__dict__").get(WITNESS)
    if witness is not None and not name.startswith(_OURS):
        witness.wrote_attribute(name, action, frame)


def _class_with(kind: type, name: str) -> type | None:
    return next((base for base in kind.__mro__ if name in vars(base)), None)


def _of_class(base: type, name: str) -> Any:
    return vars(base)[name]
