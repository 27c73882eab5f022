"""mlm_loss: the mean cross-entropy of the positions that count."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, draws, part

NAME = "mlm_loss"


@st.composite
def cases(draw, dtype=None, min_t=1, min_b=1, elements="normal"):
    """(logits, labels); at least one position counts."""
    b, t, v = draw(st.integers(min_b, 3)), draw(st.integers(min_t, 5)), draw(st.integers(2, 5))
    logits = draw(draws.tensors((b, t, v), dtype=dtype, elements=elements))
    labels = torch.tensor(draw(st.lists(st.integers(-1, v - 1), min_size=b * t, max_size=b * t))).reshape(b, t)
    if bool((labels < 0).all()):
        labels[draw(st.integers(0, b - 1)), draw(st.integers(0, t - 1))] = draw(st.integers(0, v - 1))
    return logits, labels.masked_fill(labels < 0, -100)


def mean_nll(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    chosen = labels != -100
    log_probs = logits[chosen] - logits[chosen].logsumexp(-1, keepdim=True)
    return -log_probs.gather(-1, labels[chosen][:, None]).mean()


def check(returned: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
    """The loss, as exactly as a program finds it that subtracts a logit from the logsumexp of all, in their dtype."""
    unit = torch.finfo(logits.dtype).eps
    largest = float(logits[labels != -100].abs().max())
    wanted = mean_nll(logits.double(), labels).to(logits.dtype)
    checks.close(returned, wanted, rtol=8 * unit, atol=8 * unit * (1 + largest))


@part(NAME, points=1)
@given(cases())
def test_mean_cross_entropy_over_the_positions_that_count(bert, case):
    """The loss is the mean of -log softmax(logits)[label] over the positions whose label is not -100."""
    logits, labels = case
    check(bert.mlm_loss(logits, labels), logits, labels)


@part(NAME, points=1)
@given(cases(elements="extreme"))
def test_large_logits_do_not_overflow(bert, case):
    """Logits of tens of thousands give the finite loss that the definition gives: no log of a softmax that is 0."""
    logits, labels = case
    check(bert.mlm_loss(logits, labels), logits, labels)


@part(NAME, points=1)
@given(cases(dtype=torch.float64, min_b=2, min_t=2))
def test_every_position_has_the_same_weight(bert, case):
    """A row with many positions that count weighs more than a row with one: the mean is over positions, not rows."""
    logits, labels = case
    labels[0], labels[1, 1:] = 0, -100
    labels[1, 0] = 1
    check(bert.mlm_loss(logits, labels=labels), logits, labels)


@part(NAME, points=1)
@given(cases(dtype=torch.float64), st.data())
def test_other_positions_have_no_influence(bert, case, data):
    """Logits where the label is -100 change nothing, whatever they are."""
    logits, labels = case
    other = data.draw(draws.tensors(tuple(logits.shape), dtype=torch.float64, elements="extreme"))
    changed = torch.where((labels == -100)[..., None], other, logits)
    check(bert.mlm_loss(changed, labels), logits, labels)


@part(NAME, points=2)
@given(draws.tensors((2, 3, 4), dtype=draws.float_dtypes(half=True)))
def test_nothing_selected_is_a_loss_of_zero(bert, logits):
    """Where every label is -100 the loss is 0 and its gradient is 0, not NaN."""
    labels = torch.full((2, 3), -100)
    loss, grads = bert.vjp(bert.mlm_loss, logits, labels, cotangent=torch.ones((), dtype=logits.dtype), wrt=[0])
    checks.equal(loss, torch.zeros((), dtype=logits.dtype))
    checks.equal(
        torch.zeros_like(logits) if grads[0] is None else grads[0] + 0.0, torch.zeros(2, 3, 4, dtype=logits.dtype)
    )
    one = torch.tensor([[-100, -100, -100], [-100, -100, 3]])  # who always returns 0 has a loss of 0 here too
    check(bert.mlm_loss(logits, one), logits, one)


@part(NAME, points=1)
@given(cases(dtype=torch.float64))
def test_the_gradient_is_softmax_minus_one_hot(bert, case):
    """The gradient at a position that counts is (softmax(logits) - one-hot(label)) / count, and 0 at the others."""
    logits, labels = case
    _, grads = bert.vjp(bert.mlm_loss, logits, labels, cotangent=torch.ones((), dtype=torch.float64), wrt=[0])
    chosen = (labels != -100)[..., None]
    hot = F.one_hot(labels.clamp(min=0), logits.shape[-1])
    checks.close(grads[0], torch.where(chosen, (logits.softmax(-1) - hot) / chosen.sum(), 0.0), atol=1e-12)


@part(NAME, points=1)
@given(cases(dtype=st.sampled_from([torch.bfloat16, torch.float32])))
def test_the_loss_has_the_dtype_of_the_logits(bert, case):
    """Logits in bfloat16 give a loss in bfloat16, as close as that allows."""
    logits, labels = case
    check(bert.mlm_loss(logits, labels), logits, labels)
