"""The golden frames of testdata/wire: made here, checked by both languages.

Run as a script it compares the files with what this page defines and says what differs; it writes only when asked
to (`python tests/golden.py --write`), because a frame that changes is a change of the protocol.
"""

from __future__ import annotations

import json
import math
import struct
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
from msgspec.msgpack import Ext

FOLDER = Path(__file__).resolve().parents[2] / "testdata" / "wire"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
HOST_CAP = 1 << 20  # the max_frame that malformed frames are read with

encode = msgspec.msgpack.encode


def from_notation(value: Any) -> Any:
    """JSON with the notation of the README, to what msgspec encodes."""
    if isinstance(value, list):
        return [from_notation(each) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$bytes": text}:
            return bytes.fromhex(text)
        case {"$float": text}:
            return float(text)
        case {"$timestamp": [seconds, nanos]}:
            return EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
        case {"$tensor": {"dtype": dtype, "shape": shape, "data": data}}:
            return Ext(1, encode([dtype, shape, bytes.fromhex(data)]))
        case {"$ext": [code, data]}:
            return Ext(code, bytes.fromhex(data))
        case {"$map": pairs}:
            return {from_notation(key): from_notation(each) for key, each in pairs}
    return {key: from_notation(each) for key, each in value.items()}


def same(left: Any, right: Any) -> bool:
    """Equality that knows NaN and tells True from 1 and 1 from 1.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, float):
        return struct.pack("<d", left) == struct.pack("<d", right) or (math.isnan(left) and math.isnan(right))
    return bool(left == right)


def header(length: int, kind: int, flags: int = 0, segments: int = 0, ident: int = 1) -> bytes:
    return struct.pack("<IBBHQ", length, kind, flags, segments, ident)


_ERROR = {
    "kind": "exception",
    "message": "no good",
    "traceback": "Traceback (most recent call last):\n  …\nValueError: no good\n",
    "exception": ["ValueError", "Exception", "BaseException"],
}
_FAILED: dict[str, Any] = {"kind": "failed", "message": "item is odd", "traceback": None, "exception": []}
_VALUE: dict[str, Any] = {**_FAILED, "kind": "value", "message": "result[2] is of type set, which cannot be sent"}
_SCALARS = [
    None, True, False, 0, 1, -1, 127, 128, -32, -33, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32 - 1,
    2**32, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.0, 1.5, -2.25, 1e300,
    {"$float": "-0.0"}, {"$float": "inf"}, {"$float": "-inf"}, {"$float": "nan"},
    "", "text", "é€𝄞", "x" * 31, "x" * 32, "x" * 256, {"$bytes": ""}, {"$bytes": "00ff80"},
]  # fmt: skip
_NESTED = [
    [], {}, [[], [[]]], {"a": {"b": [1, {"c": None}]}}, {"$map": [[1, "one"], [-2, "minus two"], ["three", 3]]},
    list(range(16)), {"a": 1, "b": [True, None]},
]  # fmt: skip
_TIMES = [
    {"$timestamp": [0, 0]}, {"$timestamp": [1577880000, 123456000]}, {"$timestamp": [-1, 999999000]},
    {"$timestamp": [4294967296, 0]}, {"$timestamp": [17179869184, 1000]},
]  # fmt: skip
_TENSORS = [
    {"$tensor": {"dtype": "f4", "shape": [2, 2], "data": "0000803f000000400000404000008040"}},
    {"$tensor": {"dtype": "bool", "shape": [3], "data": "010001"}},
    {"$tensor": {"dtype": "i8", "shape": [], "data": "ffffffffffffffff"}},
    {"$tensor": {"dtype": "u2", "shape": [0, 7], "data": ""}},
    {"$tensor": {"dtype": "f2", "shape": [1], "data": "003c"}},
]
_CONTEXT = ["run-1", "score", "predict", "session-7", 2, {"tenant": "a", "n": 3}]
_TOOL = {
    "name": "predict", "description": "The score of a text", "signature": "(text: str, scale: float = 1.0) -> float",
    "parameters": [
        {"name": "text", "kind": "positional", "type": "str", "required": True, "default": None},
        {"name": "scale", "kind": "positional", "type": "float", "required": False, "default": "1.0"},
    ],
    "returns": "float", "streaming": False, "asynchronous": False, "required_variables": [],
}  # fmt: skip
_REF = {"$ext": [2, "92cf112233445566778803"]}
_SESSION = [None, None, None, "session-7", 1, None]
_BARE = [None, None, None, None, 1, None]

WORKER, HOST = "to_worker", "to_host"
EMPTY = object()


def frames() -> dict[str, tuple[str, int, int, int, Any]]:
    """Name to direction, kind, flags, id and body."""
    call, execute = (WORKER, 1), (WORKER, 2)
    return {
        "call": (*call, 0, 1, ["my_model:predict_batch", _CONTEXT, [1, "two", {"three": 3}]]),
        "call_without_context": (*call, 0, 2, ["my_model:predict_batch", None, [1]]),
        "call_with_bare_context": (*call, 0, 3, ["my_model:predict_batch", _BARE, []]),
        "call_claim": (*call, 1, 4, ["my_model:Model.predict", None, [1, 2]]),
        "call_stream": (*call, 2, 16, ["my_model:generate", None, [1, 2, 3]]),
        "call_chaos": (*call, 4, 18, ["my_model:predict_batch", None, [1, 2], ["kill", "during", 0.25]]),
        "call_chaos_stream_claim": (*call, 7, 19, ["m:f", None, [1], ["kill", "during", 0.25]]),
        "call_stream_claim": (*call, 3, 17, ["my_model:generate", None, [1]]),
        "call_scalars": (*call, 0, 5, ["m:f", None, _SCALARS]),
        "call_nested": (*call, 0, 6, ["m:f", None, _NESTED]),
        "call_timestamps": (*call, 0, 7, ["m:f", None, _TIMES]),
        "call_tensors": (*call, 0, 8, ["m:f", None, _TENSORS]),
        "call_largest_id": (*call, 0, 2**64 - 1, ["m:f", None, []]),
        "execute_keywords": (*execute, 0, 9, ["m:f", _CONTEXT, {"a": 1, "b": [2]}]),
        "execute_positional": (*execute, 0, 10, ["m:f", None, [1, 2]]),
        "execute_nothing": (*execute, 0, 11, ["m:f", None, None]),
        "execute_claim": (*execute, 1, 12, ["m:f", None, "only"]),
        "execute_tool": (*execute, 0, 22, [":predict", None, {"text": "a"}]),
        "execute_stream": (*execute, 2, 23, [":predict_each", None, [["a", "b"]]]),
        "execute_stream_claim": (*execute, 3, 24, [":predict_each", None, None]),
        "bind_tool": (WORKER, 3, 0, 25, ":predict"),
        "more": (WORKER, 12, 0, 23, 8),
        "bind": (WORKER, 3, 0, 13, "my_model:predict_batch"),
        "view_reply": (WORKER, 4, 0, 14, {"found": [1.5, None]}),
        "view_reply_error": (WORKER, 4, 1, 15, {"kind": "timeout", "message": "no answer within 1s"}),
        "stop": (WORKER, 5, 0, 0, EMPTY),
        "open_session": (WORKER, 6, 0, 16, _SESSION),
        "end_session": (WORKER, 7, 0, 17, _SESSION),
        "end_session_claim": (WORKER, 7, 1, 18, _SESSION),
        "hello": (HOST, 32, 0, 0, {"protocol": 1, "sdk": "0.1.0", "pid": 4242, "python": "3.11.7",
                                   "implementation": "CPython", "gil": True}),
        "hello_threads": (HOST, 32, 0, 0, {"protocol": 1, "sdk": "0.1.0", "pid": 4242, "python": "3.14.0",
                                           "implementation": "CPython", "gil": False, "gil_build": True,
                                           "gil_by": None, "slots": 16}),
        "hello_adapter": (HOST, 32, 0, 0, {"protocol": 1, "sdk": "0.1.0", "pid": 4242, "python": "3.14.0",
                                           "implementation": "CPython", "gil": False, "gil_build": True,
                                           "gil_by": None, "slots": 1, "adapter": {
                                               "name": "my_adapter:Scorer", "tools": [_TOOL], "any_tool": False,
                                               "warning": "Scorer denies it"}}),
        "error_in_place_of_hello": (HOST, 34, 0, 0, {"kind": "import", "message": "building 'm:C' failed: E: x",
                                    "traceback": "Traceback", "exception": ["ValueError"]}),
        "keep_refs": (WORKER, 8, 0, 19, [1, 3]),
        "cancel": (WORKER, 10, 0, 21, EMPTY),
        "dump": (WORKER, 11, 0, 21, EMPTY),
        "drop_refs": (WORKER, 9, 0, 0, [3]),
        "execute_ref": (*execute, 0, 20, ["m:f", None, [_REF, 1]]),
        "result_refs": (HOST, 33, 2, 19, [_REF, {"model": _REF}]),
        "result": (HOST, 33, 0, 1, [2, "two", {"score": 0.5}]),
        "result_scalars": (HOST, 33, 0, 5, _SCALARS),
        "result_nested": (HOST, 33, 0, 6, _NESTED),
        "result_timestamps": (HOST, 33, 0, 7, _TIMES),
        "result_tensors": (HOST, 33, 0, 8, _TENSORS),
        "result_failed": (HOST, 33, 1, 2, [[1, None, None], [[1, _FAILED], [2, _VALUE]]]),
        "result_execute": (HOST, 33, 0, 9, {"answer": 42}),
        "result_open_session": (HOST, 33, 0, 16, 0),
        "result_end_session": (HOST, 33, 0, 17, 1),
        "error": (HOST, 34, 0, 3, _ERROR),
        "error_contract": (HOST, 34, 0, 4, {"kind": "contract", "traceback": None, "exception": [], "message":
                           "the function returned a dict; a list of 8 results was expected"}),
        "error_retry": (HOST, 34, 0, 5, {"kind": "retry", "message": "the service is busy", "traceback": None,
                        "exception": ["slither._retry.Retry", "Exception", "BaseException"], "retry_after": 2.5}),
        "view": (HOST, 35, 0, 1, [1, "lookup_feature", {"key": "user:42"}]),
        "view_many": (HOST, 35, 1, 2, [1, "lookup_feature", [{"key": "a"}, {"key": "b"}]]),
        "log": (HOST, 36, 0, 0, [30, "my_model", "odd input", 1]),
        "log_idle": (HOST, 36, 0, 0, [20, "root", "between calls", None]),
        "log_thread": (HOST, 36, 0, 0, [30, "my_model", "odd input", 1, "slither-3"]),
        "bound": (HOST, 37, 0, 13, {"kind": "generator"}),
        "bound_gil": (HOST, 37, 0, 13, {"kind": "function", "gil": True, "gil_by": "package._native"}),
        "capacity": (HOST, 41, 0, 0, [1, True, "package._native"]),
        "capacity_unseen": (HOST, 41, 0, 0, [1, True, None]),
        "error_cancelled": (HOST, 34, 0, 21, {"kind": "cancelled", "message": "it was cancelled before it began",
                            "traceback": None, "exception": []}),
        "skipped": (HOST, 38, 0, 4, EMPTY),
        "partial": (HOST, 39, 0, 16, [2, "two"]),
        "progress": (HOST, 40, 0, 16, [3, 2**32]),
        "progress_without_total": (HOST, 40, 0, 16, [0, None]),
        "partial_failed": (HOST, 39, 1, 16, [[1, None], [[1, _FAILED]]]),
    }  # fmt: skip


def malformed() -> dict[str, tuple[str, str, str, bytes]]:
    """Name to direction, error, what is wrong and the bytes."""
    found: dict[str, tuple[str, str, str, bytes]] = {}

    def add(name: str, direction: str, wrong: str, data: bytes, error: str = "protocol") -> None:
        found[name] = (direction, error, wrong, data)

    def body(name: str, direction: str, kind: int, wrong: str, data: bytes, error: str = "protocol") -> None:
        add(name, direction, wrong, header(len(data), kind) + data, error)

    good = encode(["sample:echo", None, [1]])
    for direction, kind, whole in ((WORKER, 1, good), (HOST, 33, encode([1]))):
        side = "call" if direction == WORKER else "result"
        add(f"{side}_length_all_ones", direction, "length 0xFFFFFFFF, above every cap", header(2**32 - 1, kind))
        add(f"{side}_length_above_cap", direction, "length one above max_frame", header(HOST_CAP + 1, kind))
        add(f"{side}_unknown_kind", direction, "kind 99", header(1, 99) + b"\xc0")
        add(f"{side}_kind_zero", direction, "kind 0", header(0, 0))
        add(f"{side}_unknown_flag", direction, "flag 0x80", header(len(whole), kind, 0x80) + whole)
        add(f"{side}_segments", direction, "one out-of-band segment", header(len(whole), kind, 0, 1) + whole)
        body(f"{side}_empty", direction, kind, "an empty body where a value belongs", b"")
        body(f"{side}_trailing", direction, kind, "a byte after the value", whole + b"\xc0")
        body(f"{side}_truncated_value", direction, kind, "a value that ends too early", whole[:-1])
        body(f"{side}_invalid_opcode", direction, kind, "0xC1, which msgpack never uses", whole[:-1] + b"\xc1")
        body(f"{side}_array_claims_4g", direction, kind, "an array of 2^32-1 elements in 6 bytes",
             (whole[:-2] if direction == WORKER else b"") + b"\xdd\xff\xff\xff\xff\x01")  # fmt: skip
        body(f"{side}_str_claims_4g", direction, kind, "a str of 2^32-1 bytes", whole[:-1] + b"\xdb\xff\xff\xff\xffx")
        body(f"{side}_invalid_utf8", direction, kind, "a str that is not UTF-8", whole[:-1] + b"\xa2\xff\xfe")
        body(f"{side}_nested_10000", direction, kind, "arrays 10,000 levels deep",
             whole[:-1] + b"\x91" * 10_000 + b"\x90")  # fmt: skip
        add(f"{side}_cut_in_header", direction, "the stream ends in the header", header(9, kind)[:7], "closed")
        add(f"{side}_cut_in_body", direction, "the stream ends in the body", header(len(whole), kind) + whole[:-1],
            "closed")  # fmt: skip
    body("call_not_an_array", WORKER, 1, "a map in place of the array", encode({"function": "sample:echo"}))
    body("call_two_elements", WORKER, 1, "an array of two", encode(["sample:echo", None]))
    body("call_function_is_int", WORKER, 1, "a function that is no str", encode([1, None, []]))
    body("call_items_is_map", WORKER, 1, "items that are no array", encode(["sample:echo", None, {}]))
    body("bind_is_int", WORKER, 3, "a function that is no str", encode(1))
    add("bind_flag", WORKER, "a flag on BIND, which has none", header(1, 3, 1) + b"\xc0")
    add("stop_with_body", WORKER, "a body on STOP, which has none", header(1, 5) + b"\xc0")
    body("open_session_no_context", WORKER, 6, "a str in place of the context", encode("session-7"))
    body("keep_refs_no_array", WORKER, 8, "a map in place of the array", encode({"1": 2}))
    body("end_session_without_id", WORKER, 7, "a context without a session", encode(_BARE))
    add("cancel_with_body", WORKER, "a body on CANCEL, which has none", header(1, 10) + b"\xc0")
    add("cancel_flag", WORKER, "a flag on CANCEL, which has none", header(0, 10, 1))
    add("dump_with_body", WORKER, "a body on DUMP, which has none", header(1, 11) + b"\xc0")
    body("more_nothing", WORKER, 12, "no values on MORE", encode(0))
    body("more_no_number", WORKER, 12, "a str in place of the number", encode("1"))
    add("more_flag", WORKER, "a flag on MORE, which has none", header(1, 12, 1) + encode(1))
    add("execute_flag", WORKER, "a flag that EXECUTE does not have", header(len(good), 2, 4) + good)
    add("capacity_flag", HOST, "a flag on CAPACITY, which has none", header(4, 41, 1) + encode([1, True, None]))
    add("worker_gets_result", WORKER, "a kind of the other direction", header(2, 33) + encode([1]))
    add("host_gets_call", HOST, "a kind of the other direction", header(len(good), 1) + good)
    add("skipped_with_body", HOST, "a body on SKIPPED, which has none", header(1, 38) + b"\xc0")
    add("partial_flag", HOST, "a flag that PARTIAL does not have", header(2, 39, 2) + encode([1]))
    add("progress_flag", HOST, "a flag on PROGRESS, which has none", header(3, 40, 1) + encode([1, 2]))
    add("error_flag", HOST, "a flag on ERROR, which has none", header(1, 34, 1) + b"\xc0")
    body("result_nested_129", HOST, 33, "arrays 129 levels deep", b"\x91" * 128 + b"\x90")
    for name, wrong, ext in (
        ("ext_unknown", "an extension type that the table does not have", Ext(9, b"x")),
        ("tensor_short", "a tensor with less data than its shape says", Ext(1, encode(["f4", [2], b"1234"]))),
        ("tensor_dtype", "a tensor of an unknown dtype", Ext(1, encode(["c8", [1], b"12345678"]))),
        ("tensor_not_array", "a tensor that is no array", Ext(1, encode("no tensor"))),
        ("tensor_overflow", "a shape whose product passes 64 bits", Ext(1, encode(["u1", [2**40, 2**40], b""]))),
    ):
        body(f"call_{name}", WORKER, 1, wrong, encode(["sample:echo", None, [ext]]), "decode")
        body(f"result_{name}", HOST, 33, wrong, encode([ext]), "decode")
    return found


def files() -> dict[str, bytes]:
    """Every file of the folder but the README, by its path in it."""
    made: dict[str, bytes] = {}
    index: dict[str, Any] = {"frames": {}, "malformed": {"max_frame": HOST_CAP, "frames": {}}}
    for name, (direction, kind, flags, ident, described) in frames().items():
        content = b"" if described is EMPTY else encode(from_notation(described))
        made[f"{name}.bin"] = header(len(content), kind, flags, 0, ident) + content
        entry = {"direction": direction, "kind": kind, "flags": flags, "segments": 0, "id": ident}
        if described is not EMPTY:
            entry["body"] = described
        index["frames"][name] = entry
    for name, (direction, error, wrong, data) in malformed().items():
        made[f"malformed/{name}.bin"] = data
        index["malformed"]["frames"][name] = {"direction": direction, "error": error, "wrong": wrong}
    made["frames.json"] = (json.dumps(index, indent=1, ensure_ascii=False) + "\n").encode()
    return made


def differences() -> list[str]:
    """What is on disk and should not be so."""
    made = files()
    there = {str(each.relative_to(FOLDER)) for each in FOLDER.rglob("*") if each.is_file()} - {"README.md"}
    found = [f"{name} is missing" for name in sorted(made.keys() - there)]
    found += [f"{name} is not defined in golden.py" for name in sorted(there - made.keys())]
    found += [f"{name} differs" for name in sorted(made.keys() & there) if (FOLDER / name).read_bytes() != made[name]]
    return found


def main() -> int:
    if "--write" in sys.argv[1:]:
        (FOLDER / "malformed").mkdir(parents=True, exist_ok=True)
        for name, content in files().items():
            (FOLDER / name).write_bytes(content)
        return 0
    for line in differences():
        print(line)
    return 1 if differences() else 0


if __name__ == "__main__":
    sys.exit(main())
