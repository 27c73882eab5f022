"""reconstruct: the inverse of span_corrupt, and what no text gives."""

from __future__ import annotations

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part, raises
from autograder.suites.t5.strategies import EOS, SENTINELS, corrupted, corruptions, runs, texts_and_masks

NAME = "reconstruct"


@part(NAME, points=2)
@given(corruptions())
def test_it_gives_the_text_back(t5, case):
    """From inputs and targets it makes the text that they were made from, for any mask, EOS on both sides or none."""
    tokens, inputs, targets, eos_id = case
    checks.equal(t5.reconstruct(inputs, targets, SENTINELS, eos_id=eos_id), tokens)


@part(NAME, points=1)
@settings(max_examples=30)
@given(texts_and_masks(), st.sampled_from([None, EOS]))
def test_a_final_sentinel_is_no_token(t5, case, eos_id):
    """Targets with a final sentinel give the same text as targets without one."""
    tokens, mask = case
    for final in (True, False):
        inputs, targets = corrupted(tokens, mask, SENTINELS, eos_id, final)
        checks.equal(t5.reconstruct(inputs, targets, SENTINELS, eos_id=eos_id), tokens)


@part(NAME, points=1)
@settings(max_examples=40)
@given(texts_and_masks(), st.data())
def test_only_the_last_eos_is_taken_off(t5, case, data):
    """An EOS that stands within the text, or last in it, belongs to the text; so does a token 0."""
    tokens, mask = case
    tokens = tokens.clone()
    place = data.draw(st.integers(0, len(tokens) - 1))
    tokens[place] = EOS
    tokens[-1] = data.draw(st.sampled_from([EOS, 0]))
    inputs, targets = corrupted(tokens, mask, SENTINELS, EOS)
    checks.equal(t5.reconstruct(inputs, targets, SENTINELS, eos_id=EOS), tokens)


@part(NAME, points=1)
@settings(max_examples=25)
@given(texts_and_masks(), st.permutations(SENTINELS))
def test_sentinels_may_be_any_ids(t5, case, sentinels):
    """Sentinels are recognised by sentinel_ids, in whatever order their ids are."""
    tokens, mask = case
    inputs, targets = corrupted(tokens, mask, sentinels)
    checks.equal(t5.reconstruct(inputs, targets, tuple(sentinels)), tokens)


@part(NAME, points=1)
@given(texts_and_masks(min_length=4), st.data())
def test_what_no_text_gives_raises(t5, case, data):
    """Sentinels in another order, missing or repeated on either side, tokens before the first of the targets, no EOS:
    each is a ValueError, and what a text gave is not.
    """
    tokens, mask = case
    n_runs = len(runs(mask.tolist()))
    assume(n_runs >= 2)
    inputs, targets = corrupted(tokens, mask, SENTINELS)
    checks.equal(t5.reconstruct(inputs, targets, SENTINELS), tokens)
    swapped = {SENTINELS[0]: SENTINELS[1], SENTINELS[1]: SENTINELS[0]}
    other = torch.tensor([swapped.get(t, t) for t in targets.tolist()])
    reordered = torch.tensor([swapped.get(t, t) for t in inputs.tolist()])
    repeated = torch.tensor([SENTINELS[0] if t == SENTINELS[1] else t for t in targets.tolist()])
    longer = torch.cat((targets, torch.tensor([SENTINELS[n_runs], 5])))
    wrong = {
        "the targets' sentinels in another order": (inputs, other),
        "the sentinels of both sides in another order": (reordered, other),
        "a sentinel twice": (inputs, repeated),
        "a sentinel of the inputs missing": (inputs[inputs != SENTINELS[n_runs - 1]], longer),
        "a sentinel of the targets missing": (inputs, targets[targets != SENTINELS[n_runs - 1]]),
        "one span more": (inputs, longer),
        "tokens before the first sentinel": (inputs, torch.cat((torch.tensor([5]), targets))),
    }
    name = data.draw(st.sampled_from(sorted(wrong)))
    with raises("ValueError"):
        t5.reconstruct(*wrong[name], SENTINELS)
    ended = torch.cat((inputs, torch.tensor([EOS])))
    assume(int(targets[-1]) != EOS)
    with raises("ValueError"):
        t5.reconstruct(ended, targets, SENTINELS, eos_id=EOS)
