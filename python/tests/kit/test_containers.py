"""Watched containers: every write is seen, and in all else they are what they replace."""

from __future__ import annotations

import copy
import json
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from slither._kit import containers


class Witness:
    """Notes what it hears, and has every element watched."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def wrote(self, action: str, frame: Any) -> None:
        assert frame is not None
        self.heard.append(action)

    def below(self, key: object) -> Witness:  # noqa: ARG002
        return self

    def take(self, container: Any, key: Any, fetch: Callable[..., Any], put: Callable[..., Any]) -> Any:
        watched = containers.watch(fetch(container, key), self)
        put(container, key, watched)
        return watched


def watched(value: Any) -> tuple[Any, Witness]:
    witness = Witness()
    made = containers.watch(copy.deepcopy(value), witness)
    assert witness.heard == []
    return made, witness


FACTORY: Any = defaultdict(list, {"a": [1]})
VALUES: list[Any] = [
    [1, 2],
    {"a": 1},
    {1, 2},
    deque([1, 2], 5),
    FACTORY,
    OrderedDict(b=1, a=2),
    Counter("aab"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_it_is_what_it_replaces(value: Any) -> None:
    made, witness = watched(value)
    kind = type(value)
    assert isinstance(made, kind)
    assert type(made) is not kind
    assert made == value
    assert repr(made) == repr(value)
    assert len(made) == len(value)
    for copied in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), made.copy()):
        assert type(copied) is kind
        assert copied == value
    assert getattr(copy.copy(made), "maxlen", None) == getattr(value, "maxlen", None)
    assert list(made) == list(value)
    assert type(containers.plain(made)) is kind
    if isinstance(value, (list, dict)):
        assert json.dumps(made) == json.dumps(value)
        assert msgspec.msgpack.encode(containers.plain_throughout(made)) == msgspec.msgpack.encode(
            dict(value) if isinstance(value, dict) else value
        )
    assert witness.heard == []


def apply(text: str) -> Callable[[Any], Any]:
    def run(it: Any) -> Any:
        names: dict[str, Any] = {"it": it, "Counter": Counter}
        exec(text, names)
        return names["it"]

    run.__name__ = text
    return run


WRITES: dict[str, tuple[Any, list[str]]] = {
    "list": (
        [3, 1, 2],
        [
            *("it.append(1)", "it[0] = 5", "it[:2] = [9]", "del it[0]", "it += [1]", "it *= 2", "it.extend([1])"),
            *("it.insert(0, 1)", "it.pop()", "it.remove(1)", "it.reverse()", "it.sort()", "it.clear()"),
        ],
    ),
    "dict": (
        {"a": 1, "b": 2},
        [
            *("it['c'] = 1", "it['a'] += 1", "del it['a']", "it.update(a=3)", "it |= {'x': 1}", "it.pop('a')"),
            *("it.popitem()", "it.setdefault('z', 1)", "it.clear()"),
        ],
    ),
    "set": (
        {1, 2},
        [
            *("it.add(3)", "it.discard(1)", "it.remove(1)", "it.pop()", "it.update([4])", "it |= {5}", "it &= {1}"),
            *("it -= {1}", "it ^= {1}", "it.difference_update([1])", "it.intersection_update([1])"),
            *("it.symmetric_difference_update([1])", "it.clear()"),
        ],
    ),
    "deque": (
        deque([3, 1, 2]),
        [
            *("it.append(1)", "it.appendleft(1)", "it.extend([1])", "it.extendleft([1])", "it.pop()", "it.popleft()"),
            *("it.rotate(1)", "it.insert(0, 1)", "it.remove(1)", "it.reverse()", "it[0] = 1", "del it[0]"),
            *("it += [1]", "it *= 2", "it.clear()"),
        ],
    ),
    "defaultdict": (FACTORY, ["it['new'].append(1)", "it['a'] = []", "del it['a']", "it.update(a=[])"]),
    "OrderedDict": (OrderedDict(a=1, b=2), ["it.move_to_end('a')", "it['c'] = 1", "it.popitem()", "it.update(c=1)"]),
    "Counter": (Counter("aab"), ["it['a'] += 1", "it.update('abc')", "it.subtract('a')", "it += Counter('a')"]),
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, (_, texts) in WRITES.items() for text in texts])
def test_each_write_is_heard_and_does_what_it_does(kind: str, text: str) -> None:
    value = WRITES[kind][0]
    expected = apply(text)(copy.deepcopy(value))
    made, witness = watched(copy.deepcopy(value))
    assert apply(text)(made) == expected
    assert witness.heard


READS = {
    "list": ["it[0]", "it[1:]", "it + [1]", "it * 2", "2 * it", "[1] + it", "sorted(it)", "it.index(1)", "1 in it"],
    "dict": ["it['a']", "it.get('x', 3)", "it | {'a': 2}", "{'a': 2} | it", "{**it}", "list(it.items())", "'a' in it"],
    "set": ["it | {3}", "it & {1}", "it - {1}", "it ^ {1}", "{7} | it", "it.union([8])", "it <= {1, 2}", "1 in it"],
    "deque": ["it[0]", "it + deque([1])", "it * 2", "list(reversed(it))", "it.count(1)"],
    "defaultdict": ["it['a']", "it.get('new')", "'a' in it", "it | {'b': [1]}"],
    "OrderedDict": ["list(it)", "list(reversed(it))", "it['a']", "it | {'c': 1}"],
    "Counter": ["it['nothing']", "it.most_common()", "it + it", "it - Counter('a')", "it.total()"],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in READS.items() for text in texts])
def test_a_read_is_no_write_and_gives_something_plain(kind: str, text: str) -> None:
    value = WRITES[kind][0]
    if "total" in text and not hasattr(Counter, "total"):
        pytest.skip("Counter.total came with Python 3.10")
    made, witness = watched(copy.deepcopy(value))
    found, expected = (
        eval(text, {"it": made, "deque": deque, "Counter": Counter}),
        eval(text, {"it": value, "deque": deque, "Counter": Counter}),
    )
    assert found == expected
    assert type(found) is type(expected) or (containers.is_watched(found) and kind == "defaultdict")
    assert witness.heard == []


@pytest.mark.parametrize(
    "text",
    [
        "it['rows'][0].append(1)",
        "it.get('rows')[0].append(1)",
        "it.setdefault('rows', [])[0].append(1)",
        "[row.append(1) for row in it['rows']]",
        "[row.append(1) for rows in it.values() for row in rows]",
        "[row.append(1) for _, rows in it.items() for row in rows]",
    ],
)
def test_what_is_read_from_one_is_watched_too(text: str) -> None:
    made, witness = watched({"rows": [[0]]})
    eval(text, {"it": made})
    assert witness.heard == ["append"]
    assert made == {"rows": [[0, 1]]}
    plain = containers.plain_throughout({"whole": (made, 1)})
    assert plain == {"whole": ({"rows": [[0, 1]]}, 1)}
    assert [type(plain["whole"][0]), type(plain["whole"][0]["rows"]), type(plain["whole"][0]["rows"][0])] == [
        dict,
        list,
        list,
    ]
