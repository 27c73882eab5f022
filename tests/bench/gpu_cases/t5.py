"""What of the T5 assignment works on tensors: the model and its parts, the loss, and corruption in whole batches."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Generator, Tensor

from gpu_cases import Case

Inputs = Callable[[Generator, bool], tuple[Tensor, ...]]
EOS, START = 1, 0


def normal(*small_and_large: tuple[tuple[int, ...], tuple[int, ...]]) -> Inputs:
    """One tensor of standard normals for each pair of shapes."""
    return lambda generator, is_large: tuple(
        torch.randn(pair[is_large], generator=generator, dtype=torch.float64) for pair in small_and_large
    )


def config(t5: ModuleType, is_large: bool):
    if is_large:
        return t5.T5Config(8192, d_model=512, n_heads=8, n_layers=6, d_ff=2048)
    return t5.T5Config(97, d_model=64, n_heads=4, n_layers=2, d_ff=128, n_buckets=16, max_distance=40)


def texts(small: tuple[int, int, int], large: tuple[int, int, int]) -> Inputs:
    """An anchor that says where and in what dtype, a source with its mask, and what the decoder reads: b x s, b x t."""

    def draw(generator: Generator, is_large: bool) -> tuple[Tensor, ...]:
        b, s, t = large if is_large else small
        src, tgt = (torch.randint(2, 97, (b, n), generator=generator) for n in (s, t))
        real = torch.arange(s) < torch.randint(s // 2, s + 1, (b, 1), generator=generator)
        return torch.zeros((), dtype=torch.float64), src, real, tgt

    return draw


def model_at(t5: ModuleType, anchor: Tensor, src: Tensor) -> torch.nn.Module:
    """The same weights on every device."""
    return t5.Seq2Seq(config(t5, src.shape[1] > 100), torch.Generator().manual_seed(0)).to(anchor.device, anchor.dtype)


def logits(t5: ModuleType, anchor: Tensor, src: Tensor, real: Tensor, tgt: Tensor) -> Tensor:
    return model_at(t5, anchor, src)(src, real, tgt)


def encoded(t5: ModuleType, anchor: Tensor, src: Tensor, real: Tensor, tgt: Tensor) -> Tensor:
    return model_at(t5, anchor, src).encode(src, real)


def gradient(t5: ModuleType, anchor: Tensor, src: Tensor, real: Tensor, tgt: Tensor) -> Tensor:
    """Of the loss with respect to the embedding, through both stacks."""
    model = model_at(t5, anchor, src)
    with torch.enable_grad():
        read = t5.shift_right(tgt, start_id=START, pad_id=START)
        t5.seq2seq_loss(model(src, real, read), tgt).backward()
    return model.embedding.weight.grad


def written(t5: ModuleType, anchor: Tensor, src: Tensor, real: Tensor, tgt: Tensor) -> Tensor:
    """Logits of what the model itself wrote at first; the argmax of close logits may differ between dtypes."""
    model, ids = model_at(t5, anchor, src), {"start_id": START, "eos_id": EOS, "pad_id": START}
    tokens = t5.greedy_decode(model, src, real, **ids, max_new_tokens=1)
    return model(src, real, torch.full_like(tokens, START)).gather(-1, tokens[..., None])


def attention(t5: ModuleType, x: Tensor, context: Tensor, bias: Tensor) -> Tensor:
    torch.manual_seed(0)
    made = t5.Attention(t5.T5Config(9, d_model=x.shape[-1], n_heads=bias.shape[1]))
    mask = torch.arange(context.shape[1], device=x.device) < torch.tensor([[3], [context.shape[1]]], device=x.device)
    return made.to(x.device, x.dtype)(x, context, mask[:, None, None], bias)


def bias(t5: ModuleType, table: Tensor) -> Tensor:
    length = 1024 if len(table) > 32 else 300
    return torch.cat([t5.relative_position_bias(table, length, bidirectional=both) for both in (True, False)])


def loss(t5: ModuleType, logits: Tensor) -> Tensor:
    labels = torch.arange(logits.shape[0] * logits.shape[1], device=logits.device).view(logits.shape[:2])
    labels = labels % logits.shape[2]
    return t5.seq2seq_loss(logits, labels.masked_fill(labels % 3 == 0, -100))


def corruption(t5: ModuleType, keys: Tensor) -> Tensor:
    """Both sides as a batch; the mask is the judge's, for generators of two devices draw different numbers.

    `keys` is only where, in what dtype and what shape. The check is that the round trip gives the tokens back.
    """
    b, length = keys.shape
    n, s = t5.noise_counts(length, 0.3, 2.0)
    masks = t5.random_spans_noise_mask(length, 0.3, 2.0, torch.Generator().manual_seed(0), batch_size=b)
    tokens = (torch.arange(b * length).view(b, length) % 97).to(keys.device)
    sentinels = list(range(10_000, 10_000 + s + 1))
    inputs, targets = t5.span_corrupt(tokens, masks.to(keys.device), sentinels, eos_id=EOS, final_sentinel=True)
    back = t5.reconstruct(inputs[0], targets[0], sentinels, eos_id=EOS)
    assert torch.equal(back, tokens[0])
    assert targets.shape[1] == n + s + 2
    return torch.cat((inputs, targets), dim=1).remainder(97).to(keys.dtype)


def masks(t5: ModuleType, keys: Tensor) -> Tensor:
    """Masks drawn on the device itself. They are others than on the CPU, but as many tokens are noise in each row."""
    generator = torch.Generator(keys.device).manual_seed(0)
    drawn = t5.random_spans_noise_mask(keys.shape[1], 0.3, 2.0, generator, batch_size=len(keys))
    return drawn.sum(-1).to(keys.dtype)


def noise(t5: ModuleType, keys: Tensor) -> Tensor:
    """How much of a text BART's noises leave, where that is not random: drawn on the device."""
    tokens = torch.arange(10, 10 + keys.shape[0], device=keys.device)
    generator = torch.Generator(keys.device).manual_seed(0)
    filled = t5.text_infilling(tokens, 0.5, mask_id=1, generator=generator)
    moved = [
        t5.token_masking(tokens, 1.0, 1, generator),
        t5.token_deletion(tokens, 0.0, generator),
        t5.sentence_permutation(tokens, 12, generator).sort().values,
        t5.document_rotation(tokens, generator).sort().values,
    ]
    return torch.stack([(filled != 1).sum(), *(x.sum() for x in moved)]).to(keys.dtype)


TEXTS = texts((3, 30, 20), (32, 512, 114))

CASES = [
    Case("Seq2Seq", TEXTS, logits, bfloat16=5e-2),
    Case("its encoder", TEXTS, encoded, bfloat16=5e-2),
    Case("its gradients", TEXTS, gradient, float32=1e-4, bfloat16=0.2),
    Case("greedy_decode", TEXTS, written, bfloat16=5e-2),
    Case(
        "Attention",
        normal(((2, 9, 32), (2, 512, 512)), ((2, 14, 32), (2, 512, 512)), ((1, 4, 9, 14), (1, 8, 512, 512))),
        attention,
        bfloat16=5e-2,
    ),
    Case("relative_position_bias", normal(((32, 4), (64, 12))), bias),
    Case("seq2seq_loss", normal(((3, 14, 11), (32, 114, 32_128))), loss),
    Case("span_corrupt", normal(((6, 40), (4096, 568))), corruption),
    Case("random_spans_noise_mask", normal(((6, 40), (4096, 568))), masks),
    Case("BART's noises", normal(((40,), (100_000,))), noise),
]
