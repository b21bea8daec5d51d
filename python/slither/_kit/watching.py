"""Watching: adapters whose attributes report to the checkers that were enabled when they were made.

An instance that is watched is of a subclass made here, of the same name, whose `__getattribute__` and `__setattr__`
say who reads and writes (`objects`). What it holds is watched from the moment it is first read: containers are
replaced (`containers`), objects of the user's own classes and pandas' frames get such a subclass in place, and locks
are reached through `Tracked` (`locks`). A container that something else holds, too, is left as it is, because two
that were one would go different ways; the report names it. Without a checker nothing of this exists: an adapter is
a plain instance of its own class.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from slither._kit import containers, libraries, locks, objects
from slither._kit.ledger import Place, Thread

_HERE: Final = os.path.dirname(os.path.abspath(__file__)) + os.sep
# How deep below an adapter attributes and elements are followed.
_DEPTH: Final = 6


class Checker(Protocol):
    """What a watched adapter reports to."""

    def admit(self, owner: type) -> None:
        """An adapter of this class is being made. May raise."""

    def begins(self, owner: type) -> None:
        """An adapter of this class is watched from now on."""

    def wrote(self, subject: str, action: str, place: Place, thread: Thread, held: frozenset[int]) -> None:
        """Something was written."""

    def reached(self, owner: type, name: str, library: str, thread: Thread) -> None:
        """An object of a library that threads may not share was read, while no lock was held."""

    def called(self, owner: type, name: str, uses: list[libraries.Use], thread: Thread) -> None:
        """A method that uses such a library was called, while no lock was held."""

    def entered(self, owner: type, method: str, thread: Thread) -> None:
        """A request begins."""

    def left(self, owner: type, method: str, thread: Thread) -> None:
        """A request ends."""

    def unwatched(self, subject: str, why: str | None) -> None:
        """A container cannot be watched, or, if `why` is None, can now."""


_active: list[weakref.ref[Checker]] = []
_guard: Final = threading.RLock()
_adoption: Final = locks.Adoption()


def enable(checker: Checker) -> weakref.ref[Checker]:
    """Have adapters that are made from now on report to `checker`, until what is returned is given to `disable`."""
    reference = weakref.ref(checker)
    with _guard:
        if not _active:
            locks.patch_factories()
        _active.append(reference)
    return reference


def disable(reference: weakref.ref[Checker]) -> None:
    """Undo `enable`."""
    with _guard:
        if reference in _active:
            _active.remove(reference)
            if not _active:
                locks.unpatch_factories()
                locks.forget_all()
                _adoption.undo()


def new_lock(watched: bool) -> AbstractContextManager[Any]:
    """Return a lock for an adapter."""
    lock = threading.RLock()
    return locks.track(lock) if watched else lock


def construct(owner: Any) -> tuple[Any, Any]:
    """Return a bare instance and who observes its requests: nobody, unless a checker is enabled."""
    if not _active:
        return object.__new__(owner), None
    checkers = [checker for each in list(_active) if (checker := each()) is not None]
    for checker in checkers:
        checker.admit(owner)
    watch = Watch(owner, checkers)
    adapter: Any = object.__new__(objects.subclass(owner))
    adapter.__dict__[objects.WITNESS] = Attributes(watch, owner.__name__, 0)
    return adapter, watch


class Watch:
    """One adapter that is watched: who hears of it, and who has used it."""

    def __init__(self, owner: type, checkers: list[Checker]) -> None:
        self.owner = owner
        self._checkers = [weakref.ref(each) for each in checkers]
        self._builder = _thread()
        # Threads beside the one that built it; gone when they are.
        self._users: dict[int, weakref.ref[threading.Thread]] = {}
        self._uses: dict[str, list[libraries.Use]] = {}
        self.home = owner.__module__.partition(".")[0]
        self.adopt(owner)
        for checker in checkers:
            checker.begins(owner)

    @property
    def checkers(self) -> list[Checker]:
        """The checkers that are still enabled."""
        return [checker for each in self._checkers if each in _active and (checker := each()) is not None]

    def adopt(self, owner: type) -> None:
        """Have the locks tracked that the class's code reaches as its module's globals and as class attributes."""
        for base in owner.__mro__:
            if self.is_own(base):
                _adoption.adopt_class(base)
                module = sys.modules.get(base.__module__)
                if module is not None:
                    _adoption.adopt_module(vars(module))

    def is_own(self, owner: type) -> bool:
        """Tell whether a class is of the package or module that the adapter's class is of."""
        module = owner.__module__
        return module.partition(".")[0] == self.home and not module.startswith("slither._")

    def read(self, name: str, value: Any) -> Any:
        """An attribute of the adapter itself is read; return what to hand out."""
        thread = self._meet()
        if isinstance(value, types.MethodType):
            uses = self._uses_of(name)
            return self._calling(name, value, uses) if uses else value
        library = libraries.held(value)
        if library is not None and not locks.held() and not self._has_it_alone(thread):
            for checker in self.checkers:
                checker.reached(self.owner, name, library, thread)
        return value

    def wrote(self, subject: str, action: str, frame: Any) -> None:
        """Something of the adapter is written by the code that `frame` runs."""
        thread = self._meet()
        checkers = self.checkers
        if not checkers or self._has_it_alone(thread):
            return
        frame = _outside(frame)
        held = locks.held()
        with _guard:
            if frame is not None:
                _adoption.adopt_module(frame.f_globals)
            held |= _adoption.unsure()
        place = _place(frame)
        for checker in checkers:
            checker.wrote(subject, action, place, thread, held)

    def entered(self, method: str) -> None:
        """A request begins."""
        for checker in self.checkers:
            checker.entered(self.owner, method, self._meet())

    def left(self, method: str) -> None:
        """A request ends."""
        for checker in self.checkers:
            checker.left(self.owner, method, self._meet())

    def unwatched(self, subject: str, why: str | None) -> None:
        """A container cannot be watched, or can now."""
        for checker in self.checkers:
            checker.unwatched(subject, why)

    def _meet(self) -> Thread:
        thread = _thread()
        if thread != self._builder and thread.number not in self._users:
            with _guard:
                self._users[thread.number] = weakref.ref(threading.current_thread())
        return thread

    def _uses_of(self, name: str) -> list[libraries.Use]:
        found = self._uses.get(name)
        if found is None:
            found = self._uses[name] = libraries.uses(self.owner, name)
        return found

    def _calling(self, name: str, method: Callable[..., Any], uses: list[libraries.Use]) -> Callable[..., Any]:
        """Return the method as one that tells of each call: the thread that calls need not be the one that reads."""

        def call(*args: Any, **kwargs: Any) -> Any:
            thread = self._meet()
            if not locks.held() and not self._has_it_alone(thread):
                for checker in self.checkers:
                    checker.called(self.owner, name, uses, thread)
            return method(*args, **kwargs)

        return functools.update_wrapper(call, method)

    def _has_it_alone(self, thread: Thread) -> bool:
        """Tell whether the thread made the adapter, and no other thread that has used it lives."""
        if thread != self._builder:
            return False
        with _guard:
            for number, reference in list(self._users.items()):
                user = reference()
                if user is None or not user.is_alive():
                    del self._users[number]
            return not self._users


class Attributes:
    """The witness of an object's attributes, and of a container's elements: a path within a watched adapter."""

    def __init__(self, watch: Watch, path: str, depth: int) -> None:
        self.watch = watch
        self._path = path
        self._depth = depth

    def wrote(self, action: str, frame: Any) -> None:
        """The container itself is written."""
        self.watch.wrote(self._path, action, frame)

    def wrote_attribute(self, name: str, action: str, frame: Any) -> None:
        """An attribute of the object is written."""
        self.watch.wrote(f"{self._path}.{name}", action, frame)

    def below(self, key: object) -> Attributes:
        """The witness of an element. Which element it is, is not kept: a rule holds for all of them."""
        del key
        return Attributes(self.watch, f"{self._path}[…]", self._depth + 1)

    def attribute(self, name: str) -> Attributes:
        """The witness of what an attribute holds."""
        return Attributes(self.watch, f"{self._path}.{name}", self._depth + 1)

    def take(self, container: Any, key: Any, fetch: Callable[[Any, Any], Any], put: Callable[..., Any]) -> Any:
        """Return what to hand out for an element of a container."""
        return take(self.below(key), container, key, fetch, put)

    def take_attribute(
        self, container: Any, name: str, fetch: Callable[[Any, Any], Any], put: Callable[..., Any]
    ) -> Any:
        """Return what to hand out for the container that this witness is for, which is an attribute."""
        return take(self, container, name, fetch, put)

    def of_class(self, owner: type, name: str) -> Attributes:
        """The witness of a container that is an attribute of a class."""
        return Attributes(self.watch, f"{owner.__name__}.{name}", 1)

    @property
    def path(self) -> str:
        """How it is named in the report."""
        return self._path

    @property
    def outermost(self) -> bool:
        """Whether the object is the adapter itself."""
        return self._depth == 0

    @property
    def too_deep(self) -> bool:
        """Whether nothing below is watched."""
        return self._depth >= _DEPTH


def take(
    witness: Attributes, container: Any, key: Any, fetch: Callable[[Any, Any], Any], put: Callable[..., Any]
) -> Any:
    """Return what to hand out for the container `fetch(container, key)`: a watched one in its place, if that may be.

    It may if nothing but its place holds it. Otherwise whoever else holds it would go on with one that is no longer
    the adapter's.
    """
    with _guard:
        value = fetch(container, key)
        if not containers.can_watch(value) or witness.too_deep or not witness.watch.checkers:
            return value
        if sys.getrefcount(value) > _ALONE:
            witness.watch.unwatched(witness.path, "something else holds it, too")
            return value
        watched = containers.watch(value, witness)
        put(container, key, watched)
        witness.watch.unwatched(witness.path, None)
        return watched


def _references(container: Any, key: Any, fetch: Callable[[Any, Any], Any]) -> int:
    """Count what `take` counts for a container that nothing else holds: interpreters differ in it."""
    value = fetch(container, key)
    return sys.getrefcount(value)


_ALONE: Final = _references({"key": []}, "key", dict.__getitem__)


class _Me(threading.local):
    """The number of a thread, which no other one ever gets."""

    def __init__(self) -> None:
        self.number = next(_numbers)


_numbers: Final = itertools.count(1)
_me: Final = _Me()


def _thread() -> Thread:
    return Thread(_me.number, threading.current_thread().name)


def _outside(frame: Any) -> Any:
    """Return the frame of the user's code: the first that is neither the kit's nor the standard library's."""
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    first = frame
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in sys.stdlib_module_names:
            return frame
        frame = frame.f_back
    return first


def _place(frame: Any) -> Place:
    if frame is None:
        return Place("?", 0, "?")
    code = frame.f_code
    return Place(code.co_filename, frame.f_lineno, getattr(code, "co_qualname", code.co_name))
