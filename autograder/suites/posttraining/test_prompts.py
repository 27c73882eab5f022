"""few_shot_prompt and cot_prompt: solved examples, and a question that is left open."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import checks, part

NAME = "prompts"
TEXTS = st.lists(st.sampled_from(["2", "+", "tea?", "no", "{x}", "a b", "Q:"]), min_size=1, max_size=3).map(" ".join)
TEMPLATES = st.sampled_from(
    [
        "Q: {question}\nA: {answer}",
        "{question} => {answer}",
        "Question: {question}\nAnswer:\n{answer}\n###",
        "{question}\n{answer}",
        "<{question}>\t{answer}.",
    ]
)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=4)


def prompt_of(
    examples: list[tuple[str, str]], query: str, template: str = "Q: {question}\nA: {answer}", instruction: str = ""
) -> str:
    """The blocks of a few-shot prompt, put together from the pieces of the template."""
    before, rest = template.split("{question}")
    between, after = rest.split("{answer}")
    text = instruction + "\n\n" if instruction else ""
    for question, answer in examples:
        if question != query:
            text += before + question + between + answer + after + "\n\n"
    return text + (before + query + between).rstrip()


@part(NAME, points=2)
@given(PAIRS, TEXTS, TEMPLATES, st.sampled_from(["", "Answer.", "Be brief:\nyes or no"]))
def test_examples_in_their_order_and_the_query_last(posttraining, examples, query, template, instruction):
    """The prompt is the instruction, the examples in their order and the query, an empty line between two, and no
    white space at its end.
    """
    found = posttraining.few_shot_prompt(examples, query, template=template, instruction=instruction)
    checks.equal(found, prompt_of(examples, query, template, instruction))
    checks.equal(posttraining.few_shot_prompt(examples, query), prompt_of(examples, query))


@part(NAME, points=1)
@given(PAIRS, TEXTS, TEXTS, st.data())
def test_no_example_gives_the_answer_away(posttraining, examples, query, answer, data):
    """An example that asks the query itself is left out, wherever it stands."""
    examples.insert(data.draw(st.integers(0, len(examples))), (query, answer))
    checks.equal(posttraining.few_shot_prompt(examples, query), prompt_of(examples, query))


@part(NAME, points=1)
@given(PAIRS, st.sampled_from(["{answer}", "{question}", "{}", "{0}", "a {answer} b", "}{"]), TEXTS, st.booleans())
def test_braces_in_a_text_are_text(posttraining, examples, strange, other, as_query):
    """A question or an answer that holds "{answer}" or other braces stands in the prompt as it is."""
    examples = [*examples, (other + "!", strange)] if as_query else [*examples, (strange, other)]
    query = strange if as_query else "what?"
    checks.equal(posttraining.few_shot_prompt(examples, query), prompt_of(examples, query))


@part(NAME, points=1)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=3), TEXTS)
def test_reasoning_comes_before_the_answer(posttraining, examples, query):
    """In a chain-of-thought prompt each example has its reasoning, and then "The answer is" and the answer."""
    query += "!"
    solved = [(q, r + " The answer is " + a + ".") for q, r, a in examples]
    checks.equal(posttraining.cot_prompt(examples, query), prompt_of(solved, query))


@part(NAME, points=1)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=2), TEXTS)
def test_without_examples_it_says_let_us_think(posttraining, thoughts, query):
    """Where no example is left, for there is none or all ask the query, it ends in "Let's think step by step." """
    examples = [(query, reasoning, answer) for reasoning, answer in thoughts]
    checks.equal(posttraining.cot_prompt(examples, query), f"Q: {query}\nA: Let's think step by step.")
