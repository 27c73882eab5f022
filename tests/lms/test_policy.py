"""Which attempt counts, what lateness costs, what a person decided: the rules of `policy.py`, one by one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fake_records as fake
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toyclass import COURSE, copied

from autograder import ledger, policy, roster
from autograder.course import Course, CourseError, Policy, open_course
from autograder.intake import Submission
from autograder.lms import layouts
from autograder.records import Record
from autograder.roster import Roster, Rule

DUE = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Times = dict[int, timedelta | None]


def course(**fields: object) -> Course:
    return msgspec.structs.replace(
        open_course(COURSE), due={"attention": DUE, "bpe": DUE + 7 * DAY}, policy=Policy(**fields)
    )


def attempt(number: int, score: int, assignment: str = "attention") -> Record:
    return fake.record("ada", assignment, attempt=number, score=score, id=f"{assignment}{number}")


def entered(times: Times, assignment: str = "attention", due: datetime = DUE) -> dict:
    entries = [
        ledger.Entry(
            "ada", number, str(number), "", submitted_at=None if late is None else due + late, late=late is None
        )
        for number, late in times.items()
    ]
    return {(assignment, "ada"): entries}


def standing(scores: dict[int, int], times: Times, known: Roster | None = None, **fields: object) -> policy.Standing:
    records = [attempt(number, score) for number, score in scores.items()]
    (found,) = policy.standings(course(**fields), records, entered(times), known or Roster())
    return found


def for_ada(**rule: object) -> Roster:
    return Roster({("ada", "attention"): Rule(**rule)})


def test_without_a_policy_the_last_attempt_counts_and_lateness_costs_nothing() -> None:
    found = standing({1: 90, 2: 40}, {1: -HOUR, 2: 30 * DAY})
    assert (found.counted.attempt, found.raw, found.final, found.attempts) == (2, 40, 40, 2)


def test_the_last_is_the_one_handed_in_last_and_not_the_one_graded_last() -> None:
    assert standing({1: 90, 2: 40}, {1: -HOUR, 2: -2 * HOUR}).final == 90


def test_both_scores_are_kept_and_the_record_is_not_changed() -> None:
    found = standing({1: 80}, {1: HOUR}, percent_per_day=10)
    assert (found.raw, found.penalty, found.final, found.counted.score) == (80, 8, 72, 80)
    assert found.in_words() == "1 day late, 8 points taken off for lateness"


@pytest.mark.parametrize(
    ("late", "days"), [(-DAY, 0), (0 * DAY, 0), (HOUR / 4, 0), (HOUR / 2, 1), (DAY, 1), (DAY + HOUR, 2), (9 * DAY, 9)]
)
def test_days_are_begun_ones_and_the_grace_is_forgiven(late: timedelta, days: int) -> None:
    assert standing({1: 80}, {1: late}, grace_minutes=15).days_late == days


def test_no_more_than_the_cap_is_taken() -> None:
    assert standing({1: 80}, {1: 4 * DAY}, percent_per_day=10, cap_percent=30).final == 56
    assert standing({1: 80}, {1: 40 * DAY}, percent_per_day=10).final == 0


def test_the_best_is_the_one_that_is_worth_most_after_the_penalty() -> None:
    late_and_better = {1: 80, 2: 85}
    assert standing(late_and_better, {1: -HOUR, 2: HOUR}, counts="best", percent_per_day=10).counted.attempt == 1
    assert standing(late_and_better, {1: -HOUR, 2: HOUR}, counts="best", percent_per_day=1).counted.attempt == 2


def test_of_equally_good_attempts_the_one_without_a_late_day_counts() -> None:
    found = standing({1: 80, 2: 80}, {1: HOUR, 2: -HOUR}, counts="best", percent_per_day=10, late_days=3)
    assert (found.counted.attempt, found.late_days_used) == (2, 0)


def test_the_best_on_time_ignores_what_came_late_unless_everything_did() -> None:
    fields = {"counts": "best_on_time"}
    assert standing({1: 50, 2: 99, 3: 60}, {1: -DAY, 2: HOUR, 3: -HOUR}, **fields).final == 60
    assert standing({1: 50, 2: 99}, {1: HOUR, 2: DAY}, **fields).final == 99


def test_the_bank_of_late_days_is_used_in_the_order_of_due_dates() -> None:
    records = [attempt(1, 80, "bpe"), attempt(1, 80)]
    times = entered({1: 2 * DAY}) | entered({1: 2 * DAY}, "bpe", DUE + 7 * DAY)
    first, second = policy.standings(course(late_days=3, percent_per_day=10), records, times, Roster())
    assert (first.assignment, first.late_days_used, first.final) == ("attention", 2, 80)
    assert (second.assignment, second.late_days_used, second.final) == ("bpe", 1, 72)


def test_an_extension_moves_one_students_due_date() -> None:
    known = for_ada(due=DUE + 2 * DAY)
    assert standing({1: 80}, {1: 2 * DAY}, known, percent_per_day=10).final == 80
    assert standing({1: 80}, {1: 2 * DAY + HOUR}, known, percent_per_day=10).final == 72


def test_an_excused_student_has_no_score() -> None:
    found = standing({1: 80}, {1: DAY}, for_ada(excused=True), percent_per_day=10)
    assert (found.final, found.excused, found.raw) == (None, True, 80)


def test_a_score_by_hand_replaces_the_result_and_keeps_the_raw_one() -> None:
    found = standing({1: 80}, {1: 3 * DAY}, for_ada(score=95.5, comment="oral exam"), percent_per_day=10)
    assert (found.final, found.raw, found.overridden, found.comment) == (95.5, 80, True, "oral exam")


def test_an_unknown_time_costs_nothing_but_a_late_mark_without_one_is_for_a_person() -> None:
    (unmarked,) = policy.standings(course(percent_per_day=10), [attempt(1, 80)], {}, Roster())
    assert (unmarked.final, unmarked.question) == (80, "")
    marked = standing({1: 80}, {1: None}, percent_per_day=10)
    assert marked.final == 80
    assert "marked late" in marked.question


def test_a_failure_of_the_grader_is_no_score() -> None:
    record = fake.record("ada", tests=[], grader_error="killed")
    (found,) = policy.standings(course(), [record], {}, Roster())
    assert (found.final, bool(found.question)) == (None, True)


def test_an_unknown_time_among_known_ones_orders_attempts_by_number_and_is_said() -> None:
    found = standing({1: 90, 2: 40}, {1: -HOUR, 2: None})
    assert (found.counted.attempt, found.final) == (2, 40)
    assert "attempt 2 counts, by its number" in found.question
    assert standing({1: 90, 2: 40}, {1: -HOUR, 2: None}, counts="best").question == ""
    (untimed,) = policy.standings(course(), [attempt(1, 90), attempt(2, 40)], {}, Roster())
    assert (untimed.final, untimed.question) == (40, "")


@pytest.mark.parametrize("counts", ["last", "best", "best_on_time"])
def test_an_attempt_with_nothing_to_grade_never_goes_before_one_that_was_graded(counts: str) -> None:
    broken = fake.ungraded("ada", "not a valid zip archive", attempt=2, id="broken")
    times = entered({1: DAY, 2: -HOUR})
    (found,) = policy.standings(course(counts=counts), [attempt(1, 0), broken], times, Roster())
    assert (found.counted.attempt, found.attempts) == (1, 2)
    later = entered({1: -DAY, 2: -HOUR})
    (found,) = policy.standings(course(counts=counts), [attempt(1, 80), broken], later, Roster())
    assert (found.final, found.question) == (
        80, "nothing could be graded in attempt 2 (not a valid zip archive): attempt 1 counts"
    )  # fmt: skip


def test_nothing_to_grade_alone_is_worth_0_and_no_score_where_an_export_lacks_the_folder(tmp_path: Path) -> None:
    (found,) = policy.standings(course(), [fake.ungraded("ada", "no toy.py in it")], {}, Roster())
    assert (found.final, found.question) == (0, "")
    (tmp_path / layouts.METADATA).write_text("submission_5:\n  :submitters:\n  - :email: ada@x.org\n")
    (missing,) = layouts.take_in(tmp_path, open_course(COURSE).assignment("toy")).submissions
    (found,) = policy.standings(course(), [fake.ungraded("ada", missing.problem)], {}, Roster())
    assert found.final is None
    assert "download that again" in found.question


def test_of_an_attempt_that_was_graded_again_the_newer_record_counts() -> None:
    old = fake.record("ada", score=10, id="old", graded_at="2026-01-01T00:00:00+00:00")
    new = fake.record("ada", score=30, id="new", graded_at="2026-01-02T00:00:00+00:00")
    (found,) = policy.standings(course(), [new, old], {}, Roster())
    assert (found.final, found.attempts) == (30, 1)


def test_a_score_or_an_excuse_by_hand_needs_no_submission() -> None:
    known = Roster(
        {
            ("bob", "toy"): Rule(score=88, comment="oral exam"),
            ("eve", "toy"): Rule(excused=True),
            ("kim", "toy"): Rule(due=DUE),
        }
    )
    bob, eve = policy.standings(course(), [], {}, known)
    assert (bob.student, bob.final, bob.raw, bob.points, bob.attempts) == ("bob", 88, 0, 100, 0)
    assert (eve.student, eve.final, eve.excused, eve.attempts) == ("eve", None, True, 0)


def test_an_excuse_for_all_assignments_is_one_for_each_that_somebody_handed_in() -> None:
    record = fake.record("ada", score=80)
    known = Roster({("eve", ""): Rule(excused=True)})
    found = policy.standings(course(), [msgspec.structs.replace(record, assignment="toy")], {}, known)
    assert [(own.student, own.assignment, own.excused) for own in found] == [
        ("ada", "toy", False),
        ("eve", "toy", True),
    ]


def test_a_newest_attempt_without_a_record_is_found() -> None:
    times = entered({1: -HOUR, 2: HOUR})
    assert policy.ungraded([attempt(1, 80)], times) == [("attention", "ada", 2)]
    assert policy.ungraded([attempt(2, 80)], times) == []


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(-5, 20)), min_size=1, max_size=4),
    st.sampled_from(["last", "best", "best_on_time"]), st.integers(0, 9), st.integers(0, 100), st.integers(0, 100),
)  # fmt: skip
def test_a_policy_never_adds_and_never_takes_more_than_the_cap(
    attempts: list[tuple[int, int]], counts: str, bank: int, percent: int, cap: int
) -> None:
    scores = {n: score for n, (score, _) in enumerate(attempts, 1)}
    times: Times = {n: late * DAY / 2 for n, (_, late) in enumerate(attempts, 1)}
    found = standing(scores, times, counts=counts, late_days=bank, percent_per_day=percent, cap_percent=cap)
    assert found.final is not None
    assert found.raw * (100 - cap) / 100 - 0.01 <= found.final <= found.raw
    assert 0 <= found.late_days_used <= min(bank, found.days_late)
    assert found.raw in scores.values()


# --- what course.toml may say


def test_a_course_says_its_policy_and_its_due_dates(tmp_path: Path) -> None:
    more = 'assignments = ["toy"]\n[due]\ntoy = 2026-03-01T23:59:00+01:00\n[policy]\ncounts = "best"\nlate_days = 3\n'
    own = open_course(copied(tmp_path, ('assignments = ["toy"]\n', more), path="assignments/course.toml"))
    assert (own.policy.counts, own.policy.late_days) == ("best", 3)
    assert own.due["toy"] == datetime(2026, 3, 1, 22, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[due]\ntoy = 2026-03-01T23:59:00\n", "no time zone"),
        ("[due]\ntoi = 2026-03-01T23:59:00Z\n", "names no assignment"),
        ("[policy]\ncounts = 'worst'\n", "policy.counts"),
        ("[feedback]\ndetail = 'everything'\n", "feedback.detail"),
        ("[policy]\ncap_percent = 101\n", "policy.cap_percent"),
        ("[policy]\ncap_percent = -1\n", "policy.cap_percent"),
        ("[policy]\npercent_per_day = -10\n", "policy.percent_per_day"),
        ("[policy]\npercent_per_day = nan\n", "policy.percent_per_day"),
        ("[policy]\nlate_days = -1\n", "policy.late_days"),
        ("[policy]\ngrace_minutes = -5\n", "policy.grace_minutes"),
        ("[policy]\ngrace_minutes = inf\n", "policy.grace_minutes"),
        ("[feedback]\ntokens = -1\n", "feedback.tokens"),
        ("[feedback]\nhours_per_token = 0\n", "feedback.hours_per_token"),
    ],
)
def test_a_policy_that_makes_no_sense_is_an_error(text: str, said: str, tmp_path: Path) -> None:
    edit = ('assignments = ["toy"]\n', f'assignments = ["toy"]\n{text}')
    with pytest.raises(CourseError, match=said) as error:
        open_course(copied(tmp_path, edit, path="assignments/course.toml"))
    assert "\n" not in str(error.value)


# --- the roster


def test_a_roster_is_read_with_its_rules_and_other_names(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(
        "student,assignment,due,excused,score,comment,canvas_id\n"
        "ada,,2026-03-05T12:00:00+00:00,,,,17\n"
        'ada,bpe,,,12.5,"well, all right",17\n'
        "bob,bpe,,yes,,,\n",
        encoding="utf-8-sig",
    )
    known = roster.read(path)
    assert known.rule("ada", "bpe") == Rule(DUE + 4 * DAY, False, 12.5, "well, all right")
    assert known.rule("ada", "toy") == Rule(DUE + 4 * DAY)
    assert known.rule("bob", "bpe").excused
    assert known.rule("eve", "bpe") == Rule()
    assert known.identities == {"ada": {"canvas_id": "17"}, "bob": {}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,score\nada,1\n", "no column student"),
        ("student,grade\nada,1\n", "'grade'"),
        ("student,score\nada,much\n", "line 2.*'much'"),
        ("student,score\nada,-1\n", "line 2.*'-1'"),
        ("student,score\nada,nan\n", "line 2"),
        ("student,due\nada,tomorrow\n", "line 2.*'tomorrow'"),
        ("student,due\nada,2026-03-05T12:00:00\n", "time zone"),
        ("student,excused\nada,maybe\n", "'maybe'"),
        ("student,score\nada\n", "line 2.*cells"),
        ("student,score\nada,1,2\n", "line 2.*cells"),
        ("student,score\n,1\n", "student is missing"),
        ("student,score\nada,1\nada,2\n", "line 3.*second line"),
        ("student,assignment,login\nada,,x\nada,toy,y\n", "line 3.*two values of login"),
        ('student,score\n"ada,1\n', "line"),
        ("student;score\nada;1\n", "separate them by commas"),
        ("student,score,score\nada,1,2\n", "two columns 'score'"),
        ("student,assignment,score\nada,toy,1\nada,toi,1\n", "line 3.*'toi'.*this course has: toy"),
    ],
)
def test_a_roster_that_makes_no_sense_is_an_error_that_names_the_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text(text)
    with pytest.raises(roster.RosterError, match=said) as error:
        roster.read(tmp_path / "roster.csv", open_course(COURSE))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_roster_of_another_encoding_is_to_be_saved_as_utf_8(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text("student,comment\nada,schön\n", encoding=encoding)
    with pytest.raises(roster.RosterError, match="save it as CSV UTF-8"):
        roster.read(tmp_path / "roster.csv")


def test_lines_that_decide_something_and_fit_nobody_are_found() -> None:
    known = Roster(
        {
            ("ada", "toy"): Rule(due=DUE),
            ("bob", "toy"): Rule(due=DUE),
            ("ada", ""): Rule(due=DUE),
            ("eve", ""): Rule(comment="moved"),
            ("kim", "toy"): Rule(),  # only says what others call kim
        }
    )
    assert known.lines_of_nobody({("ada", "toy")}) == [("bob", "toy"), ("eve", "")]


# --- the ledger


def submission(source: str, at: datetime | None = None) -> Submission:
    return Submission("ada", source.encode(), "ada/toy.py", submitted_at=at)


def test_attempts_are_numbered_once_and_for_all(tmp_path: Path) -> None:
    assert [s.attempt for s in ledger.Ledger(tmp_path, "toy").enter([submission("a", DUE)])] == [1]
    again = ledger.Ledger(tmp_path, "toy").enter([submission("b", DUE + DAY), submission("a", DUE)])
    assert [s.attempt for s in again] == [2, 1]
    found = ledger.read_all(tmp_path)["toy", "ada"]
    assert [(entry.attempt, entry.submitted_at) for entry in found] == [(1, DUE), (2, DUE + DAY)]


def test_the_same_bytes_handed_in_again_are_one_attempt_of_the_first_time(tmp_path: Path) -> None:
    ledger.Ledger(tmp_path, "toy").enter([submission("a", DUE)])
    ledger.Ledger(tmp_path, "toy").enter([submission("a", DUE + DAY)])
    ledger.Ledger(tmp_path, "toy").enter([submission("a")])
    (entry,) = ledger.Ledger(tmp_path, "toy").entries
    assert entry.submitted_at == DUE


def test_who_hands_in_an_earlier_attempt_again_means_that_one_and_it_is_as_late_as_it_was(tmp_path: Path) -> None:
    kept = ledger.Ledger(tmp_path, "attention")
    for source, at in (("a", DUE - DAY), ("b", DUE - HOUR), ("a", DUE + HOUR), ("a", DUE - DAY)):
        kept.enter([submission(source, at)])
    first, second = kept.entries
    assert (first.submitted_at, first.last_submitted_at) == (DUE - DAY, DUE + HOUR)
    assert (second.submitted_at, second.last_submitted_at) == (DUE - HOUR, None)
    records, times = [attempt(1, 80), attempt(2, 40)], ledger.read_all(tmp_path)
    (found,) = policy.standings(course(percent_per_day=10), records, times, Roster())
    assert (found.counted.attempt, found.final, found.days_late) == (1, 80, 0)


def test_a_time_that_a_person_gives_replaces_what_was_known(tmp_path: Path) -> None:
    kept = ledger.Ledger(tmp_path, "attention")
    kept.enter([msgspec.structs.replace(submission("a", DUE + 9 * DAY), timed_by_hand=True)])  # a slip of the pen
    kept.enter([msgspec.structs.replace(submission("a", DUE - DAY), timed_by_hand=True)])
    kept.enter([submission("b", DUE + DAY)])
    first, _ = kept.entries
    assert (first.submitted_at, first.last_submitted_at) == (DUE - DAY, None)
    (found,) = policy.standings(course(), [attempt(1, 80), attempt(2, 40)], ledger.read_all(tmp_path), Roster())
    assert found.counted.attempt == 2


@pytest.mark.parametrize("times", [(None, None, None), (DUE - DAY, DUE, None)], ids=["no times", "only at first"])
def test_an_earlier_attempt_that_comes_in_again_at_no_known_time_is_said(
    times: tuple[datetime | None, ...], tmp_path: Path
) -> None:
    kept = ledger.Ledger(tmp_path, "attention")
    for source, at in zip("aba", times, strict=True):
        kept.enter([submission(source, at)])
    records = [attempt(1, 80), attempt(2, 40)]
    (found,) = policy.standings(course(), records, ledger.read_all(tmp_path), Roster())
    assert (found.counted.attempt, found.final) == (2, 40)
    assert found.question == "attempt 1 came in again, at no known time, but attempt 2 counts: give times with --times"
    kept.enter([submission("c", DUE)])  # a newer one makes it plain
    (found,) = policy.standings(course(), [*records, attempt(3, 60)], ledger.read_all(tmp_path), Roster())
    assert found.counted.attempt == 3
    assert "came in again" not in found.question


def test_a_ledger_that_was_kept_before_there_was_a_last_time_is_read(tmp_path: Path) -> None:
    kept = ledger.Ledger(tmp_path, "toy")
    kept.enter([submission("a", DUE)])
    old = kept.path.read_text()
    assert '"last_submitted_at": null' in old
    kept.path.write_text(re.sub(r',\s*"last_submitted_at": null', "", old))
    assert ledger.Ledger(tmp_path, "toy").entries == kept.entries


def test_a_damaged_ledger_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "submissions" / "toy.json"
    path.parent.mkdir()
    path.write_text("[")
    with pytest.raises(Exception, match=r"toy\.json") as error:
        ledger.Ledger(tmp_path, "toy")
    assert error.value.exit_code == 2  # type: ignore[attr-defined]
