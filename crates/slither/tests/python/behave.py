"""What the integration tests ask of Python: to work, to fail, and to die in every way."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import slither

_seen: list[Any] = []


def echo(items: list[Any]) -> list[Any]:
    """Gives back what it got."""
    return items


def pids(items: list[Any]) -> list[int]:
    """Gives the worker's process id for each item."""
    return [os.getpid() for _ in items]


def remember(items: list[Any]) -> list[Any]:
    """Keeps the items in the worker, and gives them back."""
    _seen.extend(items)
    return items


def remembered() -> list[Any]:
    """Gives what this worker keeps."""
    return _seen


def add(first: int, second: int = 10) -> int:
    """Adds two numbers."""
    return first + second


def who() -> int:
    """Gives the worker's process id."""
    return os.getpid()


def context(items: list[Any]) -> list[Any]:
    """Gives what the SDK says of the run."""
    here = slither.context()
    return [[here.run_id, here.pipe, here.stage, here.session_id, here.attempt] for _ in items]


def view(items: list[dict[str, Any]]) -> list[Any]:
    """Calls the view that each item names, and gives its answer or the exception's class and text."""
    answers: list[Any] = []
    for item in items:
        try:
            answers.append(slither.view(item["view"], **item["args"]))
        except slither.SlitherError as error:
            answers.append([type(error).__name__, str(error)])
    return answers


def views(items: list[dict[str, Any]]) -> list[Any]:
    """Calls one view many times at once."""
    return [slither.view_many(item["view"], item["calls"]) for item in items]


def act(items: list[Any]) -> list[Any]:
    """Does what the items say; a text names a deed, anything else is given back."""
    return [_deed(item) for item in items]


def _deed(item: Any) -> Any:
    match item:
        case "raise":
            raise ValueError("as asked")
        case "raise-unspeakable":
            raise Unspeakable
        case "raise-unpicklable":
            raise ValueError(threading.Lock(), lambda: None)
        case "raise-huge":
            raise ValueError("x" * 100_000_000)
        case "failed":
            return slither.Failed("not this one")
        case "set":
            return {1, 2}
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(0)
        case "libc-exit":
            ctypes.CDLL(None).exit(3)
        case "sys-exit":
            sys.exit(4)
        case "interrupt":
            raise KeyboardInterrupt
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "abort":
            os.abort()
        case "hang":
            while True:
                pass
        case "stubborn":
            # Python allows it in the main thread only, C in any.
            ctypes.CDLL(None).signal(signal.SIGTERM, ctypes.c_void_p(1))
            while True:
                pass
        case str() if item.startswith("stubborn:"):
            ctypes.CDLL(None).signal(signal.SIGTERM, ctypes.c_void_p(1))
            open(item.removeprefix("stubborn:"), "w").close()
            while True:
                pass
        case "hold-gil":
            sum(range(10**13))  # in C, without ever looking for signals
        case "deadlock":
            # In C with the GIL held, and nothing that a signal interrupts: a lock taken twice.
            lock = ctypes.create_string_buffer(64)
            libc = ctypes.PyDLL(None)
            libc.pthread_mutex_lock(lock)
            libc.pthread_mutex_lock(lock)
        case "hold-gil-briefly":
            ctypes.PyDLL(None).usleep(300_000)
        case "print":
            print("hello from user code")
            os.write(1, b"raw bytes \x1b[31m\n")
        case "devour":
            hoard = []
            while True:
                hoard.append(b"x" * (8 << 20))
        case "mutter":
            print("about to \x1b[31mdie", file=sys.stderr)
        case "flood":
            for _ in range(100):
                os.write(2, b"x" * 999_999 + b"\n")
                print("p" * 999)
                os.write(1, b"raw " * 250)
        case "grandchild":
            child = subprocess.Popen(["sleep", "300"], start_new_session=True)
            return child.pid
        case "fork":
            if os.fork() == 0:
                time.sleep(300)  # sleep: to be killed
                os._exit(0)
        case "big":
            return b"x" * (2 << 20)
    return item


class Unspeakable(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text of this")

    __repr__ = __str__


def nothing(items: list[Any]) -> None:
    """Gives None where a list is due."""


def short(items: list[Any]) -> list[Any]:
    """Loses an item."""
    return items[1:]


def mapping(items: list[Any]) -> dict[str, Any]:
    """Gives a dict where a list is due."""
    return {"items": items}


def wait_for_file(items: list[str]) -> list[str]:
    """Makes a file `….begun` with the worker's pid for each item, and returns when the files that the items name exist."""
    for path in items:
        with open(path + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(path + ".new", path + ".begun")
        while not os.path.exists(path):
            time.sleep(0.002)  # sleep: polls for the test's own event
    return items


def linger(what: str) -> int:
    """Starts something that will keep this process from ending; gives its process id."""
    for_ever = threading.Event().wait
    if what == "thread":
        threading.Thread(target=for_ever).start()
    else:
        atexit.register(for_ever)
    return os.getpid()


def doze(items: list[float]) -> list[float]:
    """Sleeps as many seconds as each item says."""
    for seconds in items:
        time.sleep(seconds)  # sleep: the work that is asked for
    return items


def work(items: list[Any]) -> list[Any]:
    """Takes its time over a batch, whatever its length."""
    time.sleep(0.015)  # sleep: the work that is asked for
    return items


def record(items: list[Any]) -> list[Any]:
    """Adds a line to the file that each item `[path, name, seconds]` names when it is done: name, time, and pid."""
    for path, name, seconds in items:
        time.sleep(seconds)  # sleep: the work that is asked for
        with open(path, "a") as file:
            file.write(f"{name} {time.monotonic_ns()} {os.getpid()}\n")
    return [name for _, name, _ in items]


def brief(items: list[list[str]]) -> list[str]:
    """Notes the name of each item `[path, name, what]` in a file, and then mostly takes no time: `kill`, or waits for a file."""
    for path, name, what in items:
        with open(path, "a") as file:
            file.write(f"{name}\n")
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while what.startswith("/") and not os.path.exists(what):
            time.sleep(0.002)  # sleep: polls for the test's own event
    return [name for _, name, _ in items]


def offspring() -> list[int]:
    """Leaves two children behind, one of them in a session of its own; gives the pids of nursery, worker and both."""
    forked = os.fork()
    if forked == 0:
        time.sleep(300)  # sleep: to be killed
        os._exit(0)
    away = subprocess.Popen(["sleep", "300"], start_new_session=True)
    return [os.getppid(), os.getpid(), forked, away.pid]


def exposure() -> dict[str, list[str]]:
    """Says what this worker was given, and what a program that it starts would be given."""
    import resource

    script = (
        "import os; print(*sorted(fd for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')))"
    )
    child = subprocess.run([sys.executable, "-c", script], close_fds=False, capture_output=True, text=True, check=True)
    with open("/proc/self/cmdline") as arguments, open("/proc/self/oom_score_adj") as score:
        return {
            "stdin": [os.readlink("/proc/self/fd/0")],
            "core": [str(limit) for limit in resource.getrlimit(resource.RLIMIT_CORE)],
            "child": child.stdout.split(),
            "environment": list(os.environ),
            "arguments": arguments.read().split("\0"),
            "oom": [score.read().strip()],
        }


def rude(items: list[str]) -> list[str]:
    """Writes to the host's socket what no worker should, then answers as if nothing had been."""
    from slither import _current, _wire

    worker: Any = _current.find()
    connection: Any = worker._connection

    def frame(kind: int, ident: int, body: bytes, flags: int = 0, length: int | None = None) -> None:
        size = len(body) if length is None else length
        connection._sock.sendall(_wire.HEADER.pack(size, kind, flags, 0, ident) + body)

    own = worker.call
    for item in items:
        match item:
            case "garbage":
                connection._sock.sendall(b"\xff" * 64)
            case "oversized":
                frame(_wire.RESULT, own, b"", length=0xFFFFFFFF)
            case "cut":
                frame(_wire.RESULT, own, b"\x91", length=100)
                connection._sock.shutdown(2)
                time.sleep(300)  # sleep: to be killed
            case "deaf":
                connection._sock.shutdown(2)
                time.sleep(300)  # sleep: to be killed
            case "unknown flag":
                frame(_wire.RESULT, own, b"\x90", flags=0x80)
            case "wrong direction":
                frame(_wire.CALL, own, b"\x90")
            case "no msgpack":
                frame(_wire.RESULT, own, b"\x91\xc1")
            case "too few":
                frame(_wire.RESULT, own, b"\x90")
            case "no error":
                frame(_wire.ERROR, own, b"\x90")
            case "refuse":
                frame(_wire.SKIPPED, own, b"")
            case "second hello":
                frame(_wire.HELLO, 0, b"\x80")
            case "log":
                frame(_wire.LOG, 0, b"\x91\x01")
            case "yields unasked":
                frame(_wire.PARTIAL, own, b"\x91\x01")
            case "unknown id":
                frame(_wire.RESULT, 999, b"\x90")
                frame(_wire.SKIPPED, 998, b"")
            case "double":
                frame(_wire.RESULT, own, b"\x91\xa6double")
            case "chatter":
                # More than anyone reads, for ever: the deadline has to end it.
                while True:
                    frame(_wire.RESULT, 999, b"\x90")
    return items


def rude_generator(items: list[str]) -> Iterator[str]:
    """Yields its items, and writes runs of results to the host's socket that no worker should."""
    from slither import _current, _wire

    worker: Any = _current.find()
    for item in items:
        bodies = {
            "too many": b"\x99" + b"\x01" * 9,
            "none": b"\x90",
            "lies": b"\x91\xc1",
            "claims 4g": b"\xdd\xff\xff\xff\xff\x01",
        }
        if item in bodies:
            body = bodies[item]
            header = _wire.HEADER.pack(len(body), _wire.PARTIAL, 0, 0, worker.call)
            worker._connection._sock.sendall(header + body)
        yield item
