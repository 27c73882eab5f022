"""The late policy in nbgrader: the bank of late days is one for the whole course, used up in the order of due dates."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from nbformat.v4 import new_notebook
from nbgrader.api import Gradebook
from nbgrader.preprocessors import AssignLatePenalties
from toyclass import copied
from traitlets.config import Config

from autograder.lms.nbgrader.late import CoursePenalty

pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")  # nbgrader's own

POLICY = """assignments = ["toy"]
[policy]
grace_minutes = 10
percent_per_day = 10
cap_percent = 50
late_days = 2
"""
DAY = timedelta(days=1)
DUE = {"zeta": datetime(2026, 3, 1, 12), "alpha": datetime(2026, 3, 11, 12)}  # not in the order of their names


class Student:
    """One student's submissions in a gradebook of nbgrader's, and its own step that asks for the penalty."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.course, self.database = name, folder / "course", database(folder)
        with Gradebook(self.database, "toy-course") as book:
            book.add_student(name)

    def hands_in(self, name: str, days_late: float, score: float = 100, extension: int = 0) -> None:
        """Days are those after the due date that everybody has."""
        with Gradebook(self.database, "toy-course") as book:
            book.add_submission(name, self.name, timestamp=DUE[name] + days_late * DAY)
            book.find_grade("part-runs", name, name, self.name).auto_score = score
            book.grant_extension(name, self.name, days=extension)  # commits

    def penalty(self, name: str) -> float | None:
        config = Config({"CoursePenalty": {"course": str(self.course)}})
        about = {"notebook": name, "assignment": name, "student": self.name, "db_url": self.database}
        step = AssignLatePenalties(plugin_class=CoursePenalty, config=config)
        step.preprocess(new_notebook(), {"nbgrader": about})
        with Gradebook(self.database, "toy-course") as book:
            found: float | None = book.find_submission_notebook(name, name, self.name).late_submission_penalty
        return found


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'gradebook.db'}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the course, and the gradebook of its two assignments."""
    made = tmp_path_factory.mktemp("late")
    copied(made, ('assignments = ["toy"]\n', POLICY), path="assignments/course.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # alembic is there
        with Gradebook(database(made), "toy-course") as book:
            for name, due in DUE.items():
                book.add_assignment(name, duedate=due)
                book.add_notebook(name, name)
                book.add_grade_cell("part-runs", name, name, max_score=100, cell_type="code")
    return made


@pytest.fixture
def ada(folder: Path, request: pytest.FixtureRequest) -> Student:
    """Another ada for each test."""
    return Student(f"ada of {request.node.name}", folder)


# days late of zeta, which is due first, and of alpha; the penalty of each
@pytest.mark.parametrize(
    ("zeta", "alpha", "penalties"),
    [
        (-1, 3, (None, 10)),  # nothing used up: two of three days from the bank
        (0.003, 3, (None, 10)),  # within the grace
        (0.5, 3, (None, 20)),  # one used up
        (2, 3, (None, 30)),  # both
        (4, 1, (20, 10)),  # more than there were: the bank is empty, not in debt
    ],
)
def test_late_days_that_an_earlier_assignment_used_are_gone(
    ada: Student, zeta: float, alpha: float, penalties: tuple[float | None, float | None]
) -> None:
    ada.hands_in("zeta", zeta)
    ada.hands_in("alpha", alpha)
    assert (ada.penalty("zeta"), ada.penalty("alpha")) == penalties


def test_a_submission_without_points_uses_no_late_day(ada: Student) -> None:
    ada.hands_in("zeta", 2, score=0)
    ada.hands_in("alpha", 3)
    assert ada.penalty("alpha") == 10


def test_days_of_an_extension_come_out_of_no_bank(ada: Student) -> None:
    ada.hands_in("zeta", 4, extension=3)  # one late day
    ada.hands_in("alpha", 3)
    assert (ada.penalty("zeta"), ada.penalty("alpha")) == (None, 20)


def test_the_order_is_that_of_the_students_own_due_dates(ada: Student) -> None:
    """As `autograder export` has it: with an extension past the other's due date, the bank is the other's first."""
    ada.hands_in("zeta", 22, extension=20)
    ada.hands_in("alpha", 2)
    assert (ada.penalty("zeta"), ada.penalty("alpha")) == (20, None)
