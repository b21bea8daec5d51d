"""Chaos: the faults that a pool has its workers have, for real. Loaded only in pools that ask for it.

A fault comes with its call (docs/PROTOCOL.md, *fault*); which one was the host's to draw. The call goes the worker's
ordinary way, with the function or the connection wrapped for that long: what fails is what would fail.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from slither import _wire
from slither._exceptions import ProtocolError

if TYPE_CHECKING:
    from slither._worker import Worker

# A kill in the middle of a function comes at most so late.
_LATEST: Final = 0.005
_NO_KIND: Final = 0xEE
_BEYOND_EVERY_CAP: Final = 0xFFFF_FFFF
_NO_MSGPACK: Final = b"\xc1"

Work = Callable[[int, memoryview], None]
Call = Callable[[Any], Any]


class ChaosError(Exception):
    """Raised on purpose."""


ChaosError.__module__ = "slither"


class Fault(msgspec.Struct, array_like=True):
    """What is to go wrong."""

    name: str
    point: str
    amount: float


_decode: Final = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw, msgspec.Raw, Fault]).decode


def afflicted(worker: Worker, work: Work) -> Work:
    """Return what does the work of a frame with CHAOS."""

    def run(ident: int, body: memoryview) -> None:
        try:
            name, context, items, fault = _decode(body)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"a CALL with CHAOS that is not [function, context, items, fault]: {error}") from None
        plain = memoryview(b"\x93" + msgspec.msgpack.encode(name) + bytes(context) + bytes(items))
        # Whoever asks what the worker was doing when it died is to see this call.
        worker._box.begin(ident)
        if fault.name == "garbage" or (fault.name, fault.point) == ("kill", "reply"):
            _with_connection(worker, fault, lambda: work(ident, plain))
        else:
            _with_function(worker, name, fault, lambda: work(ident, plain))

    return run


def _with_function(worker: Worker, name: str, fault: Fault, work: Callable[[], None]) -> None:
    """Do the work with the function wrapped."""
    calls, bound = worker._calls, worker._bound
    try:
        found = bound.get(name) or worker._resolve(name)
        call = calls.get(name) or worker._bind_call(name)
    except BaseException:
        work()  # it fails by itself
        return
    calls[name] = _wrapped(call, fault)
    if found.kind == "generator":
        bound[name] = replace(found, call=_wrapped(found.call, fault, generator=True))
    try:
        work()
    finally:
        calls[name] = call
        bound[name] = found


def _wrapped(call: Call, fault: Fault, generator: bool = False) -> Call:
    def run(items: Any) -> Any:
        if fault.name == "slow":
            time.sleep(fault.amount)
        elif fault.name == "hang":
            _hang(holding_the_gil=fault.point == "gil")
        elif fault.name == "raise":
            raise ChaosError("raised on purpose, by the chaos of the pool")
        elif fault.name == "kill":
            if fault.point == "before":
                _die()
            if fault.point == "during":
                threading.Timer(fault.amount * _LATEST, _die).start()
            results = call(items)
            if generator and not hasattr(results, "__aiter__"):
                return _cut_short(results, len(items) // 2)
            _die()
        return call(items)

    return run


def _cut_short(results: Iterator[Any], good: int) -> Iterator[Any]:
    """Yield so many results, and no more."""
    for _ in range(good):
        yield next(results)
    _die()


def _hang(holding_the_gil: bool) -> NoReturn:
    if holding_the_gil:
        import ctypes

        ctypes.PyDLL(None).sleep(1 << 30)
    while True:
        time.sleep(3600)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:  # the signal is on its way
        time.sleep(1)


def _with_connection(worker: Worker, fault: Fault, work: Callable[[], None]) -> None:
    """Do the work with what is sent first spoilt."""
    connection = worker._incoming  # which is where a worker of one call sends, too

    def send(kind: int, flags: int, ident: int, frame: bytearray) -> None:
        del connection.send, connection.answer  # the class's own show again
        if fault.name == "kill":
            _wire.HEADER.pack_into(frame, 0, len(frame) - _wire.HEADER_SIZE, kind, flags, 0, ident)
            connection.send_raw(frame[: max(1, len(frame) // 2)])
            _die()
        length, body = len(_NO_MSGPACK), _NO_MSGPACK
        if fault.point == "length":
            length = _BEYOND_EVERY_CAP
        elif fault.point == "kind":
            kind = _NO_KIND
        connection.send_raw(_wire.HEADER.pack(length, kind, 0, 0, ident) + body)

    connection.send = connection.answer = send  # type: ignore[method-assign]
    try:
        work()
    finally:
        for name in ("send", "answer"):
            connection.__dict__.pop(name, None)


__all__ = ["ChaosError", "Fault", "afflicted"]
