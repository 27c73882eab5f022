"""A valid solution in plain Python: lists, loops over tokens, attention with its softmax written out."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


def random_segmentation(n_items, n_segments, generator=None, *, batch_size=None):
    if n_segments < 1 or n_segments > n_items:
        raise ValueError("every segment needs an item")
    if batch_size is not None:
        rows = [random_segmentation(n_items, n_segments, generator) for _ in range(batch_size)]
        return torch.stack(rows) if rows else torch.zeros(0, n_segments, dtype=torch.int64)
    places = torch.randperm(n_items - 1, generator=generator).tolist()[: n_segments - 1]
    bounds = [0, *sorted(place + 1 for place in places), n_items]
    return torch.tensor([b - a for a, b in itertools.pairwise(bounds)])


def noise_counts(length, noise_density=0.15, mean_span_length=3.0):
    if length <= 1 or noise_density == 0.0:
        return 0, 0
    n = round(length * noise_density)
    if n < 1:
        n = 1
    if n > length - 1:
        n = length - 1
    s = round(n / mean_span_length)
    if s < 1:
        s = 1
    return n, min([s, n, length - n])


def random_spans_noise_mask(length, noise_density=0.15, mean_span_length=3.0, generator=None, *, batch_size=None):
    if batch_size is not None:
        rows = [random_spans_noise_mask(length, noise_density, mean_span_length, generator) for _ in range(batch_size)]
        return torch.stack(rows)
    n, s = noise_counts(length, noise_density, mean_span_length)
    if n == 0:
        return torch.tensor([False] * length, dtype=torch.bool)
    mask = []
    kept = random_segmentation(length - n, s, generator).tolist()
    noise = random_segmentation(n, s, generator).tolist()
    for a, b in zip(kept, noise):
        mask += [False] * a
        mask += [True] * b
    return torch.tensor(mask)


def sentinel_ids(tokenizer):
    ids = []
    for i in itertools.count():
        try:
            ids.append(tokenizer.id(f"<extra_id_{i}>"))
        except KeyError:
            break
    return ids


def span_corrupt(tokens, mask, sentinel_ids, *, eos_id=None, final_sentinel=False):
    if tokens.dim() > 1:
        options = {"eos_id": eos_id, "final_sentinel": final_sentinel}
        shape = {(sum(row), sum(1 for value, _ in itertools.groupby(row) if value)) for row in mask.tolist()}
        if len(shape) > 1:
            raise ValueError("rows of different shapes")
        rows = [span_corrupt(a, b, sentinel_ids, **options) for a, b in zip(tokens, mask)]
        return torch.stack([a for a, _ in rows]), torch.stack([b for _, b in rows])
    sentinels = list(sentinel_ids)
    if set(sentinels) & set(tokens.tolist()):
        raise ValueError("a sentinel in the text")
    unused = iter(sentinels)

    def sentinel():
        for found in unused:
            return found
        raise ValueError("not enough sentinels")

    inputs, targets = [], []
    for noise, group in itertools.groupby(zip(mask.tolist(), tokens.tolist()), key=lambda pair: pair[0]):
        words = [token for _, token in group]
        if noise:
            mark = sentinel()
            inputs.append(mark)
            targets += [mark, *words]
        else:
            inputs += words
    if final_sentinel:
        targets.append(sentinel())
    if eos_id is not None:
        inputs.append(eos_id)
        targets.append(eos_id)
    return torch.tensor(inputs, dtype=torch.int64), torch.tensor(targets, dtype=torch.int64)


def reconstruct(inputs, targets, sentinel_ids, *, eos_id=None):
    inputs, targets, sentinels = inputs.tolist(), targets.tolist(), list(sentinel_ids)
    if eos_id is not None:
        if inputs[-1:] != [eos_id] or targets[-1:] != [eos_id]:
            raise ValueError("no EOS")
        inputs, targets = inputs[:-1], targets[:-1]
    spans = []
    for token in targets:
        if token in sentinels:
            spans.append((token, []))
        elif not spans:
            raise ValueError("the targets do not begin with a sentinel")
        else:
            spans[-1][1].append(token)
    used = [token for token in inputs if token in sentinels]
    marks = [mark for mark, _ in spans]
    if len(marks) == len(used) + 1 and not spans[-1][1] and marks == sentinels[: len(marks)]:
        spans.pop()
        marks.pop()
    if used != sentinels[: len(used)] or marks != used:
        raise ValueError("the sentinels do not match")
    by_mark = dict(spans)
    text = []
    for token in inputs:
        text += by_mark.get(token, [token]) if token in sentinels else [token]
    return torch.tensor(text, dtype=torch.int64)


def t5_lengths(inputs_length, noise_density=0.15, mean_span_length=3.0):
    def plan(n_tokens):
        n, s = noise_counts(n_tokens, noise_density, mean_span_length)
        return (n_tokens - n) + s + 1, n + s + 1

    n_tokens = 1
    while plan(n_tokens)[0] <= inputs_length:
        n_tokens += 1
    n_tokens -= 1
    if noise_density == 0.5 and plan(n_tokens)[1] > inputs_length:
        n_tokens -= 1
    return n_tokens, plan(n_tokens)[1]


def shift_right(labels, *, start_id, pad_id):
    out = torch.empty_like(labels)
    out[..., 0] = start_id
    out[..., 1:] = labels[..., :-1]
    return torch.where(out == -100, torch.full_like(out, pad_id), out)


def _ordinary(tokens, special_mask):
    if special_mask is None:
        return [True] * len(tokens)
    return [not special for special in special_mask.tolist()]


def _chance(generator):
    return torch.rand((), generator=generator, dtype=torch.float64).item()


def token_masking(tokens, p, mask_id, generator=None, *, special_mask=None):
    draws = torch.rand(len(tokens), generator=generator).tolist()
    pairs = zip(tokens.tolist(), _ordinary(tokens, special_mask), draws)
    return torch.tensor([mask_id if ordinary and x < p else t for t, ordinary, x in pairs], dtype=torch.int64)


def token_deletion(tokens, p, generator=None, *, special_mask=None):
    draws = torch.rand(len(tokens), generator=generator).tolist()
    pairs = zip(tokens.tolist(), _ordinary(tokens, special_mask), draws)
    return torch.tensor([t for t, ordinary, x in pairs if not ordinary or x >= p], dtype=torch.int64)


def text_infilling(tokens, ratio=0.3, poisson_lambda=3.0, *, mask_id, generator=None, special_mask=None):
    ordinary = _ordinary(tokens, special_mask)
    budget = math.ceil(ratio * sum(ordinary))
    if budget == 0:
        return tokens.clone()
    lengths = []
    while sum(lengths) < budget:
        length = int(torch.poisson(torch.tensor(float(poisson_lambda)), generator=generator))
        lengths.append(min(length, budget - sum(lengths)))
    lengths = [lengths[i] for i in torch.randperm(len(lengths), generator=generator).tolist()]
    # Which of the items that will stand in the text are spans: every choice is equally likely.
    kept = sum(ordinary) - budget
    items = [None] * kept + [0] * len(lengths)
    items = [items[i] for i in torch.randperm(len(items), generator=generator).tolist()]
    queue = iter(lengths)
    items = [item if item is None else next(queue) for item in items]
    out, place, texts = [], 0, tokens.tolist()

    def pass_special():
        nonlocal place
        while place < len(texts) and not ordinary[place]:
            out.append(texts[place])
            place += 1

    for item in items:
        if place == 0:
            pass_special()
        if item is None:
            pass_special()
            out.append(texts[place])
            place += 1
            continue
        out.append(mask_id)
        for _ in range(item):
            pass_special()
            place += 1
    pass_special()
    return torch.tensor(out, dtype=torch.int64)


def sentence_permutation(tokens, end_id, generator=None, *, special_mask=None):
    ordinary = _ordinary(tokens, special_mask)
    sentences = [[]]
    for token, counts in zip(tokens.tolist(), ordinary):
        if counts:
            sentences[-1].append(token)
            if token == end_id:
                sentences.append([])
    if not sentences[-1]:
        sentences.pop()
    order = torch.randperm(len(sentences), generator=generator).tolist()
    words = iter([token for i in order for token in sentences[i]])
    return torch.tensor(
        [next(words) if counts else t for t, counts in zip(tokens.tolist(), ordinary)], dtype=torch.int64
    )


def document_rotation(tokens, generator=None, *, special_mask=None):
    ordinary = _ordinary(tokens, special_mask)
    text = [t for t, counts in zip(tokens.tolist(), ordinary) if counts]
    start = int(_chance(generator) * len(text))
    words = iter(text[start:] + text[:start])
    return torch.tensor(
        [next(words) if counts else t for t, counts in zip(tokens.tolist(), ordinary)], dtype=torch.int64
    )


LABELS = {"cola": ("unacceptable", "acceptable"), "mnli": ("entailment", "neutral", "contradiction")}
_SOURCES = {
    "translation": "translate {from} to {to}: {text}",
    "summarization": "summarize: {text}",
    "cola": "cola sentence: {sentence}",
    "mnli": "mnli hypothesis: {hypothesis} premise: {premise}",
    "stsb": "stsb sentence1: {sentence1} sentence2: {sentence2}",
}


def to_text(task, example):
    if task not in _SOURCES:
        raise ValueError(f"no task is called {task}")
    source = _SOURCES[task].format_map(example)
    if task in LABELS:
        return source, LABELS[task][example["label"]]
    if task == "stsb":
        return source, str(round(example["score"] * 5) / 5)
    return source, example["translation" if task == "translation" else "summary"]


def from_text(task, text):
    if task not in _SOURCES:
        raise ValueError(f"no task is called {task}")
    said = text.strip()
    if task in LABELS:
        return {word: label for label, word in enumerate(LABELS[task])}.get(said)
    if task == "stsb":
        numbers = {f"{k // 10}.{k % 10}": k / 10 for k in range(51)}
        return numbers.get(said)
    return said


@dataclass(frozen=True)
class T5Config:
    vocab_size: int
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 256
    n_buckets: int = 32
    max_distance: int = 128


def _bucket(relative, bidirectional, n_buckets, max_distance):
    bucket = 0
    if bidirectional:
        n_buckets //= 2
        if relative > 0:
            bucket = n_buckets
        relative = abs(relative)
    else:
        relative = max(-relative, 0)
    half = n_buckets // 2
    if relative < half:
        return bucket + relative
    grown = math.log(relative / half) / math.log(max_distance / half) * (n_buckets - half)
    return bucket + min(half + int(grown), n_buckets - 1)


def relative_position_bucket(relative_position, *, bidirectional, n_buckets=32, max_distance=128):
    flat = [_bucket(r, bidirectional, n_buckets, max_distance) for r in relative_position.reshape(-1).tolist()]
    return torch.tensor(flat, dtype=torch.int64, device=relative_position.device).reshape(relative_position.shape)


def relative_position_bias(table, length, *, bidirectional, max_distance=128):
    rows = [[_bucket(j - i, bidirectional, len(table), max_distance) for j in range(length)] for i in range(length)]
    return torch.stack([column[torch.tensor(rows)] for column in table.unbind(1)])[None]


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config.d_model % config.n_heads:
            raise ValueError("d_model must be a multiple of n_heads")
        self.n_heads = config.n_heads
        self.q = nn.Linear(config.d_model, config.d_model, bias=False)
        self.k = nn.Linear(config.d_model, config.d_model, bias=False)
        self.v = nn.Linear(config.d_model, config.d_model, bias=False)
        self.out = nn.Linear(config.d_model, config.d_model, bias=False)

    def forward(self, x, context, mask, bias=None):
        b, t, c = x.shape
        s, d = context.shape[1], c // self.n_heads
        q = self.q(x).reshape(b, t, self.n_heads, d)
        k = self.k(context).reshape(b, s, self.n_heads, d)
        v = self.v(context).reshape(b, s, self.n_heads, d)
        scores = torch.einsum("bthd,bshd->bhts", q, k)
        if bias is not None:
            scores = scores + bias
        weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
        return self.out(torch.einsum("bhts,bshd->bthd", weights, v).reshape(b, t, c))


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.up = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x):
        return self.down(F.relu(self.up(x)))


class EncoderBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.attention = Attention(config)
        self.feed_forward_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.feed_forward = FeedForward(config)

    def forward(self, x, mask, bias):
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, mask, bias)
        return x + self.feed_forward(self.feed_forward_norm(x))


class DecoderBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.attention = Attention(config)
        self.cross_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.cross_attention = Attention(config)
        self.feed_forward_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.feed_forward = FeedForward(config)

    def forward(self, x, mask, bias, memory, memory_mask):
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, mask, bias)
        x = x + self.cross_attention(self.cross_norm(x), memory, memory_mask, None)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Seq2Seq(nn.Module):
    def __init__(self, config, generator=None):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder_bias = nn.Embedding(config.n_buckets, config.n_heads)
        self.decoder_bias = nn.Embedding(config.n_buckets, config.n_heads)
        self.encoder = nn.ModuleList(EncoderBlock(config) for _ in range(config.n_layers))
        self.encoder_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.decoder = nn.ModuleList(DecoderBlock(config) for _ in range(config.n_layers))
        self.decoder_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                std = parameter.shape[-1] ** -0.5
                if name.endswith("q.weight"):
                    std /= (config.d_model // config.n_heads) ** 0.5
                elif name == "embedding.weight":
                    std = 1.0
                elif name.endswith("_bias.weight"):
                    std = config.d_model**-0.5
                nn.init.normal_(parameter, std=std, generator=generator)

    def encode(self, src, src_mask):
        settings = {"bidirectional": True, "max_distance": self.config.max_distance}
        bias = relative_position_bias(self.encoder_bias.weight, src.shape[1], **settings)
        x = self.embedding(src)
        for block in self.encoder:
            x = block(x, src_mask[:, None, None, :], bias)
        return self.encoder_norm(x)

    def decode(self, memory, src_mask, tgt_in):
        length = tgt_in.shape[1]
        settings = {"bidirectional": False, "max_distance": self.config.max_distance}
        bias = relative_position_bias(self.decoder_bias.weight, length, **settings)
        causal = (torch.arange(length)[None, :] <= torch.arange(length)[:, None])[None, None]
        x = self.embedding(tgt_in)
        for block in self.decoder:
            x = block(x, causal, bias, memory, src_mask[:, None, None, :])
        x = self.decoder_norm(x) / math.sqrt(self.config.d_model)
        return x @ self.embedding.weight.t()

    def forward(self, src, src_mask, tgt_in):
        return self.decode(self.encode(src, src_mask), src_mask, tgt_in)


def seq2seq_loss(logits, labels):
    counted = labels != -100
    if not counted.any():
        return 0.0 * logits.sum()
    log_p = logits[counted].log_softmax(-1)
    return -log_p[torch.arange(len(log_p)), labels[counted]].mean()


def train_t5(
    config, tokens, steps, *, sentinel_ids, eos_id, pad_id, inputs_length=64, noise_density=0.15, mean_span_length=3.0,
    batch_size=32, learning_rate=1e-3, generator=None, device=None, on_step=None,
):  # fmt: skip
    length = t5_lengths(inputs_length, noise_density, mean_span_length)[0]
    last = len(tokens) - length
    if last < 0:
        raise ValueError("the stream is shorter than a window")
    model = Seq2Seq(config, generator)
    if device is not None:
        model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    losses = []
    rising = max(steps // 10, 1)
    for number in range(steps):
        for group in optimizer.param_groups:
            falling = (steps - number) / max(steps - rising, 1)
            group["lr"] = learning_rate * min((number + 1) / rising, falling)
        sides = []
        for _ in range(batch_size):
            start = int(_chance(generator) * (last + 1))
            mask = random_spans_noise_mask(length, noise_density, mean_span_length, generator)
            sides.append(span_corrupt(tokens[start : start + length], mask, sentinel_ids, eos_id=eos_id))
        src = torch.stack([inputs for inputs, _ in sides]).to(device)
        labels = torch.stack([targets for _, targets in sides]).to(device)
        read = shift_right(labels, start_id=pad_id, pad_id=pad_id)
        loss = seq2seq_loss(model(src, torch.ones_like(src).bool(), read), labels)
        losses.append(loss.item())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if on_step:
            on_step(number + 1, model)
    return model, losses


@torch.no_grad()
def greedy_decode(model, src, src_mask, *, start_id, eos_id, pad_id, max_new_tokens):
    rows = []
    for b in range(len(src)):
        written = [start_id]
        while len(written) <= max_new_tokens and (len(written) == 1 or written[-1] != eos_id):
            logits = model(src[b : b + 1], src_mask[b : b + 1], torch.tensor([written], device=src.device))
            written.append(int(logits[0, -1].argmax()))
        rows.append(written[1:])
    width = max(len(row) for row in rows)
    return torch.tensor([row + [pad_id] * (width - len(row)) for row in rows], dtype=torch.int64, device=src.device)


def read_spans(written, n_spans, sentinel_ids, *, eos_id=None):
    text = list(written)
    if eos_id is not None and eos_id in text:
        text = text[: text.index(eos_id)]
    places = [i for i, token in enumerate(text) if token in set(sentinel_ids)] + [len(text)]
    spans = [[] for _ in range(n_spans)]
    for number, sentinel in enumerate(list(sentinel_ids)[:n_spans]):
        for a, b in itertools.pairwise(places):
            if text[a] == sentinel:
                spans[number] = text[a + 1 : b]
                break
    return spans


def fill_spans(model, tokenizer, text, max_new_tokens=64):
    sentinels = sentinel_ids(tokenizer)
    ids = list(tokenizer.encode(text))
    src = torch.tensor([[*ids, tokenizer.eos_id]])
    written = greedy_decode(
        model, src, torch.ones_like(src).bool(), start_id=tokenizer.pad_id, eos_id=tokenizer.eos_id,
        pad_id=tokenizer.pad_id, max_new_tokens=max_new_tokens,
    )  # fmt: skip
    blanks = len([i for i in ids if i in sentinels])
    spans = read_spans(written[0].tolist(), blanks, sentinels, eos_id=tokenizer.eos_id)
    return [tokenizer.decode(span) for span in spans]
