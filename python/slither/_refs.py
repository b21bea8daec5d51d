"""`ref()`: an object that stays in this worker while Rust holds a handle to it.

Encoding a `Ref` in a result puts its object into the worker's table, and its number on the wire (docs/PROTOCOL.md,
*References*). What of a call's references the host keeps it says when it has read the result; what it drops, later.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from typing import Any, Final

import msgspec
from msgspec.msgpack import Ext

from slither._exceptions import ValueNotSupported
from slither._ref import Ref

CODE: Final = 2
LIMIT: Final = 65_536
_BODY: Final = msgspec.msgpack.Decoder(tuple[int, int])
_IDS: Final = msgspec.msgpack.Decoder(list[int])


class BadRef(ValueError):
    """A reference to something that is not held here."""


class _Making(threading.local):
    """What a thread's encoding of a result has referred to so far."""

    def __init__(self) -> None:
        self.open = False
        self.made: list[int] = []


class Table:
    """The objects that the host holds references to. Results may be encoded in several threads at once."""

    def __init__(self) -> None:
        self._nonce = 0
        self._next = 0
        self._held: dict[int, Any] = {}
        self._dropped: deque[Any] = deque()  # bounded with what is held
        self._unread: dict[int, list[int]] = {}
        self._making = _Making()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """A result is encoded from here on: only what is part of one can be referred to."""
        self._making.open = True

    def mark(self) -> int:
        """Return how far the result has come, for `undo`."""
        return len(self._making.made)

    def undo(self, mark: int) -> None:
        """Take back what was made since: the item that held it has failed."""
        made = self._making.made
        self.drop(made[mark:])
        del made[mark:]

    def finish(self, call: int, sent: bool) -> bool:
        """The result is encoded, or there is none. Tell whether it holds references that the host has to answer."""
        making = self._making
        making.open = False
        if not making.made:
            return False
        made, making.made = making.made, []
        if sent:
            with self._lock:
                self._unread[call] = made
        else:
            self.drop(made)
        return sent

    def keep(self, call: int, ids: list[int]) -> bool:
        """The host has read the result of `call`, and keeps these of its references: forget the others."""
        kept = set(ids)
        with self._lock:
            made = self._unread.pop(call, [])
        return self.forget([each for each in made if each not in kept])

    def forget(self, ids: list[int]) -> bool:
        """Hold these no more, and keep the objects for `free`. Tell whether there is something to free."""
        with self._lock:
            self._dropped.extend(self._held.pop(each) for each in ids if each in self._held)
        return bool(self._dropped)

    def free(self) -> None:
        """Let go of what was forgotten. What destructors raise is printed by Python, and goes no further."""
        with contextlib.suppress(IndexError):  # others may be at it, too
            while True:
                self._dropped.popleft()  # not under the lock: a destructor may do anything

    def drop(self, ids: list[int]) -> None:
        """Forget objects and let go of them."""
        self.forget(ids)
        self.free()

    def pack(self, ref: Ref, path: str) -> Ext:
        """Put the object into the table; return what travels."""
        making = self._making
        if not making.open:
            raise ValueNotSupported(f"{path} is a slither.Ref, which travels in a result only")
        with self._lock:
            if len(self._held) + len(self._dropped) >= LIMIT:
                raise ValueNotSupported(
                    f"{path} is one reference more than the {LIMIT} that a worker holds\n"
                    "hint: drop some `PyRef`s in Rust"
                )
            if not self._nonce:  # not before the first use, so that no two workers have the same from one nursery
                self._nonce = int.from_bytes(os.urandom(8), "little") | 1
            self._next += 1
            number = self._next
            self._held[number] = ref.value
        making.made.append(number)
        return Ext(CODE, msgspec.msgpack.encode((self._nonce, number)))

    def unpack(self, data: memoryview) -> Any:
        """Return the object that a reference stands for. Raises `BadRef`."""
        try:
            nonce, number = _BODY.decode(data)
        except msgspec.DecodeError as error:
            raise BadRef(f"a reference that cannot be read: {error}") from None
        if nonce != self._nonce:
            raise BadRef("a reference to an object that another worker holds")
        try:
            return self._held[number]
        except KeyError:
            raise BadRef("a reference to an object that was dropped") from None


TABLE: Final = Table()


def ids(body: memoryview) -> list[int]:
    """Decode the body of KEEP_REFS and DROP_REFS. Raises `msgspec.DecodeError`."""
    return _IDS.decode(body)


def invoke(value: Any, method: str, args: Any) -> Any:
    """Call a method of an object, as `PyRef::call` asks."""
    call = getattr(value, method)
    if isinstance(args, dict):
        return call(**args)
    if isinstance(args, list):
        return call(*args)
    return call() if args is None else call(args)


def get(value: Any) -> Any:
    """Return an object itself, as `PyRef::get` asks."""
    return value
