"""The hidden suites, measured through the real boundary: a sample in every run, all of it in the full one."""

from __future__ import annotations

import pytest

from autograder import adequacy
from autograder.course import Assignment, open_course
from autograder.executors import LaneSettings
from autograder.suites import bugs_of

COURSE = open_course()
SAMPLE = 6
assignments = pytest.mark.parametrize("assignment", COURSE.assignments, ids=lambda assignment: assignment.name)
sandboxed = pytest.mark.needs("namespaces", "apt install bubblewrap, and allow user namespaces")


def sample(assignment: Assignment) -> frozenset[str]:
    """The reference and a few planted bugs, spread over the parts."""
    names = [bug.name for bug in bugs_of(assignment)]
    return frozenset(["reference", *names[:: max(1, len(names) // SAMPLE)]])


@sandboxed
@assignments
def test_a_sample_of_planted_bugs_dies_and_the_reference_keeps_every_point(assignment: Assignment) -> None:
    settings = LaneSettings("full", assignment.runtime)
    found = adequacy.measure(
        assignment, settings, jobs=1, keys=adequacy.KEYS[:1], matrix=False, only=sample(assignment)
    )
    assert found.faults == []
    assert found.bugs


@pytest.mark.full
@pytest.mark.timeout(3600)
@sandboxed
@assignments
def test_every_planted_bug_dies_and_every_alternative_keeps_every_point(assignment: Assignment) -> None:
    """Under the first key: CI has half an hour. `autograder adequacy --all` takes three, and belongs to a release."""
    settings = LaneSettings("full", assignment.runtime)
    found = adequacy.measure(assignment, settings, jobs=2, keys=adequacy.KEYS[:1], matrix=False)
    assert found.faults == []
    assert all(bug.killed == bug.keys == 1 for bug in found.bugs)
