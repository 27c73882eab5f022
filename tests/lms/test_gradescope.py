"""Gradescope: results.json as its specification has it, the container's layout, results that were made elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fake_records as fake
import msgspec
import payloads
import pytest
from toyclass import COURSE, MEAN, SOLUTION, copied, edited

from autograder import sandbox, throttle
from autograder.course import FeedbackPolicy, open_course
from autograder.ledger import Entry
from autograder.lms import gradescope
from autograder.policy import standings
from autograder.roster import Roster, Rule

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATUSES, VISIBILITIES = {"passed", "failed"}, {"hidden", "after_due_date", "after_published", "visible"}


def checked(result: dict[str, Any]) -> dict[str, Any]:
    """The result, after what Gradescope's specification says of each field."""
    json.dumps(result)
    assert result["output_format"] in {"text", "html", "simple_format", "md", "ansi"}
    for test in result["tests"]:
        assert 0 <= test["score"] <= test["max_score"]
        assert test["status"] in STATUSES
        assert test["visibility"] in VISIBILITIES
        assert test["output_format"] == "md"
    return result


# --- tokens that grow back


@pytest.mark.parametrize(
    ("used", "shown", "left", "hours"),
    [([], True, 1, 24), ([5], True, 0, 19), ([5, 10], False, 0, 14), ([25, 5], True, 0, 19), ([25, 30], True, 1, 24)],
)
def test_a_token_is_used_and_grows_back_on_its_own(used: list[int], shown: bool, left: int, hours: int) -> None:
    found = throttle.allowance([NOW - n * HOUR for n in used], NOW, FeedbackPolicy(tokens=2))
    assert found == throttle.Allowance(shown, left, NOW + hours * HOUR)


def test_without_tokens_results_are_always_shown() -> None:
    assert throttle.allowance([NOW] * 99, NOW, FeedbackPolicy()).shown


# --- results.json


def test_parts_are_tests_with_their_points_and_reasons() -> None:
    record = fake.record("ada", tests=[fake.passed("softmax", points=8, earned=8), fake.failed("heads")])
    result = checked(gradescope.results(record, FeedbackPolicy()))
    assert result["score"] == 8
    assert [(t["name"], t["score"], t["max_score"]) for t in result["tests"]][:1] == [
        ("A softmax that does not overflow", 8, 8)
    ]
    assert "has wrong values" in result["tests"][3]["output"]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("now", "visible"), ("after_due", "after_due_date"), ("after_published", "after_published")],
)
def test_the_feedback_policy_decides_what_is_seen_when(visible: Any, expected: str) -> None:
    result = checked(gradescope.results(fake.record("ada"), FeedbackPolicy(visible=visible)))
    assert {test["visibility"] for test in result["tests"]} == {expected}


@pytest.mark.parametrize("visible", ["now", "after_due", "after_published"])
def test_what_policy_did_tells_the_score_and_is_shown_no_earlier(visible: Any) -> None:
    record = fake.record("ada")
    result = checked(gradescope.results(record, FeedbackPolicy(visible=visible), words="2 days late", score=1.0))
    assert ("2 days late" in result["output"]) == (visible == "now")
    assert [("2 days late" in test["output"]) for test in result["tests"]].count(True) == (visible != "now")


def test_a_level_below_full_is_said_on_the_result() -> None:
    assert "less than" in gradescope.results(fake.record("ada", level="landlock"), FeedbackPolicy())["output"]
    assert "less than" not in gradescope.results(fake.record("ada", level="full"), FeedbackPolicy())["output"]


def test_without_a_token_results_are_hidden_and_it_says_until_when() -> None:
    policy = FeedbackPolicy(tokens=1)
    first = checked(
        gradescope.results(fake.record("ada"), policy, allowance=throttle.allowance([], NOW, policy), now=NOW)
    )
    metadata = {"previous_submissions": [{"results": first}, {"results": None}, {}, {"results": {"extra_data": {}}}]}
    used = gradescope.used_tokens(metadata)
    assert used == [NOW]
    second = gradescope.results(
        fake.record("ada"), policy, allowance=throttle.allowance(used, NOW + HOUR, policy), now=NOW + HOUR
    )
    assert {test["visibility"] for test in checked(second)["tests"]} == {"after_published"}
    assert "2026-03-02 00:00 UTC" in second["output"]
    assert not second["extra_data"]["shown"]


@pytest.mark.parametrize("text", payloads.ALL)
def test_markdown_of_a_result_holds_no_html_and_no_link_of_a_students(text: str) -> None:
    for record in fake.everywhere(text):
        result = checked(gradescope.results(record, FeedbackPolicy()))
        for output in [result["output"], *(test["output"] for test in result["tests"])]:
            outside = "\n".join(line for line in output.splitlines() if not line.startswith("    "))
            assert "<" not in outside
            assert "](" not in outside


# --- results that were made on the course's own host


def test_results_made_elsewhere_are_handed_out_by_id_and_only_for_the_same_bytes(tmp_path: Path) -> None:
    import hashlib

    digest = hashlib.sha256(SOLUTION.encode()).hexdigest()
    record = fake.record("ada", "bpe", digest=digest)
    entries = {("bpe", "ada"): [Entry("ada", 1, digest, "", number="501")]}
    course = open_course()
    found = standings(course, [record, fake.record("bob", "bpe")], entries, Roster())
    count, left_out = gradescope.write_precomputed(course, found, entries, tmp_path / "a.zip")
    assert (count, [(own.student, why) for own, why in left_out]) == (1, [("bob", "has no Gradescope submission")])
    root = container(tmp_path / "root", tmp_path / "a.zip", {"bpe.py": SOLUTION}, 501)
    assert not [path for path in (root / "source").rglob("*") if path.name in ("suites", "course_key")]
    environment = os.environ | {"AUTOGRADER_ROOT": str(root)}
    subprocess.run([root / "source" / "run_autograder"], env=environment, check=True)
    assert checked(json.loads((root / "results" / "results.json").read_text()))["score"] == record.score
    (root / "results" / "results.json").unlink()
    (root / "submission" / "bpe.py").write_text("another\n")
    done = subprocess.run([root / "source" / "run_autograder"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "not what was graded" in done.stderr
    assert not (root / "results" / "results.json").exists()


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Rule(score=95), "has another score, lateness or comment than eve, with whom submission 502 is shared"),
        (Rule(excused=True), "excused, and Gradescope knows only scores"),
    ],
)
def test_members_of_a_group_share_a_result_unless_the_roster_sets_one_apart(
    rule: Rule, why: str, tmp_path: Path
) -> None:
    entries, records = {}, []
    for student, number in (("ada", "501"), ("bob", "501"), ("eve", "502"), ("kim", "502")):
        entries["bpe", student] = [Entry(student, 1, "d" + number, "", number=number)]
        records.append(fake.record(student, "bpe", digest="d" + number))
    course = open_course()
    found = standings(course, records, entries, Roster({("kim", "bpe"): rule}))
    count, left_out = gradescope.write_precomputed(course, found, entries, tmp_path / "a.zip")
    assert [(own.student, said) for own, said in left_out] == [
        ("eve", "has another score, lateness or comment than kim, with whom submission 502 is shared"),
        ("kim", why),
    ]
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert [name for name in packed.namelist() if name.startswith("results/")] == ["results/501.json"]
    assert count == 1


# --- the container


def container(root: Path, archive: Path, files: dict[str, str], number: int, **metadata: Any) -> Path:
    """Gradescope's layout of /autograder: source, submission, results, submission_metadata.json."""
    for name in ("source", "submission", "results"):
        (root / name).mkdir(parents=True)
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            path = Path(packed.extract(info, root / "source"))
            path.chmod(info.external_attr >> 16 & 0o777)
    for name, text in files.items():
        (root / "submission" / name).write_text(text)
    about = {"id": number, "created_at": "2026-03-01T00:00:00Z", "previous_submissions": [], "users": []} | metadata
    (root / "submission_metadata.json").write_text(json.dumps(about))
    return root


def test_the_zip_has_its_files_at_the_root_and_everything_pinned(tmp_path: Path) -> None:
    course = open_course(COURSE)
    gradescope.write_zip(course, course.assignment("toy"), b"a secret key", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        names = packed.namelist()
        assert {"setup.sh", "run_autograder", "requirements.txt"} <= set(names)
        assert packed.getinfo("run_autograder").external_attr >> 16 & 0o111
        assert packed.getinfo("course_key").external_attr >> 16 & 0o077 == 0
        pins = packed.read("requirements.txt").decode().splitlines()
    assert all("==" in line or line.startswith("--") for line in pins)
    assert {"torch", "hypothesis", "msgspec"} <= {line.split("==")[0] for line in pins}
    assert "nbgrader" not in {line.split("==")[0] for line in pins}
    assert not [name for name in names if "suites/attention" in name or "__pycache__" in name]


# Has pip find what is installed here, so that setup.sh and its pins run without a network.
FAKE_PYTHON = """\
#!/usr/bin/env bash
if [ "$1 $2" = "-m venv" ]; then
    "{python}" -m venv "$3"
    rm -rf "$3"/lib/python{version}/site-packages/setuptools*
    echo "{packages}" > "$3/lib/python{version}/site-packages/here.pth"
else
    exec "{python}" "$@"
fi
"""


# Where `runs` returns it, it is in the record's counterexample, and the part has no points.
THIEF = """
import glob
import json


def stolen():
    found = []
    for pattern in (
        "{root}/source/course_key", "{root}/source/settings.json", "{root}/source/package/autograder/suites/**/*.py",
        "{root}/source/package/autograder/_course/**/*.py", "{root}/results/*", "{root}/submission_metadata.json",
    ):
        for path in [pattern, *glob.glob(pattern, recursive=True)]:
            try:
                found.append(("STOLEN " + open(path).read()[:60], 1))
            except OSError:
                pass
    for path in ("{root}/results/results.json", "{root}/results/another.json", "{root}/source/run_autograder"):
        try:
            with open(path, "w") as file:
                json.dump({{"score": 100, "output": "FORGED"}}, file)
            found.append(("STOLEN the right to write " + path, 1))
        except OSError:
            pass
    return found


STOLEN = stolen()
_honest = runs


def runs(text):
    return STOLEN + stolen() or _honest(text)
"""
DECLARED = "assignments/course.toml"
SECRETS = ("a secret key", "STOLEN", "FORGED", "import annotations", "END SOLUTION")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, as Gradescope's /autograder; pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def programs(folder: Path) -> Path:
    """The programs of a container that has no bubblewrap: without it on the PATH the best level is landlock."""
    folder.mkdir()
    python = FAKE_PYTHON.format(
        python=Path(sys.base_prefix) / "bin" / "python3", packages=sysconfig.get_paths()["purelib"],
        version=f"{sys.version_info.major}.{sys.version_info.minor}",
    )  # fmt: skip
    for name, text in (("python3", python), ("apt-get", "#!/bin/sh\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    for name in ("bash", "chmod", "dirname", "env", "rm"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


@pytest.mark.full
def test_the_containers_scripts_grade_at_landlock_and_no_submission_reads_or_forges(place: Path) -> None:
    if sandbox.probe().best not in ("full", "landlock"):
        refuse = pytest.fail if os.environ.get("AUTOGRADER_CI") == "1" else pytest.skip
        refuse("needs Landlock and seccomp: `autograder doctor` says what is missing")
    own = copied(place, ('assignments = ["toy"]\n', 'assignments = ["toy"]\n[feedback]\ntokens = 1\n'), path=DECLARED)
    course = open_course(own)
    gradescope.write_zip(course, course.assignment("toy"), b"a secret key", place / "a.zip")
    shutil.rmtree(own)
    root = place / "autograder"
    wrong = edited((MEAN, "x[..., max(0, t - window) : t + 1].mean(-1)")) + THIEF.format(root=root)
    container(root, place / "a.zip", {"toy.py": wrong}, 7)
    (root / "results" / "results.json").write_text('{"output": "a secret key"}')
    environment = {
        "PATH": str(programs(place / "bin")), "PIP_NO_INDEX": "1", "HOME": str(place), "AUTOGRADER_ROOT": str(root),
    }  # fmt: skip

    def run(script: str) -> None:
        done = subprocess.run([root / "source" / script], env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]

    def said() -> dict[str, Any]:
        (written,) = (root / "results").iterdir()
        assert (written.name, written.stat().st_uid) == ("results.json", os.getuid())
        text = written.read_text()
        assert not [secret for secret in SECRETS if secret in text]
        return checked(json.loads(text))

    run("setup.sh")
    package = root / "source" / "package" / "autograder"
    for path in (root / "source" / "course_key", package / "suites", package / "_course"):
        assert path.stat().st_mode & 0o077 == 0
    run("run_autograder")
    first = said()
    assert "landlock" in first["output"]
    assert first["extra_data"]["level"] == "landlock"
    assert first["score"] == 70
    assert [test["score"] for test in first["tests"]] == [10, 30, 30]
    assert {test["visibility"] for test in first["tests"]} == {"visible"}

    about = json.loads((root / "submission_metadata.json").read_text())
    (root / "submission_metadata.json").write_text(json.dumps(about | {"previous_submissions": [{"results": first}]}))
    run("run_autograder")
    second = said()
    assert second["score"] == 70
    assert {test["visibility"] for test in second["tests"]} == {"after_published"}
    assert "its results are not shown now" in second["output"]


def test_the_feedback_policy_of_a_course_is_plain_data() -> None:
    assert msgspec.json.decode(msgspec.json.encode(FeedbackPolicy()), type=FeedbackPolicy) == FeedbackPolicy()


def test_the_figure_of_an_advisory_test_is_on_the_leaderboard_once_results_are_shown() -> None:
    advisory = {"kind": "advisory", "points": 0, "earned": 0, "figure": 0.25, "sentence": "Blocks of a long text"}
    fast, wrong = fake.passed("softmax", **advisory), fake.failed("heads", **advisory)
    record = fake.record("ada", advisory=(fast, wrong, fake.passed("heads", **advisory | {"figure": None})))
    listed = [{"name": "Blocks of a long text", "value": 0.25, "order": "asc"}]
    assert gradescope.results(record, FeedbackPolicy())["leaderboard"] == listed
    assert gradescope.results(record, FeedbackPolicy(visible="after_due"))["leaderboard"] == []
