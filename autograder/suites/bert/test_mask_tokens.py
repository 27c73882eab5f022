"""mask_tokens: which tokens are selected, what becomes of them, what the labels say.

The statistical tests draw two large samples each and check each by itself. Their size is fixed, so that what they catch
with probability 1 - 1e-9 is known. In the million tokens of `test_eighty_ten_ten`: a share of selected tokens of 0.155
instead of 0.15, of [MASK] among them of 0.814 instead of 0.8, of random ones of 0.111 instead of 0.1. In the 65,536 of
the others: a share that is off by 0.027 where it is asked for, a token that is drawn by 0.021 too often. In the 30,000
rows of four: two neighbours or two rows that are selected together with probability 0.107 instead of 0.09.
"""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import TorchSeed, checks, draws, part
from autograder.suites.bert.strategies import maskable

NAME = "mask_tokens"
V = 9
PROBABILITIES = st.sampled_from([0.15, 0.5, 1.0])


def sample(bert, input_ids, special, seed, vocab_size, mask_id=4, **options):
    """One call on a large input; shapes and dtypes are checked."""
    inputs, labels = bert.mask_tokens(
        input_ids, mask_id=mask_id, vocab_size=vocab_size, special_mask=special, generator=TorchSeed(seed), **options
    )
    checks.tensor(inputs, shape=input_ids.shape, dtype=torch.int64)
    checks.tensor(labels, shape=input_ids.shape, dtype=torch.int64)
    return inputs, labels


@part(NAME, points=2)
@given(maskable(V), draws.seeds(), PROBABILITIES)
def test_labels_hold_the_original_of_what_was_selected(bert, case, seed, mlm_prob):
    """Labels are the original token or -100, and where a label is -100 the input is as it was."""
    input_ids, special = case
    inputs, labels = sample(bert, input_ids, special, seed, V, mlm_prob=mlm_prob, random_frac=0.2)
    chosen = labels != -100
    checks.holds(bool((labels == input_ids)[chosen].all()), "a label is the original token or -100", labels, input_ids)
    checks.equal(torch.where(chosen, input_ids, inputs), input_ids)
    checks.holds(bool(((inputs >= 0) & (inputs < V)).all()), "every input is a token of the vocabulary", inputs)
    if mlm_prob == 1:  # who selects nothing keeps to the rest
        checks.equal(chosen, ~special)


@part(NAME, points=1)
@settings(max_examples=20)
@given(maskable(V), draws.seeds())
def test_the_input_is_left_alone(bert, case, seed):
    """Neither the ids nor the special mask that are given are changed by masking, whatever becomes of the tokens."""
    input_ids, special = case
    options = {"mask_id": 4, "vocab_size": V, "mlm_prob": 1.0, "generator": TorchSeed(seed)}
    (inputs, labels), args, named = bert.echo(bert.mask_tokens, input_ids, special_mask=special, **options)
    checks.equal(labels, input_ids.masked_fill(special, -100))  # who does nothing changes nothing
    checks.equal(torch.where(special, inputs, input_ids), input_ids)
    checks.equal((args[0], named["special_mask"]), (input_ids, special))


@part(NAME, points=2)
@given(maskable(V), draws.seeds(), st.sampled_from([0.15, 1.0]))
def test_special_tokens_are_never_selected(bert, case, seed, mlm_prob):
    """Where `special_mask` is True the input stays and the label is -100, even with mlm_prob = 1."""
    input_ids, special = case
    inputs, labels = sample(bert, input_ids, special, seed, V, mlm_prob=mlm_prob, mask_frac=0.5, random_frac=0.5)
    checks.equal(torch.where(special, inputs, input_ids), input_ids)
    checks.equal(torch.where(special, labels, -100), torch.full_like(labels, -100))
    if mlm_prob == 1:
        checks.equal(torch.where(special, input_ids, labels), input_ids)


@part(NAME, points=1)
@given(maskable(V), draws.seeds())
def test_probabilities_of_zero_and_one(bert, case, seed):
    """mlm_prob = 0 selects nothing; mlm_prob = 1 selects every token that is not special."""
    input_ids, special = case
    inputs, labels = sample(bert, input_ids, special, seed, V, mlm_prob=0.0)
    checks.equal((inputs, labels), (input_ids, torch.full_like(input_ids, -100)))
    _, labels = sample(bert, input_ids, special, seed, V, mlm_prob=1.0)
    checks.equal(labels, input_ids.masked_fill(special, -100))


@part(NAME, points=2)
@given(maskable(V), draws.seeds(), st.integers(0, V - 1))
def test_all_masks_or_none(bert, case, seed, mask_id):
    """mask_frac = 1 turns every selected token into `mask_id`; with both shares 0 every one stays as it is."""
    input_ids, special = case
    options = {"seed": seed, "vocab_size": V, "mask_id": mask_id, "mlm_prob": 1.0, "random_frac": 0.0}
    inputs, labels = sample(bert, input_ids, special, mask_frac=1.0, **options)
    checks.equal(inputs, input_ids.masked_fill(~special, mask_id))
    checks.equal(labels, input_ids.masked_fill(special, -100))
    inputs, labels = sample(bert, input_ids, special, mask_frac=0.0, **options)
    checks.equal((inputs, labels), (input_ids, input_ids.masked_fill(special, -100)))
    certain = {"vocab_size": V, "mask_id": mask_id, "mlm_prob": 1.0, "mask_frac": 1.0, "random_frac": 0.0}
    returned = bert.mask_tokens(input_ids, special_mask=special, **certain)  # no generator: torch's own
    checks.equal(returned, (input_ids.masked_fill(~special, mask_id), input_ids.masked_fill(special, -100)))


@part(NAME, points=3)
@settings(max_examples=2)
@given(draws.seeds())
def test_eighty_ten_ten(bert, seed):
    """15 % of the tokens that are not special are selected; 80 % of them become [MASK], 10 % random, 10 % stay."""
    vocab_size, mask_id = 1000, 4
    input_ids = torch.randint(5, vocab_size, (1024, 1024), generator=torch.Generator().manual_seed(seed + 1))
    special = torch.zeros_like(input_ids, dtype=torch.bool)
    special[:, :42] = True  # 4 %: a share of all tokens instead of those that may be selected would be noticed
    inputs, labels = sample(bert, input_ids, special, seed, vocab_size, mask_id)
    chosen = labels != -100
    checks.proportion(int(chosen.sum()), int((~special).sum()), 0.15, "the share of selected tokens")
    masked, kept = (inputs == mask_id) & chosen, (inputs == input_ids) & chosen
    counts = [int(masked.sum()), int((chosen & ~masked & ~kept).sum()), int(kept.sum())]
    hit = 0.1 / vocab_size  # a random token may be [MASK] or the original
    what = "the counts of selected tokens that became [MASK], became another token, stayed"
    checks.frequencies(counts, [0.8 + hit, 0.1 - 2 * hit, 0.1 + hit], what)


@part(NAME, points=2)
@settings(max_examples=2)
@given(draws.seeds())
def test_other_shares_than_eighty_ten_ten(bert, seed):
    """The shares are those of `mlm_prob`, `mask_frac` and `random_frac`, whatever they are."""
    vocab_size, mask_id = 1000, 4
    input_ids = torch.randint(5, vocab_size, (256, 256), generator=torch.Generator().manual_seed(seed + 1))
    special = torch.zeros_like(input_ids, dtype=torch.bool)
    for mlm_prob, mask_frac, random_frac in ((0.4, 0.5, 0.3), (0.6, 0.2, 0.8), (1.0, 0.0, 0.6)):
        options = {"mlm_prob": mlm_prob, "mask_frac": mask_frac, "random_frac": random_frac}
        inputs, labels = sample(bert, input_ids, special, seed, vocab_size, mask_id, **options)
        chosen = labels != -100
        checks.proportion(int(chosen.sum()), chosen.numel(), mlm_prob, "the share of selected tokens")
        masked, kept = (inputs == mask_id) & chosen, (inputs == input_ids) & chosen
        counts = [int(masked.sum()), int((chosen & ~masked & ~kept).sum()), int(kept.sum())]
        hit = random_frac / vocab_size
        wanted = [mask_frac + hit, random_frac - 2 * hit, 1 - mask_frac - random_frac + hit]
        what = "the counts of selected tokens that became [MASK], became another token, stayed"
        checks.frequencies(counts, [max(p, 0.0) for p in wanted], what)


@part(NAME, points=2)
@settings(max_examples=2)
@given(draws.seeds())
def test_random_tokens_are_uniform_over_the_vocabulary(bert, seed):
    """A random token is any of the vocabulary, each as likely as the others: first, last, special and original too."""
    vocab_size = 6
    input_ids = torch.full((256, 256), 2)
    special = torch.zeros_like(input_ids, dtype=torch.bool)
    inputs, _ = sample(bert, input_ids, special, seed, vocab_size, mlm_prob=1.0, mask_frac=0.0, random_frac=1.0)
    counts = torch.bincount(inputs.flatten(), minlength=vocab_size).tolist()
    checks.frequencies(counts, [1 / vocab_size] * vocab_size, f"the counts of random tokens 0 to {vocab_size - 1}")


@part(NAME, points=2)
@settings(max_examples=2)
@given(draws.seeds())
def test_tokens_are_selected_independently(bert, seed):
    """Whether a token is selected does not depend on its neighbours, on the other rows, or on how many are selected."""
    p = 0.3
    input_ids = torch.full((30_000, 4), 7)
    special = torch.zeros_like(input_ids, dtype=torch.bool)
    inputs, labels = sample(bert, input_ids, special, seed, V, mlm_prob=p, mask_frac=0.5)
    chosen = labels != -100
    patterns = (chosen.long() * torch.tensor([1, 2, 4, 8])).sum(dim=1)  # which of the four, as a number
    counts = torch.bincount(patterns, minlength=16).tolist()
    wanted = [p ** n.bit_count() * (1 - p) ** (4 - n.bit_count()) for n in range(16)]
    checks.frequencies(counts, wanted, "the counts of the 16 ways to select among four tokens")
    pairs = chosen[::2] & chosen[1::2]
    checks.proportion(int(pairs.sum()), pairs.numel(), p * p, "the share of places selected in two rows at once")
    masked, both = inputs == 4, chosen[:, ::2] & chosen[:, 1::2]
    twice = (masked[:, ::2] & masked[:, 1::2])[both]
    hit = 0.5 + 0.1 / V
    checks.proportion(int(twice.sum()), len(twice), hit * hit, "the share of selected pairs that both become [MASK]")


@part(NAME, points=1)
@settings(max_examples=10)
@given(draws.seeds())
def test_the_generator_decides_everything(bert, seed):
    """The same state of the generator gives the same result, and a call moves it on: the next one gives another."""
    input_ids = torch.arange(5, 69).reshape(4, 16)
    options = {"mask_id": 4, "vocab_size": 100, "special_mask": torch.zeros(4, 16, dtype=torch.bool), "mlm_prob": 0.5}
    first = bert.mask_tokens(input_ids, generator=TorchSeed(seed), **options)
    again = bert.mask_tokens(input_ids, generator=TorchSeed(seed), **options)
    checks.equal(again, first)
    kept = bert.keep(TorchSeed(seed))
    several = [bert.mask_tokens(input_ids, generator=kept, **options) for _ in range(3)]
    checks.equal(several[0], first)
    checks.holds(
        not torch.equal(several[1][1], several[2][1]) or not torch.equal(several[0][1], several[1][1]),
        "three calls with one generator select different tokens", several[1][1], None,
    )  # fmt: skip
    other = bert.mask_tokens(input_ids, generator=TorchSeed(seed + 1), **options)
    checks.holds(not torch.equal(other[1], first[1]), "another seed selects other tokens", other[1])
