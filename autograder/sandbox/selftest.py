"""What a worker tries at the start of every sandbox: each must fail, or the sandbox is refused.

It runs inside a worker, after lock-down, on ground that the orchestrator has prepared: canary files that exist outside
and must not be readable here. It also tries what must work, because a sandbox in which torch cannot add is no use.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
import threading
from collections.abc import Callable

import msgspec

LENGTH = struct.Struct(">I")
# Raw system calls that must be refused before the kernel does anything: name, number on x86-64, number on aarch64.
REFUSED = """
unshare 272 97  mount 165 40  umount2 166 39  chroot 161 51  pivot_root 155 41  setns 308 268
ptrace 101 117  process_vm_readv 310 270  process_vm_writev 311 271  kcmp 312 272  pidfd_open 434 434
memfd_create 319 279  userfaultfd 323 282  perf_event_open 298 241  bpf 321 280  keyctl 250 219  add_key 248 217
io_uring_setup 425 425  socket 41 198  sendmsg 46 211  recvmsg 47 212  shmget 29 194  setuid 105 146  setgid 106 144
open_by_handle_at 304 265  init_module 175 105  personality 135 92  quotactl 179 60  mknodat 259 33  linkat 265 37
symlinkat 266 36  execve 59 221  execveat 322 281  fchown 93 55  setrlimit 160 164
acct 163 89  swapon 167 224  mlockall 151 230
sendto 44 206  recvfrom 45 207  fallocate 285 47  truncate 76 45  fchmod 91 52  fchmodat 268 53  fchmodat2 452 452
utimensat 280 88  fsetxattr 190 7  flock 73 32
"""
SOCKETS = (
    ("AF_INET", socket.SOCK_STREAM),
    ("AF_INET6", socket.SOCK_DGRAM),
    ("AF_UNIX", socket.SOCK_STREAM),
    ("AF_VSOCK", socket.SOCK_STREAM),
    ("AF_NETLINK", socket.SOCK_RAW),
    ("AF_PACKET", socket.SOCK_RAW),
    ("AF_ALG", socket.SOCK_RAW),
)


class Ground(msgspec.Struct, frozen=True):
    """What the orchestrator tells the test."""

    level: str
    hidden: tuple[str, ...]  # files that exist outside
    memory_mebibytes: int
    readable: str = ""  # a file of the grader's own user that may be read


class Finding(msgspec.Struct, frozen=True):
    """Something that should not be: which layer let it through, and what it was."""

    layer: str
    what: str


def refused(action: Callable[..., object], *arguments: object, also: tuple[int, ...] = ()) -> bool:
    """Whether `action` is refused with EPERM, EACCES, or one of the errors in `also`."""
    try:
        action(*arguments)
    except OSError as error:
        return error.errno in (errno.EPERM, errno.EACCES, *also)
    except ValueError:  # which is what `resource` makes of EPERM
        return True
    return False


def _raw(number: int) -> int:
    """The error of a system call with arguments that would do nothing anyway, 0 where it succeeds."""
    libc = ctypes.CDLL(None, use_errno=True)
    bad = ctypes.c_long(-1)
    return ctypes.get_errno() if libc.syscall(ctypes.c_long(number), bad, bad, bad, bad, bad, bad) < 0 else 0


def _fork() -> None:
    if not os.fork():
        os._exit(0)


def _read(path: str) -> None:
    with open(path) as file:
        file.read(1)


def _socket(family: int, kind: int) -> None:
    socket.socket(family, kind).close()


def _write(path: str) -> None:
    with open(path, "w") as file:
        file.write("here")


def _descriptors() -> list[int]:
    import resource

    found = []
    for number in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def findings(ground: Ground) -> list[Finding]:
    """Everything that does not hold."""
    import resource

    found: list[Finding] = []

    def expect(layer: str, holds: bool, otherwise: str) -> None:
        if not holds:
            found.append(Finding(layer, otherwise))

    full, gpu = ground.level == "full", ground.level == "gpu"
    absent = (errno.ENOENT,)
    for path in ground.hidden:
        expect("landlock", refused(_read, path, also=absent), f"{path} could be read")
        if full:
            expect("bubblewrap", not os.path.exists(path), f"{path} is there")
    machine = () if gpu else ("/proc/self/environ", "/proc/self/maps", "/sys/kernel/notes")
    for path in ("/etc/passwd", "/proc/1/environ", *machine):
        expect("landlock", refused(_read, path, also=absent), f"{path} could be read")
    for path in (*(() if gpu else ("/proc",)), "/", "/home", "/tmp/.."):
        expect("landlock", refused(os.listdir, path, also=absent), f"{path} could be listed")
    if ground.readable:
        # Before its version 3 Landlock lets a file be emptied that may be read, where the user id is the same.
        expect("landlock", not refused(_read, ground.readable), f"{ground.readable} could not be read")
        expect("landlock", refused(os.open, ground.readable, os.O_RDONLY | os.O_TRUNC), "a file could be emptied")
        expect("landlock", refused(os.unlink, ground.readable), "a file could be removed")
        if not gpu or os.getuid() != os.stat(ground.readable).st_uid:
            expect("seccomp", refused(os.chmod, ground.readable, 0o666), "a file's mode could be changed")
            expect("seccomp", refused(os.utime, ground.readable), "a file's times could be changed")
    for path in ("/written", "/dev/shm/written", "/var/tmp/written", os.path.dirname(__file__) + "/written"):
        expect("landlock", refused(_write, path, also=(*absent, errno.EROFS)), f"{path} could be written")
    if full:
        expect("namespaces", os.getpid() == 2 and os.getppid() == 1, "the worker can see other processes' numbers")
        expect("namespaces", not os.path.exists("/proc/1"), "/proc is not empty")
        expect("namespaces", os.uname().nodename == "sandbox", "the machine's name is visible")
        mounted = os.statvfs("/tmp")
        expect("namespaces", mounted.f_blocks * mounted.f_frsize <= 64 << 20, "/tmp is not the worker's own")
        expect("namespaces", bool(mounted.f_flag & os.ST_NOEXEC), "files in /tmp could be executed")
    expect("user", os.getresuid()[0] != 0 and os.getresgid()[0] != 0, "the worker is root")
    expect("seccomp", refused(os.setuid, 0), "it could become root")
    if not gpu:
        expect("seccomp", refused(_fork), "it could make a process")
        expect("seccomp", refused(os.kill, 1, 0), "it could send a signal to another process")
        for name, kind in SOCKETS:
            family = getattr(socket, name, None)
            expect("seccomp", family is None or refused(_socket, family, kind), f"it could open a socket ({name})")
        words = REFUSED.split()
        column = {"x86_64": 1, "aarch64": 2}[platform.machine()]
        for name, number in zip(words[::3], words[column::3], strict=True):
            expect("seccomp", _raw(int(number)) == errno.EPERM, f"the system call {name} was not refused")
    expect("descriptors", _descriptors() == [0, 1, 2, 3], f"files {_descriptors()} are open, not 0 to 3")
    for name, most in (
        *(() if gpu else (("RLIMIT_AS", (ground.memory_mebibytes + 8192) << 20),)),
        *(() if gpu else (("RLIMIT_DATA", (ground.memory_mebibytes + 4096) << 20),)),
        ("RLIMIT_CPU", 24 * 3600),
        ("RLIMIT_FSIZE", 1 << 30),
        ("RLIMIT_NOFILE", 1024),
        ("RLIMIT_NPROC", 1 << 16),
        ("RLIMIT_MEMLOCK", 1 << 20),
        ("RLIMIT_CORE", 0),
    ):
        soft, hard = resource.getrlimit(getattr(resource, name))
        expect("rlimits", 0 <= soft <= most and 0 <= hard <= most, f"{name} is not limited")
    expect("rlimits", refused(resource.setrlimit, resource.RLIMIT_CORE, (1, 1)), "limits could be raised")
    found += [Finding("works", text) for text in _broken()]
    return found


def _broken() -> list[str]:
    """What should work and does not."""
    broken = []
    scratch = os.environ["TMPDIR"] + "/written"
    try:
        _write(scratch)
        os.unlink(scratch)
    except OSError as error:
        broken.append(f"a file in the worker's own directory: {error}")
    try:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    except (OSError, RuntimeError) as error:
        broken.append(f"a thread: {error}")
    torch = sys.modules.get("torch")
    if torch is not None:
        try:
            x = torch.eye(3, requires_grad=True)
            (x @ x).sum().backward()
        except (OSError, RuntimeError) as error:
            broken.append(f"a gradient: {error}")
    return broken


def answer(channel: int) -> None:
    """Read the ground from the channel, test, write the findings."""
    size = LENGTH.unpack(os.read(channel, LENGTH.size))[0]
    ground = msgspec.json.decode(os.read(channel, size), type=Ground)
    reply = msgspec.json.encode(findings(ground))
    os.write(channel, LENGTH.pack(len(reply)) + reply)
