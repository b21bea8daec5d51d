"""What a process can be told about itself, on Linux: who it dies with, who it adopts, what it may leave behind.

Each is best effort: a kernel or a container that refuses one makes Slither a little less tidy, not unusable.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_OOM_STEP: Final = 300
_THREAD_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def _load_prctl() -> Callable[..., int] | None:
    try:
        import ctypes

        prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return prctl


# Looked up once, by the nursery, so that no child has to load anything between fork and the first frame.
_prctl: Final = _load_prctl()


def become_subreaper() -> bool:
    """Adopt the orphans among this process's descendants."""
    return _prctl is not None and _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that forked it ends. Exits at once if that has happened."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def lead_group(pid: int = 0) -> None:
    """Make `pid` lead a process group. Done by parent and child both, so that neither depends on the other."""
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)


def leave_no_core() -> None:
    """Limit core dumps to one byte: a limit of 0 would not stop a handler that core dumps are piped to."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def limit_memory(size: int) -> None:
    """Allow this process so many bytes of address space, so that Python raises `MemoryError` beyond it."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def volunteer_for_oom() -> None:
    """Have the kernel prefer this process to its host when memory runs out."""
    path = "/proc/self/oom_score_adj"
    with contextlib.suppress(OSError, ValueError):
        with open(path, encoding="ascii") as file:
            score = int(file.read())
        with open(path, "w", encoding="ascii") as file:
            file.write(str(min(1000, score + _OOM_STEP)))


def thread_count() -> int:
    """Count the threads of this process, those that Python does not know included."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def children() -> set[int]:
    """Return the pids of this process's children, zombies included."""
    found: set[int] = set()
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                found.update(map(int, file.read().split()))
    except OSError:  # the file depends on how the kernel was built
        found = set(_children_by_scan())
    return found


def _children_by_scan() -> Iterator[int]:
    me = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    stat = file.read()
                if int(stat.rpartition(")")[2].split()[1]) == me:
                    yield int(name)


def kill(pid: int) -> None:
    """Send SIGKILL to one process, if it is there."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Send SIGKILL to the group that `pid` leads, if there is one."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


@contextlib.contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep numerical libraries that are imported inside from starting threads, unless the user has said how many."""
    ours = [name for name in _THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, "1"))
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
