"""sentinel_ids and span_corrupt: what stands where a span was cut out, and what stands before it in the targets."""

from __future__ import annotations

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograder.judge import Given, checks, draws, part, raises
from autograder.suites.t5.strategies import EOS, SENTINELS, corrupted, runs, texts, texts_and_masks

NAME = "span_corrupt"


@part(NAME, points=1)
@settings(max_examples=4)
@given(st.permutations(range(4)), st.integers(0, 2))
def test_sentinels_are_looked_up_in_the_vocabulary(t5, order, first):
    """sentinel_ids gives the ids of <extra_id_0>, <extra_id_1>, ... of a trained tokenizer, wherever they are, and no
    others.
    """
    specials = [f"<extra_id_{i}>" for i in order]
    specials.insert(first, "[MASK]")
    tokenizer = t5.make(Given("tokenizer.Tokenizer.train"), ["a small text to learn from"] * 3, 300, specials)
    expected = [4 + specials.index(f"<extra_id_{i}>") for i in range(4)]
    checks.equal(list(t5.sentinel_ids(tokenizer)), expected)


@part(NAME, points=2)
@given(texts_and_masks())
def test_each_run_becomes_its_sentinel(t5, case):
    """Run i of the noise leaves sentinel i in the inputs, once, and stands after sentinel i in the targets."""
    tokens, mask = case
    checks.equal(t5.span_corrupt(tokens, mask, SENTINELS), corrupted(tokens, mask, SENTINELS))


@part(NAME, points=1)
@settings(max_examples=40)
@given(texts_and_masks(min_length=2), st.sampled_from([(True, True), (True, False), (False, False), (False, True)]))
def test_runs_may_begin_and_end_anywhere(t5, case, ends):
    """It works for any mask: those that begin with noise, and those that end without, keep both sides in step."""
    tokens, mask = case
    mask = mask.clone()
    mask[0], mask[-1] = ends
    checks.equal(t5.span_corrupt(tokens, mask, SENTINELS), corrupted(tokens, mask, SENTINELS))


@part(NAME, points=1)
@settings(max_examples=40)
@given(texts_and_masks(), st.sampled_from([None, EOS]))
def test_a_final_sentinel_closes_the_targets(t5, case, eos_id):
    """With final_sentinel the targets end in the next unused sentinel, before EOS; the inputs are as they are without
    it.
    """
    tokens, mask = case
    expected = corrupted(tokens, mask, SENTINELS, eos_id, True)
    checks.equal(t5.span_corrupt(tokens, mask, SENTINELS, eos_id=eos_id, final_sentinel=True), expected)


@part(NAME, points=1)
@given(texts_and_masks(), st.integers(0, 3), st.booleans())
def test_eos_ends_both_sides(t5, case, eos_id, final):
    """With eos_id both sides end in it, once, also where it is 0 or where the text holds it already."""
    tokens, mask = case
    expected = corrupted(tokens, mask, SENTINELS, eos_id, final)
    checks.equal(t5.span_corrupt(tokens, mask, SENTINELS, eos_id=eos_id, final_sentinel=final), expected)


@part(NAME, points=1)
@settings(max_examples=40)
@given(texts_and_masks())
def test_no_token_is_lost(t5, case):
    """Leave the sentinels out, and the two sides hold every token of the text exactly once, token 0 too; no argument is
    edited.
    """
    tokens, mask = case
    (inputs, targets), after, _ = t5.echo(t5.span_corrupt, tokens, mask, SENTINELS)
    for side, kept in ((inputs, ~mask), (targets, mask)):
        checks.tensor(side, shape=(int(kept.sum()) + len(runs(mask.tolist())),), dtype=torch.int64)
        checks.equal([t for t in side.tolist() if t not in SENTINELS], tokens[kept].tolist())
    checks.equal(after[:2], [tokens, mask])


@part(NAME, points=1)
@settings(max_examples=20)
@given(texts(), st.booleans(), st.sampled_from([None, EOS]))
def test_all_noise_and_no_noise(t5, tokens, noise, eos_id):
    """A mask without noise leaves the text as it is and targets with nothing in them; all noise makes inputs of one
    sentinel.
    """
    mask = torch.full(tokens.shape, noise)
    for final in (False, True):
        expected = corrupted(tokens, mask, SENTINELS, eos_id, final)
        checks.equal(t5.span_corrupt(tokens, mask, SENTINELS, eos_id=eos_id, final_sentinel=final), expected)
    if not noise:
        end = [] if eos_id is None else [eos_id]
        expected = (torch.cat((tokens, torch.tensor(end, dtype=torch.int64))), torch.tensor(end, dtype=torch.int64))
        checks.equal(t5.span_corrupt(tokens, mask, [], eos_id=eos_id), expected)


@part(NAME, points=1)
@settings(max_examples=25)
@given(texts_and_masks(), st.permutations(SENTINELS), draws.seeds())
def test_sentinels_come_in_the_order_in_which_they_are_given(t5, case, sentinels, seed):
    """sentinel_ids may be any ids in any order: the first run takes the first of them, whatever their values."""
    tokens, mask = case
    checks.equal(t5.span_corrupt(tokens, mask, sentinels), corrupted(tokens, mask, sentinels))
    scattered = [80 + 3 * i for i in sentinels]
    checks.equal(t5.span_corrupt(tokens, mask, tuple(scattered)), corrupted(tokens, mask, scattered))


@part(NAME, points=1)
@settings(max_examples=20)
@given(texts_and_masks(), st.data())
def test_what_could_not_be_undone_raises(t5, case, data):
    """Too few sentinels for the runs, counting the final one, and a text that holds a sentinel:
    each is a ValueError.
    """
    tokens, mask = case
    n_runs = len(runs(mask.tolist()))
    assume(n_runs)
    with raises("ValueError"):
        t5.span_corrupt(tokens, mask, SENTINELS[: n_runs - 1])
    with raises("ValueError"):
        t5.span_corrupt(tokens, mask, SENTINELS[:n_runs], final_sentinel=True)
    checks.equal(t5.span_corrupt(tokens, mask, SENTINELS[:n_runs]), corrupted(tokens, mask, SENTINELS))
    place = data.draw(st.integers(0, len(tokens) - 1))
    spoiled = tokens.clone()
    spoiled[place] = data.draw(st.sampled_from(SENTINELS))
    with raises("ValueError"):
        t5.span_corrupt(spoiled, mask, SENTINELS)
