"""The course's late policy as a plugin of nbgrader's, so that its pages and its export show the penalty.

nbgrader says how late a submission is, extensions counted; grace, the bank of late days, percent and cap come from
`course.toml`. The bank is used up by the student's other late submissions with earlier due dates,
extensions counted here too, as `policy.standings` has it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nbgrader.plugins import LateSubmissionPlugin
from traitlets import Unicode

from autograder import policy
from autograder.course import Policy, open_course

DAY_SECONDS = 86400


class CoursePenalty(LateSubmissionPlugin):  # type: ignore[misc]
    """Takes off what the course's policy says."""

    course = Unicode("", help="Folder of another course than the packaged one.").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """Points taken off; None where none are."""
        rules = open_course(Path(self.course) if self.course else None).policy
        days = _days(total_seconds_late, rules)
        banked = min(days, max(0, rules.late_days - self._used(student_id, rules))) if score else 0
        return policy.penalty(score, days - banked, rules) or None

    def _used(self, student: str, rules: Policy) -> int:
        """Late days that the student's earlier assignments used up."""
        if not rules.late_days:
            return 0
        gradebook, current = self.parent.gradebook, self.parent.assignment_id
        submissions = sorted(gradebook.student_submissions(student), key=_order)
        left = rules.late_days
        for submission in submissions:
            if submission.assignment.name == current:
                break
            if submission.score:
                left -= min(left, _days(submission.total_seconds_late, rules))
        return rules.late_days - left


def _order(submission: Any) -> tuple[float, str]:
    due = submission.assignment.duedate and submission.duedate  # the latter fails for an extension of nothing
    return (due.timestamp() if due else math.inf, submission.assignment.name)


def _days(seconds: float, rules: Policy) -> int:
    return math.ceil(seconds / DAY_SECONDS) if seconds > 60 * rules.grace_minutes else 0
