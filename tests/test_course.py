"""A course: what its files say, and what is said of files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from toyclass import COURSE, copied

from autograder.course import CourseError, Limits, open_course

TOML = "assignments/toy/assignment.toml"
LIST = "assignments/course.toml"


def test_a_course_has_its_assignments_in_the_order_in_which_they_are_taught() -> None:
    course = open_course(COURSE)
    assert (course.id, course.title, [a.name for a in course.assignments]) == ("toy-course", "A toy course", ["toy"])


def test_an_assignment_knows_its_parts_its_points_and_its_folders() -> None:
    toy = open_course(COURSE).assignment("toy")
    assert [part.name for part in toy.parts] == ["moving_average", "runs", "tape"]
    assert (toy.points, toy.module) == (100, "toy.py")
    assert toy.part("tape").requires == ("runs",)
    assert toy.limits == Limits(call_seconds=3, test_seconds=15, submission_seconds=60, memory_mebibytes=512)
    for path in (toy.folder, toy.suite, toy.solution, toy.public_tests):
        assert path.exists()


def test_the_packaged_course_can_be_opened() -> None:
    course = open_course()
    assert course.assignments
    assert all(assignment.points == 100 for assignment in course.assignments)


def test_an_assignment_that_the_course_does_not_list_yet_can_be_named(tmp_path: Path) -> None:
    course = open_course(copied(tmp_path, ('assignments = ["toy"]', "assignments = []"), path=LIST))
    assert course.assignments == ()
    assert course.assignment("toy").points == 100


@pytest.mark.parametrize("name", ["bpe", "", "../toy", "toy/../toy", "/", ".", "TOY", "toy\0", "a b"])
def test_a_name_that_no_assignment_has_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(CourseError, match="this course has: toy"):
        open_course(COURSE).assignment(name)


def test_a_part_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(CourseError, match="its parts are moving_average, runs, tape"):
        open_course(COURSE).assignment("toy").part("walks")


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (TOML, "points = 40", "points = 'many'", "points"),
        (TOML, "points = 40", "", "points"),
        (TOML, "points = 40", "points = 40.5", "points"),
        (TOML, "points = 40", "points = 40\nextra = 1", "extra"),
        (TOML, 'difficulty = "medium"', 'difficulty = "hopeless"', "hopeless"),
        (TOML, 'requires = ["runs"]', 'requires = ["walks"]', "walks"),
        (TOML, 'requires = ["runs"]', 'requires = ["tape"]', "tape"),
        (TOML, 'name = "tape"', 'name = "runs"', "two parts"),
        (TOML, "call_seconds = 3", "call_second = 3", "call_second"),
        (TOML, "call_seconds = 3", 'call_seconds = "3"', "call_seconds"),
        (TOML, "[limits]", "[limits", "line"),
        (TOML, 'title = "Three small exercises"', "", "title"),
        (LIST, 'assignments = ["toy"]', 'assignments = ["toys"]', "toys"),
        (LIST, 'assignments = ["toy"]', 'assignments = "toy"', "assignments"),
        (LIST, 'assignments = ["toy"]', 'assignments = ["toy", "toy"]', "'toy' twice"),
        (LIST, 'id = "toy-course"', "", "id"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_said_to_be_in_one_line(
    path: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    course = copied(tmp_path, (old, new), path=path)
    with pytest.raises(CourseError) as error:
        open_course(course)
    assert "\n" not in str(error.value)
    assert said in str(error.value)
    assert ".toml" in str(error.value)


def test_a_file_that_is_not_utf_8_is_said_to_be_so_in_one_line(tmp_path: Path) -> None:
    course = copied(tmp_path)
    (course / TOML).write_bytes(b"title = '\xff'\n")
    with pytest.raises(CourseError) as error:
        open_course(course)
    assert str(course / TOML) in str(error.value)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    course = copied(tmp_path)
    for path in (course / LIST, course / TOML):
        path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert open_course(course).assignment("toy").points == 100


def test_a_folder_that_is_no_course_is_said_to_be_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing", COURSE / LIST):
        with pytest.raises(CourseError) as error:
            open_course(folder)
        assert "\n" not in str(error.value)
