"""The surface: what `import slither` offers, and what its documentation claims about it."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from typing import Any

import pytest
from fakehost import SDK

import slither
from slither import _current, _exceptions


def test_all_is_what_can_be_imported() -> None:
    for name in slither._KIT:
        assert getattr(slither, name).__name__ == name
    public = {
        name
        for name, value in vars(slither).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public | {"__version__"} == set(slither.__all__)


def test_the_tree_of_exceptions_is_drawn_as_it_is() -> None:
    drawn: dict[str, tuple[str | None, str | None]] = {}
    stack: list[str] = []
    assert _exceptions.__doc__ is not None
    for line in _exceptions.__doc__.splitlines():
        found = re.fullmatch(r"([│├└─ ]*)(\w+)(?:\s+\(also (\w+)\))?", line)
        if found and hasattr(_exceptions, found[2]):
            depth = len(found[1]) // 4
            stack[depth:] = [found[2]]
            drawn[found[2]] = (stack[depth - 1] if depth else None, found[3])
    classes = {
        name: value
        for name, value in vars(_exceptions).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert set(drawn) == set(classes)
    assert set(classes) <= set(slither.__all__)
    for name, (parent, also) in drawn.items():
        bases = [base.__name__ for base in classes[name].__bases__]
        assert bases == [each for each in (parent or "Exception", also) if each]


def test_importing_needs_no_msgspec() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import slither; assert 'msgspec' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, SDK], check=True)


def test_importing_needs_nothing_of_the_kit() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import slither; "
        "assert not [name for name in sys.modules if name.startswith('slither._kit')]"
    )
    subprocess.run([sys.executable, "-c", code, SDK], check=True)


@pytest.mark.parametrize(
    "ask", [slither.context, lambda: slither.view("a"), lambda: slither.view_many("a", [{"b": 1}])]
)
def test_outside_a_worker_nothing_is_answered(ask: Any) -> None:
    assert _current._runner is None
    with pytest.raises(slither.NotInWorker, match="no worker"):
        ask()


def test_failed_compares_and_shows_its_reason() -> None:
    assert slither.Failed(3) == slither.Failed("3")
    assert repr(slither.Failed("why")) == "Failed('why')"
    assert len({slither.Failed("a"), slither.Failed("a")}) == 1
