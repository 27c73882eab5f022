"""pack_sequences, block_causal_mask and packed_labels: many texts in one row, and walls between them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, draws, part, raises
from autograder.suites.posttraining.strategies import allowed, packed, segments, sequences

PACK = "pack_sequences"
MASK = "block_causal_mask"
LENGTHS = st.integers(2, 10)


# (lengths, length of a row): best fit, worst fit and next fit fill other rows than first fit does.
TELLING = [([7, 4, 4, 2], 10), ([6, 3, 3, 3, 2, 2], 8), ([7, 5, 3, 2, 2], 9), ([4, 3, 3, 2, 1], 5), ([8, 5, 5, 2], 12)]


@st.composite
def loads(draw: st.DrawFn) -> tuple[list[list[int]], int]:
    """(sequences, length of a row)."""
    if draw(st.booleans()):
        lengths, max_len = draw(st.sampled_from(TELLING))
        sizes = draw(st.permutations(lengths))
        return [[10 * i + j + 1 for j in range(n)] for i, n in enumerate(sizes)], max_len
    max_len = draw(LENGTHS)
    return draw(sequences(max_len)), max_len


@part(PACK, points=2)
@given(loads())
def test_the_longest_goes_first_into_the_first_row_with_room(posttraining, load):
    """Rows are those of first-fit decreasing: the longest sequence first, each into the first row that has room."""
    given_, max_len = load
    checks.equal(posttraining.pack_sequences(given_, max_len), packed(given_, max_len))


@part(PACK, points=1)
@given(st.data(), LENGTHS)
def test_equal_lengths_keep_their_order(posttraining, data, max_len):
    """Of sequences with the same length the earlier one is placed first."""
    length = data.draw(st.integers(1, max_len))
    given_ = [sequence[:length] for sequence in data.draw(sequences(max_len, min_size=2))]
    checks.equal(posttraining.pack_sequences(given_, max_len=max_len), packed(given_, max_len))


@part(PACK, points=1)
@given(st.data(), st.integers(4, 10))
def test_positions_and_segments_start_anew(posttraining, data, max_len):
    """Positions count from 0 in each sequence, segments from 1 in each row."""
    given_ = data.draw(sequences(max_len // 2, min_size=2))
    ids, position_ids, segment_ids = posttraining.pack_sequences(given_, max_len)
    checks.equal(position_ids, packed(given_, max_len)[1])
    checks.equal(segment_ids, packed(given_, max_len)[2])
    checks.equal(ids, packed(given_, max_len)[0])


@part(PACK, points=1)
@given(st.data(), LENGTHS)
def test_no_token_is_lost_and_none_comes_twice(posttraining, data, max_len):
    """Every sequence stands in one row, in one piece, once; no two rows that are not full would fit into one."""
    given_ = data.draw(sequences(max_len, min_size=1))
    ids, _, segment_ids = posttraining.pack_sequences(given_, max_len)
    checks.tensor(ids, dtype=torch.int64)
    checks.tensor(segment_ids, shape=ids.shape, dtype=torch.int64)
    checks.holds(ids.dim() == 2 and ids.shape[1] == max_len, "rows have max_len places", ids)
    found = [
        row[numbers == number].tolist()
        for row, numbers in zip(ids, segment_ids, strict=True)
        for number in range(1, int(numbers.max()) + 1)
    ]
    checks.holds(sorted(found) == sorted(given_), "the rows hold every sequence once", found, given_)
    used = sorted((segment_ids > 0).sum(-1).tolist())
    fits = len(used) > 1 and used[0] + used[1] <= max_len
    checks.holds(not fits, "no two rows would fit into one", used)


@part(PACK, points=1)
@given(st.data(), LENGTHS, st.integers(0, 3))
def test_too_long_a_sequence_raises(posttraining, data, max_len, extra):
    """A sequence that is longer than a row is a ValueError, not cut; one that just fits is fine."""
    given_ = [*data.draw(sequences(max_len, max_size=3)), list(range(max_len))]
    checks.equal(posttraining.pack_sequences(given_, max_len), packed(given_, max_len))
    given_.insert(data.draw(st.integers(0, len(given_))), list(range(max_len + 1 + extra)))
    with raises("ValueError"):
        posttraining.pack_sequences(given_, max_len)


@part(PACK, points=1)
@given(st.data(), LENGTHS, st.sampled_from([0, 7, 99]), st.integers(0, 3))
def test_empty_sequences_and_empty_room(posttraining, data, max_len, pad_id, n_empty):
    """Room that is left has `pad_id`, position 0 and segment 0; empty sequences take none; no sequence, no row."""
    given_ = data.draw(sequences(max_len, max_size=4))
    expected = packed(given_, max_len, pad_id)
    for _ in range(n_empty):
        given_.insert(data.draw(st.integers(0, len(given_))), [])
    checks.equal(posttraining.pack_sequences(given_, max_len, pad_id=pad_id), expected)
    checks.equal(posttraining.pack_sequences([[]] * n_empty, max_len, pad_id), packed([], max_len))


@part(MASK, points=2)
@given(segments())
def test_only_earlier_tokens_of_the_same_segment(posttraining, segment_ids):
    """A query may attend to itself and to earlier tokens of its own segment, and to nothing else."""
    checks.equal(posttraining.block_causal_mask(segment_ids), allowed(segment_ids))


@part(MASK, points=1)
@given(segments(), st.integers(1, 3))
def test_padding_neither_sees_nor_is_seen(posttraining, segment_ids, n):
    """Segment 0 is padding: its rows and its columns are False throughout."""
    padded = F.pad(segment_ids, (0, n))
    mask = posttraining.block_causal_mask(padded)
    checks.equal(mask, F.pad(allowed(segment_ids), (0, n, 0, n)))


def attend(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Two layers of attention (B, T, C) under a mask (B, T, T), in which nothing but the mask keeps texts apart."""
    for _ in range(2):
        x = x + F.scaled_dot_product_attention(x, x, x, attn_mask=mask)
    return x


@part(MASK, points=2)
@given(st.data(), st.integers(4, 10), draws.seeds())
def test_a_packed_text_is_computed_as_if_it_were_alone(posttraining, data, max_len, seed):
    """Under this mask, and with positions that start anew, each text of a row comes out as it does alone."""
    given_ = data.draw(sequences(max_len // 2, min_size=2, max_size=5))
    ids, position_ids, segment_ids = packed(given_, max_len)
    table, places = torch.randn(2, 200, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = table[ids] + places[position_ids]
    mask = posttraining.block_causal_mask(segment_ids)
    checks.tensor(mask, shape=(*ids.shape, max_len), dtype=torch.bool)
    together = attend(x, mask | torch.eye(max_len, dtype=torch.bool) & (segment_ids == 0)[..., None])
    for row in range(len(ids)):
        for number in range(1, int(segment_ids[row].max()) + 1):
            alone = x[row, segment_ids[row] == number][None]
            n = alone.shape[1]
            expected = attend(alone, torch.ones(1, n, n, dtype=torch.bool).tril())[0]
            checks.close(together[row, segment_ids[row] == number], expected, rtol=1e-9, atol=1e-9)


@part(MASK, points=2)
@given(segments(), draws.seeds())
def test_labels_stay_inside_their_segment(posttraining, segment_ids, seed):
    """The label of a token is the next token of its segment; the last of a segment, and padding, have -100."""
    ids = torch.randint(1, 50, segment_ids.shape, generator=torch.Generator().manual_seed(seed))
    rows = [
        [token[j + 1] if j + 1 < len(token) and segment[j + 1] == segment[j] > 0 else -100 for j in range(len(token))]
        for token, segment in zip(ids.tolist(), segment_ids.tolist(), strict=True)
    ]
    checks.equal(posttraining.packed_labels(ids, segment_ids), torch.tensor(rows))
