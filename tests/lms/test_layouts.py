"""Bulk downloads are recognised as they are, and which file is whose is never a guess."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from toyclass import COURSE, toy

from autograder import cli
from autograder.cli import choices, progress
from autograder.intake import Submission
from autograder.lms import layouts, times

SOURCE = "def runs(text): return []\n"


def put(folder: Path, *names: str, text: str = SOURCE) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def taken(folder: Path, layout: str = "") -> tuple[str, dict[str, Submission]]:
    found = layouts.take_in(folder, toy(), layout)
    by_student = {one.student: one for one in found.submissions}
    assert len(by_student) == len(found.submissions)
    return found.layout, by_student


def test_canvas_files_give_the_student_the_id_and_whether_they_were_late(tmp_path: Path) -> None:
    put(tmp_path, "doejane_12345_678901_toy.py", "roejohn_LATE_12346_678902_toy-1.py", "doejane_12347_678903_toy.py")
    layout, found = taken(tmp_path)
    assert layout == "canvas"
    assert set(found) == {"doejane_12345", "doejane_12347", "roejohn_12346"}  # two people of one name are two
    assert found["roejohn_12346"].late
    assert not found["doejane_12345"].late
    assert found["doejane_12345"].identities == {"canvas_id": "12345"}
    assert all(one.source == SOURCE.encode() for one in found.values())


def test_of_several_canvas_uploads_the_last_counts_and_other_files_do_not(tmp_path: Path) -> None:
    put(tmp_path, "doejane_1_10_toy.py")
    put(tmp_path, "doejane_1_20_toy-1.py", text="new = 1\n")
    put(tmp_path, "doejane_1_30_notes.txt", "roejohn_2_31_a.txt", "roejohn_2_32_b.txt")
    _, found = taken(tmp_path)
    assert found["doejane_1"].source == b"new = 1\n"
    assert "no toy.py among 2 files" in found["roejohn_2"].problem


def test_a_link_among_canvas_files_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "secret", "toy.py")
    put(tmp_path / "in", "a_1_10_toy.py")
    (tmp_path / "in" / "b_2_11_toy.py").symlink_to(tmp_path / "secret" / "toy.py")
    _, found = taken(tmp_path / "in")
    assert "symbolic link" in found["b_2"].problem


def test_moodle_folders_give_the_student_and_the_number(tmp_path: Path) -> None:
    put(tmp_path, "Jane Doe_123_assignsubmission_file/toy.py", "Jo_Roe_124_assignsubmission_file_/toy.py")
    layout, found = taken(tmp_path)
    assert layout == "moodle"
    assert found["Jane Doe_123"].identities == {"moodle_id": "123", "name": "Jane Doe"}
    assert found["Jo_Roe_124"].source == SOURCE.encode()


def test_of_several_files_beside_each_other_the_module_is_the_submission(tmp_path: Path) -> None:
    files = ("Ada_1_{}_toy.py", "Ada_1_{}_zebra.py", "Ada_1_{}_a.txt", "Bob_2_{}_a.py", "Bob_2_{}_b.py", "Cy_3_{}_x.py")
    put(tmp_path, *(name.format("assignsubmission_file") for name in files))
    notebook = json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": "x = 1"}]})
    put(tmp_path, "Di_4_assignsubmission_file_lab.ipynb", text=notebook)
    put(tmp_path, "Di_4_assignsubmission_file_plot.png")
    _, found = taken(tmp_path)
    assert sorted(found) == ["Ada_1", "Bob_2", "Cy_3", "Di_4"]
    assert found["Ada_1"].origin.endswith("_toy.py")
    assert (found["Bob_2"].source, found["Bob_2"].problem.split(",")[0]) == (None, "no toy.py in it or one folder down")
    assert found["Cy_3"].source == SOURCE.encode()
    assert (found["Di_4"].source, found["Di_4"].problem) == (b"x = 1\n", "")


MALLORYS = "Mallory_11_assignsubmission_file_x_22_assignsubmission_file_toy.py"


@pytest.mark.parametrize(
    ("forged", "honest", "ids"),
    [
        # By the name of a file that was uploaded, of a file in place of a folder, of a profile.
        (MALLORYS, "Vic Tim_22_assignsubmission_file_toy.py", {"moodle_id": "22", "name": "Vic Tim"}),
        (f"{MALLORYS}/toy.py", "Vic Tim_22_assignsubmission_file/toy.py", {"moodle_id": "22", "name": "Vic Tim"}),
        (
            "x_22_assignsubmission_file_11_assignsubmission_file_toy.py",
            "Vic Tim_22_assignsubmission_file_toy.py",
            {"moodle_id": "22", "name": "Vic Tim"},
        ),
        (
            "Mallory_11_assignsubmission_file_x_22_assignsubmission_onlinetext.html",
            "Vic Tim_22_assignsubmission_file_toy.py",
            {"moodle_id": "22", "name": "Vic Tim"},
        ),
        # Canvas takes one pair of underscores around a number out of a profile's name, and leaves others.
        ("mallory_22_11_99_toy.py", "tim_22_98_toy.py", {"canvas_id": "22"}),
        ("mallory_22_33_11_99_toy.py", "tim_22_98_toy.py", {"canvas_id": "22"}),
        ("mallory_22_33_LATE_11_99_toy.py", "tim_22_98_toy.py", {"canvas_id": "22"}),
        ("mallory_11_99_x_22_98_toy.py", "tim_22_98_toy.py", {"canvas_id": "22"}),
    ],
)
def test_an_entry_that_could_be_two_peoples_is_nobodys_and_the_others_are_taken(
    forged: str, honest: str, ids: dict[str, str], tmp_path: Path
) -> None:
    layout, found = taken(put(tmp_path, forged, honest))
    nobodys = found.pop(forged.removesuffix("/toy.py"))
    assert (nobodys.source, nobodys.identities, nobodys.layout) == (None, {}, layout)
    assert "could be two people's" in nobodys.problem
    assert "rename it" in nobodys.problem
    (victims,) = found.values()
    assert (victims.source, victims.identities) == (SOURCE.encode(), ids)


def test_a_canvas_name_with_an_underscore_fits_and_keeps_its_id(tmp_path: Path) -> None:
    layout, found = taken(put(tmp_path, "o_brien_12_34_toy.py", "o_brien_LATE_13_35_my_toy.py"))
    assert layout == "canvas"
    assert [(name, one.identities["canvas_id"], one.late) for name, one in sorted(found.items())] == [
        ("o_brien_12", "12", False), ("o_brien_13", "13", True)
    ]  # fmt: skip


GRADESCOPE = """\
submission_501:
  :submitters:
  - :name: Ada
    :sid: '011'
    :email: ada@x.org
  - :name: Bob
    :sid: 12
    :email: bob@x.org
  :created_at: 2026-02-28 11:00:00.123456789 -0800
  :score: 1.0
submission_502:
  :submitters:
  - :name: Eve
    :email: eve@x.org
  :created_at: 2026-02-28 11:00:00 Z
"""


def test_a_gradescope_export_gives_groups_times_and_submission_numbers(tmp_path: Path) -> None:
    put(tmp_path, "submission_501/toy.py")
    put(tmp_path, "submission_metadata.yml", text=GRADESCOPE)
    layout, found = taken(tmp_path)
    assert layout == "gradescope"
    assert set(found) == {"ada@x.org", "bob@x.org", "eve@x.org"}
    assert found["ada@x.org"].submitted_at == datetime(2026, 2, 28, 19, tzinfo=UTC)
    assert (found["bob@x.org"].number, found["ada@x.org"].identities["sis_id"]) == ("501", "011")
    assert "missing from the export" in found["eve@x.org"].problem


def test_a_gradescope_folder_that_its_metadata_does_not_name_is_nobodys(tmp_path: Path) -> None:
    put(tmp_path, "submission_501/toy.py", "submission_502/toy.py", "submission_503/toy.py")
    put(tmp_path, "submission_metadata.yml", text=GRADESCOPE + "submission_504: gone\n")
    _, found = taken(tmp_path)
    assert set(found) == {"ada@x.org", "bob@x.org", "eve@x.org", "submission_503", "submission_504"}
    assert "not in submission_metadata.yml" in found["submission_503"].problem
    assert "missing from the export" in found["submission_504"].problem
    assert not found["submission_503"].identities


def test_gradescope_metadata_that_names_no_submission_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "submission_501/toy.py")
    put(tmp_path, "submission_metadata.yml", text="{}\n")
    with pytest.raises(layouts.LayoutError, match="names no submission"):
        layouts.take_in(tmp_path, toy())


@pytest.mark.parametrize("time", ["soon", "2026-13-45 11:00:00 Z", "0001-01-01 00:00:00 +1000", "''"])
def test_a_time_that_cannot_be_read_is_unknown_and_named(time: str, tmp_path: Path) -> None:
    put(tmp_path, "submission_501/toy.py", "submission_502/toy.py")
    text = GRADESCOPE.replace("2026-02-28 11:00:00 Z", time)
    put(tmp_path, "submission_metadata.yml", text=text)
    found = layouts.take_in(tmp_path, toy()).submissions
    assert layouts.untimed(found) == ["submission_502/toy.py"]
    put(tmp_path, "times.csv", text="student,submitted_at\neve@x.org,2026-03-01T10:00:00Z\n")
    assert layouts.untimed(times.given(found, tmp_path / "times.csv")) == []


@pytest.mark.parametrize("text", ["- a\n", "a: [", "!!python/object/apply:os.system ['true']", "\x00"])
def test_metadata_that_is_none_is_an_error(text: str, tmp_path: Path) -> None:
    put(tmp_path, "submission_metadata.yml", text=text)
    with pytest.raises(layouts.LayoutError, match="no metadata"):
        layouts.take_in(tmp_path, toy())


def test_classroom_clones_give_the_login_and_no_time(tmp_path: Path) -> None:
    put(tmp_path, "toy-ada/toy.py", "toy-ada/.git/HEAD", "toy-bob/toy.py", "toy-bob/.git/HEAD")
    layout, found = taken(tmp_path)
    assert layout == "classroom"
    assert {name: one.identities for name, one in found.items()} == {"ada": {"login": "ada"}, "bob": {"login": "bob"}}
    assert not found["ada"].submitted_at  # a commit's time is the student's own word


def test_nbgraders_folders_give_the_student_and_the_time(tmp_path: Path) -> None:
    put(tmp_path, "ada/toy/toy.py", "ada/toy/toy.ipynb", "bob/toy/toy.ipynb")
    for student in ("ada", "bob"):
        put(tmp_path, f"{student}/toy/timestamp.txt", text="2026-02-28 12:00:00.5 UTC\n")
    layout, found = taken(tmp_path)
    assert layout == "nbgrader"
    assert found["ada"].submitted_at == datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert "no toy.py" in found["bob"].problem  # its notebook is no solution
    assert found["ada"].origin == "ada/toy/toy.py"


def test_one_odd_student_in_nbgraders_folder_does_not_lose_the_times_of_the_others(tmp_path: Path) -> None:
    put(tmp_path, "ada/toy/toy.py", "bob/toy/toy.py", "carol/bpe/bpe.py", "dave/toy/toy.py")
    put(tmp_path, "ada/toy/timestamp.txt", "bob/toy/timestamp.txt", text="2026-02-28 12:00:00 UTC\n")
    put(tmp_path, "carol/bpe/timestamp.txt", text="2026-02-28 12:00:00 UTC\n")
    found = layouts.take_in(tmp_path, toy())
    assert (found.layout, found.left_out) == ("nbgrader", "left out, being no <student>/toy/: carol")
    assert [(one.student, bool(one.submitted_at)) for one in found.submissions] == [
        ("ada", True), ("bob", True), ("dave", False)
    ]  # fmt: skip
    assert layouts.untimed(found.submissions) == ["dave/toy/toy.py"]


def test_a_student_alone_makes_no_folder_nbgraders(tmp_path: Path) -> None:
    put(tmp_path, "ada/src/toy.py", "bob/src/toy.py", "mal/toy/toy.py", "mal/toy/timestamp.txt")
    assert taken(tmp_path)[0] == "plain"


@pytest.mark.parametrize(
    ("typed", "layout"),
    [
        ("Jo Roe_124_assignsubmission_onlinetext/onlinetext.html", "moodle"),
        ("Jo Roe_124_assignsubmission_onlinetext.html", "moodle"),
        ("roejo_124_text.html", "canvas"),
        ("roejo_LATE_124_link.html", "canvas"),
    ],
)
def test_what_was_typed_into_the_lms_is_left_out_by_name_and_the_files_are_taken(
    typed: str, layout: str, tmp_path: Path
) -> None:
    file = {"moodle": "Jo Roe_124_assignsubmission_file/toy.py", "canvas": "doejane_123_45_toy.py"}[layout]
    found = layouts.take_in(put(tmp_path, typed, file), toy())
    assert (found.layout, len(found.submissions)) == (layout, 1)
    assert found.left_out.endswith(f": {typed.split('/')[0]}")


@pytest.mark.parametrize(
    "names",
    [
        ("alice.py", "bob_1_2_toy.py"),
        ("alice/toy.py",),
        ("alice/toy/toy.py",),
        ("toy-ada/toy.py",),
        ("doe_jane_12345_toy.py",),
    ],
)
def test_what_does_not_fit_in_every_entry_is_plain(names: tuple[str, ...], tmp_path: Path) -> None:
    layout, found = taken(put(tmp_path, *names))
    assert layout == "plain"
    assert len(found) == len(names)


@pytest.mark.parametrize(
    ("names", "like"),
    [
        (("doejane_12345_678901_toy.py", "notes.txt"), "canvas"),
        (("Jane Doe_123_assignsubmission_file/toy.py", "notes.txt"), "moodle"),
        (("toy-ada/toy.py", "toy-ada/.git/HEAD", "notes/toy.py"), "classroom"),
        (("ada/toy/toy.py", "ada/toy/timestamp.txt", "notes.txt"), "nbgrader"),
        (("alice.py", "bob/toy.py", "toy-eve/toy.py"), ""),
    ],
)
def test_one_stray_entry_makes_a_download_plain_and_that_is_noticed(
    names: tuple[str, ...], like: str, tmp_path: Path
) -> None:
    layout, _ = taken(put(tmp_path, *names))
    assert (layout, layouts.resembled(tmp_path, toy())) == ("plain", like)


def test_show_names_whose_each_file_is_and_grades_nothing(tmp_path: Path) -> None:
    put(tmp_path / "in", "doejane_12345_678901_toy.py", "roejohn_12346_678902_toy.py")
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "grade", "toy", "in", "--course", COURSE, "--show"], cwd=tmp_path,
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    first, *rest = done.stderr.splitlines()
    assert first == "toy: 2 submissions, laid out as canvas"
    assert [line.split()[0] for line in rest] == ["doejane_12345", "roejohn_12346"]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        (("ada.py", "bob.py"), (), "toy: 2 submissions, laid out as plain\n"),
        (("ada.py",), (), "toy: 1 submission, laid out as plain\n"),
        (
            ("doejane_1_2_toy.py", "notes.txt"),
            (),
            "toy: 2 submissions, laid out as plain, though some entries look like canvas\n"
            "  doejane_1_2_toy  <- doejane_1_2_toy.py\n"
            "  notes.txt  <- notes.txt  ",
        ),
        # A person who names a layout has looked.
        (("doejane_1_2_toy.py",), ("--layout", "plain"), "toy: 1 submission, laid out as plain\n"),
    ],
)
def test_before_grading_the_layout_is_always_said_and_the_mapping_where_it_may_be_wrong(
    names: tuple[str, ...], more: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    put(tmp_path / "in", *names)
    begun: list[Any] = []
    monkeypatch.setattr(progress, "grade", lambda piles, settings, as_json: begun.append((piles, as_json)))
    monkeypatch.setattr(choices, "level", lambda unsafe_allow, device: "full")
    monkeypatch.setenv("AUTOGRADER_COURSE_KEY", "a key of this test")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["autograder", "grade", "toy", "in", "--course", str(COURSE), "--json", *more])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code or 0, out, len(begun)) == (0, "", 1), err
    assert err.startswith(said)
    assert err.count("\n") == said.count("\n") + (not said.endswith("\n"))


@pytest.mark.parametrize(
    ("layout", "fits", "stray", "shape"),
    [
        ("canvas", "doejane_1_2_toy.py", "notes.txt", "name_123_456_file"),
        ("moodle", "Jane Doe_1_assignsubmission_file/toy.py", "notes.txt", "Name_123_assignsubmission_file"),
        ("classroom", "toy-ada/.git/HEAD", "notes/toy.py", "toy-<login>/ with its .git"),
        ("nbgrader", "ada/toy/toy.py", "notes/toy.py", "<student>/toy/"),
    ],
)
def test_where_a_layout_is_named_what_fits_is_taken_and_the_rest_is_named(
    layout: str, fits: str, stray: str, shape: str, tmp_path: Path
) -> None:
    found = layouts.take_in(put(tmp_path, fits, stray), toy(), layout)
    assert (found.layout, len(found.submissions)) == (layout, 1)
    assert found.left_out == f"left out, being no {shape}: {stray.split('/')[0]}"


def test_a_layout_that_is_named_must_fit_something(tmp_path: Path) -> None:
    put(tmp_path, "alice/toy.py")
    assert taken(tmp_path, "plain")[0] == "plain"
    with pytest.raises(layouts.LayoutError, match="not laid out as canvas"):
        layouts.take_in(tmp_path, toy(), "canvas")
    with pytest.raises(layouts.LayoutError, match="--layout is one of"):
        layouts.take_in(tmp_path, toy(), "blackboard")


def test_times_come_from_a_file_by_student_or_by_any_identity(tmp_path: Path) -> None:
    put(tmp_path / "in", "a_LATE_1_10_toy.py", "b_2_11_toy.py")
    submissions = layouts.take_in(tmp_path / "in", toy()).submissions
    put(tmp_path, "times.csv", text="student,submitted_at\n1,2026-03-01T10:00:00+01:00\n")
    first, second = times.given(submissions, tmp_path / "times.csv")
    assert (first.submitted_at, first.late) == (datetime(2026, 3, 1, 9, tzinfo=UTC), False)
    assert second.submitted_at is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("student,submitted_at\nnobody,2026-03-01T10:00:00Z\n", "nobody, who handed in nothing"),
        ("student,submitted_at\nJane Doe,2026-03-01T10:00:00Z\n", "Jane Doe, who handed in nothing"),
        ("student,submitted_at\n1,2026-03-01T10:00:00\n", "line 2: .* no time zone: write 2026-03-01T10:00:00Z"),
        ("student,submitted_at\n1,noon\n", "line 2: submitted_at is no time .*'noon'"),
        ("student,submitted_at\n1,2026-03-01T10:00:00Z\n1,2026-03-02T10:00:00Z\n", "line 3: a second line for 1"),
        (
            "student,submitted_at\n1,2026-03-01T10:00:00Z\nJane Doe_1,2026-03-02T10:00:00Z\n",
            "two lines for Jane Doe_1: Jane Doe_1 and 1",
        ),
        ("student,submitted_at\n1\n", "line 2: as many cells"),
        ("student,submitted_at\n1,2026-03-01T10:00:00Z,x\n", "line 2: as many cells"),
        ("student,submitted_at\n ,2026-03-01T10:00:00Z\n", "line 2: the student is missing"),
        ('student,submitted_at\n"1"x,2026-03-01T10:00:00Z\n', "line 2: "),
        ("student;submitted_at\n1;2026-03-01T10:00:00Z\n", "student,submitted_at, with a comma"),
        ("student,when\n1,2026-03-01T10:00:00Z\n", "student,submitted_at, with a comma"),
        ("student,submitted_at\n", "no line beneath its first"),
        ("", "its first line has to be student,submitted_at"),
        (None, "cannot read the times .*: No such file"),
    ],
)
def test_times_that_make_no_sense_or_fit_nobody_are_an_error(text: str | None, said: str, tmp_path: Path) -> None:
    put(tmp_path / "in", "Jane Doe_1_assignsubmission_file/toy.py")
    submissions = layouts.take_in(tmp_path / "in", toy()).submissions
    if text is not None:
        put(tmp_path, "times.csv", text=text)
    with pytest.raises(times.TimesError, match=said):
        times.given(submissions, tmp_path / "times.csv")


def test_a_line_that_fits_two_students_is_an_error(tmp_path: Path) -> None:
    both = [
        Submission("ada", b"", "ada", identities={"sis_id": "7"}),
        Submission("bob", b"", "bob", identities={"canvas_id": "7"}),
    ]
    put(tmp_path, "times.csv", text="student,submitted_at\n7,2026-03-01T10:00:00Z\n")
    with pytest.raises(times.TimesError, match="7 is ada and bob"):
        times.given(both, tmp_path / "times.csv")
