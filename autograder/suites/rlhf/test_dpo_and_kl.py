"""dpo_loss, kl_estimates and token_rewards: staying near a reference while learning to prefer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, draws, part
from autograder.suites.rlhf.strategies import ALL_DTYPES, garbage, normal, token_tensors

DPO, KL, TOKENS = "dpo_loss", "kl_estimates", "token_rewards"
BETAS = st.sampled_from([0.1, 0.5, 1.0, 2.0])


@st.composite
def four(draw: st.DrawFn, dtype=torch.float64) -> tuple[Tensor, ...]:
    """Log-probabilities of chosen and rejected texts under policy and reference, each (B,)."""
    b, kind = draw(draws.lengths(1, 4)), draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    return tuple(draw(draws.tensors((b,), dtype=kind)) for _ in range(4))


def dpo(pi_c: Tensor, pi_r: Tensor, ref_c: Tensor, ref_r: Tensor, beta: float = 0.1, smoothing: float = 0.0):
    d = beta * ((pi_c - pi_r) - (ref_c - ref_r))
    losses = (1 - smoothing) * F.softplus(-d) + smoothing * F.softplus(d)
    return losses, beta * (pi_c - ref_c), beta * (pi_r - ref_r)


@part(DPO, points=2)
@given(four(dtype=ALL_DTYPES), BETAS)
def test_losses_and_implied_rewards(rlhf, logps, beta):
    """Each pair has its loss, -ln sigmoid(beta * difference of log-ratios), and its two rewards, beta * (pi - ref)."""
    checks.agrees(rlhf.dpo_loss(*logps, beta=beta), lambda *x: dpo(*x, beta=beta), *logps)


@part(DPO, points=1)
@settings(max_examples=30)
@given(four(), BETAS)
def test_a_policy_that_equals_the_reference_loses_ln_2(rlhf, logps, beta):
    """Where policy and reference agree, losses are ln 2; chosen and rejected swapped turn the sign of d."""
    pi_c, pi_r, ref_c, ref_r = logps
    losses, *rewards = rlhf.dpo_loss(pi_c, pi_r, pi_c, pi_r, beta=beta)
    checks.close(losses, torch.full_like(pi_c, math.log(2)), rtol=1e-9)
    checks.close(rewards, [torch.zeros_like(pi_c)] * 2, atol=1e-12)
    swapped = rlhf.dpo_loss(pi_r, pi_c, ref_r, ref_c, beta)
    checks.close(swapped, dpo(pi_r, pi_c, ref_r, ref_c, beta), rtol=1e-9, atol=1e-12)


@part(DPO, points=1)
@settings(max_examples=30)
@given(four(), BETAS, st.sampled_from([0.1, 0.25, 0.5]))
def test_smoothing_expects_flipped_labels(rlhf, logps, beta, smoothing):
    """With label_smoothing e the loss is (1 - e) times that of the label and e times that of the opposite one."""
    returned = rlhf.dpo_loss(*logps, beta=beta, label_smoothing=smoothing)
    checks.close(returned, dpo(*logps, beta, smoothing), rtol=1e-9, atol=1e-12)


@part(DPO, points=1)
@settings(max_examples=30)
@given(four(), BETAS, st.data())
def test_the_gradient_is_that_of_the_losses(rlhf, logps, beta, data):
    """Losses pull the policy's chosen text up and its rejected one down, by beta times the chance of being wrong."""
    cotangent = data.draw(draws.tensors((len(logps[0]),), dtype=torch.float64))
    _, grads = rlhf.vjp(rlhf.dpo_loss, *logps, cotangent=[cotangent, None, None], wrt=[0, 1], beta=beta)
    pi_c, pi_r, ref_c, ref_r = logps
    pull = -beta * torch.sigmoid(-beta * (pi_c - pi_r - ref_c + ref_r)) * cotangent
    checks.close(grads, [pull, -pull], rtol=1e-9, atol=1e-12)


@part(DPO, points=1)
@settings(max_examples=30)
@given(four(), st.sampled_from([1e3, 1e4, 1e5]))
def test_texts_of_any_length_stay_finite(rlhf, logps, size):
    """Log-probabilities of long texts, tens of thousands of nats apart, overflow nothing; beta is 0.1 by default."""
    logps = tuple(-x.abs() * size for x in logps)
    checks.close(rlhf.dpo_loss(*logps), dpo(*logps), rtol=1e-9, atol=1e-12)


# --- estimates of the divergence


@part(KL, points=1)
@given(token_tensors(2, dtype=ALL_DTYPES))
def test_three_estimates_of_each_token(rlhf, case):
    """With d = ref_logp - logp: k1 = -d, k2 = d^2 / 2, k3 = e^d - d - 1, each of the shape of the input."""
    (logp, ref_logp), _ = case
    checks.agrees(
        rlhf.kl_estimates(logp, ref_logp), lambda p, q: (p - q, (q - p) ** 2 / 2, torch.expm1(q - p) - (q - p)),
        logp, ref_logp,
    )  # fmt: skip


@part(KL, points=1)
@settings(max_examples=30)
@given(st.integers(2, 5), draws.seeds())
def test_k1_and_k3_have_the_divergence_as_their_mean(rlhf, vocab_size, seed):
    """Averaged over the tokens that the policy emits, k1 and k3 are KL(policy || reference), computed exactly."""
    logp, ref_logp = (normal((vocab_size,), seed + i).log_softmax(0) for i in range(2))
    divergence = (logp.exp() * (logp - ref_logp)).sum()
    k1, _, k3 = rlhf.kl_estimates(logp, ref_logp)
    for k in (k1, k3):
        checks.tensor(k, shape=(vocab_size,), dtype=torch.float64)
        checks.close((logp.exp() * k).sum(), divergence, rtol=1e-9, atol=1e-12)


@part(KL, points=1)
@settings(max_examples=30)
@given(token_tensors(2), st.sampled_from([1e-4, 1e-5, 1e-6]))
def test_k3_keeps_its_digits_near_zero(rlhf, case, size):
    """Where policy and reference nearly agree, k3 is d^2 / 2 to many digits, and never negative."""
    (logp, direction), _ = case
    ref_logp = logp + size * (direction.sign() + 0.5)
    d = ref_logp - logp
    k3 = rlhf.kl_estimates(logp, ref_logp)[2]
    checks.close(k3, d**2 / 2 + d**3 / 6 + d**4 / 24, rtol=1e-5)


@part(KL, points=1)
@settings(max_examples=30)
@given(token_tensors(2), st.data())
def test_gradients_of_the_estimates(rlhf, case, data):
    """With respect to logp the gradients are 1, -d and 1 - e^d."""
    (logp, ref_logp), _ = case
    cotangent = data.draw(draws.tensors(tuple(logp.shape), dtype=torch.float64))
    d = ref_logp - logp
    for place, slope in enumerate((torch.ones_like(d), -d, 1 - d.exp())):
        cotangents = [cotangent if i == place else None for i in range(3)]
        _, grads = rlhf.vjp(rlhf.kl_estimates, logp, ref_logp, cotangent=cotangents, wrt=[0])
        checks.close(grads, [cotangent * slope], rtol=1e-9, atol=1e-12)


# --- rewards of tokens


def rewards_by_loops(scores: Tensor, logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    out = torch.where(mask, -beta * (logp - ref_logp), 0.0)
    for row, real in enumerate(mask.tolist()):
        last = max(t for t, here in enumerate(real) if here)
        out[row, last] = out[row, last] + scores[row]
    return out


@part(TOKENS, points=2)
@given(token_tensors(2, dtype=ALL_DTYPES), st.sampled_from([0.0, 0.1, 1.0]), st.data())
def test_tokens_pay_for_leaving_the_reference(rlhf, case, beta, data):
    """Each real token gets -beta * (logp - ref_logp), the last real one the score besides, and padding 0."""
    (logp, ref_logp), mask = case
    scores = data.draw(draws.tensors((len(mask),), dtype=logp.dtype))
    checks.agrees(
        rlhf.token_rewards(scores, logp, ref_logp, mask, beta),
        lambda s, p, q: rewards_by_loops(s, p, q, mask, beta),
        scores, logp, ref_logp,
    )  # fmt: skip


@part(TOKENS, points=1)
@settings(max_examples=30)
@given(token_tensors(2), st.data())
def test_the_whole_response_is_paid_once(rlhf, case, data):
    """Whatever stands in the padding, the rewards of a row sum to its score less beta times its log-ratio."""
    (logp, ref_logp), mask = case
    scores = data.draw(draws.tensors((len(mask),), dtype=torch.float64))
    filled = [torch.where(mask, x, data.draw(garbage(x))) for x in (logp, ref_logp)]
    returned = rlhf.token_rewards(scores, *filled, mask, 0.5)
    checks.close(returned, rewards_by_loops(scores, logp, ref_logp, mask, 0.5), rtol=1e-9, atol=1e-12)
