"""What the tests of `posttraining` draw, and oracles that are slow, plain and independent of the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from autograder.given.chat import Pieces
from autograder.judge import Given, draws

CONTROL = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
CONTROLS = [*CONTROL.values(), "<|end|>"]
PIECES = ["ab", "b c", "the ", " th", "<|", "end", "= ", "= 4", "4 ", "  "]

# Pieces of the tokenizer, halves of them, beginnings and ends of control tokens, white space, other scripts.
FRAGMENTS = ["a", "b", "ab", " ", "  ", "\n", "the", "= ", "4", "c", "<|", "|>", "<|en", "d|>", "user", "é", "日", "😀"]


def text_of(fragments: Sequence[str], max_pieces: int = 5) -> st.SearchStrategy[str]:
    """Some of the fragments in any order."""
    return st.lists(st.sampled_from(list(fragments)), max_size=max_pieces).map("".join)


def contents() -> st.SearchStrategy[str]:
    """What somebody says, without a whole control token."""
    return text_of(FRAGMENTS).filter(lambda text: not any(control in text for control in CONTROLS))


def typed() -> st.SearchStrategy[str]:
    """A text in which somebody typed a control token."""
    return st.tuples(text_of(FRAGMENTS, 2), st.sampled_from(CONTROLS), text_of([*FRAGMENTS, *CONTROLS], 3)).map("".join)


@st.composite
def conversations(
    draw: st.DrawFn, said: st.SearchStrategy[str] | None = None, min_turns: int = 0, max_turns: int = 4
) -> list[dict[str, str]]:
    """Messages with their roles in order."""
    said = contents() if said is None else said
    turns = draw(st.integers(min_turns, max_turns))
    roles = ["system"] * draw(st.booleans()) + [("user", "assistant")[i % 2] for i in range(turns)]
    return [{"role": role, "content": draw(said)} for role in roles]


@st.composite
def disorderly(draw: st.DrawFn) -> list[dict[str, str]]:
    """Messages whose roles are out of order."""
    known = st.sampled_from(["system", "user", "assistant"])
    roles = draw(
        st.one_of(
            st.lists(known, min_size=1, max_size=4),
            st.lists(st.one_of(known, st.sampled_from(["tool", "User", ""])), min_size=1, max_size=3),
            st.sampled_from([["user", "user"], ["user", "assistant", "assistant"], ["user", "assistant", "system"]]),
        ).filter(lambda roles: not in_order(roles))
    )
    return [{"role": role, "content": "a"} for role in roles]


def in_order(roles: Sequence[str]) -> bool:
    """Whether each role may follow the one before it."""
    may_follow = {"": ("system", "user"), "system": ("user",), "user": ("assistant",), "assistant": ("user",)}
    before = ""
    for role in roles:
        if role not in may_follow[before]:
            return False
        before = role
    return True


def rendered(messages: Sequence[dict[str, str]]) -> str:
    """The conversation as a text."""
    text = ""
    for message in messages:
        text += CONTROL[message["role"]]
        text += message["content"]
        text += "<|end|>"
    return text


def ids_and_mask(
    messages: Sequence[dict[str, str]], add_generation_prompt: bool = False
) -> tuple[list[int], list[bool]]:
    """The conversation as ids, and what to learn of them, by the judge's own tokenizer."""
    tokenizer = Pieces(PIECES, CONTROLS)
    pairs: list[tuple[int, bool]] = []
    for message in messages:
        answer = message["role"] == "assistant"
        pairs.append((tokenizer.id(CONTROL[message["role"]]), False))
        pairs += [(i, answer) for i in tokenizer.encode_ordinary(message["content"])]
        pairs.append((tokenizer.id("<|end|>"), answer))
    if add_generation_prompt:
        pairs.append((tokenizer.id("<|assistant|>"), False))
    return [i for i, _ in pairs], [learn for _, learn in pairs]


def tokenizer_of(posttraining: Any) -> Any:
    """The same tokenizer in the worker."""
    return posttraining.make(Given("chat.Pieces"), PIECES, CONTROLS)


# --- fine-tuning


@st.composite
def pairs_of_texts(
    draw: st.DrawFn, fragments: Sequence[str] = tuple(FRAGMENTS), min_size: int = 1
) -> tuple[list[str], list[str]]:
    """(prompts, responses): no prompt is empty, some responses are."""
    size = draw(st.integers(min_size, 3))
    said = text_of(fragments, 4)
    prompts = [draw(st.sampled_from(["a", " ", "= "])) + draw(said) for _ in range(size)]
    return prompts, [draw(said) for _ in range(size)]


def batch_of(prompts: Sequence[str], responses: Sequence[str], pad_id: int, eos_id: int) -> dict[str, Tensor]:
    """What `tokenize_prompt_response` returns, one token after the other."""
    tokenizer = Pieces(PIECES, CONTROLS)
    rows = []
    for prompt, response in zip(prompts, responses, strict=True):
        asked = [(i, False) for i in tokenizer.encode_ordinary(prompt)]
        rows.append(asked + [(i, True) for i in tokenizer.encode_ordinary(response)] + [(eos_id, True)])
    length = max(map(len, rows))
    rows = [row + [(pad_id, False)] * (length - len(row)) for row in rows]
    return {
        "input_ids": torch.tensor([[i for i, _ in row[:-1]] for row in rows]),
        "labels": torch.tensor([[i if learn else -100 for i, learn in row[1:]] for row in rows]),
        "response_mask": torch.tensor([[learn for _, learn in row[1:]] for row in rows]),
    }


@st.composite
def labels_of(draw: st.DrawFn, shape: tuple[int, int], vocab_size: int, min_labels: int = 0) -> Tensor:
    """Labels, some of them -100, at least `min_labels` of them not."""
    labels = draw(draws.token_ids(shape, vocab_size)).flatten()
    count = labels.numel()
    ignored = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    kept = draw(st.integers(0, count - 1))
    for i in range(min_labels):
        ignored[(kept + i) % count] = False
    return labels.masked_fill(torch.tensor(ignored), -100).reshape(shape)


@st.composite
def logits_and_labels(
    draw: st.DrawFn, dtype: Any = None, min_labels: int = 1, elements: Any = "normal"
) -> tuple[Tensor, Tensor]:
    """Logits (B, T, V) and labels (B, T)."""
    b, t, v = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(2, 5))
    labels = draw(labels_of((b, t), v, min(min_labels, b * t)))
    return draw(draws.tensors((b, t, v), dtype=dtype, elements=elements)), labels


def mean_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy over labels that count, one at a time; 0 for none."""
    terms = [
        torch.logsumexp(logits[i, j], -1) - logits[i, j, labels[i, j]]
        for i in range(labels.shape[0])
        for j in range(labels.shape[1])
        if labels[i, j] != -100
    ]
    return torch.stack(terms).mean() if terms else (logits * 0).sum()


@st.composite
def microbatches(
    draw: st.DrawFn, min_labels: int = 0, min_size: int = 1, scaled: bool = False
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """(table (V, V), microbatches of different shapes and numbers of labels)."""
    v = draw(st.integers(2, 4))
    table = draw(draws.tensors((v, v), dtype=torch.float64, contiguous=True))
    batches: list[tuple[Tensor, ...]] = []
    for _ in range(draw(st.integers(min_size, 4))):
        shape = (draw(st.integers(1, 2)), draw(st.integers(1, 4)))
        inputs: tuple[Tensor, ...] = (draw(draws.token_ids(shape, v)),)
        if scaled:
            inputs += (draw(draws.tensors(shape, dtype=torch.float64, elements="small_ints")),)
        batches.append((*inputs, draw(labels_of(shape, v, min_labels))))
    return table, batches


def whole(table: Tensor, batches: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor]:
    """(loss, gradient with respect to the table) of all microbatches at once."""
    leaf = table.clone().requires_grad_()
    rows, labels = [], []
    for input_ids, *rest in batches:
        logits = leaf[input_ids]
        if len(rest) == 2:
            logits = logits * rest[0][..., None]
        rows.append(logits.flatten(0, 1))
        labels.append(rest[-1].flatten())
    loss = mean_nll(torch.cat(rows)[None], torch.cat(labels)[None])
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), gradient


# --- packing


def sequences(max_len: int, min_size: int = 0, max_size: int = 8) -> st.SearchStrategy[list[list[int]]]:
    """Sequences of 1 to `max_len` tokens, which tell where they come from."""
    lengths = st.lists(st.integers(1, max_len), min_size=min_size, max_size=max_size)
    return lengths.map(lambda sizes: [[10 * i + j % 10 + 1 for j in range(n)] for i, n in enumerate(sizes)])


def packed(given: Sequence[Sequence[int]], max_len: int, pad_id: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """First-fit decreasing, a token at a time."""
    rows: list[list[tuple[int, int, int]]] = []
    for length in range(max_len, 0, -1):
        for sequence in given:
            if len(sequence) == length:
                fitting = [row for row in rows if len(row) + length <= max_len]
                if not fitting:
                    rows.append([])
                    fitting = rows[-1:]
                number = 1 + max((segment for _, _, segment in fitting[0]), default=0)
                fitting[0].extend((token, place, number) for place, token in enumerate(sequence))
    filled = [row + [(pad_id, 0, 0)] * (max_len - len(row)) for row in rows]
    table = torch.tensor(filled, dtype=torch.int64).reshape(len(rows), max_len, 3)
    return table[..., 0].clone(), table[..., 1].clone(), table[..., 2].clone()


@st.composite
def segments(draw: st.DrawFn) -> Tensor:
    """Segment ids (B, T) as packing makes them: 1, 1, 2, 3, 3, 0."""
    b, t = draw(st.integers(1, 3)), draw(st.integers(1, 8))
    rows = []
    for _ in range(b):
        steps = draw(st.lists(st.integers(0, 1), min_size=t - 1, max_size=t - 1))
        row = [1]
        for step in steps:
            row.append(row[-1] + step)
        real = draw(st.integers(1, t))
        rows.append([number if i < real else 0 for i, number in enumerate(row)])
    return torch.tensor(rows)


def allowed(segment_ids: Tensor) -> Tensor:
    """Who may attend to whom, one pair at a time."""
    rows = segment_ids.tolist()
    return torch.tensor(
        [
            [[j <= i and row[i] == row[j] and row[i] > 0 for j in range(len(row))] for i in range(len(row))]
            for row in rows
        ]
    )


# --- arithmetic

PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "sign": 3, "number": 4}


@st.composite
def numbers(draw: st.DrawFn, decimals: bool = True) -> str:
    """A number as text, without leading zeros."""
    whole = str(draw(st.one_of(st.integers(0, 12), st.integers(0, 10**12))))
    way = draw(st.integers(0, 5)) if decimals else 0
    digits = draw(st.text("0123456789", min_size=1, max_size=3))
    return {4: f"{whole}.{digits}", 5: draw(st.sampled_from([f"{whole}.", f".{digits}"]))}.get(way, whole)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, Fraction | None, str]:
    """(text, value, outermost operation); the value is None where something is divided by 0."""
    kind = draw(st.sampled_from(["number", "+", "-", "*", "/", "sign", "+", "-", "*", "/"])) if depth else "number"
    if kind == "number":
        text = draw(numbers())
        return text, Fraction(text), "number"

    def child(lowest: int) -> tuple[str, Fraction | None]:
        text, value, outer = draw(expressions(depth - 1))
        if PRECEDENCE[outer] < lowest or not draw(st.integers(0, 7)):
            text = f"({text})"
        return text, value

    space = draw(st.sampled_from(["", "", " ", "  "]))
    if kind == "sign":
        text, value = child(3)
        if draw(st.integers(0, 3)):
            return f"-{space}{text}", None if value is None else -value, "sign"
        return f"+{text}", value, "sign"
    left, a = child(PRECEDENCE[kind])
    right, b = child(PRECEDENCE[kind] + 1)
    text = f"{left}{space}{kind}{space}{right}"
    if a is None or b is None or (kind == "/" and b == 0):
        return text, None, kind
    return text, {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[kind], kind


def written(value: Fraction | None) -> str:
    """A value as the calculator writes it."""
    if value is None:
        return "error"
    if value.denominator == 1:
        return str(value.numerator)
    hundredths, rest = divmod(value.numerator * 100, value.denominator)  # rounded down
    if 2 * rest > value.denominator or (2 * rest == value.denominator and hundredths % 2):
        hundredths += 1
    sign = "-" if hundredths < 0 else ""
    digits = str(abs(hundredths)).rjust(3, "0")
    return f"{sign}{digits[:-2]}.{digits[-2:]}"


# --- calls


def calls_in(text: str) -> list[tuple[tuple[int, int], str, str]]:
    """The calls of a text: every bracket is tried, and read one character at a time."""
    found = []
    for start, character in enumerate(text):
        if character != "[":
            continue
        place = start + 1
        while place < len(text) and text[place].isascii() and text[place].isalnum():
            place += 1
        name = text[start + 1 : place]
        if not name or not name[0].isalpha() or text[place : place + 1] != "(":
            continue
        depth, first = 1, place + 1
        place += 1
        while place < len(text) and depth and text[place] not in "[]\n":
            depth += (text[place] == "(") - (text[place] == ")")
            place += 1
        if not depth and text[place : place + 1] == "]":
            found.append(((start, place + 1), name, text[first : place - 1]))
    return found


ARGUMENTS = [
    "1+1",
    "(1+2)*3",
    "2*(3+(4-1))",
    "",
    "77+33",
    "1/0",
    "x",
    " 6 * 7 ",
    "((",
    "1)",
    "1)(2",
    "2**3",
    "400/1400",
]
LEFTOVERS = ["[", "]", "(", ")", ")]", "[]", " ", "so ", "[Calculator(", "Calculator(1)]", "\n", "[(1)]", " -> 2]", "é"]


@st.composite
def texts_with_calls(draw: st.DrawFn, tools: Sequence[str] = ("Calculator", "QA", "wiki2"), max_pieces: int = 6) -> str:
    """Calls, what looks like one, and text."""
    strange = ["Calculator ", "9a", "a_b", "", "é", "calculator"]

    def piece() -> str:
        argument = draw(st.sampled_from(ARGUMENTS))
        way = draw(st.integers(0, 7))
        if way < 4:
            return f"[{draw(st.sampled_from(list(tools)))}({argument})]"
        if way == 4:
            return f"[{draw(st.sampled_from(strange))}({argument})]"
        if way == 5:
            return f"[Calculator({argument}) -> {draw(st.sampled_from(['2', '(2)', 'error']))}]"
        return draw(st.sampled_from(LEFTOVERS))

    return "".join(piece() for _ in range(draw(st.integers(1, max_pieces))))


# --- answers


def numbers_in(text: str) -> list[str]:
    """The numbers of a text without their commas, read one character at a time."""
    found = []
    place = 0

    def digits(start: int) -> int:
        """How many digits follow each other from `start`."""
        end = start
        while end < len(text) and text[end] in "0123456789":
            end += 1
        return end - start

    while place < len(text):
        size = digits(place)
        if not size:
            place += 1
            continue
        end = place + size
        if size <= 3:
            while text[end : end + 1] == "," and digits(end + 1) == 3:
                end += 4
        if text[end : end + 1] == "." and digits(end + 1):
            end += 1 + digits(end + 1)
        minus = text[place - 1 : place] == "-" and not (
            text[place - 2 : place - 1].isalnum() or text[place - 2 : place - 1] == ")"
        )
        found.append(("-" if minus and place > 0 else "") + text[place:end].replace(",", ""))
        place = end
    return found


def meaning(answer: str) -> Any:
    """What two answers must share to agree."""
    unsigned = answer.removeprefix("-")
    whole, point, rest = unsigned.partition(".")
    digits = [whole, rest] if point else [whole]
    return Fraction(answer) if all(part.isascii() and part.isdigit() for part in digits) else answer


def majority(answers: Sequence[str | None]) -> str | None:
    """The answer with the most votes, the first of several."""
    said = [answer for answer in answers if answer is not None]
    votes = [sum(meaning(other) == meaning(answer) for other in said) for answer in said]
    return said[votes.index(max(votes))] if said else None


# --- retrieval

WORDS = ["tea", "hot", "ada", "born", "1815", "the", "in", "18", "x"]


def documents(min_size: int = 1, max_size: int = 5, max_words: int = 6) -> st.SearchStrategy[list[str]]:
    """Texts of a few words, some of them empty, with punctuation and capitals."""
    word = st.one_of(st.sampled_from(WORDS), st.sampled_from(["Tea", "ADA", "tea,", "in-the", "18.15", "—"]))
    text = st.lists(word, max_size=max_words).map(" ".join)
    return st.lists(text, min_size=min_size, max_size=max_size)


def queries(max_words: int = 4) -> st.SearchStrategy[str]:
    """A few terms, some of them twice."""
    words = st.lists(st.sampled_from([*WORDS, "never", "TEA?"]), min_size=1, max_size=max_words)
    return st.tuples(words, st.integers(0, 2)).map(lambda drawn: " ".join(drawn[0] + drawn[0][: drawn[1]]))


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, in lower case."""
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def bm25(query: str, texts: Sequence[str], k1: float = 1.5, b: float = 0.75) -> list[float]:
    """The formula of the handout, one term of one document at a time."""
    bags = [words_of(text) for text in texts]
    mean = sum(map(len, bags)) / len(bags) if bags else 0.0
    scores = []
    for bag in bags:
        score = 0.0
        for term in words_of(query):
            holding = sum(term in other for other in bags)
            f = bag.count(term)
            if f:
                idf = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
                score += idf * f * (k1 + 1) / (f + k1 * (1 - b + b * len(bag) / mean))
        scores.append(score)
    return scores


def ranked(query: str, texts: Sequence[str]) -> list[int]:
    """The documents that share a term with the query, the best first."""
    scores = bm25(query, texts)
    return sorted((i for i, score in enumerate(scores) if score > 0), key=lambda i: (-scores[i], i))


def clear(query: str, texts: Sequence[str]) -> bool:
    """Whether scores are the same by their definition or clearly apart, so that rounding decides nothing."""
    scores = bm25(query, texts)
    bags = [words_of(text) for text in texts]
    keys = [(len(bag), *(bag.count(term) for term in words_of(query))) for bag in bags]
    return all(
        abs(scores[i] - scores[j]) > 1e-9 or scores[i] == 0 == scores[j] or keys[i] == keys[j]
        for i in range(len(texts))
        for j in range(i)
    )


def holds(text: str, answer: str) -> bool:
    """Whether the words of the answer stand side by side in the text."""
    words = words_of(answer)
    return bool(words) and f" {' '.join(words)} " in f" {' '.join(words_of(text))} "


def cited(
    question: str, texts: Sequence[str], answers: dict[str, tuple[str, float]], threshold: float, k: int = 3
) -> str | None:
    """The answer with its citations, or None."""
    found = ranked(question, texts)[:k]
    read = [answers.get(texts[i], ("", 0.0)) for i in found]
    held = [
        (answer, sure) for answer, sure in read if any(holds(texts[j], answer) for j in found) and sure >= threshold
    ]
    if not held:
        return None
    surest = max(sure for _, sure in held)
    answer = next(answer for answer, sure in held if sure == surest)
    return f"{answer} " + "".join(f"[{j + 1}]" for j in range(len(texts)) if j in found and holds(texts[j], answer))
