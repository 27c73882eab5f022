"""GitHub: what a submission says becomes no workflow command, and nothing but the record decides the points."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import fake_records as fake
import payloads
import pytest
from toyclass import COURSE, SOLUTION, edited

from autograder.lms import ci

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


@pytest.mark.needs("namespaces", "apt install bubblewrap, and allow user namespaces")
@pytest.mark.parametrize(("source", "score", "code"), [(SOLUTION, 100, 0), (SHOUTS, 40, 1)])
def test_a_push_is_graded_and_the_student_emits_no_command(source: str, score: int, code: int, tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text(source)
    output, summary = tmp_path / "output", tmp_path / "summary"
    environment = os.environ | {
        "AUTOGRADER_COURSE_KEY": "a key of this test", "GITHUB_OUTPUT": str(output), "OMP_NUM_THREADS": "1",
        "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(tmp_path), "GITHUB_REPOSITORY": "course/toy-ada",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "ci", "toy", ".", "--course", str(COURSE), "--junit", "junit.xml"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
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
