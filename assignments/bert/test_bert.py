"""Public tests of `bert`: examples of the handout and simple properties, for `autograder check bert`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, PythonSeed, TorchSeed, Wrong, checks, draws, part, raises

PAD, CLS, SEP, MASK = 0, 1, 2, 3
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "hot", "tea", "the", "milk"]
SENTENCES = st.lists(st.integers(4, 12), min_size=1, max_size=5)


def small_config(bert, **changes):
    """A config of a model that answers in a millisecond."""
    sizes = {"vocab_size": 12, "context_length": 16, "d_model": 8, "n_heads": 2, "n_layers": 2, "d_ff": 16}
    return bert.BertConfig(**{**sizes, "dropout": 0.0, **changes})


def example_pair(a, b, max_len):
    """The longer sentence loses its last token, `b` where both are equally long; then the special tokens."""
    a, b = list(a), list(b)
    while len(a) + len(b) + 3 > max_len:
        (a if len(a) > len(b) else b).pop()
    return [CLS, *a, SEP, *b, SEP], [0] * (len(a) + 2) + [1] * (len(b) + 1)


# --- BertEmbeddings


@part("BertEmbeddings")
@given(st.integers(1, 3), st.integers(1, 4), draws.seeds())
def test_sum_and_norm(bert, b, t, seed):
    """The sum adds the rows of three tables, token 0, 1, 2, ... at positions 0, 1, 2, ...; `forward` normalises it."""
    ids = torch.randint(6, (b, t), generator=torch.Generator().manual_seed(seed))
    segments = torch.randint(2, (b, t), generator=torch.Generator().manual_seed(seed + 1))
    embeddings = bert.BertEmbeddings(6, 4, 5)
    embeddings.double()
    w = embeddings.state_dict()
    total = w["word.weight"][ids] + w["position.weight"][:t] + w["segment.weight"][segments]
    checks.close(embeddings.embed_sum(ids, segments), total, rtol=1e-9, atol=1e-12)
    checks.close(embeddings(ids, segments), F.layer_norm(total, (4,), eps=1e-12), rtol=1e-7, atol=1e-9)


@part("BertEmbeddings")
def test_six_tokens_do_not_fit_five_positions(bert):
    """A sequence longer than `max_len` raises ValueError."""
    embeddings = bert.BertEmbeddings(6, 4, 5)
    with raises("ValueError"):
        embeddings(torch.zeros(1, 6, dtype=torch.int64))


# --- pad_batch


@part("pad_batch")
def test_padding_of_the_handout(bert):
    """[[5, 6, 7], [8]] becomes two rows of three, and the mask is True at the four real tokens."""
    ids, mask = torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([[True, True, True], [True, False, False]])
    checks.equal(bert.pad_batch([[5, 6, 7], [8]], pad_id=0), (ids, mask))


@part("pad_batch")
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=5), min_size=1, max_size=3), st.integers(1, 6))
def test_rows_are_cut_and_filled_up(bert, sequences, max_len):
    """Row i begins with the first `max_len` tokens of sequence i; the rest is padding, and the mask says so."""
    ids, mask = bert.pad_batch(sequences, 0, max_len)
    for i, sequence in enumerate(sequences):
        n = len(sequence[:max_len])
        checks.equal(ids[i, :n].tolist(), sequence[:max_len])
        checks.equal((ids[i] != 0).tolist(), mask[i].tolist())


# --- mask_tokens


@part("mask_tokens")
def test_masking_of_the_handout(bert):
    """With mlm_prob = mask_frac = 1 every token that is not special becomes [MASK], and its label is the original."""
    ids, special = torch.tensor([[7, 8]]), torch.tensor([[False, True]])
    options = {"mask_id": 4, "vocab_size": 9, "special_mask": special, "mlm_prob": 1.0, "mask_frac": 1.0}
    returned = bert.mask_tokens(ids, random_frac=0.0, generator=TorchSeed(0), **options)
    checks.equal(returned, (torch.tensor([[4, 8]]), torch.tensor([[7, -100]])))


@part("mask_tokens")
@given(draws.seeds(), st.sampled_from([0.0, 0.3, 1.0]))
def test_labels_are_the_original_or_ignored(bert, seed, mlm_prob):
    """A label is -100 or the original token, and where it is -100 the input is as it was."""
    ids = torch.randint(4, 12, (3, 8), generator=torch.Generator().manual_seed(seed))
    special = ids == 4
    options = {"mask_id": MASK, "vocab_size": 12, "special_mask": special, "mlm_prob": mlm_prob}
    inputs, labels = bert.mask_tokens(ids, generator=TorchSeed(seed), **options)
    chosen = labels != -100
    checks.equal(torch.where(chosen, labels, ids), ids)
    checks.equal(torch.where(chosen, ids, inputs), ids)
    checks.holds(not bool((chosen & special).any()), "special tokens have no label", labels)


@part("mask_tokens")
def test_about_eighty_ten_ten(bert):
    """Of 100,000 tokens about 15 % are selected; of these about 80 % become [MASK]."""
    ids = torch.full((250, 400), 7)
    options = {"mask_id": MASK, "vocab_size": 50, "special_mask": torch.zeros(250, 400, dtype=torch.bool)}
    inputs, labels = bert.mask_tokens(ids, generator=TorchSeed(1), **options)
    chosen = labels != -100
    checks.proportion(int(chosen.sum()), 100_000, 0.15, "the share of selected tokens")
    share = 0.8 + 0.1 / 50
    checks.proportion(int((inputs == MASK).sum()), int(chosen.sum()), share, "the share of [MASK] among the selected")


# --- sentence pairs


@part("sentence_pairs")
def test_truncation_of_the_handout(bert):
    """([1, 2, 3, 4], [5, 6]) cut to four tokens is ([1, 2], [5, 6]); ([1, 2], [5, 6]) cut to three is ([1, 2], [5])."""
    checks.equal(bert.truncate_pair([1, 2, 3, 4], [5, 6], 4), ([1, 2], [5, 6]))
    checks.equal(bert.truncate_pair([1, 2], [5, 6], 3), ([1, 2], [5]))


@part("sentence_pairs")
def test_pair_of_the_handout(bert):
    """[7, 8] and [9] become [CLS] 7 8 [SEP] 9 [SEP] with segments 0 0 0 0 1 1."""
    returned = bert.make_sentence_pair([7, 8], [9], cls_id=1, sep_id=2, max_len=8)
    checks.equal(returned, ([1, 7, 8, 2, 9, 2], [0, 0, 0, 0, 1, 1]))


@part("sentence_pairs")
@given(SENTENCES, SENTENCES, st.integers(8, 14))
def test_ids_and_segments_are_equally_long(bert, a, b, max_len):
    """Ids and segments have one length, at most `max_len`, and the ids begin with [CLS] and end with [SEP]."""
    ids, segments = bert.make_sentence_pair(a, b, cls_id=CLS, sep_id=SEP, max_len=max_len)
    checks.holds(len(ids) == len(segments) <= max_len, "both are equally long, and not too long", ids, segments)
    checks.equal((ids[0], ids[-1], ids.count(SEP)), (CLS, SEP, 2))


# --- sample_nsp_pairs and collate_pairs


@part("sample_nsp_pairs")
@given(draws.seeds())
def test_pairs_of_the_handout(bert, seed):
    """[[[1], [2]], [[3]]] gives one example: ([1], [2], 0) or ([1], [3], 1)."""
    returned = bert.sample_nsp_pairs([[[1], [2]], [[3]]], PythonSeed(seed))
    checks.holds(returned in ([([1], [2], 0)], [([1], [3], 1)]), "it is one of the two", returned)


@part("sample_nsp_pairs")
def test_one_document_is_not_enough(bert):
    """With one document there is nowhere to take a random sentence from: ValueError."""
    with raises("ValueError"):
        bert.sample_nsp_pairs([[[1], [2], [3]]], PythonSeed(0))


@part("collate_pairs")
def test_batch_of_the_handout(bert):
    """Two pairs of different lengths: ids, segments, both masks, labels."""
    batch = bert.collate_pairs([([7, 8], [9], 0), ([7], [8], 1)], pad_id=0, cls_id=1, sep_id=2, max_len=8)
    ids = torch.tensor([[1, 7, 8, 2, 9, 2], [1, 7, 2, 8, 2, 0]])
    segments = torch.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]])
    special = torch.tensor([[1, 0, 0, 1, 0, 1], [1, 0, 1, 0, 1, 1]]).bool()
    checks.equal(tuple(batch), (ids, segments, ids != 0, special, torch.tensor([0, 1])))


# --- mlm_loss


@part("mlm_loss")
def test_uniform_logits_cost_ln_5(bert):
    """Logits of zeros for five words cost ln 5, and a position with label -100 costs nothing."""
    loss = bert.mlm_loss(torch.zeros(1, 2, 5), torch.tensor([[-100, 3]]))
    checks.close(loss, torch.tensor(math.log(5)), rtol=1e-5)


@part("mlm_loss")
@given(draws.tensors((2, 3, 4), dtype=torch.float64), st.lists(st.integers(-1, 3), min_size=6, max_size=6))
def test_loss_is_that_of_torch(bert, logits, labels):
    """The loss is torch's cross-entropy with ignore_index = -100, and 0 where nothing counts."""
    wanted = torch.tensor([-100 if label < 0 else label for label in labels]).reshape(2, 3)
    expected = F.cross_entropy(logits.flatten(0, 1), wanted.flatten()).nan_to_num(0.0)
    checks.close(bert.mlm_loss(logits, wanted), expected, rtol=1e-9, atol=1e-12)


# --- the model


@part("BertSelfAttention")
@given(st.integers(1, 3), st.integers(2, 4), draws.seeds())
def test_one_head_is_attention_of_the_projections(bert, c, t, seed):
    """With one head the layer is `out` of softmax(q k^T / sqrt(C)) v, and padding at the end is hidden."""
    x = torch.randn(2, t, c, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    layer = bert.BertSelfAttention(c, 1)
    layer.double()
    w = layer.state_dict()
    q, k, v = (F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"]) for name in "qkv")
    for real in (t, t - 1):
        mask = (torch.arange(t) < real).expand(2, t)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, :])
        expected = F.linear(mixed, w["out.weight"], w["out.bias"])
        checks.close(layer(x, mask), expected, rtol=1e-9, atol=1e-9)


@part("BertLayer")
@given(draws.seeds())
def test_the_output_is_normalised(bert, seed):
    """Post-norm: while the norms are as they start, each token of the output has mean 0 and variance 1."""
    x = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    layer = bert.BertLayer(small_config(bert))
    layer.double()
    y = layer(x)
    checks.tensor(y, shape=(2, 3, 8), dtype=torch.float64)
    checks.close(y.mean(-1), torch.zeros(2, 3, dtype=torch.float64), atol=1e-9)
    checks.close(y.var(-1, unbiased=False), torch.ones(2, 3, dtype=torch.float64), rtol=1e-6)


@part("BertForPreTraining")
@settings(max_examples=20)
@given(draws.seeds())
def test_both_heads_and_both_directions(bert, seed):
    """A logit for each word at each token and two for each pair; the first token's logits depend on the last token."""
    model = bert.BertForPreTraining(small_config(bert), generator=TorchSeed(seed))
    model.double()
    words, pair = model(torch.tensor([[1, 4, 5, 2]]))
    checks.tensor(words, shape=(1, 4, 12), dtype=torch.float64)
    checks.tensor(pair, shape=(1, 2), dtype=torch.float64)
    other, _ = model(torch.tensor([[1, 4, 5, 9]]))
    checks.holds(not torch.equal(other[0, 0], words[0, 0]), "the first token sees the last", other[0, 0])


@part("BertForPreTraining")
@given(draws.seeds())
def test_padding_changes_nothing(bert, seed):
    """Two tokens of padding behind a sequence change no output at its real tokens."""
    model = bert.BertForPreTraining(small_config(bert), generator=TorchSeed(seed))
    model.double()
    words, pair = model(torch.tensor([[1, 4, 5, 2]]))
    mask = torch.tensor([[True, True, True, True, False, False]])
    padded, padded_pair = model(torch.tensor([[1, 4, 5, 2, 7, 7]]), attention_mask=mask)
    checks.close(padded[:, :4].clone(), words, rtol=1e-9, atol=1e-12)
    checks.close(padded_pair, pair, rtol=1e-9, atol=1e-12)


# --- training and use


@part("train_mlm")
def test_the_loss_falls(bert):
    """Sixty steps on sentences that repeat one word give sixty losses, and the last ones are well below the first."""
    config = small_config(bert, d_model=32, n_layers=1, d_ff=64)
    documents = [[[4 + d % 8] * 4, [4 + d % 8] * 5] for d in range(32)]
    options = {"cls_id": CLS, "sep_id": SEP, "mask_id": MASK, "learning_rate": 1e-2, "generator": TorchSeed(0)}
    _, losses = bert.train_mlm(config, documents, 60, **options)
    checks.holds(len(losses) == 60, "there is one loss a step", len(losses))
    last = sum(losses[-5:]) / 5
    checks.holds(last < 0.8 * losses[0], "the last losses are a fifth below the first", last, 0.8 * losses[0])


@part("fill_mask")
def test_the_best_word_for_the_handout(bert):
    """A model that knows that `hot [MASK]` is `tea` or `milk` says so, with its probabilities, best first."""
    table = torch.full((8, 8, 8), -20.0)
    table[WORDS.index("hot"), SEP, WORDS.index("tea")] = math.log(3)
    table[WORDS.index("hot"), SEP, WORDS.index("milk")] = 0.0
    model = bert.make(Given("cloze.Neighbours"), table)
    tokenizer = bert.make(Given("cloze.Words"), WORDS)
    returned = bert.fill_mask(model, tokenizer, "the hot [MASK]", k=2)
    checks.close(returned, [("tea", 0.75), ("milk", 0.25)], rtol=1e-5)
    with raises("ValueError"):
        bert.fill_mask(model, tokenizer, "the hot tea", k=2)


# --- named mistakes: what each would return


def _padded(sequences, pad_id, max_len=None, *, left=False, front=False, by_id=False, wide=False):
    rows = [list(s)[-max_len:] if front and max_len else list(s)[:max_len] for s in sequences]
    t = max_len if wide and max_len else max(map(len, rows))
    fill = [[pad_id] * (t - len(row)) for row in rows]
    ids = torch.tensor([f + row if left else row + f for row, f in zip(rows, fill)])
    real = torch.tensor([[False] * len(f) + [True] * len(r) if left else [True] * len(r) + [False] * len(f)
                         for r, f in zip(rows, fill)])  # fmt: skip
    return ids, (ids != pad_id) if by_id else real


def _cut(a, b, max_tokens, *, tie_a=False, front=False, only=None):
    a, b = list(a), list(b)
    while len(a) + len(b) > max_tokens:
        longer = a if len(a) > len(b) or (tie_a and len(a) == len(b)) else b
        longer = {"a": a, "b": b}.get(only, longer)
        longer.pop(0 if front else -1)
    return a, b


def _pair(a, b, cls_id, sep_id, max_len, *, specials=3, end=1):
    a, b = _cut(a, b, max_len - specials)
    return [cls_id, *a, sep_id, *b, sep_id], [0] * (len(a) + 2) + [1] * len(b) + [end]


def _everything_masked(input_ids, special_mask, mask_id, label, mlm_prob, mask_frac):
    if mlm_prob != 1 or mask_frac != 1:
        raise ValueError("only certain outcomes can be compared")
    inputs = input_ids.masked_fill(~special_mask, mask_id)
    return inputs, label(input_ids, inputs, special_mask)


def _masked(label):
    def formula(input_ids, *, mask_id, special_mask, mlm_prob=0.15, mask_frac=0.8, **_):
        return _everything_masked(input_ids, special_mask, mask_id, label, mlm_prob, mask_frac)

    return formula


def _per_token(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="none")


WRONG = [
    Wrong("pads_on_the_left", "pad_batch", lambda s, pad_id, max_len=None: _padded(s, pad_id, max_len, left=True),
          "Rows are filled up on the left; BERT's positions need padding on the right."),
    Wrong("mask_compares_ids", "pad_batch", lambda s, pad_id, max_len=None: _padded(s, pad_id, max_len, by_id=True),
          "The mask is `input_ids != pad_id`, which takes a real token with that id for padding: use the lengths."),
    Wrong("cuts_the_beginning", "pad_batch", lambda s, pad_id, max_len=None: _padded(s, pad_id, max_len, front=True),
          "A sequence that is too long loses its beginning; it must lose its end."),
    Wrong("always_max_len_wide", "pad_batch", lambda s, pad_id, max_len=None: _padded(s, pad_id, max_len, wide=True),
          "Rows are filled up to `max_len`; they must end where the longest one ends."),
    Wrong("labels_hold_the_changed_tokens", "mask_tokens",
          _masked(lambda ids, inputs, special: inputs.masked_fill(special, -100)),
          "Labels hold the tokens after masking; they must hold the original ones."),
    Wrong("labels_everywhere", "mask_tokens", _masked(lambda ids, inputs, special: ids.clone()),
          "Every token has a label, so the loss counts all of them; only selected ones count."),
    Wrong("labels_where_nothing_was_selected", "mask_tokens",
          _masked(lambda ids, inputs, special: ids.masked_fill(~special, -100)),
          "-100 stands where tokens were selected; it must stand where they were not."),
    Wrong("trims_a_where_equal", "truncate_pair", lambda a, b, max_tokens: _cut(a, b, max_tokens, tie_a=True),
          "Where both are equally long, `a` loses a token; it must be `b`."),
    Wrong("trims_the_beginning", "truncate_pair", lambda a, b, max_tokens: _cut(a, b, max_tokens, front=True),
          "Sentences lose their beginnings; they must lose their ends."),
    Wrong("trims_b_first", "truncate_pair", lambda a, b, max_tokens: _cut(a, b, max_tokens, only="b"),
          "`b` is cut first, whichever is longer."),
    Wrong("trims_a_first", "truncate_pair", lambda a, b, max_tokens: _cut(a, b, max_tokens, only="a"),
          "`a` is cut first, whichever is longer."),
    Wrong("last_sep_in_segment_zero", "make_sentence_pair",
          lambda a, b, *, cls_id, sep_id, max_len: _pair(a, b, cls_id, sep_id, max_len, end=0),
          "The last [SEP] is in segment 0; it belongs to segment 1."),
    Wrong("forgets_the_specials_in_max_len", "make_sentence_pair",
          lambda a, b, *, cls_id, sep_id, max_len: _pair(a, b, cls_id, sep_id, max_len, specials=0),
          "The three special tokens are not counted in `max_len`."),
    Wrong("mean_over_all_positions", "mlm_loss", lambda logits, labels: _per_token(logits, labels).mean(),
          "The sum is divided by the number of all positions, not of those that count."),
    Wrong("shifts_the_labels", "mlm_loss",
          lambda logits, labels: F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()),
          "Labels are shifted, as for a causal model; BERT predicts the token at its own place."),
    Wrong("nan_where_nothing_counts", "mlm_loss",
          lambda logits, labels: F.cross_entropy(logits.flatten(0, 1), labels.flatten()),
          "Where nothing counts, 0 / 0 is NaN; the loss is 0."),
]  # fmt: skip
