"""Intake: every entry handed in comes out as exactly one Submission, whatever it is, and nothing in it is run."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import stat
import struct
import tokenize
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import intake as intake_module
from autograder.intake import MAX_FILES, MAX_SOURCE_BYTES, IntakeError, Submission, intake

SOURCE = b"def f(x):\n    return x\n"


def taken(path: Path) -> dict[str, Submission]:
    """The Submissions by student, each student once."""
    submissions = list(intake(path))
    by_student = {submission.student: submission for submission in submissions}
    assert len(by_student) == len(submissions)
    return by_student


def only(path: Path) -> Submission:
    (submission,) = intake(path)
    assert (submission.source is None) == bool(submission.problem)
    assert (submission.problem + submission.origin + submission.student).isprintable()
    return submission


def put(path: Path, content: bytes = SOURCE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return archive.getvalue()


def code(source: str | list[str], *tags: str) -> dict:
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}, "outputs": []}


def notebook(*cells: dict | str, **fields: object) -> bytes:
    cells = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells} | fields).encode()


# ---- what is accepted


@pytest.mark.parametrize(
    ("file", "content", "kind", "origin"),
    [
        ("alice/bpe.py", SOURCE, "py", "alice/bpe.py"),
        ("alice/bpe/bpe.py", SOURCE, "py", "alice/bpe/bpe.py"),
        ("alice.py", SOURCE, "py", "alice.py"),
        ("alice.PY", SOURCE, "py", "alice.PY"),
        ("alice.zip", zipped({"bpe.py": SOURCE}), "zip", "alice.zip/bpe.py"),
        ("alice.zip", zipped({"hw/": b"", "hw/bpe.py": SOURCE}), "zip", "alice.zip/hw/bpe.py"),
        ("alice.zip", zipped({"__MACOSX/bpe.py": b"x", "hw/bpe.py": SOURCE}), "zip", "alice.zip/hw/bpe.py"),
        ("alice.zip", zipped({"lab.ipynb": notebook(SOURCE.decode())}), "zip", "alice.zip/lab.ipynb"),
        ("alice.ipynb", notebook(SOURCE.decode()), "notebook", "alice.ipynb"),
        ("alice/lab.ipynb", notebook(SOURCE.decode()), "notebook", "alice/lab.ipynb"),
        ("alice/hw/alice.zip", zipped({"bpe.py": SOURCE}), "zip", "alice/hw/alice.zip/bpe.py"),
    ],
)
def test_a_class_may_be_handed_in_as(tmp_path, file, content, kind, origin):
    put(tmp_path / file, content)
    assert only(tmp_path) == Submission("alice", SOURCE, origin, "", kind)


@pytest.mark.parametrize("name", ["alice.py", "alice.zip", "alice.ipynb"])
def test_one_file_is_one_submission(tmp_path, name):
    content = {"py": SOURCE, "zip": zipped({"bpe.py": SOURCE}), "ipynb": notebook(SOURCE.decode())}
    submission = only(put(tmp_path / name, content[name.split(".")[1]]))
    assert (submission.student, submission.source) == ("alice", SOURCE)


def test_the_path_itself_may_be_a_link(tmp_path):
    put(tmp_path / "class/alice.py")
    (tmp_path / "folder").symlink_to(tmp_path / "class")
    (tmp_path / "bob.py").symlink_to(tmp_path / "class/alice.py")
    assert only(tmp_path / "folder").source == SOURCE
    assert only(tmp_path / "bob.py") == Submission("bob", SOURCE, "bob.py")


def test_submissions_come_ordered_by_student(tmp_path):
    for name in ("d.zip", "b/bpe.py", "a.py", "c.py", "e.txt"):
        put(tmp_path / name)
    assert [submission.student for submission in intake(tmp_path)] == ["a", "b", "c", "d", "e.txt"]


def test_the_module_goes_before_notebooks_and_what_lies_deeper(tmp_path):
    for name in ("bpe.py", "bpe.ipynb", "old/bpe.py", "a.zip"):
        put(tmp_path / "alice" / name, SOURCE if name == "bpe.py" else b"x")
    assert only(tmp_path).origin == "alice/bpe.py"


def test_what_tools_leave_behind_is_not_handed_in(tmp_path):
    put(tmp_path / ".DS_Store")
    put(tmp_path / "__pycache__/x.pyc")
    put(tmp_path / "alice/.ipynb_checkpoints/bpe.py")
    put(tmp_path / "alice/hw/bpe.py")
    assert only(tmp_path).origin == "alice/hw/bpe.py"


def test_the_digest_is_that_of_the_source_or_of_the_problem():
    assert Submission("a", b"", "a.py").digest.startswith("e3b0c442")
    assert Submission("a", b"x", "a.py").digest == Submission("b", b"x", "b.py").digest
    assert Submission("a", None, "a.py", "too large").digest != Submission("a", None, "a.py", "missing").digest


def test_student_code_is_not_run(tmp_path):
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    put(tmp_path / "class/a/bpe.py", trap.encode())
    for shadow in ("conftest.py", "sitecustomize.py", "torch.py", "x.pth"):
        put(tmp_path / "class/a" / shadow, trap.encode())
    put(tmp_path / "class/b.ipynb", notebook(trap))
    put(tmp_path / "class/c.zip", zipped({"bpe.py": trap.encode(), "__main__.py": trap.encode()}))
    assert [submission.source for submission in intake(tmp_path / "class")] == [trap.encode()] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class"]


def test_source_that_crashes_a_compiler_is_only_bytes(tmp_path):
    for bomb in (b"(" * 200_000, b"[x for x in " * 20_000, b"10**10**9", b"-" * 250_000 + b"1"):
        assert only(put(tmp_path / "alice.py", bomb)).source == bomb


# ---- nothing to take in


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist: name the folder"),
        (lambda path: path.mkdir(), "is empty: name the folder"),
        (lambda path: put(path / ".DS_Store"), "is empty: name the folder"),
        (lambda path: put(path), "is no .py, .zip or .ipynb file: name one"),
        (lambda path: os.mkfifo(path), "is no .py, .zip or .ipynb file: name one"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
)
def test_a_wrong_path_is_one_line_that_says_what_to_do(tmp_path, make, message):
    path = tmp_path / "class"
    make(path)
    with pytest.raises(IntakeError, match=message) as caught:
        intake(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_entries_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(intake_module, "MAX_ENTRIES", 3)
    for name in "abcd":
        put(tmp_path / f"{name}.py")
    with pytest.raises(IntakeError, match="more than 3 entries"):
        intake(tmp_path)


# ---- problems of files and folders


def test_each_bad_entry_is_one_submission_with_its_reason_and_the_good_ones_go_on(tmp_path):
    outside = put(tmp_path / "outside/bpe.py", b"secret = 1\n")
    folder = tmp_path / "class"
    put(folder / "alice/bpe.py")
    put(folder / "zoe.py")
    (folder / "empty").mkdir()
    put(folder / "misnamed/my_bpe.py")
    put(folder / "deep/a/b/bpe.py")
    put(folder / "two/a/bpe.py")
    put(folder / "two/b/bpe.py")
    put(folder / "large.py", b"#" * (MAX_SOURCE_BYTES + 1))
    put(folder / "latin.py", "x = 'é'\n".encode("latin-1"))
    put(folder / "utf16.py", "x = 1\n".encode("utf-16"))
    put(folder / "nul.py", b"x = 1\0\n")
    put(folder / "cookie.py", b"#!/usr/bin/python\n# -*- coding: utf-7 -*-\nx = 1\n")
    put(folder / "text.txt")
    (folder / "link.py").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent)
    (folder / "inner").mkdir()
    (folder / "inner/bpe.py").symlink_to(outside)
    (folder / "folder").mkdir()
    (folder / "folder/bpe.py").mkdir()
    (folder / "linkdir").mkdir()
    (folder / "linkdir/hw").symlink_to(outside.parent)
    os.mkfifo(folder / "pipe.py")
    (folder / "fifo").mkdir()
    os.mkfifo(folder / "fifo/bpe.py")
    problems = {
        "empty": "no bpe.py in it or one folder down",
        "misnamed": "no bpe.py in it or one folder down, only my_bpe.py",
        "deep": "no bpe.py in it or one folder down",
        "two": "more than one file could be meant: a/bpe.py, b/bpe.py",
        "large": "larger than 256 KiB",
        "latin": "not UTF-8 text (byte 5): save it as UTF-8",
        "utf16": "not UTF-8 text (byte 0): save it as UTF-8",
        "nul": "not text: NUL at character 5",
        "cookie": "declares the encoding utf-7: save it as UTF-8, without that line",
        "text.txt": "not a .py, .zip or .ipynb file",
        "link": "link.py is a symbolic link",
        "linked": "linked is a symbolic link",
        "inner": "bpe.py is a symbolic link",
        "folder": "no bpe.py in it or one folder down",
        "linkdir": "no bpe.py in it or one folder down",
        "pipe": "pipe.py is a named pipe",
        "fifo": "bpe.py is a named pipe",
    }
    submissions = taken(folder)
    assert {name: submissions[name].problem for name in submissions} == problems | {"alice": "", "zoe": ""}
    assert all((submissions[name].source is None) == (name in problems) for name in submissions)


def test_sockets_and_devices_are_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("alice.py")
        assert only(tmp_path).problem == "alice.py is a socket"
    if os.geteuid() == 0:
        os.unlink("alice.py")
        try:
            os.mknod("alice.py", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        except PermissionError:
            return
        assert only(tmp_path).problem == "alice.py is a device"


def test_a_file_that_is_replaced_by_a_link_after_the_look_is_not_followed(tmp_path, monkeypatch):
    put(tmp_path / "outside.py", b"secret = 1\n")
    victim = put(tmp_path / "class/alice.py")
    real_open = os.open

    def swap_and_open(name, *arguments, **keywords):
        if name == "alice.py":
            victim.unlink()
            victim.symlink_to(tmp_path / "outside.py")
        return real_open(name, *arguments, **keywords)

    monkeypatch.setattr(os, "open", swap_and_open)
    assert only(tmp_path / "class").problem.startswith("cannot be read: ")


def test_an_unreadable_file_is_a_problem(tmp_path, monkeypatch):
    def refuse(name, *arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    put(tmp_path / "alice.py")
    submissions = intake(tmp_path / "alice.py")
    assert next(submissions).source == SOURCE
    monkeypatch.setattr(intake_module, "_read", refuse)
    assert only(tmp_path).problem == "cannot be read: Permission denied"


def test_a_hard_link_is_graded_and_noted(tmp_path):
    os.link(put(tmp_path / "outside.py"), put(tmp_path / "class/bob.py").with_name("alice.py"))
    submissions = taken(tmp_path / "class")
    assert submissions["alice"].source == SOURCE
    assert submissions["alice"].notes == ("the file has other hard links",)
    assert submissions["bob"].notes == ()


def test_a_folder_with_too_many_files_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(intake_module, "MAX_FILES", 5)
    for index in range(3):
        put(tmp_path / f"alice/{index}/a.py")
        put(tmp_path / f"bob/{index}.py")
    put(tmp_path / "bob/bpe.py")
    submissions = taken(tmp_path)
    assert submissions["alice"].problem == "more than 5 files"
    assert submissions["bob"].source == SOURCE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice.py", "alice.zip"),
        ("alice/bpe.py", "alice.py"),
        ("Alice.py", "alice.py"),
        ("caf\u00e9.py", "cafe\u0301.py"),
    ],
)
def test_two_entries_of_one_student_are_both_recorded_and_name_each_other(tmp_path, one, other):
    put(tmp_path / one)
    put(tmp_path / other)
    put(tmp_path / "bob.py")
    submissions = list(intake(tmp_path))
    assert len(submissions) == 3
    problems = {submission.origin: submission.problem for submission in submissions}
    assert problems["bob.py"] == ""
    names = [one.split("/")[0], other]
    for name, rival in (names, names[::-1]):
        assert problems[name] == f"handed in more than once: also as {rival}"
    assert len({submission.digest for submission in submissions}) == 3


@pytest.mark.parametrize(
    ("name", "student"),
    [
        (b"Zo\xc3\xab O'Neil (2)", "Zoë O'Neil (2)"),
        (b"-rf $(reboot) `x`; =1+1", "-rf $(reboot) `x`; =1+1"),
        (b"<script>", "<script>"),
        (b"a\nb\x1b[31m\x7f", "a%0Ab%1B[31m%7F"),
        (b"caf\xe9", "caf%E9"),
        ("a\u202eb\u200bc".encode(), "a%E2%80%AEb%E2%80%8Bc"),
        (b"x" * 250, "x" * 250),
        (b"100%", "100%"),
    ],
)
@pytest.mark.parametrize("form", ["folder", "file"])
def test_a_student_id_is_the_name_with_what_cannot_be_printed_escaped(tmp_path, name, student, form):
    path = os.path.join(os.fsencode(tmp_path), name)
    if form == "folder":
        os.mkdir(path)
        path = os.path.join(path, b"bpe")
    with open(path + b".py", "wb") as file:
        file.write(SOURCE)
    submission = only(tmp_path)
    assert (submission.student, submission.source) == (student, SOURCE)
    assert bool(submission.notes) == (student.encode() != name)
    assert submission.origin == f"{student}/bpe.py" if form == "folder" else f"{student}.py"


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=60)
@given(st.dictionaries(names.map(lambda name: f"{name}."), st.sampled_from(["py", "zip", "ipynb", "folder", "link"])))
def test_every_entry_comes_out_exactly_once(tmp_path_factory, entries):
    folder = tmp_path_factory.mktemp("class")
    put(folder / "always here.py")
    for name, form in entries.items():
        if form == "folder":
            (folder / name).mkdir()
        elif form == "link":
            (folder / name).symlink_to("/etc/passwd")
        else:
            (folder / f"{name}{form}").write_bytes(SOURCE)
    submissions = list(intake(folder))
    assert len(submissions) == len(entries) + 1
    assert submissions == list(intake(folder))
    for submission in submissions:
        assert (submission.source is None) == bool(submission.problem)
        assert (submission.student + submission.origin + submission.problem).isprintable()


# ---- zip archives


def patched(archive: bytes, offset: int, value: bytes, signature: bytes = b"PK\x01\x02") -> bytes:
    """The archive with bytes of its first record of that kind replaced."""
    start = archive.index(signature) + offset
    return archive[:start] + value + archive[start + len(value) :]


def overlapping(names: list[str], content: bytes) -> bytes:
    """An archive in which all these members are the one local file."""
    packed = zlib.compress(content, wbits=-15)
    checked = struct.pack("<III", zlib.crc32(content), len(packed), len(content))
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0x21) + checked + struct.pack("<HH", 6, 0) + b"bpe.py"
    directory = b"".join(
        b"PK\x01\x02"
        + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0x21)
        + checked
        + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0)
        + name.encode()
        for name in names
    )
    body = local + packed
    tail = struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + tail


def with_mode(mode: int) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        info = zipfile.ZipInfo("bpe.py")
        info.external_attr = mode << 16
        file.writestr(info, b"/etc/passwd")
    return archive.getvalue()


PLAIN = zipped({"bpe.py": SOURCE})
STORED = zipped({"bpe.py": SOURCE}, zipfile.ZIP_STORED)
ZIP64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, 2**62, 2**62)
ZIP64_LOCATOR = b"PK\x06\x07" + struct.pack("<IQI", 0, PLAIN.index(b"PK\x05\x06"), 1)

BAD_ARCHIVES = {
    "not an archive": (b"hello", r"not a valid zip archive \(BadZipFile\)"),
    "empty": (b"", "not a valid zip archive"),
    "cut off": (PLAIN[:-10], "not a valid zip archive"),
    "wrong checksum": (patched(STORED, 40, b"###", b"PK\x03\x04"), r"not a valid zip archive \(BadZipFile\)"),
    "broken stream": (patched(PLAIN, 36, b"\xff" * 8, b"PK\x03\x04"), r"not a valid zip archive \(error\)"),
    "no members": (zipped({}), "no bpe.py in it"),
    "other file": (zipped({"main.py": SOURCE}), "no bpe.py in it or one folder down, only main.py"),
    "too deep": (zipped({"a/b/bpe.py": SOURCE}), "no bpe.py in it"),
    "two": (zipped({"a/bpe.py": b"", "b/bpe.py": b""}), "more than one file could be meant: a/bpe.py, b/bpe.py"),
    "nested": (zipped({"a.zip": PLAIN}), "an archive in an archive"),
    "parent": (zipped({"bpe.py": SOURCE, "../../x": b""}), r"a member outside it: \.\./\.\./x"),
    "dot": (zipped({"./bpe.py": SOURCE}), "a member outside it"),
    "absolute": (zipped({"/etc/bpe.py": SOURCE}), "a member outside it: /etc/bpe.py"),
    "drive": (zipped({"C:/bpe.py": SOURCE}), "a member outside it"),
    "backslash": (zipped({"a\\bpe.py": SOURCE}), "a member outside it"),
    "newline": (zipped({"bpe.py": SOURCE, "a\nb": b""}), "control characters in a name: a%0Ab"),
    "NUL": (PLAIN.replace(b"bpe.py", b"bpe.\0y"), "control characters in a name: bpe.%00y"),
    "long name": (zipped({"bpe.py": SOURCE, "é" * 128: b""}), "a name of more than 255 bytes"),
    "not UTF-8 name": (zipped({"é.py": b""}).replace(b"\xc3\xa9", b"\xff\xff"), "UnicodeDecodeError"),
    "duplicate case": (zipped({"bpe.py": SOURCE, "BPE.py": b""}), "two members of one name"),
    "duplicate form": (zipped({"caf\u00e9": b"", "cafe\u0301": b""}), "two members of one name"),
    "file and folder": (zipped({"bpe.py": SOURCE, "bpe.py/": b""}), "two members of one name"),
    "symbolic link": (with_mode(stat.S_IFLNK | 0o777), "in the archive, bpe.py is a symbolic link"),
    "device": (with_mode(stat.S_IFCHR | 0o777), "in the archive, bpe.py is a device"),
    "encrypted": (patched(PLAIN, 8, b"\x01\x00"), "encrypted"),
    "lzma": (zipped({"bpe.py": SOURCE}, zipfile.ZIP_LZMA), "compression method 14"),
    "unknown method": (patched(PLAIN, 10, b"\x63\x00"), "compression method 99"),
    "large source": (zipped({"bpe.py": b"#" * (MAX_SOURCE_BYTES + 1)}, zipfile.ZIP_STORED), "larger than 256 KiB"),
    "ratio": (zipped({"bpe.py": SOURCE, "zeros": bytes(2**20)}), "more than 100 times its size"),
    "total": (zipped({"bpe.py": SOURCE, "zeros": bytes(2**26)}), "unpacks to more than 64 MiB"),
    "hidden bomb": (
        patched(zipped({"bpe.py": bytes(2**26)}), 24, struct.pack("<I", 100)),
        r"not a valid zip archive \(BadZipFile\)",
    ),
    "members": (overlapping(["x"] * (MAX_FILES + 1), b""), "more than 10000 members"),
    "overlap": (overlapping(["bpe.py", "a"], SOURCE), "members that overlap"),
    "overlaps the directory": (patched(STORED, 20, struct.pack("<II", 60, 60)), "members that overlap"),
    "negative offset": (patched(PLAIN, 42, b"\xff\xff\xff\x7f"), "not a valid zip archive"),
    "zip64 lies": (PLAIN.replace(b"PK\x05\x06", ZIP64 + ZIP64_LOCATOR + b"PK\x05\x06"), "not a valid zip archive"),
    "latin source": (zipped({"bpe.py": b"# \xe9"}), "not UTF-8 text"),
    "bad notebook": (zipped({"a.ipynb": b"{"}), "not a valid notebook"),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_a_bad_archive_is_a_problem(tmp_path, name):
    content, problem = BAD_ARCHIVES[name]
    put(tmp_path / "alice.zip", content)
    put(tmp_path / "bob.py")
    alice, bob = intake(tmp_path)
    assert bob.source == SOURCE
    assert (alice.source, alice.kind, alice.origin) == (None, "zip", "alice.zip")
    assert re.search(problem, alice.problem), alice.problem


def test_an_archive_that_is_too_large_is_not_read(tmp_path):
    with put(tmp_path / "alice.zip").open("r+b") as file:
        file.truncate(2**40)  # sparse
    assert only(tmp_path).problem == "larger than 16384 KiB"


@settings(max_examples=300)
@given(
    st.sampled_from([PLAIN, STORED, zipped({"hw/bpe.py": SOURCE, "hw/x": bytes(300)})]),
    st.lists(st.tuples(st.integers(0, 500), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
)
def test_a_damaged_archive_gives_what_was_packed_or_a_problem(tmp_path_factory, archive, damage):
    for position, value in damage:
        position %= len(archive)
        archive = archive[:position] + value + archive[position + len(value) :]
    submission = only(put(tmp_path_factory.mktemp("zip") / "alice.zip", archive))
    assert submission.source in (None, SOURCE)


# ---- notebooks


def source_of(tmp_path: Path, *cells: dict | str) -> str:
    submission = only(put(tmp_path / "alice.ipynb", notebook(*cells)))
    assert submission.source is not None, submission.problem
    return submission.source.decode()


def test_a_notebook_is_its_code_cells_joined_by_blank_lines(tmp_path):
    text = {"cell_type": "markdown", "source": "x = 3", "attachments": {"a": {"image/png": "AAAA"}}}
    raw = {"cell_type": "raw", "source": ["x = 4"]}
    output = code(["def f():\n", "    return 1\n"]) | {"outputs": [{"text": "x = 5"}], "execution_count": None}
    bare = {"cell_type": "code", "source": "y = 2"}
    assert source_of(tmp_path, "x = 1", text, raw, output, code("x = 6", "skip"), bare) == (
        "x = 1\n\ndef f():\n    return 1\n\ny = 2\n"
    )


def test_imports_from_the_future_begin_the_file_wherever_they_begin_a_cell(tmp_path):
    typed, divided = "from __future__ import annotations", "from __future__ import division, print_function"
    text = f"x = '''\n{typed}\n'''"
    second = f"# typed\n\n{typed}  # (PEP 563)\n{divided}\nimport torch"
    first = '"""Mine."""\nimport os'
    rest = f"# typed\n\n  # (PEP 563)\n\nimport torch\n\n\ny = 1\n\n{text}\n"
    assert source_of(tmp_path, first, second, f"{typed}\ny = 1", text) == f"{typed}\n{divided}\n\n{first}\n\n{rest}"
    assert only(tmp_path).notes == ()


def test_an_import_from_the_future_after_a_magic_or_a_docstring_is_found(tmp_path):
    future = "from __future__ import annotations"
    source = source_of(tmp_path, f'"""Mine."""\n{future}\nx = 1', f"%pip list\n{future}\ny = 1")
    assert source == f'{future}\n\n"""Mine."""\n\nx = 1\n\n# %pip list\n\ny = 1\n'
    compile(source, "notebook", "exec", dont_inherit=True)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%matplotlib inline\nx = 1", "# %matplotlib inline\nx = 1"),
        ("!pip install 'x\ny = 1", "# !pip install 'x\ny = 1"),
        ("!echo a \\\n  b\ny = 1", "# !echo a \\\n#   b\ny = 1"),
        ("if x:\n    !ls\ny = 1", "if x:\n    pass  # !ls\ny = 1"),
        ("%%time\n%time f()\nx = 1", "# %%time\n# %time f()\nx = 1"),
        ("\n%%capture out\nx = 1", "\n# %%capture out\nx = 1"),
        ("%%bash\nrm -rf /\n", "# %%bash\n# rm -rf /"),
        ("%%html\n<b>", "# %%html\n# <b>"),
        ('x = """\n%d items\n!\n"""\n%who', 'x = """\n%d items\n!\n"""\n# %who'),
        ("x = '''\\'''\n%d ''' + \"#'\"\n%who", "x = '''\\'''\n%d ''' + \"#'\"\n# %who"),
        ("x = (a\n% b)\n%who", "x = (a\n% b)\n# %who"),
        ("x = a \\\n% b\n%who", "x = a \\\n% b\n# %who"),
        ("# it's (\n%who", "# it's (\n# %who"),
        ("x = 'it\\'s (' % b\n%who", "x = 'it\\'s (' % b\n# %who"),
        ("x = 7 % 2\r\n%who", "x = 7 % 2\n# %who"),
    ],
)
def test_magics_become_comments_and_python_stays_as_it_is(tmp_path, cell, expected):
    assert source_of(tmp_path, cell) == expected + "\n"
    notes = only(tmp_path).notes
    assert notes == ("magics turned into comments in 1 of 1 cells",)


@given(st.text(st.sampled_from("ab %!()[]{}'\"\\\n#=")))
def test_a_cell_keeps_all_its_characters(cell):
    plain = intake_module._without_magics(cell)
    for inserted in ("pass", "#", " "):
        plain, cell = plain.replace(inserted, ""), cell.replace(inserted, "")
    assert plain == cell


def test_scanning_a_cell_takes_linear_time():
    for cell in ('"""' + '\\"' * 100_000, "'" * 200_001, "(" * 200_000, "%" + "\\\n" * 100_000, "\\" * 200_000):
        assert len(intake_module._without_magics(cell)) >= len(cell)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a valid notebook"),
        (b"[]", "not a valid notebook: Expected `object`, got `array`"),
        (b'{"nbformat": 4, "cells": 1}', "not a valid notebook"),
        (b'{"nbformat": 3, "worksheets": [{"cells": []}]}', "a notebook of format 3: save it in format 4"),
        (notebook(code("x = 1") | {"source": {"a": 1}}), "not a valid notebook"),
        (notebook(code("x = 1") | {"metadata": {"tags": "skip"}}), "not a valid notebook"),
        (notebook({"cell_type": "markdown", "source": "x"}), "the notebook has no code"),
        (notebook(code("x = 1", "skip")), "the notebook has no code"),
        (notebook("#" * MAX_SOURCE_BYTES, "x"), "its code is larger than 256 KiB"),
        (notebook("é" * (MAX_SOURCE_BYTES - 10)), "its code is larger than 256 KiB"),
        (notebook("x = '\ud800'"), "not (a valid notebook|.*UTF-8 text)"),
        (b'{"nbformat": 4, "cells": ' + b"[" * 10**6, "not a valid notebook"),
        (b'{"nbformat": 4, "x": ' + b"[" * 10**6, "not a valid notebook"),
        (b'{"nbformat": 4, "x": ' + b'{"a":' * 10**6, "not a valid notebook"),
        (b'{"nbformat": ' + b"9" * 10**6 + b"}", "not a valid notebook"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "\xff"}]}', "not a valid notebook"),
        (b" " * (16 * 2**20 + 1), "larger than 16384 KiB"),
    ],
    ids=range(17),
)
def test_a_bad_notebook_is_a_problem(tmp_path, content, problem):
    submission = only(put(tmp_path / "alice.ipynb", content))
    assert submission.source is None
    assert re.match(problem, submission.problem), submission.problem


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
cells = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["code", "markdown"]) | json_values},
    optional={"source": st.text(max_size=20) | json_values, "metadata": json_values, "outputs": json_values},
)


@given(st.fixed_dictionaries({"nbformat": st.just(4) | json_values, "cells": st.lists(cells) | json_values}))
def test_any_json_gives_a_source_or_a_problem(tmp_path_factory, document):
    only(put(tmp_path_factory.mktemp("notebook") / "alice.ipynb", json.dumps(document).encode()))


# ---- text


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("x = 1\n", ()),
        ("\ufeffx = 1\n", ()),
        ("# coding: utf8\nσ = 1\nΔt = 2  # é ü 数 α_x\n", ()),
        ("x = 1\ny = '\u202e'\n", ("bidirectional control characters, first on line 2",)),
        ("x = 1\u200b\n", ("invisible characters, first on line 1",)),
        ("p\u0430ss = 1\n", ("words that mix scripts: p\u0430ss",)),
        ("\u039fx = 1\n", ("words that mix scripts: \u039fx",)),
    ],
)
def test_what_a_reader_could_be_fooled_by_is_noted(tmp_path, text, notes):
    submission = only(put(tmp_path / "alice.py", text.encode()))
    assert (submission.source, submission.notes) == (text.encode(), notes)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_source_or_a_problem(tmp_path_factory, content):
    submission = only(put(tmp_path_factory.mktemp("text") / "alice.py", content))
    assert submission.source in (None, content)


lines = st.sampled_from(
    ["", " ", "x = 1", "# why", "\f# coding: utf8", "# coding=latin-1", "#coding: utf-8-unix", "# coding:"]
)


@given(st.lists(lines, max_size=4))
def test_only_a_declaration_that_python_would_heed_and_that_is_not_utf8_is_refused(tmp_path_factory, lines):
    content = "\n".join(lines).encode()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    submission = only(put(tmp_path_factory.mktemp("text") / "alice.py", content))
    assert (submission.source is not None) == (encoding in ("utf-8", "utf8"))


@given(st.text())
def test_names_that_a_file_system_may_take_for_one_have_one_key(name):
    for form in ("NFC", "NFD"):
        assert intake_module._key(unicodedata.normalize(form, name)) == intake_module._key(name)
