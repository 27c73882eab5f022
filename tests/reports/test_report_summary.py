"""The numbers of a class."""

from __future__ import annotations

import fake_records as fake

from autograder.records import PartResult
from autograder.reports import summary


def test_scores_fall_into_tenths_and_full_marks_stand_apart() -> None:
    records = [fake.record(str(score), score=score) for score in (0, 9, 10, 55, 99, 100, 100)]
    assert summary.overview("attention", records).bins == [2, 1, 0, 0, 0, 1, 0, 0, 0, 1, 2]


def test_what_was_not_graded_counts_in_no_statistic() -> None:
    records = [
        fake.record("ada", score=80),
        fake.ungraded("boris", "no file"),
        fake.record("chloe", tests=[], grader_error="killed"),
    ]
    overview = summary.overview("attention", records)
    assert (overview.submissions, overview.graded, overview.mean) == (3, 1, 80)
    assert overview.parts[0].full + overview.parts[0].some + overview.parts[0].none == 1


def test_a_class_in_which_nothing_could_be_graded_has_numbers_too() -> None:
    overview = summary.overview("attention", [fake.ungraded("boris", "no file")])
    assert (overview.graded, overview.mean, sum(overview.bins)) == (0, 0, 0)


def test_a_misconception_counts_once_a_submission() -> None:
    twice = fake.record("ada", tests=[fake.failed("softmax", hint="No shift."), fake.failed("heads", hint="No shift.")])
    overview = summary.overview(
        "attention", [twice, fake.record("boris", tests=[fake.failed("heads", hint="No shift.")])]
    )
    assert [(one.hint, one.count, [part.name for part in one.parts]) for one in overview.misconceptions] == [
        ("No shift.", 2, ["softmax", "heads"])
    ]


def test_failures_that_differ_in_sizes_alone_are_one_group() -> None:
    reasons = ["should have shape (2, 3), not (3,)", "should have shape (1, 1), not (4, 4)", "has wrong values"]
    records = [
        fake.record(str(i), tests=[fake.failed("softmax", hint="", reason=reason)]) for i, reason in enumerate(reasons)
    ]
    assert [(group.title, len(group.cases)) for group in summary.groups("softmax", records)] == [
        ("should have shape (…), not (…)", 2), ("has wrong values", 1),
    ]  # fmt: skip


def test_named_mistakes_come_first_and_what_was_skipped_last() -> None:
    tests = (
        [fake.failed("heads", status="skipped", reason="needs softmax", hint="")],
        [fake.failed("heads", hint="")],
        [fake.failed("heads")],
    )
    groups = summary.groups("heads", [fake.record(str(i), tests=own) for i, own in enumerate(tests)])
    assert [(group.named, group.status) for group in groups] == [
        (True, "failed"),
        (False, "failed"),
        (False, "skipped"),
    ]


def test_tests_that_fail_for_one_reason_are_one_loss() -> None:
    unwritten = {"reason": "is not written yet", "returned": "", "expected": "", "hint": ""}
    record = fake.record(
        tests=[
            fake.failed("heads", test="a", **unwritten),
            fake.failed("heads", test="b", **unwritten),
            fake.failed("softmax", test="c"),
        ]
    )
    losses = summary.losses(record)
    assert [(loss.test.test, len(loss.others), loss.points) for loss in losses] == [("a", 1, 8), ("c", 0, 4)]


def test_every_lost_point_is_in_exactly_one_loss() -> None:
    for record in fake.klass(40):
        assert sum(loss.points for loss in summary.losses(record)) == sum(
            test.points - test.earned for test in record.tests
        )


def test_the_newest_record_of_a_submission_counts_and_the_older_is_kept() -> None:
    old, new = fake.record("ada", id="1" * 32), fake.record("ada", id="2" * 32, graded_at="2026-03-05T00:00:00+00:00")
    second = fake.record("ada", attempt=2)
    current, older = summary.newest([new, second, old])
    assert (current, older) == ([new, second], [old])


def test_a_part_of_a_record_without_points_is_never_whole() -> None:
    # A record with nothing in it says "passed" of every part, for lack of a test.
    assert summary.mark(PartResult("softmax", "Softmax", 8, 0, "passed")) == "none"
