"""nbgrader's own commands on a class of honest and hostile notebooks, graded in our judge: no point is stolen."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from nbgrader.api import Gradebook
from nbgraders import BIN, CLASS, PNG, Member, answered, cell_of, environment, grade_class, hand_in, nothing, run
from toyclass import SOLUTION, edited

from autograder import ledger, records
from autograder.course import open_course

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(600),
    pytest.mark.needs("namespaces", "apt install bubblewrap, and allow user namespaces"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grade_class(tmp_path_factory.mktemp("nbgrader"))


@pytest.fixture(scope="module")
def feedback(made: Path) -> dict[str, str]:
    run(made, "nbgrader", "generate_feedback", "toy")
    return {path.parts[-3]: path.read_text() for path in (made / "feedback").glob("*/toy/toy.html")}


def gradebook(made: Path) -> Gradebook:
    return Gradebook(f"sqlite:///{made / 'gradebook.db'}", "toy-course")


def scores(made: Path) -> dict[str, tuple[float, float]]:
    """Of each student the score of the tested cells, and the late penalty."""
    with gradebook(made) as book:
        return {
            own.student.id: (
                sum(g.auto_score for n in own.notebooks for g in n.grades if g.cell.name.startswith("part-")),
                own.late_submission_penalty,
            )
            for own in book.assignment_submissions("toy")
        }


def autograded(made: Path, student: str) -> dict[str, Any]:
    return json.loads((made / "autograded" / student / "toy" / "toy.ipynb").read_text())  # type: ignore[no-any-return]


def outputs(cell: dict[str, Any]) -> str:
    return json.dumps(cell["outputs"])


# --- scores


def test_every_submission_has_the_score_of_its_file_and_no_trick_changes_it(made: Path) -> None:
    assert {student: score for student, (score, _) in scores(made).items()} == {s: m[3] for s, m in CLASS.items()}


def test_late_days_grace_bank_and_extensions_count(made: Path) -> None:
    penalties = {student: penalty for student, (_, penalty) in scores(made).items() if penalty}
    assert penalties == {"late": 20}  # three days late, one of them from the bank; eve is within the grace


def test_each_submission_has_one_record_with_its_time(made: Path) -> None:
    found = list(records.read_all(made / "autograder"))
    assert sorted(record.student for record in found) == sorted(CLASS)
    entries = ledger.read_all(made / "autograder")
    assert all(entry.submitted_at and entry.layout == "nbgrader" for (entry,) in entries.values())


def test_a_missing_file_has_no_points_and_says_why(made: Path) -> None:
    assert "no toy.py in it" in outputs(cell_of(autograded(made, "none"), "part-runs"))


def test_a_graded_cell_holds_a_number_in_range_and_nothing_on_stderr(made: Path) -> None:
    for student in CLASS:
        notebook = autograded(made, student)
        for part, points in (("moving_average", 40), ("runs", 30), ("tape", 30)):
            stream, result = cell_of(notebook, f"part-{part}")["outputs"]
            assert (stream["output_type"], stream["name"]) == ("stream", "stdout")
            assert result["output_type"] == "execute_result"
            assert 0 <= float("".join(result["data"]["text/plain"])) <= points


def test_cells_that_were_deleted_are_back_and_graded(made: Path) -> None:
    notebook = autograded(made, "del")
    assert {c["metadata"]["nbgrader"]["grade_id"] for c in notebook["cells"] if "nbgrader" in c["metadata"]} == {
        "part-moving_average", "part-runs", "part-tape", "question-why_runs", "question-smoothing"
    }  # fmt: skip


def test_cells_of_a_students_own_earn_nothing(made: Path) -> None:
    with gradebook(made) as book:
        (own,) = [s for s in book.assignment_submissions("toy") if s.student.id == "mal"]
        assert {g.cell.name for n in own.notebooks for g in n.grades} >= {"part-runs"}
        assert "mine" not in {g.cell.name for n in own.notebooks for g in n.grades}
        assert own.max_score == 110


def test_the_students_file_is_not_overwritten_by_the_stub(made: Path) -> None:
    assert (made / "autograded" / "ada" / "toy" / "toy.py").read_text() == SOLUTION


def test_written_answers_and_plots_wait_for_a_person(made: Path) -> None:
    with gradebook(made) as book:
        for own in book.assignment_submissions("toy"):
            waiting = {g.cell.name for n in own.notebooks for g in n.grades if g.needs_manual_grade}
            if own.student.id == "ada":
                assert waiting == {"question-why_runs", "question-smoothing"}
            assert not {name for name in waiting if name.startswith("part-")}


def test_a_students_picture_is_kept_and_marked_and_nothing_that_runs_is(made: Path) -> None:
    plot = cell_of(autograded(made, "ada"), "question-smoothing")
    assert PNG in outputs(plot)
    assert "the student's own output" in outputs(plot)
    assert "a warning of mine" in outputs(plot)
    assert not {"text/html", "application/javascript", "image/svg+xml"} & {
        mime for output in plot["outputs"] for mime in output.get("data", {})
    }


# --- nothing hidden


def test_no_hidden_test_and_no_solution_is_in_anything_that_students_may_see(
    made: Path, feedback: dict[str, str]
) -> None:
    released = "\n".join(p.read_text() for p in (made / "release").rglob("*") if p.is_file())
    database = (made / "gradebook.db").read_bytes().decode("latin-1")
    hidden = ["def test_counts_long_runs", "torch.arange(x.shape", "groupby(text)"]
    solved = ["found.append((character, count + 1))", "SOLUTION"]
    for text in (released, database, feedback["bob"], feedback["mal"]):
        assert not [line for line in (*hidden, *solved) if line in text]


def test_feedback_says_what_failed_on_which_input(feedback: dict[str, str]) -> None:
    assert set(feedback) == set(CLASS)
    text = re.sub(r"<[^>]+>", "", feedback["eve"]).replace("&#39;", "'")
    assert "10 of 40 points" in text
    assert "The window holds one entry too many." in text
    assert "moving_average(tensor(" in text
    assert "Late submission penalty" in feedback["late"]


def test_feedback_shows_no_text_that_the_submission_printed(feedback: dict[str, str]) -> None:
    assert "an error" not in feedback["err"]


def test_feedback_and_gradebook_hold_no_script_of_a_students(feedback: dict[str, str]) -> None:
    page = BeautifulSoup(feedback["ada"], "html.parser")
    assert "document.title='owned'" in page.text  # as text
    assert not [script for script in page.find_all("script") if "owned" in script.text]
    for element in page.find_all(True):
        assert not [name for name in element.attrs if name.startswith("on")]
        assert not str(element.get("href", "")).startswith(("javascript:", "data:"))
    assert "\\href" not in page.text


# --- exporting, grading again


def test_the_export_is_a_csv_file_with_scores_and_penalties(made: Path, tmp_path: Path) -> None:
    run(made, "nbgrader", "export", "--to", tmp_path / "grades.csv")
    rows = {row["student_id"]: row for row in csv.DictReader((tmp_path / "grades.csv").open(newline=""))}
    assert (rows["late"]["raw_score"], rows["late"]["score"], rows["late"]["max_score"]) == ("100.0", "80.0", "110.0")
    assert (rows["ext"]["last_name"], rows["ext"]["email"]) == ("Ended", "ext@example.org")


def test_a_score_by_hand_survives_grading_again_and_an_unchanged_submission_is_looked_up(made: Path) -> None:
    with gradebook(made) as book:
        grade = book.find_grade("part-runs", "toy", "toy", "bob")
        grade.manual_score = 11
        book.find_comment("question-why_runs", "toy", "toy", "bob").manual_comment = "see me"
        book.db.commit()
    before = {path.name: path.stat().st_mtime_ns for path in (made / "autograder" / "records").glob("*.json")}
    said = run(made, "nbgrader", "autograde", "toy", "--student", "bob", "--force")
    assert "Graded bob" not in said
    assert before == {path.name: path.stat().st_mtime_ns for path in (made / "autograder" / "records").glob("*.json")}
    with gradebook(made) as book:
        grade = book.find_grade("part-runs", "toy", "toy", "bob")
        assert (grade.score, grade.auto_score, grade.needs_manual_grade) == (11, 0, True)
        assert book.find_comment("question-why_runs", "toy", "toy", "bob").comment == "see me"
        grade.manual_score = None
        book.db.commit()


def test_a_second_submission_replaces_the_score_and_both_attempts_have_records(made: Path) -> None:
    place = made / "submitted" / "bob" / "toy"
    (place / "toy.py").write_text(SOLUTION)
    (place / "timestamp.txt").write_text("2026-02-28 13:00:00 UTC")
    run(made, "nbgrader", "autograde", "toy", "--student", "bob")
    assert scores(made)["bob"][0] == 100
    attempts = [(r.attempt, r.score) for r in records.read_all(made / "autograder") if r.student == "bob"]
    assert attempts == [(1, 0), (2, 100)]


def test_points_that_changed_since_the_release_are_an_error_and_not_a_score(made: Path) -> None:
    course = made.parent / "course" / "assignments" / "toy" / "assignment.toml"
    before = course.read_text()
    course.write_text(before.replace("points = 40", "points = 50").replace('"runs"\ntitle', '"runs"\ntitle'))
    try:
        said = run(made, "nbgrader", "autograde", "toy", "--student", "eve", "--force", code=1)
    finally:
        course.write_text(before)
    assert "worth 40 points in the gradebook, but toy gives it 50" in said
    run(made, "nbgrader", "autograde", "toy", "--student", "eve")


# --- an instructor's own cells


OWN_CELL = {
    "cell_type": "code", "id": "own", "execution_count": None, "outputs": [], "source": "import toy\n2.5",
    "metadata": {"nbgrader": {"schema_version": 3, "grade": True, "grade_id": "own", "locked": True, "points": 5,
                              "solution": False, "task": False}},
}  # fmt: skip


def test_own_cells_need_a_kernel_that_has_to_be_asked_for(tmp_path: Path) -> None:
    folder = grade_class(tmp_path, members={})
    source = folder / "source" / "toy" / "toy.ipynb"
    notebook = json.loads(source.read_text())
    notebook["cells"].insert(3, OWN_CELL)
    source.write_text(json.dumps(notebook))
    run(folder, "autograder", "nbgrader", folder, "--course", tmp_path / "course")  # made again, its cell stays
    assert "own" in [cell["id"] for cell in json.loads(source.read_text())["cells"]]
    run(folder, "nbgrader", "generate_assignment", "toy", "--force")
    member: Member = (edited(("return found", "return found[1:]")), nothing, -1, 0)
    hand_in(folder, "zoe", member)
    said = run(folder, "nbgrader", "autograde", "toy", code=1)
    assert "own: only a kernel can grade this" in said
    (folder / "nbgrader_own.py").write_text("c.Grade.run_own_cells = True\n")
    said = run(folder, "nbgrader", "autograde", "toy")
    assert "student code runs as you" in said
    with gradebook(folder) as book:
        grades = {g.cell.name: g.auto_score for g in book.find_submission_notebook("toy", "toy", "zoe").grades}
    assert grades["own"] == 2.5
    assert (grades["part-moving_average"], grades["part-runs"]) == (40, 0)


# --- a student's own check


def test_validate_tells_a_student_the_public_results(made: Path, tmp_path: Path) -> None:
    kit = tmp_path / "kit"
    run(tmp_path, "autograder", "release", kit, "--course", made.parent / "course")
    work = tmp_path / "toy"
    work.mkdir()
    for path in (made / "release" / "toy").iterdir():
        (work / path.name).write_bytes(path.read_bytes())
    notebook = json.loads((work / "toy.ipynb").read_text())
    answered(notebook)
    (work / "toy.ipynb").write_text(json.dumps(notebook))
    (work / "toy.py").write_text(edited(("return found", "return found[1:]")))
    said = run(work, "nbgrader", "validate", "toy.ipynb", PYTHONPATH=str(kit))
    assert "VALIDATION FAILED ON 2 CELL(S)" in " ".join(said.split())
    assert "public properties hold" in said
    assert "runs(" in said
    (work / "toy.py").write_text(SOLUTION)
    assert "Success!" in run(work, "nbgrader", "validate", "toy.ipynb", PYTHONPATH=str(kit))


# --- the exchange


def test_the_exchange_brings_the_file_and_the_time(made: Path, tmp_path: Path) -> None:
    exchange, home = tmp_path / "exchange", tmp_path / "home"
    exchange.mkdir()
    exchange.chmod(0o777)
    home.mkdir()
    own = made / "nbgrader_own.py"
    own.write_text(f"c.Exchange.root = {str(exchange)!r}\n")
    student = f"c = get_config()\nc.Exchange.root = {str(exchange)!r}\nc.CourseDirectory.course_id = 'toy-course'\n"
    (home / "nbgrader_config.py").write_text(student)
    try:
        run(made, "nbgrader", "release_assignment", "toy")
        run(home, "nbgrader", "fetch_assignment", "toy", JUPYTERHUB_USER="zoe")
        (home / "toy" / "toy.py").write_text(SOLUTION)
        run(home, "nbgrader", "submit", "toy")
        run(made, "nbgrader", "collect", "toy")
        (collected,) = [path for path in (made / "submitted").iterdir() if path.name not in CLASS]
        run(made, "nbgrader", "autograde", "toy", "--student", collected.name)
        assert scores(made)[collected.name][0] == 100
    finally:
        own.unlink()


# --- the formgrader


@pytest.fixture
def server(made: Path) -> Iterator[str]:
    """A Jupyter server with nbgrader's formgrader in it; its address with a token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(BIN / "jupyter"), "server", "--no-browser", f"--port={port}", "--allow-root",
        "--IdentityProvider.token=secret", f"--ServerApp.root_dir={made}",
        "--ServerApp.jpserver_extensions={'nbgrader.server_extensions.formgrader': True}",
    ]  # fmt: skip
    with open(made.parent / "server.log", "w") as log:
        running = subprocess.Popen(command, cwd=made, env=environment(), stdout=log, stderr=log)
    try:
        for _ in range(150):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            assert running.poll() is None, (made.parent / "server.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(timeout=30)


@pytest.mark.needs("chromium", "apt install chromium")
def test_the_formgrader_shows_a_submission_and_takes_a_score_by_hand(made: Path, server: str) -> None:
    import shutil

    from playwright.sync_api import sync_playwright

    with gradebook(made) as book:
        identity, wrong = (book.find_submission_notebook("toy", "toy", name).id for name in ("ada", "eve"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(extra_http_headers={"Authorization": "token secret"})
        page.goto(f"{server}/formgrader/gradebook/toy/toy")
        page.get_by_text("Comma, Ada").first.wait_for(state="attached")
        page.goto(f"{server}/formgrader/submissions/{identity}/")
        page.get_by_text("For long runs.").wait_for()
        assert page.title() != "owned"
        assert page.locator("img[src^='data:image/png']").count() == 1
        assert page.get_by_text("40 of 40 points").count() >= 1
        box = page.locator(
            "[id^='question-why_runs'] input.score, .nbgrader_cell:has-text('For long runs.') input.score"
        )
        box.first.fill("5")
        box.first.dispatch_event("change")
        page.wait_for_timeout(1500)
        page.goto(f"{server}/formgrader/submissions/{wrong}/")
        for text in ("fails (20 points): Each entry is the mean", "input: moving_average(", "returned: tensor("):
            page.get_by_text(text).first.wait_for()
        browser.close()
    with gradebook(made) as book:
        assert book.find_grade("question-why_runs", "toy", "toy", "ada").manual_score == 5


# --- PostgreSQL


def _postgres() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """A server of this test's own, run by nobody in particular; the address of an empty database."""
    programs = _postgres()
    try:
        import psycopg  # noqa: F401
    except ImportError:
        programs = None
    if programs is None:
        refuse = pytest.fail if os.environ.get("AUTOGRADER_CI") == "1" else pytest.skip
        refuse("needs PostgreSQL: apt install postgresql, and pip install 'psycopg[binary]'")
    data = tmp_path / "data"
    data.mkdir()
    as_nobody: dict[str, Any] = {}
    if not os.getuid():  # PostgreSQL refuses to run as root
        as_nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        os.chown(data, 65534, 65534)
        for parent in (tmp_path, *tmp_path.parents):
            if parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    setup = [str(programs / "initdb"), "-D", str(data), "-U", "grader", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(setup, check=True, capture_output=True, cwd=data, **as_nobody)
    options = f"-c fsync=off -c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories="
    running = subprocess.Popen(
        [str(programs / "postgres"), "-D", str(data), *options.split()], cwd=data, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, **as_nobody,
    )  # fmt: skip
    try:
        for _ in range(100):
            ready = subprocess.run(
                [str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "grader", "book"],
                capture_output=True, check=False,
            )  # fmt: skip
            if not ready.returncode:
                break
            time.sleep(0.2)
        yield f"postgresql+psycopg://grader@127.0.0.1:{port}/book"
    finally:
        running.terminate()
        running.wait(timeout=30)


def test_the_gradebook_may_be_a_postgresql_server(postgres: str, tmp_path: Path) -> None:
    members = {name: CLASS[name] for name in ("ada", "mal", "late")}
    folder = grade_class(tmp_path, postgres, members)
    assert not (folder / "gradebook.db").exists()
    run(folder, "nbgrader", "generate_feedback", "toy")
    run(folder, "nbgrader", "export", "--to", tmp_path / "grades.csv")
    rows = {row["student_id"]: row for row in csv.DictReader((tmp_path / "grades.csv").open(newline=""))}
    assert {name: float(rows[name]["score"]) for name in members} == {"ada": 100, "mal": 0, "late": 80}


# --- the course that is packaged


def test_the_packaged_course_goes_through_nbgraders_commands(tmp_path: Path) -> None:
    made, course = tmp_path / "course", open_course()
    run(tmp_path, "autograder", "nbgrader", made)
    for assignment in course.assignments:
        run(made, "nbgrader", "generate_assignment", assignment.name)
        released = made / "release" / assignment.name
        assert (released / assignment.module).read_bytes() == (assignment.folder / assignment.module).read_bytes()
    own = course.assignment("bpe")
    for student, file in {"ada": own.solution, "bob": own.folder / own.module}.items():
        place = made / "submitted" / student / "bpe"
        shutil.copytree(made / "release" / "bpe", place)
        shutil.copy(file, place)
    run(made, "nbgrader", "autograde", "bpe")
    run(made, "nbgrader", "generate_feedback", "bpe")
    assert "is not written yet" in (made / "feedback" / "bob" / "bpe" / "bpe.html").read_text()
    run(made, "nbgrader", "export", "--to", "grades.csv")
    rows = csv.DictReader((made / "grades.csv").read_text().splitlines())
    assert {r["student_id"]: float(r["raw_score"]) for r in rows if r["assignment"] == "bpe"} == {"ada": 100, "bob": 0}
