"""Which system calls a worker may make: an allow-list, as a BPF program made here for x86-64 and aarch64.

Whatever is not listed returns EPERM, which Python reports as a PermissionError, so that a submission that tries is told
so and goes on. A call through another ABI (32-bit `int 0x80`, x32 numbers) kills the process, because a filter that
reads numbers cannot say what such a call means. `clone3` returns ENOSYS: its flags lie in memory that a filter cannot
read, and the C library then falls back to `clone`, whose flags are in a register.

Some calls are let through for some arguments only (`CHOICES`): threads but no processes, signals to oneself, ioctls
and fcntls that Python uses on files, resource limits read but not set.

What is out although it looks harmless:
- Every call on sockets. The channel is one, and read and write are enough for it. `sendmsg` and `recvmsg` move file
  descriptors; `send` and `recv` reach out-of-band data (CVE-2025-38236: from there to the kernel).
- `chmod`, `utimensat` and `truncate` and their kin. Landlock has no say in the first two, nor, before its version 3, in
  the last: where a sandbox shares its user id, a submission could open that user's private files to everybody.
- `fallocate`. It takes 24 GB of a disk in a sixth of a second, before anybody can look.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import NamedTuple

from autograder.sandbox import kernel

# name, number on x86-64, number on aarch64 ("-" where that machine has no such call)
ALLOWED = """
read 0 63  write 1 64  readv 19 65  writev 20 66  pread64 17 67  pwrite64 18 68  close 3 57  lseek 8 62
futex 202 98  mmap 9 222  munmap 11 215  mprotect 10 226  mremap 25 216  madvise 28 233  msync 26 227  brk 12 214
rt_sigaction 13 134  rt_sigprocmask 14 135  rt_sigreturn 15 139  rt_sigpending 127 136  rt_sigsuspend 130 133
rt_sigtimedwait 128 137  sigaltstack 131 132  restart_syscall 219 128
open 2 -  openat 257 56  creat 85 -  stat 4 -  fstat 5 80  lstat 6 -  newfstatat 262 79  statx 332 291
statfs 137 43  fstatfs 138 44  access 21 -  faccessat 269 48  faccessat2 439 439  readlink 89 -  readlinkat 267 78
getcwd 79 17  chdir 80 49  fchdir 81 50  getdents64 217 61  fadvise64 221 223
dup 32 23  dup2 33 -  dup3 292 24  pipe 22 -  pipe2 293 59  close_range 436 436
poll 7 -  ppoll 271 73  select 23 -  pselect6 270 72  eventfd2 290 19
epoll_create1 291 20  epoll_ctl 233 21  epoll_wait 232 -  epoll_pwait 281 22
unlink 87 -  unlinkat 263 35  mkdir 83 -  mkdirat 258 34  rmdir 84 -  rename 82 -  renameat 264 38  renameat2 316 276
ftruncate 77 46  fsync 74 82  fdatasync 75 83  umask 95 166
set_robust_list 273 99  set_tid_address 218 96  rseq 334 293  getcpu 309 168  sched_yield 24 124
sched_getaffinity 204 123  sched_getparam 143 121  sched_getscheduler 145 120
sched_get_priority_max 146 125  sched_get_priority_min 147 126
nanosleep 35 101  clock_nanosleep 230 115  clock_gettime 228 113  clock_getres 229 114  gettimeofday 96 169
time 201 -  times 100 153  getrusage 98 165  getrlimit 97 163  alarm 37 -  getitimer 36 102  setitimer 38 103
pause 34 -
getpid 39 172  getppid 110 173  gettid 186 178  getuid 102 174  geteuid 107 175  getgid 104 176  getegid 108 177
getresuid 118 148  getresgid 120 150  getgroups 115 158  getpgrp 111 -  getpgid 121 155  getsid 124 156
uname 63 160  sysinfo 99 179  getrandom 318 278
exit 60 93  exit_group 231 94
"""


class Choice(NamedTuple):
    """A call that is let through for some values of one argument: its numbers, which argument, what values."""

    name: str
    numbers: tuple[int, int | None]
    argument: int
    values: tuple[int, ...] = ()


CLONE_THREAD = 0x00010000
CLONE_ANY_NAMESPACE = 0x7E020080  # NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET

SELF = -1  # stands for the worker's own process number

# Calls that are let through where the low half of one argument is among some values (the kernel reads no more of them).
CHOICES = (
    # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: nothing that types into a terminal
    Choice("ioctl", (16, 29), 1, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),
    # F_DUPFD to F_SETLKW, F_DUPFD_CLOEXEC, F_GETPIPE_SZ: neither F_SETOWN (signals) nor F_SETPIPE_SZ (memory)
    Choice("fcntl", (72, 25), 1, (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032)),
    # PR_SET_NAME, PR_SET_VMA (the C library names its memory): neither PR_SET_DUMPABLE nor PR_SET_PTRACER
    Choice("prctl", (157, 167), 0, (15, 0x53564D41)),
    # ARCH_GET_XCOMP_SUPP, ARCH_GET_XCOMP_PERM, ARCH_REQ_XCOMP_PERM: matrix registers (AMX) of newer processors
    Choice("arch_prctl", (158, None), 0, (0x1021, 0x1022, 0x1023)),
    Choice("kill", (62, 129), 0, (SELF,)),
    Choice("tgkill", (234, 131), 0, (SELF,)),
)
# A call that is let through where a pointer is null: the new limits of prlimit64.
NULLS = (Choice("prlimit64", (302, 261), 2),)
CLONE = Choice("clone", (56, 220), 0)
CLONE3 = 435


class Machine(NamedTuple):
    """A processor family as the kernel names it."""

    column: int  # in ALLOWED
    audit: int  # AUDIT_ARCH_*
    seccomp: int  # the number of seccomp(2)
    has_x32: bool


MACHINES = {"x86_64": Machine(0, 0xC000003E, 317, True), "aarch64": Machine(1, 0xC00000B7, 277, False)}

LOAD_WORD, JUMP_EQUAL, JUMP_AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, KILL_PROCESS, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; both machines are little-endian
SECCOMP_SET_MODE_FILTER = 1

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def machine() -> Machine:
    """This machine. Raises OSError where no table was made for it."""
    name = platform.machine()
    if name not in MACHINES:
        raise OSError(errno.ENOSYS, f"there is no system-call table for {name}, only for {' and '.join(MACHINES)}")
    return MACHINES[name]


def allowed(on: Machine) -> dict[str, int]:
    """Names and numbers of the calls that are let through whatever their arguments are."""
    words = ALLOWED.split()
    rows = zip(words[::3], words[1::3], words[2::3], strict=True)
    return {row[0]: int(row[1 + on.column]) for row in rows if row[1 + on.column] != "-"}


def _when(number: int | None, body: list[Instruction]) -> list[Instruction]:
    """`body`, which must return, for one system call, whose number is in the accumulator. Nothing where it has none."""
    return [] if number is None else [(JUMP_EQUAL, 0, len(body), number), *body]


def _low(choice: Choice) -> int:
    return ARGUMENT + 8 * choice.argument


def program(on: Machine, own_pid: int) -> list[Instruction]:
    """The filter for a worker whose process number (in its own namespace) is `own_pid`."""
    code: list[Instruction] = [
        (LOAD_WORD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, on.audit),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD_WORD, 0, 0, NUMBER),
    ]
    if on.has_x32:
        code += [(JUMP_AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, KILL_PROCESS)]
    for number in allowed(on).values():
        code += _when(number, [(RETURN, 0, 0, ALLOW)])
    denied: Instruction = (RETURN, 0, 0, FAIL | errno.EPERM)
    for choice in CHOICES:
        body: list[Instruction] = [(LOAD_WORD, 0, 0, _low(choice))]
        for value in choice.values:
            body += [(JUMP_EQUAL, 0, 1, own_pid if value == SELF else value), (RETURN, 0, 0, ALLOW)]
        code += _when(choice.numbers[on.column], [*body, denied])
    for choice in NULLS:
        body = [(LOAD_WORD, 0, 0, _low(choice)), (JUMP_EQUAL, 1, 0, 0), denied]
        body += [(LOAD_WORD, 0, 0, _low(choice) + 4), (JUMP_EQUAL, 1, 0, 0), denied, (RETURN, 0, 0, ALLOW)]
        code += _when(choice.numbers[on.column], body)
    body = [(LOAD_WORD, 0, 0, _low(CLONE)), (AND, 0, 0, CLONE_THREAD | CLONE_ANY_NAMESPACE)]
    body += [(JUMP_EQUAL, 0, 1, CLONE_THREAD), (RETURN, 0, 0, ALLOW), denied]
    code += _when(CLONE.numbers[on.column], body)
    code += _when(CLONE3, [(RETURN, 0, 0, FAIL | errno.ENOSYS)])
    return [*code, denied]


def install() -> None:
    """Put the filter on this thread, for good. Needs no privilege once no-new-privileges is set; raises OSError."""
    on = machine()
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program(on, os.getpid()))
    instructions = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
    kernel.syscall("seccomp", on.seccomp, SECCOMP_SET_MODE_FILTER, 0, ctypes.create_string_buffer(header, len(header)))
