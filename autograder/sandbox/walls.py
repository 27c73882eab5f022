"""What is around a zygote at each level: the command that starts it, its settings and its environment."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from autograder.sandbox import runtime
from autograder.sandbox.errors import SandboxError
from autograder.sandbox.lockdown import Settings
from autograder.sandbox.runtime import Entry

# Where things are inside the outer wall of level `full`.
RUNTIME, PYTHON = "/runtime", "/python"
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
DRIVER = ("/proc", "/sys", "/usr/local/nvidia", "/etc/nvidia")  # what NVIDIA's driver reads in a process that uses it
HARDWARE = "/sys/devices/system/cpu"  # what torch chooses its vector instructions by

ENVIRONMENT = {
    "HOME": "/tmp",
    "USER": "student",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the order of sets is part of what a score is a function of
    "OPENBLAS_NUM_THREADS": "1",  # numpy's library starts threads at import, and only one thread can be forked
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "TORCHINDUCTOR_CACHE_DIR": "/tmp/inductor",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # the other check starts CUDA, which does not survive a fork
}
# -I would ignore PYTHONHASHSEED too; the environment holds nothing but the above, so -s and -P are what is left of it.
FLAGS = ("-s", "-P", "-S", "-B")
BOOT = "import sys; sys.path.append(sys.argv[1]); from autograder.sandbox.zygote import main; main(sys.argv.pop())"

OUTER_NAMESPACES = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")


class Ground(NamedTuple):
    """What the orchestrator keeps for one zygote: a directory, and a file for what bubblewrap says about itself."""

    directory: Path
    info: int


class Plan(NamedTuple):
    """How to start a zygote. The settings, as JSON, are the last argument of the command."""

    command: list[str]
    settings: Settings
    environment: dict[str, str]


def full(entries: Sequence[Entry], ground: Ground) -> Plan:
    """A root file system that holds the interpreter, the system's libraries, the runtime tree, and nothing else."""
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise SandboxError("level full needs bubblewrap, and there is no `bwrap` here: apt install bubblewrap")
    python = runtime.interpreter()
    root = os.getuid() == 0
    if root:
        for path in (python.executable, python.standard_library, *(entry.source for entry in entries)):
            refuse_private(path)
    wall = Wall(bubblewrap)
    wall.add(*OUTER_NAMESPACES, "--new-session", "--info-fd", str(ground.info), "--proc", "/proc")
    if root:
        # No user namespace: in one, the zygote could not drop its user id.
        wall.add("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
    else:
        wall.add("--unshare-user")
    for device in DEVICES:
        wall.bind(device, device, "--dev-bind")
    wall.bind(HARDWARE, HARDWARE, "--ro-bind-try")
    wall.bind("/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind-try")
    for directory in python.system_libraries:
        wall.bind_library(directory, str(directory))
    for name in ("/lib", "/lib64"):
        if os.path.islink(name):
            wall.add("--symlink", os.readlink(name), name)
    executable = f"{PYTHON}/bin/{python.executable.name}"
    wall.bind(str(python.executable), executable)
    environment = dict(ENVIRONMENT)
    if python.libraries is not None:
        wall.bind_library(python.libraries, f"{PYTHON}/lib")
        environment["LD_LIBRARY_PATH"] = f"{PYTHON}/lib"
    if python.libraries is None or python.libraries not in python.standard_library.parents:
        place = "/".join(python.standard_library.parts[-2:])
        wall.bind_library(python.standard_library, f"{PYTHON}/{place}")
    for entry in entries:
        wall.bind(str(entry.source), f"{RUNTIME}/{entry.name}")
    wall.add("--perms", "1777", "--tmpfs", "/tmp")  # of the zygote, for importing torch; each worker has its own
    wall.add("--remount-ro", "/", "--")
    readable = (RUNTIME, PYTHON, "/etc/ld.so.cache", *map(str, python.system_libraries))
    settings = Settings("full", "zygote", 0, (), readable, DEVICES, uid=unused_uid() if root else -1)
    return Plan([*wall.arguments, executable, *FLAGS, "-c", BOOT, RUNTIME], settings, environment)


def landlocked(entries: Sequence[Entry], ground: Ground) -> Plan:
    """No wall but Landlock's rules: a runtime tree of links, and a rule for whatever they lead to."""
    python = runtime.interpreter()
    root = os.getuid() == 0
    uid = unused_uid() if root else -1
    if root:
        for path in (python.executable, python.standard_library, *(entry.source for entry in entries)):
            refuse_private(path, *path.parents)
    linked, place = ground.directory / "runtime", ground.directory / "scratch"
    link_tree(entries, linked)
    place.mkdir(mode=0o700)
    if root:
        os.chown(place, uid, uid)
    readable = [linked, Path("/etc/ld.so.cache"), *(entry.source for entry in entries)]
    readable += runtime.without_packages(python.standard_library)
    if python.libraries is not None:
        readable += python.libraries.glob("*.so*")
    for library in python.system_libraries:
        readable += runtime.without_packages(library) if runtime.package_directories(library) else [library]
    settings = Settings(
        "landlock",
        "zygote",
        0,
        (),
        tuple(map(str, readable)),
        DEVICES,
        scratch=str(place),
        uid=uid,
        shared_uid=not root,
    )
    return Plan([str(python.executable), *FLAGS, "-c", BOOT, str(linked)], settings, environment_in(str(place)))


def gpu(entries: Sequence[Entry], ground: Ground) -> Plan:
    """Level landlock, opened as far as a driver needs it: its devices, what it reads of the machine, its libraries."""
    command, settings, environment = landlocked(entries, ground)
    nodes = tuple(str(path) for path in sorted(Path("/dev").glob("nvidia*")) if not path.is_dir())
    readable = (*settings.readable, *(path for path in DRIVER if os.path.exists(path)))
    settings = msgspec.structs.replace(settings, level="gpu", readable=readable, writable=(*settings.writable, *nodes))
    if "LD_LIBRARY_PATH" in os.environ:  # where containers keep the driver's libraries
        environment = environment | {"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]}
    return Plan(command, settings, environment)


def environment_in(place: str) -> dict[str, str]:
    """The environment of a zygote without a /tmp of its own."""
    return ENVIRONMENT | {"HOME": place, "TMPDIR": place, "TORCHINDUCTOR_CACHE_DIR": f"{place}/inductor"}


def link_tree(entries: Iterable[Entry], place: Path) -> None:
    """Make the runtime tree at `place`, of links, for anybody to read."""
    place.mkdir()
    made = {place: None}
    for entry in entries:
        link = place / entry.name
        for directory in reversed(link.relative_to(place).parents):
            if place / directory not in made:
                (place / directory).mkdir()
                made[place / directory] = None
        link.symlink_to(entry.source)
    for directory in made:
        directory.chmod(0o755)  # whatever the umask is


def refuse_private(*places: Path) -> None:
    """Raises SandboxError where something that workers need is closed to all but its owner."""
    for place in places:
        if not place.stat().st_mode & (0o001 if place.is_dir() else 0o004):
            raise SandboxError(
                f"as root, submissions run under a user id of their own, which may not enter {place}: "
                "use a Python and a virtual environment that anybody may read, or do not run as root."
            )


class Wall:
    """The command line of bubblewrap, which makes parents that nobody else can enter unless they are made first."""

    def __init__(self, bubblewrap: str) -> None:
        self.arguments = [bubblewrap]
        self._made = {"/"}

    def add(self, *arguments: str) -> None:
        self.arguments += arguments

    def directory(self, path: str) -> None:
        if path not in self._made:
            self.directory(os.path.dirname(path))
            self._made.add(path)
            self.add("--perms", "0755", "--dir", path)

    def bind(self, source: str, target: str, how: str = "--ro-bind") -> None:
        self.directory(os.path.dirname(target))
        self.add(how, source, target)

    def bind_library(self, source: Path, target: str) -> None:
        """Bind a directory of libraries and cover the package directories in it."""
        self.bind(str(source), target)
        for directory in runtime.package_directories(source):
            cover = f"{target}/{directory.relative_to(source)}"
            self.add("--tmpfs", cover, "--remount-ro", cover)


def unused_uid() -> int:
    """A user id that nothing else runs under. High ones are given out by no one; a container may have few."""
    with open("/proc/self/uid_map") as file:
        spans = [(int(first), int(count)) for first, _, count in map(str.split, file)]
    for base, count in ((1_990_000_000, 100_000), (60_600, 64)):
        if any(first <= base and base + count <= first + length for first, length in spans):
            return base + secrets.randbelow(count)
    raise SandboxError("this container has too few user ids to give the sandbox one of its own: do not run it as root")


def unconfined(entries: Sequence[Entry], ground: Ground) -> Plan:
    """No wall at all: the same runtime tree, and nothing that keeps to it. Only for code that one trusts."""
    linked, place = ground.directory / "runtime", ground.directory / "scratch"
    link_tree(entries, linked)
    place.mkdir(mode=0o700)
    environment = environment_in(str(place))
    settings = Settings("subprocess", "zygote", 0, (), scratch=str(place))
    return Plan([str(runtime.interpreter().executable), *FLAGS, "-c", BOOT, str(linked)], settings, environment)


PLANS: dict[str, Callable[[Sequence[Entry], Ground], Plan]] = {
    "full": full,
    "landlock": landlocked,
    "gpu": gpu,
    "subprocess": unconfined,
}
