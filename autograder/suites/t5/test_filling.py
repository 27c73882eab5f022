"""greedy_decode, read_spans and fill_spans: from a model to the words in the blanks."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, checks, draws, part
from autograder.suites.t5.strategies import SENTINELS, build, talkative

NAME = "filling"


def alone(model, src: torch.Tensor, mask: torch.Tensor, start_id: int, steps: int) -> list[int]:
    """What the submission's own model writes for one row, the most probable token each time, asked step by step."""
    written = [start_id]
    for _ in range(steps):
        logits = model(src[None], mask[None], torch.tensor([written]))[0, -1]
        checks.holds(logits.max() > logits.min(), "the model prefers one token to another", logits)
        written.append(int(logits.argmax()))
    return written[1:]


def size_of(vocab_size: int, n: int) -> dict[str, int]:
    """The sizes of a model that writes `n` of its tokens."""
    sizes = {"vocab_size": vocab_size, "d_model": n, "n_heads": 2, "n_layers": 1, "d_ff": n}
    return sizes | {"n_buckets": 8, "max_distance": 11}


@st.composite
def talkers(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """(sizes, weights, src, src_mask) of a model that writes different things for different sources."""
    n = draw(st.sampled_from([6, 8]))
    batch, length = draw(st.integers(1, 3)), draw(st.integers(2, 6))
    src = draw(draws.token_ids((batch, length), n))
    real = torch.tensor(draw(st.lists(st.integers(1, length), min_size=batch, max_size=batch)))
    return (
        size_of(n, n),
        talkative(size_of(n, n), draw(draws.seeds()), range(n)),
        src,
        torch.arange(length) < real[:, None],
    )


@part(NAME, points=2)
@settings(max_examples=12)
@given(talkers(), st.integers(1, 5), st.data())
def test_decoding_takes_the_most_probable_token(t5, case, steps, data):
    """Each row is what the model writes for it alone, the most probable token each time, as many as are asked for."""
    sizes, weights, src, mask = case
    start_id = data.draw(st.integers(0, sizes["vocab_size"] - 1))
    model = build(t5, sizes, weights)
    expected = torch.tensor([alone(model, *row, start_id, steps) for row in zip(src, mask, strict=True)])
    ids = {"start_id": start_id, "eos_id": 1000, "pad_id": 0}
    checks.equal(t5.greedy_decode(model, src, mask, **ids, max_new_tokens=steps), expected)


@part(NAME, points=1)
@settings(max_examples=12)
@given(talkers(), st.data())
def test_a_finished_row_is_padded_and_the_last_one_ends_it(t5, case, data):
    """After a row's EOS there is only padding; decoding ends with the longest row, or after max_new_tokens."""
    sizes, weights, src, mask = case
    model = build(t5, sizes, weights)
    rows = [alone(model, *row, 0, 5) for row in zip(src, mask, strict=True)]
    eos_id = data.draw(st.sampled_from(sorted({token for row in rows for token in row})))
    pad_id = data.draw(st.integers(0, sizes["vocab_size"] - 1))
    for row in rows:
        if eos_id in row:
            end = row.index(eos_id) + 1
            row[end:] = [pad_id] * (5 - end)
    ends = [row.index(eos_id) + 1 if eos_id in row else 5 for row in rows]
    expected = torch.tensor([row[: max(ends)] for row in rows])
    ids = {"start_id": 0, "eos_id": eos_id, "pad_id": pad_id}
    checks.equal(t5.greedy_decode(model, src, mask, **ids, max_new_tokens=5), expected)


def spans_of(written: list[int], sentinels: list[int], eos_id: int | None) -> list[list[int]]:
    """The span of each sentinel in what a model wrote."""
    text = written[: written.index(eos_id)] if eos_id in written else written
    spans: list[list[int]] = []
    for sentinel in sentinels:
        spans.append([])
        if sentinel in text:
            for token in text[text.index(sentinel) + 1 :]:
                if token in sentinels:
                    break
                spans[-1].append(token)
    return spans


@part(NAME, points=1)
@settings(max_examples=120)
@given(
    st.lists(st.sampled_from([*range(2, 7), *SENTINELS[:4], *SENTINELS[:2], 1]), min_size=2, max_size=14),
    st.integers(0, 4),
    st.sampled_from([1, 1, None]),
)
def test_spans_are_read_whatever_a_model_writes(t5, written, n_spans, eos_id):
    """Span i is what follows sentinel i the first time, up to the next sentinel or EOS; it is empty
    where there is none.
    """
    expected = spans_of(written, SENTINELS, eos_id)
    checks.equal(t5.read_spans(written, 4, SENTINELS, eos_id=eos_id), expected[:4])
    checks.equal(t5.read_spans(written, n_spans, SENTINELS, eos_id=eos_id), expected[:n_spans])


SPECIALS = ["<extra_id_1>", "<extra_id_0>", "<extra_id_2>"]
TEXTS = ["the cat sat on the mat and the dog sat on the cat", "a cat and a dog on a mat"] * 3
BLANKS = ["the <extra_id_0> sat on <extra_id_1>", "<extra_id_0> dog", "a<extra_id_0> a cat"]


@part(NAME, points=1)
@settings(max_examples=2)
@given(draws.seeds(), st.sampled_from(BLANKS))
def test_blanks_in_a_text_are_filled(t5, seed, text):
    """fill_spans encodes the text with EOS, decodes from pad_id, and gives one string for each sentinel of the text."""
    tokenizer = t5.make(Given("tokenizer.Tokenizer.train"), TEXTS, 320, SPECIALS)
    sentinels = [tokenizer.id(f"<extra_id_{i}>") for i in range(3)]
    first = [tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, *sentinels]
    said = list(dict.fromkeys([*first, *tokenizer.encode(TEXTS[0])]))[:12]
    sizes = size_of(tokenizer.vocab_size, len(said))
    ids = tokenizer.encode(text)
    n_blanks = sum(i in sentinels for i in ids)

    def spans(source: list[int], start_id: int) -> list[list[int]]:
        src = torch.tensor(source)
        written = alone(model, src, torch.ones_like(src, dtype=torch.bool), start_id, 10)
        return spans_of(written, sentinels, tokenizer.eos_id)[:n_blanks]

    for number in range(8):  # until the model is one for which the end of the source and the start matter
        model = build(t5, sizes, talkative(sizes, seed + number, said))
        found = spans([*ids, tokenizer.eos_id], tokenizer.pad_id)
        if found not in (spans(ids, tokenizer.pad_id), spans([*ids, tokenizer.eos_id], tokenizer.bos_id)):
            break
    expected = [tokenizer.decode(span) for span in found]
    checks.equal(t5.fill_spans(model, tokenizer, text, max_new_tokens=10), expected)
