"""to_text and from_text: tasks as texts, and back."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part, raises

NAME = "text_to_text"
PHRASES = st.lists(
    st.sampled_from(["the", "cat", "sat", "on", "2 mats.", "premise:", "translate", "Ä"]), min_size=1, max_size=5
).map(" ".join)
COLA = ("unacceptable", "acceptable")
MNLI = ("entailment", "neutral", "contradiction")
TASKS = ("translation", "summarization", "cola", "mnli", "stsb")


@st.composite
def examples(draw: st.DrawFn, tasks: tuple[str, ...] = TASKS) -> tuple[str, dict[str, Any], tuple[str, str], Any]:
    """(task, example, its two texts, what the target says)."""
    task = draw(st.sampled_from(tasks))
    a, b = draw(PHRASES), draw(PHRASES)
    if task == "translation":
        one, two = draw(st.permutations(["English", "German", "French"]))[:2]
        example: dict[str, Any] = {"from": one, "to": two, "text": a, "translation": b}
        return task, example, (f"translate {one} to {two}: {a}", b), b
    if task == "summarization":
        return task, {"text": a, "summary": b}, (f"summarize: {a}", b), b
    if task == "cola":
        label = draw(st.integers(0, 1))
        return task, {"sentence": a, "label": label}, (f"cola sentence: {a}", COLA[label]), label
    if task == "mnli":
        label = draw(st.integers(0, 2))
        source = f"mnli hypothesis: {a} premise: {b}"
        return task, {"premise": b, "hypothesis": a, "label": label}, (source, MNLI[label]), label
    score = draw(st.one_of(st.sampled_from([3.3, 2.5, 1.25, 5.0, 0.0]), st.integers(0, 500).map(lambda x: x / 100)))
    target = round(score * 5) / 5
    example = {"sentence1": a, "sentence2": b, "score": score}
    return task, example, (f"stsb sentence1: {a} sentence2: {b}", f"{target:.1f}"), float(f"{target:.1f}")


@part(NAME, points=2)
@given(st.tuples(*(examples((task,)) for task in TASKS)))
def test_examples_become_two_texts(t5, cases):
    """Each task has its prefix and its fields in the order of the T5 paper; labels are words,
    scores multiples of 0.2.
    """
    for task, example, expected, _ in cases:
        checks.equal(t5.to_text(task, example), expected)


@part(NAME, points=1)
@given(examples(), st.sampled_from(["", " ", "\n"]))
def test_targets_are_read_back(t5, case, around):
    """from_text reads each target back: the text, the number of the label, the score; white space around it does not
    count.
    """
    task, _, (_, target), said = case
    checks.equal(t5.from_text(task, around + target + around), said)


@part(NAME, points=1)
@settings(max_examples=20)
@given(examples(("cola", "mnli", "stsb")))
def test_anything_else_is_no_answer(t5, case):
    """A word with others around it, in capitals or of another task, and a number that is no score, give None, not a
    guess.
    """
    task, _, (_, target), _ = case
    strange = ["", f"{target} {target}", f"it is {target}", "maybe", "0", "1", "-1", target[:-1]]
    if task == "stsb":
        strange += ["acceptable", "5.2", "3.85", "-0.2", "nan", "inf", "1e0", "9.0", ".2", "³.2", "+1.0"]
    else:
        strange += [
            target.upper(),
            target.capitalize(),
            "neutral" if task == "cola" else "acceptable",
            "3.8",
            f"{target}.",
        ]
    for text in strange:
        checks.equal(t5.from_text(task, text), None)
    checks.holds(t5.from_text(task, target) is not None, "the target itself is an answer")


@part(NAME, points=1)
@settings(max_examples=20)
@given(examples(), st.sampled_from(["", "Cola", "translate", "sst2", "summarize"]))
def test_an_unknown_task_raises(t5, case, task):
    """A task that is not in the table is a ValueError in both directions; one that is there is not."""
    known, example, texts, said = case
    target = texts[1]
    checks.equal(t5.to_text(known, example), texts)
    checks.equal(t5.from_text(known, target), said)
    with raises("ValueError"):
        t5.to_text(task, example)
    with raises("ValueError"):
        t5.from_text(task, target)
