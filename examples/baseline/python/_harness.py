"""What every baseline runs in: threads that share what they change, with or without a lock, and the findings.

A baseline does the work of an example as a program of plain threads does it. It says what ought to hold before it
begins (`expect`) and what it found as soon as it has found it (`found`), a line of JSON each, so that a process that
dies in between leaves behind what it was still to show.
"""

import contextlib
import importlib
import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, TextIO, TypeVar

_Task = TypeVar("_Task")

THREADS = 4
"""Threads that share a work, unless it asks for more."""


class Run:
    """One run of a baseline: the mode, the lock or what stands in its place, and where findings go."""

    def __init__(self, mode: str, findings: TextIO) -> None:
        self.guard: contextlib.AbstractContextManager[Any] = (
            threading.Lock() if mode == "locked" else contextlib.nullcontext()
        )
        self.naive = mode == "naive"
        self._findings = findings
        self._errors: list[str] = []

    def expect(self, name: str, expected: object) -> None:
        """Say what ought to hold, before anything is done that could end the process."""
        self._tell({"expect": name, "expected": expected})

    def found(self, name: str, actual: object, *, broke: bool) -> None:
        """Say what was found."""
        self._tell({"found": name, "actual": actual, "broke": broke})

    def equal(self, name: str, expected: object, actual: object) -> None:
        """Say what ought to hold and what was found, of something that is only known together."""
        self.expect(name, expected)
        self.found(name, actual, broke=actual != expected)

    def share(self, tasks: Iterable[_Task], work: Callable[[_Task], None], threads: int = THREADS) -> None:
        """Do the tasks in threads that start together; each takes every so-manieth task.

        What a task raises is kept, and ends its thread, as it would in a program.
        """
        every = list(tasks)
        barrier = threading.Barrier(threads)

        def do(first: int) -> None:
            barrier.wait()
            try:
                for task in every[first::threads]:
                    work(task)
            except Exception as error:
                self._errors.append(f"{type(error).__name__}: {error}")

        crew = [threading.Thread(target=do, args=(number,)) for number in range(threads)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()

    def end(self) -> None:
        """Say that it came to its end, and which threads did not."""
        self.expect("threads_finished", "all")
        self.found("threads_finished", "; ".join(sorted(set(self._errors))) or "all", broke=bool(self._errors))
        self._tell({"end": True, "gil": gil()})

    def begin(self) -> None:
        """Say whether there is a GIL, now that everything is imported."""
        self._tell({"begin": True, "gil": gil()})

    def _tell(self, what: dict[str, object]) -> None:
        self._findings.write(json.dumps(what) + "\n")
        self._findings.flush()


def gil() -> bool:
    """Whether the GIL is on; an import may have switched it on."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return bool(enabled()) if enabled is not None else True


def main(name: str, mode: str, work: str) -> None:
    """Run the module `name` over the work in a file of JSON; `prepare` makes what all of its runs share."""
    # A segfault is an outcome here, and no reason for a core dump. 1, because 0 does not stop a piped handler.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    # Whatever is printed by anyone else goes elsewhere.
    findings = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module = importlib.import_module(name)
    with open(work, encoding="utf-8") as file:
        given = json.load(file)
    if mode == "prepare":
        module.prepare(given)
        return
    run = Run(mode, findings)
    run.begin()
    module.run(run, given)
    run.end()
