"""beam_search against a search that is written down step by step."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograder.judge import checks, draws, part
from autograder.suites.gpt.strategies import normal, table

Found = list[tuple[list[int], float]]


@st.composite
def searches(draw: st.DrawFn) -> tuple[Tensor, Tensor, int]:
    """(logits of a table of order 2, prompt (1, T), n). No two of its texts of up to 3 tokens have the same score."""
    v = draw(st.integers(2, 4))
    logits = normal((v, v, v), draw(draws.seeds())) * draw(st.sampled_from([1.0, 2.0]))
    return logits, draw(draws.token_ids((1, draw(st.integers(1, 3))), v)), draw(st.integers(1, 3))


def search(
    logits: Tensor, prompt: list[int], width: int, n: int, penalty: float = 0.0, eos_id: int | None = None
) -> Found:
    """The same search, hypothesis by hypothesis."""
    log_p = logits.log_softmax(-1)

    def score(tokens: list[int]) -> float:
        text = [0, *prompt, *tokens]
        start = len(text) - len(tokens)
        total = sum(float(log_p[text[i - 2], text[i - 1], text[i]]) for i in range(start, len(text)))
        return total / len(tokens) ** penalty

    beam: list[list[int]] = [[]]
    for _ in range(n):
        grown = []
        for tokens in beam:
            done = bool(tokens) and tokens[-1] == eos_id
            grown += [tokens] if done else [[*tokens, i] for i in range(len(log_p))]
        beam = sorted(grown, key=score, reverse=True)[:width]
    return [(tokens, score(tokens)) for tokens in beam]


def same(returned: Any, expected: Found) -> None:
    checks.equal([list(tokens) for tokens, _ in returned], [tokens for tokens, _ in expected])
    checks.close([score for _, score in returned], [score for _, score in expected], rtol=1e-6, atol=1e-9)


@part("beam_search", points=1)
@settings(max_examples=20)
@given(searches())
def test_a_wide_beam_finds_the_best_of_all(gpt, case):
    """With a beam of V ** n every continuation is found, the most probable first, each with its log-probability."""
    logits, prompt, n = case
    width = len(logits) ** n
    same(gpt.beam_search(table(gpt, logits), prompt, width, n), search(logits, prompt[0].tolist(), width, n))


@part("beam_search", points=1)
@settings(max_examples=60)
@given(searches(), st.integers(1, 5))
def test_a_beam_keeps_the_best_of_all_continuations(gpt, case, width):
    """At each step the best of all continuations of all hypotheses stay; with a beam of 1 that is greedy decoding."""
    logits, prompt, n = case
    returned = gpt.beam_search(table(gpt, logits), prompt, beam_width=width, max_new_tokens=n)
    same(returned, search(logits, prompt[0].tolist(), width, n))
    if width == 1:
        text = [0, *prompt[0].tolist()]
        for _ in range(n):
            text.append(int(logits[text[-2], text[-1]].argmax()))
        checks.equal(list(returned[0][0]), text[-n:])


@part("beam_search", points=1)
@settings(max_examples=20)
@given(searches(), st.integers(1, 5), st.sampled_from([0.5, 1.0, 2.0]), st.data())
def test_scores_are_divided_by_a_power_of_the_length(gpt, case, width, penalty, data):
    """Hypotheses are ranked by the sum of ln p divided by (number of new tokens) ** length_penalty."""
    logits, prompt, n = case
    eos_id = data.draw(st.integers(0, len(logits) - 1))
    returned = gpt.beam_search(table(gpt, logits), prompt, width, n, length_penalty=penalty, eos_id=eos_id)
    same(returned, search(logits, prompt[0].tolist(), width, n, penalty, eos_id))


@part("beam_search", points=1)
@settings(max_examples=20)
@given(searches(), st.integers(1, 6), st.data())
def test_a_finished_hypothesis_stays_as_it_is(gpt, case, width, data):
    """A hypothesis that ends in eos_id keeps its tokens and its score, and its place as long as no better ones come."""
    logits, prompt, n = case
    eos_id = data.draw(st.integers(0, len(logits) - 1))
    returned = gpt.beam_search(table(gpt, logits), prompt, width, n, eos_id=eos_id)
    same(returned, search(logits, prompt[0].tolist(), width, n, eos_id=eos_id))
