"""The nursery: one process a pool, which starts workers, buries them, and outlives none of its pool.

It imports the SDK and the pool's `preload` modules once and forks workers from there. It has one thread and one loop,
which waits on the control socket, on the host's pidfd and on SIGCHLD. Before that, while it imports, a signal tells it
that its host has gone: see `_vigil`.

    host ⇄ control ⇄ nursery ─┬─ worker 1 (leads a process group) ─ grandchildren …
                              └─ worker 2

The host starts it as `python -c "import sys; sys.path[:1] = [sys.argv[1]]; from slither._nursery import main; main()"
SDK_DIR [OVERLAY_DIR]`, with the control socket as descriptor 0. Nothing at the top of this module imports msgspec:
the overlay, where it may be, is known only to `main`.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import select
import signal
import sys
import time
import warnings

from slither import _process, _vigil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from slither._control import Control
    from slither._setup import Setup
    from slither._start import Start

# How long a death waits for what the dead worker had started, and the nursery at its own end, when nobody waits for it.
_STRANGERS_PATIENCE = 10.0
_LAST_PATIENCE = 60.0


def main() -> None:
    """Be a nursery; in each forked child, return as a worker that has finished."""
    code = _main()
    if code:
        raise SystemExit(code)


def _main() -> int:
    overlay = sys.argv[2] if len(sys.argv) > 2 else ""
    if overlay and overlay not in sys.path:
        sys.path.insert(1, overlay)
    sys.argv = ["slither"]
    control_fd = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    with contextlib.suppress(OSError):  # the host may have done it
        os.setsid()
    _process.become_subreaper()
    _vigil.begin(control_fd, _end_with_host)

    from slither._control import Control

    nursery = Nursery(Control(control_fd))
    start = nursery.run()
    if start is not None:
        # The child of a fork: from here on this is the worker, and nothing of the nursery is left below it.
        del nursery
        return start.run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Exit handlers of preloaded modules are the workers' to run.
    os._exit(0)


class Nursery:
    """The loop, and the table of live workers: pid to epoch."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._pid = os.getpid()
        self._workers: dict[int, int] = {}
        self._host: int | None = None
        self._start_method = "fork"
        self._stop_at: float | None = None
        self._wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake_write = wake_write
        signal.signal(signal.SIGCHLD, _ignore)
        signal.signal(signal.SIGINT, _ignore)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def run(self) -> Start | None:
        """Serve until the host is gone or has said stop. Returns a `Start` in a forked child, None in the nursery."""
        from slither._exceptions import ProtocolError

        start: Start | None = None
        trouble: BaseException | None = None
        try:
            setup = self._ready()
            start = None if setup is None else self._loop(setup)
        except (ProtocolError, OSError) as error:  # OSError: the control socket broke, for the host is gone
            trouble = error
        finally:
            # Before anything else, and whatever has happened: nobody is left to do it.
            if start is None and os.getpid() == self._pid:
                self._kill_everything()
        if trouble is not None:
            with contextlib.suppress(OSError):  # with the host its end of this pipe is gone, too
                print(f"slither: nursery: {trouble}", file=sys.stderr, flush=True)  # noqa: T201
        return start

    def _ready(self) -> Setup | None:
        """Take the setup, preload, and report; None if that failed."""
        from slither import _setup, _start
        from slither._hello import interpreter

        received = self._control.receive()
        if received is None:
            return None
        packet, self._setup_bytes, fds = received
        _start.close_all(fds)
        setup = _setup.parse(packet)
        if setup.host is not None:
            try:
                self._host = os.pidfd_open(setup.host)
            except ProcessLookupError:
                return None
            except OSError:
                self._host = None  # the end of the control socket has to do
        _setup.apply_path(setup)
        _start.prepare(setup)
        self._start_method = "spawn" if setup.start == "spawn" else "fork"
        reason: str | None = None
        if self._start_method == "fork":
            try:
                threaded = _setup.preload(setup)
            except _setup.PreloadFailed as failure:
                self._control.send("failed", error=failure.error)
                return None
            if _process.thread_count() > 1:
                self._start_method = "spawn"
                reason = "; ".join(threaded) or "threads were running before anything was preloaded"
            else:
                _start.warm(setup)
            # What a module did to these at import must not keep the loop from hearing of deaths.
            signal.signal(signal.SIGCHLD, _ignore)
            signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()
        about: dict[str, Any] = interpreter()
        _vigil.end(self._control.fileno())
        self._control.send("ready", pid=os.getpid(), start=self._start_method, reason=reason, **about)
        return setup

    def _loop(self, setup: Setup) -> Start | None:
        poller = select.poll()
        poller.register(self._control.fileno(), select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        if self._host is not None:
            poller.register(self._host, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poller.poll(self._patience())}
            if self._host in ready:
                return None
            if self._wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            # Deaths before new work: a pid that is free may be the next one's.
            self._bury()
            if self._stop_at is not None and (not self._workers or time.monotonic() >= self._stop_at):
                self._kill_everything(report=True)
                return None
            if self._control.fileno() in ready:
                received = self._control.receive()
                if received is None:
                    return None
                packet, _, fds = received
                start = self._handle(packet, fds, setup)
                if start is not None:
                    return start

    def _patience(self) -> float | None:
        return None if self._stop_at is None else max(0.0, (self._stop_at - time.monotonic()) * 1000)

    def _handle(self, packet: dict[str, Any], fds: list[int], setup: Setup) -> Start | None:
        from slither import _start

        op = packet.get("op")
        if op == "start":
            try:
                return self._start(_start.parse(packet, fds, setup, self._setup_bytes))
            except (OSError, ValueError) as error:
                self._control.send("start_failed", epoch=packet.get("epoch", 0), message=str(error))
        elif op == "stop":
            grace = packet.get("grace_ms")
            self._stop_at = time.monotonic() + (grace if isinstance(grace, (int, float)) else 0) / 1000
        _start.close_all(fds)  # an operation that is not known is ignored: the host may be newer
        return None

    def _start(self, start: Start) -> Start | None:
        """Fork. Returns the `Start` in the child, and None in the nursery."""
        nursery = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            # After a preload that left threads behind the child only execs, which is what the warning asks for.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            self._forget()
            start.enter(nursery)
            if self._start_method == "spawn":
                start.execute()
            return start
        _process.lead_group(pid)
        start.close()
        try:
            pidfd = os.pidfd_open(pid)  # nobody else reaps, so the pid is still the child's
        except OSError as error:
            _process.kill(pid)
            os.waitpid(pid, 0)
            self._control.send("start_failed", epoch=start.epoch, message=f"no pidfd: {error}")
            return None
        self._workers[pid] = start.epoch
        try:
            self._control.send("started", [pidfd], epoch=start.epoch, pid=pid)
        finally:
            os.close(pidfd)
        return None

    def _forget(self) -> None:
        """In a child: let go of everything that is the nursery's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _vigil.forget()
        self._workers.clear()
        self._control.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._host is not None:
            os.close(self._host)

    def _bury(self) -> None:
        """Report every worker that has died, once its group is gone; reap whatever else was adopted."""
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            pid = dead.si_pid
            epoch = self._workers.pop(pid, None)
            if epoch is None:
                os.waitpid(pid, 0)
                continue
            # Unreaped, the leader keeps its number from being given to another group.
            _process.kill_group(pid)
            self._kill_strangers(keep=pid)
            usage = os.wait4(pid, 0)[2]
            exited = dead.si_code == os.CLD_EXITED
            self._control.send(
                "exited",
                epoch=epoch,
                pid=pid,
                code=dead.si_status if exited else None,
                signal=None if exited else dead.si_status,
                max_rss=usage.ru_maxrss * 1024,
            )

    def _kill_strangers(self, keep: int) -> None:
        """Kill what was adopted: descendants of workers, out of their groups by `setsid`.

        Whose they were cannot be told once they are orphans, so a daemon that another, living worker has detached
        goes too: nothing that a worker starts is promised to outlive it.
        """
        _kill_children(self._workers.keys() | {keep}, _STRANGERS_PATIENCE)

    def _kill_everything(self, report: bool = False) -> None:
        """Kill every worker, its group and its adopted; with `report`, tell the host."""
        for pid in self._workers:
            _process.kill_group(pid)
            _process.kill(pid)
        deadline = time.monotonic() + _STRANGERS_PATIENCE
        while report and self._workers and time.monotonic() < deadline:
            for pid in list(self._workers):
                with contextlib.suppress(OSError):
                    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            self._bury()
        self._workers.clear()
        # Whoever is left when the nursery ends is nobody's any more, however slow the machine is.
        _kill_children(set(), _LAST_PATIENCE)


def _end_with_host() -> None:
    """End in the midst of an import, because the host has gone; and with it what the modules have started."""
    _kill_children(set(), _LAST_PATIENCE)
    os._exit(1)


def _kill_children(keep: set[int], patience: float) -> None:
    """Kill the children of this process but for some, and the children that each leaves to be adopted."""
    deadline = time.monotonic() + patience
    while pids := _process.children() - keep:
        for pid in pids:
            _process.kill(pid)
        for pid in pids:
            if not _reap(pid, deadline):
                return  # it does not die: the kernel will not let it, and the host must not wait for that


def _reap(pid: int, deadline: float) -> bool:
    """Wait for a child that was killed; False if it is still there at the deadline."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        if not poller.poll(max(0.0, (deadline - time.monotonic()) * 1000)):
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        return True
    finally:
        os.close(pidfd)


def _ignore(number: int, frame: object) -> None:
    """Do nothing: the wake-up descriptor has been written to. Unlike SIG_IGN it ends at an exec."""
