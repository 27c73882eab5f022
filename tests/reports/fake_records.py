"""Records of a class that never was: what the report's tests are made of."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from autograder.outcome import TestOutcome, TraceEntry
from autograder.records import PartResult, Record

SOURCE = '''"""Causal attention."""

import math

import torch


def softmax(x, dim):
    """exp(x) / sum(exp(x)) along dim."""
    weights = torch.exp(x)
    return weights / weights.sum(dim)


def causal_mask(
    q_len,
    k_len=None,
):
    k_len = q_len if k_len is None else k_len
    return torch.ones(q_len, k_len, dtype=torch.bool).tril()


def scaled_dot_product_attention(q, k, v, mask=None, scale=None):
    d_k = q.shape[-1]
    scores = q @ k.mT / d_k
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)

    return softmax(scores, -1) @ v


def split_heads(x, n_heads):
    raise NotImplementedError
'''
PARTS = {
    "attention": (
        ("softmax", "A softmax that does not overflow", 8),
        ("causal_mask", "The causal mask", 8),
        ("scaled_dot_product_attention", "Scaled dot-product attention", 22),
        ("heads", "Splitting and merging heads", 12),
        ("CausalSelfAttention", "Causal multi-head self-attention", 30),
        ("apply_rope", "Rotary positions", 20),
    ),
    "bpe": (
        ("pretokenize", "Cutting text into pretokens", 18),
        ("count_pairs", "Counting pairs", 18),
        ("train_bpe", "Training", 40),
        ("encode", "Encoding", 24),
    ),
}
HINTS = {
    "scaled_dot_product_attention": (
        "Scores are divided by d_k, not by its square root.",
        "Keys that are masked keep some weight.",
    ),
    "causal_mask": ("The mask is aligned at the top left: with more keys than queries the last query misses some.",),
    "train_bpe": (
        "Ties between pairs go to the smallest pair of byte strings.",
        "Merges are counted across pretokens.",
    ),
}


INPUTS = ("[[1.0, 0.0]]", "[[1.0, 0.0], [0.0, 1.0]]", "[[1.0, -1.0], [0.0, 2.0]]")
ARGUMENTS = ", ".join(f"torch.tensor({x})" for x in INPUTS)


def failed(part: str, **changes: Any) -> TestOutcome:
    """A failed test with everything that one can have."""
    values: dict[str, Any] = {
        "test": f"test_{part}_is_right",
        "part": part,
        "points": 4,
        "kind": "value-checked",
        "status": "failed",
        "sentence": "Attention is softmax(q k^T / sqrt(d_k)) v, whatever the shapes are.",
        "reason": "has wrong values",
        "calls": [f"scaled_dot_product_attention({', '.join(f'tensor({x}, float32)' for x in INPUTS)})"],
        "returned": "tensor([[0.62246, 0.13262]], float32)",
        "expected": "tensor([[0.66976, -0.0092899]], float32)",
        "hint": "Scores are divided by d_k, not by its square root.",
        "hint_evidence": "Returns exactly this on 6 of 6 inputs.",
        "snippet": f"import torch\nimport attention\n\nprint(attention.scaled_dot_product_attention({ARGUMENTS}))\n",
        "replay": "autograder replay grades/records/1f.json test_it",
        "examples": 31,
        "seconds": 0.4,
    }
    return TestOutcome(**(values | changes))


def passed(part: str, **changes: Any) -> TestOutcome:
    values: dict[str, Any] = {
        "test": f"test_{part}_keeps_its_shape",
        "part": part,
        "points": 4,
        "kind": "value-checked",
        "status": "passed",
        "sentence": "The shape and dtype of the result are those of the input.",
        "earned": 4,
        "examples": 50,
        "seconds": 0.2,
    }
    return TestOutcome(**(values | changes))


def record(
    student: str = "ada", assignment: str = "attention", tests: list[TestOutcome] | None = None, **changes: Any
) -> Record:
    """A record whose parts and score follow from its tests."""
    tests = (
        [passed(name, points=points, earned=points) for name, _, points in PARTS[assignment]]
        if tests is None
        else tests
    )
    parts = []
    for name, title, points in PARTS[assignment]:
        own = [test for test in tests if test.part == name]
        order = ["passed", "skipped", "failed", "timeout", "out_of_memory", "crashed", "error"]
        status = max((test.status for test in own), key=order.index, default="passed")
        parts.append(PartResult(name, title, points, sum(test.earned for test in own), status))
    values: dict[str, Any] = {
        "id": hashlib.sha256(repr((student, assignment, changes.get("attempt"))).encode()).hexdigest()[:32],
        "course": "llm-assignments",
        "assignment": assignment,
        "student": student,
        "attempt": 1,
        "origin": f"submissions/{student}/{assignment}.py",
        "digest": hashlib.sha256(repr(student).encode()).hexdigest(),
        "problem": "",
        "notes": (),
        "score": sum(part.earned for part in parts),
        "max_score": 100,
        "parts": tuple(parts),
        "tests": tuple(tests),
        "suite": "0f3a5c7e9b1d2468",
        "suite_parts": {},
        "key": "5be1c03a77d2",
        "level": "full",
        "isolation": "zygote",
        "device": "cpu",
        "versions": {"torch": "2.13.0", "hypothesis": "6.170.15"},
        "seconds": 7.3,
        "graded_at": "2026-03-04T09:15:00+00:00",
        "source": SOURCE,
    }
    return Record(**(values | changes))


def ungraded(student: str, reason: str, assignment: str = "attention", **changes: Any) -> Record:
    """A submission with nothing in it to grade."""
    return record(student, assignment, [], problem=reason, source="", **changes)


def klass(students: int, assignments: tuple[str, ...] = ("attention", "bpe"), seed: int = 0) -> list[Record]:
    """A class with every kind of member, drawn from `seed`: most do well, some share mistakes, some hand in nothing."""
    rng = random.Random(seed)
    records = []
    for number in range(students):
        talent = rng.betavariate(4, 1.5)
        student = f"{rng.choice(['ada', 'boris', 'chloe', 'dmitri', 'elif', 'farid', 'grace', 'hugo'])}-{number:03}"
        for assignment in assignments:
            fate = rng.random()
            if fate < 0.02:
                records.append(ungraded(student, "the folder holds no attention.py", assignment))
            elif fate < 0.025:
                records.append(
                    record(student, assignment, [], grader_error="the judge ended with signal 9 (out of memory?)")
                )
            else:
                records.append(
                    record(student, assignment, _tests(assignment, talent, rng), seconds=round(rng.gauss(8, 1.5), 3))
                )
    return records


def _tests(assignment: str, talent: float, rng: random.Random) -> list[TestOutcome]:
    tests: list[TestOutcome] = []
    for name, _, points in PARTS[assignment]:
        shares = [points // 2, points - points // 2]
        for place, share in enumerate(shares):
            test = f"test_{name}_{place}"
            if rng.random() < talent:
                tests.append(passed(name, test=test, points=share, earned=share))
            elif rng.random() < 0.5 and name in HINTS:
                tests.append(failed(name, test=test, points=share, hint=rng.choice(HINTS[name])))
            elif rng.random() < 0.4:
                trace = [TraceEntry(11, "softmax", "    return weights / weights.sum(dim)")]
                tests.append(
                    failed(
                        name,
                        test=test,
                        points=share,
                        hint="",
                        reason="raises RuntimeError",
                        returned="",
                        expected="",
                        trace=trace,
                        message="The size of tensor a (3) must match the size of tensor b (2)",
                    )
                )
            elif rng.random() < 0.2:
                tests.append(
                    failed(
                        name,
                        test=test,
                        points=share,
                        hint="",
                        status="timeout",
                        returned="",
                        expected="",
                        reason="gave no answer within 10 s",
                    )
                )
            else:
                tests.append(
                    failed(
                        name,
                        test=test,
                        points=share,
                        hint="",
                        reason="should have shape (2, 3), not (3,)",
                        returned=f"[1, {rng.randrange(9)}, 3]",
                        expected="[1, 10, 3]",
                    )
                )
    return tests


def everywhere(text: str, number: int = 0) -> list[Record]:
    """Records with `text` in every field that a submission, its author or a broken grader can fill."""
    names = [name for name, _, _ in PARTS["attention"]]
    filled: dict[str, Any] = {
        "reason": text,
        "calls": [text, f"softmax({text})"],
        "returned": text,
        "expected": f"{text}x",
        "hint": text,
        "hint_evidence": text,
        "trace": [TraceEntry(2, text, text)],
        "message": text,
        "snippet": text,
        "replay": text,
    }
    tests = [
        failed(names[0], test="a", **filled),
        failed(names[1], test="b", **(filled | {"hint": ""})),
        failed(names[2], test="c", status="error", **filled),
        failed(names[3], test="d", status="skipped", **(filled | {"calls": []})),
        failed(names[4], test="e", status="timeout", **(filled | {"returned": "", "expected": ""})),
    ]
    common = {"origin": text, "notes": (text, text), "source": f"{text}\ndef softmax(x):\n    {text}\n"}
    return [
        record(text, tests=tests, attempt=number + 1, id=f"{number}{text}"[:32], **common),
        record(f"{number}{text}", tests=[], problem=text or "empty", id=f"p{number}", **common),
        record(f"{number} {text}", tests=[], grader_error=text or "empty", id=f"g{number}", **common),
    ]
