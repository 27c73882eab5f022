"""A valid solution of another kind: categorical draws, one-hot products, one projection for q, k and v, einsum."""

from __future__ import annotations

import itertools
import math
import random
from collections import namedtuple
from dataclasses import dataclass

import torch
from torch import nn

NSPExample = namedtuple("NSPExample", "a b is_random")
PairBatch = namedtuple("PairBatch", "input_ids segment_ids attention_mask special_mask nsp_labels")


class BertEmbeddings(nn.Module):
    def __init__(self, vocab_size, d_model, max_len, n_segments=2, pad_id=0, eps=1e-12, dropout=0.0):
        super().__init__()
        self.pad_id = pad_id
        self.word = nn.Embedding(vocab_size, d_model, padding_idx=pad_id)
        self.position = nn.Embedding(max_len, d_model)
        self.segment = nn.Embedding(n_segments, d_model)
        self.norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def embed_sum(self, input_ids, segment_ids=None, position_ids=None):
        t = input_ids.shape[-1]
        if self.position.num_embeddings < t:
            raise ValueError(t)

        def rows(table, ids):
            hot = nn.functional.one_hot(ids, table.num_embeddings).to(table.weight.dtype)
            return torch.einsum("...v,vc->...c", hot, table.weight)

        words = rows(self.word, input_ids)
        words = torch.where((input_ids == self.pad_id).unsqueeze(-1), words.detach(), words)
        segments = rows(self.segment, segment_ids) if segment_ids is not None else self.segment.weight[0]
        positions = rows(self.position, position_ids) if position_ids is not None else self.position.weight[:t]
        return words + (segments + positions)

    def forward(self, input_ids, segment_ids=None, position_ids=None):
        return self.dropout(self.norm(self.embed_sum(input_ids, segment_ids, position_ids)))


def pad_batch(sequences, pad_id, max_len=None):
    lengths = [len(s) if max_len is None else min(len(s), max_len) for s in sequences]
    ids = torch.full((len(sequences), max(lengths)), pad_id, dtype=torch.int64)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for row, real, sequence, n in zip(ids, mask, sequences, lengths):
        row[:n] = torch.as_tensor(sequence[:n], dtype=torch.int64)
        real[:n] = True
    return ids, mask


def mask_tokens(
    input_ids, *, mask_id, vocab_size, special_mask, mlm_prob=0.15, mask_frac=0.8, random_frac=0.1, generator=None
):
    # What becomes of a token: 0 nothing, 1 [MASK], 2 random, 3 selected and kept.
    kept = max(1 - mask_frac - random_frac, 0.0)
    shares = torch.tensor(
        [1 - mlm_prob, mlm_prob * mask_frac, mlm_prob * random_frac, mlm_prob * kept], dtype=torch.double
    )
    cumulative = shares.cumsum(0)[:-1].to(input_ids.device)
    u = torch.rand(input_ids.shape, generator=generator, dtype=torch.double, device=input_ids.device)
    fate = torch.bucketize(u, cumulative, right=True)
    if kept < 1e-9:
        fate = fate.clamp(max=2)
    if random_frac == 0:
        fate = torch.where(fate == 2, 1 if mask_frac > 0 and kept < 1e-9 else 3, fate)
    fate = fate * ~special_mask
    noise = (
        torch.rand(input_ids.shape, generator=generator, dtype=torch.double, device=input_ids.device) * vocab_size
    ).long()
    inputs = torch.stack((input_ids, torch.full_like(input_ids, mask_id), noise, input_ids)).gather(0, fate[None])[0]
    return inputs, torch.where(fate > 0, input_ids, torch.full_like(input_ids, -100))


def truncate_pair(a, b, max_tokens):
    if max_tokens < 2:
        raise ValueError("both sentences keep a token")
    a, b = list(a), list(b)
    while (over := len(a) + len(b) - max_tokens) > 0:
        gap = len(a) - len(b)
        if gap > 0:
            a = a[: len(a) - min(gap, over)]
        elif gap < 0:
            b = b[: len(b) - min(-gap, over)]
        else:
            a, b = a[: len(a) - over // 2], b[: len(b) - (over + 1) // 2]
    return a, b


def make_sentence_pair(a, b, *, cls_id, sep_id, max_len):
    a, b = truncate_pair(a, b, max_len - 3)
    ids = [cls_id, *a, sep_id, *b, sep_id]
    return ids, [int(i > len(a) + 1) for i in range(len(ids))]


def sample_nsp_pairs(documents, rng):
    if len(documents) < 2:
        raise ValueError("one document")
    places = [(d, s) for d, document in enumerate(documents) for s in range(len(document) - 1)]
    labels = [rng.getrandbits(1) for _ in places]
    examples = []
    for (d, s), label in zip(places, labels):
        b = documents[d][s + 1]
        if label:
            o = d
            while o == d:
                o = rng.randrange(len(documents))
            b = documents[o][rng.randrange(len(documents[o]))]
        examples.append(NSPExample(list(documents[d][s]), list(b), label))
    return examples


def collate_pairs(examples, *, pad_id, cls_id, sep_id, max_len):
    pairs = [make_sentence_pair(e[0], e[1], cls_id=cls_id, sep_id=sep_id, max_len=max_len) for e in examples]
    ids, real = pad_batch([p[0] for p in pairs], pad_id)
    segments, _ = pad_batch([p[1] for p in pairs], 0)
    special = torch.isin(ids, torch.tensor([cls_id, sep_id])) | ~real
    return PairBatch(ids, segments, real, special, torch.tensor([e[2] for e in examples]))


def mlm_loss(logits, labels):
    chosen = labels != -100
    log_probs = torch.log_softmax(logits, dim=-1)
    picked = log_probs.gather(-1, labels.masked_fill(~chosen, 0).unsqueeze(-1)).squeeze(-1)
    return -torch.where(chosen, picked, torch.zeros_like(picked)).sum() / chosen.sum().clamp(min=1)


@dataclass(frozen=True)
class BertConfig:
    vocab_size: int
    context_length: int = 128
    d_model: int = 128
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 512
    n_segments: int = 2
    dropout: float = 0.1
    pad_id: int = 0
    eps: float = 1e-12


class BertSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, dropout=0.0):
        super().__init__()
        self.n_heads = n_heads
        self.q, self.k, self.v, self.out = (nn.Linear(d_model, d_model) for _ in range(4))
        self.drop = nn.Dropout(dropout)

    def forward(self, x, attention_mask=None):
        heads, d = self.n_heads, x.shape[-1] // self.n_heads
        weight = torch.cat((self.q.weight, self.k.weight, self.v.weight))
        bias = torch.cat((self.q.bias, self.k.bias, self.v.bias))
        q, k, v = nn.functional.linear(x, weight, bias).unflatten(-1, (3, heads, d)).unbind(2)
        scores = torch.einsum("bqhd,bkhd->bhqk", q * d**-0.5, k)
        if attention_mask is not None:
            scores = torch.where(attention_mask[:, None, None], scores, torch.full_like(scores, -math.inf))
        weights = self.drop((scores - scores.logsumexp(-1, keepdim=True)).exp())
        return self.out(torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2))


class BertLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = config.d_model
        self.attention = BertSelfAttention(c, config.n_heads, config.dropout)
        self.attention_norm, self.ff_norm = nn.LayerNorm(c, config.eps), nn.LayerNorm(c, config.eps)
        self.ff_in, self.ff_out = nn.Linear(c, config.d_ff), nn.Linear(config.d_ff, c)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x, attention_mask=None):
        for branch, norm in (
            (lambda y: self.attention(y, attention_mask), self.attention_norm),
            (lambda y: self.ff_out(nn.functional.gelu(self.ff_in(y))), self.ff_norm),
        ):
            x = norm(x + self.dropout(branch(x)))
        return x


class BertForPreTraining(nn.Module):
    def __init__(self, config, generator=None):
        super().__init__()
        self.config, c = config, config.d_model
        self.embeddings = BertEmbeddings(
            config.vocab_size, c, config.context_length, config.n_segments, config.pad_id, config.eps, config.dropout
        )
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.n_layers))
        self.mlm_dense, self.mlm_norm = nn.Linear(c, c), nn.LayerNorm(c, config.eps)
        self.mlm_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.pooler, self.nsp = nn.Linear(c, c), nn.Linear(c, 2)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if p.dim() > 1:
                    p.copy_(torch.randn(p.shape, generator=generator) * 0.02)
                elif "norm" not in name:
                    p.zero_()

    def encode(self, input_ids, segment_ids=None, attention_mask=None):
        x = self.embeddings(input_ids, segment_ids)
        for layer in self.layers:
            x = layer(x, attention_mask)
        return x

    def forward(self, input_ids, segment_ids=None, attention_mask=None):
        x = self.encode(input_ids, segment_ids, attention_mask)
        h = self.mlm_norm(nn.functional.gelu(self.mlm_dense(x)))
        words = torch.einsum("btc,vc->btv", h, self.embeddings.word.weight) + self.mlm_bias
        return words, self.nsp(torch.tanh(self.pooler(x)[:, 0]))


def train_mlm(
    config,
    documents,
    steps,
    *,
    cls_id,
    sep_id,
    mask_id,
    batch_size=32,
    learning_rate=1e-3,
    generator=None,
    device="cpu",
    on_step=None,
):
    model = BertForPreTraining(config, generator).to(device)
    rng = random.Random(torch.empty((), dtype=torch.int64).random_(generator=generator).item())
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    warm = max(steps // 10, 1)
    rates = [learning_rate * min((s + 1) / warm, (steps - s) / max(steps - warm, 1)) for s in range(steps)]
    pool, losses = iter(()), []
    for rate in rates:
        examples = list(itertools.islice(pool, batch_size))
        if not examples:
            fresh = sample_nsp_pairs(documents, rng)
            pool = iter(rng.sample(fresh, len(fresh)))
            examples = list(itertools.islice(pool, batch_size))
        ids, segments, real, special, nsp = collate_pairs(
            examples, pad_id=config.pad_id, cls_id=cls_id, sep_id=sep_id, max_len=config.context_length
        )
        inputs, labels = mask_tokens(
            ids, mask_id=mask_id, vocab_size=config.vocab_size, special_mask=special, generator=generator
        )
        words, pair = model(inputs.to(device), segments.to(device), real.to(device))
        chosen = torch.log_softmax(pair, -1).gather(1, nsp[:, None].to(device))
        loss = mlm_loss(words, labels.to(device)) - chosen.mean()
        model.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        losses.append(loss.item())
        if on_step is not None:
            on_step(len(losses), model)
    return model, losses


def fill_mask(model, tokenizer, text, k=5):
    cls_id, sep_id, mask_id = (tokenizer.id(name) for name in ("[CLS]", "[SEP]", "[MASK]"))
    ids = torch.tensor([cls_id, *tokenizer.encode(text), sep_id])
    (places,) = torch.where(ids == mask_id)
    if places.numel() != 1:
        raise ValueError(f"{places.numel()} blanks")
    mode = model.training
    with torch.no_grad():
        words = model.train(False)(ids[None].to(next(model.parameters()).device))[0]
    model.train(mode)
    ranked = sorted(enumerate(words[0, places.item()].softmax(-1).tolist()), key=lambda pair: -pair[1])
    return [(tokenizer.decode([i]), p) for i, p in ranked[:k]]
