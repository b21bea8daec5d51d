"""Conversion: the careful way to an encodable value, which can say *what* cannot travel, *where*, and what to do.

It walks one item recursively, so it is several times slower than vetting; it runs only for items that hold something
other than plain builtins.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import sys
from typing import Any, Final

import msgspec

from slither import _tensor
from slither._exceptions import ValueNotSupported
from slither._failed import Failed
from slither._ref import Ref
from slither._refs import TABLE
from slither._vetting import MAX_DEPTH

_EXACT: Final = frozenset({type(None), bool, float, bytes})
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1
_SHOWN_KEY: Final = 40

# By class name along the MRO, so that no optional module has to be imported.
_HINTS: Final = {
    "builtins.set": "send sorted(value) or list(value)",
    "builtins.frozenset": "send sorted(value) or list(value)",
    "builtins.complex": "send [value.real, value.imag]",
    "builtins.bytearray": "send bytes(value)",
    "builtins.range": "send list(value)",
    "builtins.generator": "send list(value)",
    "builtins.coroutine": "await it, and send what it returns",
    "builtins.type": "send value.__name__",
    "builtins.function": "call it, and send what it returns",
    "builtins.str": "send str(value)",
    "builtins.int": "send int(value)",
    "builtins.float": "send float(value)",
    "builtins.bytes": "send bytes(value)",
    "builtins.dict": "send dict(value)",
    "builtins.list": "send list(value)",
    "builtins.tuple": "send list(value)",
    "builtins.BaseException": "return slither.Failed(reason), or send str(value)",
    "decimal.Decimal": "send str(value) to keep every digit, or float(value)",
    "fractions.Fraction": "send [value.numerator, value.denominator] or float(value)",
    "uuid.UUID": "send str(value) or value.bytes",
    "pathlib.PurePath": "send str(value)",
    "pathlib._local.PurePath": "send str(value)",
    "datetime.datetime": "send a plain datetime with a timezone",
    "datetime.date": "send value.isoformat(), or a datetime with a timezone",
    "datetime.time": "send value.isoformat()",
    "datetime.timedelta": "send value.total_seconds()",
    "collections.deque": "send list(value)",
    "pandas.core.frame.DataFrame": "send value.to_dict('records')",
    "pandas.core.series.Series": "send value.to_numpy() or value.tolist()",
    "torch.Tensor": "send value.detach().cpu().numpy()",
    "re.Match": "send value.group()",
}


def convert(value: Any, path: str) -> Any:
    """Return `value` made of what msgspec encodes faithfully.

    Raises `ValueNotSupported`, naming type and path, if some part of it has no place in the table.
    """
    return _convert(value, path, 0)


def _convert(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if kind in _EXACT:
        return value
    if kind is int:
        return _int(value, path)
    if kind is str:
        return _str(value, path)
    if depth >= MAX_DEPTH:
        raise ValueNotSupported(
            f"{_shorten(path)} is nested deeper than {MAX_DEPTH} levels, or refers to itself\n"
            "hint: send a flat structure, with indices in place of references"
        )
    if kind is list or kind is tuple:
        return [_convert(each, f"{path}[{index}]", depth + 1) for index, each in enumerate(value)]
    if kind is dict:
        return {_key(key, path): _convert(each, f"{path}[{_show(key)}]", depth + 1) for key, each in value.items()}
    return _other(value, path, depth)


def _other(value: Any, path: str, depth: int) -> Any:
    """What the table converts, and refusals."""
    kind = type(value)
    if kind is datetime.datetime:
        if value.utcoffset() is None:
            raise ValueNotSupported(
                f"{path} is a naive datetime, which is no point in time\n"
                "hint: give it a timezone: value.replace(tzinfo=timezone.utc), or value.astimezone()"
            )
        return value.astimezone(datetime.timezone.utc)
    if isinstance(value, enum.Enum):
        return _convert(value.value, f"{path}.value", depth + 1)
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
        return {
            wire: _convert(getattr(value, name), f"{path}.{name}", depth + 1)
            for name, wire in zip(names, value.__struct_encode_fields__, strict=True)
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: _convert(getattr(value, each.name), f"{path}.{each.name}", depth + 1)
            for each in dataclasses.fields(value)
        }
    if kind is Ref:
        return TABLE.pack(value, path)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return _numpy_scalar(value, path, numpy)
    if _tensor.is_array(value):
        try:
            return _tensor.pack(value)
        except _tensor.BadTensor as error:
            raise ValueNotSupported(f"{path} is {error}\nhint: send it as another dtype, or value.tolist()") from None
    raise _refusal(value, path)


def _int(value: int, path: str) -> int:
    if _INT_MIN <= value <= _INT_MAX:
        return value
    raise ValueNotSupported(
        f"{path} is an int of {value.bit_length()} bits; ints that travel go from -2**63 to 2**64-1\n"
        "hint: send str(value) or float(value)"
    )


def _str(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueNotSupported(
            f"{path} is a str with a lone surrogate at index {error.start}, so it is not valid UTF-8\n"
            "hint: send value.encode('utf-8', 'surrogateescape'), or value.encode('utf-8', 'replace').decode()"
        ) from None
    return value


def _key(key: Any, path: str) -> str | int:
    if type(key) is str:
        return _str(key, f"a key of {path}")
    if type(key) is int:
        return _int(key, f"a key of {path}")
    raise ValueNotSupported(
        f"{path} is a dict with a key of type {_name(type(key))}: {_show(key)}; keys that travel are str and int\n"
        "hint: send str keys, or a list of [key, value] pairs"
    )


def _numpy_scalar(value: Any, path: str, numpy: Any) -> Any:
    if isinstance(value, (numpy.bool_, numpy.integer, numpy.floating)) and not isinstance(value, numpy.longdouble):
        made = value.item()
        if type(made) in (bool, int, float):
            return made
    raise _refusal(value, path)


def _refusal(value: Any, path: str) -> ValueNotSupported:
    kind = type(value)
    if isinstance(value, Failed):
        return ValueNotSupported(
            f"{path} is a slither.Failed; it takes the place of a whole result, not of a part of one"
        )
    hint = next((_HINTS[name] for base in kind.__mro__ if (name := _name(base, True)) in _HINTS), None)
    return ValueNotSupported(
        f"{path} is of type {_name(kind)}, which cannot be sent\n"
        f"hint: {hint or 'send a dict of its fields, or make the class a dataclass'}"
    )


def _name(kind: type, full: bool = False) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"
    return name if full else name.removeprefix("builtins.")


def _show(key: Any) -> str:
    """A key for a path, bounded, and never failing."""
    try:
        text = repr(key) if not isinstance(key, str) else repr(key[:_SHOWN_KEY])
    except Exception:
        text = f"<{type(key).__name__}>"
    return text if len(text) <= _SHOWN_KEY + 8 else text[:_SHOWN_KEY] + "…"


def _shorten(path: str) -> str:
    return path if len(path) <= 160 else f"{path[:100]} … {path[-40:]}"
