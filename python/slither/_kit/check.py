"""`python -m slither check MODULE:CLASS`: many threads call an adapter's tools, and what they did wrong is reported."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from slither import _errors
from slither._exceptions import NotThreadSafe
from slither._kit.checker import Report, ThreadSafetyChecker
from slither._kit.host import AdapterHost, load
from slither._kit.samples import Call, NoSample, all_tools, parse_call, read_file, samples

CLEAN, VIOLATIONS, COULD_NOT_RUN = 0, 1, 2
_DESCRIPTION: Final = """\
Build an adapter, call its tools from many threads, and report what they write without a lock.

Arguments of the tools are made up from type hints and defaults, unless calls are given. Exit status: 0 nothing was
found, 1 there were violations, 2 it could not be run."""


class CannotRun(Exception):
    """The check did not take place; the message is for the person who started it."""


@dataclass
class Tally:
    """What became of the calls of one tool."""

    calls: int = 0
    failed: int = 0
    exceptions: Counter[str] = field(default_factory=Counter)


@dataclass
class Outcome:
    """What a check has found."""

    report: Report
    threads: int
    seconds: float
    tools: dict[str, Tally]
    skipped: dict[str, str]

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return sum(tally.calls for tally in self.tools.values())

    @property
    def per_second(self) -> float:
        """Calls a second, of all threads, watched as they were."""
        return self.calls / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain types."""
        tools = {
            name: {"calls": each.calls, "failed": each.failed, "exceptions": dict(each.exceptions)}
            for name, each in self.tools.items()
        }
        return {
            "report": dict(self.report),
            "threads": self.threads,
            "calls": self.calls,
            "seconds": round(self.seconds, 6),
            "calls_per_second": round(self.per_second, 1),
            "gil": _gil(),
            "tools": tools,
            "skipped": self.skipped,
        }

    def counted(self) -> str:
        """Say what became of the calls, as lines of text."""
        gil = "with a GIL" if _gil() else "without a GIL"
        lines = [
            f"{self.calls} calls by {self.threads} threads {gil} in {self.seconds:.2f} s, "
            f"{self.per_second:.0f} a second while watched"
        ]
        for name, each in self.tools.items():
            lines.append(f"  {name}: {each.calls} calls, {each.failed} failed")
            lines += [f"    {count} x {text}" for text, count in each.exceptions.most_common(5)]
        lines += [f"  {name}: not called: {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.counted()}\n{self.report}"


def check(owner: type, threads: int, calls: int, given: Sequence[Call] = (), strict: bool = False) -> Outcome:
    """Have `threads` threads make `calls` calls of an adapter's tools together, and say what was found.

    `given` are calls to make, over and over; without them the arguments are made up, and the tools take turns.
    Raises `CannotRun`, and `NotThreadSafe` if `strict` and the class does not say `__thread_safe__`.
    """
    sources, skipped = _plan(owner, given)
    checker = ThreadSafetyChecker(enabled=True, strict_mode=strict)
    try:
        host = AdapterHost(owner, max_workers=threads)
        try:
            host.start()
        except NotThreadSafe:
            raise
        except Exception as error:
            raise CannotRun(f"{owner.__name__} cannot be built:\n{_errors.render(error)}") from error
        lock, tools = threading.Lock(), {name: Tally() for name in sources}
        turns, together = list(sources.items()), threading.Barrier(threads)

        def work(number: int) -> None:
            # Each thread has its share, and begins with another tool than the one before it: all have all of them.
            together.wait()
            for turn in range(number, number + calls // threads + (number < calls % threads)):
                name, source = turns[turn % len(turns)]
                with lock:
                    call = next(source)
                failure = _make(host, call)
                with lock:
                    tally = tools[name]
                    tally.calls += 1
                    if failure is not None:
                        tally.failed += 1
                        tally.exceptions[failure] += 1

        workers = [threading.Thread(target=work, args=[each], name=f"check-{each + 1}") for each in range(threads)]
        begun = time.perf_counter()
        for each in workers:
            each.start()
        for each in workers:
            each.join()
        seconds = time.perf_counter() - begun
        report = checker.get_report()
        host.close()
    finally:
        checker.close()
    outcome = Outcome(report, threads, seconds, tools, skipped)
    if outcome.calls and all(each.failed == each.calls for each in tools.values()):
        raise CannotRun(f"every call failed, so that nothing was checked\n{outcome.counted()}")
    return outcome


def _plan(owner: type, given: Sequence[Call]) -> tuple[dict[str, Iterator[Call]], dict[str, str]]:
    """Return calls without end for each tool that is to be called, and why the others are not."""
    tools = all_tools(owner)
    if not tools:
        raise CannotRun(f"{owner.__name__} has no tools\nhint: mark its methods with @slither.tool")
    for call in given:
        if call.tool not in tools:
            raise CannotRun(f"{owner.__name__} has no tool {call.tool!r}; it has {', '.join(tools)}")
    if given:
        asked = dict.fromkeys(call.tool for call in given)
        return {name: itertools.cycle([call for call in given if call.tool == name]) for name in asked}, {}
    sources: dict[str, Iterator[Call]] = {}
    skipped = {}
    for name, function in tools.items():
        source = samples(owner, name, function)
        try:
            first = next(source)
        except NoSample as error:
            skipped[name] = str(error)
            continue
        sources[name] = itertools.chain([first], source)
    if not sources:
        raise CannotRun("no tool can be called:\n" + "\n".join(skipped.values()))
    return sources, skipped


def _make(host: AdapterHost, call: Call) -> str | None:
    """Make a call, to the last value that it yields; return what it raised."""
    try:
        made = host.call(call.tool, call.kwargs or call.args)
        if hasattr(made, "__next__"):
            for _ in made:
                pass
    except BaseException as error:
        return f"{_errors.class_name(type(error))}: {_errors.describe(error)}"[:200]
    return None


def _gil() -> bool:
    enabled = getattr(sys, "_is_gil_enabled", None)
    return bool(enabled()) if enabled is not None else True


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    sys.path[:0] = [os.getcwd(), *options.path]
    try:
        given = [parse_call(each) for each in options.call]
        given += [call for each in options.sample for call in read_file(each)]
        owner = load(options.adapter, [os.getcwd(), *options.path])
        outcome = check(owner, options.threads, options.calls, given, options.strict)
    except (ImportError, NoSample, CannotRun) as error:
        print(f"slither check: {error}", file=sys.stderr)  # noqa: T201
        return COULD_NOT_RUN
    except NotThreadSafe as error:
        print(json.dumps({"refused": str(error)}) if options.json else f"refused: {error}")  # noqa: T201
        return VIOLATIONS
    print(json.dumps(outcome.to_dict(), indent=2) if options.json else outcome)  # noqa: T201
    wrong = outcome.report["warnings"]
    # A class that says nothing of itself is warned of, and is refused only by --strict.
    found = len(wrong) - len(outcome.report["undeclared"])
    return VIOLATIONS if found else CLEAN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m slither check", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("adapter", metavar="MODULE:CLASS", help="the adapter; package.module.Class will do, too")
    parser.add_argument("--threads", type=_positive, default=16, help="how many threads call it at once (16)")
    parser.add_argument("--calls", type=_positive, default=1000, help="how many calls they make together (1000)")
    parser.add_argument(
        "--call", action="append", default=[], metavar="'tool(arg=…)'", help="a call to make; may be given repeatedly"
    )
    parser.add_argument(
        "--sample", action="append", default=[], type=Path, metavar="FILE",
        help='calls to make, as JSON: {"tool": …, "args": […] or {…}}, a line each or in an array',
    )  # fmt: skip
    parser.add_argument("--path", action="append", default=[], help="a folder to import from, before all others")
    parser.add_argument("--strict", action="store_true", help="refuse a class that does not say __thread_safe__")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value
