"""RewardNormalizer, pairwise_accuracy and expected_calibration_error: what a reward model's scores are worth."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part, raises

NORMALIZER, CALIBRATION = "RewardNormalizer", "calibration"


@st.composite
def fitted_and_new(draw: st.DrawFn, min_n: int = 2, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """(reference rewards (n,), rewards of another shape)."""
    n, kind = draw(st.integers(min_n, 6)), draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    new = draw(draws.tensors(draws.shapes(min_dims=0, max_dims=2, max_side=3), dtype=kind))
    return draw(draws.tensors((n,), dtype=kind)), new


def deviation(rewards: torch.Tensor) -> torch.Tensor:
    """The square root of the sum of squares divided by n - 1."""
    return ((rewards - rewards.mean()).square().sum() / max(len(rewards) - 1, 1)).sqrt()


@part(NORMALIZER, points=1)
@settings(max_examples=30)
@given(fitted_and_new(dtype=draws.float_dtypes(half=True)))
def test_by_default_the_mean_is_subtracted(rlhf, case):
    """Without `scale`, the mean of the reference rewards is subtracted from any rewards, of any shape."""
    reference, new = case[0], 100 * case[1]  # far away too
    normalizer = rlhf.RewardNormalizer()
    normalizer.fit(reference)
    checks.agrees(normalizer(new), lambda reference, new: new - reference.mean(), reference, new)


@part(NORMALIZER, points=2)
@settings(max_examples=40)
@given(fitted_and_new(), st.sampled_from([1e-6, 0.5, 2.0]))
def test_scaling_divides_by_the_unbiased_deviation_plus_eps(rlhf, case, eps):
    """With `scale` rewards are divided by (std + eps), where the variance divides by n - 1."""
    reference, new = case
    reference = reference + torch.arange(len(reference))  # not all the same
    reference[0] -= 9
    normalizer = rlhf.RewardNormalizer(scale=True, eps=eps)
    normalizer.fit(reference)
    checks.close(
        normalizer(new), (new - reference.mean()) / (deviation(reference) + eps), rtol=1e-9, atol=1e-12
    )  # fmt: skip
    checks.close(normalizer.std, deviation(reference), rtol=1e-9, atol=1e-12)


@part(NORMALIZER, points=1)
@settings(max_examples=30)
@given(fitted_and_new(), fitted_and_new(), st.booleans())
def test_what_was_fitted_stays_until_the_next_fit(rlhf, case, second, scale):
    """Calling uses what `fit` saw, however often and whatever is normalised; `fit` returns the normaliser."""
    (reference, new), (other, batch) = case, second
    reference, other = torch.cat((reference, reference[:1] + 3)), torch.cat((other, other[:1] - 5))

    def expected(fitted: torch.Tensor) -> torch.Tensor:
        centred = new - fitted.mean()
        return centred / (deviation(fitted) + 1e-6) if scale else centred

    normalizer = rlhf.RewardNormalizer(scale=scale)
    returned = normalizer.fit(reference)
    checks.holds(returned is not None, "fit returns the normaliser", returned)
    normalizer(batch * 100)
    for one in (normalizer, returned):
        checks.close(one(new), expected(reference), rtol=1e-9, atol=1e-12)
    normalizer.fit(other)
    checks.close(normalizer(new), expected(other), rtol=1e-9, atol=1e-12)


@part(NORMALIZER, points=1)
@settings(max_examples=20)
@given(st.integers(-9, 9), st.integers(2, 5))
def test_constant_rewards_become_zeros(rlhf, value, n):
    """Reference rewards that are all the same, or a single one, become 0; before `fit` there is a RuntimeError."""
    for size in (1, n):
        rewards = torch.full((size,), float(value), dtype=torch.float64)
        for scale in (True, False):
            normalizer = rlhf.RewardNormalizer(scale=scale)
            with raises("RuntimeError"):
                normalizer(rewards)
            normalizer.fit(rewards)
            checks.close(normalizer(rewards), torch.zeros_like(rewards), atol=1e-9)


# --- accuracy and calibration


@part(CALIBRATION, points=1)
@settings(max_examples=40)
@given(st.data())
def test_accuracy_counts_a_tie_as_one_half(rlhf, data):
    """pairwise_accuracy is the fraction of pairs in which the chosen text scores higher, and a tie is half a hit."""
    n = data.draw(draws.lengths(1, 8))
    chosen, rejected = (
        torch.tensor(data.draw(st.lists(st.integers(-1, 1), min_size=n, max_size=n))).double() for _ in range(2)
    )
    hits = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(chosen.tolist(), rejected.tolist(), strict=True)]
    checks.close(rlhf.pairwise_accuracy(chosen, rejected), sum(hits) / n, rtol=1e-9)


@st.composite
def predictions(draw: st.DrawFn, ends: bool = False) -> tuple[list[float], list[bool], int]:
    """(probabilities off the edges of bins, outcomes, n_bins), with `ends` also exactly 0 and 1."""
    n, n_bins = draw(st.one_of(st.just(1), st.integers(6, 24))), draw(st.sampled_from([1, 2, 5, 10, 15]))
    inside = st.tuples(st.integers(0, n_bins - 1), st.integers(1, 9)).map(
        lambda pair: (pair[0] + pair[1] / 10) / n_bins
    )
    probability = st.one_of(st.sampled_from([0.0, 1.0]), inside) if ends else inside
    return (
        draw(st.lists(probability, min_size=n, max_size=n)),
        draw(st.lists(st.booleans(), min_size=n, max_size=n)),
        n_bins,
    )


def calibration_error(probs: list[float], outcomes: list[bool], n_bins: int) -> float:
    """Bin by bin."""
    bins: dict[int, list[int]] = {}
    for place, p in enumerate(probs):
        bins.setdefault(min(int(p * n_bins), n_bins - 1), []).append(place)
    gaps = (abs(sum(outcomes[i] - probs[i] for i in inside)) for inside in bins.values())
    return sum(gaps) / len(probs)


@part(CALIBRATION, points=2)
@given(predictions())
def test_bins_are_weighted_by_what_they_hold(rlhf, case):
    """The error is the mean over predictions of the gap of their bin: |mean outcome - mean probability|."""
    probs, outcomes, n_bins = case
    returned = rlhf.expected_calibration_error(
        torch.tensor(probs, dtype=torch.float64), torch.tensor(outcomes), n_bins=n_bins
    )
    checks.close(returned, calibration_error(*case), rtol=1e-7, atol=1e-12)


@part(CALIBRATION, points=1)
@settings(max_examples=40)
@given(predictions(ends=True))
def test_zero_and_one_are_in_the_first_and_the_last_bin(rlhf, case):
    """Probabilities of exactly 0 and 1 count, in the first and the last bin; outcomes may be 0 and 1 or bools."""
    probs, outcomes, n_bins = case
    returned = rlhf.expected_calibration_error(
        torch.tensor(probs, dtype=torch.float64), torch.tensor(outcomes).long(), n_bins
    )
    checks.close(returned, calibration_error(*case), rtol=1e-7, atol=1e-12)


@part(CALIBRATION, points=1)
@settings(max_examples=30)
@given(predictions(), st.randoms(use_true_random=False))
def test_ten_bins_unless_told_otherwise(rlhf, case, random):
    """Without `n_bins` there are ten; the order of the predictions does not matter, nor that they are float32."""
    probs, outcomes, _ = case
    probs = [(int(p * 10) % 10 + (0.15 if place % 2 else 0.85)) / 10 for place, p in enumerate(probs)]
    expected = calibration_error(probs, outcomes, 10)
    order = list(range(len(probs)))
    random.shuffle(order)
    returned = rlhf.expected_calibration_error(
        torch.tensor(probs, dtype=torch.float32)[order], torch.tensor(outcomes)[order]
    )
    checks.close(returned, expected, rtol=1e-4, atol=1e-6)
