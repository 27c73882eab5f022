"""What stands in the places of nbgrader's ClearOutput and Execute; the theory is in the package's docstring."""

from __future__ import annotations

import base64
import binascii
import functools
import glob
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbformat import NotebookNode, v4
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from traitlets import Bool, Enum, Integer, Unicode

from autograder import batch, intake
from autograder import roster as rosters
from autograder.cli import choices
from autograder.course import Assignment, Course
from autograder.ledger import Ledger
from autograder.lms import feedback
from autograder.lms.nbgrader import notebook
from autograder.records import Record, Store

Resources = dict[str, Any]
new_output: Callable[..., NotebookNode] = v4.new_output  # nbformat does not say its types
new_metadata: Callable[..., NotebookNode] = NotebookNode
_level = functools.cache(choices.level)  # proving it takes a second, and each notebook asks
THEIRS = "[the student's own output, as it was handed in: it was not made again]\n"
MAX_OUTPUT = 20_000  # characters of one text
MAX_PICTURE = 4 * 1024 * 1024  # characters of base64

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class GradingError(Exception):
    """This submission has no score yet: nbgrader says so, and its next run tries again."""


class OwnCells(NbGraderPreprocessor):  # type: ignore[misc]
    """Gives every graded cell the metadata that the database has for it, and takes nbgrader's from all others."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        own = resources["nbgrader"]
        with Gradebook(own["db_url"]) as gradebook:
            source = gradebook.find_notebook(own["notebook"], own["assignment"])
            graded = {cell.name: cell for cell in (*source.grade_cells, *source.task_cells)}
            solutions = {cell.name for cell in source.solution_cells}
            tasks = {cell.name for cell in source.task_cells}
            known = {
                cell.name: {
                    "schema_version": 3, "grade_id": cell.name, "grade": cell.name in graded and cell.name not in tasks,
                    "solution": cell.name in solutions, "task": cell.name in tasks, "locked": cell.locked,
                    "cell_type": cell.cell_type, "checksum": cell.checksum,
                } | ({"points": graded[cell.name].max_score} if cell.name in graded else {})
                for cell in source.source_cells
            }  # fmt: skip
        for cell in reversed(nb.cells):  # of copies the last one counts, as with nbgrader
            claimed = cell.metadata.pop("nbgrader", None)
            name = claimed.get("grade_id") if isinstance(claimed, dict) else None
            if isinstance(name, str) and name in known:
                cell.metadata["nbgrader"] = new_metadata(known.pop(name))
        return nb, resources


class KeepOutputs(NbGraderPreprocessor):  # type: ignore[misc]
    """Clears the cells that are graded by outputs, and keeps texts and pictures of all others, marked as theirs."""

    def preprocess_cell(self, cell: NotebookNode, resources: Resources, index: int) -> tuple[NotebookNode, Resources]:
        if cell.cell_type != "code":
            return cell, resources
        tested = utils.is_grade(cell) and not utils.is_solution(cell)
        kept = [] if tested else [safe for output in cell.get("outputs", []) if (safe := harmless(output))]
        cell.outputs = [new_output("stream", name="stdout", text=THEIRS), *kept] if kept else []
        cell.execution_count = None
        cell.metadata.pop("widgets", None)
        return cell, resources


def harmless(output: Any) -> NotebookNode | None:
    """A student's output as plain text or as a picture; None where there is nothing of the kind in it.

    Nothing is kept that a browser could run: no HTML, SVG, Markdown, LaTeX, JavaScript or widget. Never as a result
    or as an error, which nbgrader would grade by.
    """
    kind = output.get("output_type")
    if kind == "stream":
        return _text(output.get("text"))
    if kind == "error":
        return _text(f"{output.get('ename')}: {output.get('evalue')}")
    data = output.get("data")
    if kind not in ("display_data", "execute_result") or not isinstance(data, dict):
        return None
    for mime, magic in (("image/png", _PNG), ("image/jpeg", _JPEG)):
        picture = _joined(data.get(mime))
        if picture and len(picture) <= MAX_PICTURE and _is_picture(picture, magic):
            return new_output("display_data", data={mime: picture})
    return _text(data.get("text/plain"))


def _is_picture(text: str, magic: bytes) -> bool:
    try:
        return base64.b64decode("".join(text.split()), validate=True).startswith(magic)
    except (binascii.Error, ValueError):
        return False


def _text(value: Any) -> NotebookNode | None:
    text = _ESCAPES.sub("", _joined(value))[:MAX_OUTPUT]
    return new_output("stream", name="stdout", text=text if text.endswith("\n") else f"{text}\n") if text else None


def _joined(value: Any) -> str:
    """nbformat has texts as strings or as lists of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


class Grade(NbGraderPreprocessor):  # type: ignore[misc]
    """Has the submitted file graded in our judge and writes the points of each part into its cell."""

    course = Unicode("", help="Folder of another course than the packaged one.").tag(config=True)
    key_file = Unicode("", help="File with the course key; else AUTOGRADER_COURSE_KEY holds it.").tag(config=True)
    jobs = Integer(choices.DEFAULT_JOBS, help="Submissions graded at the same time.").tag(config=True)
    isolation = Enum(("zygote", "fresh"), default_value="zygote", help="As of `autograder grade`.").tag(config=True)
    unsafe_allow = Unicode("", help="A level below landlock that is accepted: code runs uncontained.").tag(config=True)
    out = Unicode("", help="Where records go; `autograder` in the course directory where it is empty.").tag(config=True)
    roster = Unicode("", help="CSV file with students' extensions.").tag(config=True)
    run_own_cells = Bool(
        False,
        help="Run the notebook in a kernel for tested cells that are not of this package. Student code then runs as "
        "you, beside whatever those cells test it with; the parts are still graded outside.",
    ).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        own = resources["nbgrader"]
        tested = [cell for cell in nb.cells if utils.is_grade(cell) and not utils.is_solution(cell)]
        ours = [cell for cell in tested if notebook.part_of(cell.metadata.nbgrader.grade_id)]
        if len(ours) < len(tested):
            names = ", ".join(sorted(cell.metadata.nbgrader.grade_id for cell in tested if cell not in ours))
            if not self.run_own_cells:
                raise GradingError(
                    f"{names}: only a kernel can grade this. `c.Grade.run_own_cells = True` runs one (student code "
                    "then runs as you); or make it a cell that is graded by hand"
                )
            self.log.warning("Running %s in a kernel: student code runs as you, uncontained", names)
            nb, resources = OwnKernel(parent=self.parent).preprocess(nb, resources)
        if ours:
            course = choices.course(self._course_folder)
            assignment = course.assignment(own["assignment"])
            record = self._record(course, assignment, own["student"])
            self._extend(course, own)
            for cell in ours:
                _write(cell, assignment, record, course.feedback.detail)
        return nb, resources

    @property
    def _course_folder(self) -> Path | None:
        return Path(self.course) if self.course else None

    def _record(self, course: Course, assignment: Assignment, student: str) -> Record:
        """The record of this student's submission. Where there is none yet, everybody's are made, on all lanes."""
        coursedir: CourseDirectory = self.parent.parent.coursedir  # an exporter's, a converter's
        store = Store(Path(self.out) if self.out else Path(coursedir.root) / "autograder")
        options = batch.Options(
            key=choices.key(Path(self.key_file) if self.key_file else None), level=_level(self.unsafe_allow),
            jobs=self.jobs, isolation=choices.isolation(self.isolation),
            course_folder=choices.folder(self._course_folder),
        )  # fmt: skip

        def graded(folders: dict[str, Path]) -> batch.Batch:
            taken = [_take(coursedir, name, folder, assignment) for name, folder in sorted(folders.items())]
            numbered = Ledger(store.folder.parent, assignment.name).enter(taken)
            return batch.Batch(course, assignment, numbered, store, options)

        own = _submitted(coursedir, assignment.name, glob.escape(student))
        alone = graded(own)
        known = [store.find(identity) for identity in alone.submissions]
        everybody = _submitted(coursedir, assignment.name, coursedir.student_id)
        if not all(record and not record.grader_error for record in known):
            graded(everybody | own).run(self._tell)
        (record,) = alone.run(self._tell)
        if record.grader_error:
            raise GradingError(f"{student}: the grader could not do its work: {record.grader_error.strip()[-300:]}")
        return record

    def _extend(self, course: Course, own: dict[str, str]) -> None:
        """Give the roster's extension to the submission, where the roster has one: nbgrader then counts from it."""
        due = course.due.get(own["assignment"])
        extended = rosters.read(Path(self.roster) if self.roster else None).rule(own["student"], own["assignment"]).due
        if due and extended:
            with Gradebook(own["db_url"]) as gradebook:
                minutes = max(0.0, (extended - due).total_seconds() / 60)
                gradebook.grant_extension(own["assignment"], own["student"], minutes=minutes)

    def _tell(self, news: batch.Progress) -> None:
        if news.record is not None and not news.known:
            self.log.info(
                "Graded %s: %s of %s points in %s s, at level %s", news.student, news.record.score,
                news.record.max_score, news.record.seconds, news.record.level,
            )  # fmt: skip


def _submitted(coursedir: CourseDirectory, assignment: str, pattern: str) -> dict[str, Path]:
    """Where each student's submission lies, for all students whom a pattern of nbgrader's names."""
    step = coursedir.submitted_directory
    path = re.compile(coursedir.format_path(step, "(?P<student>.*)", re.escape(assignment), escape=True))
    found = glob.glob(coursedir.format_path(step, pattern, glob.escape(assignment)))
    return {match["student"]: Path(folder) for folder in found if (match := path.fullmatch(folder))}


def _take(coursedir: CourseDirectory, student: str, folder: Path, assignment: Assignment) -> intake.Submission:
    try:
        stamp = coursedir.get_existing_timestamp(str(folder))
    except Exception:  # a file of the submission's folder: whatever is in it, the others go on
        stamp = None
    own = intake.take(folder, student, module=assignment.module, only_module=True)
    return intake.stamped(own, "nbgrader", stamp, origin=f"{own.student}/{own.origin}")


def _write(cell: NotebookNode, assignment: Assignment, record: Record, detail: str) -> None:
    name = notebook.part_of(cell.metadata.nbgrader.grade_id)
    part = feedback.part_of(record, name)
    points = float(cell.metadata.nbgrader.points)
    if part is None or part.points != points:
        now = "has no such part" if part is None else f"gives it {part.points}"
        raise GradingError(
            f"cell {notebook.PART}{name} is worth {points:g} points in the gradebook, but {assignment.name} {now}: run "
            f"`autograder nbgrader` and `nbgrader generate_assignment {assignment.name} --force` again"
        )
    cell.execution_count = 1
    cell.outputs = [
        new_output("stream", name="stdout", text=feedback.plain(record, part, detail)),
        new_output("execute_result", execution_count=1, data={"text/plain": repr(float(part.earned))}),
    ]


class OwnKernel(Execute):  # type: ignore[misc]
    """nbgrader's own kernel for an instructor's own cells; it runs the whole notebook but the parts."""

    def preprocess_cell(self, cell: NotebookNode, resources: Resources, index: int) -> tuple[NotebookNode, Resources]:
        if notebook.part_of(cell.metadata.get("nbgrader", {}).get("grade_id", "")):
            return cell, resources
        return super().preprocess_cell(cell, resources, index)  # type: ignore[no-any-return]
