"""A host for tests: the other end of every channel, in plain blocking Python.

`FakeWorker` talks to a worker over its work socket; `FakeNursery` runs the real nursery and has it start workers.
Every wait has the socket's timeout, so that a test ends even where the code under test does not answer.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from slither import _wire, _withheld

SDK = str(Path(__file__).resolve().parents[1])
HERE = str(Path(__file__).resolve().parent)
BOOTSTRAP = "import sys; sys.path[:1] = [sys.argv[1]]; from slither._nursery import main; main()"
PATIENCE = 60.0
_EVENTFD = 0o2000000 | 0o4000 | 1  # closed on exec, not blocking, a semaphore
pack = msgspec.msgpack.encode


class Gone(Exception):
    """The worker closed its socket."""


class FakeWorker:
    """The host's end of one worker: its socket, its black box, its token, and what it printed."""

    def __init__(self, text: int) -> None:
        self.text = text  # where in the black box the text begins: behind the slots, and what is withheld
        self.sock, self.theirs = socket.socketpair()
        self.sock.settimeout(PATIENCE)
        self.box = os.memfd_create("box", os.MFD_CLOEXEC)
        os.ftruncate(self.box, text + 61440)
        self.box_theirs = os.open(f"/proc/self/fd/{self.box}", os.O_RDWR | os.O_CLOEXEC)
        os.lseek(self.box_theirs, text, os.SEEK_SET)
        self.token = os.eventfd(0, _EVENTFD) if hasattr(os, "eventfd") else _eventfd()
        self.out, self.out_theirs = os.pipe2(os.O_CLOEXEC)
        self.err, self.err_theirs = os.pipe2(os.O_CLOEXEC)
        self.pid = 0
        self.pidfd = -1
        self.next_id = 0
        self.meanwhile: list[tuple[int, int, int, Any]] = []

    def theirs_fds(self) -> list[int]:
        return [self.theirs.fileno(), self.out_theirs, self.err_theirs, self.box_theirs, self.token]

    def handed_over(self) -> None:
        self.theirs.close()
        for fd in (self.out_theirs, self.err_theirs, self.box_theirs):
            os.close(fd)

    def close(self) -> None:
        self.sock.close()
        for fd in (self.box, self.token, self.out, self.err, self.pidfd):
            if fd >= 0:
                os.close(fd)

    # Frames

    def send(self, kind: int, body: bytes = b"", flags: int = 0, ident: int | None = None, segments: int = 0) -> int:
        if ident is None:
            self.next_id += 1
            ident = self.next_id
        self.sock.sendall(struct.pack("<IBBHQ", len(body), kind, flags, segments, ident) + body)
        return ident

    def recv(self) -> tuple[int, int, int, Any]:
        length, kind, flags, segments, ident = struct.unpack("<IBBHQ", self._exactly(16))
        assert segments == 0
        body = self._exactly(length)
        return kind, flags, ident, msgspec.msgpack.decode(body) if body else None

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                piece = self.sock.recv(min(count - len(data), 1 << 20))
            except ConnectionError:
                raise Gone from None
            if not piece:
                raise Gone
            data += piece
        return bytes(data)

    def hello(self) -> dict[str, Any]:
        kind, _, ident, body = self.recv()
        assert (kind, ident) == (_wire.HELLO, 0)
        assert isinstance(body, dict)
        return body

    def answer(self, ident: int) -> tuple[int, int, Any]:
        """The answer to `ident`; what comes before it is kept in `meanwhile`."""
        while True:
            kind, flags, about, body = self.recv()
            if about == ident and kind not in (_wire.LOG, _wire.VIEW, _wire.PARTIAL, _wire.PROGRESS):
                return kind, flags, body
            self.meanwhile.append((kind, flags, about, body))

    def call(self, function: str, items: list[Any], context: Any = None) -> tuple[int, int, Any]:
        return self.answer(self.send(_wire.CALL, pack([function, context, items])))

    def execute(self, function: str, args: Any = None, context: Any = None) -> tuple[int, int, Any]:
        return self.answer(self.send(_wire.EXECUTE, pack([function, context, args])))

    def bind(self, function: str) -> tuple[int, int, Any]:
        return self.answer(self.send(_wire.BIND, pack(function)))

    def result(self, function: str, items: list[Any], context: Any = None) -> Any:
        kind, flags, body = self.call(function, items, context)
        assert (kind, flags) == (_wire.RESULT, 0), body
        return body

    def error(self, function: str, items: list[Any], kind: str) -> dict[str, Any]:
        got, _, body = self.call(function, items)
        assert got == _wire.ERROR, body
        assert body["kind"] == kind, body
        assert set(body) == {"kind", "message", "traceback", "exception"}
        return dict(body)

    def alive(self) -> None:
        """Prove that the worker still serves."""
        assert self.result("sample:echo", [1, 2, 3]) == [1, 2, 3]

    def black_box(self) -> tuple[int, int, int]:
        started, call, phase = struct.unpack("<QQI", os.pread(self.box, 20, 0))
        return started, call, phase

    def subject(self) -> str:
        """What the black box names beside the phase: a view, a function."""
        (size,) = struct.unpack("<H", os.pread(self.box, 2, 2048))
        return os.pread(self.box, size, 2050).decode()

    def withheld(self) -> bytes:
        """The frames that stand in the black box."""
        length = int.from_bytes(os.pread(self.box, 8, _withheld.OFFSET), sys.byteorder)
        return os.pread(self.box, length, _withheld.OFFSET + 8)

    def fault_text(self) -> str:
        # All of it: the file grows with the stacks that are asked for again and again.
        size = os.fstat(self.box).st_size - self.text
        return os.pread(self.box, size, self.text).rstrip(b"\0").decode()

    def gone(self) -> None:
        """Wait until the worker's process has ended."""
        assert select.select([self.pidfd], [], [], PATIENCE)[0], "the worker does not die"

    def stderr(self) -> str:
        return _drain(self.err)

    def stdout(self) -> str:
        return _drain(self.out)


def _drain(fd: int) -> str:
    data = b""
    while select.select([fd], [], [], PATIENCE)[0]:
        piece = os.read(fd, 65536)
        if not piece:
            break
        data += piece
    return data.decode()


def _eventfd() -> int:
    import ctypes

    return int(ctypes.CDLL(None).eventfd(0, _EVENTFD))


def post(token: int) -> None:
    """Put one into the eventfd: there is a frame to claim."""
    os.write(token, (1).to_bytes(8, sys.byteorder))


class FakeNursery:
    """A real nursery, with a host that a test can be."""

    def __init__(self, host: int | None = None, stderr: int | None = None, **setup: Any) -> None:
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(PATIENCE)
        program = [sys.executable, "-c", BOOTSTRAP, SDK, ""]
        # As the host has it where memory is limited: a free-threaded Python would map a gigabyte at once.
        env = os.environ | ({"MIMALLOC_ARENA_RESERVE": "16m"} if "memory_limit" in setup else {})
        self.process = subprocess.Popen(program, stdin=theirs.fileno(), stderr=stderr, cwd="/", env=env)
        theirs.close()
        self.workers: list[FakeWorker] = []
        profile = setup.get("profile", {})
        slots = profile["concurrency"] + 1 if profile.get("kind") == "async" else profile.get("threads", 1)
        withheld = _withheld.SIZE if profile.get("kind", "process") == "process" else 0
        self.text = -(-slots * 512 // 4096) * 4096 + withheld
        self.tell("setup", name="test", host=os.getpid() if host is None else host, **{"path": [HERE], **setup})

    def tell(self, op: str, fds: list[int] | None = None, **keys: Any) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([pack({"op": op, **keys})], rights)

    def hear(self) -> dict[str, Any]:
        data, fds, _, _ = socket.recv_fds(self.sock, 65536, 4)
        if not data:
            raise Gone
        packet: dict[str, Any] = msgspec.msgpack.decode(data)
        if fds:
            packet["fd"] = fds[0]
        return packet

    def ready(self) -> dict[str, Any]:
        packet = self.hear()
        assert packet["op"] == "ready", packet
        return packet

    def start(self, epoch: int = 1, slot: int = 0) -> FakeWorker:
        worker = FakeWorker(self.text)
        self.tell("start", worker.theirs_fds(), epoch=epoch, slot=slot)
        worker.handed_over()
        packet = self.hear()
        assert (packet["op"], packet["epoch"]) == ("started", epoch), packet
        worker.pid, worker.pidfd = packet["pid"], packet["fd"]
        self.workers.append(worker)
        return worker

    def worker(self, epoch: int = 1) -> FakeWorker:
        worker = self.start(epoch)
        worker.hello()
        return worker

    def close(self) -> None:
        self.sock.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            for worker in self.workers:
                worker.close()


def wait_gone(pid: int) -> None:
    """Wait for the end of a process that is not ours; events where there are any."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], PATIENCE)[0], f"process {pid} does not die"
    finally:
        os.close(fd)


__all__ = ["FakeNursery", "FakeWorker", "Gone", "pack", "post", "signal", "time", "wait_gone"]
