"""Takes in what was handed in: each student's folder, file, zip or notebook becomes one `Submission`.

Everything here may be hostile. Bytes are read and never executed, compiled, parsed as Python or written to disk.
Folders are walked through descriptors that follow no link, so nothing outside the given path can be read; archives and
notebooks are decoded in memory under caps. Whatever is wrong with one entry becomes that Submission's `problem`, and
the others go on. Only a path that holds no entries at all is an error.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import os
import re
import stat
import struct
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import msgspec

MAX_ENTRIES = 100_000  # of the folder that was handed in
MAX_FILES = 10_000  # of one student's folder or archive
MAX_SOURCE_BYTES = 256 * 1024  # larger sources take seconds to compile
MAX_CONTAINER_BYTES = 16 * 1024 * 1024  # a zip or a notebook as it lies there
MAX_UNPACKED_BYTES = 64 * 1024 * 1024  # what the members of a zip say that they hold, all together
MAX_ZIP_RATIO = 100  # source shrinks to a third or a tenth, zeros to a thousandth
MAX_NAME_BYTES = 255

NOT_HANDED_IN = frozenset(
    {".DS_Store", ".git", ".gitkeep", ".ipynb_checkpoints", "Thumbs.db", "__MACOSX", "__pycache__", "desktop.ini"}
)

Kind = Literal["py", "zip", "notebook"]
KINDS: dict[str, Kind] = {".py": "py", ".zip": "zip", ".ipynb": "notebook"}


class IntakeError(Exception):
    """There is nothing to take in; the message says what is wrong, where, and what to do."""

    exit_code = 2


class Submission(msgspec.Struct, frozen=True):
    """What one student handed in. `source` is None exactly where `problem` says why there is nothing to grade."""

    student: str  # the name of the folder, or of the file without its suffix; unprintable characters percent-escaped
    source: bytes | None  # UTF-8, at most MAX_SOURCE_BYTES
    origin: str  # where it lies below the given path; for people, never opened again
    problem: str = ""
    kind: Kind = "py"
    notes: tuple[str, ...] = ()  # for staff: no obstacle to grading, but worth a look
    attempt: int = 0  # 0: not numbered, which is the ledger's business
    layout: str = ""  # the LMS that it came from, where one was recognised; the rest is what that LMS says
    submitted_at: datetime | None = None
    timed_by_hand: bool = False  # that time is a person's word, and replaces whatever was known before
    late: bool = False  # marked late, without a time
    identities: dict[str, str] = {}
    number: str = ""  # of this submission

    @property
    def digest(self) -> str:
        """SHA-256 of the source, or of the problem where there is no source, in hex."""
        return hashlib.sha256(self.problem.encode() if self.source is None else self.source).hexdigest()


def intake(path: Path, *, module: str = "bpe.py") -> Iterator[Submission]:
    """One Submission for each entry of the folder `path`, ordered by student, or the one in the file `path`.

    An entry is a `.py`, `.zip` or `.ipynb` file named after its student, or a student's folder that holds `module`, or
    else a notebook or a zip, in itself or one level down: `alice.py`, `alice/bpe.py`, `alice/bpe/bpe.py`.
    Raises IntakeError, before the first Submission, where there is no entry.
    """
    shown = printable(str(path))
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) and path.suffix.lower() in KINDS:
            # The path itself is the caller's own, and may be a link; what lies below a folder may not.
            return iter([_submission(_Entry(path.name, False), str(path.resolve()), None, module)])
        if not stat.S_ISDIR(mode):
            raise IntakeError(f"{shown} is no .py, .zip or .ipynb file: name one, or the folder of submissions")
        with _folder(str(path), None, follow=True) as folder:
            entries = _listing(folder, MAX_ENTRIES)
    except FileNotFoundError:
        raise IntakeError(f"{shown} does not exist: name the folder of submissions") from None
    except _Refusal:
        raise IntakeError(f"{shown} holds more than {MAX_ENTRIES} entries: hand in fewer at a time") from None
    except (OSError, ValueError) as error:
        raise IntakeError(f"{shown} cannot be read ({_reason(error)}): name one that can be read") from None
    if not entries:
        raise IntakeError(f"{shown} is empty: name the folder that holds the students' folders or files")
    return _submissions(path, entries, module)


def take(folder: Path, student: str, *, module: str, only_module: bool = False) -> Submission:
    """The Submission in one student's own folder, wherever it lies; the folder itself may be a link.

    `only_module` is for layouts whose notebooks are no solutions.
    """
    found = _submission(_Entry(folder.name, True), str(folder.resolve()), None, module, only_module)
    return renamed(found, student)


def take_file(folder: Path, name: str, student: str, *, module: str) -> Submission:
    """The Submission in the file `name` of a folder; a link in its place is a problem, as in a folder of files."""
    with _folder(str(folder), None, follow=True) as opened:
        found = _submission(_Entry(name, False), name, opened, module)
    return renamed(found, student)


def renamed(submission: Submission, student: str) -> Submission:
    """The Submission as that of `student`."""
    return msgspec.structs.replace(submission, student=printable(student))


def stamped(submission: Submission, layout: str, at: datetime | None, **more: Any) -> Submission:
    """The Submission with what its LMS says of it. A time without a zone is UTC, as nbgrader's are."""
    at = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    return msgspec.structs.replace(submission, layout=layout, submitted_at=at, **more)


class _Refusal(Exception):
    """Why an entry holds nothing to grade: its Submission's problem."""


class _Entry(NamedTuple):
    name: str
    is_folder: bool

    @property
    def student(self) -> str:
        path = PurePosixPath(self.name)
        return printable(self.name if self.is_folder or path.suffix.lower() not in KINDS else path.stem)


class _Found(NamedTuple):
    origin: str
    kind: Kind
    source: bytes
    notes: tuple[str, ...] = ()


def _submissions(path: Path, entries: list[_Entry], module: str) -> Iterator[Submission]:
    same_student: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        same_student[_key(entry.student)].append(entry.name)
    with _folder(str(path), None, follow=True) as folder:
        for entry in sorted(entries, key=lambda entry: (entry.student, entry.name)):
            others = [name for name in same_student[_key(entry.student)] if name != entry.name]
            if others:
                yield _without_source(entry, f"handed in more than once: also as {_some(others)}")
            else:
                yield _submission(entry, entry.name, folder, module)


def _submission(entry: _Entry, location: str, folder: int | None, module: str, only_module: bool = False) -> Submission:
    """The Submission of the file or folder `entry` at `location`, relative to the open `folder` where there is one."""
    try:
        found = _take(entry, location, folder, module, only_module)
        notes = (*found.notes, *_checked(found.source))
    except _Refusal as refusal:
        return _without_source(entry, str(refusal))
    except OSError as error:
        return _without_source(entry, f"cannot be read: {_reason(error)}")
    except Exception as error:  # whatever a hostile file provokes, the others go on
        return _without_source(entry, f"cannot be taken in: {type(error).__name__}")
    if printable(entry.name) != entry.name:
        notes = (*notes, "unprintable characters in the name, shown percent-escaped")
    return Submission(entry.student, found.source, printable(found.origin), "", found.kind, notes)


def _without_source(entry: _Entry, problem: str) -> Submission:
    kind = "py" if entry.is_folder else KINDS.get(PurePosixPath(entry.name).suffix.lower(), "py")
    return Submission(entry.student, None, printable(entry.name), printable(problem)[:500], kind)


def _take(entry: _Entry, location: str, folder: int | None, module: str, only_module: bool) -> _Found:
    if not entry.is_folder:
        return _from_file(entry.name, location, folder, module)
    with _folder(location, folder) as root:
        entries = _listing(root, MAX_FILES)
        paths = [inner.name for inner in entries if not inner.is_folder]
        seen = len(entries)
        for inner in entries:
            if inner.is_folder:
                with _folder(inner.name, root) as subfolder:
                    files = _listing(subfolder, MAX_FILES - seen)
                seen += len(files)
                paths += [f"{inner.name}/{file.name}" for file in files if not file.is_folder]
        chosen = _choose(paths, module, only_module)
        *above, name = chosen.split("/")
        with _folder(above[0], root) if above else contextlib.nullcontext(root) as holder:
            found = _from_file(name, name, holder, module)
    return found._replace(origin="/".join([entry.name, *above, found.origin]))


def meant(names: list[str], module: str) -> str:
    """Which of some files beside each other is graded, as in a folder of them; else why none is."""
    try:
        return _choose(names, module)
    except _Refusal as refusal:
        return str(refusal)


def _choose(paths: list[str], module: str, only_module: bool = False) -> str:
    """Which of these files is graded: the module, else a notebook, else an archive; the least deep comes first."""
    notebook = f"{PurePosixPath(module).stem}.ipynb"
    for wanted in (module,) if only_module else (module, notebook, "*.ipynb", "*.zip"):
        for depth in (1, 2):
            found = [path for path in paths if path.count("/") == depth - 1 and _matches(path, wanted)]
            if len(found) == 1:
                return found[0]
            if found:
                raise _Refusal(f"more than one file could be meant: {_some(found)}")
    others = [path for path in paths if path.endswith(".py")]
    raise _Refusal(f"no {module} in it or one folder down" + (f", only {_some(others)}" if others else ""))


def _matches(path: str, wanted: str) -> bool:
    name = PurePosixPath(path).name
    return name == wanted or (wanted.startswith("*") and name.lower().endswith(wanted[1:]))


# ---- files and folders


def _from_file(name: str, location: str, folder: int | None, module: str) -> _Found:
    kind = KINDS.get(PurePosixPath(name).suffix.lower())
    data, notes = _read(location, folder, MAX_SOURCE_BYTES if kind == "py" else MAX_CONTAINER_BYTES)
    if kind is None:
        raise _Refusal("not a .py, .zip or .ipynb file")
    if kind == "zip":
        member, data, more = _from_zip(data, module)
        return _Found(f"{name}/{member}", kind, data, notes + more)
    if kind == "notebook":
        data, more = _from_notebook(data)
        return _Found(name, kind, data, notes + more)
    return _Found(name, kind, data, notes)


# Without O_NONBLOCK, opening a FIFO would wait for a writer. Windows has none of these.
_OPEN = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"))
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)

_TYPES = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _read(name: str, folder: int | None, limit: int) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of a regular file, and what is odd about it."""
    _require_regular(name, os.stat(name, dir_fd=folder, follow_symlinks=False))  # opening a device can do things
    descriptor = os.open(name, _OPEN | _NOFOLLOW, dir_fd=folder)
    with open(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        _require_regular(name, status)  # what was opened, should it have been replaced since
        data = b""
        while len(data) <= limit and (chunk := file.read(limit + 1 - len(data))):
            data += chunk
    if len(data) > limit:
        raise _Refusal(f"larger than {limit // 1024} KiB")
    return data, ("the file has other hard links",) if status.st_nlink > 1 else ()


def _require_regular(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = _TYPES.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise _Refusal(f"{PurePosixPath(name).name} is {what}")


@contextlib.contextmanager
def _folder(name: str, parent: int | None, *, follow: bool = False) -> Iterator[int]:
    """An open descriptor of a folder; a link in its place is an OSError unless it is to be followed."""
    descriptor = os.open(name, _OPEN | _DIRECTORY | (0 if follow else _NOFOLLOW), dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _listing(folder: int, limit: int) -> list[_Entry]:
    """What lies in an open folder, by name, without the files that tools leave behind."""
    entries = []
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name not in NOT_HANDED_IN:
                entries.append(_Entry(entry.name, entry.is_dir(follow_symlinks=False)))
            if len(entries) > limit:
                raise _Refusal(f"more than {MAX_FILES} files")
    return sorted(entries)


# ---- zip archives


def _from_zip(data: bytes, module: str) -> tuple[str, bytes, tuple[str, ...]]:
    """The name and source of the one member that is graded, and notes; nothing else is unpacked."""
    if data.count(b"PK\x01\x02") > MAX_FILES:  # before ZipFile makes an object of each
        raise _Refusal(f"the archive has more than {MAX_FILES} members")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_members(members)
            _check_layout(members, data, archive.start_dir)
            files = [info.filename for info in members if not info.is_dir()]
            chosen = _choose([name for name in files if NOT_HANDED_IN.isdisjoint(name.split("/"))], module)
            kind = KINDS[PurePosixPath(chosen).suffix.lower()]
            if kind == "zip":
                raise _Refusal("an archive in an archive: hand in the files themselves")
            limit = MAX_SOURCE_BYTES if kind == "py" else MAX_CONTAINER_BYTES
            with archive.open(chosen) as member:
                content = member.read(limit + 1)
    except _Refusal:
        raise
    except Exception as error:  # zipfile raises nine kinds, and meets bytes that nobody has vouched for
        raise _Refusal(f"not a valid zip archive ({type(error).__name__})") from None
    if len(content) > limit:
        raise _Refusal(f"{chosen} is larger than {limit // 1024} KiB")
    return (chosen, *_from_notebook(content)) if kind == "notebook" else (chosen, content, ())


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = Counter(_key(info.filename.rstrip("/")) for info in members)
    for info in members:
        name = info.orig_filename  # as it was before ZipFile cut it at a NUL
        parts = name.removesuffix("/").split("/")
        type_bits = stat.S_IFMT(info.external_attr >> 16)
        if {"", ".", ".."} & set(parts) or "\\" in name or re.match("[A-Za-z]:", name):
            raise _Refusal(f"the archive has a member outside it: {name[:60]}")
        if any(unicodedata.category(character) == "Cc" for character in name):
            raise _Refusal(f"the archive has control characters in a name: {name[:60]}")
        if max(len(part.encode()) for part in parts) > MAX_NAME_BYTES:
            raise _Refusal(f"the archive has a name of more than {MAX_NAME_BYTES} bytes: {name[:60]}")
        if names[_key(info.filename.rstrip("/"))] > 1:
            raise _Refusal(f"the archive has two members of one name: {name[:60]}")
        if type_bits not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _Refusal(f"in the archive, {name[:60]} is {_TYPES.get(type_bits, 'no regular file')}")
        if info.flag_bits & 0x2041:  # encrypted; strongly; the directory too
            raise _Refusal("the archive is encrypted: hand it in without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Refusal(f"the archive uses compression method {info.compress_type}: use plain zip (deflate)")


def _check_layout(members: list[zipfile.ZipInfo], data: bytes, directory: int) -> None:
    unpacked = sum(info.file_size for info in members)
    if unpacked > MAX_UNPACKED_BYTES:
        raise _Refusal(f"the archive unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MiB")
    if unpacked > max(MAX_ZIP_RATIO * len(data), MAX_SOURCE_BYTES):
        raise _Refusal(f"the archive unpacks to more than {MAX_ZIP_RATIO} times its size")
    end = 0
    for info in sorted(members, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise _Refusal("the archive has members that overlap")
        name_length, extra_length = struct.unpack_from("<HH", data, info.header_offset + 26)
        end = info.header_offset + 30 + name_length + extra_length + info.compress_size
    if end > directory:
        raise _Refusal("the archive has members that overlap")


# ---- notebooks


class _Metadata(msgspec.Struct):
    tags: list[str] = []


class _Cell(msgspec.Struct):
    cell_type: str
    source: str | list[str] = ""
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Notebook(msgspec.Struct):
    """The fields of the nbformat 4 schema that are read; outputs and attachments are skipped, not decoded."""

    nbformat: int
    cells: list[_Cell] = []


def _from_notebook(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The code cells that are not tagged "skip", joined by blank lines, with magics as comments; and notes."""
    try:
        notebook = msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=_Notebook)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _Refusal(f"not a valid notebook: {error}") from None
    if notebook.nbformat != 4:
        raise _Refusal(f"a notebook of format {notebook.nbformat}: save it in format 4")
    cells = [
        cell.source if isinstance(cell.source, str) else "".join(cell.source)
        for cell in notebook.cells
        if cell.cell_type == "code" and "skip" not in cell.metadata.tags
    ]
    if sum(map(len, cells)) > MAX_SOURCE_BYTES:
        raise _Refusal(f"its code is larger than {MAX_SOURCE_BYTES // 1024} KiB")
    if not any(cell.strip() for cell in cells):
        raise _Refusal("the notebook has no code")
    cells = [cell.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") for cell in cells]
    plain = [_without_magics(cell) for cell in cells]
    changed = sum(before != after for before, after in zip(cells, plain, strict=True))
    source = "\n\n".join(_future_first(plain)) + "\n"
    try:
        return source.encode(), (f"magics turned into comments in {changed} of {len(cells)} cells",) if changed else ()
    except UnicodeEncodeError:
        raise _Refusal("the notebook is not UTF-8 text: save it as UTF-8") from None


# Any cell may begin with one of these and work in its notebook; a file must begin with it.
_FUTURE = re.compile(r"from[ \t]+__future__[ \t]+import[ \t]+\w+(?:[ \t]*,[ \t]*\w+)*(?=[ \t]*(?:#|\n|\Z))")

# IPython's own rule: a magic stands where a statement could begin. So strings and brackets are skipped as wholes.
_MAGIC = re.compile(r"([ \t]*)([%!](?:[^\n]*\\\n)*[^\n]*)")
_TOKEN = re.compile(
    r'''
    \#[^\n]*
    | """ (?: \\. | "(?!"") | [^\\"] )*+ (?:""")?
    | \'\'\' (?: \\. | '(?!'') | [^\\'] )*+ (?:\'\'\')?
    | " (?: \\. | [^\\"\n] )*+ "?
    | ' (?: \\. | [^\\'\n] )*+ '?
    | \\\n
    | [^\#"'\\\n()\[\]{}]++
    | .
    ''',
    re.DOTALL | re.VERBOSE,
)
_RUN_THEIR_CELL = {"%%capture", "%%time"}  # what is below these cell magics is Python of the notebook's own namespace


def _without_magics(cell: str) -> str:
    """The cell as Python. "%time x\\ny" -> "# %time x\\ny"; all of a cell of another language becomes comments."""
    first = cell.lstrip().split(maxsplit=1)[:1]
    if first and first[0].startswith("%%") and first[0] not in _RUN_THEIR_CELL:
        return "\n".join(f"# {line}" for line in cell.split("\n"))

    def commented(magic: re.Match[str]) -> str:
        indentation, text = magic.groups()
        comment = "pass  # " if indentation else "# "  # a block must not become empty
        return indentation + comment + text.replace("\n", f"\n{indentation}# ")

    return _rewritten(cell, _MAGIC, commented)


def _future_first(cells: list[str]) -> list[str]:
    """The cells with their imports from the future in front, each once."""
    future: dict[str, None] = {}

    def taken(found: re.Match[str]) -> str:
        future[found.group()] = None
        return ""

    others = [_rewritten(cell, _FUTURE, taken) for cell in cells]
    return [*(["\n".join(future)] if future else []), *others]


def _rewritten(cell: str, what: re.Pattern[str], instead: Callable[[re.Match[str]], str]) -> str:
    """The cell with something else for `what`, where that stands at the beginning of a statement."""
    result: list[str] = []
    position = brackets = 0
    at_statement = True
    while position < len(cell):
        if at_statement and (found := what.match(cell, position)):
            result.append(instead(found))
            position = found.end()
            continue
        match = _TOKEN.match(cell, position)
        assert match  # its last alternative takes any character
        token = match.group()
        brackets = max(0, brackets + (token in "([{") - (token in ")]}"))
        at_statement = token == "\n" and not brackets
        result.append(token)
        position = match.end()
    return "".join(result)


# ---- text

# PEP 263: on the first line, or on the second after an empty one or a comment.
_ENCODING = re.compile(r"\ufeff?(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n?|\n))??[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")
_BIDIRECTIONAL = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile("(?<!^)\ufeff|[\u00ad\u200b\u2060-\u2064\U000e0000-\U000e007f]")
_LOOKALIKES = re.compile("[\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf]")


def _checked(source: bytes) -> tuple[str, ...]:
    """What staff should look at in a source. Refuses one that is too large or is not UTF-8 text."""
    if len(source) > MAX_SOURCE_BYTES:
        raise _Refusal(f"its code is larger than {MAX_SOURCE_BYTES // 1024} KiB")
    try:
        text = source.decode()
    except UnicodeDecodeError as error:
        raise _Refusal(f"not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    if "\0" in text:
        raise _Refusal(f"not text: NUL at character {text.index(chr(0))}")
    declared = _ENCODING.match(text)
    if declared and not re.match("utf-?8(-|$)", declared[1].lower().replace("_", "-")):
        raise _Refusal(f"declares the encoding {declared[1]}: save it as UTF-8, without that line")
    notes = []
    for pattern, what in ((_BIDIRECTIONAL, "bidirectional control characters"), (_INVISIBLE, "invisible characters")):
        if found := pattern.search(text):
            notes.append(f"{what}, first on line {text.count(chr(10), 0, found.start()) + 1}")
    mixed = sorted(word for word in set(re.findall(r"\w+", text)) if not word.isascii() and _mixes_scripts(word))
    if mixed:
        notes.append(f"words that mix scripts: {printable(_some(mixed))}")
    return tuple(notes)


def _mixes_scripts(word: str) -> bool:
    """Whether Latin letters stand beside letters that look like them. Greek ones that do not are mathematics."""
    scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in word if letter.isalpha()}
    return "LATIN" in scripts and bool(scripts & {"ARMENIAN", "CHEROKEE", "CYRILLIC"} or _LOOKALIKES.search(word))


def _key(name: str) -> str:
    """Equal for names that a file system or a reader may take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def printable(text: str) -> str:
    """The text with what cannot be printed as the percent-escapes of its bytes: "a\\nb" -> "a%0Ab"."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    # A file name's byte that is not UTF-8 is a lone surrogate here (PEP 383).
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in character.encode(errors=errors))


def _some(names: list[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
