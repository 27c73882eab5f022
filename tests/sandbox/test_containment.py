"""What a submission can reach: nothing that is not its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_shell import Shell

from autograder import sandbox
from autograder.sandbox import landlock

DENIED = ("PermissionError", 1), ("PermissionError", 13)
ABSENT = ("FileNotFoundError", 2)


@pytest.fixture
def canary() -> Iterator[Path]:
    """A file that anybody may read who can reach it."""
    with tempfile.NamedTemporaryFile(dir="/var/tmp", delete=False) as file:
        file.write(b"secret")
    os.chmod(file.name, 0o644)
    yield Path(file.name)
    os.unlink(file.name)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/hostname",
        "/proc/self/environ",
        "/proc/1/cmdline",
        "/proc/cpuinfo",
        "/sys/kernel/notes",
        "/dev/tty",
    ],
)
def test_files_of_the_machine_cannot_be_read(shell: Shell, path: str) -> None:
    assert shell.run(f"open({path!r}).read()") in (*DENIED, ABSENT, ("OSError", 6))


def test_a_file_outside_can_neither_be_read_nor_written(shell: Shell, canary: Path) -> None:
    assert shell.run(f"open({str(canary)!r}).read()") in (*DENIED, ABSENT)
    assert shell.run(f"open({str(canary)!r}, 'w')") in (*DENIED, ABSENT, ("OSError", 30))
    assert canary.read_text() == "secret"


def test_at_full_a_file_outside_does_not_even_exist(shell: Shell, level: str, canary: Path) -> None:
    if level == "full":
        assert shell.run(f"import os; answer = os.path.exists({str(canary)!r})") is False


def test_this_package_is_absent_but_for_the_workers_own_files(shell: Shell) -> None:
    assert shell.run("import autograder.judge") == ("ModuleNotFoundError", None)
    assert shell.run("import autograder.suites") == ("ModuleNotFoundError", None)
    assert shell.run("import autograder.sandbox.launch") == ("ModuleNotFoundError", None)


@pytest.mark.parametrize("name", ["pytest", "hypothesis", "packaging", "pip", "transformers", "tokenizers"])
def test_a_distribution_that_was_not_named_cannot_be_imported(shell: Shell, name: str) -> None:
    assert shell.run(f"import {name}") == ("ModuleNotFoundError", None)


def test_the_runtime_cannot_be_changed(shell: Shell) -> None:
    assert shell.run("import numpy; open(numpy.__file__, 'a')") in (*DENIED, ("OSError", 30))
    assert shell.run("import os, numpy; os.unlink(numpy.__file__)") in (*DENIED, ("OSError", 30))


def test_only_the_channel_and_the_output_are_open(shell: Shell) -> None:
    code = """
import os
answer = []
for number in range(1024):
    try: os.fstat(number); answer.append(number)
    except OSError: pass
"""
    assert shell.run(code) == [0, 1, 2, 3]


def test_the_environment_holds_nothing_of_ours(shell: Shell) -> None:
    os.environ["AUTOGRADER_TEST_CANARY"] = "secret"
    names = shell.run("import os; answer = sorted(os.environ)")
    del os.environ["AUTOGRADER_TEST_CANARY"]
    ours = {
        name for name in os.environ if not name.startswith(("OMP_", "OPENBLAS_", "MKL_", "PYTHONHASHSEED", "TORCH"))
    }
    assert not (set(names) & ours) - {"HOME", "USER", "LANG", "PWD", "TMPDIR", "LD_LIBRARY_PATH"}


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.fork()",
        "import os; os.posix_spawn('/bin/true', ['true'], {})",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.execv('/bin/sh', ['sh'])",
        "import os; os.kill(1, 0)",
        "import os; os.kill(-1, 0)",
        "import os; os.kill(os.getppid(), 15)",
        "import os; os.setuid(0)",
        "import os; os.symlink('a', 'b')",
        "import os; os.mkfifo('a')",
        "import os; os.link('a', 'b')",
        "import os; os.sched_setaffinity(0, {0})",
        "import os; os.nice(-1)",
        "import os; os.memfd_create('a')",
        "import os; os.pidfd_open(os.getpid())",
        "import socket; socket.socket()",
        "import socket; socket.socketpair()",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "import os, socket; socket.socket(1, 1, 0, os.dup(channel)).sendmsg([b'x'])",
        "import os, socket; socket.socket(1, 1, 0, os.dup(channel)).sendto(b'x', '/tmp/there')",
        "import os, socket; socket.socket(1, 1, 0, os.dup(channel)).send(b'x', socket.MSG_OOB)",
        "import os, socket; socket.socket(1, 1, 0, os.dup(channel)).recv(1, socket.MSG_OOB)",
        "import os; open('own', 'w').close(); os.chmod('own', 0o777)",
        "import os; os.fchmod(os.open('/dev/null', os.O_RDONLY), 0o666)",
        "import os; open('own', 'w').close(); os.utime('own')",
        "import os; open('own', 'w').close(); os.truncate('own', 0)",
        "import os; os.posix_fallocate(os.open('own', os.O_CREAT | os.O_WRONLY), 0, 1)",
        "import fcntl; fcntl.fcntl(channel, fcntl.F_SETOWN, 1)",
        "import fcntl; fcntl.ioctl(channel, 0x5412, b'x')",
        "import os; os.close(0); os.setresuid(0, 0, 0)",
    ],
)
def test_a_call_that_leads_out_is_refused(shell: Shell, code: str) -> None:
    assert shell.run(code) in DENIED


def test_limits_cannot_be_raised(shell: Shell) -> None:
    assert shell.run("import resource; resource.setrlimit(resource.RLIMIT_CPU, (999, 999))")[0] in (
        "ValueError",
        "PermissionError",
    )


def test_no_process_can_be_traced_or_read(shell: Shell) -> None:
    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
answer = []
for call in ((16, 1), (0, 0)):
    answer.append((libc.ptrace(call[0], call[1], 0, 0), ctypes.get_errno()))
answer.append((libc.process_vm_readv(1, 0, 0, 0, 0, 0), ctypes.get_errno()))
"""
    assert shell.run(code) == [(-1, 1)] * 3


def test_a_call_in_the_32_bit_abi_ends_the_worker(shell: Shell) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("only x86-64 has `int 0x80`")
    code = r"""
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, getpid; int 0x80; ret
answer = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
    ended = shell.end(code)
    assert (ended.how, ended.signal) == ("signalled", 31)


def test_a_library_of_its_own_cannot_be_loaded_from_tmp_at_full(shell: Shell, level: str) -> None:
    if level == "full":
        code = """
import ctypes, os, sys
import _ctypes
data = open(_ctypes.__file__, "rb").read() if hasattr(_ctypes, "__file__") else b""
open("/tmp/own.so", "wb").write(data)
answer = ctypes.CDLL("/tmp/own.so") and "loaded"
"""
        assert shell.run(code)[0] == "OSError"


def test_one_worker_leaves_nothing_for_the_next(forker: sandbox.Forker) -> None:
    with forker.worker() as worker:
        first = Shell(worker)
        home = first.run("import os, builtins; builtins.poison = 1; open('left', 'w').write('x'); answer = os.getcwd()")
        assert first.run("import os; answer = os.listdir('.')") == ["left"]
    with forker.worker() as worker:
        second = Shell(worker)
        assert second.run("import os; answer = os.listdir('.')") == []
        assert second.run("import builtins; answer = hasattr(builtins, 'poison')") is False
        assert second.run("answer = poison") == ("NameError", None)
    assert not [path for path in Path(tempfile.gettempdir()).glob("left")]
    assert home == "/tmp" or not os.path.exists(home)


def test_workers_cannot_see_each_others_files(forker: sandbox.Forker) -> None:
    with forker.worker() as one, forker.worker() as other:
        place = Shell(one).run("import os; open('mine', 'w').write('x'); answer = os.path.abspath('mine')")
        assert Shell(other).run(f"open({place!r})") in (*DENIED, ABSENT)


def test_neighbours_cannot_signal_each_other(forker: sandbox.Forker) -> None:
    with forker.worker() as one, forker.worker() as other:
        number = Shell(one).run("import os; answer = os.getpid()")
        if number != Shell(other).run("import os; answer = os.getpid()"):
            assert Shell(other).run(f"import os; os.kill({number}, 9)") in DENIED
        assert Shell(one).run("answer = 1") == 1


def test_what_should_work_works(shell: Shell) -> None:
    code = """
import json, os, tempfile, threading, time, fractions, collections, importlib
with tempfile.TemporaryDirectory() as place:
    os.makedirs(place + "/a/b")
    open(place + "/a/b/c", "w").write("x")
    os.rename(place + "/a/b/c", place + "/d")
    kept = open(place + "/d").read()
seen = []
threads = [threading.Thread(target=seen.append, args=(i,)) for i in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
time.sleep(0.01)
import wave, pydoc_data.topics  # not imported before: read from disk now
chance = len(open("/dev/urandom", "rb").read(2)) + len(os.urandom(1))
answer = (kept, sorted(seen), len(pydoc_data.topics.topics) > 10, chance)
"""
    assert shell.run(code) == ("x", [0, 1, 2, 3], True, 3)


def test_the_kernels_landlock_is_new_enough_to_say(shell: Shell) -> None:
    assert landlock.version() >= 1
