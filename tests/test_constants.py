"""Nobody is paid for a constant: a relation between a submission's own answers holds of nothings too, so no test may
rest on such a relation alone.
"""

from __future__ import annotations

import pytest

from autograder.course import Assignment, open_course
from autograder.judge import grading
from autograder.judge.session import LocalConnection
from autograder.stubs import stub

# Each of them, or one of its kind, once had points.
CONSTANTS = (
    "None", "0.0", "[]", "([], [])", "{}", "(torch.zeros(1), torch.zeros(1))", "torch.full((1,), math.nan)",
)  # fmt: skip
FRAME = """
import math as math
import torch as torch

for _name, _value in list(globals().items()):
    if callable(_value) and getattr(_value, "__module__", None) == __name__ and not _name.startswith("_"):
        globals()[_name] = lambda *args, **kwargs: {constant}
"""


@pytest.mark.full
@pytest.mark.parametrize("assignment", open_course().assignments, ids=lambda own: own.name)
def test_no_constant_earns_a_point(assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only asked of a test that failed, and it takes longer than all the rest.
    monkeypatch.setattr(grading._Grader, "_reference_survives", lambda self, test: True)
    untouched = stub(assignment.solution.read_text(encoding="utf-8"))
    earned = {}
    for constant in CONSTANTS:
        source = untouched + FRAME.format(constant=constant)
        plan = grading.Plan(
            assignment, source.encode(), lambda limits: LocalConnection(), seed=b"constants", shrink=False
        )
        earned |= {f"{constant}: {test.test}": test.earned for test in grading.grade(plan) if test.earned}
    assert earned == {}
