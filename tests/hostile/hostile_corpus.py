"""The corpus: one small file an attack, what its first line says of it, and the submission that it becomes.

The first line of a file in `corpus/` is a comment of five fields:

    # what it attempts | class in SECURITY.md | what stops it | what it wins without | what the record says

*What it wins without* is one of these, or several: `layer@level` or `layer+layer@level`; `the wall`, for what is known
to win at level landlock; `one process`, a grader that runs submissions beside its tests (after a colon, which of its
verdicts is turned); `always harmless: why`; `not switched off: why`. *What the record says* is the score, the
worst status where it is not `passed` (alternatives joined by `/`), and after a semicolon the same at another level.

What a file defines says what is put around it:

    attack()            the solution; the attack runs once a worker, in `fate`. What it returns, if that is true, is its
                        loot, and a method of the solution then returns the loot: an attack that came to nothing has
                        full marks, one that won shows in its record.
    forge(name, real)   an untouched stub, each function and class of which is replaced by what `forge` returns
    reply(nonce)        the solution, until `runs` is called; from then on these bytes answer every question
    answer()            the same, with a node of the wire's, the sizes of its buffers, and the body
    by_library(text)    the solution, of which `runs` is replaced by this
    nothing of these    nothing: the file is the submission

`@CANARY@`, `@COURSE@` and `@OUT@` stand for paths that the runner knows.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from toyclass import COURSE, SOLUTION, STUB, edited

CORPUS = Path(__file__).parent / "corpus"
LAYERS = ("namespaces", "landlock", "seccomp", "rlimits")
KINDS = ("attack", "forge", "reply", "answer", "by_library")

AROUND = {
    "attack": """

# ---------------------------------------------------------------- the frame of an attack
_fate = []


def fate():
    import traceback

    if not _fate:
        try:
            loot = attack()
            _fate.append(("won", repr(loot)[:300]) if loot else ("nothing", ""))
        except BaseException as error:
            lines = [step.lineno for step in traceback.extract_tb(error.__traceback__) if step.filename == __file__]
            _fate.append((type(error).__name__, f"{getattr(error, 'errno', '')} line {lines[-1] if lines else 0}"))
    return _fate[0]


_honest = HOOK


def _hooked(*args, **kwargs):
    outcome, loot = fate()
    return f"WON {loot}" if outcome == "won" else _honest(*args, **kwargs)


HOOK = _hooked
""",
    "forge": """

# ---------------------------------------------------------------- the frame of a forgery
for _name, _value in list(globals().items()):
    if _name not in _own and _name != "_own" and getattr(_value, "__module__", None) == __name__:
        globals()[_name] = forge(_name, _value)
""",
    "reply": """

# ---------------------------------------------------------------- the frame of a reply
def framed(nonce, node, sizes=(), body=b""):
    import msgspec

    outcome = {"type": "answer", "value": node}
    header = msgspec.msgpack.encode({"nonce": nonce, "outcome": outcome, "sizes": list(sizes)})
    return len(header).to_bytes(4, "big") + len(body).to_bytes(8, "big") + header + body


def runs(*args, **kwargs):
    import os
    import sys

    import msgspec

    def read(size):
        data = b""
        while len(data) < size:
            piece = os.read(3, size - len(data))
            if not piece:
                os._exit(0)
            data += piece
        return data

    frame = sys._getframe()
    while "question" not in frame.f_locals:
        frame = frame.f_back
    nonce = frame.f_locals["question"].nonce
    while True:
        left = memoryview(reply(nonce))
        while left:
            left = left[os.write(3, left) :]
        prefix = read(12)
        nonce = msgspec.msgpack.decode(read(int.from_bytes(prefix[:4], "big")))["nonce"]
        read(int.from_bytes(prefix[4:], "big"))
""",
}
ANSWER = "\n\ndef reply(nonce):\n    return framed(nonce, *answer())\n"
FUTURE = "from __future__ import annotations\n"
HOOK = "Tape.read"  # asked by one test alone


class Entry(NamedTuple):
    """A file of the corpus, or a recipe of the intake's, and what is claimed of it."""

    name: str
    attempt: str
    security_class: int
    defence: str
    wins_without: str
    expected: str
    text: str = ""

    @property
    def kind(self) -> str:
        found = re.findall(r"^def (\w+)\(", self.text, re.MULTILINE)
        return next((kind for kind in KINDS if kind in found), "whole")

    def record_says(self, level: str) -> tuple[int, list[str]]:
        """The score, and the statuses of which one is the worst."""
        said = self.expected.split(";")
        chosen = next((other.split()[1:] for other in said[1:] if other.split()[0] == level), said[0].split())
        return int(chosen[0]), (chosen[1] if len(chosen) > 1 else "passed").split("/")

    def controls(self) -> list[tuple[str, tuple[str, ...]]]:
        """Levels, and layers without which it wins there."""
        found = []
        for part in self.wins_without.split(";"):
            if part.strip() == "the wall":
                found.append(("landlock", ()))
            elif re.fullmatch(r"[a-z+]+@(full|landlock)", part.strip()):
                layers, level = part.strip().split("@")
                found.append((level, tuple(sorted(layers.split("+")))))
        return found


def entry(path: Path) -> Entry:
    """Raises ValueError where the first line is not as it should be."""
    text = path.read_text(encoding="utf-8")
    first = text.split("\n", 1)[0]
    fields = [field.strip() for field in first.removeprefix("# ").split(" | ")]
    if not first.startswith("# ") or len(fields) != 5 or not all(fields):
        raise ValueError(f"{path}: the first line has not five fields: {first}")
    attempt, number, *others = fields
    return Entry(path.stem, attempt, int(number), *others, text)


def entries() -> list[Entry]:
    return [entry(path) for path in sorted(CORPUS.glob("*.py"))]


def submission(
    own: Entry,
    paths: dict[str, str],
    *,
    solution: str = SOLUTION,
    stub: str = STUB,
    hook: str = HOOK,
    answering: str = "runs",
) -> str:
    """What is handed in for an entry. `paths` says what the names between two @ stand for.

    An attack runs when `hook` is called, and a reply answers `answering`.
    """
    text, kind = own.text, own.kind
    if kind != "whole":
        text = early(text)
    if kind in ("attack", "reply", "answer"):
        frame = AROUND["reply" if kind == "answer" else kind].replace("HOOK", hook)
        frame = frame.replace("def runs(", f"def {answering}(")
        text += f"\n\n{solution.replace(FUTURE, '')}{ANSWER if kind == 'answer' else ''}{frame}"
    elif kind == "by_library":
        text += f"\n\n{solution.replace(FUTURE, '')}\n\nruns = by_library\n"
    elif kind == "forge":
        text += f"\n\n_own = set(globals())\n{stub.replace(FUTURE, '')}{AROUND['forge']}"
    return placed(text, paths)


def early(text: str) -> str:
    """The file with the solution's future import on its first line, a comment, so that every line keeps its number."""
    return f"{FUTURE.strip()}  {text}"


def placed(text: str, paths: dict[str, str]) -> str:
    """The text with real paths in the place of their names."""
    for name, path in paths.items():
        text = text.replace(f"@{name}@", path)
    return text


HONEST = {
    "all right": (SOLUTION, 100),
    "not begun": (STUB, 0),
    "one mistake": (edited(("return found", "return found[:-1]")), 40),
}
__all__ = [
    "CORPUS",
    "COURSE",
    "FUTURE",
    "HONEST",
    "LAYERS",
    "Entry",
    "early",
    "entries",
    "entry",
    "placed",
    "submission",
]
