"""The GIL: whether it is on, and which extension module turned it on.

A free-threaded Python turns the GIL on, for good, when it loads an extension module that does not declare that it can
do without. That happens in the loading of that one module, however deep in other imports, so the loading of each is
watched. While any extension is being loaded the GIL is on for the moment, in every thread: what is seen then proves
nothing until no other is being loaded.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from time import monotonic
from typing import Any, Final

# Whether the interpreter was built to run without the GIL; the flag is in the names of its extension modules, too.
BUILD: Final = "t" in getattr(sys, "abiflags", "")
_enabled: Final[Callable[[], bool]] = getattr(sys, "_is_gil_enabled", lambda: True)
# How long the GIL has to be on, with no watched module in loading, before it is taken to stay so.
_SETTLES: Final = 0.1


class Watch:
    """Sees the GIL being turned on. One a process; what it does where there is no other state is nothing."""

    def __init__(self, enabled: Callable[[], bool] = _enabled, clock: Callable[[], float] = monotonic) -> None:
        self._enabled = enabled
        self._clock = clock
        self._lock = threading.Lock()
        self._loading = 0
        self._suspects: list[str] = []
        self._since: float | None = None
        self._listener: Callable[[], None] = _nobody
        self._undo: Callable[[], None] | None = None
        self.on = enabled()
        self.by: str | None = None

    def start(self) -> None:
        """Watch from here on, if there is something to see: not where the GIL is on already."""
        if self.on or self._undo is not None:
            return
        originals = {name: getattr(ExtensionFileLoader, name) for name in ("create_module", "exec_module")}

        def undo() -> None:
            for name, original in originals.items():
                setattr(ExtensionFileLoader, name, original)

        for name, original in originals.items():
            setattr(ExtensionFileLoader, name, self._watched(original))
        self._undo = undo

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called once, in the thread that imports, when the GIL has been turned on."""
        self._listener = listener

    def look(self) -> bool:
        """Look whether the GIL was turned on unseen: by other means than a watched import. Return whether it is on."""
        if self.on or not self._enabled():
            self._since = None
            return self.on
        now = self._clock()
        with self._lock:
            if self._loading or self._since is None:
                self._since = None if self._loading else now
                return False
        if now - self._since >= _SETTLES:
            self._turned_on(None)
        return self.on

    def about(self) -> dict[str, Any]:
        """Return what the host is told."""
        return {"gil": self.on, "gil_build": BUILD, "gil_by": self.by}

    def begin(self) -> bool:
        """An extension module is going to be loaded. Return what `end` wants to know: whether the GIL is on now."""
        with self._lock:
            self._loading += 1
            return self._enabled()

    def end(self, name: str, before: bool) -> None:
        """The extension module `name` is loaded, or not, and what it imports as well.

        Suspect is who found the GIL off and left it on, and of those the first, which is the innermost.
        """
        with self._lock:
            self._loading -= 1
            if self.on or not self._enabled():
                self._suspects.clear()
                return
            if not before:
                self._suspects.append(name)
            if self._loading:
                return  # it may be on for the other's sake; who ends last will know
            culprit = self._suspects[0] if self._suspects else name
        self._turned_on(culprit)

    def _turned_on(self, by: str | None) -> None:
        with self._lock:
            if self.on:
                return
            self.on, self.by = True, by
        if self._undo is not None:
            self._undo()
        self._listener()

    def _watched(self, load: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        @functools.wraps(load)
        def watched(loader: Any, given: Any) -> Any:
            before = self.begin()
            try:
                return load(loader, given)
            finally:
                self.end(str(loader.name), before)

        return watched


def _nobody() -> None:
    """Hear nothing."""


WATCH: Final = Watch()
