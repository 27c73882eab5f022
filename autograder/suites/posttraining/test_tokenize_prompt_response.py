"""tokenize_prompt_response: rows, labels, and a mask that goes by position."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.given.chat import Pieces
from autograder.judge import checks, part, raises
from autograder.suites.posttraining.strategies import (
    CONTROLS,
    FRAGMENTS,
    PIECES,
    batch_of,
    pairs_of_texts,
    tokenizer_of,
)

NAME = "tokenize_prompt_response"
TOKENIZER = Pieces(PIECES, CONTROLS)
PAD, EOS = TOKENIZER.pad_id, TOKENIZER.eos_id


@part(NAME, points=2)
@given(pairs_of_texts())
def test_rows_are_prompt_response_and_eos(posttraining, texts):
    """A row is the prompt, the response and EOS, padded behind; `input_ids` leaves out its last column, `labels` its
    first, and all three tensors have the shape (B, L - 1).
    """
    found = posttraining.tokenize_prompt_response(*texts, tokenizer_of(posttraining), PAD, EOS)
    expected = batch_of(*texts, PAD, EOS)
    checks.equal(found["input_ids"], expected["input_ids"])
    checks.equal(found, expected)


@part(NAME, points=3)
@given(pairs_of_texts(), st.integers(2, 9), st.integers(2, 9))
def test_labels_are_the_response_and_its_eos(posttraining, texts, pad_id, eos_id):
    """A label is the token that follows; only tokens of the response and its EOS count, the first of them too, which
    the last token of the prompt predicts, and all other labels are -100.
    """
    found = posttraining.tokenize_prompt_response(*texts, tokenizer_of(posttraining), pad_id=pad_id, eos_id=eos_id)
    expected = batch_of(*texts, pad_id, eos_id)
    checks.equal(found["labels"], expected["labels"])
    checks.equal(found["response_mask"], expected["response_mask"])
    checks.equal(found["input_ids"], expected["input_ids"])


@part(NAME, points=3)
@given(pairs_of_texts(["a", "b", "ab", "c"], min_size=2), st.sampled_from(["eos", "a", "b"]))
def test_padding_is_known_by_its_position(posttraining, texts, pad):
    """Where padding has the id of EOS, or of a token that occurs in the texts, the real ones still count."""
    pad_id = EOS if pad == "eos" else TOKENIZER.encode_ordinary(pad)[0]
    found = posttraining.tokenize_prompt_response(*texts, tokenizer_of(posttraining), pad_id, EOS)
    checks.equal(found, batch_of(*texts, pad_id, EOS))


@part(NAME, points=2)
@given(pairs_of_texts(), st.lists(st.sampled_from(PIECES), min_size=3, max_size=3), st.integers(1, 3))
def test_no_token_reaches_from_the_prompt_into_the_response(posttraining, texts, pieces, cut):
    """Prompt and response are encoded separately: at generation time the prompt stands alone."""
    prompts = [prompt + piece[:cut] for prompt, piece in zip(texts[0], pieces)]
    texts = prompts, [piece[cut:] + response for response, piece in zip(texts[1], pieces)]
    found = posttraining.tokenize_prompt_response(*texts, tokenizer_of(posttraining), PAD, EOS)
    checks.equal(found, batch_of(*texts, PAD, EOS))


@part(NAME, points=1)
@given(pairs_of_texts([*FRAGMENTS[:4], *CONTROLS, *CONTROLS]))
def test_a_control_token_in_a_text_is_text(posttraining, texts):
    """A text is data: control tokens that somebody typed are the ids of their characters."""
    found = posttraining.tokenize_prompt_response(*texts, tokenizer_of(posttraining), PAD, EOS)
    checks.equal(found, batch_of(*texts, PAD, EOS))


@part(NAME, points=1)
@settings(max_examples=20)
@given(pairs_of_texts(), st.integers(0, 3))
def test_a_prompt_without_a_token_raises(posttraining, texts, place):
    """An empty prompt, and a prompt without a response, are a ValueError; an empty response is not."""
    prompts, responses = texts
    tokenizer = tokenizer_of(posttraining)
    empty = [""] * len(responses)
    found = posttraining.tokenize_prompt_response(prompts, empty, tokenizer, PAD, EOS)
    checks.equal(found, batch_of(prompts, empty, PAD, EOS))
    with raises("ValueError"):
        posttraining.tokenize_prompt_response([*prompts, "a"], responses, tokenizer, PAD, EOS)
    place %= len(prompts)
    with raises("ValueError"):
        posttraining.tokenize_prompt_response(
            [*prompts[:place], "", *prompts[place + 1 :]], responses, tokenizer, PAD, EOS
        )
