"""Inputs that are no plain `.py` file, made when they are needed: each a recipe, its claim in the corpus's own form.

    @recipe(
    "what it attempts | class in SECURITY.md | what stops it | what it wins without | "
    "the recorded problem"
)
    def name(folder): makes one entry in `folder`

The problem is a regular expression; "graded" is an entry that has nothing wrong but what a note says after a colon.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from toyclass import SOLUTION

SOURCE = SOLUTION.encode()


class Recipe(NamedTuple):
    """One entry of what was handed in."""

    name: str
    attempt: str
    security_class: int
    defence: str
    wins_without: str
    problem: str
    make: Callable[[Path], None]


RECIPES: list[Recipe] = []


def recipe(line: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    attempt, number, defence, wins_without, problem = line.split(" | ")

    def add(make: Callable[[Path], None]) -> Callable[[Path], None]:
        RECIPES.append(Recipe(make.__name__, attempt, int(number), defence, wins_without, problem, make))
        return make

    return add


def zipped(members: dict[str, bytes], *, mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, content, compress_type=method)
    return archive.getvalue()


def notebook(*cells: str, **fields: object) -> bytes:
    made = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made} | fields).encode()


def directory_of(names: list[bytes], offset: int = 0, size: int = 0) -> bytes:
    """A zip's directory of members that are all at one place."""
    entries = b"".join(
        b"PK\x01\x02"
        + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 0x21, 0, size, size, len(name), 0, 0, 0, 0, 0, offset)
        + name
        for name in names
    )
    return entries


NOT_OPENED = "not switched off: intake is no process of its own; tests/test_intake.py"


# --- archives


@recipe(
    "packs 64 MiB of zeros into 64 KB | 65 | intake: a ratio, and caps before anything is unpacked | "
    f"{NOT_OPENED} | the archive unpacks to more than"
)
def zip_bomb(folder: Path) -> None:
    (folder / "zip_bomb.zip").write_bytes(zipped({"toy.py": bytes(64 << 20)}))


@recipe(
    "packs an archive into an archive, ten deep | 65 | intake: no archive in an archive is opened | "
    f"{NOT_OPENED} | an archive in an archive"
)
def nested_zips(folder: Path) -> None:
    data = SOURCE
    for depth in range(10):
        data = zipped({f"{depth}.zip" if depth else "toy.py": data})
    (folder / "nested_zips.zip").write_bytes(data)


@recipe(
    "claims 100,000 members | 65 | intake: members are counted before an object is made of each | "
    f"{NOT_OPENED} | the archive has more than 10000 members"
)
def many_members(folder: Path) -> None:
    directory = directory_of([b"%06d.py" % number for number in range(100_000)])
    tail = struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    (folder / "many_members.zip").write_bytes(directory + b"PK\x05\x06" + tail)


@recipe(
    f"names one local file by a thousand members | 65 | intake: members may not overlap | {NOT_OPENED} | "
    "the archive (has members that overlap|unpacks to more)"
)
def overlapping_members(folder: Path) -> None:
    packed = zlib.compress(bytes(200_000), wbits=-15)
    local = b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, 0, len(packed), 200_000, 6, 0) + b"toy.py"
    directory = directory_of([b"toy.py", *(b"%03d.py" % number for number in range(999))], size=len(packed))
    tail = struct.pack("<HHHHIIH", 0, 0, 1000, 1000, len(directory), len(local + packed), 0)
    (folder / "overlapping_members.zip").write_bytes(local + packed + directory + b"PK\x05\x06" + tail)


@recipe(
    f"locks the archive with a password | 65 | intake: says so and goes on | {NOT_OPENED} | the archive is encrypted"
)
def encrypted_zip(folder: Path) -> None:
    data = zipped({"toy.py": SOURCE})
    place = data.index(b"PK\x01\x02") + 8
    (folder / "encrypted_zip.zip").write_bytes(data[:place] + b"\x01\x00" + data[place + 2 :])


@recipe(
    "names two members alike but for their case | 65 | intake: names are compared as file systems may | "
    f"{NOT_OPENED} | the archive has two members of one name"
)
def names_of_one_case(folder: Path) -> None:
    (folder / "names_of_one_case.zip").write_bytes(zipped({"toy.py": SOURCE, "TOY.py": b"x = 1"}))


@recipe(
    "names two members alike in other Unicode forms | 65 | "
    f"intake: names are compared as file systems may | {NOT_OPENED} | "
    "the archive has two members of one name"
)
def names_of_one_form(folder: Path) -> None:
    members = {"toy.py": SOURCE, "caf\u00e9.py": b"", "cafe\u0301.py": b""}
    (folder / "names_of_one_form.zip").write_bytes(zipped(members))


@recipe(
    "puts a member outside the archive (zip-slip) | 64 | "
    f"intake: nothing is unpacked, and names are looked at | {NOT_OPENED} | "
    "the archive has a member outside it"
)
def zip_slip(folder: Path) -> None:
    (folder / "zip_slip.zip").write_bytes(zipped({"toy.py": SOURCE, "../../../../var/tmp/hostile-left": b"x"}))


@recipe(
    "names a member by an absolute path | 64 | intake: nothing is unpacked, and names are looked at | "
    f"{NOT_OPENED} | the archive has a member outside it"
)
def absolute_member(folder: Path) -> None:
    (folder / "absolute_member.zip").write_bytes(zipped({"toy.py": SOURCE, "/var/tmp/hostile-left": b"x"}))


@recipe(
    "names a member with backslashes | 64 | intake: nothing is unpacked, and names are looked at | "
    f"{NOT_OPENED} | the archive has a member outside it"
)
def backslash_member(folder: Path) -> None:
    (folder / "backslash_member.zip").write_bytes(zipped({"toy.py": SOURCE, "..\\..\\x": b"x"}))


@recipe(
    f"packs a symbolic link | 64 | intake: regular members alone | {NOT_OPENED} | "
    "in the archive, toy.py is a symbolic link"
)
def link_in_a_zip(folder: Path) -> None:
    (folder / "link_in_a_zip.zip").write_bytes(zipped({"toy.py": b"/etc/passwd"}, mode=0o120777))


@recipe(f"packs a device | 66 | intake: regular members alone | {NOT_OPENED} | in the archive, toy.py is a device")
def device_in_a_zip(folder: Path) -> None:
    (folder / "device_in_a_zip.zip").write_bytes(zipped({"toy.py": b""}, mode=0o020666))


@recipe(
    f"names a member of 4 kB | 67 | intake: a name has at most 255 bytes | {NOT_OPENED} | "
    "the archive has a name of more than 255 bytes"
)
def long_member_name(folder: Path) -> None:
    (folder / "long_member_name.zip").write_bytes(zipped({"toy.py": SOURCE, "x" * 4096: b""}))


@recipe(
    f"names a member with a newline | 67 | intake: no control characters in names | {NOT_OPENED} | "
    "the archive has control characters in a name"
)
def newline_member(folder: Path) -> None:
    (folder / "newline_member.zip").write_bytes(zipped({"toy.py": SOURCE, "a\n::error::b": b""}))


@recipe(
    f"hides an extension behind a NUL | 67 | intake: no control characters in names | {NOT_OPENED} | "
    "the archive has control characters in a name"
)
def nul_member(folder: Path) -> None:
    data = zipped({"toy.py": SOURCE, "other.pyXx": b""})
    (folder / "nul_member.zip").write_bytes(data.replace(b"other.pyXx", b"other.py\0x"))


@recipe(
    f"uses a compression that takes gigabytes to undo | 65 | intake: plain zip alone | {NOT_OPENED} | "
    "the archive uses compression method"
)
def lzma_zip(folder: Path) -> None:
    (folder / "lzma_zip.zip").write_bytes(zipped({"toy.py": SOURCE}, method=zipfile.ZIP_LZMA))


@recipe(
    f"cuts the archive off | 65 | intake: whatever zipfile raises is a problem | {NOT_OPENED} | not a valid zip archive"
)
def cut_zip(folder: Path) -> None:
    (folder / "cut_zip.zip").write_bytes(zipped({"toy.py": SOURCE})[:-30])


@recipe(
    "says other things of a member twice | 65 | intake: whatever zipfile raises is a problem | "
    f"{NOT_OPENED} | not a valid zip archive"
)
def lying_zip(folder: Path) -> None:
    data = zipped({"toy.py": SOURCE})
    (folder / "lying_zip.zip").write_bytes(data.replace(b"toy.py", b"yot.py", 1))


# --- links, pipes, names


@recipe(
    f"hands in a link to a file of the grader's | 66 | intake: follows no link | {NOT_OPENED} | "
    "link_to_a_file.py is a symbolic link"
)
def link_to_a_file(folder: Path) -> None:
    (folder / "link_to_a_file.py").symlink_to("/etc/passwd")


@recipe(
    f"hands in a link to a folder | 66 | intake: follows no link | {NOT_OPENED} | link_to_a_folder is a symbolic link"
)
def link_to_a_folder(folder: Path) -> None:
    (folder / "link_to_a_folder").symlink_to("/etc")


@recipe(
    f"hands in a folder with a link to the file | 66 | intake: follows no link | {NOT_OPENED} | "
    "toy.py is a symbolic link"
)
def link_in_a_folder(folder: Path) -> None:
    (folder / "link_in_a_folder").mkdir()
    (folder / "link_in_a_folder" / "toy.py").symlink_to("/etc/passwd")


@recipe(
    f"hands in a pipe, to make the grader wait | 66 | intake: opens regular files alone | {NOT_OPENED} | "
    "pipe.py is a named pipe"
)
def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.py")


@recipe(
    f"hands in a folder with a pipe | 66 | intake: opens regular files alone | {NOT_OPENED} | toy.py is a named pipe"
)
def pipe_in_a_folder(folder: Path) -> None:
    (folder / "pipe_in_a_folder").mkdir()
    os.mkfifo(folder / "pipe_in_a_folder" / "toy.py")


@recipe(
    "hands in another student's file as a hard link | 66 | intake: notes it for a person | "
    "always harmless: it is noted | graded: the file has other hard links"
)
def hard_link(folder: Path) -> None:
    (folder.parent / "elsewhere.py").write_bytes(SOURCE)
    os.link(folder.parent / "elsewhere.py", folder / "hard_link.py")


@recipe(
    "has a newline and a workflow command in its name | 67 | intake: names are percent-escaped | "
    "always harmless: it is escaped | graded: unprintable characters in the name"
)
def newline_name(folder: Path) -> None:
    (folder / "newline_name\n::error::100").mkdir()
    (folder / "newline_name\n::error::100" / "toy.py").write_bytes(SOURCE)


@recipe(
    "has marks in its name that turn text around | 67 | intake: names are percent-escaped | "
    "always harmless: it is escaped | graded: unprintable characters in the name"
)
def backwards_name(folder: Path) -> None:
    (folder / "backwards_name\u202eyp.py").write_bytes(SOURCE)


@recipe(
    "has a name that is no UTF-8 | 67 | intake: names are percent-escaped | "
    "always harmless: it is escaped | graded: unprintable characters in the name"
)
def latin_name(folder: Path) -> None:
    with open(os.path.join(os.fsencode(folder), b"latin_name\xe9.py"), "wb") as file:
        file.write(SOURCE)


@recipe("has a shell command as its name | 67 | no shell is ever asked | always harmless: only a name | graded")
def shell_name(folder: Path) -> None:
    (folder / "shell_name $(touch hostile-left) `id`; -rf.py").write_bytes(SOURCE)


@recipe("has a formula as its name | 75 | reports: one encoder for each sink | always harmless: only a name | graded")
def formula_name(folder: Path) -> None:
    (folder / "=formula_name+HYPERLINK(1).py").write_bytes(SOURCE)


@recipe("has markup as its name | 73 | reports: one encoder for each sink | always harmless: only a name | graded")
def markup_name(folder: Path) -> None:
    (folder / "markup_name <img src=x onerror=ran=1>.py").write_bytes(SOURCE)


@recipe(
    "hands in two files that one student may have named | 65 | "
    f"intake: names are compared as file systems may | {NOT_OPENED} | handed in more than once"
)
def two_cases(folder: Path) -> None:
    for name in ("two_cases.py", "Two_Cases.py"):
        (folder / name).write_bytes(SOURCE)


@recipe(
    f"hands in more folders than one looks into | 65 | intake: a number of files | {NOT_OPENED} | more than 10000 files"
)
def many_files(folder: Path) -> None:
    (folder / "many_files" / "inner").mkdir(parents=True)
    for number in range(10_001):
        os.close(os.open(folder / "many_files" / "inner" / str(number), os.O_CREAT | os.O_WRONLY))


# --- notebooks


@recipe(
    "runs shell commands by notebook magics | 68 | intake: magics become comments | "
    "always harmless: it is noted | graded: magics turned into comments"
)
def magic_notebook(folder: Path) -> None:
    cells = "!touch hostile-left", "%system touch hostile-left", "%%bash\ntouch hostile-left"
    (folder / "magic_notebook.ipynb").write_bytes(notebook(*cells, SOLUTION))


@recipe(f"carries outputs of 17 MB | 68 | intake: a notebook has at most 16 MiB | {NOT_OPENED} | larger than 16384 KiB")
def huge_outputs(folder: Path) -> None:
    output = [{"output_type": "display_data", "data": {"image/png": "A" * (17 << 20)}}]
    cell = {"cell_type": "code", "source": SOLUTION, "metadata": {}, "outputs": output}
    data = json.dumps({"nbformat": 4, "cells": [cell]})
    (folder / "huge_outputs.ipynb").write_text(data, encoding="utf-8")


@recipe(
    "carries outputs that are markup | 68 | intake: outputs are not read | always harmless: they are left out | graded"
)
def markup_outputs(folder: Path) -> None:
    output = [{"output_type": "display_data", "data": {"text/html": "<script>ran=1</script>"}}]
    cell = {"cell_type": "code", "source": SOLUTION, "metadata": {}, "outputs": output}
    (folder / "markup_outputs.ipynb").write_text(json.dumps({"nbformat": 4, "cells": [cell]}), encoding="utf-8")


@recipe(f"nests JSON a million deep | 68 | intake: a decoder with a depth | {NOT_OPENED} | not a valid notebook")
def deep_notebook(folder: Path) -> None:
    (folder / "deep_notebook.ipynb").write_bytes(b'{"nbformat": 4, "x": ' + b"[" * 1_000_000)


# --- sources


@recipe(f"hides code after a null byte | 70 | intake: text alone | {NOT_OPENED} | not text: NUL")
def null_byte(folder: Path) -> None:
    (folder / "null_byte.py").write_bytes(SOURCE + b"\0\nimport os\n")


@recipe(f"is written in UTF-16 | 70 | intake: UTF-8 alone | {NOT_OPENED} | not UTF-8 text")
def utf_16(folder: Path) -> None:
    (folder / "utf_16.py").write_bytes(SOLUTION.encode("utf-16"))


@recipe(
    f"declares an encoding in which other code stands there | 70 | intake: UTF-8 alone | {NOT_OPENED} | "
    "declares the encoding utf-7"
)
def other_encoding(folder: Path) -> None:
    (folder / "other_encoding.py").write_bytes(b"# coding: utf-7\n" + SOURCE)


@recipe(
    "holds invisible characters | 70 | intake: notes them for a person | always harmless: it is noted | "
    "graded: invisible characters"
)
def invisible(folder: Path) -> None:
    (folder / "invisible.py").write_bytes(SOURCE + "# pay\u200bload\n".encode())


@recipe(
    "holds characters that turn text around | 70 | intake: notes them for a person | "
    "always harmless: it is noted | graded: bidirectional control characters"
)
def bidirectional(folder: Path) -> None:
    (folder / "bidirectional.py").write_bytes(SOURCE + "# \u202e yalp\n".encode())


@recipe(
    "mixes scripts in a name | 70 | intake: notes them for a person | always harmless: it is noted | "
    "graded: words that mix scripts"
)
def mixed_scripts(folder: Path) -> None:
    (folder / "mixed_scripts.py").write_bytes(SOURCE + "p\u0430ss = 1\n".encode())


@recipe(f"is a megabyte long | 69 | intake: 256 KiB of source | {NOT_OPENED} | larger than 256 KiB")
def long_source(folder: Path) -> None:
    (folder / "long_source.py").write_bytes(b"#" * (1 << 20))


@recipe(
    "nests comprehensions, which ended some Pythons' compilers | 69 | only a worker compiles | "
    "not switched off: nobody else compiles | graded"
)
def compiler_bomb(folder: Path) -> None:
    (folder / "compiler_bomb.py").write_bytes(b"x = " + b"[0 for x in " * 3000 + b"[]" + b"]" * 3000)
