"""Starting a zygote, in the orchestrator: the outer wall, what is in it, and the proof that it holds.

Nothing here talks to a student's process. The orchestrator keeps two things of a zygote: its lifeline (a pipe that
closes when the orchestrator ends, however it ends) and the control socket, which the judge inherits.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

import msgspec

from autograder.sandbox import runtime, scratch, selftest, walls
from autograder.sandbox.channel import ZygoteForker
from autograder.sandbox.control import MAX_MESSAGE, Operation, Reply, Task
from autograder.sandbox.errors import SandboxError, TimedOut, WorkerGone
from autograder.sandbox.limits import Limits
from autograder.sandbox.runtime import Entry

LEVELS = ("full", "landlock", "gpu", "subprocess")
Isolation = Literal["zygote", "fresh"]
ALWAYS_IMPORTED = ("numpy.random", "msgspec", "jaxtyping", "autograder.worker", "autograder.sandbox.selftest")
READY_SECONDS = 120.0  # torch takes two, on a machine with nothing else to do
STOP_SECONDS = 5.0
PREFIX = "autograder-sandbox-"
STALE_SECONDS = 60.0


class Zygote:
    """A running zygote, as its orchestrator holds it. A context manager: entering waits until it is ready.

    Starting several before waiting for the first lets their imports overlap.
    """

    def __init__(self, level: str, process: subprocess.Popen[bytes], control: socket.socket, keep: Keep) -> None:
        self.level = level
        self._process, self._control, self._keep = process, control, keep
        self._ready = False

    def ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until torch is imported and the self-test has passed. Raises SandboxError, and stops, if not."""
        if self._ready:
            return
        try:
            self._control.settimeout(seconds)
            try:
                data = self._control.recv(MAX_MESSAGE)
            except TimeoutError:
                raise SandboxError(
                    f"the sandbox was not ready after {seconds:.0f} s; is the machine overloaded?"
                ) from None
            if not data:
                raise SandboxError(f"the sandbox did not start at level {self.level}: {self._keep.last_words()}")
            reply = Reply.unpack(data)
            if reply.operation != Operation.READY or reply.error:
                raise SandboxError(f"the sandbox did not start at level {self.level}: {reply.error}")
            if self.level != "subprocess":
                self._test()
        except BaseException:
            self.stop()
            raise
        self._ready = True

    def fileno(self) -> int:
        """The control socket, for the judge to inherit and `attach` to. One judge at a time."""
        self.ready()
        return self._control.fileno()

    @property
    def forks(self) -> int:
        """Workers made so far. Only to be asked while no judge is attached: it stops the workers that are left."""
        with contextlib.closing(ZygoteForker(self._control.dup())) as forker:
            forker.reset()
            return forker.forks

    def stop(self) -> None:
        """End the zygote and every worker, and remove what they wrote."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for it, in any process
        self._control.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Bubblewrap's own end does not end what is inside; the end of that namespace's first process does.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._keep.first_process() or self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        self._keep.remove()

    def __enter__(self) -> Zygote:
        self.ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _test(self) -> None:
        limits = Limits()
        with contextlib.closing(ZygoteForker(self._control.dup())) as forker, forker.start(Task.TEST, limits) as worker:
            hidden = (self._keep.canary(), str(runtime.PACKAGE / "course.py"), __file__)
            own = self._keep.readable()
            ground = msgspec.json.encode(selftest.Ground(self.level, hidden, limits.memory_mebibytes, own))
            try:
                worker.send([selftest.LENGTH.pack(len(ground)), ground], 10.0)
                size = selftest.LENGTH.unpack(worker.receive(selftest.LENGTH.size, 10.0))[0]
                found = msgspec.json.decode(worker.receive(size, 10.0), type=list[selftest.Finding])
            except (TimedOut, WorkerGone) as error:
                raise SandboxError(f"the self-test of level {self.level} did not finish: {worker.stop()}") from error
        if found:
            worst = "; ".join(f"{finding.layer}: {finding.what}" for finding in found[:3])
            raise SandboxError(
                f"level {self.level} does not hold on this machine ({worst}; {len(found)} in all). "
                "Run `autograder doctor`, or choose a weaker level by name."
            )


class Unforked(Zygote):
    """Stands for a zygote of one's own code where processes are not forked: the judge starts interpreters itself."""

    level = "subprocess"
    forks = 0

    def __init__(self) -> None:
        pass

    def ready(self, seconds: float = READY_SECONDS) -> None:
        pass

    def fileno(self) -> int:
        """-1, which `attach` knows."""
        return -1

    def stop(self) -> None:
        pass


class Keep:
    """What the orchestrator keeps on disk for one zygote: a directory that it removes, and what the zygote printed."""

    def __init__(self) -> None:
        self.directory, self._lock = hold()
        self.directory.chmod(0o755)
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        self.info = tempfile.TemporaryFile()  # noqa: SIM115

    def canary(self) -> str:
        """A file that anybody may read who can reach it."""
        path = self.directory / "canary"
        path.write_text("a worker must not read this")
        path.chmod(0o644)
        return str(path)

    def readable(self) -> str:
        """A file of this user's among those that a worker may read, "" where there is no wall to be read through."""
        path = self.directory / "runtime" / "readable"
        if not path.parent.is_dir():
            return ""
        path.write_text("a worker may read this, and do nothing else to it")
        path.chmod(0o644)
        return str(path)

    def last_words(self) -> str:
        self.log.seek(0)
        lines = self.log.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def first_process(self) -> int | None:
        """The process whose end is the end of bubblewrap's namespace, where there is one."""
        self.info.seek(0)
        found = re.search(rb'"child-pid": *([0-9]+)', self.info.read())
        return int(found[1]) if found else None

    def remove(self) -> None:
        self.log.close()
        self.info.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        scratch.remove(str(self.directory))


def hold() -> tuple[Path, int | None]:
    """A new directory and the descriptor that holds it. Once its holder is gone, by whatever end, it is swept."""
    sweep()
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    return directory, lock(directory)


def lock(directory: Path) -> int | None:
    """A descriptor that holds the directory until it is closed or this process ends; None where another does."""
    import fcntl

    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def sweep() -> None:
    """Remove what orchestrators that were killed left behind."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < STALE_SECONDS:
                continue
            held = lock(path)
            if held is not None:
                scratch.remove(str(path))
                os.close(held)


def start(
    level: str,
    names: Sequence[str],
    *,
    isolation: Isolation = "zygote",
    device: str = "cpu",
    package: Path = runtime.PACKAGE,
    without: tuple[str, ...] = (),
) -> Zygote:
    """Start a zygote whose workers may import the distributions in `names` (the assignment's `runtime`).

    Returns at once; `Zygote.ready` waits for it. `package` is the directory with the worker's code. `without` leaves
    layers out (`Settings.has`); the self-test refuses such a sandbox, so it is of use to tests of what a layer is for,
    and no command and no variable of the environment leads to it. Raises SandboxError where this machine cannot do it.
    """
    if level not in LEVELS:
        raise SandboxError(f"there is no sandbox level {level!r}: choose one of {', '.join(LEVELS)}")
    if device != "cpu" and level != "gpu":
        raise SandboxError(f"level {level} contains code on the CPU only, not on {device}: grade with --device cpu")
    if sys.platform != "linux":
        if level != "subprocess":
            raise SandboxError(f"level {level} needs Linux: use a virtual machine, WSL 2, or a container on one")
        return Unforked()
    # Our worker needs torch whatever is taught; its first optimizer would import _dynamo, which takes a second.
    torch = ("torch", "torch._dynamo") if "torch" in names or package == runtime.PACKAGE else ()
    imports = (*torch, *runtime.top_level_modules(names), *ALWAYS_IMPORTED)
    return launch(level, runtime.tree(names, package), imports, isolation, without, device)


def launch(
    level: str,
    entries: Sequence[Entry],
    imports: tuple[str, ...],
    isolation: Isolation = "zygote",
    without: tuple[str, ...] = (),
    device: str = "cpu",
) -> Zygote:
    """Start a zygote on a runtime tree. Raises SandboxError."""
    keep = Keep()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        command, settings, environment = walls.PLANS[level](entries, walls.Ground(keep.directory, keep.info.fileno()))
        settings = msgspec.structs.replace(
            settings, isolation=isolation, control=theirs.fileno(), imports=imports, without=without, device=device
        )
        process = subprocess.Popen(
            [*command, msgspec.json.encode(settings).decode()],
            stdin=subprocess.PIPE,
            stdout=keep.log,
            stderr=keep.log,
            env=environment,
            cwd="/",
            close_fds=True,
            pass_fds=[theirs.fileno(), keep.info.fileno()],
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        keep.remove()
        raise
    finally:
        theirs.close()
    return Zygote(level, process, ours, keep)
