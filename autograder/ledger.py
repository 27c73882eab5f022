"""What was handed in, by whom and when: the mapping from files to students, as it was shown, kept beside the records.

`OUT/submissions/<assignment>.json` grows and is never rewritten from scratch: an attempt once numbered keeps its
number, so a later run with more submissions finds the records of the earlier ones. The same bytes handed in twice are
one attempt. A time here comes from the LMS; what no LMS said stays unknown.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from autograder import throttle
from autograder.course import FeedbackPolicy
from autograder.intake import Submission
from autograder.records import RecordError


class Entry(msgspec.Struct, frozen=True):
    """One attempt of one student."""

    student: str
    attempt: int
    digest: str
    origin: str
    layout: str = ""  # which LMS's layout it was found in
    submitted_at: datetime | None = None
    late: bool = False  # the LMS marked it late, and said no time
    identities: dict[str, str] = {}  # what the LMS calls the student: `roster.IDENTITIES`
    number: str = ""  # what the LMS calls this submission
    shown_at: datetime | None = None  # when its hidden results were first shown: what uses a token
    last_submitted_at: datetime | None = None  # where the same bytes were handed in again, later
    again_after: int = 0  # where that was at a time nobody knows: how many attempts there were


class Ledger:
    """The entries of one assignment."""

    def __init__(self, out: Path, assignment: str) -> None:
        self.path = out / "submissions" / f"{assignment}.json"
        self.entries: list[Entry] = []
        self._read()

    def _read(self) -> None:
        if self.path.exists():
            try:
                self.entries = msgspec.json.decode(self.path.read_bytes(), type=list[Entry])
            except (OSError, msgspec.DecodeError) as error:
                raise RecordError(
                    f"{self.path} cannot be read ({error}); restore it, or grade into another --out"
                ) from None

    def of(self, student: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.student == student]

    def enter(self, submissions: Iterable[Submission]) -> list[Submission]:
        """Number the attempts, those known already as before, and keep what is new; the submissions with numbers."""
        with self._locked():
            self._read()
            return self._enter(submissions)

    def ask_to_show(self, student: str, attempt: int, now: datetime, policy: FeedbackPolicy) -> throttle.Allowance:
        """Whether an attempt's hidden results may be shown; if so, that uses a token, the first time."""
        with self._locked():
            self._read()
            (entry,) = (entry for entry in self.of(student) if entry.attempt == attempt)
            used = [known.shown_at for known in self.of(student) if known.shown_at and known is not entry]
            allowed = throttle.allowance(used, now, policy)
            if entry.shown_at:
                return msgspec.structs.replace(allowed, shown=True)
            if allowed.shown and policy.tokens:
                self.entries[self.entries.index(entry)] = msgspec.structs.replace(entry, shown_at=now)
                self._write()
            return allowed

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Several commands may enter at the same time, such as `nbgrader autograde --student`."""
        import fcntl

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path.with_suffix(".lock"), "w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise RecordError(f"cannot write to {self.path.parent}: {error.strerror}; choose another --out") from None

    def _enter(self, submissions: Iterable[Submission]) -> list[Submission]:
        before = list(self.entries)
        numbered = []
        for submission in submissions:
            own = self.of(submission.student)
            known = next((entry for entry in own if entry.digest == submission.digest), None)
            entry = Entry(
                submission.student, known.attempt if known else len(own) + 1, submission.digest, submission.origin,
                submission.layout, submission.submitted_at, submission.late, submission.identities, submission.number,
            )  # fmt: skip
            if known is None:
                self.entries.append(entry)
            else:
                place = self.entries.index(known)
                self.entries[place] = _again(known, entry, len(own), by_hand=submission.timed_by_hand)
            numbered.append(msgspec.structs.replace(submission, attempt=entry.attempt))
        if self.entries != before:
            self._write()
        return numbered

    def _write(self) -> None:
        data = msgspec.json.format(msgspec.json.encode(self.entries), indent=1)
        try:
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".write-")
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, self.path)
        except OSError as error:
            raise RecordError(f"cannot write {self.path}: {error.strerror}; run the command again") from None


def _again(known: Entry, entry: Entry, attempts: int, *, by_hand: bool) -> Entry:
    """The entry of what was handed in before, unchanged.

    These bytes were there at the first time, so how late they are goes by it. Which attempt is the last goes by the
    last time: who goes back to an earlier one means it to count. A time that a person gives replaces both.
    """
    if by_hand:
        return msgspec.structs.replace(entry, identities=known.identities | entry.identities, shown_at=known.shown_at)
    if known.submitted_at and not entry.submitted_at:
        return known if known.attempt == attempts else msgspec.structs.replace(known, again_after=attempts)
    times = {time for time in (known.submitted_at, known.last_submitted_at, entry.submitted_at) if time}
    return msgspec.structs.replace(
        entry, submitted_at=min(times, default=None), identities=known.identities | entry.identities,
        shown_at=known.shown_at, last_submitted_at=max(times) if len(times) > 1 else None,
        again_after=attempts if not times and known.attempt < attempts else 0,
    )  # fmt: skip


def read_all(out: Path) -> dict[tuple[str, str], list[Entry]]:
    """The entries of every assignment of an output folder, by assignment and student."""
    root = out.parent if out.name == "records" else out
    found: dict[tuple[str, str], list[Entry]] = {}
    for path in sorted((root / "submissions").glob("*.json")):
        for entry in Ledger(root, path.stem).entries:
            found.setdefault((path.stem, entry.student), []).append(entry)
    return found
