"""RewardModel: one number for a text, wherever its padding is."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.rlhf.strategies import build, reward_models, scores

NAME = "RewardModel"


@part(NAME, points=2)
@settings(max_examples=40)
@given(reward_models())
def test_the_head_reads_the_last_real_token(rlhf, case):
    """The score is `head` of the hidden state of the last real token, with padding on the right, left or between."""
    embed, head, input_ids, mask = case
    checks.close(build(rlhf, embed, head)(input_ids, mask), scores(*case), rtol=1e-9, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=30)
@given(reward_models(), st.data())
def test_more_padding_changes_nothing(rlhf, case, data):
    """Columns of padding on either side, and other ids where there is padding, leave every score as it is."""
    embed, head, input_ids, mask = case
    b, vocab_size = len(input_ids), len(embed)
    left, right = (data.draw(draws.token_ids((b, data.draw(st.integers(0, 3))), vocab_size)) for _ in range(2))
    other = torch.where(mask, input_ids, data.draw(draws.token_ids(tuple(input_ids.shape), vocab_size)))
    padded = torch.cat((left, other, right), dim=1)
    empty = [torch.zeros_like(side, dtype=torch.bool) for side in (left, right)]
    returned = build(rlhf, embed, head)(padded, torch.cat((empty[0], mask, empty[1]), dim=1))
    checks.close(returned, scores(*case), rtol=1e-9, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=30)
@given(reward_models(min_t=2), st.data())
def test_a_real_token_with_the_id_of_the_padding_counts(rlhf, case, data):
    """Where padding and the end of a text have the same id, the end is real because the mask says so."""
    embed, head, input_ids, _ = case
    b, t = input_ids.shape
    lengths = torch.tensor(data.draw(st.lists(st.integers(1, t), min_size=b, max_size=b)))
    mask = torch.arange(t) < lengths[:, None]
    if data.draw(st.booleans()):
        mask = mask.flip(1)
    last = torch.arange(t) == torch.where(mask, torch.arange(t), -1).amax(1, keepdim=True)
    input_ids = input_ids.masked_fill(~mask | last, 0)  # 0 ends a text, and pads it
    input_ids[:, 0] = torch.where(mask[:, 0] & ~last[:, 0], 0, input_ids[:, 0])  # and may stand at its beginning
    checks.close(build(rlhf, embed, head)(input_ids, mask), scores(embed, head, input_ids, mask), rtol=1e-9, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=30)
@given(reward_models(min_b=2))
def test_texts_of_a_batch_do_not_meet(rlhf, case):
    """Each text gets alone the score that it gets in a batch."""
    embed, head, input_ids, mask = case
    model = build(rlhf, embed, head)
    together = model(input_ids, mask)
    checks.close(together, scores(*case), rtol=1e-9, atol=1e-9)
    alone = [model(input_ids[i : i + 1], mask[i : i + 1]) for i in range(len(input_ids))]
    checks.close(torch.cat(alone), together, rtol=1e-9, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=30)
@given(reward_models(), st.data())
def test_gradients_reach_head_and_backbone(rlhf, case, data):
    """The gradients of the scores with respect to the head and to the backbone's weights are right."""
    embed, head, input_ids, mask = case
    cotangent = data.draw(draws.tensors((len(input_ids),), dtype=torch.float64))
    names = ["head.weight", "backbone.embed.weight"]
    result, grads = rlhf.vjp(build(rlhf, embed, head), input_ids, mask, cotangent=cotangent, wrt=names)
    leaves = [head.clone().requires_grad_(), embed.clone().requires_grad_()]
    expected = scores(leaves[1], leaves[0], input_ids, mask)
    checks.close(result, expected.detach(), rtol=1e-9, atol=1e-9)
    checks.close(grads, list(torch.autograd.grad(expected, leaves, cotangent)), rtol=1e-9, atol=1e-9)
