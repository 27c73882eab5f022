"""What is in a worker's runtime tree, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.sandbox import SandboxError, runtime


def names(*distributions: str) -> set[str]:
    return {entry.name for entry in runtime.tree(distributions)}


def test_a_distribution_brings_what_it_depends_on() -> None:
    found = names("torch")
    assert {"torch", "sympy", "mpmath", "jinja2", "markupsafe", "typing_extensions.py"} <= found


def test_numpy_brings_its_libraries() -> None:
    assert {"numpy", "numpy.libs"} <= names() or "numpy" in names()


def test_what_nobody_named_is_not_there() -> None:
    tops = {name.split("/")[0] for name in names("torch", "regex")}
    assert not tops & {"pytest", "_pytest", "hypothesis", "tokenizers", "tiktoken", "transformers", "llm_assignments"}


def test_of_our_own_package_only_the_workers_part_is_there() -> None:
    own = {name for name in names() if name.startswith("autograder")}
    assert {"autograder/__init__.py", "autograder/wire.py", "autograder/worker.py", "autograder/given"} <= own
    assert not {name for name in own if name.split("/")[1] in ("suites", "judge", "records.py", "course.py", "cli")}
    assert "autograder/sandbox/__init__.py" not in own


def test_no_entry_is_a_directory_of_packages() -> None:
    for entry in runtime.tree(["torch"]):
        assert entry.source.exists()
        assert entry.source.name not in runtime.PACKAGE_DIRECTORIES
        assert not entry.name.endswith(".pth")


def test_a_missing_distribution_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(SandboxError, match="pip install no-such-thing"):
        runtime.tree(["no-such-thing"])


def test_a_namespace_is_entered_rather_than_taken_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("shared/one", "shared/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
    for name, files in (("one", "shared/one/__init__.py"), ("other", "shared/other/__init__.py")):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{files},,\n{info.name}/METADATA,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = names("one")
    assert {"shared/one", "one-1.0.dist-info"} <= found
    assert not {"shared", "shared/other", "other-1.0.dist-info"} & found


def test_a_librarys_package_directories_are_left_out(tmp_path: Path) -> None:
    for name in ("python3.11/site-packages", "python3.11/json", "python3/dist-packages", "site-packages", "x86"):
        (tmp_path / name).mkdir(parents=True)
    kept = {str(path.relative_to(tmp_path)) for path in runtime.without_packages(tmp_path)}
    assert kept == {"python3.11/json", "x86"}
    covered = {str(path.relative_to(tmp_path)) for path in runtime.package_directories(tmp_path)}
    assert covered == {"python3.11/site-packages", "python3/dist-packages", "site-packages"}
