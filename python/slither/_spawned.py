"""The first module of a spawned worker: finds msgspec, then hands over to `_start`."""

from __future__ import annotations

import sys


def main() -> None:
    """Be a worker in an interpreter of its own."""
    overlay = sys.argv[2] if len(sys.argv) > 2 else ""
    if overlay and overlay not in sys.path:
        sys.path.insert(1, overlay)
    sys.argv = ["slither"]

    from slither import _start

    code = _start.main()
    if code:
        raise SystemExit(code)
