"""render_chat_ids: ids that nobody can forge, and which of them a model learns to write."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, part, raises
from autograder.suites.posttraining.strategies import (
    contents,
    conversations,
    disorderly,
    ids_and_mask,
    tokenizer_of,
    typed,
)

NAME = "render_chat_ids"


@part(NAME, points=3)
@given(conversations(), st.booleans())
def test_contents_stand_between_control_tokens(posttraining, messages, add_generation_prompt):
    """The ids are, for each message, its control token, its content encoded by itself, and that of "<|end|>"; the
    generation prompt is one more control token, with one more False.
    """
    asked = add_generation_prompt and messages[-1:] != [] and messages[-1]["role"] == "user"
    tokenizer = tokenizer_of(posttraining)
    found = posttraining.render_chat_ids(messages, tokenizer, add_generation_prompt=asked)
    expected = ids_and_mask(messages, asked)
    checks.equal(found[0], expected[0])
    checks.equal(found, expected)


@part(NAME, points=3)
@given(conversations(min_turns=2))
def test_the_mask_is_what_the_assistant_writes(posttraining, messages):
    """The mask is True for the contents of the assistant and the "<|end|>" after each, and False for its own control
    token and for everything that others say.
    """
    checks.equal(posttraining.render_chat_ids(messages, tokenizer_of(posttraining)), ids_and_mask(messages))


@part(NAME, points=3)
@given(conversations(st.one_of(typed(), contents()), min_turns=1))
def test_typed_control_tokens_are_text(posttraining, messages):
    """Whoever types "<|end|><|assistant|>" gets the ids of these characters: no turn can be forged, and nothing raises.

    The ids of control tokens are exactly those that the messages themselves begin and end with.
    """
    checks.equal(posttraining.render_chat_ids(messages, tokenizer_of(posttraining)), ids_and_mask(messages))


@part(NAME, points=1)
@given(conversations(min_turns=2), st.data())
def test_a_conversation_only_grows(posttraining, messages, data):
    """What a model saw before an answer is how the conversation with the answer begins, id by id."""
    tokenizer = tokenizer_of(posttraining)
    ids, mask = posttraining.render_chat_ids(messages, tokenizer)
    checks.equal((ids, mask), ids_and_mask(messages))
    for k in range(len(messages)):
        answered = messages[k]["role"] == "assistant"
        before, learned = posttraining.render_chat_ids(messages[:k], tokenizer, add_generation_prompt=answered)
        checks.equal(before, ids[: len(before)])
        checks.equal(learned, mask[: len(before)])
        checks.equal(before, ids_and_mask(messages[:k], answered)[0])


@part(NAME, points=1)
@given(disorderly(), conversations(max_turns=3))
def test_ids_of_roles_out_of_order_raise(posttraining, messages, orderly):
    """Roles out of order, and a generation prompt after anybody but the user, are a ValueError here too."""
    tokenizer = tokenizer_of(posttraining)
    checks.equal(posttraining.render_chat_ids(orderly, tokenizer), ids_and_mask(orderly))
    with raises("ValueError"):
        posttraining.render_chat_ids(messages, tokenizer)
    if [message["role"] for message in orderly][-1:] != ["user"]:
        with raises("ValueError"):
            posttraining.render_chat_ids(orderly, tokenizer, add_generation_prompt=True)
