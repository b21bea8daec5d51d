"""Values: bodies of frames to Python objects and back, by the table in docs/PROTOCOL.md.

Encoding has a fast way and a careful one. The fast way asks `_vetting.is_plain` whether msgspec would encode the
value faithfully, and lets it. Whatever is not plain, and whatever msgspec then refuses, goes the careful way, item
by item through `_conversion`, which converts what the table converts and names what it does not allow.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec.msgpack import Decoder, Encoder

from slither import _refs, _tensor
from slither._conversion import convert
from slither._exceptions import ProtocolError, TooLarge, ValueNotSupported
from slither._vetting import SCALARS, is_plain
from slither._wire import HEADER_SIZE

# A tensor out of a frame up to this size is copied, because the buffer that it came in is used again.
KEEP: Final = (256 << 10) - HEADER_SIZE

_ENCODER: Final = Encoder()
encode: Final = _ENCODER.encode
_encode_into: Final = _ENCODER.encode_into


class Undecodable(ValueError):
    """A body holds a value that the table does not have: an error of that call, not of the connection."""


def _ext_copying(code: int, data: memoryview) -> Any:
    return _ext(code, data, copy=True)


def _ext_keeping(code: int, data: memoryview) -> Any:
    return _ext(code, data, copy=False)


def _ext(code: int, data: memoryview, copy: bool) -> Any:
    if code == _refs.CODE:
        try:
            return _refs.TABLE.unpack(data)
        except _refs.BadRef as error:
            raise Undecodable(str(error)) from None
    if code != _tensor.CODE:
        raise Undecodable(f"a value of the extension type {code}, which this version does not know")
    try:
        return _tensor.unpack(data, copy)
    except _tensor.BadTensor as error:
        raise Undecodable(str(error)) from None


Work = tuple[str, msgspec.Raw, Any]
"""The body of CALL and EXECUTE: function, context (still encoded) and payload."""

_small: Final = Decoder(tuple[str, msgspec.Raw, list[Any]], ext_hook=_ext_copying).decode
_large: Final = Decoder(tuple[str, msgspec.Raw, list[Any]], ext_hook=_ext_keeping).decode
_small_any: Final = Decoder(tuple[str, msgspec.Raw, Any], ext_hook=_ext_copying).decode
_large_any: Final = Decoder(tuple[str, msgspec.Raw, Any], ext_hook=_ext_keeping).decode
_value_small: Final = Decoder(ext_hook=_ext_copying).decode
_value_large: Final = Decoder(ext_hook=_ext_keeping).decode
_head: Final = Decoder(tuple[str, msgspec.Raw, msgspec.Raw]).decode
_name: Final = Decoder(str).decode
_count: Final = Decoder(Annotated[int, msgspec.Meta(ge=1)]).decode
_context: Final = Decoder(
    tuple[str | None, str | None, str | None, str | None, int, dict[str, Any] | None], ext_hook=_ext_copying
).decode

# Ints beyond 64 bits, lone surrogates, lengths beyond 32 bits: the careful way finds where.
_UNFIT: Final = (OverflowError, UnicodeEncodeError, RecursionError, ValueError, TypeError)
_MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_call(body: memoryview) -> tuple[str, msgspec.Raw, list[Any]]:
    """Decode the body of a CALL. Raises `Undecodable`, or `ProtocolError` for bytes that are no such body."""
    try:
        return _small(body) if len(body) <= KEEP else _large(body)
    except _MALFORMED as error:
        raise ProtocolError(f"a CALL that is not [function, context, items]: {error}") from None


def decode_execute(body: memoryview) -> tuple[str, msgspec.Raw, Any]:
    """Decode the body of an EXECUTE. Raises like `decode_call`."""
    try:
        return _small_any(body) if len(body) <= KEEP else _large_any(body)
    except _MALFORMED as error:
        raise ProtocolError(f"an EXECUTE that is not [function, context, args]: {error}") from None


def decode_head(body: memoryview) -> tuple[str, msgspec.Raw]:
    """Decode function and context of a CALL or an EXECUTE, and leave its payload alone."""
    try:
        return _head(body)[:2]
    except _MALFORMED as error:
        raise ProtocolError(f"a call that is not [function, context, payload]: {error}") from None


def decode_name(body: memoryview) -> str:
    """Decode the body of a BIND."""
    try:
        return _name(body)
    except _MALFORMED as error:
        raise ProtocolError(f"a BIND that is not a string: {error}") from None


def decode_count(body: memoryview) -> int:
    """Decode the body of MORE. Raises `ProtocolError`."""
    try:
        count: int = _count(body)
        return count
    except msgspec.DecodeError as error:
        raise ProtocolError(f"a MORE that is no number of values: {error}") from None


def decode_value(body: memoryview) -> Any:
    """Decode any one value, as a VIEW_REPLY holds it."""
    try:
        return _value_small(body) if len(body) <= KEEP else _value_large(body)
    except _MALFORMED as error:
        raise ProtocolError(f"a body that is not one msgpack value: {error}") from None


def decode_context(raw: bytes) -> tuple[str | None, str | None, str | None, str | None, int, dict[str, Any]]:
    """Decode a context that is not nil."""
    try:
        run, pipe, stage, session, attempt, metadata = _context(raw)
    except _MALFORMED as error:
        raise ProtocolError(f"a context that breaks the protocol: {error}") from None
    return run, pipe, stage, session, attempt, metadata or {}


def encode_context(session: str) -> bytes:
    """Encode the context of what belongs to a session and to no call."""
    frame = bytearray(HEADER_SIZE)
    encode_trusted((None, None, None, session, 1, None), frame)
    return bytes(frame[HEADER_SIZE:])


def encode_plain(value: Any, frame: bytearray, max_frame: int) -> bool:
    """Encode `value` behind the header room of `frame`, if that can be done the fast way.

    False says nothing about whether the value can travel, only that it takes the careful way to know.
    """
    try:
        if not is_plain(value, max_frame):
            return False
        _encode_into(value, frame, HEADER_SIZE)
    except _UNFIT:
        return False
    return len(frame) - HEADER_SIZE <= max_frame


def encode_careful(value: Any, path: str, max_frame: int) -> bytes:
    """Encode one value, converting what the table converts.

    Raises `ValueNotSupported` with the path to what cannot travel, or `TooLarge`.
    """
    try:
        data = encode(convert(value, path))
    except (OverflowError, UnicodeEncodeError, RecursionError, ValueError) as error:
        raise ValueNotSupported(f"{path} cannot be encoded: {error}") from None
    if len(data) > max_frame:
        raise TooLarge(f"{path} takes {len(data)} bytes encoded; the pool's max_frame is {max_frame}")
    return data


def encode_alone(value: Any, path: str, max_frame: int) -> bytes:
    """Encode one value, the fast way if possible. Raises like `encode_careful`."""
    try:
        if type(value) in SCALARS or is_plain(value, max_frame):
            data = encode(value)
            if len(data) <= max_frame:
                return data
    except _UNFIT:
        pass
    return encode_careful(value, path, max_frame)


def encode_value(value: Any, path: str, frame: bytearray, max_frame: int) -> None:
    """Encode one value into `frame`, the fast way if possible. Raises like `encode_careful`."""
    if not encode_plain(value, frame, max_frame):
        frame[HEADER_SIZE:] = encode_careful(value, path, max_frame)


def encode_trusted(value: Any, frame: bytearray) -> None:
    """Encode into `frame` what the SDK itself has made."""
    _encode_into(value, frame, HEADER_SIZE)
