"""Locks that know who holds them.

A `threading.Lock` tells that it is taken, and not by whom. While a checker is enabled, the locks that the watched code
uses are reached through `Tracked`, which takes the very same lock and keeps, for each thread, which ones it holds.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

_RAW_LOCK: Final = threading.Lock
_RAW_RLOCK: Final = threading.RLock
_KINDS: Final = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Semaphore,
)


class _Held(threading.local):
    """The locks of one thread: the number of each -> how often it was taken."""

    def __init__(self) -> None:
        self.locks: dict[int, int] = {}


_held: Final = _Held()
# One for each lock, however often it is met; the lock is kept with it, so that its id stays its own.
_tracked: Final[dict[int, Tracked]] = {}
_guard: Final = threading.Lock()
_numbers: Final = itertools.count(1)


class Tracked:
    """A lock, a condition or a semaphore, with note taken of who holds it. Everything else is the lock's own."""

    __slots__ = ("__weakref__", "_holder", "_lock", "number")

    def __init__(self, lock: Any) -> None:
        self.number = next(_numbers)
        self._lock = lock
        self._holder: dict[int, int] | None = None

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        """Take the lock, as its own `acquire` does."""
        taken = self._lock.acquire(*args, **kwargs)
        if taken:
            self._note()
        return taken

    def release(self, *args: Any) -> Any:
        """Give the lock back, as its own `release` does."""
        self._forget()
        try:
            return self._lock.release(*args)
        except BaseException:
            self._note()
            raise

    def __enter__(self) -> Any:
        entered = self._lock.__enter__()
        self._note()
        return entered

    def __exit__(self, *error: object) -> None:
        self.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)

    def __repr__(self) -> str:
        return repr(self._lock)

    @property
    def taken_behind_us(self) -> bool:
        """Whether it is taken by a thread that reached it some other way."""
        return self._holder is None and bool(getattr(self._lock, "locked", bool)())

    def restore(self) -> Any:
        """Return the lock itself."""
        return self._lock

    def _note(self) -> None:
        held = _held.locks
        held[self.number] = held.get(self.number, 0) + 1
        self._holder = held

    def _forget(self) -> None:
        # A plain lock may be given back by another thread than took it.
        held = _held.locks
        if self.number not in held and self._holder is not None:
            held = self._holder
        count = held.get(self.number, 0)
        if count > 1:
            held[self.number] = count - 1
        else:
            held.pop(self.number, None)
            self._holder = None


def is_lock(value: object) -> bool:
    """Tell whether it is a lock, condition or semaphore of `threading`."""
    return isinstance(value, _KINDS)


def track(lock: Any) -> Tracked:
    """Return the lock as one that knows who holds it: for the same lock always the same."""
    with _guard:
        return _tracked.setdefault(id(lock), Tracked(lock))


def forget_all() -> None:
    """Let go of every lock that is tracked; who holds a `Tracked` can go on using it."""
    with _guard:
        _tracked.clear()


def held() -> frozenset[int]:
    """Return which tracked locks this thread holds."""
    return frozenset(_held.locks)


class Adoption:
    """Names of modules and classes that stand for tracked locks, and can be given their own back."""

    def __init__(self) -> None:
        self._names: list[tuple[Any, str, Tracked]] = []
        self._seen: set[int] = set()

    def adopt_module(self, names: dict[str, Any]) -> None:
        """Have the locks among a module's globals tracked."""
        self._adopt(names, names, names.__setitem__)

    def adopt_class(self, owner: type) -> None:
        """Have the locks among a class's attributes tracked."""
        self._adopt(owner, dict(vars(owner)), lambda name, lock: setattr(owner, name, lock))

    def unsure(self) -> frozenset[int]:
        """Return the locks that are taken, but not through us: by a thread that had met them before they were adopted.

        Nobody knows by which; whoever asks is given the benefit of the doubt.
        """
        return frozenset(each.number for _, _, each in self._names if each.taken_behind_us)

    def undo(self) -> None:
        """Put every lock back in its place."""
        for place, name, tracked in self._names:
            if isinstance(place, type):
                if vars(place).get(name) is tracked:
                    setattr(place, name, tracked.restore())
            elif place.get(name) is tracked:
                place[name] = tracked.restore()
        self._names.clear()
        self._seen.clear()

    def _adopt(self, place: Any, names: dict[str, Any], put: Callable[[str, Any], Any]) -> None:
        if id(place) in self._seen:
            return
        self._seen.add(id(place))
        for name, value in list(names.items()):
            if is_lock(value):
                tracked = track(value)
                put(name, tracked)
                self._names.append((place, name, tracked))


_patches = 0


def patch_factories() -> None:
    """Have `threading.Lock()` and `RLock()` give tracked locks to all but the standard library. Counted."""
    global _patches
    with _guard:
        _patches += 1
        if _patches == 1:
            vars(threading).update(Lock=_factory(_RAW_LOCK), RLock=_factory(_RAW_RLOCK))


def unpatch_factories() -> None:
    """Undo one `patch_factories`."""
    global _patches
    with _guard:
        _patches -= 1
        if _patches == 0:
            vars(threading).update(Lock=_RAW_LOCK, RLock=_RAW_RLOCK)


def _factory(raw: Callable[[], Any]) -> Callable[[], Any]:
    def make() -> Any:
        lock = raw()
        name = str(sys._getframe(1).f_globals.get("__name__", ""))
        # The standard library's own locks protect its own things, and it may look closer at them.
        return lock if not _patches or name.partition(".")[0] in sys.stdlib_module_names else Tracked(lock)

    return make
