"""KVCache alone, and a GPT with a cache: any split of a text gives the same logits."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from torch import Tensor

from autograder.judge import checks, draws, part, raises, state_machine
from autograder.suites.gpt.strategies import Config, logits_of, model_of, models_and_ids, normal


class Cache(RuleBasedStateMachine):
    """Forward passes of any length, cuts and resets; the model of a cache is a list of written entries a layer."""

    def __init__(self, gpt: Any) -> None:
        super().__init__()
        self.gpt = gpt

    @initialize(layers=st.integers(1, 3), batch=st.integers(1, 2), max_len=st.integers(1, 6))
    def begin(self, layers: int, batch: int, max_len: int) -> None:
        self.shape = (batch, 2, 3)
        self.layers, self.max_len, self.seed = layers, max_len, 0
        self.cache = self.gpt.KVCache(layers, batch, 2, max_len, 3, dtype=torch.float64)
        self.written = [(self.entries(0), self.entries(0)) for _ in range(layers)]
        self.check_length(0)

    def entries(self, t: int) -> Tensor:
        self.seed += 1
        batch, heads, d = self.shape
        return normal((batch, heads, t, d), self.seed)

    def check_length(self, length: int) -> None:
        checks.equal(self.cache.length, length)

    @rule(t=st.integers(1, 4))
    def forward_pass(self, t: int) -> None:
        length = self.written[0][0].shape[2]
        for layer in range(self.layers):
            k, v = self.entries(t), self.entries(t)
            if length + t > self.max_len:
                with raises("ValueError"):
                    self.cache.update(layer, k, v)
                self.check_length(length)
                return
            old_k, old_v = self.written[layer]
            self.written[layer] = (torch.cat((old_k, k), dim=2), torch.cat((old_v, v), dim=2))
            checks.equal(self.cache.update(layer, k, v), self.written[layer])
            self.check_length(length if layer < self.layers - 1 else length + t)

    @rule(length=st.integers(0, 6))
    def truncate(self, length: int) -> None:
        held = self.written[0][0].shape[2]
        if length > held:
            with raises("ValueError"):
                self.cache.truncate(length)
            length = held
        else:
            self.cache.truncate(length)
        self.written = [(k[:, :, :length], v[:, :, :length]) for k, v in self.written]
        self.check_length(length)

    @rule()
    def reset(self) -> None:
        self.cache.reset()
        self.written = [(k[:, :, :0], v[:, :, :0]) for k, v in self.written]
        self.check_length(0)


@part("KVCache", points=2)
def test_cache_gives_back_what_was_written(gpt):
    """update returns everything written to its layer so far; length grows once a forward pass; what does not fit is
    refused."""
    state_machine(lambda: Cache(gpt), max_examples=100, steps=12)


def cache_for(gpt: Any, config: Config, batch: int, max_len: int) -> Any:
    d_head = config["d_model"] // config["n_heads"]
    return gpt.KVCache(config["n_layers"], batch, config["n_heads"], max_len, d_head, dtype=torch.float64)


@st.composite
def splits(draw: st.DrawFn, n: int, min_piece: int = 1) -> list[int]:
    """Lengths of pieces that sum to n."""
    pieces: list[int] = []
    while n > 0:
        pieces.append(min(n, draw(st.integers(min_piece, max(min_piece, n)))))
        n -= pieces[-1]
    return pieces


def in_pieces(model: Any, cache: Any, ids: Tensor, pieces: list[int], **options: Any) -> Tensor:
    """Logits of a text that is fed piece by piece. Options of shape (B, T) are cut to what each piece needs."""
    found, start = [], 0
    for n in pieces:
        end = start + n
        cut = {"position_ids": slice(start, end), "attention_mask": slice(0, end)}
        more = {name: value[:, cut[name]] for name, value in options.items()}
        found.append(model(ids[:, start:end], cache=cache, **more))
        start = end
    return torch.cat(found, dim=1)


@part("KVCache", points=2)
@settings(max_examples=15)
@given(models_and_ids(min_t=2), st.data())
def test_any_split_gives_the_same_logits(gpt, case, data):
    """A text fed in pieces of any lengths, one token at a time or all at once, has the logits that it has without a
    cache."""
    config, seed, ids = case
    model, weights = model_of(gpt, config, seed, silent=True)
    expected = logits_of(weights, config, ids)
    n = ids.shape[1]
    for pieces in ([n], [1] * n, data.draw(splits(n))):
        cache = cache_for(gpt, config, len(ids), n)
        checks.close(in_pieces(model, cache, ids, pieces), expected, rtol=1e-8, atol=1e-8)
        checks.equal(cache.length, n)


@part("KVCache", points=2)
@settings(max_examples=15)
@given(models_and_ids(min_t=4), st.data())
def test_a_piece_of_several_tokens_is_masked(gpt, case, data):
    """Behind a cache, a piece of several tokens sees the cache and itself, and none of its tokens sees a later one."""
    config, seed, ids = case
    model, weights = model_of(gpt, config, seed, silent=True)
    cache = cache_for(gpt, config, len(ids), config["context_length"])
    n = ids.shape[1]
    first = data.draw(st.integers(1, n - 2))
    pieces = [first, *data.draw(splits(n - first, min_piece=2))]
    checks.close(in_pieces(model, cache, ids, pieces), logits_of(weights, config, ids), rtol=1e-8, atol=1e-8)


@part("KVCache", points=1)
@settings(max_examples=15)
@given(models_and_ids(min_t=2, min_b=2), st.data())
def test_padding_stays_hidden_behind_a_cache(gpt, case, data):
    """Rows that are padded on the left have the same logits with a cache as without, however the text is split."""
    config, seed, ids = case
    model, weights = model_of(gpt, config, seed, silent=True)
    batch, n = ids.shape
    pads = torch.tensor(data.draw(st.lists(st.integers(0, n - 1), min_size=batch, max_size=batch)))[:, None]
    real = torch.arange(n) >= pads
    positions = (torch.arange(n) - pads).clamp(min=0)
    cache = cache_for(gpt, config, batch, n)
    returned = in_pieces(model, cache, ids, data.draw(splits(n)), position_ids=positions, attention_mask=real)
    expected = logits_of(weights, config, ids, positions, real)
    checks.close(returned[real], expected[real], rtol=1e-8, atol=1e-8)


@part("KVCache", points=1)
@settings(max_examples=15)
@given(models_and_ids(min_t=2), st.data())
def test_cached_tokens_count_towards_the_context(gpt, case, data):
    """Cached and new tokens together fill the context exactly; one more raises ValueError."""
    config, seed, _ = case
    model, weights = model_of(gpt, config, seed, silent=True)
    n = config["context_length"]
    cache = cache_for(gpt, config, 1, n + 3)
    first = data.draw(st.integers(1, n))
    ids = data.draw(draws.token_ids((1, n), config["vocab_size"]))
    returned = in_pieces(model, cache, ids, [first, n - first] if first < n else [n])
    checks.close(returned, logits_of(weights, config, ids), rtol=1e-8, atol=1e-8)
    checks.equal(cache.length, n)
    with raises("ValueError"):
        model(ids[:, :1], cache=cache)


@part("KVCache", points=1)
@settings(max_examples=15)
@given(models_and_ids(min_t=2), st.data())
def test_a_second_text_sees_nothing_of_the_first(gpt, case, data):
    """After reset, and after a cut with truncate, logits depend on the tokens that are left and on nothing older."""
    config, seed, ids = case
    model, weights = model_of(gpt, config, seed, silent=True)
    cache = cache_for(gpt, config, len(ids), config["context_length"])
    model(data.draw(draws.token_ids((len(ids), config["context_length"]), config["vocab_size"])), cache=cache)
    cache.reset()
    expected = logits_of(weights, config, ids)
    checks.close(model(ids, cache=cache), expected, rtol=1e-8, atol=1e-8)
    kept = data.draw(st.integers(0, ids.shape[1] - 1))
    cache.truncate(kept)
    checks.close(model(ids[:, kept:], cache=cache), expected[:, kept:], rtol=1e-8, atol=1e-8)
