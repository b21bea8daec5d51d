"""The vigil: a signal at the end of the control socket, for as long as nobody reads from it or polls it.

A nursery that imports is deaf, and imports can take long; a thread that would listen meanwhile is out of the question,
because forks are to come. So the kernel is asked to send SIGIO for whatever happens to the socket (`O_ASYNC`). Python
runs the handler between two bytecodes: all that keeps it waiting is C code that does not come back.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
from collections.abc import Callable


def begin(control: int, gone: Callable[[], None]) -> None:
    """Call `gone` as soon as nobody holds the other end of `control`, now included."""
    poller = select.poll()
    poller.register(control, 0)

    def look(_number: int = 0, _frame: object = None) -> None:
        # SIGIO comes with every packet, too.
        if any(events & select.POLLHUP for _, events in poller.poll(0)):
            gone()

    signal.signal(signal.SIGIO, look)
    fcntl.fcntl(control, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(control, fcntl.F_SETFL, fcntl.fcntl(control, fcntl.F_GETFL) | os.O_ASYNC)
    look()


def end(control: int) -> None:
    """Leave the socket to whoever polls it from now on. A module may have taken the signal for itself: so be it."""
    fcntl.fcntl(control, fcntl.F_SETFL, fcntl.fcntl(control, fcntl.F_GETFL) & ~os.O_ASYNC)


def forget() -> None:
    """In a forked child: let the signal be what it is by default."""
    if getattr(signal.getsignal(signal.SIGIO), "__module__", None) == __name__:
        signal.signal(signal.SIGIO, signal.SIG_DFL)
