"""The command line: what was asked wrongly is said in one line with exit code 2, our own failures with 3."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from toyclass import COURSE, SOLUTION, STUB, copied, toy

from autograder import cli
from autograder.outcome import TestOutcome
from autograder.records import Key, Record, Store, suite_hashes

SECRET = "a key of this test"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command in this process: (exit code, standard output, standard error)."""
    monkeypatch.setenv("AUTOGRADER_COURSE_KEY", SECRET)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("AUTOGRADER_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["autograder", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return command


def refused(result: tuple[int, str, str], *said: str, code: int = 2) -> None:
    """It ended with this code and one line that says all of this."""
    status, out, err = result
    assert (status, out) == (code, ""), err
    assert err.startswith("autograder: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert "internal error" not in err
    for text in said:
        assert text in err


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    folder = tmp_path / "handed in"
    (folder / "ada").mkdir(parents=True)
    (folder / "ada" / "toy.py").write_text(SOLUTION, encoding="utf-8")
    return folder


def record(folder: Path, key: str) -> Path:
    """A record with one failed test."""
    test = TestOutcome("test_finds_every_run", "runs", 20, "value-checked", "failed", "It is so.")
    return Store(folder).write(
        Record(
            id="a" * 32, course="toy-course", assignment="toy", student="ada", attempt=1, origin="ada", digest="d",
            problem="", notes=(), score=0, max_score=100, parts=(), tests=(test,), suite="s", key=key,
            suite_parts=suite_hashes(toy()),
            level="full", isolation="zygote", device="cpu", versions={}, seconds=1.0, graded_at="2025-01-01T00:00:00Z",
        )
    )  # fmt: skip


# --- a device


def test_a_gpu_is_asked_for_twice_and_has_to_be_there(run: Run, handed_in: Path) -> None:
    grade = ("grade", "toy", handed_in, "--course", COURSE, "--device")
    refused(run(*grade, "tpu"), "--device is cpu or cuda, not 'tpu'")
    refused(run(*grade, "cuda"), "level gpu", "--unsafe-allow gpu", "--device cpu", code=3)
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        refused(run(*grade, "cuda", "--unsafe-allow", "gpu"), "no NVIDIA device", "--device cpu", code=3)


# --- help


def test_help_is_there_for_every_command_and_imports_no_torch() -> None:
    program = """
import sys
from autograder import cli
for command in ([], *([name] for name in cli.COMMANDS)):
    sys.argv = ["autograder", *command, "--help"]
    try:
        cli.main()
    except SystemExit as end:
        assert not end.code, (command, end.code)
heavy = {"torch", "hypothesis", "pytest", "numpy", "matplotlib", "jinja2"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in cli.COMMANDS:
        assert f" {command} " in done.stdout


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["grade", "--no-such-option"], ["grade", "toy", "x", "--jobs", "0"]]
)
def test_a_command_line_that_makes_no_sense_has_exit_code_2(run: Run, arguments: list[str]) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert "Traceback" not in err


# --- grade


def test_an_assignment_that_there_is_not_is_refused_with_those_that_there_are(run: Run, handed_in: Path) -> None:
    refused(run("grade", "poetry", handed_in, "--course", COURSE), "'poetry'", "toy")
    refused(run("check", "poetry", "--course", COURSE), "'poetry'", "toy")
    refused(run("adequacy", "poetry", "--course", COURSE), "'poetry'", "toy")
    refused(run("demo", "poetry", "--course", COURSE), "'poetry'", "toy")


def test_submissions_that_are_not_there_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "toy.txt").write_text("text")
    refused(run("grade", "toy", "nothing", "--course", COURSE), "nothing does not exist")
    refused(run("grade", "toy", "empty", "--course", COURSE), "empty is empty")
    refused(run("grade", "toy", "toy.txt", "--course", COURSE), "toy.txt is no .py, .zip or .ipynb file")
    refused(run("grade", "toy", "--course", COURSE), "name the submissions")
    refused(run("grade", "--all", "empty", "--course", COURSE), "has submissions for none of: toy")
    refused(run("grade", "toy", "empty", "--all", "--course", COURSE), "name one assignment, or say --all")


def test_with_all_what_is_no_assignment_or_empty_is_named_and_the_rest_goes_on(
    run: Run, handed_in: Path, tmp_path: Path
) -> None:
    course = copied(tmp_path, ('assignments = ["toy"]', 'assignments = ["toy", "two"]'), path="assignments/course.toml")
    shutil.copytree(course / "assignments" / "toy", course / "assignments" / "two")
    handed_in.rename(tmp_path / "toy")
    (tmp_path / "all").mkdir()
    (tmp_path / "toy").rename(tmp_path / "all" / "toy")
    (tmp_path / "all" / "two").mkdir()
    (tmp_path / "all" / "tyo").mkdir()
    code, out, err = run("grade", "--all", "all", "--course", course, "--show")
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "tyo in all is no assignment of this course: nothing of it is graded",
        "toy: 1 submission, laid out as plain", "  ada  <- ada/toy.py",
        "all/two is empty: nothing of two is graded",
    ]  # fmt: skip


def test_times_of_one_assignment_are_refused_for_all(run: Run, handed_in: Path, tmp_path: Path) -> None:
    grade = ("grade", "--all", handed_in.parent, "--course", COURSE, "--times", "times.csv")
    refused(run(*grade), "--times has the times of one assignment", "leave --all out")


def test_what_a_layout_leaves_out_and_a_time_that_is_missing_are_said(run: Run, tmp_path: Path) -> None:
    for place in ("ada/toy", "bob/toy", "eve/other"):
        (tmp_path / "in" / place).mkdir(parents=True)
        (tmp_path / "in" / place / "toy.py").write_text(SOLUTION, encoding="utf-8")
        if "bob" not in place:
            (tmp_path / "in" / place / "timestamp.txt").write_text("2026-02-28 12:00:00 UTC")
    _, _, err = run("grade", "toy", "in", "--course", COURSE, "--show")
    assert err.splitlines() == [
        "toy: 2 submissions, laid out as nbgrader",
        "  ada  2026-02-28T12:00+00:00  <- ada/toy/toy.py",
        "  bob  <- bob/toy/toy.py",
        "  left out, being no <student>/toy/: eve",
        "  without a time that can be read, so never late (--times can give them): bob/toy/toy.py",
    ]


# --- ci


@pytest.mark.parametrize("variable", ["", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"])
def test_a_file_that_ci_cannot_write_is_refused_before_anything_is_graded(
    run: Run, handed_in: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "/nonexistent/file")
    junit = () if variable else ("--junit", "/nonexistent/file")
    refused(run("ci", "toy", handed_in / "ada", "--course", COURSE, *junit), "cannot write /nonexistent/file")
    assert not Path("grades").exists()


def test_a_course_that_is_none_is_refused(run: Run, handed_in: Path, tmp_path: Path) -> None:
    refused(run("grade", "toy", handed_in, "--course", tmp_path), "course.toml does not exist")
    course = copied(tmp_path, ("points = 40", "points = 'many'"), path="assignments/toy/assignment.toml")
    refused(run("grade", "toy", handed_in, "--course", course), "assignment.toml", "points")


def test_grading_without_a_course_key_is_refused(
    run: Run, handed_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTOGRADER_COURSE_KEY")
    refused(run("grade", "toy", handed_in, "--course", COURSE), "no course key")
    monkeypatch.setenv("AUTOGRADER_COURSE_KEY", "short")
    refused(run("grade", "toy", handed_in, "--course", COURSE), "too short")
    (tmp_path / "key").write_text(" \n")
    refused(run("grade", "toy", handed_in, "--course", COURSE, "--key-file", "key"), "no course key")
    refused(run("grade", "toy", handed_in, "--course", COURSE, "--key-file", "nothing"), "cannot read the course key")


def test_a_choice_that_there_is_not_is_refused(run: Run, handed_in: Path) -> None:
    refused(run("grade", "toy", handed_in, "--course", COURSE, "--isolation", "total"), "--isolation", "'total'")
    refused(run("adequacy", "toy", "--course", COURSE, "--only", "no_such_bug"), "'no_such_bug'")


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_graded(
    run: Run, handed_in: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for out in ("file", "file/below", "/proc/grades"):
        refused(run("grade", "toy", handed_in, "--course", COURSE, "--out", out), "cannot write", "--out")


@pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")
def test_a_damaged_record_is_named_before_anything_is_graded(run: Run, handed_in: Path) -> None:
    grade = ("grade", "toy", handed_in, "--course", COURSE, "--out", "grades", "--jobs", 1)
    code, out, _ = run(*grade)
    assert code == 0
    assert "100/100" in out
    (path,) = Path("grades/records").iterdir()
    path.write_bytes(path.read_bytes()[:-99])
    refused(run(*grade), path.name, "damaged", "delete it and grade again")


# --- records


@pytest.mark.parametrize("command", ["report", "replay"])
def test_records_that_are_not_there_are_refused(run: Run, command: str, tmp_path: Path) -> None:
    more = ["test_finds_every_run"] if command == "replay" else []
    refused(run(command, "nothing", *more), "nothing")
    (tmp_path / "damaged.json").write_text("{")
    refused(run(command, *([tmp_path] if command == "report" else ["damaged.json"]), *more), "damaged.json")


def test_a_test_that_a_record_does_not_have_is_refused_with_those_that_it_has(run: Run, tmp_path: Path) -> None:
    path = record(tmp_path, Key(SECRET.encode()).id)
    refused(run("replay", path, "test_of_courage", "--course", COURSE), "'test_of_courage'", "test_finds_every_run")


def test_a_replay_under_another_key_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(tmp_path, "another-key")
    refused(run("replay", path, "test_finds_every_run", "--course", COURSE), "another-key", "other inputs")
    monkeypatch.delenv("AUTOGRADER_COURSE_KEY")
    refused(run("replay", path, "test_finds_every_run", "--course", COURSE), "no course key")


# --- check


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autograder", "check", "toy", *arguments, "--course", str(COURSE)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_student_checks_a_solution_and_a_stub(tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text(SOLUTION, encoding="utf-8")
    done = check(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert {outcome.status for outcome in msgspec.json.decode(done.stdout, type=list[TestOutcome])} == {"passed"}
    (tmp_path / "toy.py").write_text(STUB, encoding="utf-8")
    done = check(tmp_path)
    assert done.returncode == 1, done.stderr
    assert "not written yet" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_check_that_finds_no_file_says_where_it_looked(run: Run, tmp_path: Path) -> None:
    refused(run("check", "toy", "--course", COURSE), "found no toy.py", "looked for toy.py")
    refused(run("check", "toy", tmp_path / "nothing", "--course", COURSE), "nothing")


# --- our own failures


def test_a_failure_of_our_own_is_one_line_with_exit_code_3(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("autograder.course.open_course", broken)
    code, _, err = run("release", "kit")
    assert code == 3
    assert err.startswith("autograder: internal error: ZeroDivisionError: division by zero")
    assert err.count("\n") == 1


def test_a_message_that_quotes_a_submission_cannot_write_to_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autograder import sandbox

    def fail() -> None:
        raise sandbox.SandboxError("the judge could not run it: KeyError: \x1b[2J\x9b1m\u202e")

    monkeypatch.setattr("autograder.sandbox.probe", fail)
    code, _, said = run("doctor")
    assert (code, said) == (3, "autograder: the judge could not run it: KeyError: \\x1b[2J\\x9b1m\\u202e\n")


def test_a_machine_that_contains_nothing_grades_nothing(
    run: Run, handed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autograder import sandbox

    monkeypatch.setattr(sandbox, "probe", lambda: sandbox.Report((), (sandbox.Standing("subprocess", True),)))
    refused(run("grade", "toy", handed_in, "--course", COURSE), "contains nothing", "autograder doctor", code=3)
    refused(
        run("grade", "toy", handed_in, "--course", COURSE, "--unsafe-allow", "full"),
        "--unsafe-allow subprocess",
        code=3,
    )


def test_doctor_says_what_there_is_as_json(run: Run) -> None:
    code, out, _ = run("doctor", "--json")
    assert code in (0, 3)
    assert {"layers", "levels"} <= set(json.loads(out))
