"""BERT: from padded, masked pairs of sentences to a model that fills in blanks.

Build in the order of the file; each function uses the ones above it. The handout (README.md) has the maths. B is the
batch size, T the length of the longest sequence in the batch, C = d_model, H the number of heads, V the size of the
vocabulary. Everything works on the device and in the floating dtype of its input (bfloat16, float32, float64), and no
function changes an argument. Masks are boolean; each says what its True means. Token ids are int64. Labels that do not
count are -100. Equation and section numbers without a name are those of Devlin et al. 2019.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

IGNORE = -100  # the label of a position that does not count


# --- embeddings -------------------------------------------------------------------------------------------------------


class BertEmbeddings(nn.Module):
    """The sum of a word, a position and a segment embedding, normalised (figure 2).

    The tables are `word` (vocab_size, C), `position` (max_len, C) and `segment` (n_segments, C); `norm` is a LayerNorm
    with `eps`. (Given: __init__.)
    """

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        max_len: int,
        n_segments: int = 2,
        pad_id: int = 0,
        eps: float = 1e-12,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.word = nn.Embedding(vocab_size, d_model, padding_idx=pad_id)
        self.position = nn.Embedding(max_len, d_model)
        self.segment = nn.Embedding(n_segments, d_model)
        self.norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def embed_sum(
        self,
        input_ids: Int[Tensor, "b t"],
        segment_ids: Int[Tensor, "b t"] | None = None,
        position_ids: Int[Tensor, "#b t"] | None = None,
    ) -> Float[Tensor, "b t c"]:
        """Return word[id] + position[p] + segment[s] for each token: three rows, added, and nothing else done to them.

        `segment_ids` defaults to 0 everywhere, `position_ids` to 0, 1, ..., T - 1 in every row. The word embedding of
        `pad_id` gets no gradient from here: that is what nn.Embedding's padding_idx does. Raises ValueError where
        T > max_len.

        input_ids [[7, 7]] -> [[word[7] + position[0] + segment[0], word[7] + position[1] + segment[0]]]
        """
        ### BEGIN SOLUTION
        t, max_len = input_ids.shape[1], self.position.num_embeddings
        if t > max_len:
            raise ValueError(f"{t} tokens, but there are embeddings for only {max_len} positions")
        if segment_ids is None:
            segment_ids = torch.zeros_like(input_ids)
        if position_ids is None:
            position_ids = torch.arange(t, device=input_ids.device)[None]  # (1, T)
        return self.word(input_ids) + self.position(position_ids) + self.segment(segment_ids)
        ### END SOLUTION

    def forward(
        self,
        input_ids: Int[Tensor, "b t"],
        segment_ids: Int[Tensor, "b t"] | None = None,
        position_ids: Int[Tensor, "#b t"] | None = None,
    ) -> Float[Tensor, "b t c"]:
        """Return dropout(norm(embed_sum(...))): first the norm, then the dropout.

        Each row of the result has mean 0 and variance 1 over its channels while `norm` is as it starts.
        """
        ### BEGIN SOLUTION
        return self.dropout(self.norm(self.embed_sum(input_ids, segment_ids, position_ids)))
        ### END SOLUTION


# --- data -------------------------------------------------------------------------------------------------------------


def pad_batch(
    sequences: Sequence[Sequence[int]], pad_id: int, max_len: int | None = None
) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
    """Return the sequences as rows of one int64 tensor, and a mask that is True where a token is real.

    A sequence longer than `max_len` keeps its first `max_len` tokens. Shorter rows are filled up on the RIGHT with
    `pad_id`, to the longest row that is left (not to `max_len`). The mask comes from lengths: a real token may have the
    id `pad_id`. There is at least one sequence; one may be empty.

    pad_batch([[5, 6, 7], [8]], pad_id=0) -> ([[5, 6, 7], [8, 0, 0]], [[True, True, True], [True, False, False]])
    """
    ### BEGIN SOLUTION
    rows = [list(sequence[:max_len]) for sequence in sequences]
    t = max(map(len, rows))
    input_ids = torch.tensor([row + [pad_id] * (t - len(row)) for row in rows], dtype=torch.int64)
    lengths = torch.tensor([len(row) for row in rows])
    return input_ids, torch.arange(t) < lengths[:, None]
    ### END SOLUTION


def mask_tokens(
    input_ids: Int[Tensor, "b t"],
    *,
    mask_id: int,
    vocab_size: int,
    special_mask: Bool[Tensor, "b t"],
    mlm_prob: float = 0.15,
    mask_frac: float = 0.8,
    random_frac: float = 0.1,
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b t"]]:
    """Return (inputs, labels) for masked language modelling (section 3.1 and appendix A.1).

    Each token outside `special_mask` (True = [CLS], [SEP], padding: never touched) is selected with probability
    `mlm_prob`, independently of all others. A selected token becomes `mask_id` with probability `mask_frac`, a random
    token with probability `random_frac`, and stays as it is otherwise. The random token is uniform over
    range(vocab_size); it may turn out to be the original or a special one. `labels` holds the ORIGINAL token where one
    is selected, changed or not, and -100 elsewhere. mask_frac + random_frac <= 1.

    Google's code selects a fixed number a row, round(T * mlm_prob); here, as in Hugging Face's, the number is random.
    All chance comes from `generator`, which lives on the device of `input_ids`: the same state gives the same result.
    None stands for torch's own generator.

    mask_tokens([[7, 8]], mask_id=4, special_mask=[[False, True]], mlm_prob=1, mask_frac=1, random_frac=0, vocab_size=9)
        -> ([[4, 8]], [[7, -100]])
    """
    ### BEGIN SOLUTION
    shape, device = input_ids.shape, input_ids.device
    # One uniform number a token decides everything: below mlm_prob it is uniform again, so its parts can be told apart.
    u = torch.rand(shape, generator=generator, device=device)
    u = u.masked_fill(special_mask, 1.0)
    other = torch.randint(vocab_size, shape, generator=generator, device=device)
    inputs = other.where(u < mlm_prob * (mask_frac + random_frac), input_ids)
    inputs = inputs.masked_fill(u < mlm_prob * mask_frac, mask_id)
    return inputs, input_ids.masked_fill(u >= mlm_prob, IGNORE)
    ### END SOLUTION


def truncate_pair(a: Sequence[int], b: Sequence[int], max_tokens: int) -> tuple[list[int], list[int]]:
    """Return `a` and `b`, cut at their ENDS until they have at most `max_tokens` tokens together.

    One token at a time is taken from the longer of the two, from `b` where they are equally long. Both have at least
    one token and keep it: raises ValueError for max_tokens < 2. (Google's code cuts at a random end.)

    truncate_pair([1, 2, 3, 4], [5, 6], 4) -> ([1, 2], [5, 6]);  truncate_pair([1, 2], [5, 6], 3) -> ([1, 2], [5])
    """
    ### BEGIN SOLUTION
    if max_tokens < 2:
        raise ValueError(f"max_tokens={max_tokens}: each of the two sentences keeps at least one token")
    keep_a = max(max_tokens - len(b), (max_tokens + 1) // 2)  # what b leaves, or the larger half
    keep_b = max(max_tokens - len(a), max_tokens // 2)
    return list(a[:keep_a]), list(b[:keep_b])
    ### END SOLUTION


def make_sentence_pair(
    a: Sequence[int], b: Sequence[int], *, cls_id: int, sep_id: int, max_len: int
) -> tuple[list[int], list[int]]:
    """Return [CLS] a [SEP] b [SEP] and its segment ids, `a` and `b` cut by `truncate_pair` so that max_len is enough.

    Segment 0 is everything up to and including the first [SEP], segment 1 the rest, the last [SEP] too. The three
    special tokens count in `max_len`. Raises ValueError for max_len < 5.

    make_sentence_pair([7, 8], [9], cls_id=1, sep_id=2, max_len=8) -> ([1, 7, 8, 2, 9, 2], [0, 0, 0, 0, 1, 1])
    """
    ### BEGIN SOLUTION
    a, b = truncate_pair(a, b, max_len - 3)
    return [cls_id, *a, sep_id, *b, sep_id], [0] * (len(a) + 2) + [1] * (len(b) + 1)
    ### END SOLUTION


class NSPExample(NamedTuple):
    """Two sentences; `is_random` is 0 where `b` follows `a` in its document, 1 where it comes from another document."""

    a: list[int]
    b: list[int]
    is_random: int


def sample_nsp_pairs(documents: Sequence[Sequence[Sequence[int]]], rng: random.Random) -> list[NSPExample]:
    """Return one example for each sentence that has a next one in its document, in the order of the text.

    With probability 1/2 `b` is that next sentence and the label `is_random` is 0 (IsNext). Otherwise `b` is random and
    the label is 1 (NotNext): first one of the OTHER documents is drawn, each as likely as the others, then one of its
    sentences, each as likely as the others. The last sentence of a document is never an `a`. A document has at least
    one sentence. Raises ValueError for fewer than two documents. All chance comes from `rng`.

    documents [[[1], [2]], [[3]]] -> [NSPExample([1], [2], 0)] or [NSPExample([1], [3], 1)], each half of the time
    """
    ### BEGIN SOLUTION
    if len(documents) < 2:
        raise ValueError("a random sentence comes from another document, so there must be at least two")
    examples = []
    for i, document in enumerate(documents):
        for a, following in itertools.pairwise(document):
            if rng.random() < 0.5:
                examples.append(NSPExample(list(a), list(following), 0))
            else:
                j = rng.randrange(len(documents) - 1)
                other = documents[j + (j >= i)]  # skips document i
                examples.append(NSPExample(list(a), list(rng.choice(other)), 1))
    return examples
    ### END SOLUTION


class PairBatch(NamedTuple):
    """A batch of sentence pairs, each tensor with B rows."""

    input_ids: Int[Tensor, "b t"]
    segment_ids: Int[Tensor, "b t"]
    attention_mask: Bool[Tensor, "b t"]  # True = real token
    special_mask: Bool[Tensor, "b t"]  # True = [CLS], [SEP] or padding: never masked
    nsp_labels: Int[Tensor, " b"]  # 0 = b is the next sentence, 1 = it is random


def collate_pairs(examples: Sequence[NSPExample], *, pad_id: int, cls_id: int, sep_id: int, max_len: int) -> PairBatch:
    """Make each example a sentence pair of at most `max_len` tokens and pad them to the longest.

    An example is a tuple (a, b, is_random): take it apart by place, for plain tuples come here too. Padding belongs to
    segment 0. No sentence holds `cls_id` or `sep_id`; one may hold `pad_id` as a real token.

    [NSPExample([7], [8], 1)] -> input_ids [[CLS, 7, SEP, 8, SEP]], segment_ids [[0, 0, 0, 1, 1]],
        attention_mask all True, special_mask [[True, False, True, False, True]], nsp_labels [1]
    """
    ### BEGIN SOLUTION
    pairs = [make_sentence_pair(a, b, cls_id=cls_id, sep_id=sep_id, max_len=max_len) for a, b, _ in examples]
    input_ids, attention_mask = pad_batch([ids for ids, _ in pairs], pad_id)
    segment_ids, _ = pad_batch([segments for _, segments in pairs], 0)
    special_mask = ~attention_mask | (input_ids == cls_id) | (input_ids == sep_id)
    nsp_labels = torch.tensor([is_random for _, _, is_random in examples])
    return PairBatch(input_ids, segment_ids, attention_mask, special_mask, nsp_labels)
    ### END SOLUTION


# --- loss -------------------------------------------------------------------------------------------------------------


def mlm_loss(logits: Float[Tensor, "b t v"], labels: Int[Tensor, "b t"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy in nats over the positions whose label is not -100, in the dtype of `logits`.

    Every such position of the batch has the same weight, in whatever row it is. Logits at position t are for the label
    at position t: nothing is shifted. Where no position counts the loss is 0 and so is its gradient (torch's mean would
    be NaN).

    logits of zeros for 5 words, labels [[-100, 3]] -> ln 5
    """
    ### BEGIN SOLUTION
    total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp(min=1)
    ### END SOLUTION


# --- model ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BertConfig:
    """The shape of a model. BERT-base is BertConfig(30522, 512, 768, 12, 12, 3072)."""

    vocab_size: int
    context_length: int = 128  # the longest sequence
    d_model: int = 128
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 512
    n_segments: int = 2
    dropout: float = 0.1
    pad_id: int = 0
    eps: float = 1e-12  # of every LayerNorm, as in Google's code


class BertSelfAttention(nn.Module):
    """Multi-head self-attention in which every token sees every real token, before and after it.

    The parameters are the linear maps `q`, `k`, `v` and `out` of d_model to d_model. (Given: __init__.)
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model={d_model} is not a multiple of n_heads={n_heads}")
        self.n_heads = n_heads
        self.dropout = dropout  # of the attention weights, in training
        self.q = nn.Linear(d_model, d_model)
        self.k = nn.Linear(d_model, d_model)
        self.v = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(
        self, x: Float[Tensor, "b t c"], attention_mask: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b t c"]:
        """Project x to q, k, v; attend within each head; put the heads side by side; project by `out`.

        Scores are divided by sqrt(C / H); head h is block h of the channels. `attention_mask` is True where a token is
        real: no query, real or not, attends to the others. None means that all are real; each row has at least one. In
        training mode the attention weights pass through a dropout. F.scaled_dot_product_attention may be used here.
        """
        ### BEGIN SOLUTION
        q, k, v = (
            project(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (B, H, T, C/H)
            for project in (self.q, self.k, self.v)
        )
        mask = None if attention_mask is None else attention_mask[:, None, None, :]  # (B, 1, 1, T): over keys
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).flatten(2))
        ### END SOLUTION


class BertLayer(nn.Module):
    """One layer of the encoder: attention, then a feed-forward network, each followed by a residual and a norm.

    (Given: __init__.)
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = BertSelfAttention(config.d_model, config.n_heads, config.dropout)
        self.attention_norm = nn.LayerNorm(config.d_model, eps=config.eps)
        self.ff_in = nn.Linear(config.d_model, config.d_ff)
        self.ff_out = nn.Linear(config.d_ff, config.d_model)
        self.ff_norm = nn.LayerNorm(config.d_model, eps=config.eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "b t c"], attention_mask: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b t c"]:
        """Return y = ff_norm(h + dropout(ff_out(gelu(ff_in(h))))) where h = attention_norm(x + dropout(attention(x))).

        This is POST-norm, as in Vaswani et al. 2017: a norm comes after each sum. GELU is the exact one,
        u * Phi(u) (Hendrycks and Gimpel 2016, section 2), not its tanh approximation.
        """
        ### BEGIN SOLUTION
        h = self.attention_norm(x + self.dropout(self.attention(x, attention_mask)))
        return self.ff_norm(h + self.dropout(self.ff_out(F.gelu(self.ff_in(h)))))
        ### END SOLUTION


class BertForPreTraining(nn.Module):
    """BERT with its two heads: one predicts masked words, one says whether sentence b is random (section 3.1).

    The word head has `mlm_dense`, `mlm_norm` and `mlm_bias`; its matrix is `embeddings.word.weight` itself, so there is
    no other of that shape. The sentence head has `pooler` and `nsp`. Matrices start as normal numbers with standard
    deviation 0.02, drawn from `generator`. (Given: __init__.)
    """

    def __init__(self, config: BertConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(
            config.vocab_size,
            config.d_model,
            config.context_length,
            n_segments=config.n_segments,
            pad_id=config.pad_id,
            eps=config.eps,
            dropout=config.dropout,
        )
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.n_layers))
        self.mlm_dense = nn.Linear(config.d_model, config.d_model)
        self.mlm_norm = nn.LayerNorm(config.d_model, eps=config.eps)
        self.mlm_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.pooler = nn.Linear(config.d_model, config.d_model)
        self.nsp = nn.Linear(config.d_model, 2)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02, generator=generator)
            elif not name.endswith("norm.weight"):
                nn.init.zeros_(parameter)

    def encode(
        self,
        input_ids: Int[Tensor, "b t"],
        segment_ids: Int[Tensor, "b t"] | None = None,
        attention_mask: Bool[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b t c"]:
        """Return the output of the last layer: the embeddings, then each of `layers` in turn, each with the mask."""
        ### BEGIN SOLUTION
        x = self.embeddings(input_ids, segment_ids)
        for layer in self.layers:
            x = layer(x, attention_mask)
        return x
        ### END SOLUTION

    def forward(
        self,
        input_ids: Int[Tensor, "b t"],
        segment_ids: Int[Tensor, "b t"] | None = None,
        attention_mask: Bool[Tensor, "b t"] | None = None,
    ) -> tuple[Float[Tensor, "b t v"], Float[Tensor, "b 2"]]:
        """Return (mlm_logits, nsp_logits).

        With x = encode(...): mlm_logits = mlm_norm(gelu(mlm_dense(x))) W^T + mlm_bias, where W is
        `embeddings.word.weight`, and nsp_logits = nsp(tanh(pooler(x of [CLS]))), where [CLS] is the first token. The
        first of the two is for label 0, "b is the next sentence". GELU is exact again.
        """
        ### BEGIN SOLUTION
        x = self.encode(input_ids, segment_ids, attention_mask)
        h = self.mlm_norm(F.gelu(self.mlm_dense(x)))
        mlm_logits = F.linear(h, self.embeddings.word.weight, self.mlm_bias)
        return mlm_logits, self.nsp(self.pooler(x[:, 0]).tanh())
        ### END SOLUTION


# --- training and use -------------------------------------------------------------------------------------------------


def train_mlm(
    config: BertConfig,
    documents: Sequence[Sequence[Sequence[int]]],
    steps: int,
    *,
    cls_id: int,
    sep_id: int,
    mask_id: int,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, BertForPreTraining], object] | None = None,
) -> tuple[BertForPreTraining, list[float]]:
    """Pre-train a model on `documents` (sentences of token ids); return it and the loss of each step before its update.

    Each pass over the documents samples its pairs afresh with `sample_nsp_pairs`, shuffles them, and cuts them into
    batches of `batch_size`; each batch is masked afresh by `mask_tokens`. The loss is that of the masked words plus the
    cross-entropy of the sentence labels (appendix A.2). The optimiser is torch.optim.AdamW, its learning rate grows
    linearly to `learning_rate` over the first tenth of the steps and falls linearly towards 0 over the rest.

    `generator` is on the CPU and gives the initial weights, the pairs and the masks: with config.dropout = 0 the same
    state gives the same model. (A random.Random can be seeded by a number drawn from it.) The model trains on `device`.
    `on_step` is called after each step with its number, 1 to `steps`, and the model.
    """
    ### BEGIN SOLUTION
    rng = random.Random(int(torch.randint(2**62, (), generator=generator)))

    def batches() -> Iterator[PairBatch]:
        while True:
            examples = sample_nsp_pairs(documents, rng)
            rng.shuffle(examples)
            for chunk in range(0, len(examples), batch_size):
                yield collate_pairs(
                    examples[chunk : chunk + batch_size],
                    pad_id=config.pad_id, cls_id=cls_id, sep_id=sep_id, max_len=config.context_length,
                )  # fmt: skip

    model = BertForPreTraining(config, generator).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    warm_up = max(steps // 10, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, (steps - step) / max(steps - warm_up, 1))
    )
    losses = []
    for step, batch in enumerate(itertools.islice(batches(), steps), start=1):
        inputs, labels = mask_tokens(
            batch.input_ids,
            mask_id=mask_id,
            vocab_size=config.vocab_size,
            special_mask=batch.special_mask,
            generator=generator,
        )
        mlm_logits, nsp_logits = model(inputs.to(device), batch.segment_ids.to(device), batch.attention_mask.to(device))
        loss = mlm_loss(mlm_logits, labels.to(device)) + F.cross_entropy(nsp_logits, batch.nsp_labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())  # .item() would make the host wait for the device in every step
        if on_step is not None:
            on_step(step, model)
    return model, torch.stack(losses).tolist()
    ### END SOLUTION


class Tokenizer(Protocol):
    """What `fill_mask` asks of a tokenizer."""

    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: list[int]) -> str: ...
    def id(self, piece: str) -> int: ...


def fill_mask(model: nn.Module, tokenizer: Tokenizer, text: str, k: int = 5) -> list[tuple[str, float]]:
    """Return the `k` most probable fillings of the one [MASK] in `text`, with their probabilities, best first.

    The model sees [CLS], the encoded text, [SEP], in evaluation mode and without gradients; afterwards it is in the
    mode in which it was. A filling is the single token, decoded. Probabilities are over the whole vocabulary, not over
    the k. `tokenizer.id("[MASK]")` and the like give special ids; `encode` knows "[MASK]" and adds nothing. A k larger
    than the vocabulary gives all of it. Raises ValueError where the text holds no [MASK] or several.

    fill_mask(model, tokenizer, "I like [MASK] coffee", k=2) -> [("black", 0.4), ("hot", 0.2)]
    """
    ### BEGIN SOLUTION
    ids = [tokenizer.id("[CLS]"), *tokenizer.encode(text), tokenizer.id("[SEP]")]
    mask_id = tokenizer.id("[MASK]")
    if ids.count(mask_id) != 1:
        raise ValueError(f"the text must hold one [MASK], not {ids.count(mask_id)}")
    training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad():
            mlm_logits, _ = model(torch.tensor([ids], device=device))
    finally:
        model.train(training)
    probabilities = mlm_logits[0, ids.index(mask_id)].softmax(dim=-1)
    best = probabilities.topk(min(k, len(probabilities)))
    return [(tokenizer.decode([i]), p) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
    ### END SOLUTION
