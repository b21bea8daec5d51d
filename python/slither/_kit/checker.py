"""`ThreadSafetyChecker`: finds what the threads of an adapter write without a lock, and says where."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from slither._exceptions import NotThreadSafe
from slither._kit import libraries, watching
from slither._kit.adapter import declares_thread_safety
from slither._kit.ledger import Ledger, Place, Thread, Violation

log: Final = logging.getLogger("slither.checker")
_METHODS: Final = 4096


class Report(dict[str, Any]):
    """What a checker has seen until now; printed, it is a page to read.

    - `warnings`, list of str: what must be mended. Empty means that nothing was found.
    - `violations`, list of dict: the unlocked writes among them, with `subject`, `actions`, `places` (`file`, `line`,
      `function`), `threads`, `writes` and `locked` (each thread held a lock, and no two the same).
    - `concurrent`, dict of str to int: for each method the most threads that were in it at once, if more than one.
      That alone is what threads are for, and no warning.
    - `unwatched`, dict of str to str: what could not be watched, and why.
    - `adapters`, list of str: the classes that were watched; `undeclared`, list of str: those of them that do not say
      `__thread_safe__`, each of which has a warning, too. `enabled`, `strict`: bool, as the checker was made.

    It is a dict of plain values, so that it can travel and be written as JSON.
    """

    def __str__(self) -> str:
        if not self["enabled"]:
            return "thread safety: not checked, the checker is disabled"
        watched = ", ".join(self["adapters"]) or "no adapter was made while this checker was enabled"
        lines = [f"thread safety of {watched}" if self["adapters"] else f"thread safety: {watched}"]
        lines += [f"warning: {text}" for text in self["warnings"]] or ["no violation was found"]
        lines += [f"note: {method} was run by up to {n} threads at once" for method, n in self["concurrent"].items()]
        lines += [f"note: {subject} was not watched: {why}" for subject, why in self["unwatched"].items()]
        return "\n".join(lines)


@dataclass
class _Method:
    """A method that uses a library which threads may not share, and who called it without a lock."""

    uses: list[libraries.Use]
    threads: dict[Thread, None] = field(default_factory=dict)


@dataclass
class _Object:
    """An object of such a library that an adapter holds, and who reached for it without a lock."""

    library: str
    threads: dict[Thread, None] = field(default_factory=dict)


class ThreadSafetyChecker:
    """Watches the `ThreadSafeAdapter`s that are made while it is enabled, and reports what their threads did wrong.

        checker = ThreadSafetyChecker(enabled=True)
        adapter = MyAdapter()
        ...  # call it from many threads
        report = checker.get_report()
        assert not report["warnings"], str(report)

    Three things are warned of:

    - Something is written by several threads, and there is no lock that they all hold: an attribute of the adapter
      is set, or a container that it holds (list, dict, set, deque, and their kin in `collections`) is changed, or
      an object of the user's own, or a frame of pandas. Whether the threads met in time makes no difference, so
      that the same run always gives the same answer. The thread that made the adapter may write alone, before others
      come and when they have ended.
    - A library that threads may not share (pandas, pyplot, a connection of sqlite3) is used by several threads without
      a lock.
    - A class does not say `__thread_safe__`. With `strict_mode` it cannot be made at all: `NotThreadSafe` is raised.

    Reads are not judged. While it is enabled `threading.Lock` and `RLock` give the user's code locks that know who
    holds them, and watched adapters are of a subclass of their class. An attribute that is read or written costs a
    few microseconds. With `enabled=False` nothing is watched, and nothing costs anything.

    It is enabled until it is closed or nobody holds it any more.
    """

    def __init__(self, enabled: bool = True, strict_mode: bool = False) -> None:
        self.enabled = enabled
        self.strict_mode = strict_mode
        self._lock = threading.Lock()
        self._ledger = Ledger()
        self._adapters: dict[str, None] = {}
        self._undeclared: dict[str, None] = {}
        self._inside: dict[str, Counter[int]] = {}
        self._most: dict[str, int] = {}
        self._methods: dict[str, _Method] = {}
        self._objects: dict[str, _Object] = {}
        self._unwatched: dict[str, str] = {}
        self._end = weakref.finalize(self, watching.disable, watching.enable(self)) if enabled else None

    def close(self) -> None:
        """Stop watching. What was seen stays in the report."""
        if self._end is not None:
            self._end()

    def __enter__(self) -> ThreadSafetyChecker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def get_report(self) -> Report:
        """Return what was seen until now."""
        with self._lock:
            violations = self._ledger.violations()
            concurrent = {method: most for method, most in self._most.items() if most > 1}
            return Report(
                enabled=self.enabled,
                strict=self.strict_mode,
                adapters=list(self._adapters),
                undeclared=list(self._undeclared),
                warnings=[*self._declarations(), *self._writes(violations, concurrent), *self._library_uses()],
                violations=[violation.to_dict() for violation in violations],
                concurrent=concurrent,
                unwatched=dict(self._unwatched),
            )

    # What watched adapters say, in their threads.

    def admit(self, owner: type) -> None:
        """An adapter of this class is being made."""
        if declares_thread_safety(owner) is not None:
            return
        if self.strict_mode:
            raise NotThreadSafe(_undeclared(owner.__name__))
        with self._lock:
            known = owner.__name__ in self._undeclared
            self._undeclared[owner.__name__] = None
        if not known:
            log.warning("%s", _undeclared(owner.__name__))

    def begins(self, owner: type) -> None:
        """An adapter of this class is watched."""
        with self._lock:
            self._adapters[owner.__name__] = None

    def wrote(self, subject: str, action: str, place: Place, thread: Thread, held: frozenset[int]) -> None:
        """Something was written."""
        with self._lock:
            first = self._ledger.wrote(subject, action, thread, held, place)
        if first:
            log.warning("%s is written by several threads without a common lock, now at %s", subject, place)

    def reached(self, owner: type, name: str, library: str, thread: Thread) -> None:
        """An object of a library that threads may not share was read without a lock."""
        with self._lock:
            self._objects.setdefault(f"{owner.__name__}.{name}", _Object(library)).threads[thread] = None

    def called(self, owner: type, name: str, uses: list[libraries.Use], thread: Thread) -> None:
        """A method that uses such a library was called without a lock."""
        with self._lock:
            self._methods.setdefault(f"{owner.__name__}.{name}", _Method(uses)).threads[thread] = None

    def entered(self, owner: type, method: str, thread: Thread) -> None:
        """A request begins."""
        name = f"{owner.__name__}.{method}"
        with self._lock:
            inside = self._inside.setdefault(name, Counter())
            inside[thread.number] += 1
            self._most[name] = max(self._most.get(name, 0), len(inside))

    def left(self, owner: type, method: str, thread: Thread) -> None:
        """A request ends."""
        with self._lock:
            inside = self._inside.get(f"{owner.__name__}.{method}", Counter())
            inside[thread.number] -= 1
            if inside[thread.number] <= 0:
                del inside[thread.number]

    def unwatched(self, subject: str, why: str | None) -> None:
        """A container cannot be watched, or can now."""
        with self._lock:
            if why is None:
                self._unwatched.pop(subject, None)
            elif len(self._unwatched) < _METHODS:
                self._unwatched[subject] = why

    # What of it is worth a warning

    def _declarations(self) -> list[str]:
        return [_undeclared(name) for name in self._undeclared]

    @staticmethod
    def _writes(violations: list[Violation], concurrent: dict[str, int]) -> list[str]:
        texts = []
        for violation in violations:
            functions = {place.function.rpartition(".")[2] for place in violation.places}
            together = "".join(
                f"\n  note: {method} was run by up to {most} threads at once"
                for method, most in concurrent.items()
                if method.rpartition(".")[2] in functions
            )
            texts.append(f"{violation}{together}")
        return texts

    def _library_uses(self) -> list[str]:
        texts = []
        for name, method in self._methods.items():
            if len(method.threads) > 1:
                library = method.uses[0].library
                lines = "".join(f"\n  at {each.place}" for each in method.uses[:8])
                texts.append(
                    f"{name} uses {library}, which threads may not use at once, and "
                    f"{len(method.threads)} threads called it without a lock:{lines}\n"
                    f"  hint: use {library} under `with self.acquire_lock():`, or in a pool of processes"
                )
        texts += [
            f"{subject} is an object of {each.library}, which threads may not use at once, and "
            f"{len(each.threads)} threads reached for it without a lock\n"
            "  hint: use it under `with self.acquire_lock():`, or have one for each thread with set_thread_local"
            for subject, each in self._objects.items()
            if len(each.threads) > 1
        ]
        return texts


def _undeclared(name: str) -> str:
    return (
        f"{name} does not say whether several threads may use it, so a host gives it one\n"
        "  hint: if they may, set `__thread_safe__ = True` in the class"
    )
