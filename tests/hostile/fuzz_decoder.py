"""Mutants of replies for the wire's decoder: `python fuzz_decoder.py 1000000 SEED SECONDS` makes so many replies.

A mutant is a reply with its structure changed: nodes replaced by other nodes, tags, dtypes, shapes, buffers, sizes and
numbers by what a decoder may stumble on, parts repeated, swapped and left out, bodies cut and filled. Byte noise would
test MessagePack alone. Mutants that reach a branch of the decoder that no earlier one reached are kept, and mutated on.

Whatever a mutant is, the decoder returns values no larger than what was sent, or raises `WireError`; it raises nothing
else, and takes no longer than a second.
"""

from __future__ import annotations

import copy
import inspect
import random
import sys
import time
import types
from typing import Any

import msgspec
import numpy
import torch

from autograder import wire
from autograder.wire import ARRAY_DTYPES, TENSOR_DTYPES, TargetNode, WireError

NONCE = b"n" * 16
NUMBERS = (-(2**63), -(2**47), -7, -1, 0, 1, 2, 3, 4, 7, 8, 255, 2**16, 2**31, 2**47, 2**61 - 1, 2**63 - 1, 2**64 - 1)
TAGS = (
    "tensor", "array", "list", "tuple", "set", "dict", "bytes", "int", "dtype", "seed", "given", "target", "module", "",
)  # fmt: skip
OUTLINE = frozenset({*TAGS, "answer", "raised", "missing", "unsendable"})
NAMES = (*TENSOR_DTYPES, *ARRAY_DTYPES, "complex64", "object", "float128", "", "nn", "x" * 5000)
TEXTS = ("", "a", "f" * 3500, "f" * 3501, "-0x10", "0x", "zz", " 1_0 ", "\0", "é", "torch", "python", "streams.Counted")
MAX_BODY = 4096
FEW = 100  # lists in a message: the real cap could only be passed by size, which takes time and tells nothing
CPU = torch.device("cpu")
SECONDS = 1.0

Mutant = tuple[Any, bytearray]  # the header as plain data, and the body


def seeds() -> list[Mutant]:
    """Honest replies, of every kind."""
    answers: list[tuple[Any, list[int], bytes]] = [
        (None, [], b""),
        (["tensor", "float32", [2, 1], 0, False], [8], bytes(8)),
        (["tensor", "bool", [2], 0, True], [2], b"\1\0"),
        (["tensor", "bfloat16", [0, 3], 0, False], [0], b""),
        (["array", "uint16", [2], 0], [4], bytes(4)),
        (["array", "bool", [3], 0], [3], b"\0\1\1"),
        (["list", [1, 2.5, True, "a", ["bytes", b"b"], ["tensor", "int64", [], 0, False]]], [8], bytes(8)),
        (["tuple", [["set", [1, "a", None]], ["dict", ["k", ["tuple", [1, 2]]], [1, ["list", []]]]]], [], b""),
        (["int", "0x" + "f" * 40], [], b""),
        (["dtype", "float32"], [], b""),
        (["target", 3, "tape.read", "Tape"], [], b""),
        (["seed", "torch", 1], [], b""),
        (["given", "streams.Counted"], [], b""),
    ]
    headers: list[Mutant] = [
        ({"nonce": NONCE, "outcome": {"type": "answer", "value": node}, "sizes": sizes}, bytearray(body))
        for node, sizes, body in answers
    ]
    for outcome in (
        {"type": "raised", "lineage": ["ValueError"], "message": "m", "trace": [[1, "f", "x"]]},
        {"type": "unsendable", "reason": "r"},
        {"type": "missing", "name": "n"},
    ):
        headers.append(({"nonce": NONCE, "outcome": outcome, "sizes": []}, bytearray()))
    return headers


def mutated(own: bytes, body: bytes, others: list[bytes], chance: random.Random) -> Mutant:
    """One more mutant: one to four changes of a reply."""
    header, body = msgspec.msgpack.decode(own), bytearray(body)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        way = chance.random()
        if way < 0.12:
            body = _other_body(body, chance)
        elif way < 0.2 and isinstance(header.get("sizes"), list):
            header["sizes"] = _other_sizes(header["sizes"], body, chance)
        else:
            _change(header, others, chance)
    return header, body


def _change(header: Any, others: list[bytes], chance: random.Random) -> None:
    places = _places(header)
    holder, key = chance.choice(places)
    for _ in range(3):
        # A wrong outline is seen by MessagePack's own decoder, which is not the one in question.
        if holder is not header and not (isinstance(holder[key], str) and holder[key] in OUTLINE):
            break
        holder, key = chance.choice(places)
    way = chance.random()
    if way < 0.45:
        holder[key] = _junk(holder[key], chance)
    elif way < 0.6:  # a node of another reply
        donor, place = chance.choice(_places(msgspec.msgpack.decode(chance.choice(others))))
        holder[key] = donor[place]
    elif way < 0.75 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif way < 0.85 and isinstance(holder, list):
        del holder[key]
    elif way < 0.9:
        holder[key] = [chance.choice(("list", "tuple", "set")), [holder[key]]]
    elif way < 0.93:
        holder[key] = ["dict", [holder[key], chance.choice(NUMBERS)], [1, 2]]
    elif way < 0.96:
        inner = holder[key]
        for _ in range(chance.choice((5, 31, 32, 33, 40))):
            inner = ["list", [inner]]
        holder[key] = inner
    elif way < 0.962:
        holder[key] = ["list", [["list", []]] * (FEW + 1)]
    elif way < 0.98:
        many = [["int", hex(k * (2**61 - 1))] for k in range(9, 9 + chance.choice((3, 64, 65, 80)))]
        holder[key] = ["set", many] if chance.random() < 0.5 else ["dict", many, [0] * len(many)]
    else:
        holder[key] = [["tensor", "uint8", [1], n, False] for n in range(chance.choice((2, 5)))]


def _places(item: Any) -> list[tuple[Any, Any]]:
    """Every part of a header that can be changed: what holds it, and where."""
    found: list[tuple[Any, Any]] = []
    left = [item]
    while left:
        holder = left.pop()
        keys = holder.keys() if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                left.append(holder[key])
    return found


def _junk(value: Any, chance: random.Random) -> Any:
    if isinstance(value, bool):
        return chance.choice((not value, 0, 1, None))
    if isinstance(value, int) and chance.random() < 0.8:
        return chance.choice((chance.choice(NUMBERS), value + 1, -value))
    if isinstance(value, str) and chance.random() < 0.9:  # a tag mostly stays one that there is
        return chance.choice(chance.choice((TAGS,) if value in TAGS else (NAMES, TEXTS)))
    if isinstance(value, list) and chance.random() < 0.3 and all(isinstance(side, int) for side in value):
        return [chance.choice(NUMBERS[:16]) for _ in range(chance.choice((0, 1, 2, 3, 12, 13)))]
    return chance.choice((None, True, 1.5, float("nan"), "x", b"y", [], {}, chance.choice(NUMBERS)))


def _other_body(body: bytearray, chance: random.Random) -> bytearray:
    way = chance.random()
    if way < 0.4 and body:
        body[chance.randrange(len(body))] = chance.choice((0, 1, 2, 7, 255))
        return body
    return body + bytes(chance.choice((1, 4, 8))) if way < 0.7 and len(body) < MAX_BODY else body[: len(body) // 2]


def _other_sizes(sizes: list[Any], body: bytearray, chance: random.Random) -> list[Any]:
    if chance.random() < 0.02:
        return [0] * (wire.MAX_BUFFERS + 1)
    if chance.random() < 0.5:
        cut = chance.randint(0, len(body))
        return [cut, len(body) - cut]  # they add up
    return chance.choice(([], [len(body)], [*sizes, 0], [*sizes, chance.choice(NUMBERS)], [len(body) + 1, -1]))


# --- what the decoder does with one


def understood(header: bytes, body: bytearray) -> Any:
    """The value in a reply, as a judge reads it, but for the number of lists."""
    reply = wire.reply(header)
    device = CPU if len(header) % 2 else None  # of the question, where that has one
    decoder = wire.Decoder(reply.sizes, body, _target, device)
    decoder._containers = FEW
    return decoder.value(getattr(reply.outcome, "value", None))


def _target(node: Any) -> Any:
    if isinstance(node, TargetNode):
        return wire.Target(node.handle, node.path, node.kind)
    raise WireError("only a question may say this")


def bytes_held(value: Any) -> int:
    if isinstance(value, torch.Tensor | numpy.ndarray):
        return int(value.nbytes)
    if isinstance(value, dict):
        return sum(map(bytes_held, value.values()))
    return sum(map(bytes_held, value)) if isinstance(value, list | tuple) else 0


# --- which branches it took


class Branches:
    """The branches of the decoder that were taken: pairs of lines that ran one after the other, in one function."""

    def __init__(self) -> None:
        functions = [*vars(wire.Decoder).values(), wire._decode, wire.reply, wire._possible, wire._bounded]
        self.codes = {f.__code__ for f in functions if isinstance(f, types.FunctionType)}
        for code in list(self.codes):
            self.codes |= {c for c in code.co_consts if isinstance(c, types.CodeType)}
        self.seen: set[tuple[str, int, int]] = set()
        self._before: dict[Any, int] = {}

    def trace(self, frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code not in self.codes:
            return None
        if event == "call":
            self._before[frame] = 0
        elif event in ("line", "return"):
            line = frame.f_lineno if event == "line" else -1
            self.seen.add((frame.f_code.co_qualname, self._before.get(frame, 0), line))
            self._before[frame] = line
            if event == "return":
                self._before.pop(frame, None)
        return self.trace

    def missed(self) -> list[str]:
        """Lines after a branch that never ran, and conditions that only ever went one way."""
        lines = {line for _, _, line in self.seen} | {line for _, line, _ in self.seen}
        found = []
        for code in self.codes:
            own = {line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno}
            source, first = inspect.getsourcelines(code)
            for line in sorted(own):
                text = source[line - first].strip() if 0 <= line - first < len(source) else ""
                if line not in lines:
                    found.append(f"{code.co_qualname}: line {line} never ran: {text}")
                elif text.startswith(("if ", "elif ", "for ")):
                    ways = {after for _, before, after in self.seen if before == line}
                    if len(ways) < 2:
                        found.append(f"{code.co_qualname}: line {line} went one way: {text}")
        return found

    def total(self) -> int:
        """Branches that there are: two of each condition and loop."""
        count = 0
        for code in self.codes:
            source, first = inspect.getsourcelines(code)
            own = {line for _, _, line in code.co_lines() if line is not None}
            count += sum(
                2 for line in own if source[line - first].strip().startswith(("if ", "elif ", "for ")) if line >= first
            )
        return count


class Report(msgspec.Struct):
    """What came of a run."""

    tried: int = 0
    decoded: int = 0  # past MessagePack: the header is a reply's
    values: int = 0  # decoded to a value
    refused: int = 0  # by the decoder, after MessagePack
    corpus: int = 0
    branches: int = 0
    missed: list[str] = []
    seconds: float = 0.0


def fuzz(wanted: int, seconds: float, *, seed: int = 0, traced: int = 20_000) -> Report:
    """Mutate until `wanted` mutants got past MessagePack, or the time is over. Raises what the decoder should not have.

    The first `traced` are traced for branches; the corpus that they leave is mutated on without, which is faster.
    """
    chance, report, branches = random.Random(seed), Report(), Branches()
    kept = [(msgspec.msgpack.encode(header), bytes(body)) for header, body in seeds()]
    corpus = [header for header, _ in kept]
    began = time.monotonic()
    while report.decoded < wanted and time.monotonic() - began < seconds:
        own = mutated(*chance.choice(kept), corpus, chance)
        try:
            header = msgspec.msgpack.encode(own[0])
        except (OverflowError, RecursionError, UnicodeEncodeError):
            continue
        known, started = len(branches.seen), time.process_time()
        if report.tried < traced:
            sys.settrace(branches.trace)
        try:
            try:
                value = understood(header, bytearray(own[1]))
            finally:
                sys.settrace(None)
            report.values += 1
            report.decoded += 1
            if bytes_held(value) > len(own[1]):
                raise AssertionError(f"{own} became a value larger than itself")
        except WireError as error:
            past = not str(error).startswith("a header cannot be read")
            report.decoded += past
            report.refused += past
        if report.tried >= traced and time.process_time() - started > SECONDS:
            raise AssertionError(f"{header[:200]!r} took longer than {SECONDS} s")
        report.tried += 1
        if len(branches.seen) > known and len(header) < 4096:
            kept.append((header, bytes(own[1])))
            corpus.append(header)
    report.seconds = round(time.monotonic() - began, 1)
    report.corpus, report.branches, report.missed = len(corpus), branches.total(), branches.missed()
    return report


if __name__ == "__main__":
    defaults = ["1000000", "0", "3600"]
    wanted, seed, seconds = map(int, [*sys.argv[1:], *defaults[len(sys.argv) - 1 :]])
    found = fuzz(wanted, seconds, seed=seed)
    print(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
