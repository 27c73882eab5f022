"""T5 and BART: cut spans out of a text, and train an encoder and a decoder to put them back.

Build in the order of the file; each function may use the ones above it. The handout (README.md) has the maths. B is the
batch size, L a number of tokens, S and T the lengths of sources and targets, V the vocabulary, H the number of heads,
C = d_model. Masks are boolean: True = is noise where a text is corrupted, True = may attend in a model. Token ids are
int64, no argument is changed, and a result lies on the device of the tensors that it is made from. Where there is a
`generator`, all chance comes from it, and it lives on the device of the result; None means torch's global one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from autograder.given.tokenizer import Tokenizer

# --- span corruption --------------------------------------------------------------------------------------------------


def random_segmentation(
    n_items: int, n_segments: int, generator: torch.Generator | None = None, *, batch_size: int | None = None
) -> Int[Tensor, "*batch n_segments"]:
    """Cut `n_items` into `n_segments` segments of at least one item each, and return their lengths, int64.

    Each of the C(n_items - 1, n_segments - 1) ways to do so is equally likely. With a `batch_size` the result is
    (batch_size, n_segments), each row drawn by itself. Raises ValueError unless 1 <= n_segments <= n_items.

    random_segmentation(4, 2) -> [1, 3], [2, 2] or [3, 1], with probability 1/3 each
    """
    raise NotImplementedError


def noise_counts(length: int, noise_density: float = 0.15, mean_span_length: float = 3.0) -> tuple[int, int]:
    """Return (noise tokens, noise spans) for a text of `length` tokens: two numbers that are not random.

    n = round(length * noise_density), moved into 1 <= n <= length - 1, then s = round(n / mean_span_length), moved into
    1 <= s <= min(n, length - n), because each span holds a token and follows one. `round` is Python's: halves go to the
    even number, and the product and the quotient are those of Python floats. A text of fewer than two tokens, or a
    density of exactly 0, has no noise: (0, 0).

    noise_counts(20) -> (3, 1);  noise_counts(10, 0.25) -> (2, 1);  noise_counts(10, 0.8, 1.0) -> (8, 2)
    """
    raise NotImplementedError


def random_spans_noise_mask(
    length: int,
    noise_density: float = 0.15,
    mean_span_length: float = 3.0,
    generator: torch.Generator | None = None,
    *,
    batch_size: int | None = None,
) -> Bool[Tensor, "*batch length"]:
    """Return a mask, True = noise, with the numbers of noise tokens and of runs of True that `noise_counts` gives.

    Cut the noise tokens into segments and, independently, the others into as many; then lay them down in turn: others,
    noise, others, noise, ... So the mask starts with False, ends with True (where there is any noise), and each mask
    with those counts is equally likely (Raffel et al. 2020, section 3.3.4). With a `batch_size` the result is
    (batch_size, length), each row drawn by itself; all rows have the same counts.

    random_spans_noise_mask(5, 0.4, 1.0) -> [F, T, F, F, T] or [F, F, T, F, T], with probability 1/2 each
    """
    raise NotImplementedError


def sentinel_ids(tokenizer: Tokenizer) -> list[int]:
    """Return the ids of the tokenizer's sentinels `<extra_id_0>`, `<extra_id_1>`, ..., all that it has, in this order.

    Ask `tokenizer.id(piece)`, which raises KeyError for a piece that is not there. Do not compute them: in T5's own
    vocabulary they descend from V - 1, here they are ids 4, 5, ..., and elsewhere they are something else.

    sentinel_ids(Tokenizer.train(texts, 400, ["<extra_id_0>", "<extra_id_1>"])) -> [4, 5]
    """
    raise NotImplementedError


def span_corrupt(
    tokens: Int[Tensor, "*batch length"],
    mask: Bool[Tensor, "*batch length"],
    sentinel_ids: Sequence[int],
    *,
    eos_id: int | None = None,
    final_sentinel: bool = False,
) -> tuple[Int[Tensor, "*batch inputs"], Int[Tensor, "*batch targets"]]:
    """Return (inputs, targets): each run of noise leaves one sentinel in the inputs, and follows it in the targets.

    Run number i, counted from 0 in each row, gets `sentinel_ids[i]`, on both sides. Runs are runs of True, wherever the
    mask begins or ends. With `final_sentinel` the targets end in one more, the next sentinel. With `eos_id` both sides
    end in it, after all else. (T5's code marks in the targets the runs of *kept* tokens instead, which is the same
    where a mask starts with False and ends with True; its targets have no final sentinel, those in the paper's figure 2
    have one.)

    With a batch, every row must have the same number of noise tokens and the same number of runs, as the masks of
    `random_spans_noise_mask` have: that is what makes the results rectangular. Raises ValueError where they differ,
    where there are more runs (and final sentinel) than sentinels, and where `tokens` holds one of `sentinel_ids`.

    tokens [5, 6, 7, 8, 9], mask [F, T, T, F, T], sentinels [99, 98, 97] -> [5, 99, 8, 98], [99, 6, 7, 98, 9]
    with final_sentinel=True and eos_id=1 -> [5, 99, 8, 98, 1], [99, 6, 7, 98, 9, 97, 1]
    """
    raise NotImplementedError


def reconstruct(
    inputs: Int[Tensor, " inputs"],
    targets: Int[Tensor, " targets"],
    sentinel_ids: Sequence[int],
    *,
    eos_id: int | None = None,
) -> Int[Tensor, " length"]:
    """Return the tokens from which `span_corrupt` made these two, with or without a final sentinel: its inverse.

    With `eos_id`, both sides end in it, and that one EOS is no token of the text; another before it is. Raises
    ValueError for what no text gives: sentinels that are not sentinel_ids[0], [1], ... in this order, each once;
    targets whose sentinels are not those of the inputs (and at most one more, at their end); targets that begin with
    something else; no EOS at the end where there is an `eos_id`.

    reconstruct([5, 99, 8, 98], [99, 6, 7, 98, 9], [99, 98, 97]) -> [5, 6, 7, 8, 9]
    """
    raise NotImplementedError


def t5_lengths(inputs_length: int, noise_density: float = 0.15, mean_span_length: float = 3.0) -> tuple[int, int]:
    """Return (tokens_length, targets_length): how many tokens to cut from a stream so that the inputs just fit.

    `tokens_length` is the largest number of tokens whose inputs, with one sentinel a span and one EOS, are at most
    `inputs_length` long; `targets_length` is the length of their targets, with one sentinel a span and one EOS. The
    counts are those of `noise_counts`. One exception, T5's own: at a density of exactly 0.5, where the targets would be
    longer than `inputs_length`, one token fewer is taken, and both lengths are those for it. inputs_length >= 2,
    noise_density < 1.

    t5_lengths(512, 0.15, 3.0) -> (568, 114): 85 noise tokens in 28 spans, 568 - 85 + 28 + 1 = 512, 85 + 28 + 1 = 114
    """
    raise NotImplementedError


def shift_right(labels: Int[Tensor, "*batch t"], *, start_id: int, pad_id: int) -> Int[Tensor, "*batch t"]:
    """Return what the decoder reads to predict `labels`: `start_id` first, then all labels but the last.

    Labels of -100, which do not count in the loss, become `pad_id`: no embedding has a row -100.

    shift_right([7, 8, 1, -100, -100], start_id=0, pad_id=0) -> [0, 7, 8, 1, 0]
    """
    raise NotImplementedError


# --- BART's five kinds of noise (Lewis et al. 2020, section 2.2) ------------------------------------------------------
# Each takes one text. `special_mask` is True at tokens (BOS, EOS, padding) that noise must not touch; None: none are.


def token_masking(
    tokens: Int[Tensor, " length"],
    p: float,
    mask_id: int,
    generator: torch.Generator | None = None,
    *,
    special_mask: Bool[Tensor, " length"] | None = None,
) -> Int[Tensor, " length"]:
    """Replace each token that is not special by `mask_id`, with probability `p`, independently of the others.

    token_masking([5, 6, 7], 1.0, 9, special_mask=[T, F, F]) -> [5, 9, 9]
    """
    raise NotImplementedError


def token_deletion(
    tokens: Int[Tensor, " length"],
    p: float,
    generator: torch.Generator | None = None,
    *,
    special_mask: Bool[Tensor, " length"] | None = None,
) -> Int[Tensor, " shorter"]:
    """Drop each token that is not special, with probability `p`, independently of the others. The rest keeps its order.

    token_deletion([5, 6, 7], 1.0, special_mask=[T, F, F]) -> [5]
    """
    raise NotImplementedError


def text_infilling(
    tokens: Int[Tensor, " length"],
    ratio: float = 0.3,
    poisson_lambda: float = 3.0,
    *,
    mask_id: int,
    generator: torch.Generator | None = None,
    special_mask: Bool[Tensor, " length"] | None = None,
) -> Int[Tensor, " changed"]:
    """Replace spans of tokens by ONE `mask_id` each, so that exactly ceil(ratio * n) of the n not special tokens go.

    Span lengths are drawn from a Poisson distribution of mean `poisson_lambda` > 0 until they sum to that budget or
    more, and the last one is cut so that they sum to it exactly. A span of length 0 deletes nothing and still puts a
    mask into the text. Spans do not overlap; where two stand side by side there are two masks. Among the tokens that
    stay, every arrangement of the spans, in every order, is equally likely. A budget of 0 changes nothing.

    Special tokens all stay, in their order. No mask comes before the special tokens that the text begins with, or after
    those that it ends with.

    text_infilling([5, 6], 0.5, 1e9, mask_id=9) -> [9, 6] or [5, 9]; with a mean near 1 also [9, 9, 6], [5, 9, 9], ...
    """
    raise NotImplementedError


def sentence_permutation(
    tokens: Int[Tensor, " length"],
    end_id: int,
    generator: torch.Generator | None = None,
    *,
    special_mask: Bool[Tensor, " length"] | None = None,
) -> Int[Tensor, " length"]:
    """Put the sentences into a random order, each order equally likely, and leave each sentence as it is.

    A sentence ends with `end_id`, which belongs to it; what follows the last `end_id` is a sentence too. Special tokens
    stay where they are, and sentences are those of the text without them.

    sentence_permutation([5, 2, 6, 7, 2], end_id=2) -> [5, 2, 6, 7, 2] or [6, 7, 2, 5, 2], with probability 1/2 each
    """
    raise NotImplementedError


def document_rotation(
    tokens: Int[Tensor, " length"],
    generator: torch.Generator | None = None,
    *,
    special_mask: Bool[Tensor, " length"] | None = None,
) -> Int[Tensor, " length"]:
    """Let the text begin at one of its tokens, each equally likely, and put what stood before it at the end.

    Special tokens stay where they are; the others rotate through the other places.

    document_rotation([5, 6, 7]) -> [5, 6, 7], [6, 7, 5] or [7, 5, 6], with probability 1/3 each
    """
    raise NotImplementedError


# --- every task as text to text (Raffel et al. 2020, section 2.4 and appendix D) --------------------------------------

LABELS: dict[str, tuple[str, ...]] = {  # task -> the word for each label
    "cola": ("unacceptable", "acceptable"),
    "mnli": ("entailment", "neutral", "contradiction"),
}


def to_text(task: str, example: Mapping[str, Any]) -> tuple[str, str]:
    """Return (source, target): an example of a task as two texts. Raises ValueError for a task that is not here:

    translation     from, to, text, translation -> "translate {from} to {to}: {text}", translation
    summarization   text, summary               -> "summarize: {text}", summary
    cola            sentence, label             -> "cola sentence: {sentence}", the word for the label
    mnli            premise, hypothesis, label  -> "mnli hypothesis: {hypothesis} premise: {premise}", the word
    stsb            sentence1, sentence2, score -> "stsb sentence1: {sentence1} sentence2: {sentence2}", the score

    `from` and `to` are names of languages; the words for labels are in LABELS. A score in 0..5 becomes the nearest
    multiple of 0.2, with one digit after the point: round(score * 5) / 5, where round is Python's.

    to_text("cola", {"sentence": "The cat sat.", "label": 1}) -> ("cola sentence: The cat sat.", "acceptable")
    """
    raise NotImplementedError


def from_text(task: str, text: str) -> str | int | float | None:
    """Return what a model that wrote `text` has said; None where that is no answer. Unknown task: ValueError.

    White space around the text does not count. Translation and summarization: the text itself. Classification: the
    label whose word the text is; anything else, also with words around it or in other case, is None and not a guess.
    stsb: the score as a float if the text is digits, a point and one digit, and it is in 0..5; else None.

    from_text("cola", "acceptable") -> 1;  from_text("cola", "quite acceptable") -> None
    from_text("stsb", "3.8") -> 3.8;  from_text("stsb", "3.85") -> None
    """
    raise NotImplementedError


# --- the model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class T5Config:
    """The size of a `Seq2Seq`. d_model is a multiple of n_heads."""

    vocab_size: int
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2  # in the encoder, and as many in the decoder
    d_ff: int = 256
    n_buckets: int = 32
    max_distance: int = 128


def relative_position_bucket(
    relative_position: Int[Tensor, "..."], *, bidirectional: bool, n_buckets: int = 32, max_distance: int = 128
) -> Int[Tensor, "..."]:
    """Return the bucket, in range(n_buckets), of each relative position = (place of the key) - (place of the query).

    In one direction (decoder): d = max(-relative position, 0), how far back the key is, falls into `n = n_buckets`
    buckets. Distances below n // 2 have one each. From there on they grow: bucket n // 2 + floor(ln(d / (n // 2)) /
    ln(max_distance / (n // 2)) * (n - n // 2)), and n - 1 from `max_distance` on. In both directions (encoder): the
    same with n = n_buckets // 2 and d = |relative position|, and keys AFTER the query have n added. (Raffel et al.
    2020, section 2.1; the formula is in T5's code.) Take the logarithms in float32 or float64.

    bidirectional=True: relative positions [0, -1, 1, -8, 8, 200] -> [0, 1, 17, 8, 24, 31]
    bidirectional=False: [0, -1, 1, -16] -> [0, 1, 0, 16]
    """
    raise NotImplementedError


def relative_position_bias(
    table: Float[Tensor, "n_buckets n_heads"], length: int, *, bidirectional: bool, max_distance: int = 128
) -> Float[Tensor, "1 n_heads length length"]:
    """Return what is added to the scores: [0, h, i, j] is table[bucket of j - i, h], for query i, key j, head h.

    `table` has one row a bucket, so it says how many buckets there are. Its gradient must flow.
    """
    raise NotImplementedError


class Attention(nn.Module):
    """Multi-head attention of `x` to `context`. Parameters: `q`, `k`, `v`, `out`, linear maps of C to C, no biases."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        if config.d_model % config.n_heads:
            raise ValueError(f"d_model={config.d_model} is not a multiple of n_heads={config.n_heads}")
        self.n_heads = config.n_heads
        self.q, self.k, self.v, self.out = (nn.Linear(config.d_model, config.d_model, bias=False) for _ in range(4))

    def forward(
        self,
        x: Float[Tensor, "b t c"],
        context: Float[Tensor, "b s c"],
        mask: Bool[Tensor, "#b #1 #t s"],
        bias: Float[Tensor, "1 h t s"] | None = None,
    ) -> Float[Tensor, "b t c"]:
        """Queries from `x`, keys and values from `context`; head h is block h of the channels, as everywhere.

        T5 does NOT divide scores by sqrt(d_k) (its initialisation does that once). `bias` is added to the scores, then
        what the mask forbids (True = may attend) gets weight 0. Every query may attend to something. You may call
        F.scaled_dot_product_attention(q, k, v, attn_mask=..., scale=1.0) here: attention itself is another assignment.
        """
        raise NotImplementedError


class FeedForward(nn.Module):
    """relu(x up) down, no biases. (Given.)"""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        return self.down(F.relu(self.up(x)))


class EncoderBlock(nn.Module):
    """Self-attention, then the feed-forward network; each on a normalised copy (pre-norm), added to what came in."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.attention = Attention(config)
        self.feed_forward_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.feed_forward = FeedForward(config)

    def forward(
        self, x: Float[Tensor, "b s c"], mask: Bool[Tensor, "#b 1 #s s"], bias: Float[Tensor, "1 h s s"]
    ) -> Float[Tensor, "b s c"]:
        """x + attention(norm(x)), then the same with the feed-forward network."""
        raise NotImplementedError


class DecoderBlock(nn.Module):
    """Self-attention, cross-attention, the feed-forward network; each pre-norm, each added to what came in."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.attention = Attention(config)
        self.cross_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.cross_attention = Attention(config)
        self.feed_forward_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.feed_forward = FeedForward(config)

    def forward(
        self,
        x: Float[Tensor, "b t c"],
        mask: Bool[Tensor, "#b 1 t t"],
        bias: Float[Tensor, "1 h t t"],
        memory: Float[Tensor, "b s c"],
        memory_mask: Bool[Tensor, "#b 1 #t s"],
    ) -> Float[Tensor, "b t c"]:
        """`mask` and `bias` are for the self-attention. Cross-attention reads `memory` as it is, without a bias."""
        raise NotImplementedError


class Seq2Seq(nn.Module):
    """T5: an encoder that reads the source both ways, and a decoder that writes the target from left to right.

    There are no positions but the two tables of relative biases, one for all layers of the encoder and one for all of
    the decoder. The output layer is the embedding, its input scaled by d_model^-1/2 (T5 v1.0).
    """

    def __init__(self, config: T5Config, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder_bias = nn.Embedding(config.n_buckets, config.n_heads)
        self.decoder_bias = nn.Embedding(config.n_buckets, config.n_heads)
        self.encoder = nn.ModuleList(EncoderBlock(config) for _ in range(config.n_layers))
        self.encoder_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.decoder = nn.ModuleList(DecoderBlock(config) for _ in range(config.n_layers))
        self.decoder_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        for name, parameter in self.named_parameters():  # T5's initialisation; the norms keep their ones
            if parameter.dim() == 2:
                std = parameter.shape[-1] ** -0.5
                if name.endswith("q.weight"):
                    std /= (config.d_model // config.n_heads) ** 0.5  # in place of the 1 / sqrt(d_k) of the scores
                elif name == "embedding.weight":
                    std = 1.0
                elif name.endswith("_bias.weight"):
                    std = config.d_model**-0.5
                nn.init.normal_(parameter, std=std, generator=generator)

    def encode(self, src: Int[Tensor, "b s"], src_mask: Bool[Tensor, "b s"]) -> Float[Tensor, "b s c"]:
        """Return the normalised output of the last encoder block. `src_mask` is True where a token is real."""
        raise NotImplementedError

    def decode(
        self, memory: Float[Tensor, "b s c"], src_mask: Bool[Tensor, "b s"], tgt_in: Int[Tensor, "b t"]
    ) -> Float[Tensor, "b t vocab_size"]:
        """Return the logits: those at t are for target t, from tgt_in[: t + 1] and every real token of the source."""
        raise NotImplementedError

    def forward(
        self, src: Int[Tensor, "b s"], src_mask: Bool[Tensor, "b s"], tgt_in: Int[Tensor, "b t"]
    ) -> Float[Tensor, "b t vocab_size"]:
        """Return `decode` of `encode`. Every row of `src_mask` has at least one real token."""
        return self.decode(self.encode(src, src_mask), src_mask, tgt_in)


def seq2seq_loss(logits: Float[Tensor, "b t vocab_size"], labels: Int[Tensor, "b t"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy in nats over the labels that are not -100; logits at t are for labels[:, t].

    Nothing is shifted here: `shift_right` has done it on the other side. With no label at all the loss is 0, and so is
    its gradient (torch's mean gives NaN).

    logits of zeros and V = 5 -> ln 5, whatever the labels
    """
    raise NotImplementedError


def train_t5(
    config: T5Config,
    tokens: Int[Tensor, " n"],
    steps: int,
    *,
    sentinel_ids: Sequence[int],
    eos_id: int,
    pad_id: int,
    inputs_length: int = 64,
    noise_density: float = 0.15,
    mean_span_length: float = 3.0,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    on_step: Callable[[int, Seq2Seq], None] | None = None,
) -> tuple[Seq2Seq, list[float]]:
    """Train a `Seq2Seq` on a stream of tokens by span corruption; return it and each step's loss before its update.

    Each step takes `batch_size` windows of the stream, beginning at uniformly random places, of the `tokens_length`
    that `t5_lengths` plans; corrupts each with its own mask, without a final sentinel, both sides ending in `eos_id`;
    starts the decoder with `pad_id`, as T5 does; and takes one step of torch.optim.AdamW without weight decay. The
    learning rate grows linearly to `learning_rate` over the first tenth of the steps and falls linearly towards 0 over
    the rest. Only the model and its batches are on `device`: stream and generator are on the CPU. The same state of the
    generator gives the same model. `on_step(number, model)` is called after each step, numbers from 1: for
    progress and plots. Raises ValueError where the stream is shorter than a window.
    """
    raise NotImplementedError


# --- filling in -------------------------------------------------------------------------------------------------------


def greedy_decode(
    model: Seq2Seq,
    src: Int[Tensor, "b s"],
    src_mask: Bool[Tensor, "b s"],
    *,
    start_id: int,
    eos_id: int,
    pad_id: int,
    max_new_tokens: int,
) -> Int[Tensor, "b t"]:
    """Return the targets that take the most probable token at each step: (B, T), T <= max_new_tokens, no start token.

    A row that has written `eos_id` is finished: `pad_id` follows. Decoding stops when all rows are finished, so that
    the longest one ends the result. Carries no gradient. Encode once, decode many times.
    """
    raise NotImplementedError


def read_spans(
    written: Sequence[int], n_spans: int, sentinel_ids: Sequence[int], *, eos_id: int | None = None
) -> list[list[int]]:
    """Return the `n_spans` spans that a model wrote: span i is what follows sentinel i, up to the next sentinel, any
    one.

    A model may write anything, so nothing here is an error. The first EOS ends the text. A sentinel that is missing
    gives an empty span, one that comes again counts the first time, and what precedes the first sentinel belongs to
    none.

    read_spans([99, 6, 7, 98, 9, 1, 5], 3, [99, 98, 97], eos_id=1) -> [[6, 7], [9], []]
    """
    raise NotImplementedError


def fill_spans(model: Seq2Seq, tokenizer: Tokenizer, text: str, max_new_tokens: int = 64) -> list[str]:
    """Return what the model would put in place of `<extra_id_0>`, `<extra_id_1>`, ... in `text`, one string a sentinel.

    The text is encoded, EOS is added, and the model decodes greedily, beginning with `tokenizer.pad_id`. Each span that
    it wrote is decoded by itself. There are as many strings as sentinels in the text, "" for a span that it did not
    write.

    fill_spans(model, tokenizer, "def f(x): <extra_id_0> x") -> ["return"], once the model is good
    """
    raise NotImplementedError
