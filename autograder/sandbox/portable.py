"""Workers without fork, sockets or anything else that only Unix has: an interpreter each, spoken to through its pipes.

No containment and no limits: only for one's own code. The next interpreter is started ahead, because importing torch
takes a second and more.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, NoReturn

from autograder.sandbox.channel import DEFAULTS, MOST_OUTPUT_BYTES, Buffer, Ended
from autograder.sandbox.control import READY
from autograder.sandbox.errors import SandboxError, TimedOut, WorkerGone
from autograder.sandbox.limits import Limits

START_SECONDS = 120.0
MOST_UNREAD_BYTES = 8 << 20
PIECE_BYTES = 1 << 16
THREADS = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from autograder.sandbox.portable import main; main()"


class PipeWorker:
    """A worker at the other end of two pipes. Threads do the waiting, because Windows cannot wait for a pipe."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._change = threading.Condition()
        self._unread, self._unsent = bytearray(), bytearray()
        self._output, self._printed, self._keep = bytearray(), 0, DEFAULTS.output_bytes
        self._closed = False
        self._ended: Ended | None = None
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._pumps = [
            threading.Thread(target=target, args=(pipe,), daemon=True)
            for target, pipe in (
                (self._write, process.stdin),
                (self._read, process.stdout),
                (self._listen, process.stderr),
            )
        ]
        for pump in self._pumps:
            pump.start()

    def begin(self, limits: Limits, seed: int) -> None:
        """Wait for a worker that was started ahead, and give it its seed. Raises SandboxError."""
        self._keep = limits.output_bytes
        try:
            if self.receive(1, START_SECONDS) != READY:
                raise SandboxError("a worker printed something before it was asked to")
            self.send([seed.to_bytes(8, "little")], START_SECONDS)
        except (TimedOut, WorkerGone) as error:
            last = self.stop().output.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise SandboxError(f"a worker did not start: {last[0]}") from error

    def pending(self) -> bool:
        with self._change:
            return bool(self._unread)

    def send(self, buffers: Iterable[Buffer], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._change:
            for buffer in buffers:
                self._unsent += buffer
            self._change.notify_all()
            self._until(lambda: not self._unsent, deadline)

    def receive(self, size: int, seconds: float) -> bytearray:
        deadline = time.monotonic() + seconds
        data = bytearray()
        with self._change:
            while len(data) < size:
                self._until(lambda: bool(self._unread), deadline)
                piece = self._unread[: size - len(data)]
                del self._unread[: len(piece)]
                data += piece
                self._change.notify_all()
        return data

    def stop(self) -> Ended:
        if self._ended is None:
            # A worker that closed its channel is about to end by itself; how it does is worth a moment.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.25 if self._closed else 0)
            status = self._process.poll()
            self._process.kill()
            self._process.wait()
            with self._change:
                self._closed = True
                self._change.notify_all()
            for pump in self._pumps:
                pump.join(1)
            output = bytes(self._output[-self._keep :])
            if status is None:
                self._ended = Ended("flooded" if self._printed > MOST_OUTPUT_BYTES else "stopped", output=output)
            elif status < 0:
                self._ended = Ended("signalled", signal=-status, output=output)
            else:
                self._ended = Ended("exited", code=status, output=output)
        return self._ended

    def __enter__(self) -> PipeWorker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # --- the three threads; each ends when its pipe does

    def _write(self, pipe: BinaryIO) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: bool(self._unsent) or self._closed)
                if self._closed:
                    break
                piece = bytes(self._unsent[:PIECE_BYTES])
            try:
                count = os.write(pipe.fileno(), piece)
            except OSError:
                break
            with self._change:
                del self._unsent[:count]
                self._change.notify_all()
        self._close()
        with contextlib.suppress(OSError):
            pipe.close()

    def _read(self, pipe: BinaryIO) -> None:
        while piece := pipe.read(PIECE_BYTES):
            with self._change:
                self._unread += piece
                self._change.notify_all()
                self._change.wait_for(lambda: len(self._unread) < MOST_UNREAD_BYTES or self._closed)
        self._close()
        pipe.close()

    def _listen(self, pipe: BinaryIO) -> None:
        while piece := pipe.read(PIECE_BYTES):
            self._printed += len(piece)
            self._output += piece
            del self._output[: -max(self._keep, 1)]
            if self._printed > MOST_OUTPUT_BYTES:
                break
        if self._printed > MOST_OUTPUT_BYTES:
            self._close()
        pipe.close()

    def _close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _until(self, done: Callable[[], bool], deadline: float) -> None:
        while not done():
            if self._closed:
                raise WorkerGone("it ended or closed its channel")
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimedOut
            self._change.wait(remaining)


class PipeForker:
    """Starts interpreters. There is always one more of them than are in use."""

    def __init__(self) -> None:
        self.forks = 0
        self._workers: list[PipeWorker] = []
        self._spare = self._start()

    def worker(self, limits: Limits = DEFAULTS, seed: int = 0) -> PipeWorker:
        worker = self._spare
        worker.begin(limits, seed)
        self.forks += 1
        self._workers = [other for other in self._workers if other._ended is None]
        self._workers.append(worker)
        self._spare = self._start()
        return worker

    def reset(self) -> None:
        while self._workers:
            self._workers.pop().stop()

    def close(self) -> None:
        self.reset()
        self._spare.stop()

    def _start(self) -> PipeWorker:
        package = Path(__file__).resolve().parent.parent
        process = subprocess.Popen(
            [sys.executable, "-P", "-B", "-c", BOOT, str(package.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **THREADS, "PYTHONHASHSEED": "0"},
        )
        return PipeWorker(process)


def main() -> NoReturn:
    """Be a worker: keep the pipes for the channel, print to standard error, answer."""
    if sys.platform == "win32":
        import msvcrt

        for number in (0, 1):
            msvcrt.setmode(number, os.O_BINARY)
    reading, writing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    from autograder.sandbox.lockdown import prepare_libraries
    from autograder.worker import serve_over

    def read(size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            piece = os.read(reading, min(size - len(data), PIECE_BYTES))
            if not piece:
                raise EOFError
            data += piece
        return data

    def write(piece: bytes | memoryview) -> None:
        view = memoryview(piece).cast("B")
        while len(view):
            view = view[os.write(writing, view) :]

    write(READY)
    prepare_libraries(int.from_bytes(read(8), "little"))
    serve_over(read, write)
    os._exit(0)
