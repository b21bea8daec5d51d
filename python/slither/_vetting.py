"""Vetting: may msgspec be trusted with this value as it is?

msgspec encodes a good deal that the table of values does not have (a set as an array, a Decimal as a string, a naive
datetime as text) and does not ask its `enc_hook` first. So each value is looked at before it is encoded, level by
level and not one by one: the set of the types on a level is made in C, and one comparison answers for all of them.
"""

from __future__ import annotations

import gc
from itertools import chain
from typing import Any, Final

import msgspec

from slither import _gil

# An item sits two arrays deep in a RESULT with failures, and three in a CALL; the frame's own cap is 128.
MAX_DEPTH: Final = 125

SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS: Final = frozenset({list, tuple, dict})
_PLAIN: Final = SCALARS | _CONTAINERS
_KEYS: Final = frozenset({str, int})


class _Ints(msgspec.Struct, array_like=True, gc=False):
    values: list[int]


class _Strs(msgspec.Struct, array_like=True, gc=False):
    values: list[str]


# What a list that begins so is checked against, in one call into C; msgspec keeps what it knows of a Struct, and not of
# a bare list[int]. It also lets subclasses pass: the encoder refuses those by itself, or takes the value of an enum,
# just as the careful way would. (Among floats a Decimal would pass.)
_UNIFORM: Final[dict[type, type[msgspec.Struct]]] = {int: _Ints, str: _Strs}


# Without the GIL `gc.get_referents` stops every thread, which takes a millisecond where another is busy.
_several_threads = False


def share() -> None:
    """Several threads of this process vet at once."""
    global _several_threads
    _several_threads = _gil.BUILD


def _elements(level: list[Any]) -> list[Any]:
    return list(chain.from_iterable([each.values() if type(each) is dict else each for each in level]))


def is_plain(value: Any, limit: int) -> bool:
    """Tell whether `value` holds only exact builtin types of the table, not too deep and not too many.

    `limit` is a number of elements: each takes at least one byte, so more than the frame's cap cannot be sent.
    Ints beyond 64 bits and lone surrogates pass; msgspec refuses those by itself.
    """
    if type(value) is list and value and (uniform := _UNIFORM.get(type(value[0]))) is not None:
        try:
            msgspec.convert((value,), uniform)
        except msgspec.ValidationError:
            pass
        else:
            return len(value) <= limit
    # A list, which results are, is the level below it already.
    level: list[Any] = value if type(value) is list else [value]
    types = set(map(type, level))
    if types <= SCALARS:
        return True
    seen = 0
    for _ in range(MAX_DEPTH):
        if not types <= _PLAIN:
            return False
        if not types <= _CONTAINERS:
            level = [each for each in level if type(each) in _CONTAINERS]
        # A structure that refers to itself, or to one part many times, grows from level to level; it is stopped
        # here, before its elements are listed.
        count = sum(map(len, level))
        seen += count
        if seen > limit:
            return False
        below = _elements(level) if _several_threads else gc.get_referents(*level)
        # CPython's dicts refer to their keys only if some key is not exactly a str. So where there are as many
        # referents as elements all keys are good, and nobody has to look at them.
        if len(below) != count or _several_threads:
            dicts = [each for each in level if type(each) is dict]
            if not _KEYS.issuperset(map(type, chain.from_iterable(dicts))):
                return False
        level = below
        types = set(map(type, level))
        if types <= SCALARS:
            return True
    return False
