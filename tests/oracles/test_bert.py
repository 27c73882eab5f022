"""The reference of `bert` against independent libraries: Hugging Face's BERT and collator, scipy."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import reference

bert = reference("bert")

SIZES = {"vocab_size": 37, "context_length": 16, "d_model": 24, "n_heads": 3, "n_layers": 2, "d_ff": 40}


def names_of(n_layers: int) -> dict[str, str]:
    """The names of Hugging Face's parameters, by ours."""
    pairs = {
        "embeddings.word.weight": "bert.embeddings.word_embeddings.weight",
        "embeddings.position.weight": "bert.embeddings.position_embeddings.weight",
        "embeddings.segment.weight": "bert.embeddings.token_type_embeddings.weight",
        "mlm_bias": "cls.predictions.bias",
    }
    modules = {
        "embeddings.norm": "bert.embeddings.LayerNorm",
        "mlm_dense": "cls.predictions.transform.dense",
        "mlm_norm": "cls.predictions.transform.LayerNorm",
        "pooler": "bert.pooler.dense",
        "nsp": "cls.seq_relationship",
    }
    for i in range(n_layers):
        theirs = f"bert.encoder.layer.{i}"
        modules |= {
            f"layers.{i}.attention.q": f"{theirs}.attention.self.query",
            f"layers.{i}.attention.k": f"{theirs}.attention.self.key",
            f"layers.{i}.attention.v": f"{theirs}.attention.self.value",
            f"layers.{i}.attention.out": f"{theirs}.attention.output.dense",
            f"layers.{i}.attention_norm": f"{theirs}.attention.output.LayerNorm",
            f"layers.{i}.ff_in": f"{theirs}.intermediate.dense",
            f"layers.{i}.ff_out": f"{theirs}.output.dense",
            f"layers.{i}.ff_norm": f"{theirs}.output.LayerNorm",
        }
    for ours, theirs in modules.items():
        pairs |= {f"{ours}.{kind}": f"{theirs}.{kind}" for kind in ("weight", "bias")}
    return pairs


def both(dropout: float = 0.0):
    """(our model, Hugging Face's) in float64 and with the same random weights."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=SIZES["vocab_size"],
        max_position_embeddings=SIZES["context_length"],
        hidden_size=SIZES["d_model"],
        num_attention_heads=SIZES["n_heads"],
        num_hidden_layers=SIZES["n_layers"],
        intermediate_size=SIZES["d_ff"],
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    theirs = transformers.BertForPreTraining(config).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(std=0.4)
    ours = bert.BertForPreTraining(bert.BertConfig(**SIZES, dropout=dropout)).double()
    weights = theirs.state_dict()
    ours.load_state_dict({name: weights[other] for name, other in names_of(SIZES["n_layers"]).items()})
    return ours, theirs


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    input_ids = torch.randint(SIZES["vocab_size"], (3, 11), generator=generator)
    segment_ids = torch.randint(2, (3, 11), generator=generator)
    return input_ids, segment_ids, torch.arange(11) < torch.tensor([11, 7, 2])[:, None]


def test_every_parameter_has_its_counterpart():
    ours, theirs = both()
    assert set(dict(ours.named_parameters())) == set(names_of(SIZES["n_layers"]))
    assert set(dict(theirs.named_parameters())) == set(names_of(SIZES["n_layers"]).values())


def test_outputs_are_those_of_hugging_face():
    ours, theirs = both()
    input_ids, segment_ids, real = batch()
    theirs.eval()
    for mask in (None, real):
        want = theirs(input_ids, attention_mask=None if mask is None else mask.long(), token_type_ids=segment_ids)
        words, pair = ours(input_ids, segment_ids, mask)
        keep = torch.ones_like(real) if mask is None else mask
        torch.testing.assert_close(words[keep], want.prediction_logits[keep], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(pair, want.seq_relationship_logits, rtol=1e-9, atol=1e-9)


def test_loss_and_gradients_are_those_of_hugging_face():
    ours, theirs = both()
    theirs.eval()
    input_ids, segment_ids, real = batch()
    labels = input_ids.masked_fill(torch.rand(input_ids.shape, generator=torch.Generator().manual_seed(2)) < 0.6, -100)
    labels = labels.masked_fill(~real, -100)
    order = torch.tensor([0, 1, 1])
    want = theirs(input_ids, real.long(), segment_ids, labels=labels, next_sentence_label=order).loss
    words, pair = ours(input_ids, segment_ids, real)
    loss = bert.mlm_loss(words, labels) + F.cross_entropy(pair, order)
    torch.testing.assert_close(loss, want, rtol=1e-10, atol=0.0)
    loss.backward()
    want.backward()
    grads = {name: p.grad for name, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, grads[names_of(SIZES["n_layers"])[name]], rtol=1e-7, atol=1e-9)


def test_embeddings_are_those_of_hugging_face():
    ours, theirs = both()
    input_ids, segment_ids, _ = batch()
    positions = torch.arange(11).flip(0)[None]
    want = theirs.bert.embeddings(input_ids, segment_ids, positions)
    torch.testing.assert_close(ours.embeddings(input_ids, segment_ids, positions), want, rtol=1e-10, atol=1e-10)


def test_half_precision_stays_close_to_single():
    ours, _ = both()
    input_ids, segment_ids, real = batch()
    words, _ = ours.float()(input_ids, segment_ids, real)
    ours.bfloat16()
    half, half_pair = ours(input_ids, segment_ids, real)
    assert half.dtype == half_pair.dtype == torch.bfloat16
    error = (half.float() - words)[real].abs().mean() / words[real].abs().mean()
    assert error < 0.1


def test_compiles_without_a_graph_break():
    ours, _ = both()
    inputs = batch()
    compiled = torch.compile(ours.eval(), backend="eager", fullgraph=True)
    for got, want in zip(compiled(*inputs), ours(*inputs), strict=True):
        torch.testing.assert_close(got, want)


class _Collator:
    """What Hugging Face's collator asks of a tokenizer."""

    mask_token, pad_token, pad_token_id = "[MASK]", "[PAD]", 0

    def __len__(self) -> int:
        return 100

    def convert_tokens_to_ids(self, token: str) -> int:
        return 3


def test_masking_has_the_frequencies_of_hugging_faces_collator():
    """Both against the exact binomial distribution (scipy), over 400,000 tokens, at a false alarm of 1e-9 a count."""
    stats = pytest.importorskip("scipy.stats")
    transformers = pytest.importorskip("transformers")
    input_ids = torch.randint(4, 100, (400, 1000), generator=torch.Generator().manual_seed(0))
    special = torch.zeros_like(input_ids, dtype=torch.bool)
    special[:, ::10] = True
    collator = transformers.DataCollatorForLanguageModeling(tokenizer=_Collator(), seed=3)
    collator.create_rng()
    theirs = collator.torch_mask_tokens(input_ids.clone(), special_tokens_mask=special)
    ours = bert.mask_tokens(
        input_ids, mask_id=3, vocab_size=100, special_mask=special, generator=torch.Generator().manual_seed(3)
    )
    for inputs, labels in (ours, theirs):
        chosen = labels != -100
        assert torch.equal(labels[chosen], input_ids[chosen])
        assert not (chosen & special).any()
        n, m = int((~special).sum()), int(chosen.sum())
        masked, same = int((inputs == 3).sum()), int(((inputs == input_ids) & chosen).sum())
        for count, trials, p in ((m, n, 0.15), (masked, m, 0.8 + 0.1 / 100), (same, m, 0.1 + 0.1 / 100)):
            assert stats.binomtest(count, trials, p).pvalue > 1e-9


@settings(max_examples=200)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(2, 40))
def test_truncation_in_closed_form_is_one_token_after_the_other(len_a, len_b, max_tokens):
    a, b = list(range(len_a)), list(range(100, 100 + len_b))
    slow_a, slow_b = list(a), list(b)
    while len(slow_a) + len(slow_b) > max_tokens:
        (slow_a if len(slow_a) > len(slow_b) else slow_b).pop()
    assert bert.truncate_pair(a, b, max_tokens) == (slow_a, slow_b)


def test_random_sentences_are_uniform_over_documents_then_sentences():
    """The exact distribution, by scipy's chi-square over 30,000 pairs of three documents."""
    stats = pytest.importorskip("scipy.stats")
    documents = [[[s] for s in range(30_001)], [[-1]], [[-2], [-3], [-4]]]
    seen = Counter(b[0] for a, b, label in bert.sample_nsp_pairs(documents, random.Random(0)) if label and a[0] >= 0)
    counts = [seen[-1], seen[-2], seen[-3], seen[-4]]
    total = sum(counts)
    assert stats.chisquare(counts, [total / 2, total / 6, total / 6, total / 6]).pvalue > 1e-9


def test_loss_of_nothing_is_zero_where_torchs_is_nan():
    logits = torch.randn(2, 3, 5, requires_grad=True)
    labels = torch.full((2, 3), -100)
    assert math.isnan(F.cross_entropy(logits.flatten(0, 1), labels.flatten()).item())
    bert.mlm_loss(logits, labels).backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))
