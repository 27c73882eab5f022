"""How fast the reference of `gpt` decodes and trains on the CPU, against other programs that do the same in turns.

    python tests/bench/gpt.py [--quick] [--json]

Decoding: greedy, one text; with the cache against without it (goal: 3 times as fast at 256 tokens), and against Hugging
Face's generate with the same weights (goal: as fast). All must write the same ids. Training: steps of the same model,
from the same weights, by nanoGPT's method: a GPT of fused torch modules, torch's AdamW in its fused form and torch's
clipping; the first loss must be the same. One thread. Times are the CPU time of this process, the best of some runs
that take turns, so that a busy machine changes the ratios little.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.course import open_course
from autograder.given.experiment import load, say, table

gpt: Any = load("gpt", open_course().assignment("gpt").solution)

Shape = tuple[int, int, int, int, int]  # vocabulary, context, channels, heads, layers
DECODING: Shape = (2048, 264, 384, 6, 6)
TRAINING: Shape = (2048, 128, 192, 6, 4)
SMALL: Shape = (64, 40, 32, 2, 2)


class NanoBlock(nn.Module):
    def __init__(self, c: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.c_attn, self.c_proj = nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.mlp = nn.Sequential(nn.Linear(c, 4 * c), nn.GELU(approximate="tanh"), nn.Linear(4 * c, c))

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        parts = self.c_attn(self.ln_1(x)).split(c, dim=2)
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))
        return x + self.mlp(self.ln_2(x))


class NanoGPT(nn.Module):
    """The same model by nanoGPT's method: causal attention by torch's flag, a head that shares the embedding."""

    def __init__(self, vocab_size: int, context: int, c: int, heads: int, layers: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, c), nn.Embedding(context, c)
        self.h = nn.ModuleList(NanoBlock(c, heads) for _ in range(layers))
        self.ln_f, self.head = nn.LayerNorm(c), nn.Linear(c, vocab_size, bias=False)
        self.wte.weight = self.head.weight

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.h:
            x = block(x)
        logits = self.head(self.ln_f(x))
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)

    def copy(self, model: nn.Module) -> NanoGPT:
        """Take the weights of the reference's model: the same ones in the same order."""
        with torch.no_grad():
            for mine, theirs in zip(self.parameters(), in_order(model), strict=True):
                mine.copy_(theirs)
        return self


def in_order(model: Any) -> list[Tensor]:
    """Parameters of the reference in the order in which GPT-2's code has them."""
    found = [model.token.weight, model.position.weight]
    for block in model.blocks:
        for module in (block.norm_1, block.norm_2, block.attention.qkv, block.attention.out, block.mlp.up):
            found += [module.weight, module.bias]
        found += [block.mlp.down.weight, block.mlp.down.bias]
    return [*found, model.norm.weight, model.norm.bias]


def hugging_face(model: Any, shape: Shape) -> Any:
    """Hugging Face's GPT-2 with the reference's weights; its linear layers keep theirs transposed."""
    import transformers

    vocab_size, context, c, heads, layers = shape
    config = transformers.GPT2Config(
        vocab_size=vocab_size, n_positions=context, n_embd=c, n_head=heads, n_layer=layers,
        bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        theirs.transformer.wte.weight.copy_(model.token.weight)
        theirs.transformer.wpe.weight.copy_(model.position.weight)
        for mine, other in zip(model.blocks, theirs.transformer.h, strict=True):
            pairs = [(mine.norm_1, other.ln_1), (mine.norm_2, other.ln_2)]
            pairs += [(mine.attention.qkv, other.attn.c_attn), (mine.attention.out, other.attn.c_proj)]
            pairs += [(mine.mlp.up, other.mlp.c_fc), (mine.mlp.down, other.mlp.c_proj)]
            for ours, copy in pairs:
                copy.weight.copy_(ours.weight.T if ours.weight.dim() == 2 else ours.weight)
                copy.bias.copy_(ours.bias)
    return theirs


def best(runs: int, programs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU seconds of each program: the best of some runs, in turns."""
    seconds = dict.fromkeys(programs, float("inf"))
    for _ in range(runs):
        for name, program in programs.items():
            started = time.process_time()
            program()
            seconds[name] = min(seconds[name], time.process_time() - started)
    return seconds


def decoding(shape: Shape, n: int, runs: int) -> dict[str, Any]:
    model = gpt.GPT(gpt.GPTConfig(*shape), torch.Generator().manual_seed(0)).eval()
    theirs = hugging_face(model, shape)
    prompt = torch.randint(shape[0], (1, 4), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(prompt)
    programs: dict[str, Callable[[], Tensor]] = {
        "reference": lambda: gpt.generate(model, prompt, n, temperature=0.0),
        "without cache": lambda: gpt.generate(model, prompt, n, temperature=0.0, use_cache=False),
        "other": lambda: theirs.generate(prompt, attention_mask=mask, max_new_tokens=n, do_sample=False),
    }
    found = [program() for program in programs.values()]
    same = all(torch.equal(ids, found[0]) for ids in found)
    say(f"decoding {n} tokens: {'the same ids' if same else 'DIFFERENT IDS'}")
    return {
        "case": f"decoding, {n} tokens", "tokens": n, "other": "transformers", "note": "the same ids" if same else "",
        "seconds": best(runs, programs),
    }  # fmt: skip


def training(shape: Shape, batch: int, steps: int, runs: int) -> dict[str, Any]:
    data = torch.randint(shape[0], (20_000,), generator=torch.Generator().manual_seed(0))
    ours = gpt.GPT(gpt.GPTConfig(*shape), torch.Generator().manual_seed(0))
    theirs = NanoGPT(*shape).copy(ours)
    parameters = list(theirs.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=True)
    context = shape[1]

    def nano(steps: int = steps) -> float:
        first = 0.0
        for step in range(steps):
            starts = torch.randint(len(data) - context, (batch,))
            x = torch.stack([data[i : i + context] for i in starts])
            y = torch.stack([data[i + 1 : i + 1 + context] for i in starts])
            loss = theirs(x, y)
            first = first if step else loss.item()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return first

    def reference(steps: int = steps) -> float:
        losses, _ = gpt.train(ours, data, gpt.TrainConfig(steps=steps, batch_size=batch))
        return float(losses[0])

    torch.manual_seed(0)
    losses = [nano(1)]
    torch.manual_seed(0)
    losses.append(reference(1))
    same = abs(losses[0] - losses[1]) < 1e-3
    say(f"training: {'the same loss' if same else f'DIFFERENT LOSSES {losses}'}")
    return {
        "case": f"training, {batch} x {context} tokens a step", "tokens": steps * batch * context,
        "other": "nanoGPT's method", "note": "the same loss" if same else "",
        "seconds": best(runs, {"reference": reference, "other": nano}),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes; figures mean little")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    if options.quick:
        rows = [decoding(SMALL, 32, 1), training(SMALL, 2, 2, 1)]
    else:
        rows = [decoding(DECODING, 256, 4), training(TRAINING, 16, 6, 4)]
    load_now = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    summary = {"quick": options.quick, "load": load_now, "seconds": time.monotonic() - started, "rows": rows}
    if options.json:
        print(json.dumps(summary, indent=1))
        return
    cells = [("case", "program", "tokens/s", "time / reference", "goal", "")]
    goals = {"without cache": (3.0, ">= 3"), "transformers": (1.0, ">= 1")}
    for r in rows:
        for name, seconds in r["seconds"].items():
            program, ratio = r["other"] if name == "other" else name, seconds / r["seconds"]["reference"]
            least, goal = goals.get(program, (0.0, ""))
            verdict = "" if not goal or options.quick else "met" if ratio >= least else "MISSED"
            cells.append(
                (r["case"], program, f"{r['tokens'] / seconds:,.0f}", f"{ratio:.2f}", goal, verdict or r["note"])
            )
    print(table(cells))
    busy = f", load {load_now:.1f}" if load_now is not None else ""
    print(f"{summary['seconds']:.0f} s on {os.cpu_count()} cores{busy}")


if __name__ == "__main__":
    main()
