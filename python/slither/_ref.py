"""`ref()` and `Ref`: what stands for an object that is to stay where it is. Apart, because it needs no msgspec."""

from __future__ import annotations

from typing import Any


class Ref:
    """Stands for an object in a result; made by `ref`."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Ref({self.value!r})"


def ref(value: Any) -> Ref:
    """Return what gives Rust a handle (`PyRef`) to `value`, instead of a copy, when it is part of a result.

    The object stays in this worker until the last clone of the handle is dropped, or the worker ends. Rust calls
    its methods through the handle, and a function that is given the handle gets the object itself. A worker holds
    at most 65,536 such objects; one more fails its item. In a worker of several calls its destructor may run in any
    thread, without the GIL in the middle of the next call of the thread that made it.
    """
    return Ref(value)
