"""The nursery: how workers start, how their deaths are reported, and that nothing outlives its pool."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fakehost import PATIENCE, FakeNursery, FakeWorker, Gone, pack, wait_gone

from slither import _vigil, _wire


@pytest.fixture(params=["fork", "spawn"])
def either(request: pytest.FixtureRequest) -> Iterator[FakeNursery]:
    made = FakeNursery(start=request.param)
    assert made.ready()["start"] == request.param
    yield made
    made.close()


def exited(nursery: FakeNursery) -> tuple[int | None, int | None]:
    packet = nursery.hear()
    assert packet["op"] == "exited", packet
    return packet["code"], packet["signal"]


def test_a_worker_works_either_way(either: FakeNursery) -> None:
    worker = either.worker()
    worker.alive()
    [about] = worker.result("sample:process", [0])
    assert about["pid"] == about["group"] == worker.pid
    assert about["stdin"] == "/dev/null"
    assert about["core"] == [1, 1]
    sockets = [each for each in about["fds"] if each.startswith("socket:")]
    assert len(sockets) == 1, "a worker has its own socket, and no other"
    assert not [each for each in about["fds"] if "pidfd" in each]


def test_stop_ends_a_worker_with_its_exit_handlers_run(either: FakeNursery) -> None:
    worker = either.worker()
    worker.result("lingering:at_exit", ["good bye"])
    worker.send(_wire.STOP, ident=0)
    assert exited(either) == (0, None)
    assert worker.stderr() == "good bye"


def test_the_end_of_its_socket_ends_a_worker(either: FakeNursery) -> None:
    either.worker().sock.close()
    assert exited(either) == (0, None)


def test_the_end_of_its_socket_in_the_middle_of_a_frame_ends_a_worker(either: FakeNursery) -> None:
    worker = either.worker()
    worker.sock.sendall(_wire.HEADER.pack(1 << 20, _wire.CALL, 0, 0, 1) + bytes(1000))
    worker.sock.close()
    assert exited(either)[1] is None, "it exits of itself"


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_is_reported_with_its_code(nursery: FakeNursery, code: int) -> None:
    worker = nursery.worker()
    worker.send(_wire.CALL, pack(["sample:leave", None, [code]]))
    assert exited(nursery) == (code, None)
    assert worker.black_box()[1:] == (1, 2), "the call that it died in, and that it was in user code"


def test_a_signal_is_reported_and_faulthandler_wrote_the_stack(either: FakeNursery) -> None:
    worker = either.worker()
    worker.send(_wire.CALL, pack(["sample:crash", None, [1]]))
    assert exited(either) == (None, signal.SIGSEGV)
    assert "Segmentation fault" in worker.fault_text()
    assert "in crash" in worker.fault_text()


def test_a_hanging_call_shows_its_stack_on_request(nursery: FakeNursery) -> None:
    worker = nursery.worker()
    worker.send(_wire.CALL, pack(["sample:hang", None, [1]]))
    _, _, ident, _ = worker.recv()
    worker.send(_wire.VIEW_REPLY, pack(1), ident=ident)
    while worker.black_box()[2] != 2 or "in hang" not in worker.fault_text():
        os.kill(worker.pid, signal.SIGUSR2)
        time.sleep(0.01)  # sleep: so that a stack is written before it is asked for again
    os.kill(worker.pid, signal.SIGTERM)
    assert exited(nursery) == (None, signal.SIGTERM)


def test_a_thread_that_does_not_end_is_killed_by_the_host(nursery: FakeNursery) -> None:
    worker = nursery.worker()
    worker.result("lingering:thread", [1])
    worker.send(_wire.STOP, ident=0)
    with pytest.raises(Gone):
        worker.recv()
    os.kill(worker.pid, signal.SIGKILL)
    assert exited(nursery) == (None, signal.SIGKILL)


@pytest.mark.parametrize("detached", [False, True])
def test_grandchildren_die_with_their_worker_before_its_death_is_reported(nursery: FakeNursery, detached: bool) -> None:
    worker = nursery.worker()
    [grandchild] = worker.result("sample:breed", [detached])
    os.kill(worker.pid, signal.SIGKILL)
    assert exited(nursery) == (None, signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        os.kill(grandchild, 0)


def test_a_leaked_socket_in_a_grandchild_does_not_hide_a_death(nursery: FakeNursery) -> None:
    worker = nursery.worker()
    worker.result("sample:breed", [True])
    worker.send(_wire.CALL, pack(["sample:leave", None, [0]]))
    worker.gone()
    assert exited(nursery) == (0, None)


def test_other_workers_live_on(nursery: FakeNursery) -> None:
    first, second = nursery.worker(1), nursery.worker(2)
    os.kill(first.pid, signal.SIGKILL)
    assert exited(nursery) == (None, signal.SIGKILL)
    second.alive()
    nursery.worker(3).alive()


def test_without_its_control_socket_a_pool_is_gone() -> None:
    nursery = FakeNursery()
    nursery.ready()
    worker = nursery.worker()
    pids = worker.result("sample:breed", [False, True])
    nursery.sock.close()
    for pid in (worker.pid, *pids):
        wait_gone(pid)
    nursery.close()


def test_without_its_host_a_pool_is_gone() -> None:
    host = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    nursery = FakeNursery(host=host.pid)
    nursery.ready()
    worker = nursery.worker()
    pids = worker.result("sample:breed", [False, True])
    host.kill()
    host.wait()
    assert host.stdin is not None
    host.stdin.close()
    for pid in (worker.pid, *pids):
        wait_gone(pid)
    nursery.close()


def test_a_pool_is_gone_also_when_its_nursery_can_tell_nobody_why() -> None:
    read, write = os.pipe()
    nursery = FakeNursery(stderr=write)
    os.close(write)
    nursery.ready()
    dying, worker = nursery.worker(1), nursery.worker(2)
    pids = worker.result("sample:breed", [False, True])
    # While it sleeps a worker dies, and then everything that it could tell of it breaks.
    nursery.process.send_signal(signal.SIGSTOP)
    os.kill(dying.pid, signal.SIGKILL)
    dying.gone()
    nursery.sock.close()
    os.close(read)
    nursery.process.send_signal(signal.SIGCONT)
    for pid in (worker.pid, *pids):
        wait_gone(pid)
    nursery.close()


def test_a_nursery_that_imports_hears_of_the_end_of_its_host() -> None:
    read, write = os.pipe()
    nursery = FakeNursery(stderr=write, preload=["endless_preload"])
    os.close(write)
    child = int(os.read(read, 100))
    nursery.sock.close()
    wait_gone(child)
    assert nursery.process.wait(PATIENCE) == 1
    os.close(read)
    nursery.close()


def test_a_host_that_is_gone_before_its_nursery_listens_is_noticed() -> None:
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine.close()
    ends = []
    # The end was before: no signal will tell of it.
    _vigil.begin(theirs.fileno(), lambda: ends.append(True))
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    theirs.close()
    assert ends


def test_stop_kills_what_is_left_after_the_grace(nursery: FakeNursery) -> None:
    worker = nursery.worker()
    nursery.tell("stop", grace_ms=50)
    assert exited(nursery) == (None, signal.SIGKILL)
    worker.gone()
    assert nursery.process.wait(PATIENCE) == 0


def test_a_preload_happens_once_with_one_thread_for_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    nursery = FakeNursery(preload=["preloaded"])
    assert nursery.ready()["start"] == "fork"
    assert nursery.worker().result("preloaded:report", [1]) == [["1", None, True]]
    nursery.close()


def test_the_users_number_of_threads_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    nursery = FakeNursery(preload=["preloaded"])
    nursery.ready()
    assert nursery.worker().result("preloaded:report", [1]) == [["2", "2", True]]
    nursery.close()


@pytest.mark.parametrize("module", ["broken_import", "broken_exit", "not_there"])
def test_a_preload_that_fails_is_reported(module: str) -> None:
    nursery = FakeNursery(preload=[module])
    packet = nursery.hear()
    assert packet["op"] == "failed"
    assert packet["error"]["kind"] == "import"
    assert module in packet["error"]["message"]
    with pytest.raises(Gone):
        nursery.hear()
    nursery.close()


def test_a_preload_that_leaves_a_thread_is_named_and_workers_are_spawned() -> None:
    nursery = FakeNursery(preload=["threaded_preload"])
    packet = nursery.ready()
    assert packet["start"] == "spawn"
    assert packet["reason"] == "'threaded_preload' left 1 thread behind"
    nursery.worker().alive()
    nursery.close()


def test_forked_workers_have_random_numbers_of_their_own() -> None:
    pytest.importorskip("numpy")
    nursery = FakeNursery(preload=["random", "numpy", "numpy.random"])
    assert nursery.ready()["start"] == "fork"
    drawn: list[Any] = [nursery.worker(epoch).result("sample:rand", [0])[0] for epoch in (1, 2)]
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]
    nursery.close()


def test_a_start_without_its_descriptors_is_refused(nursery: FakeNursery) -> None:
    nursery.tell("start", epoch=9, slot=0)
    packet = nursery.hear()
    assert (packet["op"], packet["epoch"]) == ("start_failed", 9)
    assert "0 descriptors" in packet["message"]
    nursery.worker().alive()


def test_an_unknown_operation_is_ignored(nursery: FakeNursery) -> None:
    nursery.tell("dance")
    nursery.worker().alive()


def test_the_nursery_is_a_session_of_its_own(nursery: FakeNursery) -> None:
    assert os.getsid(nursery.process.pid) == nursery.process.pid
    assert not select.select([nursery.sock], [], [], 0)[0]


def test_log_level_is_the_pools() -> None:
    nursery = FakeNursery(log_level="info")
    nursery.ready()
    worker: FakeWorker = nursery.worker()
    worker.result("sample:log", [1])
    assert worker.meanwhile[0][3][2] == "too low"
    nursery.close()
