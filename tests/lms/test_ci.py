"""GitHub: what a submission says becomes no workflow command, and nothing but the record decides the points."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fake_records as fake
import msgspec
import payloads
import pytest
import yaml
from toyclass import COURSE, SOLUTION, edited

from autograder import records
from autograder.course import FeedbackPolicy, open_course
from autograder.lms import ci
from autograder.outcome import TraceEntry
from autograder.throttle import Allowance

COMMAND = re.compile(r"::error (?:file=[^:,\s]+,line=\d+,endLine=\d+,)?title=[^:,]*::.*")


def lines_of(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


@pytest.mark.parametrize("text", payloads.ALL)
def test_every_annotation_is_one_command_whatever_a_submission_says(text: str) -> None:
    for record in fake.everywhere(text):
        for line in ci.error_commands(record, "toy.py", "counterexamples"):
            assert len(lines_of(line)) == 1
            assert COMMAND.fullmatch(line), line
            assert "##[" not in line
            message = line.split("::", 2)[2]
            assert not re.search("%(?!25|0D|0A)", message)


@pytest.mark.parametrize("text", payloads.ALL)
def test_a_summary_links_to_nothing_and_runs_nothing(text: str) -> None:
    for record in fake.everywhere(text):
        summary = ci.summary(record, "counterexamples")
        outside = "\n".join(line for line in summary.splitlines() if not line.startswith("    "))
        assert "<" not in outside
        assert "](" not in outside
        assert "http" not in re.sub(r"&#\d+;", "", outside) or "://" not in outside


def test_annotations_name_the_lines_of_the_function_that_failed() -> None:
    record = fake.record("ada", tests=[fake.failed("scaled_dot_product_attention")])
    (line,) = ci.error_commands(record, "src/attention.py", "counterexamples")
    assert line.startswith("::error file=src/attention.py,line=22,endLine=28,title=Scaled dot-product attention::")
    assert "Likely cause: Scores are divided by d_k" in line


def test_ten_annotations_are_shown_and_the_costliest_come_first() -> None:
    tests = [fake.failed("softmax", test=f"t{n}", points=n) for n in range(14)]
    found = list(ci.error_commands(fake.record("ada", tests=tests), "a.py", "scores"))
    assert len(found) == 10
    assert found[0].endswith("13 points")


@pytest.mark.parametrize(
    ("reason", "trace", "line"),
    [
        ("a.py cannot be imported: SyntaxError in line 7", [TraceEntry(7, "<module>", "def f(:")], 7),
        ("importing a.py: ended itself", [], 1),
    ],
)
def test_a_file_that_cannot_be_imported_has_one_annotation_at_its_line(
    reason: str, trace: list[TraceEntry], line: int
) -> None:
    tests = [fake.failed("softmax", test=f"t{n}", reason=reason, trace=trace, calls=[]) for n in range(14)]
    record = fake.record("ada", tests=tests)
    (told,) = ci.error_commands(record, "a.py", "reasons")
    where = f"::error file=a.py,line={line},endLine={line},title=Not imported::"
    assert told == f"{where}{reason}%0AThat takes all 56 points."
    (told,) = ci.error_commands(record, "a.py", "scores")
    assert told == f"{where}56 points"


def test_the_course_decides_how_much_is_told() -> None:
    record = fake.record("ada", tests=[fake.failed("softmax")])
    assert "returned" in "".join(ci.error_commands(record, "a.py", "counterexamples"))
    assert "returned" not in "".join(ci.error_commands(record, "a.py", "reasons"))
    assert "wrong values" not in ci.summary(record, "scores")


def test_the_classroom_result_adds_up_to_the_score() -> None:
    record = fake.record("ada", tests=[fake.passed("softmax"), fake.failed("heads")])
    result = json.loads(base64.b64decode(ci.classroom(record)))
    assert sum(test["score"] for test in result["tests"]) == record.score == 4
    assert (result["version"], result["status"], result["max_score"]) == (1, "fail", 100)
    assert ci.notices(record)[0] == "::notice title=Autograding complete::Points 4/100"


def test_a_summary_never_grows_beyond_what_github_takes() -> None:
    tests = [fake.failed("softmax", test=f"t{n}", snippet="x" * 3000) for n in range(600)]
    assert len(ci.summary(fake.record("ada", tests=tests), "counterexamples").encode()) < 1024 * 1024


# --- as a runner would


SHOUTS = edited(
    (
        "return found",
        'raise ValueError("\\n::notice title=Autograding complete::Points 100/100\\n::set-output name=a::b")',
    )
) + (
    '\nimport sys\nprint("::add-mask::100", flush=True)\nprint("::stop-commands::x", file=sys.stderr, flush=True)\n'
    'print("::notice title=Autograding complete::Points 100/100", flush=True)\n'
)


def pushed(folder: Path, source: str, course: Path = COURSE) -> tuple[subprocess.CompletedProcess[str], Path, Path]:
    """What the command says of a push, and the files that a runner would read."""
    (folder / "toy.py").write_text(source)
    output, summary = folder / "output", folder / "summary"
    environment = os.environ | {
        "AUTOGRADER_COURSE_KEY": "a key of this test", "GITHUB_OUTPUT": str(output), "OMP_NUM_THREADS": "1",
        "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(folder), "GITHUB_REPOSITORY": "course/toy-ada",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "ci", "toy", ".", "--course", str(course), "--junit", "junit.xml"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done, output, summary


@pytest.mark.needs("namespaces", "apt install bubblewrap, and allow user namespaces")
@pytest.mark.parametrize(("source", "score", "code"), [(SOLUTION, 100, 0), (SHOUTS, 40, 1)])
def test_a_push_is_graded_and_the_student_emits_no_command(source: str, score: int, code: int, tmp_path: Path) -> None:
    done, output, summary = pushed(tmp_path, source)
    assert done.returncode == code, done.stderr
    said = lines_of(done.stdout + done.stderr)
    commands = [line for line in said if line.lstrip().startswith("::") or "##[" in line]
    notices = [line for line in commands if line.startswith("::notice")]
    assert notices[0] == f"::notice title=Autograding complete::Points {score}/100"
    assert len(notices) == 2
    assert all(line.startswith("::error file=toy.py,line=") for line in commands if line not in notices)
    assert (len(commands) > 2) == (score < 100)
    assert "add-mask" not in done.stdout + done.stderr
    results = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert json.loads(base64.b64decode(results["result"]))["max_score"] == 100
    assert results["score"] == str(score)
    assert f"{score} of 100 points" in summary.read_text()
    assert ElementTree.parse(tmp_path / "junit.xml").getroot()[0].get("name") == "toy: toy-ada"


def course_with(feedback: str, folder: Path) -> Path:
    course = shutil.copytree(COURSE, folder / "course", ignore=shutil.ignore_patterns("__pycache__"))
    with open(course / "assignments" / "course.toml", "a", encoding="utf-8") as file:
        file.write(f"\n[feedback]\n{feedback}\n")
    return course


@pytest.mark.needs("namespaces", "apt install bubblewrap, and allow user namespaces")
def test_hidden_results_are_shown_as_often_as_there_are_tokens_and_one_attempt_uses_one(tmp_path: Path) -> None:
    course = course_with("tokens = 1\nhours_per_token = 5", tmp_path)
    wrong = edited(("return found", "return found[:-1]"))
    for _ in range(2):  # pushed again unchanged
        done, _, _ = pushed(tmp_path, wrong, course)
        assert done.returncode == 1
        assert "Results are shown 0 more times; a token grows back at " in done.stdout
        assert "::error file=toy.py" in done.stdout
    before = (tmp_path / "output").read_text()
    done, output, summary = pushed(tmp_path, SOLUTION, course)
    assert (done.returncode, done.stdout.count("::")) == (0, 2)
    assert done.stdout.startswith("::notice title=Graded::Graded and recorded; results were shown as often as the ")
    assert output.read_text() == before
    assert "100" not in summary.read_text().splitlines()[-1]
    recorded = {record.attempt: record.score for record in records.read_all(tmp_path / "grades")}
    assert recorded == {1: 40, 2: 100}


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("visible", "due", "why"),
    [
        ("now", NOON + timedelta(hours=1), ""),
        ("after_published", NOON - timedelta(hours=1), "results are shown when they are published"),
        ("after_due", NOON + timedelta(hours=1), "results are shown after the due date, 2026-03-01 13:00 UTC"),
        ("after_due", NOON - timedelta(hours=1), ""),
        ("after_due", None, "results are shown after the due date"),
    ],
)
def test_the_course_says_from_when_on_hidden_results_are_shown(visible: Any, due: datetime | None, why: str) -> None:
    own = msgspec.structs.replace(
        open_course(COURSE), due={"toy": due} if due else {}, feedback=FeedbackPolicy(visible=visible)
    )
    assert ci.withheld(own, "toy", Allowance(True, 0), NOON) == why


# --- the workflow file


@pytest.mark.needs("namespaces", "apt install bubblewrap, and allow user namespaces")
def test_the_workflows_grading_step_runs_as_a_runner_runs_it(tmp_path: Path) -> None:
    workflow = yaml.safe_load((Path(ci.__file__).parent / "github" / "grade.yml").read_text(encoding="utf-8"))
    (step,) = (step for step in workflow["jobs"]["grade"]["steps"] if step.get("id") == "grade")
    temp, checkout, output = tmp_path / "temp", tmp_path / "attention-ada", tmp_path / "output"
    checkout.mkdir()
    (temp / "autograder" / "bin").mkdir(parents=True)  # where the step before installs the package
    (temp / "autograder" / "bin" / "autograder").symlink_to(Path(sys.executable).parent / "autograder")
    stub = open_course().assignment("attention")
    (checkout / "attention.py").write_bytes((stub.folder / "attention.py").read_bytes())
    (checkout / "autograder.py").write_text("raise SystemExit('a student's file was imported')\n")
    assert step["working-directory"] == "${{ runner.temp }}"
    assert step["env"]["AUTOGRADER_COURSE_KEY"] == "${{ secrets.AUTOGRADER_COURSE_KEY }}"
    environment = os.environ | {
        "AUTOGRADER_COURSE_KEY": "a key of this test", "ASSIGNMENT": step["env"]["ASSIGNMENT"],
        "GITHUB_WORKSPACE": str(checkout), "GITHUB_REPOSITORY": "course/attention-ada", "RUNNER_TEMP": str(temp),
        "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=temp, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "::notice title=Autograding complete::Points 0/100" in done.stdout
    assert "::error file=attention.py,line=" in done.stdout
    assert "score=0" in output.read_text()
    kept = workflow["jobs"]["grade"]["steps"][-1]["with"]["path"].replace("${{ runner.temp }}", str(temp))
    assert ElementTree.parse(kept).getroot()[0].get("name") == "attention: attention-ada"
