"""A valid solution by counting, sorting and searching: shuffled marks, boundaries of buckets, stacked heads."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


def _shuffled(x, generator):
    return x[torch.randperm(x.shape[-1], generator=generator, device=x.device)]


def random_segmentation(n_items, n_segments, generator=None, *, batch_size=None):
    if not 0 < n_segments <= n_items:
        raise ValueError("cannot be cut like that")
    device = generator.device if generator is not None else None
    marks = (torch.arange(n_items - 1, device=device) < n_segments - 1).long()  # 1: an item that begins a segment

    def one():
        first = F.pad(_shuffled(marks, generator), (1, 0), value=0)
        return torch.bincount(first.cumsum(0), minlength=n_segments)

    return one() if batch_size is None else torch.stack([one() for _ in range(batch_size)])


def noise_counts(length, noise_density=0.15, mean_span_length=3.0):
    if length < 2 or not noise_density:
        return (0, 0)
    noise = max(min(round(noise_density * length), length - 1), 1)
    return noise, sorted((1, round(noise / mean_span_length), min(noise, length - noise)))[1]


def random_spans_noise_mask(length, noise_density=0.15, mean_span_length=3.0, generator=None, *, batch_size=None):
    noise, spans = noise_counts(length, noise_density, mean_span_length)
    rows = 1 if batch_size is None else batch_size
    masks = torch.zeros(rows, length, dtype=torch.bool, device=generator.device if generator is not None else None)
    for row in masks if noise else ():
        lengths = torch.stack(
            (random_segmentation(length - noise, spans, generator), random_segmentation(noise, spans, generator)), dim=1
        ).reshape(-1)
        turns = torch.tensor([False, True], device=lengths.device).repeat(spans)
        row.copy_(turns.repeat_interleave(lengths))
    return masks.squeeze(0) if batch_size is None else masks


def sentinel_ids(tokenizer):
    def known(i):
        try:
            return tokenizer.id("<extra_id_%d>" % i)  # noqa: UP031
        except KeyError:
            return None

    found = []
    while (i := known(len(found))) is not None:
        found.append(i)
    return found


def span_corrupt(tokens, mask, sentinel_ids, *, eos_id=None, final_sentinel=False):
    flat, noise = tokens.reshape(-1, tokens.shape[-1]), mask.reshape(-1, mask.shape[-1])
    first = noise.clone()
    first[:, 1:] &= ~noise[:, :-1]
    runs, totals = first.sum(1), noise.sum(1)
    if len(flat) and (runs.min() < runs.max() or totals.min() < totals.max()):
        raise ValueError("these rows make no rectangle")
    n_runs, n_noise = (int(runs[0]), int(totals[0])) if len(flat) else (0, 0)
    if len(sentinel_ids) < n_runs + int(final_sentinel):
        raise ValueError("out of sentinels")
    if any(bool((tokens == i).any()) for i in sentinel_ids):
        raise ValueError("the text holds a sentinel")
    # Every token gets a place to sort by: the targets in the order (run, sentinel first), the inputs as they stand.
    column = torch.tensor([*sentinel_ids, 0], device=tokens.device)
    number = (first.cumsum(1) - 1).clamp(min=0)
    inputs = torch.where(first, column[number], flat)
    dropped = noise & ~first
    order = dropped.long().argsort(dim=1, stable=True)[:, : flat.shape[1] - n_noise + n_runs]
    inputs = inputs.gather(1, order)
    both = torch.cat((column[number], flat), dim=1)
    wanted = torch.cat((first, noise), dim=1)
    places = torch.arange(flat.shape[1], device=tokens.device)
    keys = torch.cat((2 * places, 2 * places + 1)).expand_as(both)
    keys = torch.where(wanted, keys, 4 * flat.shape[1] + 4)
    targets = both.gather(1, keys.argsort(dim=1, stable=True)[:, : n_noise + n_runs])
    ends = [[], []]
    if final_sentinel:
        ends[1].append(sentinel_ids[n_runs])
    if eos_id is not None:
        ends[0].append(eos_id)
        ends[1].append(eos_id)
    sides = []
    for side, end in zip((inputs, targets), ends):
        tail = torch.tensor(end, dtype=tokens.dtype, device=tokens.device).expand(len(flat), -1)
        side = torch.cat((side, tail), dim=1)
        sides.append(side.reshape(*tokens.shape[:-1], side.shape[1]))
    return sides[0], sides[1]


def reconstruct(inputs, targets, sentinel_ids, *, eos_id=None):
    if eos_id is not None:
        for side in (inputs, targets):
            if len(side) == 0 or int(side[-1]) != eos_id:
                raise ValueError("EOS is missing")
        inputs, targets = inputs[:-1], targets[:-1]
    number = {int(i): k for k, i in enumerate(sentinel_ids)}

    def marks(side):
        found = [(place, number[t]) for place, t in enumerate(side.tolist()) if t in number]
        if [k for _, k in found] != list(range(len(found))):
            raise ValueError("sentinels out of order")
        return [place for place, _ in found]

    holes, begins = marks(inputs), marks(targets)
    ends = [*begins[1:], len(targets)]
    if len(begins) == len(holes) + 1 and begins[-1] == len(targets) - 1:
        begins = begins[:-1]
    if len(begins) != len(holes):
        raise ValueError("a span without a place, or a place without a span")
    if len(targets) and (not ends or int(targets[0]) not in number):
        raise ValueError("the targets begin with no sentinel")
    text = inputs
    for hole, begin, end in sorted(zip(holes, begins, ends), reverse=True):  # from the back, so that places stay right
        text = torch.cat((text[:hole], targets[begin + 1 : end], text[hole + 1 :]))
    return text.clone()


def t5_lengths(inputs_length, noise_density=0.15, mean_span_length=3.0):
    best = (1, 1)
    for n_tokens in range(1, 100 * inputs_length + 100):
        noise, spans = noise_counts(n_tokens, noise_density, mean_span_length)
        if n_tokens - noise + spans + 1 > inputs_length:
            break
        too_long = noise_density == 0.5 and noise + spans + 1 > inputs_length
        previous, best = best, (n_tokens, noise + spans + 1)
    return previous if too_long else best


def shift_right(labels, *, start_id, pad_id):
    rows = labels.reshape(-1, labels.shape[-1]).roll(1, dims=1)
    rows[:, 0] = start_id
    rows[:, 1:][rows[:, 1:] == -100] = pad_id
    return rows.reshape(labels.shape)


def _chosen(tokens, p, generator, special_mask):
    p = torch.full(tokens.shape, float(p), dtype=torch.float64, device=tokens.device)
    if special_mask is not None:
        p[special_mask] = 0.0
    return torch.bernoulli(p, generator=generator).bool()


def token_masking(tokens, p, mask_id, generator=None, *, special_mask=None):
    return torch.where(_chosen(tokens, p, generator, special_mask), torch.full_like(tokens, mask_id), tokens)


def token_deletion(tokens, p, generator=None, *, special_mask=None):
    return tokens.masked_select(~_chosen(tokens, p, generator, special_mask))


def text_infilling(tokens, ratio=0.3, poisson_lambda=3.0, *, mask_id, generator=None, special_mask=None):
    special = torch.zeros(len(tokens), dtype=torch.bool) if special_mask is None else special_mask
    text = tokens[~special]
    n = len(text)
    budget = math.ceil(n * ratio)
    if budget <= 0:
        return tokens.clone()
    lengths, left = [], budget
    while left:
        drawn = int(torch.poisson(torch.full((1,), float(poisson_lambda)), generator=generator).item())
        lengths.append(min(drawn, left))
        left -= lengths[-1]
    # Stars and bars: shuffle kept tokens (0) and spans (1, 2, ...) like a pack of cards, then deal the text to them.
    cards = _shuffled(
        torch.cat((torch.zeros(n - budget, dtype=torch.int64), torch.arange(1, len(lengths) + 1))), generator
    )
    pieces, at = [], 0
    for card in cards.tolist():
        width = lengths[card - 1] if card else 1
        pieces.append((at, width, mask_id if card else int(text[at])))
        at += width
    ordinary = (~special).nonzero().flatten().tolist()
    leading = int(special.long().cumprod(0).sum())
    out = tokens[:leading].tolist()
    cursor = leading  # the first token of the text that is neither written nor taken
    for begin, width, token in pieces:
        stop = ordinary[begin] if begin < n and width else cursor
        out += tokens[cursor:stop][special[cursor:stop]].tolist()
        out.append(token)
        if width:
            end = ordinary[begin + width - 1] + 1
            out += tokens[stop:end][special[stop:end]].tolist()
            cursor = end
    out += tokens[cursor:][special[cursor:]].tolist()
    return torch.tensor(out, dtype=torch.int64)


def sentence_permutation(tokens, end_id, generator=None, *, special_mask=None):
    keep = torch.ones(len(tokens), dtype=torch.bool) if special_mask is None else ~special_mask
    text = tokens[keep]
    cuts = ((text == end_id).nonzero().flatten() + 1).tolist()
    sentences = [piece for piece in text.tensor_split(cuts) if len(piece)]
    order = torch.rand(len(sentences), generator=generator, dtype=torch.float64).argsort().tolist()
    if sentences:
        text = torch.cat([sentences[i] for i in order])
    return tokens.masked_scatter(keep, text)


def document_rotation(tokens, generator=None, *, special_mask=None):
    keep = torch.ones(len(tokens), dtype=torch.bool) if special_mask is None else ~special_mask
    text = tokens[keep]
    if not len(text):
        return tokens.clone()
    start = torch.multinomial(torch.ones(len(text)), 1, generator=generator)
    return tokens.masked_scatter(keep, text[(torch.arange(len(text)) + start) % len(text)])


LABELS = {"cola": ("unacceptable", "acceptable"), "mnli": ("entailment", "neutral", "contradiction")}


def to_text(task, example):
    get = example.__getitem__
    if task == "translation":
        return "translate " + get("from") + " to " + get("to") + ": " + get("text"), get("translation")
    if task == "summarization":
        return "summarize: " + get("text"), get("summary")
    if task == "cola":
        return "cola sentence: " + get("sentence"), ("unacceptable", "acceptable")[get("label")]
    if task == "mnli":
        words = ("entailment", "neutral", "contradiction")
        return "mnli hypothesis: " + get("hypothesis") + " premise: " + get("premise"), words[get("label")]
    if task == "stsb":
        fifths = round(get("score") * 5)
        return "stsb sentence1: " + get("sentence1") + " sentence2: " + get(
            "sentence2"
        ), f"{fifths // 5}.{fifths % 5 * 2}"
    raise ValueError(task)


def from_text(task, text):
    text = text.strip()
    if task == "translation" or task == "summarization":
        return text
    if task == "cola" or task == "mnli":
        return next((label for label, word in enumerate(LABELS[task]) if word == text), None)
    if task == "stsb":
        return float(text) if re.fullmatch(r"[0-4]\.[0-9]|5\.0", text) else None
    raise ValueError(task)


@dataclass(frozen=True)
class T5Config:
    vocab_size: int
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 256
    n_buckets: int = 32
    max_distance: int = 128


def relative_position_bucket(relative_position, *, bidirectional, n_buckets=32, max_distance=128):
    n = n_buckets // 2 if bidirectional else n_buckets
    half = n // 2
    # The distances at which a bucket begins; a distance is in as many buckets' reach as boundaries lie at or below it.
    steps = torch.arange(1, n - half, dtype=torch.float64)
    far = (half * (max_distance / half) ** (steps / (n - half)) - 1e-9).ceil()
    begins = torch.cat((torch.arange(1, half + 1, dtype=torch.float64), far)).to(relative_position.device)
    distance = relative_position.abs() if bidirectional else relative_position.neg().clamp_min(0)
    bucket = torch.bucketize(distance.double(), begins, right=True)
    return bucket + n * (relative_position > 0).long() if bidirectional else bucket


def relative_position_bias(table, length, *, bidirectional, max_distance=128):
    # One number for each of the 2T - 1 relative positions, laid out along diagonals.
    relative = torch.arange(1 - length, length, device=table.device)
    buckets = relative_position_bucket(
        relative, bidirectional=bidirectional, n_buckets=table.shape[0], max_distance=max_distance
    )
    by_relative = table.index_select(0, buckets)  # (2T - 1, H)
    rows = [by_relative[length - 1 - i : 2 * length - 1 - i] for i in range(length)]
    return torch.stack(rows).permute(2, 0, 1).unsqueeze(0)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config.d_model % config.n_heads:
            raise ValueError("heads do not divide the model")
        self.n_heads = config.n_heads
        self.q = nn.Linear(config.d_model, config.d_model, bias=False)
        self.k = nn.Linear(config.d_model, config.d_model, bias=False)
        self.v = nn.Linear(config.d_model, config.d_model, bias=False)
        self.out = nn.Linear(config.d_model, config.d_model, bias=False)

    def forward(self, x, context, mask, bias=None):
        batch = x.shape[0]

        def heads(y):  # (B, L, C) -> (H * B, L, D)
            return torch.cat(y.chunk(self.n_heads, dim=-1), dim=0)

        scores = torch.bmm(heads(self.q(x)), heads(self.k(context)).mT)  # (H * B, T, S)
        scores = scores.unflatten(0, (self.n_heads, batch)).transpose(0, 1)
        scores = scores if bias is None else scores + bias
        scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
        weights = torch.exp(scores - scores.logsumexp(-1, keepdim=True))
        values = heads(self.v(context)).unflatten(0, (self.n_heads, batch)).transpose(0, 1)
        return self.out(torch.cat((weights @ values).unbind(1), dim=-1))


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.up = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x):
        return self.down(self.up(x).clamp(min=0))


class EncoderBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.attention = Attention(config)
        self.feed_forward_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.feed_forward = FeedForward(config)

    def forward(self, x, mask, bias):
        y = self.attention_norm(x)
        x = self.attention(y, y, mask, bias).add(x)
        return self.feed_forward(self.feed_forward_norm(x)).add(x)


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
        y = self.attention_norm(x)
        x = self.attention(y, y, mask, bias).add(x)
        x = self.cross_attention(self.cross_norm(x), memory, memory_mask).add(x)
        return self.feed_forward(self.feed_forward_norm(x)).add(x)


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
        x, length = self.embedding(src), src.shape[1]
        far = self.config.max_distance
        bias = relative_position_bias(self.encoder_bias.weight, length, bidirectional=True, max_distance=far)
        both_ways = src_mask.view(len(src), 1, 1, length).expand(-1, 1, length, -1)
        for block in self.encoder:
            x = block(x, both_ways, bias)
        return self.encoder_norm(x)

    def decode(self, memory, src_mask, tgt_in):
        x, length = self.embedding(tgt_in), tgt_in.shape[1]
        far = self.config.max_distance
        bias = relative_position_bias(self.decoder_bias.weight, length, bidirectional=False, max_distance=far)
        past = ~torch.ones(1, 1, length, length, dtype=torch.bool, device=x.device).triu(1)
        real = src_mask.view(len(src_mask), 1, 1, -1).expand(-1, 1, length, -1)
        for block in self.decoder:
            x = block(x, past, bias, memory, real)
        scale = self.config.d_model**-0.5
        return torch.einsum("btc,vc->btv", self.decoder_norm(x), self.embedding.weight) * scale

    def forward(self, src, src_mask, tgt_in):
        return self.decode(self.encode(src, src_mask), src_mask, tgt_in)


def seq2seq_loss(logits, labels):
    ignored = labels == -100
    picked = logits.gather(-1, labels.masked_fill(ignored, 0).unsqueeze(-1)).squeeze(-1)
    each = (logits.logsumexp(-1) - picked).masked_fill(ignored, 0.0)
    return each.sum() / max(int((~ignored).sum()), 1)


def train_t5(
    config, tokens, steps, *, sentinel_ids, eos_id, pad_id, inputs_length=64, noise_density=0.15, mean_span_length=3.0,
    batch_size=32, learning_rate=1e-3, generator=None, device=None, on_step=lambda number, model: None,
):  # fmt: skip
    noise = {"noise_density": noise_density, "mean_span_length": mean_span_length}
    length, targets_length = t5_lengths(inputs_length, **noise)
    if tokens.shape[0] < length:
        raise ValueError("too short a stream")
    model = Seq2Seq(config, generator).to(device or "cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    peak = max(steps // 10, 1)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 1 / peak, 1.0, peak - 1 or 1),
            torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, max(steps - peak + 1, 1)),
        ],
        milestones=[peak - 1 or 1],
    )

    def step(number):
        starts = torch.randint(0, tokens.shape[0] - length + 1, (batch_size, 1), generator=generator)
        windows = tokens[starts + torch.arange(length)]
        masks = random_spans_noise_mask(length, **noise, generator=generator, batch_size=batch_size)
        inputs, targets = span_corrupt(windows, masks, sentinel_ids, eos_id=eos_id)
        if targets.shape != (batch_size, targets_length):
            raise RuntimeError("the plan is wrong")
        inputs, targets = inputs.to(device or "cpu"), targets.to(device or "cpu")
        optimizer.zero_grad()
        read = shift_right(targets, start_id=pad_id, pad_id=pad_id)
        loss = seq2seq_loss(model(inputs, inputs == inputs, read), targets)
        loss.backward()
        optimizer.step()
        schedule.step()
        if on_step is not None:
            on_step(number, model)
        return float(loss)

    return model, [step(number) for number in range(1, steps + 1)]


def greedy_decode(model, src, src_mask, *, start_id, eos_id, pad_id, max_new_tokens):
    written = torch.full((src.shape[0], max_new_tokens + 1), pad_id, dtype=torch.int64, device=src.device)
    written[:, 0] = start_id
    going = torch.ones(src.shape[0], dtype=torch.bool, device=src.device)
    with torch.inference_mode():
        memory = model.encode(src, src_mask)
        for t in range(max_new_tokens):
            # Only rows that are not finished are decoded.
            logits = model.decode(memory[going], src_mask[going], written[going, : t + 1])
            written[going, t + 1] = logits[:, -1].max(-1).indices
            going &= written[:, t + 1] != eos_id
            if not going.any():
                return written[:, 1 : t + 2].clone()
    return written[:, 1:].clone()


def read_spans(written, n_spans, sentinel_ids, *, eos_id=None):
    spans = [None] * (len(sentinel_ids) + 1)
    current = len(sentinel_ids)  # what belongs to no span
    spans[current] = []
    for token in written:
        if eos_id is not None and token == eos_id:
            break
        if token in sentinel_ids:
            current = list(sentinel_ids).index(token)
            current = len(sentinel_ids) if spans[current] is not None else current
            spans[current] = []
        else:
            spans[current].append(token)
    return [span or [] for span in spans[:n_spans]]


def fill_spans(model, tokenizer, text, max_new_tokens=64):
    device = next(model.parameters()).device
    ids = torch.tensor([*tokenizer.encode(text), tokenizer.eos_id], device=device).unsqueeze(0)
    marks = sentinel_ids(tokenizer)
    pad, eos = tokenizer.pad_id, tokenizer.eos_id
    out = greedy_decode(
        model, ids, torch.ones_like(ids) > 0, start_id=pad, eos_id=eos, pad_id=pad, max_new_tokens=max_new_tokens
    )
    n_blanks = int(torch.isin(ids, torch.tensor(marks, device=device)).sum())
    return list(map(tokenizer.decode, read_spans(out[0].tolist(), n_blanks, marks, eos_id=eos)))
