"""Workers for one's own code: forked from here, or, where nothing forks, an interpreter each."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from autograder import sandbox, wire


@pytest.fixture(scope="module", params=["forked", "portable"])
def forker(request: pytest.FixtureRequest) -> Iterator[sandbox.Forker]:
    found = sandbox.start_here(portable=request.param == "portable")
    yield found
    found.close()


def ask(worker: sandbox.Worker, operation: wire.Operation, seconds: float = 20.0) -> object:
    question = wire.Question(nonce=b"n" * 16, operation=operation, sizes=[])
    worker.send(wire.frame(question, []), seconds)
    header, body = wire.lengths(bytes(worker.receive(wire.PREFIX.size, seconds)))
    reply = wire.reply(bytes(worker.receive(header, seconds)))
    worker.receive(body, seconds)
    return reply.outcome


def call(worker: sandbox.Worker, name: str) -> object:
    return ask(worker, wire.Call(wire.TargetNode(-1, name)))


SOURCE = b"""
import os, random, sys
def answer(): return 42
def draw(): return random.random()
def leave(): os._exit(7)
def crash(): os.abort()
def forever():
    while True: pass
def chatter():
    print("said"); print("complained", file=sys.stderr); return None
"""


@pytest.fixture
def worker(forker: sandbox.Forker) -> Iterator[sandbox.Worker]:
    with forker.worker() as found:
        ask(found, wire.Load("submission", SOURCE))
        yield found


def test_it_answers(worker: sandbox.Worker) -> None:
    assert call(worker, "answer") == wire.Answer(42)
    assert not worker.pending()


def test_what_it_prints_is_kept(worker: sandbox.Worker) -> None:
    call(worker, "chatter")
    ended = worker.stop()
    assert ended.how == "stopped"
    assert set(ended.output.splitlines()) == {b"said", b"complained"}


def test_an_endless_loop_times_out_and_is_stopped(worker: sandbox.Worker) -> None:
    with pytest.raises(sandbox.TimedOut):
        ask(worker, wire.Call(wire.TargetNode(-1, "forever")), 0.2)
    assert worker.stop().how == "stopped"


def test_its_exit_code_is_reported(worker: sandbox.Worker) -> None:
    with pytest.raises(sandbox.WorkerGone):
        call(worker, "leave")
    assert (ended := worker.stop()).how == "exited"
    assert ended.code == 7


def test_its_signal_is_reported(worker: sandbox.Worker) -> None:
    with pytest.raises(sandbox.WorkerGone):
        call(worker, "crash")
    assert worker.stop().signal == signal.SIGABRT


def test_it_starts_from_its_seed(forker: sandbox.Forker) -> None:
    drawn = []
    for seed in (1, 1, 2):
        with forker.worker(seed=seed) as worker:
            ask(worker, wire.Load("submission", SOURCE))
            drawn.append(call(worker, "draw"))
    assert drawn[0] == drawn[1] != drawn[2]


def test_sending_to_one_that_never_reads_times_out(forker: sandbox.Forker) -> None:
    with forker.worker() as worker:
        ask(worker, wire.Load("submission", SOURCE))
        worker.send(wire.frame(wire.Question(b"n" * 16, wire.Call(wire.TargetNode(-1, "forever")), []), []), 5.0)
        with pytest.raises(sandbox.TimedOut):
            worker.send([bytes(16 << 20)], 0.3)


def test_the_zygotes_end_when_they_are_closed() -> None:
    forker = sandbox.start_here(portable=False)
    forker.worker()
    pids = [zygote._pid for zygote in forker._both]  # type: ignore[attr-defined]
    forker.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    forker.close()


def test_workers_come_from_the_zygote_that_imported_more_once_it_is_ready() -> None:
    forker = sandbox.start_here(portable=False)
    quick, whole = forker._both  # type: ignore[attr-defined]
    forker.worker().stop()
    while not whole.ready and not whole.forks:
        time.sleep(0.05)
    forker.worker().stop()
    assert (quick.forks, whole.forks) in ((1, 1), (0, 2))
    assert forker.forks == 2
    forker.close()


def test_minus_one_attaches_to_the_portable_forker() -> None:
    forker = sandbox.attach(-1)
    with forker.worker() as worker:
        ask(worker, wire.Load("submission", SOURCE))
        assert call(worker, "answer") == wire.Answer(42)
    assert forker.forks == 1
    forker.close()
