"""Teach a small GPT two-digit arithmetic three ways: answer at once, think first, or ask a calculator.

    python experiment.py --quick        some seconds
    python experiment.py                some minutes

Uses the posttraining.py beside this file, and saves posttraining.png: accuracy while it learns, accuracy by operation,
a packed row with its mask, and what a vote among several samples is worth.
"""

from __future__ import annotations

import random
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from torch import Tensor, nn

from autograder.given.chat import Pieces
from autograder.given.experiment import BLUE, GREEN, GREY, ORANGE, Options, Rows, main, save, say

STYLES = {"direct": ORANGE, "scratchpad": BLUE, "calculator": GREEN}
OPERATIONS = "+-*"
ROW = 128  # tokens in a packed row
LONGEST = 64  # tokens that an answer may have

Problem = tuple[int, str, int]


class Size(NamedTuple):
    """How much is done."""

    steps: int
    problems_a_step: int
    d_model: int
    n_layers: int
    n_checks: int  # how often accuracy is measured on the way
    n_checked: int  # problems of each operation that it is measured on then
    n_tested: int  # and in the end
    n_votes: int  # samples of the scratchpad model


FULL = Size(1200, 64, 64, 3, 8, 40, 150, 15)
QUICK = Size(150, 32, 48, 2, 3, 10, 20, 3)


# --- problems and what the assistant says -----------------------------------------------------------------------------


def solve(problem: Problem) -> int:
    a, operation, b = problem
    return {"+": a + b, "-": a - b, "*": a * b}[operation]


def said(style: str, problem: Problem) -> str:
    """What the assistant is taught to say. A scratchpad takes the second number apart: tens first, then units."""
    a, operation, b = problem
    if style == "direct":
        return str(solve(problem))
    if style == "calculator":
        return f"[Calculator({a}{operation}{b})]"
    tens, units = b // 10 * 10, b % 10
    one, two = solve((a, operation, tens)), solve((a, operation, units))
    if operation == "*":
        return f"{a}*{tens}={one}, {a}*{units}={two}, {one}+{two}={one + two}"
    return f"{a}{operation}{tens}={one}, {one}{operation}{units}={solve(problem)}"


def conversation(style: str, problem: Problem, answered: bool = True) -> list[dict[str, str]]:
    asked = {"role": "user", "content": "{}{}{}?".format(*problem)}
    return [asked, {"role": "assistant", "content": said(style, problem)}] if answered else [asked]


def split_problems(seed: int, n_held_back: int) -> tuple[list[Problem], list[Problem]]:
    """Problems to learn from, and as many of each operation that are never trained on. Differences are not negative."""
    learned, held_back = [], []
    rng = random.Random(seed)
    for operation in OPERATIONS:
        every = [(a, operation, b) for a in range(10, 100) for b in range(10, 100) if operation != "-" or a >= b]
        rng.shuffle(every)
        held_back += every[:n_held_back]
        learned += every[n_held_back:]
    return learned, held_back


# --- the model --------------------------------------------------------------------------------------------------------


class Layer(nn.Module):
    """Pre-norm attention and a feed-forward network, with residuals."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.qkv, self.out = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)
        self.feed_forward = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model))

    def forward(self, x: Tensor, mask: Tensor | None, past: list[Tensor] | None = None) -> Tensor:
        """x (B, T, C), mask (B, 1, T, T). `past` holds keys and values of earlier calls, and is extended."""
        heads = self.qkv(self.norm_1(x)).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = heads.unbind(0)  # (B, H, T, D)
        if past is not None:
            k, v = (torch.cat((old, new), dim=2) for old, new in zip(past, (k, v))) if past else (k, v)
            past[:] = k, v
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.norm_2(x))


class TinyGPT(nn.Module):
    def __init__(self, vocab_size: int, size: Size, n_heads: int = 4) -> None:
        super().__init__()
        self.token = nn.Embedding(vocab_size, size.d_model)
        self.position = nn.Embedding(ROW, size.d_model)
        self.layers = nn.ModuleList(Layer(size.d_model, n_heads) for _ in range(size.n_layers))
        self.norm = nn.LayerNorm(size.d_model)
        nn.init.normal_(self.token.weight, std=0.1)
        nn.init.normal_(self.position.weight, std=0.1)

    def forward(self, ids: Tensor, position_ids: Tensor, mask: Tensor | None, pasts: list | None = None) -> Tensor:
        """Logits (B, T, V), from the embedding turned round."""
        x = self.token(ids) + self.position(position_ids)
        for i, layer in enumerate(self.layers):
            x = layer(x, mask, None if pasts is None else pasts[i])
        return self.norm(x) @ self.token.weight.T


# --- training with the student's functions ----------------------------------------------------------------------------


def packed_batch(
    posttraining: ModuleType, tokenizer: Pieces, conversations: list[list[dict[str, str]]], device: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(ids, position_ids, mask, labels) of conversations in rows of ROW tokens; labels are what the assistant says."""
    rendered = [posttraining.render_chat_ids(messages, tokenizer) for messages in conversations]
    ids, position_ids, segment_ids = posttraining.pack_sequences([ids for ids, _ in rendered], ROW)
    # Packing looks at lengths only, so the masks land where their tokens did.
    learned, _, _ = posttraining.pack_sequences([[int(m) for m in mask] for _, mask in rendered], ROW)
    labels = posttraining.packed_labels(ids, segment_ids)
    labels = labels.masked_fill(learned.roll(-1, dims=1) == 0, -100)
    mask = posttraining.block_causal_mask(segment_ids)
    mask = mask | torch.eye(ROW, dtype=torch.bool)  # padding sees itself, so that no row of attention is empty
    return tuple(x.to(device) for x in (ids, position_ids, mask[:, None], labels))


def train(posttraining: ModuleType, tokenizer: Pieces, style: str, data, size: Size, options: Options):
    """The model, and (problems seen, accuracy) on the way. The start and the problems are the same for all styles."""
    learned, checked = data
    torch.manual_seed(options.seed)
    model = TinyGPT(tokenizer.vocab_size, size).to(options.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 50, 1.0) * (1 - 0.95 * step / size.steps)
    )
    rng = random.Random(options.seed)
    curve = []
    for step in range(1, size.steps + 1):
        problems = rng.sample(learned, size.problems_a_step)
        batch = packed_batch(posttraining, tokenizer, [conversation(style, p) for p in problems], options.device)
        optimizer.zero_grad()
        loss = posttraining.accumulated_sft_loss(model, [batch])
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % (size.steps // size.n_checks) == 0:
            right = score(posttraining, answers(posttraining, tokenizer, model, checked, options.device), checked)
            curve.append((step * size.problems_a_step, sum(right) / len(right)))
            say(f"{style}: step {step} of {size.steps}, {loss:.3f} nats a token, {curve[-1][1]:.0%} right")
    return model, curve


# --- answering --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def write(posttraining, tokenizer: Pieces, model: TinyGPT, problems, device: str, generator=None) -> list[str]:
    """What the model says to each problem: the most probable tokens, or a sample at temperature 0.7."""
    end = tokenizer.id("<|end|>")
    prompts = [
        posttraining.render_chat_ids(conversation("", p, answered=False), tokenizer, add_generation_prompt=True)[0]
        for p in problems
    ]
    ids = torch.tensor(prompts, device=device)  # of one length: two digits, an operation, two digits
    n = ids.shape[1]
    pasts: list[list[Tensor]] = [[] for _ in model.layers]
    causal = torch.ones(n, n, dtype=torch.bool, device=device).tril()
    logits = model(ids, torch.arange(n, device=device), causal, pasts)[:, -1]
    written = []
    done = torch.zeros(len(ids), dtype=torch.bool, device=device)
    for place in range(n, n + LONGEST):
        if generator is None:
            token = logits.argmax(-1)
        else:
            token = torch.multinomial((logits / 0.7).softmax(-1).cpu(), 1, generator=generator)[:, 0].to(device)
        token = token.masked_fill(done, end)
        done |= token == end
        written.append(token)
        if done.all():
            break
        logits = model(token[:, None], torch.full((1,), place, device=device), None, pasts)[:, -1]
    rows = torch.stack(written, dim=1).tolist()
    return [tokenizer.decode(row[: row.index(end)] if end in row else row) for row in rows]


def answers(posttraining, tokenizer, model, problems, device, generator=None) -> list[str | None]:
    """The numbers that the model arrives at, after its calls were executed."""
    texts = write(posttraining, tokenizer, model, problems, device, generator)
    return [posttraining.extract_answer(posttraining.execute_calls(text)) for text in texts]


def score(posttraining: ModuleType, given: list[str | None], problems: list[Problem]) -> list[bool]:
    return [answer == str(solve(problem)) for answer, problem in zip(given, problems, strict=True)]


def votes(posttraining, tokenizer, model, problems, size: Size, options: Options) -> dict[int, float]:
    """The share of right answers by the number of samples that vote."""
    generator = torch.Generator().manual_seed(options.seed)
    drawn = [answers(posttraining, tokenizer, model, problems, options.device, generator) for _ in range(size.n_votes)]
    found = {}
    for n in range(1, size.n_votes + 1, 2):
        voted = [posttraining.self_consistency(column[:n]) for column in map(list, zip(*drawn))]
        found[n] = sum(score(posttraining, voted, problems)) / len(problems)
    return found


# --- pictures ---------------------------------------------------------------------------------------------------------


def plot_row(axis: Axes, posttraining: ModuleType, tokenizer: Pieces, problems: list[Problem]) -> None:
    """One packed row: who may attend to whom, and above it which tokens are learned."""
    conversations = [conversation("scratchpad", p) for p in problems]
    _, position_ids, _, labels = packed_batch(posttraining, tokenizer, conversations, "cpu")
    rendered = [posttraining.render_chat_ids(messages, tokenizer)[0] for messages in conversations]
    segment_ids = posttraining.pack_sequences(rendered, ROW)[2][:1]
    axis.imshow(posttraining.block_causal_mask(segment_ids)[0], cmap="Blues", vmin=0, vmax=1.6)
    learned = (labels[0] != -100).nonzero().flatten()
    axis.plot(learned, [-3] * len(learned), "|", color=ORANGE, markersize=6, clip_on=False)
    for start in ((position_ids[0] == 0) & (segment_ids[0] > 1)).nonzero().flatten().tolist():
        axis.axhline(start - 0.5, color=GREY, linewidth=0.5)
        axis.axvline(start - 0.5, color=GREY, linewidth=0.5)
    axis.set(title="A packed row: who sees whom", ylabel="query", xlim=(-0.5, ROW - 0.5), ylim=(ROW - 0.5, -6))
    axis.set_xlabel("key (orange: what is learned from there)")


def plot(path: Path, curves, by_operation, voted, row) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(11, 9))
    for style, colour in STYLES.items():
        axes[0, 0].plot(*zip((0, 0.0), *curves[style]), marker="o", color=colour, label=style)
    axes[0, 0].set(title="Accuracy while it learns", xlabel="problems seen", ylim=(0, 1.02))
    axes[0, 0].legend(loc="upper left", bbox_to_anchor=(0.15, 0.9))
    width = 0.26
    for i, (style, colour) in enumerate(STYLES.items()):
        places = [place + (i - 1) * width for place in range(len(OPERATIONS))]
        axes[0, 1].bar(places, by_operation[style], width * 0.94, color=colour)
        for place, share in zip(places, by_operation[style]):
            axes[0, 1].text(place, share + 0.015, f"{share:.0%}", ha="center", fontsize=8)
    axes[0, 1].set_xticks(range(3), ["sums", "differences", "products"])
    axes[0, 1].set(title="On problems that were never trained on", ylim=(0, 1.08))
    plot_row(axes[1, 0], *row)
    axes[1, 1].plot(list(voted), list(voted.values()), marker="o", color=BLUE)
    low, high = max(min(voted.values()) - 0.1, 0), min(max(voted.values()) + 0.1, 1)
    axes[1, 1].set(title="Products: scratchpads vote", xlabel="samples that vote", ylim=(low, high))
    axes[1, 1].set_xticks(list(voted))
    for axis in (axes[0, 0], axes[0, 1], axes[1, 1]):
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.grid(axis="y")
        axis.set_axisbelow(True)
    save(figure, path)


def run(posttraining: ModuleType, options: Options) -> Rows:
    torch.set_num_threads(1 if options.quick else min(2, torch.get_num_threads()))
    size = QUICK if options.quick else FULL
    tokenizer = Pieces(controls=["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"])
    learned, tested = split_problems(options.seed, size.n_tested)
    checked = [p for operation in OPERATIONS for p in [q for q in tested if q[1] == operation][: size.n_checked]]
    curves, by_operation, models = {}, {}, {}
    for style in STYLES:
        models[style], curves[style] = train(posttraining, tokenizer, style, (learned, checked), size, options)
        right = score(posttraining, answers(posttraining, tokenizer, models[style], tested, options.device), tested)
        by_operation[style] = [
            sum(r for r, p in zip(right, tested) if p[1] == operation) / size.n_tested for operation in OPERATIONS
        ]
    products = [p for p in tested if p[1] == "*"]
    voted = votes(posttraining, tokenizer, models["scratchpad"], products, size, options)
    row = posttraining, tokenizer, learned[:: len(learned) // 8]
    plot(options.out / "posttraining.png", curves, by_operation, voted, row)

    problem = products[0]
    for style, model in models.items():
        (text,) = write(posttraining, tokenizer, model, [problem], options.device)
        say("{}{}{}? {}: ".format(*problem, style) + posttraining.execute_calls(text))
    rows = [("style", "sums", "differences", "products", "all")]
    for style, shares in by_operation.items():
        rows.append((style, *(f"{share:.1%}" for share in (*shares, sum(shares) / 3))))
    return rows


if __name__ == "__main__":
    main("posttraining", run, __doc__)
