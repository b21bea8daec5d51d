"""Tensors: ext 1 of the wire, numpy arrays where numpy is, memoryviews where it is not.

numpy is imported when the first tensor arrives and never for the sake of one that leaves: whoever returns an array
has imported it already.
"""

from __future__ import annotations

import array
import math
import sys
from typing import Any, Final

import msgspec

CODE: Final = 1

# dtype on the wire -> struct's format and the bytes of one element.
DTYPES: Final = {
    "bool": ("?", 1),
    "u1": ("B", 1),
    "u2": ("H", 2),
    "u4": ("I", 4),
    "u8": ("Q", 8),
    "i1": ("b", 1),
    "i2": ("h", 2),
    "i4": ("i", 4),
    "i8": ("q", 8),
    "f2": ("e", 2),
    "f4": ("f", 4),
    "f8": ("d", 8),
}
_SWAPPED: Final = sys.byteorder == "big"

# The pieces are decoded without copying: `data` stays a view of the frame.
_decode: Final = msgspec.msgpack.Decoder(tuple[str, list[int], memoryview]).decode
_encode: Final = msgspec.msgpack.Encoder().encode


class BadTensor(ValueError):
    """An ext 1 whose body is no tensor."""


def unpack(body: memoryview, copy: bool) -> Any:
    """Turn the body of an ext 1 into an array. With `copy` it gets memory of its own."""
    try:
        dtype, shape, data = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadTensor(f"a tensor that is not [dtype, shape, data]: {error}") from None
    if dtype not in DTYPES:
        raise BadTensor(f"a tensor of dtype {dtype!r}; known are {', '.join(DTYPES)}")
    code, size = DTYPES[dtype]
    if len(shape) > 64 or any(extent < 0 for extent in shape):
        raise BadTensor("a tensor with a negative extent, or of more than 64 dimensions")
    if math.prod(shape) * size != len(data):
        raise BadTensor(f"a tensor of {dtype} and shape {shape} with {len(data)} bytes of data")
    numpy = _numpy()
    if copy:
        data = memoryview(bytearray(data))
    if numpy is not None:
        made = numpy.frombuffer(data, numpy.bool_ if dtype == "bool" else "<" + dtype)
        return made.reshape(shape)
    if _SWAPPED and size > 1:
        words = bytearray(data)
        for place in range(size):
            words[place::size] = bytes(data[size - 1 - place :: size])
        data = memoryview(words)
    cast: Any = data.cast  # typed for literal formats only
    try:
        return cast(code) if not shape or len(shape) == 1 or 0 in shape else cast(code, shape)
    except (ValueError, TypeError):  # half floats, before Python had them: the bytes, which `struct` reads
        return data


def _numpy() -> Any:
    module = sys.modules.get("numpy")
    if module is None:
        try:
            import numpy as module
        except ImportError:
            return None
    return module


def is_array(value: object) -> bool:
    """Tell whether `value` is something that `pack` takes."""
    if isinstance(value, (memoryview, array.array)):
        return True
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def pack(value: Any) -> msgspec.msgpack.Ext:
    """Turn an array into an ext 1, in C order and little-endian. Raises `BadTensor` with the reason."""
    if isinstance(value, (memoryview, array.array)):
        return _pack_buffer(memoryview(value))
    dtype = value.dtype
    name = "bool" if dtype.kind == "b" else f"{dtype.kind}{dtype.itemsize}"
    if name not in DTYPES or dtype.hasobject:
        raise BadTensor(f"an array of dtype {dtype}; arrays that travel are of {', '.join(DTYPES)}")
    plain = value.astype(dtype.newbyteorder("<"), order="C", copy=False)
    return _ext(name, list(value.shape), memoryview(plain.reshape(-1)).cast("B") if plain.size else b"")


def _pack_buffer(view: memoryview) -> msgspec.msgpack.Ext:
    """A buffer of the standard library: its format is struct's, in the machine's sizes."""
    code = view.format.lstrip("@=<|") if view.format else "B"
    kind = {"?": "bool", "c": "u1", "e": "f2", "f": "f4", "d": "f8"}.get(code)
    if kind is None and code in tuple("BHILQN"):
        kind = f"u{view.itemsize}"
    elif kind is None and code in tuple("bhilqn"):
        kind = f"i{view.itemsize}"
    if kind is None:
        raise BadTensor(f"a buffer of format {view.format!r}; arrays that travel are of {', '.join(DTYPES)}")
    shape = list(view.shape) if view.shape is not None else [len(view)]
    data = view.tobytes(order="C")
    if _SWAPPED and view.itemsize > 1:
        words = array.array("B", data)
        for place in range(view.itemsize):
            words[place :: view.itemsize] = array.array("B", data[view.itemsize - 1 - place :: view.itemsize])
        data = words.tobytes()
    return _ext(kind, shape, data)


def _ext(dtype: str, shape: list[int], data: bytes | memoryview) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(CODE, _encode((dtype, shape, data)))
