"""Nobody is paid for a constant, for the input, or for nothings of the right shape: a relation between a submission's
own answers holds of those too, so no test may rest on such a relation alone.
"""

from __future__ import annotations

import pytest

from autograder.course import Assignment, open_course
from autograder.judge import grading
from autograder.judge.session import LocalConnection
from autograder.stubs import stub

# Each of them, or one of its kind, once had points.
CONSTANTS = (
    "None", "0.0", "[]", "([], [])", "{}", "(torch.zeros(1), torch.zeros(1))", "torch.full((1,), math.nan)",
    "args[0] if args else None",
)  # fmt: skip
FRAME = """
import math as math
import torch as torch

for _name, _value in list(globals().items()):
    if callable(_value) and getattr(_value, "__module__", None) == __name__ and not _name.startswith("_"):
        globals()[_name] = lambda *args, **kwargs: {constant}
"""
# The reference with every number and letter of its answers taken away: shapes, dtypes and lengths stay.
NOTHINGS = """

def _nothing(value):
    if isinstance(value, torch.nn.Module) or type(value).__module__ == __name__:
        return value
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_nothing, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(_nothing, value))
    if isinstance(value, dict):
        return {key: _nothing(item) for key, item in value.items()}
    if isinstance(value, (bool, int, float, str, bytes)):
        return type(value)()
    return map(_nothing, value) if isinstance(value, types.GeneratorType) else value


def _lazy(real):
    @functools.wraps(real)
    def lazy(*args, **kwargs):
        try:
            return _nothing(real(*args, **kwargs))
        except Exception:
            return None

    return lazy


import functools, types
import torch as torch

for _name, _value in list(globals().items()):
    if getattr(_value, "__module__", None) != __name__ or _name.startswith("_"):
        continue
    if isinstance(_value, type):
        for _method, _real in list(vars(_value).items()):
            if isinstance(_real, types.FunctionType) and (_method == "__call__" or _method[0] != "_"):
                setattr(_value, _method, _lazy(_real))
    elif callable(_value):
        globals()[_name] = _lazy(_value)
"""
# What the reference does beside answering is its work all the same: an optimizer's step, a file, objects of its own.
EARNED_BY_DEEDS = {
    "bpe": {"test_the_file_is_json"},
    "gpt": {
        "test_matches_torch_over_several_steps", "test_the_first_step_moves_by_the_learning_rate",
        "test_decay_does_not_pass_through_the_moments", "test_a_parameter_without_gradient_is_left_alone",
        "test_groups_have_their_own_options", "test_options_are_read_at_each_step", "test_the_state_can_be_saved",
    },
    "t5": {"test_anything_else_is_no_answer"},
    "bert": {
        "test_one_example_for_each_sentence_with_a_next_one", "test_label_zero_is_the_next_sentence",
        "test_label_one_is_a_sentence_of_another_document", "test_half_of_the_pairs_are_random",
        "test_first_a_document_is_drawn_then_a_sentence", "test_the_same_state_gives_the_same_pairs",
        "test_the_model_sees_the_text_between_cls_and_sep",
    },
    "posttraining": {
        "test_calls_are_found_from_left_to_right", "test_spans_cut_the_calls_out", "test_parentheses_are_balanced",
        "test_everything_else_is_text", "test_long_texts_take_no_longer_than_they_must",
    },
}  # fmt: skip


@pytest.mark.parametrize("assignment", open_course().assignments, ids=lambda own: own.name)
def test_nothings_of_the_right_shape_earn_no_point(assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading._Grader, "_reference_survives", lambda self, test: True)
    source = assignment.solution.read_text(encoding="utf-8") + NOTHINGS
    plan = grading.Plan(assignment, source.encode(), lambda limits: LocalConnection(), seed=b"nothings", shrink=False)
    earned = {test.test for test in grading.grade(plan) if test.earned}
    assert earned == EARNED_BY_DEEDS.get(assignment.name, set())


@pytest.mark.full
@pytest.mark.parametrize("assignment", open_course().assignments, ids=lambda own: own.name)
def test_no_constant_earns_a_point(assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only asked of a test that failed, and it takes longer than all the rest.
    monkeypatch.setattr(grading._Grader, "_reference_survives", lambda self, test: True)
    untouched = stub(assignment.solution.read_text(encoding="utf-8"))
    earned = {}
    for constant in CONSTANTS:
        source = untouched + FRAME.format(constant=constant)
        plan = grading.Plan(
            assignment, source.encode(), lambda limits: LocalConnection(), seed=b"constants", shrink=False
        )
        earned |= {f"{constant}: {test.test}": test.earned for test in grading.grade(plan) if test.earned}
    assert earned == {}
