"""The filter itself, run here by a small BPF machine, so that both processors' tables are tested on either."""

from __future__ import annotations

import errno
import struct

import pytest

from autograder.sandbox import seccomp

OWN_PID = 2
ALLOWED, KILLED = seccomp.ALLOW, seccomp.KILL_PROCESS
REFUSED, UNKNOWN = seccomp.FAIL | errno.EPERM, seccomp.FAIL | errno.ENOSYS
PTHREAD_FLAGS = 0x3D0F00  # what the C library passes to clone for a thread


def verdict(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    on = seccomp.MACHINES[machine]
    filled = (*arguments, *([0] * (6 - len(arguments))))
    data = struct.pack("<IIQ6Q", number, on.audit if audit is None else audit, 0, *filled)
    code = seccomp.program(on, OWN_PID)
    accumulator, at = 0, 0
    while True:
        operation, if_true, if_false, constant = code[at]
        at += 1
        if operation == seccomp.LOAD_WORD:
            accumulator = struct.unpack_from("<I", data, constant)[0]
        elif operation == seccomp.AND:
            accumulator &= constant
        elif operation == seccomp.JUMP_EQUAL:
            at += if_true if accumulator == constant else if_false
        elif operation == seccomp.JUMP_AT_LEAST:
            at += if_true if accumulator >= constant else if_false
        elif operation == seccomp.RETURN:
            return constant


@pytest.fixture(params=sorted(seccomp.MACHINES))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def number_of(choice: seccomp.Choice, machine: str) -> int:
    number = choice.numbers[seccomp.MACHINES[machine].column]
    if number is None:
        pytest.skip(f"{machine} has no {choice.name}")
    return number


def test_what_is_on_the_list_is_allowed_and_nothing_else(machine: str) -> None:
    on = seccomp.MACHINES[machine]
    listed = set(seccomp.allowed(on).values())
    for number in range(600):
        got = verdict(machine, number, 99, 99, 99, 99, 99, 99)
        if number in listed:
            assert got == ALLOWED
        elif number == seccomp.CLONE3:
            assert got == UNKNOWN
        else:
            assert got == REFUSED


def test_no_number_stands_for_two_calls(machine: str) -> None:
    on = seccomp.MACHINES[machine]
    numbers = [*seccomp.allowed(on).values()]
    numbers += [
        n
        for choice in (*seccomp.CHOICES, *seccomp.NULLS, seccomp.CLONE)
        if (n := choice.numbers[on.column]) is not None
    ]
    assert len(numbers) == len(set(numbers))


def test_another_abi_is_killed(machine: str) -> None:
    assert verdict(machine, 0, audit=0x40000003) == KILLED  # i386
    if machine == "x86_64":
        assert verdict(machine, 0x40000000) == KILLED  # x32


@pytest.mark.parametrize("choice", seccomp.CHOICES, ids=lambda choice: choice.name)
def test_an_argument_may_be_what_is_listed_and_nothing_else(machine: str, choice: seccomp.Choice) -> None:
    number = number_of(choice, machine)
    for value in choice.values:
        arguments = [99] * 6
        arguments[choice.argument] = OWN_PID if value == seccomp.SELF else value
        assert verdict(machine, number, *arguments) == ALLOWED
        arguments[choice.argument] = 0xFFFF
        assert verdict(machine, number, *arguments) == REFUSED


@pytest.mark.parametrize("choice", seccomp.NULLS, ids=lambda choice: choice.name)
def test_a_pointer_may_be_null_and_nothing_else(machine: str, choice: seccomp.Choice) -> None:
    number = number_of(choice, machine)
    for pointer, expected in ((0, ALLOWED), (1, REFUSED), (1 << 32, REFUSED), (0x7FFF12345678, REFUSED)):
        arguments = [99] * 6
        arguments[choice.argument] = pointer
        assert verdict(machine, number, *arguments) == expected


def test_clone_makes_threads_and_nothing_else(machine: str) -> None:
    number = number_of(seccomp.CLONE, machine)
    assert verdict(machine, number, PTHREAD_FLAGS) == ALLOWED
    for flags in (
        0,
        0x11,
        0x01200011,
        0x4111,
        PTHREAD_FLAGS | 0x10000000,
        PTHREAD_FLAGS | 0x20000,
        PTHREAD_FLAGS | 0x80,
    ):
        assert verdict(machine, number, flags) == REFUSED


def test_signals_may_only_go_to_oneself(machine: str) -> None:
    kill = next(choice for choice in seccomp.CHOICES if choice.name == "kill")
    number = number_of(kill, machine)
    assert verdict(machine, number, OWN_PID) == ALLOWED
    for target in (0, 1, 0xFFFFFFFF):
        assert verdict(machine, number, target) == REFUSED


DANGEROUS = """
socket sendmsg recvmsg execve ptrace mount unshare setns bpf io_uring_setup keyctl userfaultfd memfd_create
perf_event_open process_vm_readv personality link symlink setuid sendto recvfrom getsockopt fallocate truncate chmod
fchmod fchmodat utimensat setxattr flock
"""


@pytest.mark.parametrize("name", DANGEROUS.split())
def test_a_dangerous_call_is_not_on_the_list(machine: str, name: str) -> None:
    assert name not in seccomp.allowed(seccomp.MACHINES[machine])
