"""One immutable record for each submission handed in, named by the hash of everything that its score depends on.

A regrade of an unchanged submission is a look-up. Records are written by the orchestrator alone, whole or not at all:
into a temporary file, flushed to the disk, renamed. A record that cannot be read is an error that names it, never a
missing one.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from autograder.course import PACKAGE, Assignment
from autograder.outcome import TestOutcome
from autograder.suitefiles import hidden_tests

FORMAT = 1
STALE_SECONDS = 3600.0
DEMO_KEY = b"the key of the demo class, which everybody knows"


class RecordError(Exception):
    """Records cannot be read or written. The message is one line for a person."""

    exit_code = 2


class Key(msgspec.Struct, frozen=True):
    """The course key: the secret that seeds every draw. Its `id` may be known."""

    secret: bytes

    @property
    def id(self) -> str:
        return "demo" if self.secret == DEMO_KEY else hashlib.sha256(b"key id" + self.secret).hexdigest()[:12]

    def seed(self, assignment: str, digest: str) -> bytes:
        """The seed of one submission: repeatable, and unpredictable without the key."""
        return hmac.digest(self.secret, f"{assignment}\0{digest}".encode(), hashlib.sha256)


class PartResult(msgspec.Struct, frozen=True):
    """What one part was worth."""

    name: str
    title: str
    points: int
    earned: int
    status: str  # that of the worst test


class Record(msgspec.Struct, frozen=True):
    """The grade of one submission, and every reason for it."""

    id: str
    course: str
    assignment: str
    student: str
    attempt: int
    origin: str  # where it lay among what was handed in
    digest: str  # of the submitted bytes
    problem: str  # why there was nothing to grade, or ""
    notes: tuple[str, ...]
    score: int
    max_score: int
    parts: tuple[PartResult, ...]
    tests: tuple[TestOutcome, ...]
    suite: str  # hash
    suite_parts: dict[str, str]
    key: str  # the id of the course key
    level: str
    isolation: str
    device: str
    versions: dict[str, str]
    seconds: float
    graded_at: str  # UTC, ISO 8601
    grader_error: str = ""  # the grader could not do its work: a person must look
    source: str = ""  # the submitted text, for the report
    format: int = FORMAT
    advisory: tuple[TestOutcome, ...] = ()  # figures that no point depends on

    @property
    def needs_a_person(self) -> bool:
        return bool(self.grader_error) or any(test.status == "error" for test in self.tests)


def record_id(
    *, assignment: str, student: str, attempt: int, digest: str, suite: str, key: str, limits: str, device: str,
    level: str, versions: dict[str, str],
) -> str:  # fmt: skip
    """The name of a record: the hash of all that its score depends on."""
    inputs = [
        assignment,
        student,
        str(attempt),
        digest,
        suite,
        key,
        limits,
        device,
        level,
        *sorted(f"{k}={v}" for k, v in versions.items()),
    ]
    return hashlib.sha256(msgspec.json.encode([FORMAT, *inputs])).hexdigest()[:32]


def part_results(assignment: Assignment, tests: list[TestOutcome]) -> tuple[PartResult, ...]:
    """The tests summed up by part, in the order of the handout."""
    severity = ["passed", "skipped", "failed", "timeout", "out_of_memory", "crashed", "error"]
    results = []
    for part in assignment.parts:
        own = [test for test in tests if test.part == part.name]
        status = max((test.status for test in own), key=severity.index, default="skipped")
        results.append(PartResult(part.name, part.title, part.points, sum(test.earned for test in own), status))
    return tuple(results)


# --- the folder of records --------------------------------------------------------------------------------------------


class Store:
    """A folder of records: `OUT/records/<id>.json`."""

    def __init__(self, out: Path) -> None:
        self.folder = out / "records"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".write-"):
                pass
        except OSError as error:
            raise RecordError(f"cannot write to {self.folder}: {error.strerror}; choose another --out") from None
        self._sweep()

    def _sweep(self) -> None:
        """Remove what writers that were killed left behind. A living one, of another run, needs seconds."""
        for path in self.folder.glob(".write-*"):
            with contextlib.suppress(OSError):
                if abs(time.time() - path.stat().st_mtime) > STALE_SECONDS:
                    path.unlink()

    def path(self, identity: str) -> Path:
        return self.folder / f"{identity}.json"

    def find(self, identity: str) -> Record | None:
        path = self.path(identity)
        return read(path) if path.exists() else None

    def write(self, record: Record) -> Path:
        """Write a record whole, or not at all."""
        path = self.path(record.id)
        data = msgspec.json.format(msgspec.json.encode(record), indent=1)
        try:
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".write-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            raise RecordError(
                f"cannot write {path}: {error.strerror}; nothing was overwritten, run the command again"
            ) from None
        return path


def read(path: Path) -> Record:
    """One record. Raises `RecordError` where it is unreadable, damaged or of another format."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is no grade record or is damaged ({error}); delete it and grade again") from None
    if record.format != FORMAT:
        raise RecordError(
            f"{path} has format {record.format}, this autograder reads {FORMAT}; grade again into another --out"
        )
    return record


def read_all(folder: Path) -> Iterator[Record]:
    """Every record of an output folder, or of its `records/`, in the order of assignment and student."""
    inner = folder / "records" if (folder / "records").is_dir() else folder
    paths = sorted(inner.glob("*.json")) if inner.is_dir() else []
    if not paths:
        raise RecordError(f"there are no records in {folder}; run `autograder grade` first, or name its --out folder")
    yield from sorted((read(path) for path in paths), key=lambda r: (r.assignment, r.student, r.attempt, r.graded_at))


# --- hashes of what a score depends on --------------------------------------------------------------------------------


def suite_hashes(assignment: Assignment) -> dict[str, str]:
    """For each part a hash of all that decides its score: its tests, the suite's shared code, the reference, the judge.

    Hashing by part lets a regrade after a fix run only what the fix touches. Hypothesis is pinned, and its version is
    in the record's name beside this hash.
    """
    shared = hashlib.sha256()
    tests: dict[str, hashlib._Hash] = {part.name: hashlib.sha256() for part in assignment.parts}
    judge = [
        PACKAGE / "wire.py",
        PACKAGE / "worker.py",
        PACKAGE / "watch.py",
        *sorted((PACKAGE / "judge").glob("*.py")),
        *sorted((PACKAGE / "given").rglob("*.py")),
    ]
    suite = [path for path in sorted(assignment.suite.glob("*.py")) if path.name != "bugs.py"]
    for path in [*judge, assignment.solution, *suite]:
        text = path.read_text(encoding="utf-8")
        if path.parent != assignment.suite or not path.name.startswith("test_"):
            shared.update(text.encode())
            continue
        lines = text.splitlines(keepends=True)
        rest = list(lines)
        for test in hidden_tests(path):
            if test.part in tests:
                tests[test.part].update("".join(lines[test.first - 1 : test.last]).encode())
                rest[test.first - 1 : test.last] = [""] * (test.last - test.first + 1)
        shared.update("".join(rest).encode())
    shared.update(
        msgspec.json.encode(
            [assignment.runtime, assignment.limits, [[p.name, p.points, p.requires] for p in assignment.parts]]
        )
    )
    common = shared.digest()
    return {name: hashlib.sha256(common + own.digest()).hexdigest()[:16] for name, own in tests.items()}


def suite_hash(parts: dict[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(sorted(parts.items()))).hexdigest()[:16]
