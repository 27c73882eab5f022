"""The reference of `t5` against Hugging Face's T5 with copied weights, T5's own procedures written down, and scipy."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.given.tokenizer import Tokenizer
from autograder.judge import reference

t5 = reference("t5")

SIZES = {"vocab_size": 37, "d_model": 24, "n_heads": 3, "n_layers": 2, "d_ff": 40, "n_buckets": 8, "max_distance": 20}


def names_of(n_layers: int) -> dict[str, str]:
    """The names of Hugging Face's parameters, by ours."""
    pairs = {"embedding.weight": "shared.weight"}
    for stack in ("encoder", "decoder"):
        first = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        pairs |= {f"{stack}_bias.weight": first, f"{stack}_norm.weight": f"{stack}.final_layer_norm.weight"}
        for i in range(n_layers):
            ours, theirs = f"{stack}.{i}", f"{stack}.block.{i}.layer"
            layers = [("attention", "attention_norm", "SelfAttention")]
            if stack == "decoder":
                layers.append(("cross_attention", "cross_norm", "EncDecAttention"))
            for number, (layer, norm, name) in enumerate(layers):
                pairs[f"{ours}.{norm}.weight"] = f"{theirs}.{number}.layer_norm.weight"
                for a, b in (("q", "q"), ("k", "k"), ("v", "v"), ("out", "o")):
                    pairs[f"{ours}.{layer}.{a}.weight"] = f"{theirs}.{number}.{name}.{b}.weight"
            last = f"{theirs}.{len(layers)}"
            pairs[f"{ours}.feed_forward_norm.weight"] = f"{last}.layer_norm.weight"
            pairs[f"{ours}.feed_forward.up.weight"] = f"{last}.DenseReluDense.wi.weight"
            pairs[f"{ours}.feed_forward.down.weight"] = f"{last}.DenseReluDense.wo.weight"
    return pairs


@pytest.fixture(scope="module")
def both():
    """(our model, Hugging Face's) in float64 with the same random weights."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=SIZES["vocab_size"],
        d_model=SIZES["d_model"],
        d_kv=SIZES["d_model"] // SIZES["n_heads"],
        d_ff=SIZES["d_ff"],
        num_layers=SIZES["n_layers"],
        num_heads=SIZES["n_heads"],
        relative_attention_num_buckets=SIZES["n_buckets"],
        relative_attention_max_distance=SIZES["max_distance"],
        dropout_rate=0.0,
        feed_forward_proj="relu",
        tie_word_embeddings=True,
        pad_token_id=0,
        decoder_start_token_id=0,
        eos_token_id=1,
    )
    theirs = transformers.T5ForConditionalGeneration(config).double().eval()
    # Theirs takes squares in float32, which would hide differences below 1e-5.
    norms = [name for name, module in theirs.named_modules() if type(module).__name__ == "T5LayerNorm"]
    for name in norms:
        theirs.set_submodule(name, torch.nn.RMSNorm(SIZES["d_model"], eps=1e-6, dtype=torch.float64))
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.normal_(std=0.5)
            if "layer_norm" in name:
                parameter.add_(1.0)
    ours = t5.Seq2Seq(t5.T5Config(**SIZES)).double()
    weights = theirs.state_dict()
    ours.load_state_dict({mine: weights[name] for mine, name in names_of(SIZES["n_layers"]).items()})
    return ours, theirs


def drawn(seed: int, b: int = 3, s: int = 30, t: int = 25):
    """(src, src_mask, tgt_in) with padding at the end of the sources."""
    source = torch.Generator().manual_seed(seed)
    src, tgt = (torch.randint(2, SIZES["vocab_size"], (b, n), generator=source) for n in (s, t))
    return src, torch.arange(s) < torch.randint(3, s + 1, (b, 1), generator=source), tgt


@pytest.mark.parametrize("seed", range(5))
def test_logits_are_hugging_faces(both, seed):
    ours, theirs = both
    src, mask, tgt = drawn(seed)
    with torch.no_grad():
        expected = theirs(input_ids=src, attention_mask=mask.long(), decoder_input_ids=tgt).logits
        found = ours(src, mask, tgt)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_every_parameter_has_its_place(both):
    ours, theirs = both
    assert set(names_of(SIZES["n_layers"])) == set(ours.state_dict())
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


def test_gradients_and_loss_are_hugging_faces(both):
    ours, theirs = both
    src, mask, labels = drawn(9)
    labels[0, 4:] = labels[2, 1:] = -100
    expected = theirs(input_ids=src, attention_mask=mask.long(), labels=labels).loss
    loss = t5.seq2seq_loss(ours(src, mask, t5.shift_right(labels, start_id=0, pad_id=0)), labels)
    torch.testing.assert_close(loss, expected)
    theirs.zero_grad()
    ours.zero_grad()
    expected.backward()
    loss.backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    for mine, name in names_of(SIZES["n_layers"]).items():
        torch.testing.assert_close(ours.get_parameter(mine).grad, gradients[name], rtol=1e-7, atol=1e-9)


def test_greedy_decoding_is_hugging_faces(both):
    ours, theirs = both
    src, mask, _ = drawn(3, b=6, s=8)
    expected = theirs.generate(
        input_ids=src, attention_mask=mask.long(), max_new_tokens=12, min_new_tokens=12, do_sample=False, num_beams=1
    )[:, 1:]
    ids = {"start_id": 0, "pad_id": 0, "max_new_tokens": 12}
    found = t5.greedy_decode(ours, src, mask, eos_id=1000, **ids)
    never_eos = (found != 1).all(-1)  # min_new_tokens forbids EOS there, not here
    assert never_eos.any()
    assert torch.equal(found[never_eos], expected[never_eos])


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (8, 16), (16, 64), (6, 20), (64, 128)])
def test_buckets_are_hugging_faces(bidirectional, n_buckets, max_distance):
    modeling = pytest.importorskip("transformers.models.t5.modeling_t5")
    relative = torch.arange(-400, 401)
    expected = modeling.T5Attention._relative_position_bucket(relative, bidirectional, n_buckets, max_distance)
    found = t5.relative_position_bucket(
        relative, bidirectional=bidirectional, n_buckets=n_buckets, max_distance=max_distance
    )
    assert torch.equal(found, expected)


def test_shift_right_is_hugging_faces(both):
    _, theirs = both
    _, _, labels = drawn(4)
    labels[1, 3:] = -100
    assert torch.equal(t5.shift_right(labels, start_id=0, pad_id=0), theirs._shift_right(labels))


# --- span corruption by T5's own procedures, written from their description -------------------------------------------


def sides_by_t5(tokens: list[int], mask: list[bool], sentinel: int) -> tuple[list[int], list[int]]:
    """Inputs: runs of noise become sentinels, counted down. Targets: the same of the inverted mask."""

    def one(noise: list[bool]) -> list[int]:
        out, number = [], 0
        for i, (token, n) in enumerate(zip(tokens, noise, strict=True)):
            if not n:
                out.append(token)
            elif i == 0 or not noise[i - 1]:
                out.append(sentinel - number)
                number += 1
        return out

    return one(mask), one([not n for n in mask])


@given(st.integers(2, 80), st.floats(0.05, 0.9), st.floats(1, 8), st.integers(0, 999))
@settings(max_examples=200, deadline=None)
def test_both_sides_are_those_of_t5s_code(length, density, mean, seed):
    """T5 marks kept runs in the targets; on masks that start with text and end with noise that is the same."""
    source = torch.Generator().manual_seed(seed)
    tokens = torch.randint(100, (length,), generator=source)
    mask = t5.random_spans_noise_mask(length, density, mean, source)
    found = t5.span_corrupt(tokens, mask, list(range(999, 899, -1)))
    assert tuple(x.tolist() for x in found) == sides_by_t5(tokens.tolist(), mask.tolist(), 999)


def test_hugging_faces_collator_plans_the_same_lengths():
    """compute_input_and_target_lengths of their Flax example, where no clamp acts and its start is small enough."""

    def theirs(inputs_length: int, density: float, mean: float) -> tuple[int, int]:
        def lengths(tokens_length: int) -> tuple[int, int]:
            n = round(tokens_length * density)
            s = round(n / mean)
            return tokens_length - n + s + 1, n + s + 1

        tokens_length = inputs_length
        while lengths(tokens_length + 1)[0] <= inputs_length:
            tokens_length += 1
        targets_length = lengths(tokens_length)[1]
        if density == 0.5 and targets_length > inputs_length:
            tokens_length, targets_length = tokens_length - 1, targets_length - 1
        return tokens_length, targets_length

    for inputs_length, density, mean in itertools.product((64, 114, 256, 512), (0.1, 0.15, 0.3), (2.0, 3.0, 5.0)):
        assert t5.t5_lengths(inputs_length, density, mean) == theirs(inputs_length, density, mean)


def test_lengths_are_those_of_what_is_made():
    for inputs_length, density, mean in itertools.product((20, 64, 130), (0.1, 0.15, 0.5, 0.7), (1.0, 3.0, 9.0)):
        tokens_length, targets_length = t5.t5_lengths(inputs_length, density, mean)
        mask = t5.random_spans_noise_mask(tokens_length, density, mean)
        inputs, targets = t5.span_corrupt(torch.zeros(tokens_length, dtype=torch.long), mask, range(1, 200), eos_id=0)
        assert len(inputs) <= inputs_length
        assert len(targets) == targets_length


@given(st.integers(1, 60), st.data())
@settings(max_examples=100, deadline=None)
def test_reconstruction_inverts_corruption(length, data):
    tokens = torch.tensor(data.draw(st.lists(st.integers(0, 50), min_size=length, max_size=length)))
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=length, max_size=length)))
    for eos_id, final in itertools.product((None, 1), (False, True)):
        sides = t5.span_corrupt(tokens, mask, range(100, 200), eos_id=eos_id, final_sentinel=final)
        assert torch.equal(t5.reconstruct(*sides, range(100, 200), eos_id=eos_id), tokens)


def test_compositions_are_uniform():
    """Pearson's chi-square over all 35 ways to cut 8 items into 4, at a false alarm of 1e-6 (the seed is fixed)."""
    stats = pytest.importorskip("scipy.stats")
    rows = t5.random_segmentation(8, 4, torch.Generator().manual_seed(0), batch_size=35_000)
    found = Counter(map(tuple, rows.tolist()))
    assert len(found) == math.comb(7, 3)
    assert stats.chisquare(list(found.values())).pvalue > 1e-6


def test_infilling_spans_are_poisson():
    """With a budget that hardly ever cuts, the lengths between masks follow the distribution that was asked for."""
    stats = pytest.importorskip("scipy.stats")
    n = 60_000
    tokens = torch.arange(1, n + 1)
    out = t5.text_infilling(tokens, 0.1, 3.0, mask_id=0, generator=torch.Generator().manual_seed(0)).numpy()
    assert (out != 0).sum() == n - math.ceil(0.1 * n)
    # A mask between two tokens that stay shows its length: the gap between them.
    single = (out[1:-1] == 0) & (out[:-2] > 0) & (out[2:] > 0)
    lengths = (out[2:] - out[:-2] - 1)[single]
    observed = numpy.bincount(lengths, minlength=12)[:12]
    expected = stats.poisson.pmf(numpy.arange(12), 3.0)
    expected = expected / expected.sum() * observed.sum()
    assert stats.chisquare(observed, expected).pvalue > 1e-6


def test_a_real_tokenizer_makes_the_round_trip():
    texts = ["Thank you for inviting me to your party last week."] * 3
    tokenizer = Tokenizer.train(texts, 330, [f"<extra_id_{i}>" for i in range(10)])
    sentinels = t5.sentinel_ids(tokenizer)
    tokens = torch.tensor(tokenizer.encode(texts[0]))
    mask = t5.random_spans_noise_mask(len(tokens), 0.3, 3.0, torch.Generator().manual_seed(0))
    inputs, targets = t5.span_corrupt(tokens, mask, sentinels, eos_id=tokenizer.eos_id)
    assert tokenizer.decode(t5.reconstruct(inputs, targets, sentinels, eos_id=tokenizer.eos_id).tolist()) == texts[0]
    text = tokenizer.decode(inputs.tolist())
    assert text.count("<extra_id_") == int((mask & ~mask.roll(1)).sum())
    assert tokenizer.encode(text) == inputs[:-1].tolist()


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_lower_precision_stays_close(dtype, limit):
    exact = t5.Seq2Seq(t5.T5Config(**SIZES), torch.Generator().manual_seed(0)).double()
    small = t5.Seq2Seq(t5.T5Config(**SIZES)).to(dtype)
    small.load_state_dict(exact.state_dict())
    src, mask, tgt = drawn(1)
    with torch.no_grad():
        found, expected = small(src, mask, tgt), exact(src, mask, tgt)
    assert found.dtype == dtype
    assert (found.double() - expected).abs().max() / expected.abs().max() < limit
