"""Hello: what a worker and its nursery say of themselves first."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any, Final

from slither import _gil
from slither._version import __version__

if TYPE_CHECKING:
    from slither._hosted import Hosted

PROTOCOL: Final = 1


def hello(slots: int = 1, adapter: Hosted | None = None) -> dict[str, Any]:
    """Return the body of HELLO of a worker that takes `slots` calls at once, and of its adapter."""
    said = {"protocol": PROTOCOL, "sdk": __version__, "pid": os.getpid(), **interpreter(), "slots": slots}
    return said if adapter is None else said | {"adapter": adapter.about()}


def interpreter() -> dict[str, Any]:
    """Say which Python this is, as HELLO and the nursery's `ready` do."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        **_gil.WATCH.about(),
    }
