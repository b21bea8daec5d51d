"""User code for tests of workers that run several calls at once."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import slither

PATIENCE = 60.0
meeting = threading.Barrier(2)
speaking = threading.Lock()
gates: dict[str, threading.Event] = {}
SETTING: contextvars.ContextVar[str] = contextvars.ContextVar("setting", default="untouched")


def gate(name: str) -> threading.Event:
    return gates.setdefault(name, threading.Event())


def meet(items: list[Any]) -> list[Any]:
    """Returns when a second call is here as well: alone it would break the barrier."""
    meeting.wait(PATIENCE)
    return items


def wait(items: list[str]) -> list[str]:
    for item in items:
        assert gate(item).wait(PATIENCE), item
    return items


def open_gate(items: list[str]) -> list[str]:
    for item in items:
        gate(item).set()
    return items


def thread_name(items: list[Any]) -> list[str]:
    return [threading.current_thread().name for _ in items]


def fails_at(items: list[str]) -> list[str]:
    wait(items)
    raise ValueError(f"no {items[0]}")


def spins_at(items: list[str]) -> list[str]:
    """Keeps the interpreter busy until its gate is open."""
    while not gate(items[0]).is_set():
        pass
    return items


def looks_up(items: list[Any]) -> list[Any]:
    return [slither.view("lookup", key=item) for item in items]


def tells(items: list[str]) -> list[str]:
    """Reports and logs from inside the call, with the other call running beside it."""
    meeting.wait(PATIENCE)
    # A report that finds the socket taken for long is dropped: nobody else may be held up while it sends.
    with speaking:
        for item in items:
            logging.getLogger("parallel").warning("about %s", item)
            slither.progress(1, 1)
    meeting.wait(PATIENCE)
    return items


def who(items: list[Any]) -> list[Any]:
    """The context, after another call has begun with another one."""
    meeting.wait(PATIENCE)
    found = slither.context()
    meeting.wait(PATIENCE)
    again = slither.context()
    return [[found.run_id, again.run_id] for _ in items]


def sets(items: list[str]) -> list[str]:
    before = SETTING.get()
    SETTING.set(items[0])
    return [before]


def keeps(items: list[Any]) -> list[Any]:
    """Goes through the session's dict in a way that only one call at a time can."""
    state = slither.session()
    seen = state.get("running", 0)
    state["running"] = seen + 1
    time.sleep(0.001)  # sleep: gives a second call the time to come in between, if it could
    state["running"] -= 1
    state.setdefault("order", []).append(items[0])
    return [seen]


def order(items: list[Any]) -> list[Any]:
    return list(slither.session()["order"])


def waits_in_session(items: list[str]) -> list[str]:
    slither.session()
    return wait(items)


def steps(items: list[str]) -> Iterator[str]:
    for item in items:
        assert gate(item).wait(PATIENCE), item
        yield item


late: list[str] = []


def leaves_a_thread(items: list[str]) -> list[str]:
    """Starts a thread that asks when the call is over."""
    context = contextvars.copy_context()

    def ask() -> None:
        assert gate(items[0]).wait(PATIENCE)
        try:
            late.append(str(slither.context().run_id))
        except slither.NotInWorker as error:
            late.append(str(error))

    thread = threading.Thread(target=context.run, args=(ask,), name=items[0])
    thread.start()
    gates["thread " + items[0]] = threading.Event()
    return items


def late_words(items: list[str]) -> list[str]:
    for thread in threading.enumerate():
        if thread.name in items:
            thread.join(PATIENCE)
    return list(late)


def asks_in_a_thread(items: list[Any]) -> list[Any]:
    """What a thread of the call may do: everything but wait for the host; without the call's context nothing."""
    told: list[Any] = []

    def ask() -> None:
        for asked in (lambda: slither.context().run_id, lambda: slither.view("lookup", key=1)):
            try:
                told.append(asked())
            except slither.NotInWorker as error:
                told.append(str(error))

    for target in (contextvars.copy_context().run, contextvars.Context().run):
        thread = threading.Thread(target=target, args=(ask,), name="of the user")
        thread.start()
        thread.join()
    return [told]


def burns(items: list[int]) -> list[int]:
    """Pure Python, all CPU."""
    for item in items:
        total = 0
        for number in range(item):
            total += number * number % 7
    return items


def nested(items: list[Any]) -> list[Any]:
    return [{"item": item, "more": [{"a": [item, None]}, ["x", {"y": 2.5}]]} for item in items]


def refers(items: list[Any]) -> list[Any]:
    return [slither.ref([item]) for item in items]
