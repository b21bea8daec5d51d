"""What `slither probe` runs in a worker: a function on a sample, one call after the other and in threads at once.

The host calls `serial` and `together`, each in a fresh worker, and compares. Outputs are compared as the bytes that
would travel. Threads meet at a barrier before each call, and are made to give way in the middle of the user's code, so
that what may happen once in a million calls happens here.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import random
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TypedDict

from slither import _answers, _gil, _resolve, _values, _wire
from slither._failed import Failed

# Longer outputs are compared by their hash alone, and errors are cut.
_SHOWN: Final = 80
_MAX_FRAME: Final = 256 << 20
# How often a thread gives way: once in so many bytecodes of the user's, on average.
_PATIENCE: Final = 24
_SWITCH: Final = 1e-5
# How many events of a call are traced, which takes some 20 ms.
_TRACED: Final = 10_000
# So much of a round counts when half of the time is given to those that are traced.
_ROUND: Final = 0.01
# So many differences are told, and enough.
_DIFFERENCES: Final = 8


class Contract(Exception):
    """What came of a call is no list of one result."""


class Imported(TypedDict):
    """What importing the function's module did."""

    seconds: float
    memory: int
    gil_before: bool
    gil_after: bool
    gil_by: str | None
    kind: str


class Serial(TypedDict):
    """The sample, one call after the other; as much of it as there was time for."""

    imported: Imported
    outputs: list[str]
    failed: list[int]  # the calls that raised, or whose result is none: their places in `outputs`
    seconds: float
    cpu: float  # of these seconds those in which there was something to compute, but for the longest call


class Difference(TypedDict):
    """A call in a thread that had another output than alone."""

    item: int
    expected: str
    got: str


class Together(TypedDict):
    """The sample in threads at once."""

    threads: int
    calls: int
    differences: list[Difference]
    differing: int
    outputs: list[str]


def serial(
    function: str,
    items: list[Any],
    order: list[int],
    repeat: int = 1,
    limit: float = float("inf"),
    folders: Sequence[str] = (),
) -> Serial:
    """Run each item as a call of its own in this order, as often as said, and none any more after so many seconds.

    `outputs` are in the order of the calls. `folders` are the user's on `sys.path`, which an error names.
    """
    imported, call = _import(function, folders)
    outputs: list[str] = []
    failed: list[int] = []
    began = time.perf_counter()
    marks = [(began, _busy())]
    for index in order * repeat:
        try:
            outputs.append(call(items[index]))
        except Exception as error:
            failed.append(len(outputs))
            outputs.append(_raised(error))
        marks.append((time.perf_counter(), _busy()))
        if marks[-1][0] - began > limit:
            break
    seconds = marks[-1][0] - began
    return Serial(imported=imported, outputs=outputs, failed=failed, seconds=seconds, cpu=seconds * _share(marks))


def _share(marks: list[tuple[float, float]]) -> float:
    """How much of the time between the marks there was something to compute.

    What holds the process up once spoils one call: the longest, which is left out where there are others to go by.
    """
    calls = [(after[0] - before[0], after[1] - before[1]) for before, after in itertools.pairwise(marks)]
    if len(calls) > 2:
        calls.remove(max(calls))
    return sum(busy for _, busy in calls) / max(sum(took for took, _ in calls), 1e-9)


def together(
    function: str, items: list[Any], expected: list[str] | None, threads: int, seconds: float, repeat: int = 1
) -> Together:
    """Run the items in threads at once, for so many seconds at most, and in each thread one at least.

    With `expected`, an output for each item, again and again, until enough differ: each thread takes them in an order
    of its own, and what differs is told. Without it the items are run one after the other, the whole `repeat` times at
    most, each by whichever thread comes next, and the outputs are told: those of the first `calls` of them, in any
    order.

    Coroutines share one thread: of them all items are run at once, as tasks of an event loop, until the time is over.
    """
    imported, call = _import(function)
    if imported["kind"] == "coroutine":
        return _in_a_loop(_resolve.resolve(function, []), items, expected, seconds, repeat)
    crowd = _Crowd(threads, seconds)
    if expected is not None:
        return _hunt(crowd, _telling(call), items, expected)
    return _spread(crowd, _telling(call), items, repeat)


class _Crowd:
    """Threads that meet before each call, and leave together when there is enough or the time is over.

    The first call is made in any case.
    """

    def __init__(self, threads: int, seconds: float) -> None:
        self.threads = threads
        self.over = False
        self.enough = False
        self._met = False
        self._last = time.monotonic()
        self._until = self._last + seconds
        # How long calls have taken without being nudged and with it. Nudging finds what is rare, and slows everything
        # down, so that each has half of the time.
        self._spent = [0.0, 0.0]
        self._nudging = False
        self._barrier = threading.Barrier(threads, action=self._look)

    def _look(self) -> None:
        """One thread looks at the clock while all the others wait, so that all see the same."""
        now = time.monotonic()
        self.over = self._met and (self.enough or now > self._until)
        self._met = True
        # What holds a round up for long has nothing to do with how it is run, and would decide over all the others.
        self._spent[self._nudging] += min(now - self._last, _ROUND)
        self._last = now
        self._nudging = self._spent[True] <= self._spent[False]

    def meet(self) -> bool:
        """Wait for all the others; tell whether to go on."""
        self._barrier.wait()
        return not self.over

    def call(self, call: Callable[[Any], str], item: Any, nudge: _Nudge) -> str:
        if not self._nudging:
            return call(item)
        nudge.begin()
        try:
            return call(item)
        finally:
            sys.settrace(None)

    def run(self, run: Callable[[int], None]) -> None:
        failures: list[BaseException] = []

        def guarded(number: int) -> None:
            try:
                run(number)
            except threading.BrokenBarrierError:
                pass
            except BaseException as error:
                failures.append(error)
                # Whoever waits for this thread has to go on without it.
                self._barrier.abort()

        with _impatient():
            crowd = [threading.Thread(target=guarded, args=(number,), daemon=True) for number in range(self.threads)]
            for each in crowd:
                each.start()
            for each in crowd:
                each.join()
        if failures:
            raise failures[0]


def _hunt(crowd: _Crowd, call: Callable[[Any], str], items: list[Any], expected: list[str]) -> Together:
    found: list[Difference] = []
    lock = threading.Lock()
    calls = [0] * crowd.threads
    differing = [0] * crowd.threads

    def run(number: int) -> None:
        order = list(range(len(items)))
        random.Random(number).shuffle(order)
        nudge = _Nudge(number)
        for index in itertools.cycle(order):
            if not crowd.meet():
                return
            got = crowd.call(call, items[index], nudge)
            calls[number] += 1
            if got != expected[index]:
                differing[number] += 1
                with lock:
                    if len(found) < _DIFFERENCES:
                        found.append(Difference(item=index, expected=expected[index], got=got))
                    crowd.enough = len(found) == _DIFFERENCES

    crowd.run(run)
    return Together(threads=crowd.threads, calls=sum(calls), differences=found, differing=sum(differing), outputs=[])


def _spread(crowd: _Crowd, call: Callable[[Any], str], items: list[Any], repeat: int) -> Together:
    outputs: list[list[str]] = [[] for _ in range(crowd.threads)]
    # Whole rounds only: nobody waits for a thread that has nothing left.
    rounds = max(1, len(items) * repeat // crowd.threads)

    def run(number: int) -> None:
        nudge = _Nudge(number)
        for at in range(rounds):
            if not crowd.meet():
                return
            index = (at * crowd.threads + number) % len(items)
            outputs[number].append(crowd.call(call, items[index], nudge))

    crowd.run(run)
    done = [each for some in outputs for each in some]
    return Together(threads=crowd.threads, calls=len(done), differences=[], differing=0, outputs=done)


def _in_a_loop(
    bound: _resolve.Bound, items: list[Any], expected: list[str] | None, seconds: float, repeat: int
) -> Together:
    told = Together(threads=len(items), calls=0, differences=[], differing=0, outputs=[])
    until = time.monotonic() + seconds
    shuffle = random.Random(0).shuffle

    async def call(item: Any) -> str:
        try:
            return _shown(await bound.call([item]))
        except Exception as error:
            return _raised(error)

    async def run() -> None:
        order = list(range(len(items)))
        for _ in itertools.repeat(None) if expected is not None else range(repeat):
            outputs = await asyncio.gather(*(call(items[index]) for index in order))
            told["calls"] += len(outputs)
            if expected is None:
                told["outputs"] += outputs
            else:
                wrong = [
                    Difference(item=index, expected=expected[index], got=got)
                    for index, got in zip(order, outputs, strict=True)
                    if got != expected[index]
                ]
                told["differing"] += len(wrong)
                told["differences"] = (told["differences"] + wrong)[:_DIFFERENCES]
                shuffle(order)
            if time.monotonic() > until:
                break

    asyncio.run(run())
    return told


@contextmanager
def _impatient() -> Iterator[None]:
    """Have threads that share a GIL take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class _Nudge:
    """Has a thread give way in the middle of the user's code, now and then, between any two bytecodes."""

    _FOREIGN: Final = (
        "<frozen",
        os.path.dirname(__file__),
        *(sysconfig.get_paths()[each] for each in ("stdlib", "platstdlib", "purelib", "platlib")),
    )

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed).random
        self._left = 0

    def begin(self) -> None:
        """Trace the call that comes; what it does when it has run for long is left alone."""
        self._left = _TRACED
        sys.settrace(self._enter)

    def _enter(self, frame: FrameType, _event: str, _: Any) -> Any:
        if frame.f_code.co_filename.startswith(self._FOREIGN):
            return None
        frame.f_trace_opcodes = True
        return self._inside

    def _inside(self, frame: FrameType, event: str, _: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            frame.f_trace_opcodes = frame.f_trace_lines = False
            sys.settrace(None)
        elif event in {"opcode", "line"} and self._draw() * _PATIENCE < 1:
            time.sleep(0 if self._draw() < 0.9 else 1e-5)
        return self._inside


def _import(function: str, folders: Sequence[str] = ()) -> tuple[Imported, Callable[[Any], str]]:
    before, memory, began = _gil.WATCH.look(), _resident(), time.perf_counter()
    bound = _resolve.resolve(function, list(folders))
    imported = Imported(
        seconds=time.perf_counter() - began,
        memory=max(0, _resident() - memory),
        gil_before=before,
        gil_after=_gil.WATCH.look() or getattr(sys, "_is_gil_enabled", lambda: True)(),
        gil_by=_gil.WATCH.by,
        kind=bound.kind,
    )

    def call(item: Any) -> str:
        return _shown(_results(bound, bound.call([item])))

    return imported, call


def _telling(call: Callable[[Any], str]) -> Callable[[Any], str]:
    """The same call, of which an exception is an output as well."""

    def told(item: Any) -> str:
        try:
            return call(item)
        except Exception as error:
            return _raised(error)

    return told


def _raised(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_SHOWN]


def _results(bound: _resolve.Bound, made: Any) -> Any:
    if bound.kind == "coroutine":
        return asyncio.run(made)
    if hasattr(made, "__aiter__"):
        return asyncio.run(_gathered(made))
    return list(made) if bound.kind == "generator" else made


async def _gathered(made: Any) -> list[Any]:
    return [each async for each in made]


def _shown(results: Any) -> str:
    """What a call gave, as a text that is the same for the same bytes."""
    if not isinstance(results, (list, tuple)) or len(results) != 1:
        raise Contract(_answers.broken(results, 1).partition("\n")[0])
    plain = f"Failed({results[0].reason})" if isinstance(results[0], Failed) else results[0]
    frame = bytearray(_wire.HEADER_SIZE)
    _values.encode_value(plain, "result", frame, _MAX_FRAME)
    text = repr(plain)
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}… {hashlib.sha256(frame).hexdigest()[:16]}"


def _busy() -> float:
    """The seconds in which this thread had something to compute, or another one of its process had.

    When the machine is busy with other things, a thread that computes waits for a processor. That is no waiting of
    its own.
    """
    try:
        with open("/proc/thread-self/schedstat", "rb") as schedstat:
            ran, queued, _ = map(int, schedstat.read().split())
    except (OSError, ValueError):
        return time.process_time()
    return max(time.process_time(), ran / 1e9) + queued / 1e9


def _resident() -> int:
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
