"""How much a worker may use, and the resource limits that say so to the kernel."""

from __future__ import annotations

import msgspec

MEBIBYTE = 1 << 20


class Limits(msgspec.Struct, frozen=True):
    """What one worker may use beyond what every worker shares. The kernel enforces all but `output_bytes`.

    Memory is address space and private data, each counted from where the zygote stood: the first also bounds shared
    mappings, which the second does not count.
    """

    memory_mebibytes: int = 2048
    cpu_seconds: int = 120
    file_mebibytes: int = 64  # of each file
    files: int = 64  # open at once
    processes: int = 32  # threads, for a worker can make no processes
    output_bytes: int = 8192  # of stdout and stderr together, kept from their end


class Baseline(msgspec.Struct, frozen=True):
    """Where the zygote stands before it forks."""

    address_bytes: int
    data_bytes: int


def baseline() -> Baseline:
    """Of this process, from /proc."""
    with open("/proc/self/status") as file:
        kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in file if line.rstrip().endswith(" kB")}
    return Baseline(kibibytes["VmSize"] << 10, kibibytes["VmData"] << 10)


def apply(limits: Limits, start: Baseline, other_threads: int, *, memory: bool = True) -> None:
    """Set the limits on this process, hard ones too, so that nothing raises them again. Without `memory`, all others.

    `other_threads` is what the user id has besides this worker, where the kernel counts them together.
    """
    import resource

    budget = limits.memory_mebibytes * MEBIBYTE
    of_memory = (
        (resource.RLIMIT_AS, start.address_bytes + budget, 0),
        (resource.RLIMIT_DATA, start.data_bytes + budget, 0),
    )
    for name, soft, hard in (
        *(of_memory if memory else ()),
        # SIGXCPU first, which says what happened, and a second later SIGKILL for a process that ignores it.
        (resource.RLIMIT_CPU, limits.cpu_seconds, 1),
        (resource.RLIMIT_FSIZE, limits.file_mebibytes * MEBIBYTE, 0),
        (resource.RLIMIT_NOFILE, limits.files, 0),
        (resource.RLIMIT_NPROC, limits.processes + other_threads, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 64 << 10, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ):
        most = resource.getrlimit(name)[1]
        if most == resource.RLIM_INFINITY:
            most = soft + hard
        resource.setrlimit(name, (min(soft, most), min(soft + hard, most)))
