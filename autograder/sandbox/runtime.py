"""Which files a worker gets: the named distributions and what they depend on, our worker's own code, an interpreter.

Never a whole site-packages: that is where hidden suites, references and tokenizers lie. Each distribution's top-level
entries are named one by one, and the interpreter's library is named entry by entry without its package directories.
"""

from __future__ import annotations

import csv
import importlib.metadata
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from autograder.sandbox.errors import SandboxError

PACKAGE = Path(__file__).resolve().parent.parent
WORKERS_OWN = ("torch", "numpy", "msgspec", "jaxtyping")
# There is no sandbox/__init__.py among these: inside, `autograder.sandbox` is a namespace package that imports nothing.
PACKAGE_FILES = (
    "__init__.py",
    "wire.py",
    "worker.py",
    "watch.py",
    "given",
    "sandbox/control.py",
    "sandbox/fresh.py",
    "sandbox/kernel.py",
    "sandbox/landlock.py",
    "sandbox/layers.py",
    "sandbox/limits.py",
    "sandbox/lockdown.py",
    "sandbox/namespaces.py",
    "sandbox/scratch.py",
    "sandbox/seccomp.py",
    "sandbox/selftest.py",
    "sandbox/zygote.py",
)
PACKAGE_DIRECTORIES = ("site-packages", "dist-packages")


class Entry(NamedTuple):
    """A file or directory of the runtime tree, and where it really is."""

    name: str
    source: Path


def closure(names: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """The named distributions and all that they need, each once. Raises SandboxError where a named one is missing."""
    found: dict[str, importlib.metadata.Distribution] = {}
    asked = {canonicalize_name(name) for name in names}
    queue = sorted(asked)
    while queue:
        name = queue.pop()
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name in asked:
                raise SandboxError(
                    f"{name} is not installed here, but submissions may import it: pip install {name}"
                ) from None
            continue
        for text in found[name].requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                queue.append(canonicalize_name(needed.name))
    return [found[name] for name in sorted(found)]


def distribution_entries(distribution: importlib.metadata.Distribution) -> Iterator[Entry]:
    """What a distribution put into site-packages, as few entries as will do.

    A directory without `__init__.py` is a namespace that several distributions may share, so its members are named.
    """
    record = distribution.read_text("RECORD")
    names = (
        [row[0] for row in csv.reader(record.splitlines()) if row]
        if record is not None
        else [str(file) for file in distribution.files or ()]
    )
    paths = [tuple(name.split("/")) for name in names if not name.startswith(("../", "/"))]
    packages = {path[:-1] for path in paths if path[-1] == "__init__.py"}
    wanted: dict[tuple[str, ...], None] = {}
    for path in paths:
        if path[0] == "__pycache__" or path[-1].endswith(".pth"):
            continue
        for depth in range(1, len(path) + 1):
            own = path[0].endswith((".dist-info", ".libs", ".data"))
            if depth == len(path) or path[:depth] in packages or own:
                wanted[path[:depth]] = None
                break
    for path in wanted:
        source = Path(str(distribution.locate_file("/".join(path)))).resolve()
        if source.exists():
            yield Entry("/".join(path), source)


def tree(names: Sequence[str], package: Path = PACKAGE) -> list[Entry]:
    """Everything that a worker may import beyond the standard library. Raises SandboxError."""
    entries = {
        entry.name: entry
        for distribution in closure([*names, *WORKERS_OWN])
        for entry in distribution_entries(distribution)
    }
    return [*(entries[name] for name in sorted(entries)), *package_entries(package)]


def package_entries(package: Path) -> list[Entry]:
    """What of our own package is in a worker. `package` gives what of this it has, the installed one the rest."""
    sources = {name: package / name for name in PACKAGE_FILES}
    sources |= {name: PACKAGE / name for name, source in sources.items() if not source.exists()}
    return [Entry(f"autograder/{name}", source.resolve()) for name, source in sources.items()]


def top_level_modules(names: Sequence[str]) -> list[str]:
    """What the named distributions (not their dependencies) are imported as."""
    modules = []
    for name in names:
        for entry in distribution_entries(importlib.metadata.distribution(name)):
            if (entry.source / "__init__.py").is_file() and entry.name.isidentifier():
                modules.append(entry.name)
    return [name for name in modules if not name.startswith("_")]


class Interpreter(NamedTuple):
    """The Python that a zygote runs on: the one that runs the orchestrator, without its packages."""

    executable: Path
    standard_library: Path
    libraries: Path | None  # a directory of shared libraries beside it, where that is none of the system's
    system_libraries: tuple[Path, ...]


def interpreter() -> Interpreter:
    executable = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    system = []
    multiarch = sysconfig.get_config_var("MULTIARCH")
    directories = [f"/usr/lib/{multiarch}", f"/lib/{multiarch}"] if multiarch else []
    if not any(os.path.isdir(name) for name in directories):
        directories = ["/usr/lib", "/lib"]
    for name in [*directories, "/usr/lib64", "/lib64", "/usr/local/lib64"]:
        path = Path(name)
        if path.is_dir() and path.resolve() not in system:
            system.append(path.resolve())
    beside = Path(sysconfig.get_config_var("LIBDIR") or sys.base_prefix + "/lib").resolve()
    libraries = beside if beside.is_dir() and beside not in system else None
    return Interpreter(executable, Path(sysconfig.get_path("stdlib")).resolve(), libraries, tuple(system))


def without_packages(directory: Path) -> Iterator[Path]:
    """The members of a library directory, without the package directories of any Python in it."""
    for member in sorted(directory.iterdir()):
        if member.name in PACKAGE_DIRECTORIES:
            continue
        if member.name.startswith("python3") and member.is_dir():
            yield from without_packages(member)
        else:
            yield member


def package_directories(directory: Path) -> list[Path]:
    """The package directories of any Python in a library directory: what must be covered where it is bound whole."""
    candidates = [directory, *(member for member in directory.glob("python3*") if member.is_dir())]
    return [place / name for place in candidates for name in PACKAGE_DIRECTORIES if (place / name).is_dir()]
