"""Setup: what the host tells a nursery, and how an interpreter is readied by it for user code."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Literal

import msgspec

from slither import _errors, _process, _wire
from slither._exceptions import ProtocolError
from slither._profile import Profile


class Adapter(msgspec.Struct, frozen=True):
    """The class that each worker builds, and whether its threads are watched."""

    name: str
    check: Literal["off", "warn", "strict"] = "off"


class Setup(msgspec.Struct, forbid_unknown_fields=False):
    """The `setup` packet. Everything has a default, so that an older host is understood."""

    op: str = "setup"
    name: str = "default"
    path: list[str] = []
    overlay: str | None = None
    preload: list[str] = []
    max_frame: int | None = None
    start: str = "fork"
    host: int | None = None
    log_level: str | int | None = None
    memory_limit: int | None = None
    profile: Profile = Profile()
    adapter: Adapter | None = None

    @property
    def frame_cap(self) -> int:
        """The cap on a frame's body, in bytes."""
        return min(self.max_frame or _wire.MAX_FRAME_DEFAULT, _wire.MAX_FRAME_LIMIT)


def parse(packet: dict[str, Any]) -> Setup:
    """Read a `setup` packet. Raises `ProtocolError`."""
    try:
        setup = msgspec.convert(packet, Setup)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"a setup packet that breaks the protocol: {error}") from None
    if setup.op != "setup":
        raise ProtocolError(f"{setup.op!r} came before setup")
    return setup


def apply_path(setup: Setup) -> None:
    """Put the user's folders before `sys.path`, and the overlay behind the SDK."""
    sdk = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if setup.overlay and setup.overlay not in sys.path:
        place = sys.path.index(sdk) + 1 if sdk in sys.path else 0
        sys.path.insert(place, setup.overlay)
    if setup.adapter is not None:
        # Before what is installed, which could not serve here, and behind what the pool itself puts first.
        compat = os.path.join(sdk, "for-adapters")
        if os.path.isdir(compat) and compat not in sys.path:
            sys.path.insert(sys.path.index(sdk) + 1 if sdk in sys.path else 0, compat)
    sys.path[:0] = setup.path
    importlib.invalidate_caches()


class PreloadFailed(Exception):
    """A module could not be preloaded; `error` is what travels."""

    def __init__(self, error: _errors.Error) -> None:
        super().__init__(error["message"])
        self.error = error


def preload(setup: Setup) -> list[str]:
    """Import the pool's modules; return those that left threads behind, with their number. Raises `PreloadFailed`."""
    threaded: list[str] = []
    with _process.single_threaded_blas():
        for name in setup.preload:
            before = _process.thread_count()
            try:
                importlib.import_module(name)
            except BaseException as error:
                made = _errors.from_exception(error, "import")
                text = f"preloading {name!r} failed: {_errors.class_name(type(error))}: {made['message']}"
                if isinstance(error, ModuleNotFoundError):
                    text += f"\nsearched in: {', '.join(setup.path) or 'no folder of the pool'}, and {sys.executable}"
                made["message"] = _errors.cut(text, _errors.MESSAGE_LIMIT)
                raise PreloadFailed(made) from None
            left = _process.thread_count() - before
            if left > 0:
                threaded.append(f"{name!r} left {left} thread{'s' if left > 1 else ''} behind")
    return threaded
