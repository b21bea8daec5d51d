"""Calls that run beside others in their worker: they meet, wait, compute, crash and hang."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import slither

_LOCK = threading.Lock()
_BARRIERS: dict[int, threading.Barrier] = {}
_TASKS: dict[int, asyncio.Barrier] = {}


def meet(items: list[int]) -> list[str]:
    """Wait until as many calls as an item says are here at once; return the name of the thread."""
    for parties in items:
        with _LOCK:
            barrier = _BARRIERS.setdefault(parties, threading.Barrier(parties))
        barrier.wait(30)
    return [threading.current_thread().name] * len(items)


async def meet_in_loop(items: list[int]) -> list[int]:
    """Do the same as a coroutine; return the process."""
    for parties in items:
        await _TASKS.setdefault(parties, asyncio.Barrier(parties)).wait()
    return [os.getpid()] * len(items)


def await_or_load(items: list[tuple[str, str]]) -> list[int]:
    """Hold a thread until there is a file at each path, or import the extension module there; return the process."""
    for what, path in items:
        if what == "load":
            load(path)
        else:
            _await_file(path)
    return [os.getpid()] * len(items)


def await_file(items: list[str]) -> list[int]:
    """Hold a thread until there is a file at each path; return the process."""
    for path in items:
        _await_file(path)
    return [os.getpid()] * len(items)


def spin(items: list[int]) -> list[int]:
    """Compute, in nothing but Python."""
    return [_sum(rounds) for rounds in items]


def _sum(rounds: int) -> int:
    total = 0
    for number in range(rounds):
        total = (total * 31 + number) % 1_000_003
    return total


def act(items: list[dict[str, Any]]) -> list[str]:
    """Do to the worker what an item says, when as many calls as it names are here."""
    return [_act(item) for item in items]


def _act(item: dict[str, Any]) -> str:
    if "mark" in item:
        Path(item["mark"]).touch()
    if "parties" in item:
        meet([item["parties"]])
    if "await_file" in item:
        _await_file(item["await_file"])
    match item["deed"]:
        case "segv":
            faulthandler._sigsegv()  # type: ignore[attr-defined]
        case "null":
            ctypes.string_at(0)
        case "exit":
            os._exit(7)
        case "hang":
            while True:
                time.sleep(0.05)  # sleep: it never ends
        case "hold-gil":
            ctypes.PyDLL(None).usleep(60_000_000)
        case "raise":
            raise ValueError("as it was told to")
    return f"{item['deed']} in {os.getpid()}"


def _await_file(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.005)  # sleep: between two looks


async def sleep(items: list[float]) -> list[int]:
    """Await the sum of the items in seconds."""
    await asyncio.sleep(sum(items))
    return [os.getpid()] * len(items)


async def act_in_loop(items: list[dict[str, Any]]) -> list[str]:
    """Do to the event loop what an item says."""
    return [await _act_in_loop(item) for item in items]


async def _act_in_loop(item: dict[str, Any]) -> str:
    if "mark" in item:
        Path(item["mark"]).touch()
    while "await_file" in item and not Path(item["await_file"]).exists():
        await asyncio.sleep(0.005)
    try:
        match item["deed"]:
            case "wait":
                await asyncio.sleep(3600)
            case "block":
                time.sleep(3600)  # sleep: it holds up the loop
            case "segv":
                faulthandler._sigsegv()  # type: ignore[attr-defined]
            case "cling":
                while True:
                    try:
                        await asyncio.sleep(3600)
                    except asyncio.CancelledError:
                        pass
            case "rescue":
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    return "rescued"
    except asyncio.CancelledError:
        if "closed" in item:
            await asyncio.sleep(0.15)
            Path(item["closed"]).touch()
        raise
    return f"{item['deed']} in {os.getpid()}"


def views(items: list[int]) -> list[Any]:
    """Ask a view for each item, while others ask, too."""
    return [slither.view("square", number=item) for item in items]


async def views_in_loop(items: list[int]) -> list[Any]:
    """Ask the view as coroutines do."""
    return list(await asyncio.gather(*(slither.view_async("square", number=item) for item in items)))


def count(items: list[Any]) -> list[int]:
    """Count calls in the session; one at a time, or two would read the same."""
    session = slither.session()
    out = []
    for _ in items:
        before = session.get("count", 0)
        time.sleep(0.001)  # sleep: for others to come between
        session["count"] = before + 1
        out.append(before + 1)
    return out


def rows(items: list[int]) -> Iterator[int]:
    """Yield a result for each item, slowly."""
    for item in items:
        time.sleep(0.01)  # sleep: rows come slowly
        yield item * 2


async def rows_in_loop(items: list[int]) -> AsyncIterator[int]:
    """Do the same as an async generator."""
    for item in items:
        await asyncio.sleep(0.01)
        yield item * 2


def gil() -> bool:
    """Say whether the GIL is on."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def load(path: str) -> bool:
    """Import an extension module by its file; say whether the GIL is on then."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(Path(path).name.split(".")[0], path)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return gil()


def counted_constants() -> list[str]:
    """Return the constants of this module's loop whose use threads would have to count."""
    is_immortal = sys._is_immortal  # type: ignore[attr-defined]
    return [repr(constant) for constant in _sum.__code__.co_consts if not is_immortal(constant)]
