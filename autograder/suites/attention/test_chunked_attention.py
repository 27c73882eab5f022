"""chunked_attention: the same numbers as the whole matrix, without the matrix."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, part, race
from autograder.suites.attention.strategies import HALF, attends, normal, q_k_v

NAME = "chunked_attention"
BLOCKS = st.integers(1, 9)


def agrees(attention, q, k, v, causal, **block):
    """One call, compared with the whole matrix."""
    q_len, k_len = q.shape[-2], k.shape[-2]
    mask = torch.arange(k_len) <= torch.arange(q_len)[:, None] + k_len - q_len if causal else None
    attends(attention.chunked_attention(q, k, v, causal=causal, **block), q, k, v, mask)


@part(NAME, points=2)
@given(q_k_v(), BLOCKS)
def test_every_block_size_gives_the_same_attention(attention, qkv, block_size):
    """Without a mask the output is that of attention over the whole matrix, whatever the block size."""
    agrees(attention, *qkv, causal=False, block_size=block_size)


@part(NAME, points=3)
@given(q_k_v(more_keys=True), BLOCKS)
def test_causal_blocks_are_aligned_at_the_bottom_right(attention, qkv, block_size):
    """With causal=True query i sees keys up to i + k_len - q_len, also inside the block on the diagonal."""
    agrees(attention, *qkv, causal=True, block_size=block_size)


@part(NAME, points=1)
@settings(max_examples=25)
@given(st.integers(0, 2**20), st.integers(1, 40), st.integers(1, 12), st.booleans())
def test_the_last_block_may_be_shorter(attention, seed, length, block_size, causal):
    """A length that the block size does not divide loses no key and no query; the default block is longer than most."""
    q, k, v = (normal((length, 2), seed + i) for i in range(3))
    agrees(attention, q, k, v, causal, block_size=block_size)
    agrees(attention, q, k, v, causal)


@part(NAME, points=2)
@given(q_k_v(dtype=torch.float64, more_keys=True), BLOCKS, st.booleans(), st.sampled_from([-1.0, 1.0]))
def test_scores_of_ten_thousand_stay_finite(attention, qkv, block_size, causal, sign):
    """Scores of plus or minus ten thousand, rising or falling from block to block, neither overflow nor vanish."""
    q, k, v = qkv
    slope = torch.linspace(50.0, 150.0, k.shape[-2], dtype=torch.float64)[:, None]
    if block_size % 2:
        slope = slope.flip(0)
    q, k = q.sign() + 2, (k / 100 + sign) * slope  # sums of 1 to 3 times 50 to 150
    q = q * 50
    agrees(attention, q, k, v, causal, block_size=block_size)


@part(NAME, points=1)
@settings(max_examples=25)
@given(q_k_v(dtype=HALF, more_keys=True), BLOCKS, st.booleans())
def test_blocks_work_in_half_precision(attention, qkv, block_size, causal):
    """float16 and bfloat16 come back in the same dtype, as close as the whole matrix would be."""
    q, k, v = qkv
    agrees(attention, q / 8, k, v, causal, block_size=block_size)


@part(NAME, points=3)
def test_a_length_whose_matrix_does_not_fit_into_memory(attention):
    """8,500 tokens in float64 would need more memory for one matrix of scores than there is; blocks need little."""
    length = 8_500  # 8 * length**2 bytes is 551 MiB; assignment.toml gives 512
    q, k, v = (normal((length, 1), seed) for seed in (1, 2, 3))
    y = attention.chunked_attention(q, k, v, causal=True, block_size=128)
    checks.tensor(y, shape=(length, 1), dtype=torch.float64)
    for row in (0, 1, 127, 128, 5_000, length - 1):
        weights = torch.softmax(q[row] * k[: row + 1, 0], dim=0)
        checks.close(y[row], (weights @ v[: row + 1]), rtol=1e-9, atol=1e-11)


@part(NAME, kind="advisory")
def test_speed_of_blocks(attention):
    """Causal blocks over 2,048 tokens, in times of the reference."""
    q, k, v = (normal((1, 2, 2_048, 32), seed).float() for seed in (1, 2, 3))
    returned, expected = race(
        lambda solution: lambda n: solution.chunked_attention(q + n, k, v, causal=True, block_size=128), attention
    )
    checks.close(returned, expected, rtol=1e-3, atol=1e-4)
