"""Public tests of `posttraining`: the examples of the handout, simple properties, named mistakes."""

from __future__ import annotations

import math
import re
from collections import Counter

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autograder.judge import Given, Wrong, checks, draws, part, raises

CONTROL = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
CONTROLS = [*CONTROL.values(), "<|end|>"]
HELLO = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
WORD = st.text("ab ", max_size=6)
SIZES = st.lists(st.integers(1, 5), max_size=6)


def tokenizer_of(posttraining, pieces=()):
    """Ids 2 to 5 are the control tokens, 6 + b is byte b, and the pieces follow from 262."""
    return posttraining.make(Given("chat.Pieces"), list(pieces), CONTROLS)


def ordinary(text):
    """The ids of an ASCII text without pieces."""
    return [6 + ord(character) for character in text]


# --- conversations


@part("render_chat")
def test_a_conversation_as_text(posttraining):
    """One question, and the assistant's turn; then the same with its answer."""
    prompt = "<|user|>Hi<|end|><|assistant|>"
    checks.equal(posttraining.render_chat(HELLO[:1], add_generation_prompt=True), prompt)
    checks.equal(posttraining.render_chat(HELLO), prompt + "Yo<|end|>")


@part("render_chat")
@given(WORD, st.sampled_from(CONTROLS))
def test_a_control_token_cannot_be_typed(posttraining, text, control):
    """A content that holds a control token raises ValueError, and so does an assistant that speaks first."""
    with raises("ValueError"):
        posttraining.render_chat([{"role": "user", "content": text + control}])
    with raises("ValueError"):
        posttraining.render_chat(HELLO[1:])


@part("render_chat_ids")
def test_ids_and_mask_of_the_handout(posttraining):
    """Of "Hi" and "Yo" the mask covers "Yo" and the end token after it."""
    ids, mask = posttraining.render_chat_ids(HELLO, tokenizer_of(posttraining))
    checks.equal(ids, [3, *ordinary("Hi"), 5, 4, *ordinary("Yo"), 5])
    checks.equal(mask, [False] * 5 + [True] * 3)


@part("render_chat_ids")
def test_a_typed_control_token_is_text(posttraining):
    """A user who types "<|end|>" gets the ids of seven characters."""
    ids, mask = posttraining.render_chat_ids([{"role": "user", "content": "<|end|>"}], tokenizer_of(posttraining))
    checks.equal(ids, [3, *ordinary("<|end|>"), 5])
    checks.equal(mask, [False] * 9)


# --- fine-tuning


@part("tokenize_prompt_response")
def test_rows_of_the_handout(posttraining):
    """A prompt of two tokens and a response of one: the response and EOS are labels."""
    tokenizer = tokenizer_of(posttraining)
    found = posttraining.tokenize_prompt_response(["ab"], ["c"], tokenizer, pad_id=0, eos_id=1)
    a, b, c = ordinary("abc")
    checks.equal(found["input_ids"], torch.tensor([[a, b, c]]))
    checks.equal(found["labels"], torch.tensor([[-100, c, 1]]))
    checks.equal(found["response_mask"], torch.tensor([[False, True, True]]))


@part("tokenize_prompt_response")
def test_a_shorter_row_is_padded(posttraining):
    """Padding stands behind and is no label."""
    found = posttraining.tokenize_prompt_response(["a", "a"], ["bc", ""], tokenizer_of(posttraining), 0, 1)
    a, b, c = ordinary("abc")
    checks.equal(found["input_ids"], torch.tensor([[a, b, c], [a, 1, 0]]))
    checks.equal(found["labels"], torch.tensor([[b, c, 1], [1, -100, -100]]))


@part("sft_loss")
@given(st.integers(1, 3), st.integers(2, 4), st.integers(2, 5), draws.seeds())
def test_the_loss_of_torch(posttraining, b, t, v, seed):
    """The loss is torch's mean cross-entropy where some labels count; it is ln V for logits of zeros."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(b, t, v, generator=generator, dtype=torch.float64)
    labels = torch.randint(v, (b, t), generator=generator)
    labels[:, 0] = -100
    checks.close(posttraining.sft_loss(logits, labels), F.cross_entropy(logits.flatten(0, 1), labels.flatten()))
    zeros = torch.zeros(b, t, v, dtype=torch.float64)
    checks.close(posttraining.sft_loss(zeros, labels), torch.tensor(math.log(v), dtype=torch.float64))


@part("accumulated_sft_loss")
def test_three_tokens_and_one(posttraining):
    """A microbatch with three labels and one with one: the loss is that of all four."""
    table = torch.tensor([[0.0, 1.0], [2.0, 0.0]], dtype=torch.float64)
    ids, labels = torch.tensor([[0, 1, 0, 1]]), torch.tensor([[1, 1, 1, 0]])
    model = posttraining.make(Given("chat.Table"), table)
    halves = [(ids[:, :3], labels[:, :3]), (ids[:, 3:], labels[:, 3:])]
    expected = F.cross_entropy(table[ids[0]], labels[0])
    checks.close(posttraining.accumulated_sft_loss(model, halves), expected)


@part("accumulated_sft_loss")
@given(st.integers(1, 3), draws.seeds())
def test_equal_microbatches(posttraining, n, seed):
    """With as many labels in each microbatch loss and gradients are those of the full batch, too."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    ids, labels = torch.randint(3, (2, n, 4), generator=generator)
    model = posttraining.make(Given("chat.Table"), table)
    loss = posttraining.accumulated_sft_loss(model, [(ids[i : i + 1], labels[i : i + 1]) for i in range(n)])
    leaf = table.clone().requires_grad_()
    expected = F.cross_entropy(leaf[ids].flatten(0, 1), labels.flatten())
    expected.backward()
    checks.close(loss, expected.detach(), rtol=1e-9)
    checks.close(model.gradient(), leaf.grad, rtol=1e-9, atol=1e-12)


# --- packing


@part("pack_sequences")
def test_packing_of_the_handout(posttraining):
    """Three sequences in two rows of four."""
    found = posttraining.pack_sequences([[5, 6], [7, 8, 9], [4]], max_len=4)
    checks.equal(found[0], torch.tensor([[7, 8, 9, 4], [5, 6, 0, 0]]))
    checks.equal(found[1], torch.tensor([[0, 1, 2, 0], [0, 1, 0, 0]]))
    checks.equal(found[2], torch.tensor([[1, 1, 1, 2], [1, 1, 0, 0]]))


@part("pack_sequences")
@given(SIZES)
def test_every_token_is_packed_once(posttraining, sizes):
    """No token is lost, and none comes twice."""
    sequences = [[10 * i + j + 1 for j in range(n)] for i, n in enumerate(sizes)]
    ids, _, segment_ids = posttraining.pack_sequences(sequences, 6)
    checks.tensor(segment_ids, shape=ids.shape, dtype=torch.int64)
    checks.equal(sorted(ids[segment_ids > 0].tolist()), sorted(token for one in sequences for token in one))


@part("block_causal_mask")
def test_walls_of_the_handout(posttraining):
    """Two texts, of one and of two tokens, and padding: nobody looks over a border, or ahead."""
    expected = torch.tensor([[[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]]).bool()
    checks.equal(posttraining.block_causal_mask(torch.tensor([[1, 2, 2, 0]])), expected)


@part("block_causal_mask")
def test_labels_of_the_handout(posttraining):
    """A token's label is the next one of its text."""
    ids, segment_ids = torch.tensor([[7, 8, 9, 4]]), torch.tensor([[1, 1, 1, 1]])
    checks.equal(posttraining.packed_labels(ids, segment_ids), torch.tensor([[8, 9, 4, -100]]))
    ids, segment_ids = torch.tensor([[7, 8, 9, 4, 0]]), torch.tensor([[1, 1, 2, 2, 0]])
    checks.equal(posttraining.packed_labels(ids, segment_ids), torch.tensor([[8, -100, 4, -100, -100]]))


# --- prompts


@part("prompts")
def test_prompts_of_the_handout(posttraining):
    """One example and a query, without and with reasoning."""
    checks.equal(posttraining.few_shot_prompt([("1+1?", "2")], "2+2?"), "Q: 1+1?\nA: 2\n\nQ: 2+2?\nA:")
    expected = "Q: 2+3?\nA: Start at 2, go 3 up. The answer is 5.\n\nQ: 1+1?\nA:"
    checks.equal(posttraining.cot_prompt([("2+3?", "Start at 2, go 3 up.", "5")], "1+1?"), expected)


@part("prompts")
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=3))
def test_examples_keep_their_order(posttraining, examples):
    """The examples stand in the prompt in their order, and the query at its end."""
    expected = "".join(f"Q: {q}\nA: {a}\n\n" for q, a in examples) + "Q: d\nA:"
    checks.equal(posttraining.few_shot_prompt(examples, "d"), expected)


# --- tools


@part("parse_calls")
def test_a_call_of_the_handout(posttraining):
    """The example of the handout, with parentheses in the argument; and a text without a call."""
    text = "so [Calculator((1+2)*3)]."
    checks.equal(posttraining.parse_calls(text), [((3, 24), "Calculator", "(1+2)*3")])
    checks.equal(posttraining.parse_calls("Calculator(1) and [Calculator(1]"), [])


@part("parse_calls")
def test_two_calls(posttraining):
    """A call ends at its own bracket."""
    checks.equal(posttraining.parse_calls("[A(1)] [B()]"), [((0, 6), "A", "1"), ((7, 12), "B", "")])


@part("calculator")
def test_results_of_the_handout(posttraining):
    """Whole numbers, two decimals, halves to the even digit, and errors."""
    table = {"77+33": "110", "400/1400": "0.29", "1/8": "0.12", "1/0": "error", "2*-3": "-6", "": "error", "x": "error"}
    for expression, result in table.items():
        checks.equal(posttraining.calculator(expression), result)


@part("calculator")
@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_precedence(posttraining, a, b, c):
    """Products before sums, unless parentheses say otherwise."""
    checks.equal(posttraining.calculator(f"{a}+{b}*{c}"), str(a + b * c))
    checks.equal(posttraining.calculator(f"({a} - {b}) * {c}"), str((a - b) * c))


@part("execute_calls")
def test_a_result_in_its_text(posttraining):
    """The example of the handout; a call of another tool stays."""
    checks.equal(posttraining.execute_calls("It is [Calculator(6*7)]."), "It is [Calculator(6*7) -> 42].")
    checks.equal(posttraining.execute_calls("[QA(6*7)]"), "[QA(6*7)]")


@part("toolformer")
def test_weights_and_loss_of_the_handout(posttraining):
    """Six weights; the loss of two tokens after the first; one call that is kept and one that is not."""
    expected = torch.tensor([5, 4, 3, 2, 1, 0], dtype=torch.float64) / 15
    checks.close(posttraining.toolformer_weights(6, dtype=torch.float64), expected, rtol=1e-9, atol=1e-12)
    losses = torch.tensor([9.0, 3.0, 6.0], dtype=torch.float64)
    checks.close(posttraining.toolformer_loss(losses, 1), torch.tensor(2.6, dtype=torch.float64), rtol=1e-9)
    numbers = (torch.tensor(x) for x in ([1.0, 1.0], [4.0, 1.5], [2.5, 4.0]))
    checks.equal(posttraining.toolformer_keep(*numbers, tau=1.0), torch.tensor([True, False]))


# --- answers


@part("extract_answer")
def test_answers_of_the_handout(posttraining):
    """A full stop, commas of a sentence, a sign, and no number at all."""
    table = {"2 + 3 = 1,234.": "1234", "72, in total, so": "72", "is -3.50": "-3.50", "none": None}
    for text, answer in table.items():
        checks.equal(posttraining.extract_answer(text), answer)


@part("self_consistency")
def test_votes_of_the_handout(posttraining):
    """None does not vote, and equal numbers vote together."""
    checks.equal(posttraining.self_consistency(["4", "3.0", None, "3", "4", "3"]), "3.0")
    checks.equal(posttraining.self_consistency([None, None]), None)


@part("self_consistency")
@given(st.lists(st.sampled_from(["1", "2"]), min_size=1, max_size=7).filter(lambda votes: len(votes) % 2 == 1))
def test_one_of_two_wins(posttraining, answers):
    """Of two answers the one with more votes wins."""
    checks.equal(posttraining.self_consistency(answers), max("12", key=answers.count))


# --- retrieval


@part("bm25")
def test_scores_of_the_handout(posttraining):
    """Three documents, two of which hold the term; without and with their lengths."""
    documents = ["tea", "no tea", "no"]
    ln = math.log(1.6)
    expected = torch.tensor([ln, ln, 0.0], dtype=torch.float64)
    checks.close(posttraining.bm25_scores("tea", documents, b=0.0), expected, rtol=1e-9)
    gain = [2.5 / (1 + 1.5 * (0.25 + 0.75 * length / (4 / 3))) for length in (1, 2)]
    expected = torch.tensor([ln * gain[0], ln * gain[1], 0.0], dtype=torch.float64)
    checks.close(posttraining.bm25_scores("tea", documents), expected, rtol=1e-9)


@part("bm25")
def test_documents_of_the_handout(posttraining):
    """Two documents hold the term, though five are asked for."""
    checks.equal(posttraining.retrieve("tea", ["no", "tea", "tea"], k=5), [1, 2])


@part("citations")
def test_an_answer_with_its_sources(posttraining):
    """Two documents hold the year and are cited; what nobody holds is not said."""
    documents = ["Ada was born in 1815.", "Ada liked tea.", "In 1815 Ada was born."]
    reader = posttraining.make(Given("chat.Reader"), {documents[0]: ("1815", 0.9), documents[1]: ("1812", 1.0)})
    checks.equal(posttraining.answer_with_citations("When was Ada born?", documents, reader, 0.5), "1815 [1][3]")
    checks.equal(posttraining.answer_with_citations("When was Ada born?", documents, reader, 0.95), None)


@part("citations")
def test_words_of_an_answer(posttraining):
    """The words stand side by side; a part of a word is none."""
    checks.equal(posttraining.holds_answer("Ada was born in 1815.", "born in 1815"), True)
    checks.equal(posttraining.holds_answer("In 1815.", "181"), False)


# --- named mistakes: what each would return


def _chat(messages, add_generation_prompt=False, *, between="", end=True):
    texts = [CONTROL[m["role"]] + m["content"] + "<|end|>" * (end or m["role"] != "user") for m in messages]
    return between.join(texts) + CONTROL["assistant"] * add_generation_prompt


def _nll(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")


def _packed(sequences, max_len, pad_id=0, *, order=lambda sequences: sequences):
    rows = []
    for sequence in order([one for one in sequences if len(one)]):
        row = next((row for row in rows if len(row) + len(sequence) <= max_len), None)
        if row is None:
            rows.append(row := [])
        number = 1 + max((segment for _, _, segment in row), default=0)
        row += [(token, place, number) for place, token in enumerate(sequence)]
    rows = [row + [(pad_id, 0, 0)] * (max_len - len(row)) for row in rows]
    return tuple(torch.tensor([[place[c] for place in row] for row in rows], dtype=torch.int64) for c in range(3))


def _mask(segment_ids, *, walls=True, causal=True, padding=False):
    t = torch.arange(segment_ids.shape[1])
    same = segment_ids[:, :, None] == segment_ids[:, None, :] if walls else segment_ids[:, :, None] >= 0
    mask = same & (t <= t[:, None] if causal else t >= 0)
    return mask if padding else mask & (segment_ids != 0)[:, :, None] & (segment_ids != 0)[:, None, :]


def _shifted(ids, segment_ids, *, keep):
    labels = torch.full_like(ids, -100)
    labels[:, :-1] = torch.where(keep(segment_ids), ids[:, 1:], -100)
    return labels


def _calls(text, *, pattern):
    return [(match.span(), match[1], match[2]) for match in re.finditer(pattern, text)]


def _evaluated(expression):
    try:
        return (
            f"{eval(expression, {'__builtins__': {}}):.2f}" if len(expression) < 40 and "**" not in expression else None
        )
    except Exception:
        return "error"


def _rounded_up(expression):
    a, b = map(int, expression.split("/"))
    return f"{math.floor(100 * a / b + 0.5) / 100:.2f}"


def _last(text, *, pattern=r"-?[0-9][0-9,]*(?:\.[0-9]+)?", which=-1):
    found = re.findall(pattern, text)
    return found[which].replace(",", "") if found else None


def _votes(answers, *, count_none=False):
    votes = Counter(answer for answer in answers if count_none or answer is not None)
    return votes.most_common(1)[0][0] if votes else None


def _bm25(query, documents, k1=1.5, b=0.75, *, one=1.0, gain=1.0, lengths=True):
    bags = [re.findall(r"[^\W_]+", document.lower()) for document in documents]
    mean = sum(map(len, bags)) / len(bags)
    scores = torch.zeros(len(bags), dtype=torch.float64)
    for term in re.findall(r"[^\W_]+", query.lower()):
        n = sum(term in bag for bag in bags)
        idf = math.log(one + (len(bags) - n + 0.5) / (n + 0.5))
        for i, bag in enumerate(bags):
            norm = k1 * (1 - b + b * len(bag) / mean) if lengths else k1
            scores[i] += idf * bag.count(term) * (k1 + gain) / (bag.count(term) + norm) if bag.count(term) else 0.0
    return scores


WRONG = [
    Wrong("lines_between_messages", "render_chat",
          lambda messages, add_generation_prompt=False: _chat(messages, add_generation_prompt, between="\n"),
          "There is a line end between messages; nothing stands there."),
    Wrong("no_end_after_a_user", "render_chat",
          lambda messages, add_generation_prompt=False: _chat(messages, add_generation_prompt, end=False),
          "The end token after a user's message is missing; every message ends in one."),
    Wrong("control_tokens_pass", "render_chat", _chat,
          "A content that holds a control token goes through, and whoever wrote it can forge a turn."),
    Wrong("sum", "sft_loss", _nll, "The sum is returned, not the mean."),
    Wrong("divides_by_all_positions", "sft_loss", lambda logits, labels: _nll(logits, labels) / labels.numel(),
          "The sum is divided by all positions, those of -100 too."),
    Wrong("shifts_again", "sft_loss",
          lambda logits, labels: _nll(logits[:, :-1], labels[:, 1:]) / (labels[:, 1:] != -100).sum(),
          "Labels are shifted here again; logits at t are for labels[t]."),
    Wrong("as_they_come", "pack_sequences", _packed,
          "Sequences are placed in the order in which they come; the longest goes first."),
    Wrong("shortest_first", "pack_sequences",
          lambda sequences, max_len, pad_id=0: _packed(
              sequences, max_len, pad_id, order=lambda given: sorted(given, key=len)),
          "The shortest sequence goes first; it must be the longest."),
    Wrong("only_causal", "block_causal_mask", lambda segment_ids: _mask(segment_ids, walls=False),
          "A text sees those packed before it. Positions that start anew do not keep them apart."),
    Wrong("sees_the_future", "block_causal_mask", lambda segment_ids: _mask(segment_ids, causal=False),
          "Tokens of a segment see later ones; the mask must be causal, too."),
    Wrong("padding_is_a_text", "block_causal_mask", lambda segment_ids: _mask(segment_ids, padding=True),
          "Padding attends to padding; segment 0 sees nothing."),
    Wrong("label_over_the_border", "packed_labels",
          lambda ids, segment_ids: _shifted(ids, segment_ids, keep=lambda s: s[:, 1:] != 0),
          "The last token of a text has the first of the next one as its label."),
    Wrong("padding_has_labels", "packed_labels",
          lambda ids, segment_ids: _shifted(ids, segment_ids, keep=lambda s: s[:, 1:] >= 0),
          "Every token has a label; the last of a text, and padding, have none."),
    Wrong("ends_in_a_space", "few_shot_prompt",
          lambda examples, query: "".join(f"Q: {q}\nA: {a}\n\n" for q, a in examples) + f"Q: {query}\nA: ",
          "The prompt ends in white space; models learn \" 4\" after \"A:\"."),
    Wrong("one_line_end", "few_shot_prompt",
          lambda examples, query: "".join(f"Q: {q}\nA: {a}\n" for q, a in examples) + f"Q: {query}\nA:",
          "One line end separates blocks; there is an empty line between two."),
    Wrong("greedy", "parse_calls", lambda text: _calls(text, pattern=r"\[([A-Za-z]\w*)\((.*)\)\]"),
          "The argument is matched greedily: from the first call to the end of the last one."),
    Wrong("no_parentheses_inside", "parse_calls", lambda text: _calls(text, pattern=r"\[([A-Za-z]\w*)\(([^()]*)\)\]"),
          "An argument with parentheses is not found."),
    Wrong("evaluates", "calculator", _evaluated,
          "That is eval, and two decimals always; a whole number has none, and eval is not to be let near a text."),
    Wrong("half_up", "calculator", _rounded_up, "Halves are rounded up; they go to the even digit: 1/8 is 0.12."),
    Wrong("weights_sum_to_one", "toolformer_weights",
          lambda n, dtype=None, device=None: (w := (1 - torch.arange(n, dtype=dtype) / 5).clamp(min=0)) / w.sum(),
          "The weights are divided by the sum of those that are there; the sum runs over all t and is 3."),
    Wrong("weights_not_divided", "toolformer_weights",
          lambda n, dtype=None, device=None: (1 - torch.arange(n, dtype=dtype) / 5).clamp(min=0),
          "The weights are not divided by 3."),
    Wrong("beats_one_of_them", "toolformer_keep",
          lambda loss_with, loss_empty, loss_without, tau=1.0: (
              torch.maximum(loss_without, loss_empty) - loss_with >= tau),
          "It is enough to beat one of the two losses; the call must beat both."),
    Wrong("first_number", "extract_answer", lambda text: _last(text, which=0),
          "The first number is returned; it is the last."),
    Wrong("a_comma_is_a_number", "extract_answer", lambda text: _last(text, pattern=r"-?[0-9.,]+"),
          "A comma or a full stop alone is taken for a number, or for a part of one."),
    Wrong("numbers_as_texts", "self_consistency", _votes,
          "Answers are compared as texts: \"3\" and \"3.0\" are one answer."),
    Wrong("none_votes", "self_consistency", lambda answers: _votes(answers, count_none=True),
          "Samples without an answer vote, and can win."),
    Wrong("no_k1_plus_one", "bm25_scores",
          lambda query, documents, k1=1.5, b=0.75: _bm25(query, documents, k1, b, gain=1 - k1),
          "The factor k1 + 1 is missing."),
    Wrong("idf_without_one", "bm25_scores",
          lambda query, documents, k1=1.5, b=0.75: _bm25(query, documents, k1, b, one=0.0),
          "Without the 1 inside the logarithm a common term counts against a document."),
    Wrong("length_does_not_count", "bm25_scores",
          lambda query, documents, k1=1.5, b=0.75: _bm25(query, documents, k1, b, lengths=False),
          "The length of a document does not count; at b > 0 it does."),
    Wrong("fills_up_with_zeros", "retrieve",
          lambda query, documents, k: _bm25(query, documents).sort(descending=True, stable=True).indices[:k].tolist(),
          "Documents that have nothing to do with the query are returned, too."),
    Wrong("parts_of_words", "holds_answer", lambda document, answer: answer.lower() in document.lower(),
          "A part of a word counts: \"181\" is not in \"1815\"."),
]  # fmt: skip
