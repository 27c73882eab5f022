"""clipped_objective, ppo_clip_loss and grpo_loss: how far a step towards the reward may go, and whose tokens count."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, draws, part, raises
from autograder.suites.rlhf.strategies import ALL_DTYPES, bools, garbage, log_ratios, real_tokens, token_tensors

PPO, GRPO = "ppo_clip_loss", "grpo_loss"
ONE = torch.tensor(1.0, dtype=torch.float64)  # tolerances below: 1 / n of a count n is float32 in torch, and honest


def objective(logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, eps: float = 0.2) -> Tensor:
    """By the four cases: what is clipped is a constant."""
    ratio = torch.where(mask, logp - old_logp, torch.zeros_like(logp)).exp()
    ratio = torch.where((advantages > 0) & (ratio > 1 + eps), torch.full_like(ratio, 1 + eps), ratio)
    ratio = torch.where((advantages < 0) & (ratio < 1 - eps), torch.full_like(ratio, 1 - eps), ratio)
    return torch.where(mask, ratio * advantages, torch.zeros_like(ratio))


def ppo(logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, eps: float = 0.2) -> Tensor:
    return -objective(logp, old_logp, advantages, mask, eps).sum() / mask.sum().clamp(min=1)


@st.composite
def steps(draw: st.DrawFn, min_real: int = 1, min_t: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(logp, old_logp, advantages (B, T), mask), advantages of both signs and none of them 0."""
    logp, old_logp, mask = draw(log_ratios(min_real, min_t))
    advantages = draw(draws.tensors(tuple(logp.shape), dtype=torch.float64))
    return logp, old_logp, torch.where(advantages == 0, torch.full_like(advantages, -2.0), advantages), mask


@part(PPO, points=1)
@given(steps(), st.sampled_from([0.05, 0.2, 0.35]))
def test_what_the_advantage_favours_is_clipped(rlhf, case, eps):
    """clipped_objective is min(w A, clip(w, 1 - eps, 1 + eps) A) for each token, and 0 where the mask is False."""
    checks.close(rlhf.clipped_objective(*case, eps=eps), objective(*case, eps), rtol=1e-6, atol=1e-6)


@part(PPO, points=1)
@given(steps(min_real=0))
def test_the_loss_is_a_mean_over_all_real_tokens(rlhf, case):
    """ppo_clip_loss is minus the mean over the real tokens of the batch, padding not counted; 0 if there are none."""
    checks.close(rlhf.ppo_clip_loss(*case), ppo(*case), rtol=1e-6, atol=1e-6)


@part(PPO, points=2)
@settings(max_examples=40)
@given(steps(), st.sampled_from([0.05, 0.2, 0.35]))
def test_the_gradient_stops_only_where_clipping_bites(rlhf, case, eps):
    """The gradient is 0 where w has left the interval towards what A favours, and w A elsewhere, also on the far side
    of the other end."""
    logp, *others = case
    result, grads = rlhf.vjp(rlhf.ppo_clip_loss, logp, *others, cotangent=ONE, wrt=[0], eps=eps)
    leaf = logp.clone().requires_grad_()
    expected = ppo(leaf, *others, eps)
    checks.close(result, expected.detach(), rtol=1e-6, atol=1e-6)
    checks.close(grads, list(torch.autograd.grad(expected, leaf)), rtol=1e-6, atol=1e-6)


@part(PPO, points=1)
@settings(max_examples=30)
@given(token_tensors(2, dtype=ALL_DTYPES))
def test_before_the_first_update_it_is_the_policy_gradient(rlhf, case):
    """With logp = old_logp the loss is minus the mean advantage, and its gradient -A / (number of real tokens)."""
    (logp, advantages), mask = case
    checks.agrees(
        rlhf.ppo_clip_loss(logp, logp, advantages, mask),
        lambda a: -torch.where(mask, a, 0.0).sum().to(a.dtype) / mask.sum(),
        advantages,
    )
    wide = (logp.double(), logp.double(), advantages.double(), mask)
    _, grads = rlhf.vjp(rlhf.ppo_clip_loss, *wide, cotangent=ONE, wrt=[0])
    checks.close(grads, [-torch.where(mask, wide[2], 0.0) / mask.sum()], rtol=1e-6, atol=1e-6)


@part(PPO, points=1)
@settings(max_examples=30)
@given(steps(min_t=2), st.sampled_from([1e4, -1e4]), st.data())
def test_padding_changes_neither_loss_nor_gradient(rlhf, case, far, data):
    """Log-probabilities and advantages in the padding, however large, leave the loss and its gradient as they are."""
    logp, old_logp, advantages, mask = case
    filled = [torch.where(mask, logp, far), torch.where(mask, old_logp, -far)]
    filled.append(torch.where(mask, advantages, data.draw(garbage(advantages))))
    result, grads = rlhf.vjp(rlhf.ppo_clip_loss, *filled, mask, cotangent=ONE, wrt=[0])
    leaf = logp.clone().requires_grad_()
    expected = ppo(leaf, old_logp, advantages, mask)
    checks.close(result, expected.detach(), rtol=1e-6, atol=1e-6)
    checks.close(grads, list(torch.autograd.grad(expected, leaf)), rtol=1e-6, atol=1e-6)


# --- GRPO


@st.composite
def group_steps(draw: st.DrawFn, min_real: int = 1, min_t: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(logp, old_logp, advantages (B,), mask), no advantage 0."""
    logp, old_logp, mask = draw(log_ratios(min_real, min_t))
    advantages = draw(draws.tensors((len(logp),), dtype=torch.float64))
    return logp, old_logp, torch.where(advantages == 0, torch.full_like(advantages, 2.0), advantages), mask


def grpo(
    logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, *, eps: float = 0.2, beta: float = 0.0,
    ref_logp: Tensor | None = None, loss_agg: str = "sequence", constant: float | None = None,
) -> Tensor:  # fmt: skip
    each = objective(logp, old_logp, advantages[:, None].expand_as(logp), mask, eps)
    if ref_logp is not None:
        d = torch.where(mask, ref_logp - logp, torch.zeros_like(logp))
        each = each - beta * (torch.expm1(d) - d)
    if loss_agg == "token":
        return -each.sum() / mask.sum().clamp(min=1)
    if loss_agg == "constant":
        return -each.sum() / (len(mask) * (mask.shape[1] if constant is None else constant))
    return -(each.sum(1) / mask.sum(1).clamp(min=1)).mean()


def right(rlhf: Any, case: tuple[Tensor, ...], **options: Any) -> None:
    """The loss and its gradient with respect to logp are those of the oracle."""
    result, grads = rlhf.vjp(rlhf.grpo_loss, *case, cotangent=ONE, wrt=[0], **options)
    leaf = case[0].clone().requires_grad_()
    expected = grpo(leaf, *case[1:], **options)
    checks.close(result, expected.detach(), rtol=1e-6, atol=1e-6)
    checks.close(grads, list(torch.autograd.grad(expected, leaf)), rtol=1e-6, atol=1e-6)


@part(GRPO, points=1)
@given(group_steps())
def test_sequences_weigh_the_same_by_default(rlhf, case):
    """By default, or with "sequence", the loss is the mean over tokens of each sequence, and then over sequences."""
    checks.close(rlhf.grpo_loss(*case), grpo(*case), rtol=1e-6, atol=1e-6)
    checks.close(rlhf.grpo_loss(*case, loss_agg="sequence"), grpo(*case), rtol=1e-6, atol=1e-6)
    # Rows of one and of three tokens, whatever was drawn.
    old = torch.full((2, 3), -1.0, dtype=torch.float64)
    mask = torch.tensor([[True, False, False], [True, True, True]])
    uneven = (old + 0.1, old, torch.tensor([2.0, -1.0], dtype=torch.float64), mask)
    checks.close(rlhf.grpo_loss(*uneven), grpo(*uneven), rtol=1e-6, atol=1e-6)


@part(GRPO, points=1)
@settings(max_examples=40)
@given(group_steps(min_real=0))
def test_tokens_weigh_the_same_if_asked(rlhf, case):
    """With "token" it is the mean over all real tokens; 0 where there are none."""
    right(rlhf, case, loss_agg="token")


@part(GRPO, points=1)
@settings(max_examples=40)
@given(group_steps(min_real=0, min_t=2), st.sampled_from([1.0, 7.0, 100.0]))
def test_a_constant_divides_if_asked(rlhf, case, constant):
    """With "constant" the sum over real tokens is divided by B times the constant, by default by B times T."""
    right(rlhf, case, loss_agg="constant", constant=constant)
    right(rlhf, case, loss_agg="constant")


@part(GRPO, points=1)
@settings(max_examples=40)
@given(
    group_steps(), st.sampled_from([0.01, 0.5, 2.0]), st.sampled_from(["sequence", "token", "constant"]), draws.seeds()
)
def test_the_divergence_from_the_reference_is_charged(rlhf, case, beta, loss_agg, seed):
    """Each real token pays beta * k3 of policy and reference, aggregated as the rest, and its gradient is k3's."""
    noise = torch.randn(case[0].shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    right(rlhf, case, beta=beta, ref_logp=case[0] + noise, loss_agg=loss_agg)


@part(GRPO, points=1)
@settings(max_examples=30)
@given(group_steps(), st.sampled_from([0.05, 0.2, 0.35]))
def test_all_tokens_of_a_text_share_its_advantage(rlhf, case, eps):
    """Token t of sequence b has the advantage of b, and is clipped by its own ratio; so its gradient says."""
    right(rlhf, case, eps=eps)


@part(GRPO, points=1)
@settings(max_examples=30)
@given(
    group_steps(min_t=2), st.sampled_from(["sequence", "token", "constant"]), st.sampled_from([1e4, -1e4]), st.data()
)
def test_padding_changes_nothing_in_any_aggregate(rlhf, case, loss_agg, far, data):
    """However large the numbers in the padding are, loss and gradient stay, with a reference or without."""
    logp, old_logp, advantages, mask = case
    noise = data.draw(draws.tensors(tuple(logp.shape), dtype=torch.float64))
    clean = {"beta": 0.5, "ref_logp": logp + noise, "loss_agg": loss_agg}
    filled = [torch.where(mask, x, fill) for x, fill in ((logp, far), (old_logp, -far), (clean["ref_logp"], -far))]
    result, grads = rlhf.vjp(
        rlhf.grpo_loss, filled[0], filled[1], advantages, mask, cotangent=ONE, wrt=[0],
        beta=0.5, ref_logp=filled[2], loss_agg=loss_agg,
    )  # fmt: skip
    leaf = logp.clone().requires_grad_()
    expected = grpo(leaf, old_logp, advantages, mask, **clean)
    checks.close(result, expected.detach(), rtol=1e-6, atol=1e-6)
    checks.close(grads, list(torch.autograd.grad(expected, leaf)), rtol=1e-6, atol=1e-6)


@part(GRPO, points=1)
@settings(max_examples=30)
@given(st.data(), group_steps(min_real=0), st.sampled_from([0.01, 0.5]))
def test_a_sequence_without_tokens_counts_as_zero(rlhf, data, case, beta):
    """It is one of the B sequences and adds 0, not NaN; other values of loss_agg, or beta without ref_logp, raise."""
    logp, old_logp, advantages, mask = case
    mask = mask & data.draw(st.one_of(real_tokens(*mask.shape), bools(tuple(mask.shape))))
    mask[-1] = False
    right(rlhf, (logp, old_logp, advantages, mask))
    with raises("ValueError"):
        rlhf.grpo_loss(logp, old_logp, advantages, mask, loss_agg="mean")
    with raises("ValueError"):
        rlhf.grpo_loss(logp, old_logp, advantages, mask, beta=beta)
