"""scaled_dot_product_attention where every query may attend to something."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.attention.strategies import HALF, attends, bools, broadcast_masked_q_k_v, masked_q_k_v, q_k_v

NAME = "scaled_dot_product_attention"


@part(NAME, points=2)
@given(q_k_v())
def test_matches_the_definition(attention, qkv):
    """The output is softmax(q k^T / sqrt(d_k)) v, the softmax taken over keys, for inputs of 2 to 4 dimensions."""
    attends(attention.scaled_dot_product_attention(*qkv), *qkv)


@part(NAME, points=2)
@given(q_k_v(dtype=torch.float64, min_d=2))
def test_scores_are_divided_by_the_square_root_of_d_k(attention, qkv):
    """Scores are divided by sqrt(d_k), the length of a query: not by d_k, d_v or d_model, and not by nothing."""
    attends(attention.scaled_dot_product_attention(*qkv), *qkv)


@part(NAME, points=2)
@settings(max_examples=30)
@given(masked_q_k_v(dtype=torch.float64), st.one_of(st.sampled_from([0.0, 1.0, -1.0]), st.floats(0.01, 3)))
def test_scale_replaces_the_default(attention, qkvm, scale):
    """A `scale` that is given takes the place of 1 / sqrt(d_k), also where it is 0."""
    q, k, v, mask = qkvm
    attends(attention.scaled_dot_product_attention(q, k, v, scale=scale), q, k, v, scale=scale)
    attends(attention.scaled_dot_product_attention(q, k, v, mask, scale), q, k, v, mask, scale)


@part(NAME, points=3)
@given(masked_q_k_v())
def test_true_in_the_mask_means_may_attend(attention, qkvm):
    """Where the mask is True a query may attend; the weights of what it may attend to sum to 1."""
    attends(attention.scaled_dot_product_attention(*qkvm), *qkvm)


@part(NAME, points=2)
@given(broadcast_masked_q_k_v())
def test_masks_are_broadcast(attention, qkvm):
    """A mask of shape (q_len, k_len), (1, k_len), (B, 1, 1, k_len), (B, 1, q_len, k_len) or the like is broadcast."""
    attends(attention.scaled_dot_product_attention(*qkvm), *qkvm)


@part(NAME, points=2)
@given(masked_q_k_v(dtype=draws.float_dtypes()), st.data())
def test_masked_keys_and_values_have_no_influence(attention, qkvm, data):
    """What a key and a value hold does not matter where no query may attend to them: not even numbers like 1e30."""
    q, k, v, mask = qkvm
    hidden = ~data.draw(bools((k.shape[-2],)))
    hidden[0] = False
    mask = (mask & ~hidden).clone()
    mask[..., 0] |= ~mask.any(-1)
    big = data.draw(st.sampled_from([1e30, -1e30]))
    filled_k, filled_v = (x.masked_fill(hidden[:, None], big) for x in (k, v))
    attends(attention.scaled_dot_product_attention(q, filled_k, filled_v, mask), q, k, v, mask)


@part(NAME, points=1)
@settings(max_examples=30)
@given(masked_q_k_v(dtype=torch.float64), st.randoms(use_true_random=False))
def test_the_order_of_the_keys_does_not_matter(attention, qkvm, random):
    """Keys, values and columns of the mask in another order give the same output: attention sees a set."""
    q, k, v, mask = qkvm
    order = list(range(k.shape[-2]))
    random.shuffle(order)
    one = attention.scaled_dot_product_attention(q, k, v, mask)
    other = attention.scaled_dot_product_attention(q, k[..., order, :], v[..., order, :], mask[..., order])
    attends(one, q, k, v, mask)
    checks.close(other, one, rtol=1e-9, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=30)
@given(masked_q_k_v(dtype=torch.float64))
def test_a_query_of_zeros_takes_the_mean(attention, qkvm):
    """A query of zeros scores every key alike, so its output is the mean of the values that it may attend to."""
    q, k, v, mask = qkvm
    weights = mask.double()
    returned = attention.scaled_dot_product_attention(torch.zeros_like(q), k, v, mask)
    checks.close(returned, weights @ v / weights.sum(-1, keepdim=True), rtol=1e-9, atol=1e-9)


@part(NAME, points=2)
@given(masked_q_k_v(dtype=torch.float64), st.sampled_from([1e2, 1e3]), st.booleans())
def test_large_scores_neither_overflow_nor_unmask(attention, qkvm, size, low):
    """Scores of a million or minus a million give finite weights, and a masked key stays masked beside them."""
    q, k, v, mask = qkvm
    if low:
        q, k = q.abs() + 1, -k.abs() - 1
    q, k = q * size, k * size
    attends(attention.scaled_dot_product_attention(q, k, v, mask), q, k, v, mask)


@part(NAME, points=2)
@settings(max_examples=30)
@given(masked_q_k_v(dtype=torch.float64), st.data())
def test_gradients_stop_at_the_mask(attention, qkvm, data):
    """Gradients with respect to q, k and v are right, and exactly 0 for a value to which no query may attend."""
    q, k, v, mask = qkvm
    hidden = ~data.draw(bools((k.shape[-2],)))
    hidden[0] = False
    mask = (mask & ~hidden).clone()
    mask[..., 0] |= ~mask.any(-1)
    cotangent = data.draw(draws.tensors((*q.shape[:-1], v.shape[-1]), dtype=torch.float64))
    _, grads = attention.vjp(attention.scaled_dot_product_attention, q, k, v, mask, cotangent=cotangent, wrt=[0, 1, 2])

    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    expected = list(torch.autograd.grad(F.scaled_dot_product_attention(*inputs, mask), inputs, cotangent))
    checks.close(grads, expected, rtol=1e-9, atol=1e-9)
    checks.holds(bool((grads[2][..., hidden, :] == 0).all()), "the gradient of a masked value is exactly 0", grads[2])


@part(NAME, points=1)
@settings(max_examples=30)
@given(masked_q_k_v(dtype=torch.float64))
def test_outputs_are_averages(attention, qkvm):
    """Each output lies between the smallest and the largest value that its query may attend to."""
    q, k, v, mask = qkvm
    y = attention.scaled_dot_product_attention(q, k, v, mask)
    checks.tensor(y, shape=(*q.shape[:-1], v.shape[-1]), dtype=torch.float64)
    values, allowed = v.unsqueeze(-3), mask.unsqueeze(-1)  # (..., 1, k_len, d_v) and (..., q_len, k_len, 1)
    low = values.masked_fill(~allowed, math.inf).amin(-2)
    high = values.masked_fill(~allowed, -math.inf).amax(-2)
    slack = 1e-9 * v.abs().max()
    inside = bool(((y >= low - slack) & (y <= high + slack)).all())
    checks.holds(inside, "each output lies between the smallest and the largest value that the query may attend to", y)


@part(NAME, points=1)
@settings(max_examples=30)
@given(masked_q_k_v(dtype=HALF))
def test_half_precision_stays_half_precision(attention, qkvm):
    """float16 and bfloat16 come back in the same dtype, with a mask too."""
    q, k, v, mask = qkvm
    q = q / 8  # scores stay near 1, where half precision is good for something
    attends(attention.scaled_dot_product_attention(q, k, v, mask), q, k, v, mask)


@part(NAME, points=1, kind="self-reported")
@settings(max_examples=20)
@given(masked_q_k_v(dtype=torch.float64))
def test_attention_leaves_its_inputs_alone(attention, qkvm):
    """Queries, keys, values and mask are not edited in place while attention is computed."""
    out, after, _ = attention.echo(attention.scaled_dot_product_attention, *qkvm)
    attends(out, *qkvm)
    checks.equal(after, list(qkvm))
