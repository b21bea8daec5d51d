"""The ledger: who wrote what, under which locks, and which of that is a violation.

The rule is that of locksets: what several threads write needs one lock that all of them hold, each time. It is
asked after the fact and not of the schedule, so that two threads that never met in time are judged like two that
did: the same program always gives the same verdict. It has no threads, clocks or adapters of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

# Enough to find every line, in a program that is wrong everywhere.
_SUBJECTS: Final = 4096
_PLACES: Final = 16
_THREADS: Final = 4096


class Place(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


class Thread(NamedTuple):
    """A thread: a number that is never used again, unlike the system's, and its name."""

    number: int
    name: str


@dataclass(frozen=True)
class Violation:
    """Something that several threads write, without one lock that they all hold.

    `subject` is a path like `Adapter.stats['hits']`, `actions` what was done to it (`set`, `append`), `places` the
    lines that wrote without a lock or, if there are none, all that wrote; `writes` how often all threads did.
    """

    subject: str
    actions: tuple[str, ...]
    places: tuple[Place, ...]
    threads: tuple[str, ...]
    writes: int
    locked: bool

    def __str__(self) -> str:
        threads = f"{len(self.threads)} threads ({_few(self.threads)})"
        how = "each under a lock of its own" if self.locked else "not always under a lock"
        lines = "".join(f"\n  at {place}" for place in self.places)
        what = "/".join(self.actions)
        return (
            f"{self.subject} is written ({what}) by {threads}, {how}:{lines}\n"
            "  hint: write it under `with self.acquire_lock():`, or keep it with set_thread_local"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain types."""
        return {
            "subject": self.subject,
            "actions": list(self.actions),
            "places": [place._asdict() for place in self.places],
            "threads": list(self.threads),
            "writes": self.writes,
            "locked": self.locked,
        }


@dataclass
class _Subject:
    writes: int = 0
    actions: dict[str, None] = field(default_factory=dict)
    threads: dict[Thread, None] = field(default_factory=dict)
    common: frozenset[int] | None = None
    bare: dict[Place, None] = field(default_factory=dict)
    locked: dict[Place, None] = field(default_factory=dict)

    @property
    def is_violation(self) -> bool:
        return len(self.threads) > 1 and not self.common


class Ledger:
    """What was written. Whoever calls it does so from one thread at a time."""

    def __init__(self) -> None:
        self._subjects: dict[str, _Subject] = {}
        self.left_out = 0

    def wrote(self, subject: str, action: str, thread: Thread, locks: frozenset[int], place: Place) -> bool:
        """Note a write of `subject` by `thread`, which holds `locks`; tell whether it is now first a violation."""
        found = self._subjects.get(subject)
        if found is None:
            if len(self._subjects) >= _SUBJECTS:
                self.left_out += 1
                return False
            found = self._subjects[subject] = _Subject()
        before = found.is_violation
        found.writes += 1
        found.common = locks if found.common is None else found.common & locks
        _note(found.actions, action, _PLACES)
        _note(found.threads, thread, _THREADS)
        _note(found.locked if locks else found.bare, place, _PLACES)
        return found.is_violation and not before

    def violations(self) -> list[Violation]:
        """Return what several threads wrote without a common lock, in the order of the first writes."""
        return [
            Violation(
                subject=subject,
                actions=tuple(found.actions),
                places=tuple(found.bare or found.locked),
                threads=tuple(thread.name for thread in found.threads),
                writes=found.writes,
                locked=not found.bare,
            )
            for subject, found in self._subjects.items()
            if found.is_violation
        ]


def _note(found: dict[Any, None], each: Any, limit: int) -> None:
    if each not in found and len(found) < limit:
        found[each] = None


def _few(names: Iterable[str]) -> str:
    listed = list(dict.fromkeys(names))
    return ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")
