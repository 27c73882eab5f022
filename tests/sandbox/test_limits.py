"""What a submission can use up: its own share."""

from __future__ import annotations

import signal

from sandbox_shell import Shell

from autograder import sandbox

SMALL = sandbox.Limits(memory_mebibytes=200, cpu_seconds=1, file_mebibytes=8, files=20, processes=8)


def worker(forker: sandbox.Forker) -> Shell:
    return Shell(forker.worker(SMALL))


def test_memory_ends_in_a_memory_error(forker: sandbox.Forker) -> None:
    shell = worker(forker)
    assert shell.run("x = bytearray(100 << 20); answer = len(x)") == 100 << 20
    assert shell.run("x = bytearray(300 << 20)") == ("MemoryError", None)
    assert shell.run("answer = 'alive'") == "alive"


def test_shared_memory_counts_too(forker: sandbox.Forker) -> None:
    assert worker(forker).run("import mmap; x = mmap.mmap(-1, 300 << 20)") == ("OSError", 12)


def test_processor_time_is_limited(forker: sandbox.Forker) -> None:
    ended = worker(forker).end("while True: pass")
    assert ended.signal == signal.SIGXCPU
    assert 0.5 < ended.cpu_seconds < 3  # the kernel counts by the tick


def test_processor_time_is_limited_for_a_worker_that_ignores_the_warning(forker: sandbox.Forker) -> None:
    ended = worker(forker).end("import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass")
    assert ended.signal == signal.SIGKILL


def test_a_file_has_a_limit(forker: sandbox.Forker) -> None:
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); open('a', 'wb').write(bytes(9 << 20))"
    assert worker(forker).run(code) == ("OSError", 27)


def test_open_files_have_a_limit(forker: sandbox.Forker) -> None:
    assert worker(forker).run("files = [open('/dev/null') for _ in range(30)]") == ("OSError", 24)


def test_threads_have_a_limit(forker: sandbox.Forker, level: str) -> None:
    code = """
import threading, time
threading.stack_size(65536)
answer = 0
try:
    for _ in range(1500):
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
        answer += 1
except RuntimeError:
    pass
"""
    # Memory for all of them: a thread that gets none never says that it has started.
    started = Shell(forker.worker(sandbox.Limits(processes=8))).run(code)
    # Without namespaces the kernel counts all threads of the user id, so room is left for others.
    assert started < 10 if level == "full" else started < 1500


def test_tmp_has_a_limit_of_bytes_and_of_files_at_full(forker: sandbox.Forker, level: str) -> None:
    if level == "full":
        with forker.worker() as roomy:
            shell = Shell(roomy)
            assert shell.run("for i in range(3): open(str(i), 'wb').write(bytes(30 << 20))") == ("OSError", 28)
            assert shell.run("for i in range(5000): open(f'f{i}', 'w').close()") == ("OSError", 28)


def test_files_have_a_limit_all_together_at_landlock(forker: sandbox.Forker, level: str) -> None:
    if level == "landlock":
        for code in (
            "for i in range(100): open(str(i), 'wb').write(bytes(30 << 20))",
            "for i in range(10**9): open(f'f{i}', 'w').close()",
            "import os\nwhile True: os.mkdir('d'); os.chdir('d')",
        ):
            assert Shell(forker.worker()).end(code).how == "flooded"


def test_a_bomb_of_nested_directories_is_removed(forker: sandbox.Forker) -> None:
    with forker.worker() as bomber:
        code = """
import os
for i in range(1500):
    os.mkdir("d"); open("f", "w").close(); os.chdir("d")
answer = "made"
"""
        assert Shell(bomber).run(code) == "made"
    with forker.worker() as next_one:
        assert Shell(next_one).run("answer = 1") == 1


def test_deep_recursion_ends_no_more_than_the_worker(forker: sandbox.Forker) -> None:
    code = "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()"
    shell = worker(forker)
    shell.begin(code)
    try:
        shell.worker.receive(4, 20)
    except sandbox.WorkerGone:
        assert shell.worker.stop().signal in (signal.SIGSEGV, signal.SIGKILL, signal.SIGXCPU)
