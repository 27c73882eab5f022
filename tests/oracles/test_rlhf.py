"""The reference of `rlhf` against computations that were written by others: Hugging Face's models, scipy, and torch's
own losses and optimiser.

No library that is installed here has reward losses, GAE or PPO, so those meet what defines them: maximum likelihood by
scipy's optimiser, integrals by scipy's quadrature, linear filters by scipy's signal processing, exact enumeration.
"""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from autograder.course import open_course
from autograder.judge.suite import load

scipy = pytest.importorskip("scipy")
transformers = pytest.importorskip("transformers")

from scipy import integrate, optimize, signal, special, stats  # noqa: E402


@pytest.fixture(scope="module")
def rlhf() -> ModuleType:
    return load(open_course().assignment("rlhf").solution)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Body(torch.nn.Module):
    """Hugging Face's GPT-2 as a backbone."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids, attention_mask=attention_mask.long()).last_hidden_state


def test_scores_are_those_of_a_sequence_classifier(rlhf: ModuleType) -> None:
    """GPT2ForSequenceClassification with one label is a reward model, for padding on the right."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=30, n_positions=16, n_embd=16, n_head=2, n_layer=2, num_labels=1, pad_token_id=0,
        bos_token_id=None, eos_token_id=None, initializer_range=0.3,
    )  # fmt: skip
    theirs = transformers.GPT2ForSequenceClassification(config).double().eval()
    ours = rlhf.RewardModel(Body(theirs.transformer), 16).double().eval()
    ours.head.weight.data = theirs.score.weight.data
    ids = torch.randint(1, 30, (4, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(9) < torch.tensor([9, 4, 1, 7])[:, None]
    ids = ids.masked_fill(~mask, 0)
    with torch.no_grad():
        expected = theirs(ids, attention_mask=mask.long()).logits[:, 0]
        torch.testing.assert_close(ours(ids, mask), expected, rtol=1e-9, atol=1e-9)


def test_sequence_logprobs_are_the_loss_of_a_language_model(rlhf: ModuleType) -> None:
    """Hugging Face's loss with labels -100 on the prompt is minus the mean of ours over the response."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=20, n_positions=12, n_embd=16, n_head=2, n_layer=1, initializer_range=0.3, pad_token_id=0,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).double().eval()
    ids = torch.randint(20, (1, 10), generator=torch.Generator().manual_seed(2))
    response = torch.arange(10)[None] >= 4
    with torch.no_grad():
        out = model(ids, labels=ids.masked_fill(~response, -100))
        total = rlhf.sequence_logprobs(out.logits, ids, response)
    torch.testing.assert_close(-total[0] / 6, out.loss.double(), rtol=1e-5, atol=1e-6)  # theirs is float32


def test_the_minimum_of_the_ranking_loss_is_maximum_likelihood(rlhf: ModuleType) -> None:
    """Scores of five players, fitted by scipy to the games that they won, make the gradient of ours vanish."""
    strength = np.array([0.0, 0.5, 1.0, -0.7, 0.2])
    rng = np.random.default_rng(0)
    games = [(i, j) for i in range(5) for j in range(5) if i != j for _ in range(40)]
    wins = [(i, j) if rng.random() < special.expit(strength[i] - strength[j]) else (j, i) for i, j in games]
    winners, losers = np.array(wins).T

    def nll(r: np.ndarray) -> float:
        r = np.append(0.0, r)
        return -float(np.mean(special.log_expit(r[winners] - r[losers])))

    fitted = np.append(0.0, optimize.minimize(nll, np.zeros(4), tol=1e-12).x)
    r = torch.tensor(fitted, requires_grad=True)
    loss = rlhf.bradley_terry_loss(r[torch.tensor(winners)], r[torch.tensor(losers)])
    assert float(loss) == pytest.approx(nll(fitted[1:]), rel=1e-9)
    assert float(torch.autograd.grad(loss, r)[0].abs().max()) < 1e-5


def test_margins_and_smoothing_are_those_of_binary_cross_entropy(rlhf: ModuleType) -> None:
    a, b, c, d = normal(4, 7)
    difference = 0.3 * ((a - c) - (b - d))
    expected = F.binary_cross_entropy_with_logits(difference, torch.full_like(difference, 0.8), reduction="none")
    torch.testing.assert_close(rlhf.dpo_loss(a, b, c, d, beta=0.3, label_smoothing=0.2)[0], expected)
    torch.testing.assert_close(
        rlhf.bradley_terry_loss(a, b, d.abs()),
        F.binary_cross_entropy_with_logits(a - b - d.abs(), torch.ones(7).double()),
    )


def test_dpo_at_its_optimum_is_the_tilted_reference(rlhf: ModuleType) -> None:
    """With a policy ref * exp(r / beta) / Z the implied rewards differ as r does: section 4 of Rafailov et al. 2023."""
    ref, r, beta = normal(6, seed=1).log_softmax(0), normal(6, seed=2), 0.7
    pi = (ref + r / beta).log_softmax(0)
    chosen, rejected = torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])
    _, better, worse = rlhf.dpo_loss(pi[chosen], pi[rejected], ref[chosen], ref[rejected], beta=beta)
    torch.testing.assert_close(better - worse, r[chosen] - r[rejected])


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_divergence_of_the_best_of_n_by_quadrature(rlhf: ModuleType, n: int) -> None:
    """KL of the law of the largest of n uniforms from the uniform law; scores of any continuous law map to it."""
    beta = stats.beta(n, 1)
    expected, _ = integrate.quad(lambda u: beta.pdf(u) * beta.logpdf(u) if u > 0 else 0.0, 0, 1)
    assert rlhf.best_of_n_kl(n) == pytest.approx(expected, abs=1e-8)


def test_ties_make_the_divergence_smaller(rlhf: ModuleType) -> None:
    """For discrete scores ln n - (n - 1) / n is an upper bound (Beirami et al. 2024)."""
    p = np.array([0.5, 0.3, 0.2])
    for n in (2, 4, 9):
        below = np.append(0, np.cumsum(p)) ** n
        q = np.diff(below)
        assert float(np.sum(q * np.log(q / p))) < rlhf.best_of_n_kl(n)


def test_expected_best_of_n_against_the_law_of_order_statistics(rlhf: ModuleType) -> None:
    """Of quantiles of a uniform law, many and evenly spaced, the best of n is n / (n + 1) on average."""
    rewards = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    for n in (1, 3, 50, 1000):
        assert float(rlhf.expected_best_of_n(rewards, n)) == pytest.approx(n / (n + 1), abs=1e-4)


def test_gae_is_a_linear_filter(rlhf: ModuleType) -> None:
    """The advantages are the surprises through a one-pole filter, run backwards: scipy.signal.lfilter."""
    rewards, values = normal(2, 40, seed=3)
    after = np.append(values[1:].numpy(), 0.0)
    delta = rewards.numpy() + 0.97 * after - values.numpy()
    expected = signal.lfilter([1.0], [1.0, -0.97 * 0.9], delta[::-1])[::-1].copy()
    advantages, _ = rlhf.gae(rewards[None], values[None], torch.ones(1, 40, dtype=torch.bool), 0.97, 0.9)
    np.testing.assert_allclose(advantages[0].numpy(), expected, rtol=1e-9)


def test_whitening_and_group_advantages_are_z_scores(rlhf: ModuleType) -> None:
    x = normal(4, 6, seed=4)
    expected = torch.from_numpy(stats.zscore(x.numpy(), axis=None, ddof=1))
    torch.testing.assert_close(rlhf.whiten(x, torch.ones(4, 6, dtype=torch.bool), eps=0.0), expected)
    expected = torch.from_numpy(stats.zscore(x.numpy(), axis=1, ddof=1)).flatten()
    torch.testing.assert_close(rlhf.group_advantages(x.flatten(), 6, eps=0.0), expected)


def test_policy_gradients_are_those_of_the_expected_reward(rlhf: ModuleType) -> None:
    """Over all outcomes, weighted by their probability, minus the PPO loss has the gradient of the mean reward."""
    logits, reward = normal(5, seed=5).requires_grad_(), normal(5, seed=6)
    exact = torch.autograd.grad((logits.softmax(0) * reward).sum(), logits)[0]
    logp = logits.log_softmax(0)
    weights = logp.detach().exp()
    total = sum(
        weights[i] * -rlhf.ppo_clip_loss(
            logp[i].view(1, 1), logp[i].detach().view(1, 1), reward[i].view(1, 1), torch.ones(1, 1, dtype=torch.bool)
        )
        for i in range(5)
    )  # fmt: skip
    torch.testing.assert_close(torch.autograd.grad(total, logits)[0], exact)


def test_k3_as_a_loss_has_the_gradient_of_the_other_divergence(rlhf: ModuleType) -> None:
    """Differentiated at fixed samples of the policy, the mean of k3 pulls as KL(reference || policy) does."""
    logits, ref = normal(5, seed=7).requires_grad_(), normal(5, seed=8).log_softmax(0)
    logp = logits.log_softmax(0)
    k3 = rlhf.kl_estimates(logp, ref)[2]
    as_loss = torch.autograd.grad((logp.detach().exp() * k3).sum(), logits, retain_graph=True)[0]
    forward = torch.autograd.grad((ref.exp() * (ref - logp)).sum(), logits)[0]
    torch.testing.assert_close(as_loss, forward)


def test_calibration_of_a_calibrated_law_vanishes(rlhf: ModuleType) -> None:
    """Outcomes that come true with the probability that was promised leave an error of the order of the noise."""
    p = torch.rand(200_000, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    y = torch.rand(200_000, generator=torch.Generator().manual_seed(10), dtype=torch.float64) < p
    assert rlhf.expected_calibration_error(p, y) < 0.006  # ten bins of 20,000: 0.4 / sqrt(20,000) = 0.003 each
    assert rlhf.expected_calibration_error(p * 0 + 0.3, y) == pytest.approx(abs(0.3 - float(y.double().mean())))
    assert math.isclose(rlhf.pairwise_accuracy(p, p), 0.5)
