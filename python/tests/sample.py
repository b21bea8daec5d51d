"""User code for tests: what a worker is asked to run."""

from __future__ import annotations

import array
import asyncio
import ctypes
import dataclasses
import datetime
import decimal
import enum
import logging
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import uuid
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

import slither
from slither._progress import EVERY


def echo(items: list[Any]) -> list[Any]:
    return items


@dataclasses.dataclass
class Made:
    n: int


_made: list[weakref.ref[Made]] = []


def makes(items: list[int]) -> list[Made]:
    made = [Made(n) for n in items]
    _made[:] = map(weakref.ref, made)
    return made


def still_there(items: list[Any]) -> list[int]:
    """How many of the results that `makes` made last are still in memory."""
    return [sum(made() is not None for made in _made)] * len(items)


def double(items: list[int]) -> list[int]:
    return [2 * item for item in items]


def generate(items: list[Any]) -> Iterator[Any]:
    yield from items


async def generate_async(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


def step_by_step(items: list[Any]) -> Iterator[Any]:
    """Yields an item, and goes on when the view `go` answers; what it answers may say how to end."""
    for item in items:
        yield slither.Failed("an odd one") if item == "fails" else {1, 2} if item == "a set" else item
        match slither.view("go"):
            case "raise":
                raise ValueError("no more")
            case "stop":
                return
            case "exit":
                os._exit(7)


def yields_wait(seconds: float) -> None:
    """Have what was yielded, and could come with the answer, wait so long for it."""
    from slither import _yields

    _yields.WAIT = seconds  # type: ignore[misc]


def twice(items: list[Any]) -> Iterator[Any]:
    for item in items:
        yield item
        yield item


def refers(items: list[Any]) -> Iterator[Any]:
    for item in items:
        yield slither.ref(item) if item == "ref" else item


def same_list(items: list[Any]) -> Iterator[Any]:
    seen: list[Any] = []
    for item in items:
        seen.append(item)
        yield seen


def counts(items: list[int]) -> list[int]:
    for item in items:
        for done in range(item + 1):
            slither.progress(done, item)
        slither.progress(item, item)
    return items


def counts_in_a_thread(items: list[int]) -> list[int]:
    thread = threading.Thread(target=counts, args=[items])
    thread.start()
    thread.join()
    return items


def counts_for_long(seconds: float) -> None:
    end = time.monotonic() + seconds
    done = 0
    while time.monotonic() < end:
        done += 1
        slither.progress(done)
    time.sleep(EVERY)  # sleep: the one that comes now is due, however long ago the last one was sent
    slither.progress(done + 1)


def progress_in_a_child() -> str:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            slither.progress(3, 3)
        except BaseException as error:
            os.write(writer, type(error).__name__.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    return os.read(reader, 100).decode()


async def eventually(items: list[Any]) -> list[Any]:
    await asyncio.sleep(0)
    return items


class Nested:
    @staticmethod
    def echo(items: list[Any]) -> list[Any]:
        return items


not_callable = 3


def returns_none(items: list[Any]) -> None:
    return None


def returns_dict(items: list[Any]) -> dict[str, Any]:
    return {"items": items}


def returns_short(items: list[Any]) -> list[Any]:
    return items[:-1]


def returns_tuple(items: list[Any]) -> tuple[Any, ...]:
    return tuple(items)


def returns_set(items: list[Any]) -> set[Any]:
    return set(items)


def fails(items: list[Any]) -> list[Any]:
    raise ValueError("no good")


def fails_chained(items: list[Any]) -> list[Any]:
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise RuntimeError("outer") from error


def fails_some(items: list[int]) -> list[Any]:
    return [slither.Failed(f"item {item} is odd") if item % 2 else item for item in items]


def asks_again(items: list[Any]) -> list[Any]:
    if items == ["all"]:
        raise slither.Retry("the service is busy", after=2)
    return [slither.Retry("one is") if item == "one" else item for item in items]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")


def raises(items: list[str]) -> list[Any]:
    what = items[0]
    if what == "exit":
        sys.exit(3)
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "generator exit":
        raise GeneratorExit
    if what == "unspeakable":
        raise Unspeakable
    if what == "unpicklable":
        raise Unpicklable("stays here")
    if what == "huge":
        raise ValueError("x" * 100_000_000)
    if what == "surrogate":
        raise ValueError("\ud800 lone")
    if what == "memory":
        raise MemoryError
    if what == "recursion":
        return raises(items)
    if what == "group":
        raise Exception("group")
    raise AssertionError(what)


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Point(msgspec.Struct):
    x: int
    y: float


@dataclasses.dataclass
class Scored:
    name: str
    tags: Any


class Text(str):
    __slots__ = ()


class Own:
    pass


def odd(items: list[str]) -> list[Any]:
    return [make_odd(item) for item in items]


def make_odd(what: str) -> Any:
    cycle: list[Any] = []
    cycle.append(cycle)
    wide: list[Any] = []
    wide.extend([wide] * 100)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    made: dict[str, Any] = {
        "ok": {"fine": [1, None, True, 2.5, "é", b"raw", {3: "int key"}]},
        "set": {"tags": {1, 2}},
        "frozenset": frozenset({1}),
        "decimal": [decimal.Decimal("1.5")],
        "uuid": uuid.UUID(int=0),
        "path": pathlib.Path("/tmp"),
        "date": datetime.date(2020, 1, 1),
        "time": datetime.time(1, 2),
        "naive": datetime.datetime(2020, 1, 1),
        "aware": datetime.datetime(2020, 1, 1, 12, 0, 0, 123456, tzinfo=datetime.timezone.utc),
        "offset": datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        "none key": {None: 1},
        "bool key": {True: 1},
        "float key": {1.5: 1},
        "tuple key": {(1, 2): 1},
        "mixed keys": {"a": 1, 2: 3},
        "class": Own(),
        "subclass": Text("text"),
        "big": 2**64,
        "small": -(2**63) - 1,
        "largest": 2**64 - 1,
        "surrogate": "bad \ud800",
        "surrogate key": {"\udc00": 1},
        "cycle": cycle,
        "wide cycle": wide,
        "deep": deep,
        "enum": Color.RED,
        "int enum": Level.LOW,
        "struct": Point(1, 2.0),
        "dataclass": Scored("a", [1]),
        "bad dataclass": Scored("a", {1}),
        "nested failed": [slither.Failed("inside")],
        "tuple": (1, (2, 3)),
        "array": array.array("d", [1.0, 2.0]),
        "memoryview": memoryview(b"abc"),
        "bytearray": bytearray(b"abc"),
        "complex": 1j,
        "generator": (each for each in range(3)),
        "raw": msgspec.Raw(b"\xc1"),
        "nan": float("nan"),
        "infinite": float("-inf"),
    }
    return made[what]


def large(items: list[int]) -> list[Any]:
    return [b"x" * item for item in items]


def give(**kwargs: Any) -> Any:
    return kwargs


def give_args(*args: Any) -> Any:
    return list(args)


def give_odd(what: str) -> Any:
    return make_odd(what)


def where(items: list[Any]) -> list[Any]:
    found = slither.context()
    return [[found.run_id, found.pipe, found.stage, found.session_id, found.attempt, found.metadata] for _ in items]


def look_up(items: list[Any]) -> list[Any]:
    answers = []
    for item in items:
        try:
            answers.append(slither.view("lookup", key=item))
        except slither.ViewError as error:
            answers.append([type(error).__name__, str(error)])
    slither.context()
    return answers


def look_up_many(items: list[Any]) -> list[Any]:
    return slither.view_many("lookup", [{"key": item} for item in items])


def look_up_odd(items: list[Any]) -> list[Any]:
    return [slither.view("lookup", key={1})]


def log(items: list[Any]) -> list[Any]:
    logger = logging.getLogger("sample")
    logger.info("too low")
    logger.warning("warned about %s", items[0])
    logger.error("x" * 20_000)
    logger.error("bad format %d", "text")
    return items


def loaded(part: str) -> list[str]:
    return [name for name in sys.modules if part in name]


def talk(items: list[Any]) -> list[Any]:
    print("printed")
    sys.stdout.flush()
    os.write(1, b"written\n")
    ctypes.CDLL(None).dprintf(1, b"from C\n")
    return items


def leave(items: list[int]) -> list[Any]:
    os._exit(items[0])


def crash(items: list[Any]) -> list[Any]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return items


def segfault(items: list[Any]) -> list[Any]:
    """Crashes in this very thread."""
    ctypes.string_at(1)
    return items


def hang(items: list[Any]) -> list[Any]:
    slither.view("hanging")
    while True:
        pass


def spin(items: list[Any]) -> list[Any]:
    """Hangs, and says nothing before."""
    while True:
        pass


def breed(items: list[bool]) -> list[int]:
    """Start a grandchild that would live on; with True one that leaves the group."""
    found = []
    for detached in items:
        process = subprocess.Popen(["sleep", "1000"], start_new_session=detached)
        found.append(process.pid)
        process.returncode = 0  # nobody waits for it, and Popen must not warn of that
    return found


def fork_and_ask(items: list[Any]) -> list[Any]:
    """In a forked child, ask what only the worker may ask."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            slither.view("lookup", key=1)
        except slither.NotInWorker as error:
            os.write(write, str(error).encode())
        logging.getLogger("child").error("must not travel")
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with open(read, "rb") as file:
        return [file.read().decode()]


def environment(items: list[str]) -> list[Any]:
    return [os.environ.get(item) for item in items]


def process(items: list[Any]) -> list[Any]:
    import resource
    from pathlib import Path

    return [
        {
            "pid": os.getpid(),
            "group": os.getpgid(0),
            "stdin": os.readlink("/proc/self/fd/0"),
            "core": list(resource.getrlimit(resource.RLIMIT_CORE)),
            "fds": sorted(os.readlink(each) for each in Path("/proc/self/fd").iterdir() if os.path.lexists(each)),
        }
    ]


def rand(items: list[Any]) -> list[Any]:
    import random

    import numpy as np

    return [[random.random(), float(np.random.random())]]
