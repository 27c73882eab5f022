"""How a worker gives up everything before it reads its first byte, and what it does then.

The order matters: file descriptors first (nothing else is reachable by them), then limits, then what forbids regaining
privilege, then files, then system calls, because each step needs calls that the next one takes away.
"""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import sys
from typing import Any

import msgspec

from autograder.sandbox import kernel, landlock, limits, seccomp
from autograder.sandbox.control import CHANNEL, FAILED, READY, Request, Task
from autograder.sandbox.limits import Baseline


class Settings(msgspec.Struct, frozen=True):
    """What the orchestrator tells a zygote, as JSON on its command line."""

    level: str
    isolation: str
    control: int  # file descriptor
    imports: tuple[str, ...]  # modules, before the first fork
    readable: tuple[str, ...] = ()  # files and trees that a worker may read
    writable: tuple[str, ...] = ()  # devices
    scratch: str = ""  # where the directories of workers are made; "" where each has its own /tmp
    uid: int = -1  # to become, where started as root
    shared_uid: bool = False  # other programs run under the same user id
    device: str = "cpu"  # where torch makes tensors that nobody placed; it is touched in workers only
    without: tuple[str, ...] = ()  # layers that are left out, to show what each is for; no such sandbox gets ready

    def has(self, layer: str) -> bool:
        """Whether a layer is to be in force. Those that can be left out: namespaces, rlimits, landlock, seccomp."""
        return layer not in self.without


def take_descriptors(channel: int, output: int) -> None:
    """Standard input is empty, output and errors go to `output`, the channel is 3, and nothing else is open."""
    import fcntl

    high = [fcntl.fcntl(number, fcntl.F_DUPFD, 16) for number in (os.open("/dev/null", os.O_RDONLY), output, channel)]
    for place, number in ((0, high[0]), (1, high[1]), (2, high[1]), (CHANNEL, high[2])):
        os.dup2(number, place)
    kernel.close_from(CHANNEL + 1)


def confine(settings: Settings, request: Request, start: Baseline, other_threads: int, scratch: str) -> None:
    """Lock this process down as its level promises, for good. Raises OSError where the kernel refuses."""
    os.umask(0o077)
    if settings.has("rlimits"):
        # CUDA reserves address space by the hundred gigabytes, so at level gpu nothing can bound it.
        limits.apply(request.limits, start, other_threads, memory=settings.level != "gpu")
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    rules = [(path, landlock.READ) for path in settings.readable]
    rules += [(path, landlock.OF_FILES) for path in settings.writable]
    if settings.has("landlock"):
        landlock.restrict([*rules, (scratch, landlock.SCRATCH)])
    if settings.has("seccomp") and settings.level != "gpu":  # nobody can list what a driver will call
        seccomp.install()


def prepare_libraries(seed: int) -> None:
    """Every worker starts from the same random states, whichever zygote it came from, and computes in one thread."""
    torch: Any = sys.modules.get("torch")
    numpy: Any = sys.modules.get("numpy")
    random.seed(seed)
    if numpy is not None:
        numpy.random.seed(seed & 0xFFFFFFFF)
    if torch is not None:
        torch.default_generator.manual_seed(seed & 0x7FFFFFFFFFFFFFFF)
        torch.set_num_threads(1)


def work(
    settings: Settings, request: Request, start: Baseline, other_threads: int, scratch: str, channel: int, output: int
) -> None:
    """Be a worker: lock down, say so on the channel, do the task. Does not return."""
    try:
        os.setsid()
        if settings.level != "full":  # there, it dies with its namespace
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        take_descriptors(channel, output)
        sys.stdout, sys.stderr = (
            open(number, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            for number in (1, 2)
        )
        faulthandler.enable(2)
        os.chdir(scratch)
        prepare_libraries(request.seed)
        os.environ.update(HOME=scratch, TMPDIR=scratch, TORCHINDUCTOR_CACHE_DIR=f"{scratch}/inductor")
        if settings.level != "subprocess":
            confine(settings, request, start, other_threads, scratch)
        if settings.device != "cpu":
            torch: Any = sys.modules["torch"]
            torch.set_default_device(settings.device)
            torch.manual_seed(request.seed & 0x7FFFFFFFFFFFFFFF)  # that of the device too, once it is there
        os.write(CHANNEL, READY)
    except BaseException as error:
        os.write(CHANNEL, FAILED + f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    status = 1
    try:
        if request.task == Task.TEST:
            from autograder.sandbox.selftest import answer as serve
        else:
            from autograder.worker import serve
        serve(CHANNEL)
        status = 0
    except SystemExit:
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
