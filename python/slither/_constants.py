"""Constants of modules that threads share.

Without a GIL an object that several threads use is counted in two ways: cheaply by the thread that made it, and by
the others with the whole memory bus. CPython spares the constants of code that: it makes them immortal, but only in
code that comes out of a file of bytecode. A module that is compiled as it is imported (the first time ever, or always
under `PYTHONDONTWRITEBYTECODE`, which images of containers like to set) keeps mortal ones, and a loop with a number in
it runs slower in two threads than in one (seen in 3.14: 0.4 times the throughput instead of 1.9).
"""

from __future__ import annotations

import marshal
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any

from slither import _gil


def share() -> None:
    """Have modules that are compiled from now on be as if they came out of a file of bytecode.

    Does nothing where there is a GIL to begin with.
    """
    if _gil.WATCH.on or getattr(SourceFileLoader.source_to_code, "shares", False):
        return
    compiled = SourceFileLoader.source_to_code

    def source_to_code(self: SourceFileLoader, *args: Any, **kwargs: Any) -> CodeType:
        code: CodeType = marshal.loads(marshal.dumps(compiled(self, *args, **kwargs)))
        return code

    source_to_code.shares = True  # type: ignore[attr-defined]
    SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign]
