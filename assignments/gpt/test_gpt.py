"""Public tests of `gpt`: examples of the handout and simple properties, for `autograder check gpt`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, TorchSeed, Wrong, checks, draws, part, raises

LN3 = math.log(3.0)
INF = math.inf


def small(gpt, **options):
    """A small GPT in float64, with weights from a seed."""
    shape = {"vocab_size": 5, "context_length": 8, "d_model": 8, "n_heads": 2, "n_layers": 2} | options
    model = gpt.GPT(gpt.GPTConfig(**shape), generator=TorchSeed(1))
    model.double()
    # The initial weights are small; larger ones show more.
    model.load_state_dict({name: 8 * w if w.dim() == 2 else w for name, w in model.state_dict().items()})
    return model


def doubles(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


# --- batches


@part("batches")
def test_windows_of_the_handout(gpt):
    """chunk_tokens([0, ..., 5], 2) has the inputs [0, 1], [2, 3] and the targets [1, 2], [3, 4]."""
    expected = torch.tensor([[0, 1], [2, 3]]), torch.tensor([[1, 2], [3, 4]])
    checks.equal(gpt.chunk_tokens(torch.arange(6), 2), expected)


@part("batches")
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 8), draws.seeds())
def test_rows_are_windows(gpt, batch, t, more, seed):
    """Each row of a batch is a window of the stream; its targets are the window one token later."""
    x, y = gpt.get_batch(torch.arange(t + more), batch, t, generator=TorchSeed(seed))
    checks.tensor(x, shape=(batch, t), dtype=torch.int64)
    checks.equal(x, x[:, :1] + torch.arange(t))
    checks.equal(y, x + 1)


# --- lm_loss


@part("lm_loss")
def test_loss_of_the_handout(gpt):
    """Logits 0 and ln 3 give token 1 the probability 3/4; the second target is ignored: the loss is ln(4/3)."""
    logits = doubles(0.0, LN3, 5.0, 5.0).view(1, 2, 2)
    checks.close(gpt.lm_loss(logits, torch.tensor([[1, -100]])), doubles(math.log(4 / 3))[0])
    checks.close(
        gpt.lm_loss(torch.zeros(2, 3, 7), torch.zeros(2, 3, dtype=torch.int64)), torch.tensor(7.0).log(), rtol=1e-6
    )


@part("lm_loss")
@given(draws.tensors((2, 3, 4), dtype=torch.float64), draws.token_ids((2, 3), 4), st.booleans())
def test_loss_is_cross_entropy(gpt, logits, targets, hide):
    """The loss is the cross-entropy of torch, with or without targets of -100."""
    targets = targets.index_fill(1, torch.tensor([0]), -100) if hide else targets
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    checks.close(gpt.lm_loss(logits, targets), expected, rtol=1e-9, atol=1e-12)


@part("lm_loss")
def test_measures_of_the_handout(gpt):
    """perplexity(3 ln 7, 3) is 7, and bits_per_byte(8 ln 2, 4) is 2."""
    checks.close(gpt.perplexity(3 * math.log(7), 3), 7.0)
    checks.close(gpt.bits_per_byte(8 * math.log(2), 4), 2.0)


# --- TransformerBlock


@part("TransformerBlock")
def test_gelu_of_the_handout(gpt):
    """With weights of 1, one channel and d_ff = 1, FeedForward(1.0) is GELU-tanh(1) = 0.841192, not the exact
    0.841345."""
    config = gpt.GPTConfig(2, 2, 1, 1, 1, d_ff=1, bias=False)
    network = gpt.FeedForward(config)
    network.load_state_dict({"up.weight": torch.ones(1, 1), "down.weight": torch.ones(1, 1)})
    checks.close(network(torch.ones(1, 1, 1)), torch.full((1, 1, 1), 0.841192), rtol=2e-6)


@part("TransformerBlock")
@given(st.integers(1, 2), st.integers(2, 5), st.sampled_from(["gelu", "swiglu"]), draws.seeds())
def test_a_block_without_branches_is_the_identity(gpt, n_heads, t, activation, seed):
    """If the last layers of both branches are zero, the block returns its input: both branches are added to the
    stream."""
    config = gpt.GPTConfig(2, 8, 4 * n_heads, n_heads, 1, activation=activation, norm="rmsnorm")
    block = gpt.TransformerBlock(config)
    state = block.state_dict()
    zero = {name: 0 * w for name, w in state.items() if name.startswith(("attention.out", "mlp.down"))}
    block.load_state_dict(state | zero)
    x = torch.randn(2, t, 4 * n_heads, generator=torch.Generator().manual_seed(seed))
    checks.equal(block(x), x)


@part("TransformerBlock")
@given(st.integers(1, 3), st.integers(2, 5), draws.seeds())
def test_attention_does_not_look_ahead(gpt, n_heads, t, seed):
    """Changing the last token changes no earlier output of the attention."""
    attention = gpt.SelfAttention(gpt.GPTConfig(2, 8, 2 * n_heads, n_heads, 1))
    attention.double()
    x = torch.randn(2, t, 2 * n_heads, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    changed = x.clone()
    changed[:, -1] += 1
    checks.close(attention(changed)[:, :-1], attention(x)[:, :-1], rtol=1e-9, atol=1e-12)


# --- GPT


@part("GPT")
@settings(max_examples=20)
@given(draws.token_ids((2, 6), 5), st.integers(1, 5))
def test_a_prefix_has_the_same_logits(gpt, ids, t):
    """The logits of a prefix are the first logits of the whole text."""
    model = small(gpt)
    logits = model(ids)
    checks.tensor(logits, shape=(2, 6, 5), dtype=torch.float64)
    checks.close(model(ids[:, :t]), logits[:, :t], rtol=1e-9, atol=1e-9)


@part("GPT")
def test_nine_tokens_do_not_fit_into_eight(gpt):
    """A text longer than the context raises ValueError."""
    with raises("ValueError"):
        small(gpt)(torch.zeros(1, 9, dtype=torch.int64))


@part("GPT")
def test_order_matters(gpt):
    """A text that repeats one token has other logits at each position: the model knows where a token stands."""
    model = small(gpt, n_layers=1)
    logits = model(torch.tensor([[0, 0, 0]]))
    different = not torch.allclose(logits[:, 0], logits[:, 2])
    checks.holds(different, "the same token at another position has other logits", logits)


# --- AdamW


@part("AdamW")
def test_steps_of_the_handout(gpt):
    """From 1.0 with gradient 0.5, lr 0.1 and weight decay 0.2: 0.88 after one step, 0.7624 after two."""
    held = gpt.make(Given("parameters.Parameters"), [doubles(1.0)])
    optimizer = gpt.AdamW(held.parameters(), lr=0.1, weight_decay=0.2)
    for expected in (0.88, 0.7624):
        held.set_gradients([doubles(0.5)])
        optimizer.step()
        checks.close(held.values(), [doubles(expected)], rtol=1e-6)


@part("AdamW")
@settings(max_examples=20)
@given(
    draws.tensors((3,), dtype=torch.float64), st.lists(draws.tensors((3,), dtype=torch.float64), min_size=1, max_size=3)
)
def test_steps_are_those_of_torch(gpt, value, gradients):
    """Each step is that of torch.optim.AdamW."""
    held = gpt.make(Given("parameters.Parameters"), [value])
    optimizer = gpt.AdamW(held.parameters(), lr=0.1, betas=(0.8, 0.9), eps=0.1)
    parameter = torch.nn.Parameter(value.clone())
    oracle = torch.optim.AdamW([parameter], lr=0.1, betas=(0.8, 0.9), eps=0.1)
    for gradient in gradients:
        held.set_gradients([gradient])
        optimizer.step()
        parameter.grad = gradient.clone()
        oracle.step()
    checks.close(held.values(), [parameter.detach()], rtol=1e-9, atol=1e-12)


# --- schedule_and_clipping


@part("schedule_and_clipping")
def test_schedule_of_the_handout(gpt):
    """With max_lr 1, min_lr 0, 2 steps of warm-up and 6 in total: 0, .5, 1, .5, 0, 0 at steps 0, 1, 2, 4, 6, 9."""
    for step, expected in ((0, 0.0), (1, 0.5), (2, 1.0), (4, 0.5), (6, 0.0), (9, 0.0)):
        rate = gpt.cosine_schedule(step, max_lr=1.0, min_lr=0.0, warmup_steps=2, total_steps=6)
        checks.close(rate, expected, rtol=1e-9, atol=1e-12)


@part("schedule_and_clipping")
def test_clipping_of_the_handout(gpt):
    """Gradients 3 and 4 have the norm 5; clipped to 1 they are 0.6 and 0.8; clipped to 10 they stay as they are."""
    for max_norm, expected in ((1.0, (0.6, 0.8)), (10.0, (3.0, 4.0))):
        held = gpt.make(Given("parameters.Parameters"), [doubles(0.0), doubles(0.0)])
        held.set_gradients([doubles(3.0), doubles(4.0)])
        checks.close(gpt.clip_grad_norm(held.parameters(), max_norm), doubles(5.0)[0])
        checks.close(held.gradients(), [doubles(x) for x in expected], rtol=1e-6)


# --- train


@part("train")
def test_a_constant_text_is_learned(gpt):
    """Twenty steps on a text of one token bring the loss below a half; there is a loss for each step."""
    model = gpt.GPT(gpt.GPTConfig(3, 4, 8, 2, 1), generator=TorchSeed(0))
    config = gpt.TrainConfig(steps=20, batch_size=4, learning_rate=0.03)
    losses, checkpoint = gpt.train(model, torch.ones(50, dtype=torch.int64), config, generator=TorchSeed(0))
    checks.tensor(losses, shape=(20,))
    checks.holds(float(losses[-1]) < 0.5, "the last loss is below 0.5", float(losses[-1]))
    checks.equal(checkpoint["step"], 20)


@part("train")
def test_training_can_be_resumed(gpt):
    """Three steps, and then a new model from the checkpoint, give the losses of six steps in one go."""
    data = torch.randint(5, (60,), generator=torch.Generator().manual_seed(0))
    config = gpt.TrainConfig(steps=6, batch_size=2, learning_rate=0.01, warmup_steps=2)
    whole, _ = gpt.train(small(gpt), data, config, generator=TorchSeed(3))
    head, checkpoint = gpt.train(small(gpt), data, config, generator=TorchSeed(3), until=3)
    tail, _ = gpt.train(small(gpt, dropout=0.0), data, config, generator=TorchSeed(9), checkpoint=checkpoint)
    checks.close(torch.cat((head, tail)), whole, rtol=1e-6)


# --- filters


@part("filters")
def test_temperature_of_the_handout(gpt):
    """[1, 3] at temperature 0.5 is [2, 6], and at temperature 0 it is [-inf, 0]."""
    checks.close(gpt.apply_temperature(doubles(1.0, 3.0), 0.5), doubles(2.0, 6.0))
    checks.equal(gpt.apply_temperature(doubles(1.0, 3.0), 0.0), doubles(-INF, 0.0))


@part("filters")
def test_top_k_of_the_handout(gpt):
    """The two largest of [1, 3, 2] stay; another row has its own two."""
    logits = torch.tensor([[1.0, 3.0, 2.0], [30.0, 10.0, 20.0]])
    expected = torch.tensor([[-INF, 3.0, 2.0], [30.0, -INF, 20.0]])
    checks.equal(gpt.top_k_filter(logits, 2), expected)


@part("filters")
def test_top_p_of_the_handout(gpt):
    """Of probabilities .2, .5, .3, p = .45 keeps one token, p = .6 and .75 keep two, p = .85 keeps all three."""
    logits = doubles(0.2, 0.5, 0.3).log()
    for p, kept in ((0.45, [1]), (0.6, [1, 2]), (0.75, [1, 2]), (0.85, [0, 1, 2])):
        expected = torch.full((3,), -INF, dtype=torch.float64)
        expected[kept] = logits[kept]
        checks.equal(gpt.top_p_filter(logits[None], p), expected[None])


# --- sample_next


@part("sample_next")
def test_greedy_of_the_handout(gpt):
    """At temperature 0 the best token of each row is taken."""
    checks.equal(gpt.sample_next(torch.tensor([[0.0, 9.0], [9.0, 0.0]]), temperature=0.0), torch.tensor([1, 0]))


@part("sample_next")
def test_tokens_are_drawn_as_often_as_they_should(gpt):
    """Of 10,000 rows with probabilities 1/4 and 3/4, about 2,500 and 7,500 get the one and the other token."""
    logits = torch.tensor([0.0, LN3]).expand(10_000, -1)
    tokens = gpt.sample_next(logits, generator=TorchSeed(0))
    checks.tensor(tokens, shape=(10_000,), dtype=torch.int64)
    checks.frequencies(tokens.bincount(minlength=2).tolist(), [0.25, 0.75], "the tokens")


# --- KVCache


@part("KVCache")
def test_cache_of_the_handout(gpt):
    """Two tokens, then one: the second update returns three. With two layers, length grows with the second one."""
    cache = gpt.KVCache(n_layers=2, batch_size=1, n_heads=1, max_len=4, d_head=1)
    k = torch.arange(1.0, 4.0).view(1, 1, 3, 1)
    for start, end in ((0, 2), (2, 3)):
        for layer in (0, 1):
            checks.equal(cache.length, start)
            returned = cache.update(layer, k[:, :, start:end], -k[:, :, start:end])
            checks.equal(returned, (k[:, :, :end], -k[:, :, :end]))
        checks.equal(cache.length, end)


@part("KVCache")
@settings(max_examples=20)
@given(draws.token_ids((2, 6), 5), st.integers(1, 5))
def test_one_token_at_a_time_is_the_whole_text(gpt, ids, first):
    """A prompt, and then one token at a time, have the logits of the whole text at once."""
    model = small(gpt)
    cache = gpt.new_cache(model, 2, 6)
    pieces = [model(ids[:, :first], cache=cache)]
    pieces += [model(ids[:, t : t + 1], cache=cache) for t in range(first, 6)]
    checks.close(torch.cat(pieces, dim=1), model(ids), rtol=1e-8, atol=1e-9)


# --- generate


@part("generate")
def test_a_table_is_followed(gpt):
    """A model that answers 0 by 1, 1 by 2 and 2 by 0 continues [0] to [0, 1, 2, 0]; with eos_id 2 it ends there."""
    table = torch.tensor([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0]])
    model = gpt.make(Given("tables.TableModel"), table)
    options = {"temperature": 0.0, "use_cache": False}
    checks.equal(gpt.generate(model, torch.tensor([[0]]), 3, **options), torch.tensor([[0, 1, 2, 0]]))
    both = gpt.generate(model, torch.tensor([[0], [1]]), 5, eos_id=2, pad_id=0, **options)
    checks.equal(both, torch.tensor([[0, 1, 2], [1, 2, 0]]))


@part("generate")
@settings(max_examples=20)
@given(draws.token_ids((2, 3), 5), st.integers(0, 9))
def test_the_cache_makes_no_difference(gpt, ids, n):
    """Greedy, the text is the same with the cache and without, also past the context of 8 tokens."""
    model = small(gpt)
    with_cache = gpt.generate(model, ids, n, temperature=0.0)
    checks.equal(tuple(with_cache.shape), (2, 3 + n))
    checks.equal(gpt.generate(model, ids, n, temperature=0.0, use_cache=False), with_cache)


# --- generate_batch


@part("generate_batch")
@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=5), min_size=1, max_size=3))
def test_prompts_do_not_disturb_each_other(gpt, prompts):
    """Greedy, each prompt of a batch gets the tokens that `generate` gives it alone."""
    model = small(gpt)
    alone = [gpt.generate(model, torch.tensor([p]), 3, temperature=0.0)[0, len(p) :].tolist() for p in prompts]
    checks.equal(gpt.generate_batch(model, prompts, 3, pad_id=0, temperature=0.0), alone)


# --- beam_search


@part("beam_search")
def test_search_of_the_handout(gpt):
    """Greedy takes .6 and then .5, in all .30; a beam of 2 finds .4 and then .9, in all .36."""
    table = torch.tensor([[0.0, 0.6, 0.4], [0.5, 0.5, 0.0], [0.1, 0.0, 0.9]]).double().clamp(min=1e-30).log()
    model = gpt.make(Given("tables.TableModel"), table)
    (tokens, score), *_ = gpt.beam_search(model, torch.tensor([[0]]), 2, 2)
    checks.equal(list(tokens), [2, 2])
    checks.close(score, math.log(0.36), rtol=1e-6)
    (tokens, score), *rest = gpt.beam_search(model, torch.tensor([[0]]), beam_width=1, max_new_tokens=2)
    checks.holds(tokens[0] == 1 and not rest, "with a beam of 1 the first token is the most probable one", tokens)
    checks.close(score, math.log(0.3), rtol=1e-6)


# --- speculative_sample


@part("speculative_sample")
def test_a_perfect_draft_is_accepted(gpt):
    """If draft and target are the same, everything is accepted, and there is one token more."""
    model = gpt.make(Given("tables.TableModel"), torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
    tokens, n_new = gpt.speculative_sample(model, model, torch.zeros(20, 1, dtype=torch.int64), 3, TorchSeed(0))
    checks.equal(n_new, torch.full((20,), 4))
    checks.holds(bool(((tokens == 0) | (tokens == 1)).all()), "all four tokens are there", tokens)


@part("speculative_sample")
def test_the_first_token_is_distributed_as_the_target(gpt):
    """Draft .8, .2 and target .3, .7: of 10,000 rows about 3,000 and 7,000 begin with the one and the other token."""
    target = gpt.make(Given("tables.TableModel"), doubles(0.3, 0.7).log())
    draft = gpt.make(Given("tables.TableModel"), doubles(0.8, 0.2).log())
    tokens, n_new = gpt.speculative_sample(target, draft, torch.zeros(10_000, 1, dtype=torch.int64), 1, TorchSeed(0))
    checks.frequencies(tokens[:, 0].bincount(minlength=2).tolist(), [0.3, 0.7], "the first of the new tokens")
    # Accepted with probability .3 + .2, and then there are two tokens.
    checks.frequencies(n_new.bincount(minlength=3).tolist(), [0.0, 0.5, 0.5], "the numbers of new tokens")


# --- misconceptions with a name


def _windows(ids, t, stride):
    windows = [ids[i : i + t + 1] for i in range(0, len(ids) - t, stride)]
    return torch.stack([w[:-1] for w in windows]), torch.stack([w[1:] for w in windows])


def _wrapped(ids, t):
    x = ids[: len(ids) // t * t].view(-1, t)
    return x, x.roll(-1, dims=1)


def _every(logits, targets, ignore_index=-100):
    total = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="sum")
    return total / targets.numel()


def _shifted(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), ignore_index=ignore_index)


def _cosine(step, max_lr, min_lr, warmup_steps, total_steps, first=0, skip=True):
    if step < warmup_steps:
        return max_lr * (step + first) / warmup_steps
    if step >= total_steps:
        return min_lr
    start = warmup_steps if skip else 0
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * (step - start) / (total_steps - start))) / 2


def _nucleus(logits, p, at_least_one=True, back=True):
    order = logits.argsort(dim=-1, descending=True)
    drop = logits.softmax(-1).gather(-1, order).cumsum(-1) > p
    drop[..., 0] = drop[..., 0] & (not at_least_one)
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop) if back else drop, -INF)


def _in_sorted_order(logits, p):
    ordered = logits.softmax(-1).sort(dim=-1, descending=True).values
    return logits.masked_fill(ordered.cumsum(-1) - ordered >= p, -INF)


WRONG = [
    Wrong("windows_overlap", "chunk_tokens", lambda ids, context_length: _windows(ids, context_length, 1),
          "There is a window at every token; windows do not overlap: they are context_length apart."),
    Wrong("windows_skip_a_token", "chunk_tokens",
          lambda ids, context_length: _windows(ids, context_length, context_length + 1),
          "Windows are T + 1 apart, so one token in T + 1 is never a target: they are T apart."),
    Wrong("last_target_wraps_around", "chunk_tokens", lambda ids, context_length: _wrapped(ids, context_length),
          "The last target of each window is its own first token; it must be the first token of the next window."),
    Wrong("averages_over_everything", "lm_loss", _every,
          "The sum is divided by the number of all targets, ignored ones too."),
    Wrong("shifts_again", "lm_loss", _shifted,
          "Logits and targets are shifted here once more: targets[:, t] already belongs to logits[:, t]."),
    Wrong("sum_instead_of_mean", "lm_loss",
          lambda logits, targets, ignore_index=-100: F.cross_entropy(
              logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="sum"),
          "That is the sum over the targets, not their mean."),
    Wrong("perplexity_in_base_two", "perplexity", lambda total_nll, n_tokens: 2 ** (total_nll / n_tokens),
          "The sum is in nats, so the base is e, not 2."),
    Wrong("nats_per_byte", "bits_per_byte", lambda total_nll, n_bytes: total_nll / n_bytes,
          "These are nats: divide by ln 2."),
    Wrong("multiplies_by_ln_2", "bits_per_byte", lambda total_nll, n_bytes: total_nll / n_bytes * math.log(2),
          "A nat is 1 / ln 2 = 1.44 bits: divide by ln 2, do not multiply."),
    Wrong("warmup_from_one", "cosine_schedule", lambda step, **options: _cosine(step, **options, first=1),
          "Warm-up begins at 0: step / warmup_steps."),
    Wrong("cosine_counts_the_warmup", "cosine_schedule", lambda step, **options: _cosine(step, **options, skip=False),
          "The cosine begins when warm-up ends, with its whole height."),
    Wrong("multiplies_by_the_temperature", "apply_temperature", lambda logits, temperature: logits * temperature,
          "Logits are divided by the temperature, not multiplied."),
    Wrong("one_threshold_for_the_batch", "top_k_filter",
          lambda logits, k: logits.masked_fill(logits < logits.topk(k).values[..., -1:].amax(), -INF),
          "The batch shares one threshold; each row has its own."),
    Wrong("one_row_decides_for_all", "top_k_filter",
          lambda logits, k: logits.masked_fill(logits < logits.topk(k).values[..., -1:].amin(), -INF),
          "The batch shares one threshold; each row has its own."),
    Wrong("top_k_removes_with_zero", "top_k_filter",
          lambda logits, k: logits.masked_fill(logits < logits.topk(k).values[..., -1:], 0.0),
          "Dropped logits are set to 0, which leaves them probability; it must be -inf."),
    Wrong("crossing_token_is_dropped", "top_p_filter", lambda logits, p, min_tokens_to_keep=1: _nucleus(logits, p),
          "The token that crosses p is dropped; it belongs to the nucleus."),
    Wrong("empty_nucleus", "top_p_filter",
          lambda logits, p, min_tokens_to_keep=1: _nucleus(logits, p, at_least_one=False),
          "Where the first token alone has more than p, nothing is left; the token that crosses p is kept."),
    Wrong("not_put_back_in_order", "top_p_filter", lambda logits, p, min_tokens_to_keep=1: _in_sorted_order(logits, p),
          "What was decided in sorted order is applied in the order of ids."),
]  # fmt: skip
