"""Answers: what a batch function returned, to the frame that says so, when that is not a plain list of results.

The hot path of the worker has already tried the whole list. Here it is known to hold something: a contract that was
not kept, items that failed, values that take converting, or values that cannot travel. Each item is vetted and
encoded alone, so that the culprits fail and the innocent are delivered.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from slither import _errors, _values, _wire
from slither._exceptions import TooLarge, ValueNotSupported
from slither._failed import Failed
from slither._refs import TABLE
from slither._retry import Retry

_NIL: Final = msgspec.Raw(b"\xc0")


def answer_batch(results: Any, count: int, frame: bytearray, max_frame: int) -> tuple[int, int]:
    """Put the body of the answer into `frame`; return its kind and flags."""
    if not isinstance(results, (list, tuple)) or len(results) != count:
        _values.encode_trusted(_errors.make("contract", broken(results, count)), frame)
        return _wire.ERROR, 0
    delivered: list[msgspec.Raw] = []
    failures: list[tuple[int, _errors.Error]] = []
    size = 0
    for index, item in enumerate(results):
        mark = TABLE.mark()
        data, error = encode_one(item, f"result[{index}]", max_frame)
        if error is not None:
            TABLE.undo(mark)
            failures.append((index, error))
            delivered.append(_NIL)
        else:
            size += len(data)
            delivered.append(msgspec.Raw(data))
    if size > max_frame:
        return _too_large(size, count, frame, max_frame)
    if failures:
        _values.encode_trusted((delivered, failures), frame)
    else:
        _values.encode_trusted(delivered, frame)
    if len(frame) - _wire.HEADER_SIZE > max_frame:
        return _too_large(len(frame), count, frame, max_frame)
    return _wire.RESULT, _wire.FAILED if failures else 0


def encode_one(item: Any, path: str, max_frame: int) -> tuple[bytes, _errors.Error | None]:
    """Return one result encoded, or the error that it stands for or fails with."""
    if isinstance(item, Failed):
        return b"", _errors.make("failed", item.reason)
    if isinstance(item, Retry):
        return b"", _errors.from_exception(item)
    try:
        return _values.encode_alone(item, path, max_frame), None
    except TooLarge as error:
        return b"", _errors.make("too_large", str(error))
    except ValueNotSupported as error:
        return b"", _errors.make("value", str(error))
    except BaseException as error:  # a property of a dataclass, a __len__: code of the user
        return b"", _errors.from_exception(error)


def answer_rest(
    results: list[msgspec.Raw], failures: list[tuple[int, _errors.Error]], frame: bytearray
) -> tuple[int, int]:
    """Put what a generator yielded last, already encoded, into `frame`; return its kind and flags."""
    _values.encode_trusted((results, failures) if failures else results, frame)
    return _wire.RESULT, _wire.FAILED if failures else 0


def wrong_count(yielded: int, count: int) -> _errors.Error:
    """Return the error for a generator that yielded too few results, or went on behind the last."""
    few = yielded < count
    text = (
        f"the generator yielded {'' if few else 'at least '}{yielded} result{'' if yielded == 1 else 's'} for {count} "
        f"item{'' if count == 1 else 's'}; it yields one an item, in their order"
    )
    return _errors.make("contract", text)


def _too_large(size: int, count: int, frame: bytearray, max_frame: int) -> tuple[int, int]:
    text = (
        f"the {count} results together take {size} bytes encoded; the pool's max_frame is {max_frame}\n"
        "hint: use a smaller batch_size, or raise max_frame"
    )
    _values.encode_trusted(_errors.make("too_large", text), frame)
    return _wire.ERROR, 0


def broken(results: Any, count: int) -> str:
    """Say what a function returned that is no list of as many results as it had items."""
    expected = f"a list of {count} result{'' if count == 1 else 's'} was expected"
    if isinstance(results, (list, tuple)):
        return f"the function returned a {type(results).__name__} of {len(results)}; {expected}"
    if results is None:
        return f"the function returned None; {expected}\nhint: does it end without a return?"
    name = _errors.class_name(type(results))
    text = f"the function returned {'an' if name[:1] in 'aeiou' else 'a'} {name}; {expected}"
    if hasattr(type(results), "tolist"):
        text += "\nhint: return list(value), or value.tolist()"
    return text
