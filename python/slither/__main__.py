"""`python -m slither`: commands for who writes Python that Slither runs."""

from __future__ import annotations

import sys

_USAGE = """\
usage: python -m slither check MODULE:CLASS [--threads N] [--calls N] [--strict] [--json]

commands:
  check   call an adapter's tools from many threads, and report what they write without a lock
"""


def main(arguments: list[str]) -> int:
    """Run a command; return its exit status."""
    if arguments[:1] == ["check"]:
        from slither._kit.check import main as check  # no other command needs it

        return check(arguments[1:])
    asked = arguments[:1] in (["-h"], ["--help"])
    print(_USAGE, end="", file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
