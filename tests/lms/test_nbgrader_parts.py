"""The pieces of the nbgrader course that need no nbgrader run: its notebook, its configuration, outputs, pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jinja2
import nbformat
import payloads
import pytest
from bs4 import BeautifulSoup
from nbgrader.coursedir import CourseDirectory
from nbgrader.nbgraderformat import MetadataValidator
from nbgraders import PNG, run
from toyclass import COURSE, STUB, toy

from autograder.course import open_course
from autograder.lms.nbgrader import course, notebook, pages
from autograder.lms.nbgrader.preprocessors import _take, harmless

COURSES = [toy(), *open_course().assignments]


@pytest.mark.parametrize("assignment", COURSES, ids=lambda a: a.name)
def test_the_notebook_is_valid_and_has_every_part_with_its_points(assignment) -> None:
    sheet = nbformat.reads(notebook.notebook(assignment), as_version=4)
    nbformat.validate(sheet)
    MetadataValidator().validate_nb(sheet)
    points = {c.metadata.nbgrader.grade_id: c.metadata.nbgrader.points for c in sheet.cells if "nbgrader" in c.metadata}
    assert points == {f"part-{p.name}": p.points for p in assignment.parts} | {
        f"question-{q.name}": q.points for q in assignment.questions
    }


@pytest.mark.parametrize("assignment", COURSES, ids=lambda a: a.name)
def test_every_assignment_asks_something_that_a_person_reads_and_for_a_picture(assignment) -> None:
    assert {question.kind for question in assignment.questions} == {"written", "plot"}


def test_an_instructors_own_cells_stay_where_they_were() -> None:
    first = json.loads(notebook.notebook(toy()))
    own = {"cell_type": "markdown", "id": "own", "metadata": {}, "source": "mine"}
    first["cells"].insert(2, own)
    first["cells"][1]["source"] = "an old text of ours"
    again = json.loads(notebook.notebook(toy(), json.dumps(first)))
    assert again["cells"][2] == own
    again["cells"].remove(own)
    assert again == json.loads(notebook.notebook(toy()))


def test_source_holds_the_stub_and_no_solution(tmp_path: Path) -> None:
    own = open_course(COURSE)
    files = course.make(own, [own.assignment("toy")], tmp_path, course.Settings())
    assert (tmp_path / "source" / "toy" / "toy.py").read_text() == STUB
    assert "BEGIN SOLUTION" not in "".join(path.read_text() for path in files)


def test_a_configuration_of_somebody_elses_is_not_overwritten(tmp_path: Path) -> None:
    own = open_course(COURSE)
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    with pytest.raises(course.NbgraderError, match="not made by this command"):
        course.make(own, list(own.assignments), tmp_path, course.Settings())
    assert (tmp_path / "nbgrader_config.py").read_text() == "c = get_config()\n"


def test_an_address_without_a_driver_is_refused_with_the_one_that_works(tmp_path: Path) -> None:
    own = open_course(COURSE)
    with pytest.raises(course.NbgraderError, match=re.escape("postgresql+psycopg://x/y")):
        course.make(own, list(own.assignments), tmp_path, course.Settings(database="postgresql://x/y"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "Could not parse SQLAlchemy URL"),
        ("sqlite:////nonexistent/gradebook.db", "there is no folder /nonexistent"),
        ("nosuch://x/y", "Can't load plugin"),
        ("postgresql+psycopg://x:port/y", "'port'"),
    ],
)
def test_a_database_that_cannot_be_opened_is_refused_in_one_line_before_the_course_is_made(
    address: str, said: str, tmp_path: Path
) -> None:
    own = open_course(COURSE)
    with pytest.raises(course.NbgraderError, match=r"^--db cannot be opened: .*; name one such as [^\n]*$") as error:
        course.make(own, list(own.assignments), tmp_path / "nb", course.Settings(database=address))
    assert said in str(error.value)
    assert not (tmp_path / "nb").exists()


def test_a_database_in_the_course_that_is_yet_to_be_made_is_none_of_these(tmp_path: Path) -> None:
    own, folder = open_course(COURSE), tmp_path / "nb"
    course.make(own, list(own.assignments), folder, course.Settings(database=f"sqlite:///{folder}/gradebook.db"))
    assert (folder / "nbgrader_config.py").exists()


def test_the_next_steps_name_the_one_assignment_or_none(tmp_path: Path) -> None:
    for more, name in ((["--assignment", "toy"], "toy"), ([], "<assignment>")):
        said = run(tmp_path, "autograder", "nbgrader", "nb", "--course", COURSE, *more)
        assert f"nbgrader autograde {name} " in said
        assert f"submitted/<student>/{name} is there" in said


@pytest.mark.parametrize(
    ("more", "key", "said"),
    [
        ("", "", "no course key"),
        ("c.Grade.key_file = 'nokey'", "a key of this test", "cannot read the course key nokey"),
        ("c.Grade.roster = 'roster.csv'", "a key of this test", "cannot read the roster roster.csv"),
        ("c.Grade.course = 'nocourse'", "a key of this test", "course.toml does not exist"),
    ],
)
def test_nbgrader_autograde_says_once_what_nobody_can_be_graded_with(
    more: str, key: str, said: str, tmp_path: Path
) -> None:
    own = open_course(COURSE)
    course.make(own, list(own.assignments), tmp_path, course.Settings(course_folder=str(COURSE)))
    (tmp_path / course.OWN).write_text(f"c = get_config()\n{more}\n")
    told = run(tmp_path, "nbgrader", "autograde", "toy", code=2, AUTOGRADER_COURSE_KEY=key)
    (line,) = told.splitlines()
    assert line.startswith("autograder: ")
    assert said in line


def test_where_a_submission_lies_is_said_with_its_students_folder(tmp_path: Path) -> None:
    folder = tmp_path / "ada" / "toy"
    folder.mkdir(parents=True)
    (folder / "toy.py").write_text(STUB)
    assert _take(CourseDirectory(), "ada", folder, toy()).origin == "ada/toy/toy.py"


# --- outputs


def test_a_picture_and_a_text_are_kept() -> None:
    picture = harmless({"output_type": "display_data", "data": {"image/png": PNG, "text/html": "<b>"}})
    assert picture is not None
    assert dict(picture.data) == {"image/png": PNG}
    text = harmless({"output_type": "execute_result", "data": {"text/plain": ["a", "b"]}})
    assert text is not None
    assert (text.output_type, text.text) == ("stream", "ab\n")


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "display_data", "data": {"text/html": "<script>"}},
        {"output_type": "display_data", "data": {"image/svg+xml": "<svg onload=x>"}},
        {"output_type": "display_data", "data": {"image/png": "<script>"}},
        {"output_type": "display_data", "data": {"image/png": "AAAA"}},
        {"output_type": "display_data", "data": {"application/javascript": "x"}},
        {"output_type": "display_data", "data": []},
        {"output_type": "unheard of", "data": {"text/plain": "x"}},
        {"output_type": "stream", "text": 7},
        {"output_type": []},
        {},
    ],
)
def test_nothing_else_is_kept(output: dict) -> None:
    assert harmless(output) is None


@pytest.mark.parametrize("text", payloads.ALL)
def test_no_output_that_is_kept_is_one_that_nbgrader_grades_by(text: str) -> None:
    for output in (
        {"output_type": "stream", "name": "stderr", "text": text},
        {"output_type": "error", "ename": text, "evalue": text, "traceback": [text]},
        {"output_type": "execute_result", "data": {"text/plain": text}},
    ):
        kept = harmless(output)
        assert kept is None or (kept.output_type, kept.name) == ("stream", "stdout")
        assert kept is None or not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", kept.text)


# --- pages


@pytest.mark.parametrize("text", [*payloads.ALL, f"a {payloads.HTML[0]} b", "![x](javascript:x)", "<javascript:x>"])
def test_markdown_becomes_html_with_nothing_in_it_that_runs(text: str) -> None:
    environment = jinja2.Environment()
    environment.filters["markdown2html"] = pages.markdown2html
    html = environment.from_string("{{ text | markdown2html }}").render(text=text, cell={})
    page = BeautifulSoup(html, "html.parser")
    assert not page.find_all(["script", "style", "svg", "iframe", "base", "form", "meta", "link", "object", "input"])
    for element in page.find_all(True):
        assert not [name for name in element.attrs if name.startswith("on")]
        for name in ("href", "src"):
            assert re.match("https?:|mailto:|#|data:image/(png|jpeg|gif);|$", str(element.get(name, "")))
