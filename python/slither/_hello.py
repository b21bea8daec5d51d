"""Hello: what a worker and its nursery say of themselves first."""

from __future__ import annotations

import os
import platform
from typing import Any, Final

from slither import _gil
from slither._version import __version__

PROTOCOL: Final = 1


def hello(slots: int = 1) -> dict[str, Any]:
    """Return the body of HELLO of a worker that takes `slots` calls at once."""
    return {"protocol": PROTOCOL, "sdk": __version__, "pid": os.getpid(), **interpreter(), "slots": slots}


def interpreter() -> dict[str, Any]:
    """Say which Python this is, as HELLO and the nursery's `ready` do."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        **_gil.WATCH.about(),
    }
