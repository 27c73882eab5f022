"""BertEmbeddings: three rows added, then a norm, then dropout."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part, raises
from autograder.suites.bert.strategies import build_embeddings, embedding_cases, normed, summed

NAME = "BertEmbeddings"


@part(NAME, points=2)
@given(embedding_cases(min_b=2), st.data())
def test_the_sum_is_word_plus_position_plus_segment(bert, case, data):
    """`embed_sum` adds the rows of word, position and segment, whatever ids are given, and does nothing else."""
    sizes, weights, input_ids = case
    segments = data.draw(draws.token_ids(tuple(input_ids.shape), sizes["n_segments"]))
    shape = data.draw(st.sampled_from([tuple(input_ids.shape), (1, input_ids.shape[1])]))
    positions = data.draw(draws.token_ids(shape, sizes["max_len"]))
    embeddings = build_embeddings(bert, sizes, weights)
    returned = embeddings.embed_sum(input_ids, segments, positions)
    checks.agrees(returned, summed, input_ids, weights, segments, positions.expand(input_ids.shape))
    checks.agrees(embeddings.embed_sum(input_ids, segments), summed, input_ids, weights, segments)


@part(NAME, points=2)
@given(embedding_cases(min_b=2, min_t=2))
def test_positions_count_tokens_and_segments_start_at_zero(bert, case):
    """Without position and segment ids, each row counts 0, 1, ... along its tokens, and every token is of segment 0."""
    sizes, weights, input_ids = case
    embeddings = build_embeddings(bert, sizes, weights)
    checks.agrees(embeddings.embed_sum(input_ids), summed, input_ids, weights)
    zeros = torch.zeros_like(input_ids)
    checks.agrees(embeddings(input_ids=input_ids), normed, input_ids, weights, zeros)


@part(NAME, points=2)
@given(embedding_cases(), st.data())
def test_forward_is_the_norm_of_the_sum(bert, case, data):
    """`forward` returns the LayerNorm of the sum, with the weight, the bias and the eps of `norm`."""
    sizes, weights, input_ids = case
    segments = data.draw(draws.token_ids(tuple(input_ids.shape), sizes["n_segments"]))
    eps = data.draw(st.sampled_from([1e-12, 0.5]))
    embeddings = build_embeddings(bert, sizes, weights, eps=eps)
    checks.agrees(embeddings(input_ids, segments), normed, input_ids, weights, segments, eps=eps)


@part(NAME, points=2)
@settings(max_examples=30)
@given(embedding_cases(min_t=2), st.data())
def test_gradients_reach_every_table_but_not_the_padding(bert, case, data):
    """Each table gets the gradient of the sum's norm, only the word embedding of `pad_id` gets none."""
    sizes, weights, input_ids = case
    input_ids[0, -1] = sizes["pad_id"]
    segments = data.draw(draws.token_ids(tuple(input_ids.shape), sizes["n_segments"]))
    cotangent = data.draw(draws.tensors((*input_ids.shape, sizes["d_model"]), dtype=torch.float64))
    embeddings = build_embeddings(bert, sizes, weights)
    _, grads = bert.vjp(embeddings, input_ids, segments, cotangent=cotangent, wrt=list(weights))

    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    expected = torch.autograd.grad(normed(input_ids, leaves, segments), list(leaves.values()), cotangent)
    expected[0][sizes["pad_id"]] = 0
    for grad, want in zip(grads, expected, strict=True):
        checks.close(grad, want, rtol=1e-7, atol=1e-8 * float(1 + want.abs().max()))


@part(NAME, points=1)
@settings(max_examples=20)
@given(embedding_cases(), st.integers(1, 3))
def test_too_long_a_sequence_raises(bert, case, more):
    """A sequence longer than `max_len` raises ValueError; one of exactly that length does not."""
    sizes, weights, input_ids = case
    embeddings = build_embeddings(bert, sizes, weights)
    row = input_ids[:, :1].expand(-1, sizes["max_len"]).contiguous()
    checks.tensor(embeddings(row), shape=(*row.shape, sizes["d_model"]), dtype=torch.float64)
    with raises("ValueError"):
        embeddings(torch.cat((row, row[:, :1].expand(-1, more)), dim=1))


@part(NAME, points=1)
@settings(max_examples=20)
@given(embedding_cases())
def test_dropout_comes_last_and_only_in_training(bert, case):
    """In training each entry is 0 or that of the norm divided by 1 - dropout; in evaluation nothing is dropped."""
    sizes, weights, _ = case
    input_ids = torch.arange(2 * 6).reshape(2, 6) % sizes["vocab_size"]
    sizes = sizes | {"max_len": 6}
    weights = weights | {"position.weight": weights["position.weight"].repeat(6, 1)[:6]}
    embeddings = build_embeddings(bert, sizes, weights, dropout=0.5)
    trained = embeddings(input_ids)
    embeddings.eval()
    whole = embeddings(input_ids)
    checks.agrees(whole, normed, input_ids, weights)
    checks.tensor(trained, shape=whole.shape, dtype=torch.float64)
    kept = (trained - 2 * whole).abs() <= 1e-9 * (1 + whole.abs())
    checks.holds(
        bool((kept | (trained == 0)).all()), "each entry is 0 or twice what it is without dropout", trained, 2 * whole
    )
    checks.holds(bool((trained == 0).any() and kept.any()), "some entries are dropped and some are kept", trained)
