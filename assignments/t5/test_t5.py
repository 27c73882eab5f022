"""Public tests of `t5`: examples of the handout and simple properties, for `autograder check t5`."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, TorchSeed, Wrong, checks, draws, part, raises

SENTINELS = [99, 98, 97, 96, 95, 94]
EOS, PAD = 1, 0
SIZES = {"vocab_size": 8, "d_model": 8, "n_heads": 2, "n_layers": 2, "d_ff": 12, "n_buckets": 8, "max_distance": 11}


def ids(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def bits(text: str) -> torch.Tensor:
    """ "FTT" -> [False, True, True]"""
    return torch.tensor([letter == "T" for letter in text])


def runs(mask: torch.Tensor) -> int:
    return sum(1 for value, _ in itertools.groupby(mask.tolist()) if value)


@st.composite
def texts_and_masks(draw):
    """A text of token ids 0..9 and a mask for it."""
    length = draw(st.integers(1, 10))
    tokens = draw(draws.token_ids((length,), 10))
    return tokens, torch.tensor(draw(st.lists(st.booleans(), min_size=length, max_size=length)))


def corrupted(tokens: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(inputs, targets), token by token, without EOS and final sentinel."""
    inputs: list[int] = []
    targets: list[int] = []
    number, inside = 0, False
    for token, noise in zip(tokens.tolist(), mask.tolist()):
        if noise and not inside:
            inputs.append(SENTINELS[number])
            targets.append(SENTINELS[number])
            number += 1
        (targets if noise else inputs).append(token)
        inside = noise
    return ids(*inputs), ids(*targets)


# --- random_segmentation


@part("random_segmentation")
@given(st.integers(1, 12), st.integers(0, 11), draws.seeds())
def test_segments_hold_an_item_each(t5, n_items, fewer, seed):
    """The segments are whole numbers of at least 1 that sum to n_items."""
    n_segments = max(n_items - fewer, 1)
    segments = t5.random_segmentation(n_items, n_segments, TorchSeed(seed))
    checks.tensor(segments, shape=(n_segments,), dtype=torch.int64)
    checks.holds(bool((segments >= 1).all()), "every segment holds an item", segments)
    checks.holds(int(segments.sum()) == n_items, f"the segments sum to {n_items}", segments)


@part("random_segmentation")
def test_the_three_ways_of_the_handout(t5):
    """4 items are cut into 2 segments as [1, 3], [2, 2] and [3, 1], each equally often."""
    generator = t5.keep(TorchSeed(0))
    first = [int(t5.random_segmentation(4, 2, generator)[0]) for _ in range(400)]
    checks.frequencies([first.count(n) for n in (1, 2, 3)], [1 / 3] * 3, "the sizes 1, 2, 3 of the first segment")


# --- noise_counts


@part("noise_counts")
def test_counts_of_the_handout(t5):
    """20 tokens at T5's defaults: 3 in 1 span. 10 at 0.25: 2.5 goes to 2. 10 at 0.8 and mean 1: 8, but in 2 spans."""
    checks.equal(t5.noise_counts(20), (3, 1))
    checks.equal(t5.noise_counts(10, 0.25), (2, 1))
    checks.equal(t5.noise_counts(10, 0.8, 1.0), (8, 2))
    checks.equal(t5.noise_counts(1), (0, 0))


# --- random_spans_noise_mask


@part("random_spans_noise_mask")
@given(st.integers(2, 30), st.sampled_from([0.15, 0.3, 0.5]), st.sampled_from([2.0, 3.0]), draws.seeds())
def test_masks_have_the_planned_counts(t5, length, density, mean, seed):
    """A mask has the planned numbers of noise tokens and of runs, starts with text and ends with noise."""
    n = min(max(round(length * density), 1), length - 1)
    s = min(max(round(n / mean), 1), n, length - n)
    mask = t5.random_spans_noise_mask(length, density, mean, TorchSeed(seed))
    checks.tensor(mask, shape=(length,), dtype=torch.bool)
    checks.equal((int(mask.sum()), runs(mask)), (n, s))
    checks.equal([bool(mask[0]), bool(mask[-1])], [False, True])


# --- span_corrupt


@part("span_corrupt")
def test_corruption_of_the_handout(t5):
    """The example worked by hand, without and with EOS and a final sentinel."""
    tokens, mask = ids(5, 6, 7, 8, 9), bits("FTTFT")
    checks.equal(t5.span_corrupt(tokens, mask, [99, 98, 97]), (ids(5, 99, 8, 98), ids(99, 6, 7, 98, 9)))
    both = (ids(5, 99, 8, 98, 1), ids(99, 6, 7, 98, 9, 97, 1))
    checks.equal(t5.span_corrupt(tokens, mask, [99, 98, 97], eos_id=1, final_sentinel=True), both)


@part("span_corrupt")
@given(texts_and_masks())
def test_every_run_has_a_sentinel(t5, case):
    """Each run of noise leaves its sentinel in the inputs and follows it in the targets, for any mask."""
    tokens, mask = case
    checks.equal(t5.span_corrupt(tokens, mask, SENTINELS), corrupted(tokens, mask))


@part("span_corrupt")
def test_sentinels_of_a_tokenizer(t5):
    """The sentinels of a tokenizer that was trained with two of them are ids 4 and 5."""
    specials = ["<extra_id_0>", "<extra_id_1>"]
    tokenizer = t5.make(Given("tokenizer.Tokenizer.train"), ["some text to learn from"], 300, specials)
    checks.equal(list(t5.sentinel_ids(tokenizer)), [4, 5])


@part("span_corrupt")
def test_too_few_sentinels(t5):
    """Two runs and one sentinel are a ValueError."""
    with raises("ValueError"):
        t5.span_corrupt(ids(5, 6, 7, 8), bits("FTFT"), [99])


# --- reconstruct


@part("reconstruct")
@given(texts_and_masks())
def test_the_way_back(t5, case):
    """From the two sides of a corruption comes the text."""
    tokens, mask = case
    checks.equal(t5.reconstruct(*corrupted(tokens, mask), SENTINELS), tokens)


# --- batches


@part("batches")
def test_a_batch_of_two(t5):
    """Two rows are corrupted as each would be alone: the sentinels begin anew."""
    tokens, mask = torch.stack((ids(5, 6, 7, 8), ids(2, 3, 4, 5))), torch.stack((bits("FTFF"), bits("FFFT")))
    inputs, targets = t5.span_corrupt(tokens, mask, SENTINELS)
    checks.equal(inputs, torch.stack((ids(5, 99, 7, 8), ids(2, 3, 4, 99))))
    checks.equal(targets, torch.stack((ids(99, 6), ids(99, 5))))
    masks = t5.random_spans_noise_mask(9, 0.4, 2.0, TorchSeed(0), batch_size=3)
    checks.tensor(masks, shape=(3, 9), dtype=torch.bool)


# --- t5_lengths


@part("t5_lengths")
def test_lengths_of_the_handout(t5):
    """Inputs of 512 take 568 tokens and have targets of 114."""
    checks.equal(t5.t5_lengths(512, 0.15, 3.0), (568, 114))
    checks.equal(t5.t5_lengths(64, 0.2, 2.0), (70, 22))


# --- shift_right


@part("shift_right")
@given(draws.token_ids((2, 4), 9), st.integers(0, 5))
def test_labels_move_one_place(t5, labels, start_id):
    """The start comes first, then all labels but the last; -100 becomes padding."""
    labels[0, -2] = -100
    expected = torch.cat((torch.full((2, 1), start_id), labels[:, :-1]), dim=1)
    expected[expected == -100] = 7
    checks.equal(t5.shift_right(labels, start_id=start_id, pad_id=7), expected)


# --- token_noise


@part("token_noise")
def test_token_noise_of_the_handout(t5):
    """At p = 1 everything but the special token is masked, or deleted; at p = 0 nothing is."""
    tokens, special = ids(5, 6, 7), bits("TFF")
    checks.equal(t5.token_masking(tokens, 1.0, 9, special_mask=special), ids(5, 9, 9))
    checks.equal(t5.token_deletion(tokens, 1.0, special_mask=special), ids(5))
    checks.equal(t5.token_masking(tokens, 0.0, 9), tokens)
    checks.equal(t5.token_deletion(tokens, 0.0), tokens)


# --- text_infilling


@part("text_infilling")
@given(st.integers(1, 12), st.sampled_from([0.25, 0.3, 0.5, 1.0]), draws.seeds())
def test_infilling_takes_its_budget(t5, n, ratio, seed):
    """Without the masks, the result is the text in order, less ceil(ratio * n) tokens."""
    tokens = torch.arange(10, 10 + n)
    out = t5.text_infilling(tokens, ratio, mask_id=9, generator=TorchSeed(seed))
    rest = out[out != 9]
    checks.equal(len(rest), n - math.ceil(ratio * n))
    checks.holds(bool((rest.diff() > 0).all()), "the rest keeps its order", out)


@part("text_infilling")
def test_one_mask_for_one_span(t5):
    """A span that uses up the budget leaves one mask: half of two tokens, with a huge mean."""
    out = t5.text_infilling(ids(5, 6), 0.5, 1000.0, mask_id=9, generator=TorchSeed(0)).tolist()
    checks.holds(out in ([9, 6], [5, 9]), "the result is [9, 6] or [5, 9]", out)


# --- sentence_noise


@part("sentence_noise")
@given(draws.seeds())
def test_two_sentences(t5, seed):
    """Two sentences stay whole, in one of two orders."""
    out = t5.sentence_permutation(ids(5, 2, 6, 7, 2), 2, TorchSeed(seed)).tolist()
    checks.holds(out in ([5, 2, 6, 7, 2], [6, 7, 2, 5, 2]), "the sentences are whole", out)


@part("sentence_noise")
@given(draws.seeds())
def test_a_rotation(t5, seed):
    """A document of three tokens comes in one of its three rotations."""
    out = t5.document_rotation(ids(5, 6, 7), TorchSeed(seed)).tolist()
    checks.holds(out in ([5, 6, 7], [6, 7, 5], [7, 5, 6]), "the result is a rotation", out)


# --- text_to_text


@part("text_to_text")
def test_tasks_of_the_handout(t5):
    """Three of the tasks as text, and what a model's text says."""
    example = {"from": "English", "to": "German", "text": "That is good.", "translation": "Das ist gut."}
    checks.equal(t5.to_text("translation", example), ("translate English to German: That is good.", "Das ist gut."))
    example = {"sentence": "The cat sat.", "label": 1}
    checks.equal(t5.to_text("cola", example), ("cola sentence: The cat sat.", "acceptable"))
    example = {"sentence1": "A cat sat.", "sentence2": "A cat was sitting.", "score": 3.75}
    source = "stsb sentence1: A cat sat. sentence2: A cat was sitting."
    checks.equal(t5.to_text("stsb", example), (source, "3.8"))
    checks.equal([t5.from_text("cola", text) for text in ("acceptable", "unacceptable", "so so")], [1, 0, None])
    checks.equal(t5.from_text("stsb", "3.8"), 3.8)
    with raises("ValueError"):
        t5.from_text("chess", "e4")


# --- relative_positions


@part("relative_positions")
def test_buckets_of_the_handout(t5):
    """The buckets of the handout, in both directions and in one."""
    both = t5.relative_position_bucket(ids(0, -1, 1, -8, 8, 200), bidirectional=True)
    checks.equal(both, ids(0, 1, 17, 8, 24, 31))
    one = t5.relative_position_bucket(ids(0, -1, 1, -16, -200), bidirectional=False)
    checks.equal(one, ids(0, 1, 0, 16, 31))


@part("relative_positions")
def test_bias_of_two_tokens(t5):
    """For two tokens, query 1 sees key 0 in bucket 1; query 0 sees key 1 in the first bucket of the upper half."""
    table = torch.arange(8.0)[:, None]
    bias = t5.relative_position_bias(table, 2, bidirectional=True)
    checks.equal(bias, torch.tensor([[[[0.0, 5.0], [1.0, 0.0]]]]))


# --- Attention


@part("Attention")
@given(st.integers(1, 4), st.integers(1, 4), draws.seeds())
def test_attention_without_scaling(t5, t, s, seed):
    """With the identity as `out`, each head gives softmax(q k^T + bias) v, without 1 / sqrt(d_k)."""
    source = torch.Generator().manual_seed(seed)
    x, context = (torch.randn(1, n, 4, generator=source, dtype=torch.float64) for n in (t, s))
    bias = torch.randn(1, 2, t, s, generator=source, dtype=torch.float64)
    weights = {f"{n}.weight": torch.randn(4, 4, generator=source, dtype=torch.float64) for n in "qkv"}
    attention = t5.Attention(t5.T5Config(8, d_model=4, n_heads=2))
    attention.double()
    attention.load_state_dict(weights | {"out.weight": torch.eye(4, dtype=torch.float64)})
    q, k, v = (F.linear(y, weights[f"{n}.weight"]) for n, y in (("q", x), ("k", context), ("v", context)))
    q, k, v = (y.unflatten(-1, (2, 2)).transpose(1, 2) for y in (q, k, v))
    mixed = torch.softmax(q @ k.mT + bias, dim=-1) @ v
    returned = attention(x, context, torch.ones(1, 1, t, s, dtype=torch.bool), bias)
    checks.close(returned, mixed.transpose(1, 2).flatten(2), rtol=1e-9, atol=1e-10)


# --- Seq2Seq


def model_of(t5, seed: int):
    model = t5.Seq2Seq(t5.T5Config(**SIZES), TorchSeed(seed))
    model.double()
    return model


@part("Seq2Seq")
@settings(max_examples=15)
@given(draws.token_ids((2, 4), 8), draws.token_ids((2, 4), 8), st.integers(1, 3), draws.seeds())
def test_the_decoder_sees_no_future(t5, src, tgt, t, seed):
    """Logits before t do not depend on the target from t on."""
    model, everything = model_of(t5, seed), torch.ones(2, 4, dtype=torch.bool)
    changed = torch.cat((tgt[:, :t], (tgt[:, t:] + 1) % 8), dim=1)
    before = model(src, everything, tgt)
    checks.tensor(before, shape=(2, 4, 8), dtype=torch.float64)
    checks.close(model(src, everything, changed)[:, :t], before[:, :t], rtol=1e-9, atol=1e-10)


@part("Seq2Seq")
@settings(max_examples=15)
@given(draws.token_ids((2, 4), 8), draws.token_ids((2, 3), 8), draws.seeds())
def test_padding_of_the_source_has_no_influence(t5, src, tgt, seed):
    """What stands in the padding of the source changes nothing."""
    model, real = model_of(t5, seed), torch.stack((bits("TTFF"), bits("TTTF")))
    filled = torch.where(real, src, (src + 3) % 8)
    checks.close(model(filled, real, tgt), model(src, real, tgt), rtol=1e-9, atol=1e-10)


# --- training


@part("training")
def test_a_loss_by_hand(t5):
    """Logits of zeros among 5 tokens cost ln 5, and labels of -100 do not count."""
    labels = torch.tensor([[3, 1, -100], [0, -100, -100]])
    loss = t5.seq2seq_loss(torch.zeros(2, 3, 5, dtype=torch.float64), labels)
    checks.close(loss, torch.tensor(math.log(5), dtype=torch.float64))


@part("training")
def test_training_lowers_the_loss(t5):
    """On a stream that repeats each token many times, the loss of the last steps is below half of the first one."""
    config = t5.T5Config(vocab_size=20, d_model=32, n_heads=2, n_layers=1, d_ff=64)
    stream = torch.arange(2, 10).repeat_interleave(40)
    _, losses = t5.train_t5(
        config, stream, 30, sentinel_ids=list(range(19, 11, -1)), eos_id=EOS, pad_id=PAD, inputs_length=14,
        batch_size=16, learning_rate=5e-3, generator=TorchSeed(0),
    )  # fmt: skip
    checks.holds(len(losses) == 30, "there is one loss a step", len(losses))
    checks.holds(sum(losses[-5:]) / 5 < losses[0] / 2, "the loss falls below half", losses[-5:], losses[0])


# --- filling


@part("filling")
def test_spans_of_the_handout(t5):
    """Spans of what a model wrote: the first two are there, the third is missing."""
    checks.equal(t5.read_spans([99, 6, 7, 98, 9, 1, 5], 3, [99, 98, 97], eos_id=1), [[6, 7], [9], []])


@part("filling")
@settings(max_examples=15)
@given(draws.token_ids((2, 3), 8), draws.seeds())
def test_decoding_by_hand(t5, src, seed):
    """The first two tokens are those that the model finds most probable, each read before the next is chosen."""
    model, everything = model_of(t5, seed), torch.ones(2, 3, dtype=torch.bool)
    written = torch.zeros(2, 1, dtype=torch.int64)
    for _ in range(2):
        written = torch.cat((written, model(src, everything, written)[:, -1:].argmax(-1)), dim=1)
    decoded = t5.greedy_decode(model, src, everything, start_id=0, eos_id=100, pad_id=0, max_new_tokens=2)
    checks.equal(decoded, written[:, 1:])


# --- what students get wrong


def _counts(length, noise_density=0.15, mean_span_length=3.0, rounded=round, clamp=True):
    if length < 2 or noise_density == 0:
        return 0, 0
    n = min(max(rounded(length * noise_density), 1), length - 1)
    s = max(rounded(n / mean_span_length), 1)
    return n, min(s, n, length - n) if clamp else s


def _half_up(x: float) -> int:
    return math.floor(x + 0.5)


def _corrupt(tokens, mask, sentinel_ids, *, eos_id=None, final_sentinel=False, marks=None, kept_runs=False):
    """Token by token; `marks` says which sentinel a run gets, `kept_runs` marks runs of text in the targets."""
    rows = zip(tokens.tolist(), mask.tolist())
    inputs, targets, run, turn = [], [], 0, 0
    before = None
    for token, noise in rows:
        if noise and not before:
            inputs.append(sentinel_ids[marks(run) if marks else run])
            if not kept_runs:
                targets.append(inputs[-1])
            run += 1
        if kept_runs and not noise and before is not False:
            targets.append(sentinel_ids[turn])
            turn += 1
        (targets if noise else inputs).append(token)
        before = noise
    if final_sentinel:
        targets.append(sentinel_ids[run])
    end = [] if eos_id is None else [eos_id]
    return ids(*inputs, *end), ids(*targets, *end)


def _per_token(tokens, mask, sentinel_ids, *, eos_id=None, final_sentinel=False):
    places = (mask.cumsum(0) - 1).clamp(min=0)
    marks = torch.tensor([*sentinel_ids, *range(200, 300)])[places]
    inputs = torch.where(mask, marks, tokens)
    targets = torch.stack((marks, tokens), dim=1)[mask].flatten()
    end = ids() if eos_id is None else ids(eos_id)
    return torch.cat((inputs, end)), torch.cat((targets, end))


def _bucket(relative_position, *, bidirectional, n_buckets=32, max_distance=128, swapped=False, halved=True):
    if bidirectional:
        n = n_buckets // 2 if halved else n_buckets
        after = relative_position < 0 if swapped else relative_position > 0
        offset, distance = n * after, relative_position.abs()
    else:
        n = n_buckets
        offset, distance = 0, (relative_position if swapped else -relative_position).clamp(min=0)
    half = n // 2
    grown = (distance.clamp(min=1).double() / half).log() / math.log(max_distance / half) * (n - half)
    return offset + torch.where(distance < half, distance, (half + grown.floor().long()).clamp(max=n - 1))


def _shift(labels, start_id, pad_id, ignored=None):
    shifted = F.pad(labels[..., :-1], (1, 0), value=start_id)
    return shifted if ignored is None else shifted.masked_fill(shifted == -100, ignored)


WRONG = [
    Wrong("noise_is_rounded_down", "noise_counts", lambda *args, **more: _counts(*args, **more, rounded=int),
          "int() rounds down; both numbers must be rounded with round()."),
    Wrong("halves_go_up", "noise_counts", lambda *args, **more: _counts(*args, **more, rounded=_half_up),
          "Halves are rounded up; Python's round() takes them to the even number."),
    Wrong("spans_do_not_fit", "noise_counts", lambda *args, **more: _counts(*args, **more, clamp=False),
          "There cannot be more spans than noise tokens, or than tokens that are kept."),
    Wrong("one_sentinel_for_all", "span_corrupt", lambda *args, **more: _corrupt(*args, **more, marks=lambda run: 0),
          "Every span gets the first sentinel; each must have its own."),
    Wrong("sentinels_from_the_end", "span_corrupt",
          lambda *args, **more: _corrupt(*args, **more, marks=lambda run: -1 - run),
          "The last sentinel of the list is used first; the first run takes the first one."),
    Wrong("targets_mark_the_kept_runs", "span_corrupt", lambda *args, **more: _corrupt(*args, **more, kept_runs=True),
          "As in T5's code, runs of kept tokens are marked in the targets; mark the runs of noise instead."),
    Wrong("a_sentinel_per_token", "span_corrupt", _per_token,
          "Every noise token has a sentinel of its own; neighbouring noise tokens share one."),
    Wrong("the_targets_alone", "reconstruct",
          lambda inputs, targets, sentinel_ids, *, eos_id=None: torch.cat(
              [x[~torch.isin(x, torch.tensor(sentinel_ids))] for x in (inputs, targets)]),
          "The spans are put at the end of the text; each belongs where its sentinel stands."),
    Wrong("no_eos_in_the_plan", "t5_lengths",
          lambda inputs_length, noise_density=0.15, mean_span_length=3.0: _plan(
              inputs_length, noise_density, mean_span_length, eos=0),
          "Both sides end in EOS: each is one longer."),
    Wrong("no_sentinels_in_the_plan", "t5_lengths",
          lambda inputs_length, noise_density=0.15, mean_span_length=3.0: _plan(
              inputs_length, noise_density, mean_span_length, sentinels=0),
          "Each span has a sentinel on both sides, which must be counted."),
    Wrong("shifts_left", "shift_right",
          lambda labels, *, start_id, pad_id: F.pad(labels[..., 1:], (0, 1), value=start_id).masked_fill(
              F.pad(labels[..., 1:], (0, 1)) == -100, pad_id),
          "The labels are shifted to the left; the decoder would read what it must predict."),
    Wrong("keeps_minus_100", "shift_right", lambda labels, *, start_id, pad_id: _shift(labels, start_id, pad_id),
          "-100 is still there: an embedding has no row -100."),
    Wrong("minus_100_becomes_the_start", "shift_right",
          lambda labels, *, start_id, pad_id: _shift(labels, start_id, pad_id, ignored=start_id),
          "-100 becomes start_id; it must become pad_id."),
    Wrong("masks_special_tokens", "token_masking",
          lambda tokens, p, mask_id, generator=None, *, special_mask=None: torch.full_like(tokens, mask_id),
          "special_mask is ignored when masking."),
    Wrong("drops_special_tokens", "token_deletion",
          lambda tokens, p, generator=None, *, special_mask=None: tokens[:0],
          "special_mask is ignored when deleting."),
    Wrong("a_mask_per_token", "text_infilling",
          lambda tokens, ratio=0.3, poisson_lambda=3.0, *, mask_id, generator=None, special_mask=None:
              torch.full_like(tokens, mask_id) if ratio == 1 else None,
          "Every token of a span leaves a mask, as in BERT; a span leaves ONE."),
    Wrong("labels_are_numbers", "to_text",
          lambda task, example: (f"{task} sentence: {example['sentence']}", str(example["label"])),
          "The target is the number of the label; it must be its word."),
    Wrong("translates_the_wrong_way", "to_text",
          lambda task, example: (
              f"translate {example['to']} to {example['from']}: {example['text']}", example["translation"]),
          "The languages are the wrong way round: translate {from} to {to}."),
    Wrong("guesses_the_first_label", "from_text",
          lambda task, text: {"acceptable": 1, "entailment": 0, "neutral": 1, "contradiction": 2}.get(text.strip(), 0),
          "A text that is no label becomes label 0; it must be None, not a guess."),
    Wrong("the_sides_are_swapped", "relative_position_bucket",
          lambda relative_position, **more: _bucket(relative_position, **more, swapped=True),
          "The sign is wrong: a relative position is key minus query, so keys after the query are positive."),
    Wrong("buckets_are_not_halved", "relative_position_bucket",
          lambda relative_position, **more: _bucket(relative_position, **more, halved=False),
          "In both directions each side has half of the buckets."),
    Wrong("the_mean_counts_ignored_labels", "seq2seq_loss",
          lambda logits, labels: F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum")
          / labels.numel(),
          "The sum is divided by all labels; those of -100 do not count."),
    Wrong("the_loss_is_a_sum", "seq2seq_loss",
          lambda logits, labels: F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum"),
          "The loss is a mean over the labels that count, not a sum."),
    Wrong("spans_by_number_of_appearance", "read_spans",
          lambda written, n_spans, sentinel_ids, *, eos_id=None: _by_appearance(written, n_spans, sentinel_ids, eos_id),
          "Spans are counted in the order in which they come; a span belongs to the sentinel before it."),
    Wrong("eos_is_read_over", "read_spans",
          lambda written, n_spans, sentinel_ids, *, eos_id=None: _by_appearance(
              [i for i in written if i != eos_id], n_spans, sentinel_ids, None),
          "EOS ends the text; what follows it belongs to no span."),
]  # fmt: skip


def _plan(inputs_length, noise_density, mean_span_length, eos=1, sentinels=1):
    best = (1, 1)
    for length in range(1, 6 * inputs_length):
        n, s = _counts(length, noise_density, mean_span_length)
        if length - n + s * sentinels + eos <= inputs_length:
            best = (length, n + s * sentinels + eos)
    return best


def _by_appearance(written, n_spans, sentinel_ids, eos_id):
    spans: list[list[int]] = []
    for token in written:
        if token == eos_id:
            break
        if token in sentinel_ids:
            spans.append([])
        elif spans:
            spans[-1].append(token)
    return (spans + [[]] * n_spans)[:n_spans]
