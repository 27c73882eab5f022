"""The model, the optimiser, training and decoding of the gpt assignment, and what a step of a 124M GPT reaches.

`CASES` are compared and timed like those of every assignment. `measures` times a training step and decoding at the size
of GPT-2 small: tokens per second, and the share of the device's peak.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import Generator, Tensor

from gpu_cases import Case

Inputs = Callable[[Generator, bool], tuple[Tensor, ...]]


def normal(small: tuple[int, ...], large: tuple[int, ...], n: int = 1) -> Inputs:
    """`n` tensors of standard normals."""
    return lambda generator, is_large: tuple(
        torch.randn(large if is_large else small, generator=generator, dtype=torch.float64) for _ in range(n)
    )


LOGITS = normal((6, 11), (512, 50_257))


def small_gpt(gpt: ModuleType, like: Tensor, **options: Any) -> Any:
    """A small model with weights of a seed, where `like` is and in its dtype."""
    shape = {"vocab_size": 61, "context_length": 48, "d_model": 32, "n_heads": 4, "n_layers": 2} | options
    return gpt.GPT(gpt.GPTConfig(**shape), Generator().manual_seed(0)).to(like.device, like.dtype)


def tokens(like: Tensor, batch: int, t: int, vocab_size: int = 61) -> Tensor:
    return torch.randint(vocab_size, (batch, t), generator=Generator().manual_seed(1)).to(like.device)


def loss(gpt: ModuleType, logits: Tensor) -> Tensor:
    """In float32 for half precision, so it is rounded to the dtype that is tried."""
    targets = torch.arange(logits.shape[0] * logits.shape[1], device=logits.device).view(logits.shape[:2])
    targets = (targets % logits.shape[2]).masked_fill(targets % 5 == 0, -100)
    return gpt.lm_loss(logits, targets).to(logits.dtype)


def block(gpt: ModuleType, x: Tensor, **options: Any) -> Tensor:
    torch.manual_seed(0)
    config = gpt.GPTConfig(2, 2, x.shape[-1], 4, 1, **options)
    return gpt.TransformerBlock(config).to(x.device, x.dtype)(x)


def padded(gpt: ModuleType, like: Tensor) -> Tensor:
    """Rows that are padded on the left; only what is real is compared."""
    ids, t = tokens(like, 3, 40), 40
    real = torch.arange(t, device=like.device) >= torch.tensor([[5], [0], [39]], device=like.device)
    positions = (real.cumsum(1) - 1).clamp(min=0)
    return small_gpt(gpt, like)(ids, attention_mask=real, position_ids=positions) * real[..., None]


def in_pieces(gpt: ModuleType, like: Tensor) -> Tensor:
    """A text behind a cache: a prompt, a piece, and single tokens."""
    model, ids = small_gpt(gpt, like), tokens(like, 2, 40)
    cache = gpt.new_cache(model, 2, 40)
    starts = [0, 17, 30, *range(31, 40)]
    ends = [*starts[1:], 40]
    return torch.cat([model(ids[:, a:b], cache=cache) for a, b in zip(starts, ends, strict=True)], dim=1)


def gradient(gpt: ModuleType, like: Tensor) -> Tensor:
    model, ids = small_gpt(gpt, like), tokens(like, 4, 33)
    with torch.enable_grad():
        gpt.lm_loss(model(ids[:, :-1]), ids[:, 1:]).backward()
    gpt.clip_grad_norm(model.parameters(), 1.0)
    return model.token.weight.grad


def losses(gpt: ModuleType, like: Tensor) -> Tensor:
    """Three steps of training; the batches come from a generator on the CPU on both sides."""
    model, data = small_gpt(gpt, like), tokens(like, 1, 400)[0]
    plan = gpt.TrainConfig(steps=3, batch_size=4, learning_rate=1e-2)
    with torch.enable_grad():
        found, _ = gpt.train(model, data, plan, generator=Generator().manual_seed(0))
    return found.to(like.dtype)


def update(gpt: ModuleType, p: Tensor, g: Tensor) -> Tensor:
    parameter = torch.nn.Parameter(p.clone())
    optimizer = gpt.AdamW([parameter], lr=0.1)
    for _ in range(2):
        parameter.grad = g.clone()
        optimizer.step()
    return parameter.detach()


def kept(logits: Tensor) -> Tensor:
    """What a filter returned, with 0 for -inf: the comparison subtracts."""
    return logits.masked_fill(logits == -math.inf, 0.0)


def echo_model(gpt: ModuleType, like: Tensor) -> Any:
    """A model that predicts the token after the one that it reads, by a margin that no rounding crosses."""
    model = small_gpt(gpt, like, vocab_size=16, d_model=16, context_length=12)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(("out.weight", "down.weight")) or name == "position.weight":
                p.zero_()
        model.token.weight.copy_(torch.eye(16) * 8)
    return model


def greedy(gpt: ModuleType, like: Tensor) -> Tensor:
    """Greedy texts with the cache, past the context; ids are small enough for eight bits."""
    ids = tokens(like, 3, 5, vocab_size=16)
    return gpt.generate(echo_model(gpt, like), ids, 20, temperature=0.0).to(like.dtype)


def batch_of_prompts(gpt: ModuleType, like: Tensor) -> Tensor:
    rows = gpt.generate_batch(echo_model(gpt, like), [[3], [4, 5, 6]], 15, pad_id=0, temperature=0.0)
    return torch.tensor(rows, device=like.device, dtype=like.dtype)


def beam(gpt: ModuleType, like: Tensor) -> Tensor:
    """The score of the best text."""
    found = gpt.beam_search(small_gpt(gpt, like), tokens(like, 1, 5), 4, 6)
    return torch.tensor([found[0][1]], device=like.device, dtype=like.dtype)


def speculation(gpt: ModuleType, like: Tensor) -> Tensor:
    """A draft that is the target has all its proposals accepted, in every dtype."""
    model, source = small_gpt(gpt, like), Generator(device=like.device).manual_seed(0)
    _, n_new = gpt.speculative_sample(model, model, tokens(like, 8, 5), 3, source)
    return n_new.to(like.dtype)


def batch(gpt: ModuleType, like: Tensor) -> Tensor:
    data = torch.arange(10_000, device=like.device)
    x, y = gpt.get_batch(data, 64, 128, Generator(device=like.device).manual_seed(0), like.device)
    return (y - x).to(like.dtype)


ANCHOR = normal((1,), (1,))  # says where, and in what dtype
CASES = [
    Case("get_batch", ANCHOR, batch),
    Case("lm_loss", normal((4, 16, 11), (16, 1024, 8192)), loss),
    Case("TransformerBlock", normal((2, 40, 64), (8, 1024, 768)), block, bfloat16=3e-2),
    Case(
        "TransformerBlock, RMSNorm and SwiGLU", normal((2, 40, 64), (8, 1024, 768)),
        lambda gpt, x: block(gpt, x, norm="rmsnorm", activation="swiglu"), bfloat16=3e-2,
    ),
    Case("GPT", ANCHOR, lambda gpt, like: small_gpt(gpt, like)(tokens(like, 2, 48)), bfloat16=5e-2),
    Case("GPT, left padding", ANCHOR, padded, bfloat16=5e-2),
    Case("GPT, behind a cache", ANCHOR, in_pieces, bfloat16=5e-2),
    Case("its clipped gradient", ANCHOR, gradient, float32=1e-4, bfloat16=1e-1),
    Case("train", ANCHOR, losses, float32=1e-4, bfloat16=5e-2),
    Case("AdamW", normal((7, 5), (4096, 4096), n=2), update),
    Case("top_k_filter", LOGITS, lambda gpt, x: kept(gpt.top_k_filter(x, 4))),
    Case("top_p_filter", LOGITS, lambda gpt, x: kept(gpt.top_p_filter(x, 0.7))),
    Case("generate, past the context", ANCHOR, greedy),
    Case("generate_batch", ANCHOR, batch_of_prompts),
    Case("beam_search", ANCHOR, beam, float32=1e-4, bfloat16=5e-2),
    Case("speculative_sample", ANCHOR, speculation),
]  # fmt: skip


# --- the size of GPT-2 small ------------------------------------------------------------------------------------------

# Dense bf16 operations per second, and bytes per second of memory, by NVIDIA's data sheets (SXM).
PEAKS = {"H200": (989e12, 4.8e12), "H100": (989e12, 3.35e12), "A100": (312e12, 2.04e12)}


def peaks(device: str) -> tuple[float, float] | None:
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return next((peak for known, peak in PEAKS.items() if known in name), None)


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def step_operations(model: Any, n_tokens: int) -> float:
    """Operations of forward and backward, 6 N + 12 L C T a token (Chowdhery et al. 2022, appendix B).

    N leaves out the positions, which are only looked up; causality is not made use of in the count.
    """
    c = model.config
    n = sum(p.numel() for p in model.parameters()) - model.position.weight.numel()
    return float(n_tokens * (6 * n + 12 * c.n_layers * c.d_model * c.context_length))


def training_step(gpt: ModuleType, device: str, quick: bool, *, bf16: bool, compiled: bool) -> dict[str, Any]:
    """One step as `train` makes it, of GPT-2 small (vocabulary rounded up to a multiple of 128), in float32 weights.

    `bf16` multiplies in bfloat16 by autocast. `compiled` is torch.compile of model and loss; the optimiser is not.
    """
    config = replace(gpt.PRESETS["gpt2"], vocab_size=50_304)
    size, steps = 32, 20
    if quick:
        config, size, steps = gpt.GPTConfig(128, 32, 32, 2, 2), 2, 2
    model = gpt.GPT(config, Generator().manual_seed(0)).to(device)
    optimizer = gpt.AdamW(model.parameters(), weight_decay=0.1, betas=(0.9, 0.95))
    data = torch.randint(config.vocab_size, (1_000_000,), device=device)
    source = Generator(device=device).manual_seed(0)

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return gpt.lm_loss(model(x), y)

    forward = torch.compile(loss_of) if compiled else loss_of

    def step() -> None:
        x, y = gpt.get_batch(data, size, config.context_length, source, device)
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            loss = forward(x, y)
        optimizer.zero_grad()
        loss.backward()
        gpt.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()

    with torch.enable_grad():
        for _ in range(3):  # the first one compiles
            step()
        wait(device)
        started = time.perf_counter()
        for _ in range(steps):
            step()
        wait(device)
    seconds = (time.perf_counter() - started) / steps
    n_tokens, peak = size * config.context_length, peaks(device)
    name = f"a training step, {'bf16' if bf16 else 'float32'}{', torch.compile' if compiled else ''}"
    return {
        "what": name, "ms": 1e3 * seconds, "tokens_per_second": n_tokens / seconds,
        "of_peak": step_operations(model, n_tokens) / seconds / peak[0] if peak and bf16 else None,
        "goal": 0.45 if bf16 and compiled else None,
    }  # fmt: skip


def decoding(gpt: ModuleType, device: str, quick: bool) -> dict[str, Any]:
    """Greedy tokens of one text with the cache in bf16. Each has to read all weights, so the peak is that of memory."""
    config = gpt.GPTConfig(128, 64, 32, 2, 2) if quick else gpt.PRESETS["gpt2"]
    n = 16 if quick else 256
    model = gpt.GPT(config, Generator().manual_seed(0)).to(device, torch.bfloat16)
    prompt = torch.zeros(1, 4, dtype=torch.int64, device=device)
    gpt.generate(model, prompt, 8, temperature=0.0)
    wait(device)
    started = time.perf_counter()
    gpt.generate(model, prompt, n, temperature=0.0)
    wait(device)
    seconds, peak = (time.perf_counter() - started) / n, peaks(device)
    read = 2 * (sum(p.numel() for p in model.parameters()) - model.position.weight.numel())
    return {
        "what": f"decoding {n} tokens, bf16", "ms": 1e3 * seconds, "tokens_per_second": 1 / seconds,
        "of_peak": read / seconds / peak[1] if peak else None, "goal": None,
    }  # fmt: skip


def measures(gpt: ModuleType, device: str, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of what, ms, tokens_per_second, of_peak (a share, None where the peak is not known) and goal (likewise)."""
    ways = [(False, False), (True, False)]
    if device == "cuda":  # for a CPU torch.compile wants a C++ compiler
        ways.append((True, True))
    rows = [training_step(gpt, device, quick, bf16=bf16, compiled=compiled) for bf16, compiled in ways]
    return [*rows, decoding(gpt, device, quick)]
