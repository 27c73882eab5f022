"""Gradescope, both ways: an autograder.zip that grades in its container, and results for what was graded here.

Theory of operation. In Gradescope's container everything runs as root, student code and tests beside each other; it
gives no namespaces. There the worker runs as another user under Landlock and seccomp (level landlock), what is hidden
is readable by root alone, and no file that a submission could write is read as a result. Where that level does not
hold, nothing is graded and Gradescope shows the autograder as failed: a score that could be forged is worse than none.

Better is `precomputed`: download the export, `autograder grade` it on a host of your own at level full, upload a zip
that holds results alone. In the container no student code runs then: a result is looked up by the submission's id and
handed out only if the submitted bytes are those that were graded.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from autograder import throttle
from autograder.course import PACKAGE, Assignment, Course, FeedbackPolicy
from autograder.ledger import Entry
from autograder.lms import export, feedback
from autograder.policy import Standing
from autograder.records import Record
from autograder.reports.escape import markdown, visible

VISIBLE = {"now": "visible", "after_due": "after_due_date", "after_published": "after_published"}
NOT_NEEDED = ("nbgrader",)
LEFT_OUT = ("__pycache__", "_course", "suites")


class GradescopeError(Exception):
    """The zip cannot be made, or a submission not be graded. One line for a person."""

    exit_code = 3


# --- results.json


def results(
    record: Record, feedback_policy: FeedbackPolicy, *, allowance: throttle.Allowance | None = None,
    now: datetime | None = None, words: str = "", score: float | None = None, comment: str = "",
) -> dict[str, Any]:  # fmt: skip
    """One submission as Gradescope's results.json. `score` is the one after policy, `words` what policy did, `comment`
    the instructor's."""
    shown = allowance is None or allowance.shown
    visibility = VISIBLE[feedback_policy.visible] if shown else "after_published"
    lines = [f"Graded at level **{markdown(record.level)}**{_meaning(record.level)}"]
    if record.problem:
        lines.append(f"**Nothing to grade:** {markdown(record.problem)}")
    told = [f"Before the course's policy: {record.score} of {record.max_score} points ({markdown(words)})."] * bool(
        words
    )
    told += [f"**Comment:** {markdown(comment)}"] * bool(comment)
    at_once = visibility == "visible"  # what is said above the tests is shown at once, and this may tell the score
    lines += told if at_once else []
    if allowance is not None and allowance.next_at is not None:
        when = allowance.next_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        if shown:
            lines.append(f"Results are shown {allowance.left} more times; a token grows back at {when}.")
        else:
            lines.append(f"This submission is graded; its results are not shown now. Hand in after {when} to see some.")
    tests = [
        {
            "name": visible(part.title),
            "score": part.earned,
            "max_score": part.points,
            "status": "passed" if part.earned == part.points else "failed",
            "number": str(number),
            "output": "\n\n".join(
                [
                    *(told if not at_once and number == 1 else []),
                    feedback.headline(record, part),
                    feedback.in_markdown(record, part, feedback_policy.detail),
                ]
            ),
            "output_format": "md",
            "visibility": visibility,
            "extra_data": {"part": part.name},
        }
        for number, part in enumerate(record.parts, 1)
    ]
    return {
        "score": record.score if score is None else score,
        "execution_time": round(record.seconds),
        "output": "\n\n".join(lines),
        "output_format": "md",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "leaderboard": [
            {"name": visible(test.sentence)[:60], "value": test.figure, "order": "asc"}
            for test in record.advisory
            if test.status == "passed" and test.figure is not None and at_once
        ],
        "extra_data": {
            "record": record.id, "digest": record.digest, "level": record.level, "shown": shown,
            "at": (now or datetime.now(UTC)).isoformat(),
        },
    }  # fmt: skip


def _meaning(level: str) -> str:
    return "" if level == "full" else ", which is less than on a host of the course's own (`full`)."


def used_tokens(metadata: dict[str, Any]) -> list[datetime]:
    """When earlier submissions showed hidden results: what our own results said then, which Gradescope gives back."""
    used = []
    for earlier in metadata.get("previous_submissions") or []:
        extra = ((earlier or {}).get("results") or {}).get("extra_data") or {}
        try:
            if extra.get("shown"):
                used.append(datetime.fromisoformat(extra["at"]))
        except (KeyError, TypeError, ValueError):
            continue
    return used


# --- in the container


def main(root: Path) -> None:
    """Grade /autograder/submission and write /autograder/results/results.json."""
    from autograder import batch, intake, sandbox
    from autograder.course import open_course
    from autograder.records import Key, Store

    here = root / "source"
    settings = json.loads((here / "settings.json").read_text(encoding="utf-8"))
    course = open_course()
    assignment = course.assignment(settings["assignment"])
    metadata = json.loads((root / "submission_metadata.json").read_text(encoding="utf-8"))
    level = sandbox.probe().best
    if level not in ("full", "landlock"):
        raise GradescopeError(f"this container holds level {level} alone, where a submission could forge its score")
    key = Key((here / "course_key").read_bytes())
    with tempfile.TemporaryDirectory() as out:
        student = str(metadata.get("id", "submission"))
        submission = intake.take(root / "submission", student, module=assignment.module)
        options = batch.Options(key=key, level=level)
        one = batch.Batch(course, assignment, [submission], Store(Path(out)), options)
        (record,) = one.run(lambda news: None)
    if record.grader_error:
        raise GradescopeError(f"the grader could not do its work: {record.grader_error.strip()[-500:]}")
    now = datetime.now(UTC)
    allowance = throttle.allowance(used_tokens(metadata), now, course.feedback) if course.feedback.tokens else None
    _write_results(root, results(record, course.feedback, allowance=allowance, now=now))


def _write_results(root: Path, result: dict[str, Any]) -> None:
    """Into a new file that replaces whatever is there: a link that a submission left is not followed."""
    folder = root / "results"
    folder.mkdir(exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.chmod(temporary, 0o644)
    os.replace(temporary, folder / "results.json")


# --- autograder.zip


def write_zip(course: Course, assignment: Assignment, secret: bytes, target: Path) -> int:
    """An autograder.zip that grades `assignment` in Gradescope's container; the number of its files."""
    files = {
        "setup.sh": _SETUP,
        "run_autograder": _RUN,
        "requirements.txt": requirements(),
        "settings.json": json.dumps({"assignment": assignment.name, "course": course.id}),
        "course_key": secret.decode("latin-1"),
    }
    package = {
        f"package/autograder/{path.relative_to(PACKAGE).as_posix()}": path
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and not set(path.relative_to(PACKAGE).parts) & set(LEFT_OUT)
    }
    package["package/autograder/suites/__init__.py"] = PACKAGE / "suites" / "__init__.py"
    inside = "package/autograder/_course"
    for folder, place in (
        (assignment.suite, f"package/autograder/suites/{assignment.name}"),
        (assignment.folder, f"{inside}/assignments/{assignment.name}"),
        (assignment.solution.parent, f"{inside}/solutions/{assignment.name}"),
    ):
        package |= {
            f"{place}/{path.relative_to(folder).as_posix()}": path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
    declared = (course.root / "assignments" / "course.toml").read_text(encoding="utf-8-sig")
    listed = re.sub(r"(?ms)^assignments\s*=\s*\[.*?\]", f'assignments = ["{assignment.name}"]', declared)
    listed = re.sub(r"(?ms)^\[due\].*?(?=^\[|\Z)", "", listed)  # Gradescope has its own due dates
    files[f"{inside}/assignments/course.toml"] = listed
    _pack(target, files, package)
    return len(files) + len(package)


def requirements() -> str:
    """Every distribution that grading needs, with the version that is installed here."""
    from packaging.requirements import Requirement

    pinned: dict[str, str] = {}
    waiting = [Requirement(text) for text in importlib.metadata.requires("llm-assignments") or []]
    while waiting:
        one = waiting.pop()
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        wanted = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *one.extras))
        if name in pinned or name in NOT_NEEDED or not wanted:
            continue
        try:
            found = importlib.metadata.distribution(one.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        pinned[name] = found.version
        waiting += [Requirement(text) for text in found.requires or []]
    lines = [f"{name}=={version}" for name, version in sorted(pinned.items())]
    if any("+cpu" in line for line in lines):
        lines.insert(0, "--extra-index-url https://download.pytorch.org/whl/cpu")
    return "\n".join(lines) + "\n"


def _pack(target: Path, texts: dict[str, str], copies: dict[str, Path]) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        everything: dict[str, str | Path] = {**copies, **texts}
        for name, content in sorted(everything.items()):
            info = zipfile.ZipInfo(name)
            mode = 0o755 if name in ("setup.sh", "run_autograder") else 0o600 if name == "course_key" else 0o644
            info.external_attr = (0o100000 | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            raw = content.read_bytes() if isinstance(content, Path) else content.encode(
                "latin-1" if name == "course_key" else "utf-8"
            )  # fmt: skip
            archive.writestr(info, raw)
    export.write(target, data.getvalue())


_SETUP = """\
#!/usr/bin/env bash
# Runs once, as root, when Gradescope builds the image. Needs Python 3.11: choose the Ubuntu 24.04 base image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3 python3-venv bubblewrap
python3 -c 'import sys; assert sys.version_info >= (3, 11), "this image has an older Python: choose Ubuntu 24.04"'
python3 -m venv venv
venv/bin/python -m pip install --quiet --no-cache-dir -r requirements.txt
# The student's process runs as another user, who can read none of this.
chmod -R go-rwx course_key settings.json package/autograder/suites package/autograder/_course
"""

_RUN = """\
#!/usr/bin/env bash
# What a submission prints is not on this standard output, and no file that it could write is a result.
set -euo pipefail
root="${AUTOGRADER_ROOT:-/autograder}"
cd "$root"
export PYTHONPATH="$root/source/package" PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
exec "$root/source/venv/bin/python" -P -m autograder.lms.gradescope "$root"
"""


# --- results of what was graded here


def write_precomputed(
    course: Course, standings: Iterable[Standing], ledger: dict[tuple[str, str], list[Entry]], target: Path
) -> tuple[int, list[tuple[Standing, str]]]:
    """A zip that hands out results by submission id; the number of results in it, and who has none in it, with the
    reason. No suite, key or code is in it."""
    groups: dict[int, list[Standing]] = {}  # a group's members share one submission, and Gradescope one score
    left_out = []
    for standing in standings:
        if (entry := _entry(standing, ledger)) is not None:
            groups.setdefault(int(entry.number), []).append(standing)
        else:
            left_out.append((standing, _no_score(standing) or "has no Gradescope submission"))
    files: dict[str, str] = {"setup.sh": "#!/usr/bin/env bash\n", "run_autograder": _LOOK_UP}
    for number, group in groups.items():
        standing = group[0]
        if len({(one.final, one.comment, one.in_words()) for one in group}) > 1:
            for one in group:
                others = " and ".join(other.student for other in group if other is not one)
                why = f"has another score, lateness or comment than {others}, with whom submission {number} is shared"
                left_out.append((one, _no_score(one) or why))
            continue
        if why := _no_score(standing):
            left_out += [(one, why) for one in group]
            continue
        result = results(
            standing.counted, course.feedback, words=standing.in_words(), score=standing.final, comment=standing.comment
        )
        module = course.assignment(standing.assignment).module
        held = {"module": module, "source": standing.counted.digest, "results": result}
        files[f"results/{number}.json"] = msgspec.json.encode(held).decode()
    _pack(target, files, {})
    return len(files) - 2, sorted(left_out, key=lambda pair: pair[0].student)


def _no_score(standing: Standing) -> str:
    """Why there is no score to hand out; "" where there is one."""
    if standing.excused:
        return "excused, and Gradescope knows only scores"
    return f"has no score: {standing.question}" if standing.final is None else ""


def _entry(standing: Standing, ledger: dict[tuple[str, str], list[Entry]]) -> Entry | None:
    """The submission that counts, where Gradescope has numbered it."""
    entries = ledger.get((standing.assignment, standing.student), [])
    return next((e for e in entries if e.digest == standing.counted.digest and e.number), None)


_LOOK_UP = '''\
#!/usr/bin/env python3
"""Hands out the result that was made on the course's own host. No code of a submission's runs here."""
import hashlib
import json
import os
import pathlib

root = pathlib.Path(os.environ.get("AUTOGRADER_ROOT", "/autograder"))
number = int(json.loads((root / "submission_metadata.json").read_text())["id"])
held = root / "source" / "results" / f"{number}.json"
if not held.exists():
    raise SystemExit(f"submission {number} was not in the export that was graded: download and grade again")
known = json.loads(held.read_text())
module = root / "submission" / known["module"]
if module.is_file() and hashlib.sha256(module.read_bytes()).hexdigest() != known["source"]:
    raise SystemExit(f"submission {number} is not what was graded: download and grade again")
(root / "results").mkdir(exist_ok=True)
(root / "results" / "results.json").write_text(json.dumps(known["results"]))
'''


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Exception as failure:
        code = getattr(failure, "exit_code", 3)
        print(f"autograder: {failure}", file=sys.stderr)
        sys.exit(code)
