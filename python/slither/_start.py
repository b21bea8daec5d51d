"""Start: one worker, from the `start` packet to its loop, forked or in an interpreter of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
from typing import Any, Final

from slither import _blackbox, _gil, _process, _setup, _wire, _worker
from slither._control import close_all

__all__ = ["Start", "close_all", "main", "parse"]

_FDS: Final = 5
# Where a spawned interpreter finds its descriptors: the work socket, the black box, the token and the setup.
_WORK, _BOX, _TOKEN, _SETUP = 3, 4, 5, 6
_BOOTSTRAP: Final = (
    "import sys; sys.path[: sys.path[:1] == ['']] = sys.argv[1:]; from slither._spawned import main; main()"
)


class Start:
    """A worker to be started."""

    def __init__(self, epoch: int, slot: int, fds: list[int], setup: _setup.Setup, setup_bytes: bytes) -> None:
        self.epoch = epoch
        self.slot = slot
        self._work, self._stdout, self._stderr, self._box, self._token = fds
        self._setup = setup
        self._setup_bytes = setup_bytes

    def close(self) -> None:
        """Close the descriptors: the nursery's copies, once the child has its own."""
        close_all([self._work, self._stdout, self._stderr, self._box, self._token])

    def enter(self, nursery: int) -> None:
        """In the child, first of all: be a process of one's own, with descriptors of one's own."""
        _process.lead_group()
        _process.die_with(nursery)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(self._stdout, 1)
        os.dup2(self._stderr, 2)
        close_all([self._stdout, self._stderr])
        _process.leave_no_core()
        _process.volunteer_for_oom()

    def execute(self) -> None:
        """Become a fresh interpreter that runs `main` of `_spawned`. Does not return."""
        try:
            setup = os.memfd_create("slither-setup")
            os.write(setup, self._setup_bytes)
            os.lseek(setup, 0, os.SEEK_SET)
            # First out of the way of the numbers that they are to get.
            moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in (self._work, self._box, self._token, setup)]
            for fd, place in zip(moved, (_WORK, _BOX, _TOKEN, _SETUP), strict=True):
                os.dup2(fd, place, inheritable=True)
            sdk = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
            provided = [sdk, self._setup.overlay] if self._setup.overlay else [sdk]
            flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
            os.closerange(_SETUP + 1, 64)
            os.execv(sys.executable, [sys.executable, *flags, "-c", _BOOTSTRAP, *provided])
        except BaseException as error:
            os.write(2, f"slither: cannot start {sys.executable}: {error}\n".encode())
        finally:
            os._exit(127)

    def run(self) -> int:
        """In the worker: ready the process for user code, and serve. Returns the exit code."""
        sys.stdout = _stream(1)
        sys.stderr = _stream(2)
        # Ctrl-C at the host's terminal is the host's to handle; an empty handler, because children of the user's
        # would inherit SIG_IGN.
        signal.signal(signal.SIGINT, _ignore)
        _reseed()
        _blackbox.watch_faults(self._box)
        setup = self._setup
        box = _blackbox.BlackBox(self._box, setup.profile.boxes())
        os.set_blocking(self._token, False)
        connection = _wire.Connection(socket.socket(fileno=self._work), setup.frame_cap)
        os.register_at_fork(after_in_child=connection.disown)
        if setup.memory_limit is not None:
            _process.limit_memory(setup.memory_limit)
        if setup.profile.kind == "process":
            return _worker.main(connection, box, self._token, setup)
        from slither import _several  # the others do without what it imports

        return _several.main(connection, box, self._token, setup)


def parse(packet: dict[str, Any], fds: list[int], setup: _setup.Setup, setup_bytes: bytes) -> Start:
    """Read a `start` packet. Raises ValueError."""
    epoch, slot = packet.get("epoch"), packet.get("slot", 0)
    if type(epoch) is not int or type(slot) is not int:
        raise ValueError(f"a start packet with epoch {epoch!r} and slot {slot!r}")
    if len(fds) != _FDS:
        raise ValueError(f"a start packet with {len(fds)} descriptors; {_FDS} were expected")
    return Start(epoch, slot, fds, setup, setup_bytes)


def prepare(setup: _setup.Setup) -> None:
    """Have what is imported from now on be fit for the threads that are to use it."""
    _gil.WATCH.start()
    if setup.profile.kind == "thread":
        from slither import _constants

        _constants.share()


def warm(setup: _setup.Setup) -> None:
    """Import what the workers are going to need, once for all that are forked."""
    if setup.adapter is not None:
        from slither import _hosted  # noqa: F401
    if setup.profile.kind != "process":
        from slither import _several

        _several.warm(setup.profile)


def main() -> int:
    """Be a spawned worker; descriptors are where `Start.execute` put them. Returns the exit code."""
    import msgspec

    data = os.read(_SETUP, 1 << 16)
    os.close(_SETUP)
    for fd in (_WORK, _BOX, _TOKEN):
        os.set_inheritable(fd, False)
    setup = _setup.parse(msgspec.msgpack.decode(data))
    out, err = os.dup(1), os.dup(2)
    start = Start(0, 0, [_WORK, out, err, _BOX, _TOKEN], setup, data)
    close_all([out, err])
    _setup.apply_path(setup)
    prepare(setup)
    try:
        _setup.preload(setup)
    except _setup.PreloadFailed as failure:
        sys.stderr.write(f"slither: {failure}\n{failure.error['traceback'] or ''}")
        return 1
    return start.run()


def _stream(fd: int) -> Any:
    """A text stream that never fails on what is printed, and shows each line when it is whole."""
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _reseed() -> None:
    """Give this worker random numbers of its own: a forked state would repeat its siblings'."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        with contextlib.suppress(Exception):
            numpy_random.seed()


def _ignore(number: int, frame: object) -> None:
    """Do nothing, with a signal."""
