"""Every function of the BERT assignment that works on tensors."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Generator, Tensor

from autograder.given.cloze import Words
from gpu_cases import Case

VOCAB = 1000


def token_ids(is_large: bool, generator: Generator) -> Tensor:
    return torch.randint(VOCAB, (64, 512) if is_large else (4, 24), generator=generator)


def tokens(generator: Generator, is_large: bool) -> tuple[Tensor, ...]:
    """Ids, and a tensor that carries the dtype."""
    return token_ids(is_large, generator), torch.zeros((), dtype=torch.float64)


def anchor(generator: Generator, is_large: bool) -> tuple[Tensor, ...]:
    """Says where, and in what dtype."""
    return (torch.zeros((), dtype=torch.float64),)


def logits(generator: Generator, is_large: bool) -> tuple[Tensor, ...]:
    """Logits, and labels of which most do not count."""
    ids = token_ids(is_large, generator)
    labels = ids.masked_fill(torch.rand(ids.shape, generator=generator) > 0.15, -100)
    return torch.randn(*ids.shape, VOCAB, generator=generator, dtype=torch.float64), labels


def vectors(generator: Generator, is_large: bool) -> tuple[Tensor, ...]:
    shape = (64, 512, 256) if is_large else (4, 24, 256)
    return (torch.randn(shape, generator=generator, dtype=torch.float64),)


def seeded(make: Callable[[], torch.nn.Module], like: Tensor) -> torch.nn.Module:
    """A module with the same weights on every device, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().to(like.device, like.dtype).eval()


def real(x: Tensor) -> Tensor:
    """A mask in which each row has its own length."""
    b, t = x.shape[:2]
    return torch.arange(t, device=x.device) < torch.linspace(t // 2, t, b, device=x.device)[:, None]


def masking(bert: ModuleType, ids: Tensor, like: Tensor) -> Tensor:
    """All tokens masked: the one outcome that no generator decides."""
    options = {"mask_id": 4, "vocab_size": VOCAB, "mlm_prob": 1.0, "mask_frac": 1.0, "random_frac": 0.0}
    generator = torch.Generator(ids.device).manual_seed(0)
    inputs, labels = bert.mask_tokens(ids, special_mask=ids < 100, generator=generator, **options)
    return (inputs + labels).to(like.dtype)


def embeddings(bert: ModuleType, ids: Tensor, like: Tensor) -> Tensor:
    return seeded(lambda: bert.BertEmbeddings(VOCAB, 256, 512), like)(ids)


def attention(bert: ModuleType, x: Tensor) -> Tensor:
    return seeded(lambda: bert.BertSelfAttention(256, 4), x)(x, real(x))


def layer(bert: ModuleType, x: Tensor) -> Tensor:
    config = bert.BertConfig(VOCAB, 512, 256, 4, 1, 1024, dropout=0.0)
    return seeded(lambda: bert.BertLayer(config), x)(x, real(x))


def model(bert: ModuleType, ids: Tensor, like: Tensor) -> Tensor:
    """The words' logits; those of the pairs stand in the last column."""
    config = bert.BertConfig(VOCAB, 512, 256, 4, 2, 1024, dropout=0.0)
    words, pair = seeded(lambda: bert.BertForPreTraining(config), like)(ids, ids % 2, real(ids))
    return torch.cat((words.flatten(1), pair), dim=1)


def loss_gradient(bert: ModuleType, z: Tensor, labels: Tensor) -> Tensor:
    leaf = z.clone().requires_grad_()
    with torch.enable_grad():
        bert.mlm_loss(leaf, labels).backward()
    return leaf.grad


def training(bert: ModuleType, like: Tensor) -> Tensor:
    """The losses of three steps, always in float32: `train_mlm` makes its own model."""
    config = bert.BertConfig(50, 32, 64, 4, 1, 128, dropout=0.0)
    documents = [[[4 + d, 4 + s, 9] for s in range(4)] for d in range(20)]
    generator = torch.Generator().manual_seed(0)
    options = {"cls_id": 1, "sep_id": 2, "mask_id": 3, "generator": generator, "device": like.device}
    with torch.enable_grad():
        _, losses = bert.train_mlm(config, documents, 3, **options)
    return torch.tensor(losses, device=like.device, dtype=like.dtype)


def filling(bert: ModuleType, like: Tensor) -> Tensor:
    """The probabilities of all words for one blank."""
    tokenizer = Words(["[PAD]", "[CLS]", "[SEP]", "[MASK]", "hot", "tea"])
    config = bert.BertConfig(tokenizer.vocab_size, 16, 64, 4, 2, 128)
    made = seeded(lambda: bert.BertForPreTraining(config), like)
    found = dict(bert.fill_mask(made, tokenizer, "hot [MASK]", k=tokenizer.vocab_size))
    return torch.tensor([found[word] for word in tokenizer.words], device=like.device, dtype=like.dtype)


CASES = [
    Case("mask_tokens", tokens, masking),
    Case("BertEmbeddings", tokens, embeddings),
    Case("BertSelfAttention, padded", vectors, attention),
    Case("BertLayer, padded", vectors, layer),
    Case("BertForPreTraining, padded", tokens, model, float32=1e-4, bfloat16=5e-2),
    Case("mlm_loss", logits, lambda bert, z, labels: bert.mlm_loss(z, labels)),
    Case("its gradient", logits, loss_gradient),
    Case("train_mlm, three steps", anchor, training, float32=1e-4),
    Case("fill_mask", anchor, filling, float32=1e-4),
]
