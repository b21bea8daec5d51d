"""Values: the table, item by item, through a real worker."""

from __future__ import annotations

import array
import datetime
import decimal
import enum
import fractions
import gc
import uuid
from typing import Any

import msgspec
import pytest
from fakehost import FakeWorker, pack

from slither import _values, _vetting, _wire

UTC = datetime.timezone.utc


def tensor(dtype: str, shape: list[int], data: bytes) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(1, pack([dtype, shape, data]))


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("ok", {"fine": [1, None, True, 2.5, "é", b"raw", {3: "int key"}]}),
        ("aware", datetime.datetime(2020, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("offset", datetime.datetime(2020, 1, 1, 10, tzinfo=UTC)),
        ("mixed keys", {"a": 1, 2: 3}),
        ("largest", 2**64 - 1),
        ("enum", "red"),
        ("int enum", 1),
        ("struct", {"x": 1, "y": 2.0}),
        ("dataclass", {"name": "a", "tags": [1]}),
        ("tuple", [1, [2, 3]]),
        ("array", tensor("f8", [2], array.array("d", [1.0, 2.0]).tobytes())),
        ("memoryview", tensor("u1", [3], b"abc")),
        ("infinite", float("-inf")),
    ],
)
def test_what_the_table_has_arrives(worker: FakeWorker, what: str, expected: Any) -> None:
    assert worker.result("sample:odd", [what]) == [expected]
    assert worker.execute("sample:give_odd", what) == (_wire.RESULT, 0, expected)


REFUSED = {
    "set": ("['tags'] is of type set", "sorted"),
    "frozenset": ("frozenset", "sorted"),
    "decimal": ("[0] is of type decimal.Decimal", "str(value)"),
    "uuid": ("uuid.UUID", "str(value)"),
    "path": ("Path", "str(value)"),
    "date": ("datetime.date", "timezone"),
    "time": ("datetime.time", "isoformat"),
    "naive": ("naive datetime", "timezone"),
    "none key": ("key of type NoneType", "str keys"),
    "bool key": ("key of type bool", "str keys"),
    "float key": ("key of type float", "str keys"),
    "tuple key": ("key of type tuple", "str keys"),
    "class": ("sample.Own", "dataclass"),
    "subclass": ("sample.Text", "str(value)"),
    "big": ("65 bits", "str(value)"),
    "small": ("64 bits", "str(value)"),
    "surrogate": ("lone surrogate at index 4", "hint"),
    "surrogate key": ("lone surrogate", "hint"),
    "cycle": ("deeper than", "hint"),
    "wide cycle": ("deeper than", "hint"),
    "deep": ("deeper than", "hint"),
    "bad dataclass": (".tags is of type set", "sorted"),
    "nested failed": ("slither.Failed", "whole result"),
    "bytearray": ("bytearray", "bytes(value)"),
    "complex": ("complex", "value.real"),
    "generator": ("generator", "list(value)"),
    "raw": ("msgspec.Raw", "hint"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_it_has_not_fails_its_item_with_a_hint_and_no_other(worker: FakeWorker, what: str) -> None:
    kind, flags, (results, failures) = worker.call("sample:odd", ["ok", what, "ok"])
    assert (kind, flags) == (_wire.RESULT, _wire.FAILED)
    assert results[0] == results[2] == {"fine": [1, None, True, 2.5, "é", b"raw", {3: "int key"}]}
    assert results[1] is None
    [(index, error)] = failures
    assert (index, error["kind"]) == (1, "value")
    assert "result[1]" in error["message"]
    for word in REFUSED[what]:
        assert word in error["message"]
    kind, _, body = worker.execute("sample:give_odd", what)
    assert (kind, body["kind"]) == (_wire.ERROR, "value")
    worker.alive()


def test_nan_survives(worker: FakeWorker) -> None:
    [value] = worker.result("sample:odd", ["nan"])
    assert value != value


@pytest.mark.parametrize("dtype", ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize("shape", [[0], [2, 3], []])
def test_tensors_go_both_ways(worker: FakeWorker, dtype: str, shape: list[int]) -> None:
    np = pytest.importorskip("numpy")
    data = np.ones(shape, np.bool_ if dtype == "bool" else f"<{dtype}").tobytes()
    value = tensor(dtype, shape, data)
    assert worker.result("sample:echo", [value, 1]) == [value, 1]


def test_a_large_tensor_is_whole(worker: FakeWorker) -> None:
    value = tensor("u1", [1 << 20], bytes(range(256)) * 4096)
    ident = worker.next_id + 1
    import threading

    thread = threading.Thread(target=worker.send, args=(_wire.CALL, pack(["sample:echo", None, [value]])))
    thread.start()
    assert worker.answer(ident) == (_wire.RESULT, 0, [value])
    thread.join()


@pytest.mark.parametrize(
    "body",
    [
        pack(["f4", [2], b"1234"]),
        pack(["c8", [1], b"12345678"]),
        pack(["u1", [-1], b""]),
        pack(["u1", [2**40, 2**40], b""]),
        pack("no tensor"),
        b"\xc1",
    ],
)
def test_a_bad_tensor_is_a_decode_error_of_its_call(worker: FakeWorker, body: bytes) -> None:
    worker.error("sample:echo", [msgspec.msgpack.Ext(1, body)], "decode")
    worker.alive()


def test_an_unknown_extension_is_a_decode_error_of_its_call(worker: FakeWorker) -> None:
    assert "type 9" in worker.error("sample:echo", [msgspec.msgpack.Ext(9, b"")], "decode")["message"]
    worker.alive()


def test_numpy_converts_and_object_arrays_are_refused() -> None:
    np = pytest.importorskip("numpy")

    def careful(value: Any) -> Any:
        return msgspec.msgpack.decode(_values.encode_careful(value, "result", 1 << 20))

    assert careful([np.float64(1.5), np.int8(3), np.bool_(True)]) == [1.5, 3, True]
    assert careful(np.array([[1, 2], [3, 4]], ">i4").T) == tensor("i4", [2, 2], np.array([1, 3, 2, 4], "<i4").tobytes())
    for bad in (np.array([object()]), np.array(["text"]), np.str_("text"), np.array([1j])):
        with pytest.raises(TypeError, match="hint"):
            careful(bad)


def test_without_numpy_a_tensor_is_a_memoryview(monkeypatch: pytest.MonkeyPatch) -> None:
    from slither import _tensor

    monkeypatch.setattr(_tensor, "_numpy", lambda: None)
    view = _tensor.unpack(memoryview(pack(["i2", [2, 2], b"\1\0\2\0\3\0\4\0"])), True)
    assert isinstance(view, memoryview)
    made: Any = view.tolist()  # typed for one dimension
    assert made == [[1, 2], [3, 4]]


def test_nesting_is_allowed_up_to_the_cap() -> None:
    value: list[Any] = []
    for _ in range(_vetting.MAX_DEPTH - 1):
        value = [value]
    assert _vetting.is_plain(value, 1 << 20)
    assert _values.encode_careful(value, "result", 1 << 20)
    assert not _vetting.is_plain([[value]], 1 << 20)
    with pytest.raises(TypeError, match="deeper"):
        _values.encode_careful([value], "result", 1 << 20)


class _Int(int):
    pass


class _Str(str):
    __slots__ = ()


class _IntEnum(enum.IntEnum):
    ONE = 1


class _StrEnum(str, enum.Enum):
    A = "a"


@pytest.mark.parametrize("first", [1, "a"], ids=["ints", "strs"])
@pytest.mark.parametrize(
    "odd",
    [
        _Int(3),
        _Str("x"),
        _IntEnum.ONE,
        _StrEnum.A,
        True,
        None,
        1.5,
        b"a",
        2**70,
        "\ud800",
        (1,),
        {1},
        decimal.Decimal(1),
        fractions.Fraction(1),
        uuid.UUID(int=1),
        datetime.datetime(2020, 1, 1),
        datetime.timedelta(1),
        memoryview(b"a"),
        object(),
    ],
    ids=lambda odd: type(odd).__name__,
)
def test_an_odd_one_in_a_uniform_list_is_treated_as_the_careful_way_would(first: Any, odd: Any) -> None:
    frame = bytearray(_wire.HEADER_SIZE)
    if not _values.encode_plain([first, odd], frame, 1 << 20):
        return  # the careful way decides, as it does for everything that is not plain
    assert frame[_wire.HEADER_SIZE :] == _values.encode_careful([first, odd], "result", 1 << 20)


def test_vetting_leaves_nothing_behind() -> None:
    gc.collect()
    value = [{"a": [1, 2, {"b": (3,)}]}] * 10
    assert _vetting.is_plain(value, 1 << 20)
