"""A valid solution in the style of the first notebooks on BERT: Bernoulli draws, loops over lists, additive masks."""

import copy
import random
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F


class BertEmbeddings(nn.Module):
    def __init__(self, vocab_size, d_model, max_len, n_segments=2, pad_id=0, eps=1e-12, dropout=0.0):
        super().__init__()
        self.word = nn.Embedding(vocab_size, d_model, padding_idx=pad_id)
        self.position = nn.Embedding(max_len, d_model)
        self.segment = nn.Embedding(n_segments, d_model)
        self.norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def embed_sum(self, input_ids, segment_ids=None, position_ids=None):
        batch_size, length = input_ids.size()
        if length > self.position.weight.size(0):
            raise ValueError("sequence too long")
        if segment_ids is None:
            segment_ids = torch.zeros(batch_size, length, dtype=torch.long, device=input_ids.device)
        if position_ids is None:
            position_ids = torch.arange(length, device=input_ids.device).unsqueeze(0).repeat(batch_size, 1)
        output = self.segment(segment_ids)
        output = output + self.position(position_ids)
        output = output + self.word(input_ids)
        return output

    def forward(self, input_ids, segment_ids=None, position_ids=None):
        x = self.embed_sum(input_ids, segment_ids, position_ids)
        mean = x.mean(-1, keepdim=True)
        variance = x.var(-1, keepdim=True, unbiased=False)
        x = (x - mean) * torch.rsqrt(variance + self.norm.eps)
        return self.dropout(x * self.norm.weight + self.norm.bias)


def pad_batch(sequences, pad_id, max_len=None):
    cut = []
    for sequence in sequences:
        cut.append(torch.tensor(list(sequence) if max_len is None else list(sequence)[:max_len], dtype=torch.long))
    ids = nn.utils.rnn.pad_sequence(cut, batch_first=True, padding_value=pad_id)
    real = nn.utils.rnn.pad_sequence([torch.ones(len(c), dtype=torch.bool) for c in cut], batch_first=True)
    return ids, real


def mask_tokens(
    input_ids, *, mask_id, vocab_size, special_mask, mlm_prob=0.15, mask_frac=0.8, random_frac=0.1, generator=None
):
    inputs = input_ids.clone()
    labels = input_ids.clone()
    probabilities = torch.full(labels.shape, float(mlm_prob))
    probabilities[special_mask] = 0.0
    selected = torch.bernoulli(probabilities, generator=generator).bool()
    labels[~selected] = -100

    replaced = torch.bernoulli(torch.full(labels.shape, float(mask_frac)), generator=generator).bool() & selected
    inputs[replaced] = mask_id

    left = 1 - mask_frac
    if left > 1e-9:
        share = min(random_frac / left, 1.0)
        randomised = torch.bernoulli(torch.full(labels.shape, share), generator=generator).bool() & selected & ~replaced
        words = torch.randint(vocab_size, (int(randomised.sum()),), generator=generator)
        inputs[randomised] = words
    return inputs, labels


def truncate_pair(a, b, max_tokens):
    if max_tokens < 2:
        raise ValueError("no room for two sentences")
    a = copy.copy(list(a))
    b = copy.copy(list(b))
    while len(a) + len(b) > max_tokens:
        if len(a) > len(b):
            a.pop()
        else:
            b.pop()
    return a, b


def make_sentence_pair(a, b, *, cls_id, sep_id, max_len):
    a, b = truncate_pair(a, b, max_len - 3)
    ids = []
    segments = []
    for token in [cls_id, *a, sep_id]:
        ids.append(token)
        segments.append(0)
    for token in [*b, sep_id]:
        ids.append(token)
        segments.append(1)
    return ids, segments


class NSPExample(NamedTuple):
    a: list
    b: list
    is_random: int


def sample_nsp_pairs(documents, rng):
    if len(documents) <= 1:
        raise ValueError("need another document")
    result = []
    for index in range(len(documents)):
        document = documents[index]
        for place in range(len(document) - 1):
            first = list(document[place])
            if rng.choice([False, True]):
                other = rng.choice([k for k in (rng.randrange(len(documents)) for _ in range(200)) if k != index][:1])
                second = documents[other][int(rng.random() * len(documents[other]))]
                result.append(NSPExample(first, list(second), 1))
            else:
                result.append(NSPExample(first, list(document[place + 1]), 0))
    return result


class PairBatch(NamedTuple):
    input_ids: torch.Tensor
    segment_ids: torch.Tensor
    attention_mask: torch.Tensor
    special_mask: torch.Tensor
    nsp_labels: torch.Tensor


def collate_pairs(examples, *, pad_id, cls_id, sep_id, max_len):
    rows, segments, special, labels = [], [], [], []
    for first, second, label in examples:
        ids, kinds = make_sentence_pair(first, second, cls_id=cls_id, sep_id=sep_id, max_len=max_len)
        border = kinds.index(1)
        rows.append(ids)
        segments.append(kinds)
        special.append([1 if i in (0, border - 1, len(ids) - 1) else 0 for i in range(len(ids))])
        labels.append(label)
    input_ids, real = pad_batch(rows, pad_id)
    segment_ids = pad_batch(segments, 0)[0]
    special_mask = pad_batch(special, 1)[0].bool()
    return PairBatch(input_ids, segment_ids, real, special_mask, torch.LongTensor(labels))


def mlm_loss(logits, labels):
    flat_labels = labels.reshape(-1)
    flat_logits = logits.reshape(-1, logits.size(-1))
    places = (flat_labels != -100).nonzero().squeeze(1)
    if len(places) == 0:
        return logits.sum() * 0.0
    return F.cross_entropy(flat_logits[places], flat_labels[places])


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
        self.dropout = dropout
        self.q = nn.Linear(d_model, d_model)
        self.k = nn.Linear(d_model, d_model)
        self.v = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x, attention_mask=None):
        heads = []
        queries, keys, values = self.q(x), self.k(x), self.v(x)
        size = x.size(-1) // self.n_heads
        for h in range(self.n_heads):
            block = slice(h * size, (h + 1) * size)
            scores = torch.bmm(queries[:, :, block], keys[:, :, block].transpose(1, 2)) / size**0.5
            if attention_mask is not None:
                bias = torch.zeros_like(attention_mask, dtype=x.dtype).masked_fill(~attention_mask, float("-inf"))
                scores = scores + bias.unsqueeze(1)
            weights = F.dropout(F.softmax(scores, dim=-1), p=self.dropout, training=self.training)
            heads.append(torch.bmm(weights, values[:, :, block]))
        return self.out(torch.cat(heads, dim=-1))


class BertLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = BertSelfAttention(config.d_model, config.n_heads, config.dropout)
        self.attention_norm = nn.LayerNorm(config.d_model, eps=config.eps)
        self.ff_in = nn.Linear(config.d_model, config.d_ff)
        self.ff_out = nn.Linear(config.d_ff, config.d_model)
        self.ff_norm = nn.LayerNorm(config.d_model, eps=config.eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x, attention_mask=None):
        attended = self.dropout(self.attention(x, attention_mask))
        x = self.attention_norm(attended + x)
        inner = self.ff_in(x)
        inner = 0.5 * inner * (1.0 + torch.erf(inner / 2.0**0.5))
        return self.ff_norm(self.dropout(self.ff_out(inner)) + x)


class BertForPreTraining(nn.Module):
    def __init__(self, config, generator=None):
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(
            config.vocab_size,
            config.d_model,
            config.context_length,
            config.n_segments,
            config.pad_id,
            config.eps,
            config.dropout,
        )
        self.layers = nn.ModuleList([BertLayer(config) for _ in range(config.n_layers)])
        self.mlm_dense = nn.Linear(config.d_model, config.d_model)
        self.mlm_norm = nn.LayerNorm(config.d_model, eps=config.eps)
        self.mlm_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.pooler = nn.Linear(config.d_model, config.d_model)
        self.nsp = nn.Linear(config.d_model, 2)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02, generator=generator)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02, generator=generator)

    def encode(self, input_ids, segment_ids=None, attention_mask=None):
        hidden = self.embeddings(input_ids, segment_ids)
        for i in range(len(self.layers)):
            hidden = self.layers[i](hidden, attention_mask)
        return hidden

    def forward(self, input_ids, segment_ids=None, attention_mask=None):
        hidden = self.encode(input_ids, segment_ids, attention_mask)
        words = self.mlm_norm(nn.GELU()(self.mlm_dense(hidden)))
        mlm_logits = words @ self.embeddings.word.weight.t() + self.mlm_bias
        pooled = torch.tanh(self.pooler(hidden[:, 0, :]))
        return mlm_logits, self.nsp(pooled)


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
    seed = torch.randint(0, 2**31 - 1, (1,), generator=generator).item()
    rng = random.Random(seed)
    model = BertForPreTraining(config, generator)
    model.to(device)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    losses = []
    queue = []
    for step in range(steps):
        while len(queue) < batch_size:
            more = sample_nsp_pairs(documents, rng)
            rng.shuffle(more)
            queue.extend(more)
        examples, queue = queue[:batch_size], queue[batch_size:]
        batch = collate_pairs(
            examples, pad_id=config.pad_id, cls_id=cls_id, sep_id=sep_id, max_len=config.context_length
        )
        inputs, labels = mask_tokens(
            batch.input_ids,
            mask_id=mask_id,
            vocab_size=config.vocab_size,
            special_mask=batch.special_mask,
            generator=generator,
        )
        warm = max(steps // 10, 1)
        factor = (step + 1) / warm if step < warm else (steps - step) / (steps - warm)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * factor
        optimizer.zero_grad()
        mlm_logits, nsp_logits = model(inputs.to(device), batch.segment_ids.to(device), batch.attention_mask.to(device))
        loss = mlm_loss(mlm_logits, labels.to(device))
        loss = loss + F.cross_entropy(nsp_logits, batch.nsp_labels.to(device))
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
        if on_step:
            on_step(step + 1, model)
    return model, losses


def fill_mask(model, tokenizer, text, k=5):
    mask_id = tokenizer.id("[MASK]")
    ids = [tokenizer.id("[CLS]"), *tokenizer.encode(text), tokenizer.id("[SEP]")]
    places = [i for i, token in enumerate(ids) if token == mask_id]
    if len(places) != 1:
        raise ValueError("one [MASK] please")
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        logits = model(torch.tensor([ids]).to(next(model.parameters()).device))[0]
    if was_training:
        model.train()
    probabilities = F.softmax(logits[0, places[0]], dim=0)
    order = torch.argsort(probabilities, descending=True)[:k]
    return [(tokenizer.decode([int(i)]), float(probabilities[i])) for i in order]
