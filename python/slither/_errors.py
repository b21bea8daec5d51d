"""Errors: any exception, however hostile, to the bounded map that travels (docs/PROTOCOL.md, *error*).

Everything here may be handed an exception whose `__str__` raises, whose message has 100 MB, or that came because
memory or stack ran out. It answers in bounded size, and it does not fail.
"""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import Any, Final, Literal

from slither._retry import Retry

MESSAGE_LIMIT: Final = 8 << 10
TRACEBACK_LIMIT: Final = 32 << 10
_FRAMES: Final = 64
_CHAIN: Final = 4
_CLASSES: Final = 32
# What is said where the exception itself says nothing.
_SILENT: Final = {"out_of_memory": "python ran out of memory\nhint: a smaller batch_size takes less memory"}
_HERE: Final = os.path.dirname(os.path.abspath(__file__)) + os.sep

Kind = Literal[
    "exception", "failed", "retry", "contract", "value", "too_large", "import", "decode", "out_of_memory", "cancelled"
]
Error = dict[str, Any]


def make(kind: Kind, message: str, *, trace: str | None = None, classes: list[str] | None = None) -> Error:
    """Return the map for an error that no exception stands behind."""
    return {
        "kind": kind,
        "message": cut(message, MESSAGE_LIMIT),
        "traceback": trace,
        "exception": classes or [],
    }


def from_exception(error: BaseException, kind: Kind = "exception") -> Error:
    """Return the map for an exception that user code raised, or for a `Retry` that it returned."""
    try:
        if kind == "exception" and isinstance(error, MemoryError):
            kind = "out_of_memory"
        classes = class_names(type(error))
        if not isinstance(error, Retry):
            return make(kind, describe(error) or _SILENT.get(kind, ""), trace=render(error), classes=classes)
        trace = render(error) if error.__traceback__ is not None else None
        made = make("retry", describe(error), trace=trace, classes=classes)
        made["retry_after"] = None if error.after is None else float(error.after)
        return made
    except BaseException as second:
        # Memory or stack ran out once more, or a metaclass plays tricks: say what can be said without them.
        return make(kind, f"an exception that could not be described ({type(second).__name__})")


def describe(error: BaseException) -> str:
    """Return `str(error)`, cut to its limit; if that raises, say so."""
    try:
        text = str(error)
        if type(text) is not str:  # a subclass may do anything when it is encoded
            text = "".join(text)
    except BaseException as second:
        return f"<the exception's __str__ raised {type(second).__name__}>"
    return cut(text, MESSAGE_LIMIT)


def raised_by_user(error: BaseException) -> bool:
    """Tell whether the exception came out of the user's code, rather than of encoding what it returned."""
    tb = error.__traceback__
    while tb is not None:
        if not tb.tb_frame.f_code.co_filename.startswith(_HERE):
            return True
        tb = tb.tb_next
    return False


def class_names(kind: type[BaseException]) -> list[str]:
    """Return the names of the exception's classes, itself first, `object` left out."""
    return [class_name(base) for base in kind.__mro__[:_CLASSES] if base is not object]


def class_name(kind: type) -> str:
    """Return `module.qualname`, without the module for builtins."""
    module, name = str(kind.__module__), str(kind.__qualname__)
    return cut(name if module == "builtins" else f"{module}.{name}", 256)


def render(error: BaseException) -> str:
    """Return the traceback as Python would print it, without the SDK's own frames at its top.

    Causes come first. Bounded: the innermost 64 frames of each of at most 4 exceptions, and then 32 KiB,
    of which the end is kept, because the innermost frames are there.
    """
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < _CHAIN:
        seen.add(id(current))
        parts.append(_one(current))
        if current.__cause__ is not None:
            parts.append("\nThe above exception was the direct cause of the following exception:\n\n")
            current = current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            parts.append("\nDuring handling of the above exception, another exception occurred:\n\n")
            current = current.__context__
        else:
            break
    if current is not error and parts and parts[-1].startswith("\n"):
        parts.pop()  # the chain was longer than what is shown
    return cut_front("".join(reversed(parts)), TRACEBACK_LIMIT)


def _one(error: BaseException) -> str:
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_HERE):
        tb = tb.tb_next
    lines = traceback.format_list(_innermost(tb))
    if isinstance(error, SyntaxError):
        try:
            last = "".join(traceback.format_exception_only(type(error), error))
        except BaseException:
            last = f"{class_name(type(error))}\n"
    else:
        last = f"{class_name(type(error))}: {describe(error)}\n"
    head = "Traceback (most recent call last):\n" if lines else ""
    notes = [f"{cut(str(note), 1024)}\n" for note in (getattr(error, "__notes__", None) or ())[:8]]
    return head + "".join(lines) + last + "".join(notes)


def _innermost(tb: TracebackType | None) -> traceback.StackSummary:
    return traceback.extract_tb(tb, limit=-_FRAMES)


def cut(text: str, limit: int) -> str:
    """Return `text` as valid UTF-8 of at most `limit` bytes; what is cut is marked."""
    if len(text) * 4 <= limit and text.isascii():
        return text
    data = text[: limit + 1].encode("utf-8", "backslashreplace")
    if len(data) <= limit and len(text) <= limit:
        return data.decode()
    mark = f"… [cut: {len(text)} characters]"
    return data[: limit - len(mark.encode())].decode("utf-8", "ignore") + mark


def cut_front(text: str, limit: int) -> str:
    """Like `cut`, keeping the end."""
    data = text[-limit - 1 :].encode("utf-8", "backslashreplace")
    if len(data) <= limit and len(text) <= limit:
        return data.decode()
    mark = "[cut] …\n"
    return mark + data[-(limit - len(mark.encode())) :].decode("utf-8", "ignore")
