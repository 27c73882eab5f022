"""generate_batch: prompts of different lengths, each continued as if it were alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.gpt.strategies import Config, configs, greedy, model_of


@st.composite
def prompt_batches(draw: st.DrawFn) -> tuple[Config, int, list[list[int]], int, int]:
    """(config, seed, prompts, pad_id, n): a short, a long prompt and others; texts grow past the context at times."""
    context = draw(st.integers(4, 8))
    config = draw(configs(context_length=context, vocab_size=8))
    token = st.integers(0, 7)
    some = [draw(st.lists(token, min_size=1, max_size=2)), draw(st.lists(token, min_size=4, max_size=context))]
    some += draw(st.lists(st.lists(token, min_size=1, max_size=context), max_size=2))
    return config, draw(draws.seeds()), draw(st.permutations(some)), draw(token), draw(st.integers(1, 6))


def alone(weights: Any, config: Config, prompts: list[list[int]], n: int, eos_id: int | None = None) -> list[list[int]]:
    return [greedy(weights, config, prompt, n, eos_id) for prompt in prompts]


@part("generate_batch", points=2)
@settings(max_examples=25)
@given(prompt_batches(), st.booleans())
def test_each_row_is_what_its_prompt_gives_alone(gpt, case, use_cache):
    """Greedy, every prompt of a batch gets the tokens that it gets alone, with the cache and without."""
    config, seed, prompts, pad_id, n = case
    model, weights = model_of(gpt, config, seed)
    returned = gpt.generate_batch(model, prompts, n, pad_id=pad_id, temperature=0.0, use_cache=use_cache)
    checks.equal(returned, alone(weights, config, prompts, n))


@part("generate_batch", points=1)
@settings(max_examples=12)
@given(prompt_batches(), st.data())
def test_the_pad_id_may_be_a_real_token(gpt, case, data):
    """A token of a prompt, or a drawn one, that equals pad_id is a token like any other."""
    config, seed, prompts, _, n = case
    model, weights = model_of(gpt, config, seed)
    expected = alone(weights, config, prompts, n)
    pad_id = data.draw(st.sampled_from([token for row in prompts + expected for token in row]))
    returned = gpt.generate_batch(model, prompts, max_new_tokens=n, pad_id=pad_id, temperature=0.0)
    checks.equal(returned, expected)


@part("generate_batch", points=1)
@settings(max_examples=12)
@given(prompt_batches(), st.data())
def test_rows_end_at_their_own_eos(gpt, case, data):
    """Each row ends with its first eos_id; that of one row ends no other."""
    config, seed, prompts, pad_id, n = case
    model, weights = model_of(gpt, config, seed)
    eos_id = data.draw(st.sampled_from([token for row in alone(weights, config, prompts, n) for token in row]))
    returned = gpt.generate_batch(model, prompts, n, pad_id=pad_id, eos_id=eos_id, temperature=0.0)
    checks.equal(returned, alone(weights, config, prompts, n, eos_id))


@part("generate_batch", points=1)
@settings(max_examples=12)
@given(prompt_batches(), st.data())
def test_the_other_prompts_change_nothing(gpt, case, data):
    """In another order, and beside a longer prompt, every prompt gets the same tokens."""
    config, seed, prompts, pad_id, n = case
    model, weights = model_of(gpt, config, seed)
    expected = dict(zip(map(tuple, prompts), alone(weights, config, prompts, n), strict=True))
    longer = data.draw(
        st.lists(st.integers(0, 7), min_size=config["context_length"], max_size=config["context_length"] + 2)
    )
    order = data.draw(st.permutations([*prompts, longer]))
    returned = gpt.generate_batch(model, order, n, pad_id=pad_id, temperature=0.0)
    checks.equal(len(returned), len(order))
    for prompt, row in zip(order, returned, strict=True):
        if tuple(prompt) in expected:
            checks.equal(row, expected[tuple(prompt)])
