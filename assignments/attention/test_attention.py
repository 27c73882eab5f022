"""Public tests of `attention`: examples of the handout and simple properties, for `autograder check attention`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import TorchSeed, Wrong, checks, draws, part

LN3 = math.log(3.0)


def causal(q_len: int, k_len: int) -> torch.Tensor:
    """Query i may attend to key j if j <= i + k_len - q_len."""
    return torch.arange(k_len) <= torch.arange(q_len)[:, None] + k_len - q_len


def attend(q, k, v, mask=None, scale=None):
    """softmax(scale * q k^T) v by torch."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


@st.composite
def q_k_v(draw, elements="small_ints"):
    """Queries, keys and values in float64, sometimes with a batch; keys and values may differ in size."""
    lead = draw(draws.shapes(min_dims=0, max_dims=2, max_side=2))
    n, d_k, d_v = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    sizes = ((n, d_k), (n, d_k), (n, d_v))
    return tuple(draw(draws.tensors((*lead, *size), dtype=torch.float64, elements=elements)) for size in sizes)


# --- softmax


@part("softmax")
def test_softmax_of_the_handout(attention):
    """softmax([0, ln 3]) is [0.25, 0.75], and softmax([1000, 1000]) is [0.5, 0.5]."""
    x = torch.tensor([0.0, LN3], dtype=torch.float64)
    checks.close(attention.softmax(x, dim=0), torch.tensor([0.25, 0.75], dtype=torch.float64))
    checks.close(attention.softmax(x + 1000, dim=-1), torch.tensor([0.25, 0.75], dtype=torch.float64))


@part("softmax")
@given(draws.tensors(shape=draws.shapes(min_dims=1, max_dims=3), dtype=torch.float64), st.data())
def test_softmax_along_any_dimension(attention, x, data):
    """softmax(x, dim) is that of torch, for every dimension."""
    dim = data.draw(st.integers(-x.dim(), x.dim() - 1))
    checks.close(attention.softmax(x, dim=dim), torch.softmax(x, dim), rtol=1e-9, atol=1e-12)


# --- causal_mask


@part("causal_mask")
def test_mask_of_the_handout(attention):
    """causal_mask(2, 4) lets the first query see three keys and the last one all four."""
    checks.equal(attention.causal_mask(2, 4), torch.tensor([[True, True, True, False], [True, True, True, True]]))


@part("causal_mask")
@given(st.integers(1, 6))
def test_square_mask(attention, n):
    """causal_mask(n) is the lower triangle with its diagonal, True = may attend."""
    checks.equal(attention.causal_mask(n), torch.ones(n, n, dtype=torch.bool).tril())


# --- scaled_dot_product_attention


@part("scaled_dot_product_attention")
def test_attention_of_the_handout(attention):
    """The example worked by hand: the first token gets 4, the second one 7."""
    q = torch.ones(2, 4, dtype=torch.float64)
    k = torch.tensor([[0.0] * 4, [LN3 / 2] * 4], dtype=torch.float64)
    v = torch.tensor([[4.0], [8.0]], dtype=torch.float64)
    mask = torch.tensor([[True, False], [True, True]])
    expected = torch.tensor([[4.0], [7.0]], dtype=torch.float64)
    checks.close(attention.scaled_dot_product_attention(q, k, v, mask), expected, rtol=1e-9)


@part("scaled_dot_product_attention")
@given(q_k_v())
def test_attention_without_a_mask(attention, qkv):
    """Without a mask the output is that of torch, for inputs of 2 to 4 dimensions."""
    checks.close(attention.scaled_dot_product_attention(*qkv), attend(*qkv), rtol=1e-9, atol=1e-9)


@part("scaled_dot_product_attention")
@given(q_k_v())
def test_attention_with_a_causal_mask(attention, qkv):
    """With a causal mask the output is that of torch."""
    n = qkv[0].shape[-2]
    returned = attention.scaled_dot_product_attention(*qkv, mask=causal(n, n))
    checks.close(returned, attend(*qkv, mask=causal(n, n)), rtol=1e-9, atol=1e-9)


# --- queries that may attend to nothing


@part("fully_masked_rows")
def test_zeros_where_nothing_may_be_seen(attention):
    """A query whose row of the mask is False throughout gets zeros."""
    q, k = torch.zeros(2, 1, dtype=torch.float64), torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    v = torch.tensor([[10.0], [20.0]], dtype=torch.float64)
    mask = torch.tensor([[False, False], [True, True]])
    expected = torch.tensor([[0.0], [15.0]], dtype=torch.float64)
    checks.close(attention.scaled_dot_product_attention(q, k, v, mask), expected)


# --- heads


@part("heads")
def test_heads_of_the_handout(attention):
    """Four channels and two heads: head 0 takes channels 0 and 1, head 1 takes 2 and 3; merging brings them back."""
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    checks.equal(attention.split_heads(x, n_heads=2), torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]))
    checks.equal(attention.merge_heads(torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])), x)


@part("heads")
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), draws.seeds())
def test_there_and_back(attention, b, t, h, d, seed):
    """merge_heads(split_heads(x, n_heads)) is x."""
    x = torch.randn(b, t, h * d, generator=torch.Generator().manual_seed(seed))
    heads = attention.split_heads(x, h)
    checks.tensor(heads, shape=(b, h, t, d))
    checks.equal(attention.merge_heads(heads), x)


# --- CausalSelfAttention


@part("CausalSelfAttention")
@given(st.integers(1, 3), st.integers(1, 3), st.integers(2, 5), draws.seeds())
def test_no_token_sees_a_later_one(attention, n_heads, d, length, seed):
    """Changing the last token changes no earlier output."""
    x = torch.randn(2, length, n_heads * d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    layer = attention.CausalSelfAttention(n_heads * d, n_heads)
    layer.double()
    changed = x.clone()
    changed[:, -1] += 1
    before = layer(x)
    checks.tensor(before, shape=x.shape, dtype=torch.float64)
    checks.close(layer(changed)[:, :-1].clone(), before[:, :-1].clone(), rtol=1e-9, atol=1e-9)


@part("CausalSelfAttention")
@given(st.integers(1, 4), st.integers(1, 4), draws.seeds())
def test_one_head_is_attention_of_the_projections(attention, d_model, length, seed):
    """With one head the layer is `out` of the causal attention of q(x), k(x) and v(x)."""
    x = torch.randn(2, length, d_model, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    layer = attention.CausalSelfAttention(d_model, 1, bias=False)
    layer.double()
    w = layer.state_dict()
    q, k, v = (x @ w[f"{name}.weight"].T for name in "qkv")
    expected = attend(q, k, v, mask=causal(length, length)) @ w["out.weight"].T
    checks.close(layer(x), expected, rtol=1e-9, atol=1e-9)


# --- apply_rope


@part("apply_rope")
def test_rope_of_the_handout(attention):
    """At position 2 the pair (1, 0) becomes (cos 2, sin 2); at position 0 nothing turns."""
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    expected = torch.tensor([[1.0, 0.0], [math.cos(2.0), math.sin(2.0)]])
    checks.close(attention.apply_rope(x, torch.tensor([0, 2])), expected, rtol=1e-5, atol=1e-6)


@part("apply_rope")
def test_rope_with_two_pairs(attention):
    """With d = 4 the second pair, channels 2 and 3, turns a hundred times slower than the first."""
    x = torch.tensor([[9.0, 9.0, 9.0, 9.0], [1.0, 0.0, 1.0, 0.0]])
    expected = torch.tensor([[9.0, 9.0, 9.0, 9.0], [math.cos(1.0), math.sin(1.0), math.cos(0.01), math.sin(0.01)]])
    checks.close(attention.apply_rope(x), expected, rtol=1e-5, atol=1e-6)


# --- chunked_attention


@part("chunked_attention")
def test_online_softmax_of_the_handout(attention):
    """The example worked by hand: scores 0, ln 3 and ln 12 in blocks of two give 7."""
    q = torch.ones(1, 1, dtype=torch.float64)
    k = torch.tensor([[0.0], [LN3], [math.log(12.0)]], dtype=torch.float64)
    v = torch.tensor([[16.0], [0.0], [8.0]], dtype=torch.float64)
    returned = attention.chunked_attention(q, k, v, causal=False, block_size=2)
    checks.close(returned, torch.tensor([[7.0]], dtype=torch.float64), rtol=1e-9)


@part("chunked_attention")
@given(q_k_v(), st.booleans())
def test_chunks_give_the_same_as_the_whole(attention, qkv, is_causal):
    """Blocks of two give what the whole matrix gives."""
    n = qkv[0].shape[-2]
    returned = attention.chunked_attention(*qkv, causal=is_causal, block_size=2)
    checks.close(returned, attend(*qkv, mask=causal(n, n) if is_causal else None), rtol=1e-9, atol=1e-9)


# --- attention_map and the copy task


@part("attention_map")
@given(draws.seeds())
def test_rows_of_the_map_sum_to_one(attention, seed):
    """Two layers of two heads over four tokens make a map (2, 2, 4, 4); rows sum to 1; nobody sees the future."""
    model = attention.CopyModel(5, 4, generator=TorchSeed(seed))
    maps = attention.attention_map(model, torch.tensor([3, 1, 4, 1]))
    checks.tensor(maps, shape=(2, 2, 4, 4), dtype=torch.float32)
    checks.equal(maps.triu(1), torch.zeros(2, 2, 4, 4))
    checks.close(maps.sum(-1), torch.ones(2, 2, 4), rtol=1e-5)


@part("copy_task")
def test_a_uniform_guess_costs_ln_5(attention):
    """With logits of zeros and five tokens the loss is ln 5; with the right answers in place it is nearly 0."""
    tokens = torch.tensor([[3, 1, 3, 1]])
    checks.close(attention.copy_loss(torch.zeros(1, 4, 5), tokens), torch.tensor(math.log(5.0)), rtol=1e-5)
    logits = torch.zeros(1, 4, 5)
    logits[0, 1, 3] = logits[0, 2, 1] = 100.0  # position 1 predicts token 2, position 2 predicts token 3
    checks.close(attention.copy_loss(logits, tokens), torch.tensor(0.0), atol=1e-5)


@part("copy_task")
def test_the_loss_falls(attention):
    """Sixty steps give sixty losses, and the last is below half of the first."""
    _, losses = attention.train_copy_task(60, generator=TorchSeed(0))
    checks.holds(len(losses) == 60, "there is one loss a step", len(losses))
    checks.holds(losses[-1] < losses[0] / 2, "the last loss is below half of the first", losses[-1], losses[0] / 2)


# --- named mistakes: what each would return


def _weights(q, k, v, mask=None, scale=None, *, fill=-math.inf, dim=-1):
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    return torch.softmax(scores if mask is None else scores.masked_fill(~mask, fill), dim)


def _turn(x, positions=None, theta=10000.0, *, sign=1.0, halves=False, first=0, slow=2):
    half = x.shape[-1] // 2
    positions = torch.arange(first, first + x.shape[-2]) if positions is None else positions
    angles = sign * positions[..., None].double() * theta ** (-torch.arange(half).double() * slow / x.shape[-1])
    a, b = x.double().chunk(2, -1) if halves else (x.double()[..., 0::2], x.double()[..., 1::2])
    turned = (a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos())
    return (torch.cat(turned, -1) if halves else torch.stack(turned, -1).flatten(-2)).to(x.dtype)


def _blocks(q, k, v, *, causal, block_size=128, offset=True, within=True):
    q_len, k_len = q.shape[-2], k.shape[-2]
    last = torch.arange(q_len)[:, None] + (k_len - q_len if offset else 0)
    if not within:  # a query sees its whole block
        last = last // block_size * block_size + block_size - 1
    return attend(q, k, v, mask=torch.arange(k_len) <= last if causal else None)


def _causal_mask_shifted(q_len, k_len=None, device=None, *, by):
    k_len = q_len if k_len is None else k_len
    return torch.ones(q_len, k_len, dtype=torch.bool).tril(k_len - q_len + by)


WRONG = [
    Wrong("no_maximum_subtracted", "softmax", lambda x, dim: x.exp() / x.exp().sum(dim, keepdim=True),
          "exp overflows: subtract the maximum along `dim` first."),
    Wrong("always_the_last_dimension", "softmax", lambda x, dim: torch.softmax(x, -1),
          "`dim` is ignored: the softmax always runs along the last dimension."),
    Wrong("softmax_over_everything", "softmax", lambda x, dim: torch.softmax(x.flatten(), 0).reshape(x.shape),
          "The softmax runs over the whole tensor instead of along `dim`."),
    Wrong("hides_the_token_itself", "causal_mask",
          lambda q_len, k_len=None, device=None: _causal_mask_shifted(q_len, k_len, by=-1),
          "The diagonal is missing: a token may attend to itself."),
    Wrong("true_means_hidden", "causal_mask",
          lambda q_len, k_len=None, device=None: ~_causal_mask_shifted(q_len, k_len, by=0),
          "The mask is the wrong way round: True must mean may attend."),
    Wrong("aligned_at_the_top_left", "causal_mask",
          lambda q_len, k_len=None, device=None: torch.ones(q_len, k_len or q_len, dtype=torch.bool).tril(),
          "The triangle starts at the top left; with more keys than queries it must end at the bottom right."),
    Wrong("scales_by_d_k", "scaled_dot_product_attention",
          lambda q, k, v, mask=None, scale=None: _weights(q, k, v, mask, scale or 1 / q.shape[-1]) @ v,
          "Scores are divided by d_k, not by its square root."),
    Wrong("does_not_scale", "scaled_dot_product_attention",
          lambda q, k, v, mask=None, scale=None: _weights(q, k, v, mask, scale or 1.0) @ v,
          "Scores are not divided by sqrt(d_k)."),
    Wrong("softmax_over_queries", "scaled_dot_product_attention",
          lambda q, k, v, mask=None, scale=None: _weights(q, k, v, mask, scale, dim=-2) @ v,
          "The softmax runs over queries (dim -2); the weights of one query over all keys must sum to 1 (dim -1)."),
    Wrong("masks_after_the_softmax", "scaled_dot_product_attention",
          lambda q, k, v, mask=None, scale=None: _weights(q, k, v, None, scale) * (1 if mask is None else mask) @ v,
          "The mask is applied after the softmax, so the remaining weights do not sum to 1."),
    Wrong("nan_where_nothing_is_allowed", "scaled_dot_product_attention",
          lambda q, k, v, mask=None, scale=None: _weights(q, k, v, mask, scale) @ v,
          "The softmax of a row of -inf is NaN; a query that may attend to nothing gets zeros."),
    Wrong("mean_where_nothing_is_allowed", "scaled_dot_product_attention",
          lambda q, k, v, mask=None, scale=None: _weights(q, k, v, mask, scale, fill=torch.finfo(q.dtype).min) @ v,
          "A finite fill makes a fully masked row uniform: it gets the mean of all values instead of zeros."),
    Wrong("split_without_transposing", "split_heads",
          lambda x, n_heads: x.reshape(x.shape[0], n_heads, x.shape[1], -1),
          "Reshaping (B, T, C) to (B, H, T, D) at once mixes tokens and heads: go by (B, T, H, D) and transpose."),
    Wrong("split_into_every_nth_channel", "split_heads",
          lambda x, n_heads: x.unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2),
          "A head takes every n-th channel; it must be a block of neighbouring channels."),
    Wrong("merge_without_transposing", "merge_heads", lambda x: x.reshape(x.shape[0], x.shape[2], -1),
          "Reshaping (B, H, T, D) to (B, T, C) without transposing back mixes tokens and heads."),
    Wrong("turns_clockwise", "apply_rope",
          lambda x, positions=None, theta=10000.0: _turn(x, positions, theta, sign=-1.0),
          "The sign of the sine is swapped: the pairs turn clockwise."),
    Wrong("pairs_of_halves", "apply_rope",
          lambda x, positions=None, theta=10000.0: _turn(x, positions, theta, halves=True),
          "Channel i is paired with channel i + d/2; here pairs are neighbours: (x0, x1), (x2, x3), ..."),
    Wrong("exponent_of_half_the_size", "apply_rope",
          lambda x, positions=None, theta=10000.0: _turn(x, positions, theta, slow=1),
          "The frequencies are theta^(-i/d); pair i has theta^(-2i/d)."),
    Wrong("positions_start_at_one", "apply_rope",
          lambda x, positions=None, theta=10000.0: _turn(x, positions, theta, first=1),
          "The default positions start at 1; the first token is at 0 and is not turned."),
    Wrong("no_mask_inside_the_diagonal_block", "chunked_attention",
          lambda q, k, v, *, causal, block_size=128: _blocks(
              q, k, v, causal=causal, block_size=block_size, within=False),
          "Whole blocks are skipped, but inside the block on the diagonal tokens see the future."),
    Wrong("blocks_aligned_at_the_top_left", "chunked_attention",
          lambda q, k, v, *, causal, block_size=128: _blocks(q, k, v, causal=causal, offset=False),
          "With more keys than queries the causal mask is aligned at the top left; it must be at the bottom right."),
    Wrong("blocks_are_not_scaled", "chunked_attention",
          lambda q, k, v, *, causal, block_size=128: _blocks(q * q.shape[-1] ** 0.5, k, v, causal=causal),
          "Scores are not divided by sqrt(d_k)."),
    Wrong("loss_over_both_halves", "copy_loss",
          lambda logits, tokens: F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()),
          "The loss counts the first half too, which is random and cannot be predicted."),
    Wrong("predicts_the_token_that_it_sees", "copy_loss",
          lambda logits, tokens: F.cross_entropy(
              logits[:, tokens.shape[1] // 2 :].flatten(0, 1), tokens[:, tokens.shape[1] // 2 :].flatten()),
          "Logits and targets are not shifted: position t predicts token t + 1."),
]  # fmt: skip
