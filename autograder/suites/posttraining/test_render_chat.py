"""render_chat: a conversation as one text that can only be read in one way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, part, raises
from autograder.suites.posttraining.strategies import CONTROLS, contents, conversations, disorderly, rendered, typed

NAME = "render_chat"


@part(NAME, points=2)
@given(conversations())
def test_a_message_is_its_control_token_its_content_and_the_end(posttraining, messages):
    """Each message is its control token, its content as it is, and "<|end|>", with nothing between two messages."""
    checks.equal(posttraining.render_chat(messages), rendered(messages))


@part(NAME, points=1)
@given(conversations(max_turns=3), contents())
def test_the_generation_prompt_lets_the_assistant_begin(posttraining, messages, content):
    """With `add_generation_prompt` the text ends in "<|assistant|>", and its answer goes on from there; where the last
    message is not the user's, that is a ValueError.
    """
    if [message["role"] for message in messages][-1:] != ["user"]:
        with raises("ValueError"):
            posttraining.render_chat(messages, add_generation_prompt=True)
        messages = [{"role": "user", "content": content}]
    prompt = posttraining.render_chat(messages, add_generation_prompt=True)
    checks.equal(prompt, rendered(messages) + "<|assistant|>")
    answered = [*messages, {"role": "assistant", "content": content}]
    checks.equal(posttraining.render_chat(answered), prompt + content + "<|end|>")


@part(NAME, points=1)
@given(conversations(min_turns=1), typed(), st.data())
def test_a_control_token_in_a_content_raises(posttraining, messages, content, data):
    """A content that holds a control token, whoever says it and wherever it stands, is a ValueError; a part of one is
    text.
    """
    checks.equal(posttraining.render_chat(messages), rendered(messages))
    place = data.draw(st.integers(0, len(messages) - 1))
    messages[place] = {**messages[place], "content": content}
    with raises("ValueError"):
        posttraining.render_chat(messages)
    halves = [{"role": "user", "content": control[:-1] + " " + control[1:]} for control in CONTROLS]
    checks.equal(posttraining.render_chat(halves[:1]), rendered(halves[:1]))


@part(NAME, points=1)
@given(disorderly(), conversations())
def test_roles_out_of_order_raise(posttraining, messages, orderly):
    """A system message first or none, then user and assistant in turns, the user first: else it is a ValueError."""
    checks.equal(posttraining.render_chat(orderly), rendered(orderly))
    with raises("ValueError"):
        posttraining.render_chat(messages)
