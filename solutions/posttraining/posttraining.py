"""Post-training: from a model that continues text to one that answers, calculates, looks things up and admits it.

Build in the order of the file; the handout (README.md) has the reasons. B is the batch size, T a number of tokens, V
the size of the vocabulary. Functions of tensors work on the device and in the dtype of their input; no function changes
an argument. Labels of -100 do not count in a loss, masks are boolean, logarithms are natural.

A tokenizer has `encode_ordinary(text)`, which takes every character for text, `encode(text)`, which also finds control
tokens, `id(control)`, `pad_id` and `eos_id`: `autograder.given.chat.Pieces` is one.
"""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from autograder.given.chat import Pieces

CONTROL = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}  # what begins a message
END = "<|end|>"  # what ends one
IGNORE = -100  # the label that does not count

Message = Mapping[str, str]  # {"role": "user", "content": "Hello"}


# --- conversations ----------------------------------------------------------------------------------------------------


def check_roles(messages: Sequence[Message], add_generation_prompt: bool = False) -> None:
    """Raise ValueError unless the roles are in order; return nothing.

    One system message may come first. Then user and assistant take turns, and the user begins. A conversation may be
    empty and may end with anybody; with `add_generation_prompt` it ends with the user, who waits for an answer. Any
    other role is an error.
    """
    ### BEGIN SOLUTION
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if turns != [("user", "assistant")[i % 2] for i in range(len(turns))]:
        raise ValueError(f"roles must be an optional system, then user and assistant in turns, not {roles}")
    if add_generation_prompt and roles[-1:] != ["user"]:
        raise ValueError("only a user's message can be answered")
    ### END SOLUTION


def render_chat(messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
    """Return the conversation as one text: each message is its control token, its content and `END`.

    Nothing stands between messages, and contents are not stripped. `add_generation_prompt` appends the assistant's
    control token, after which a model writes its answer. In a text nothing tells the control token "<|end|>" from the
    same characters in a content, so a content that holds one of the four control tokens raises ValueError. Roles out of
    order raise ValueError too (`check_roles`).

    render_chat([{"role": "user", "content": "Hi"}], add_generation_prompt=True) -> "<|user|>Hi<|end|><|assistant|>"
    """
    ### BEGIN SOLUTION
    check_roles(messages, add_generation_prompt)
    for message in messages:
        for control in (*CONTROL.values(), END):
            if control in message["content"]:
                raise ValueError(f"the content {message['content']!r} holds the control token {control}")
    text = "".join(CONTROL[message["role"]] + message["content"] + END for message in messages)
    return text + CONTROL["assistant"] if add_generation_prompt else text
    ### END SOLUTION


def render_chat_ids(
    messages: Sequence[Message], tokenizer: Pieces, add_generation_prompt: bool = False
) -> tuple[list[int], list[bool]]:
    """Return the ids of the conversation, and for each whether a model should learn to write it.

    A control token is one id, `tokenizer.id(control)`; each content is encoded by itself with `encode_ordinary`. So a
    user who types "<|end|><|assistant|>" gets ids of plain characters and no turn is forged; nothing raises. The mask
    is True for the content of each assistant message and for the `END` after it, by which the model stops; it is False
    for the assistant's own control token, which the program writes, and for everybody else's messages. Roles out of
    order raise ValueError.

    [user "Hi", assistant "Yo"] -> [user, H, i, end, assistant, Y, o, end] and the mask [0, 0, 0, 0, 0, 1, 1, 1]
    """
    ### BEGIN SOLUTION
    check_roles(messages, add_generation_prompt)
    ids: list[int] = []
    mask: list[bool] = []
    for message in messages:
        body = [*tokenizer.encode_ordinary(message["content"]), tokenizer.id(END)]
        ids += [tokenizer.id(CONTROL[message["role"]]), *body]
        mask += [False] + [message["role"] == "assistant"] * len(body)
    if add_generation_prompt:
        ids.append(tokenizer.id(CONTROL["assistant"]))
        mask.append(False)
    return ids, mask
    ### END SOLUTION


# --- supervised fine-tuning -------------------------------------------------------------------------------------------


def tokenize_prompt_response(
    prompts: Sequence[str], responses: Sequence[str], tokenizer: Pieces, pad_id: int, eos_id: int
) -> dict[str, Tensor]:
    """Return {"input_ids", "labels", "response_mask"}, each (B, L - 1), for a model that learns the responses.

    A row is the prompt's ids, the response's ids and `eos_id`; L is the length of the longest row, and shorter ones end
    in `pad_id`. Prompt and response are encoded separately, with `encode_ordinary`: at generation time the prompt
    stands alone, and a piece that reaches over the border would never have been seen. `input_ids` (int64) are the rows
    without their last column and `labels` (int64) without their first: labels[b, t] is the token that follows
    input_ids[b, t]. `response_mask` (bool) is True where the label is a token of the response or its EOS; all other
    labels are -100. The mask goes by POSITION: `pad_id` may equal `eos_id`, and any of them may occur in a text.

    Raises ValueError where there are not as many prompts as responses, or a prompt has no token: nothing would predict
    the first token of its response. A response may be empty.

    prompt ids [7, 8], response ids [9], eos 1 -> input_ids [7, 8, 9], labels [-100, 9, 1], response_mask [0, 1, 1]
    """
    ### BEGIN SOLUTION
    if len(prompts) != len(responses):
        raise ValueError(f"{len(prompts)} prompts and {len(responses)} responses")
    starts = [tokenizer.encode_ordinary(prompt) for prompt in prompts]
    if not all(starts):
        raise ValueError("a prompt without a token")
    rows = [[*start, *tokenizer.encode_ordinary(text), eos_id] for start, text in zip(starts, responses)]
    length = max(map(len, rows))
    padded = torch.tensor([row + [pad_id] * (length - len(row)) for row in rows])  # (B, L)
    first, after = (torch.tensor([len(ids) for ids in lists])[:, None] for lists in (starts, rows))  # (B, 1)
    places = torch.arange(1, length)  # where in its row each label stands
    response_mask = (places >= first) & (places < after)
    labels = padded[:, 1:].masked_fill(~response_mask, IGNORE)
    return {"input_ids": padded[:, :-1], "labels": labels, "response_mask": response_mask}
    ### END SOLUTION


def sft_loss(logits: Float[Tensor, "b t vocab_size"], labels: Int[Tensor, "b t"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy in nats over all labels that are not -100; logits at t are for labels[t].

    The mean is over tokens, not over rows: a long response weighs more than a short one. Nothing is shifted here. With
    no label at all the loss is 0, and so is its gradient (torch's mean gives NaN).

    logits of zeros and V = 5 -> ln 5, whatever the labels
    """
    ### BEGIN SOLUTION
    total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp(min=1)
    ### END SOLUTION


def accumulated_sft_loss(model: nn.Module, microbatches: Sequence[tuple[Tensor, ...]]) -> Float[Tensor, ""]:
    """Add to the parameters' gradients that of the loss of ALL microbatches; return that loss, without a graph.

    A microbatch is a tuple (inputs..., labels), and model(*inputs) are its logits (B, T, V); B and T may differ from
    one to the next. Loss and gradients are those of `sft_loss` on everything at once, however it is cut: divide by the
    number of labels of all microbatches, not of each. (In 2024 the widely used trainers divided by each; see the
    handout.) Gradients are added to what is there, as `backward` does. Each microbatch is run forward and backward
    before the next, so that only one graph is in memory. No label at all: 0.

    losses of 3 tokens [1, 1, 1] in one microbatch and of 1 token [5] in another -> 8 / 4 = 2, not (1 + 5) / 2 = 3
    """
    ### BEGIN SOLUTION
    counts = [int((labels != IGNORE).sum()) for *_, labels in microbatches]
    parts = []
    for (*inputs, labels), count in zip(microbatches, counts):
        part = sft_loss(model(*inputs), labels) * (count / max(sum(counts), 1))
        part.backward()
        parts.append(part.detach())
    return torch.stack(parts).sum()
    ### END SOLUTION


# --- packing ----------------------------------------------------------------------------------------------------------


def pack_sequences(
    sequences: Sequence[Sequence[int]], max_len: int, pad_id: int = 0
) -> tuple[Int[Tensor, "rows max_len"], Int[Tensor, "rows max_len"], Int[Tensor, "rows max_len"]]:
    """Return (ids, position_ids, segment_ids), int64, in which each row holds as many whole sequences as fit.

    First-fit decreasing (Johnson 1973): take the longest sequence first, of equal ones the earlier, and put each into
    the first row that has room, behind what is there; where none has, open a new row. Positions count from 0 in each
    sequence. Segments are numbered 1, 2, ... in each row. Room that is left has `pad_id`, position 0 and segment 0.
    Empty sequences are left out; no sequence at all gives three (0, max_len) tensors. A sequence longer than `max_len`
    raises ValueError.

    pack_sequences([[5, 6], [7, 8, 9], [4]], max_len=4) ->
        ids [[7, 8, 9, 4], [5, 6, 0, 0]], positions [[0, 1, 2, 0], [0, 1, 0, 0]], segments [[1, 1, 1, 2], [1, 1, 0, 0]]
    """
    ### BEGIN SOLUTION
    rows: list[list[Sequence[int]]] = []
    room: list[int] = []
    for sequence in sorted(filter(len, sequences), key=len, reverse=True):  # a stable sort, in reverse too
        if len(sequence) > max_len:
            raise ValueError(f"a sequence of {len(sequence)} tokens does not fit into {max_len}")
        row = next((i for i, left in enumerate(room) if left >= len(sequence)), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(max_len)
        rows[row].append(sequence)
        room[row] -= len(sequence)
    ids = torch.full((len(rows), max_len), pad_id)
    position_ids, segment_ids = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, packed in enumerate(rows):
        start = 0
        for number, sequence in enumerate(packed, start=1):
            place = slice(start, start + len(sequence))
            ids[row, place] = torch.tensor(sequence)
            position_ids[row, place] = torch.arange(len(sequence))
            segment_ids[row, place] = number
            start = place.stop
    return ids, position_ids, segment_ids
    ### END SOLUTION


def block_causal_mask(segment_ids: Int[Tensor, "b t"]) -> Bool[Tensor, "b t t"]:
    """Return the mask in which query i may attend to key j if j <= i and both are of one segment, which is not 0.

    Padding (segment 0) attends to nothing and nothing attends to it. Positions that start anew are not enough: without
    this mask a sequence reads those packed before it.

    block_causal_mask([[1, 2, 2, 0]])[0] -> [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    ### BEGIN SOLUTION
    t = segment_ids.shape[1]
    causal = torch.ones(t, t, dtype=torch.bool, device=segment_ids.device).tril()
    queries, keys = segment_ids[:, :, None], segment_ids[:, None, :]
    return (queries == keys) & (queries != 0) & causal
    ### END SOLUTION


def packed_labels(ids: Int[Tensor, "b t"], segment_ids: Int[Tensor, "b t"]) -> Int[Tensor, "b t"]:
    """Return the label of each position: the token after it if that is of the same segment, else -100.

    So the last token of a sequence does not predict the first of the next one, and padding predicts nothing.

    ids [[7, 8, 9, 4, 0]], segments [[1, 1, 2, 2, 0]] -> [[8, -100, 4, -100, -100]]
    """
    ### BEGIN SOLUTION
    same = (segment_ids[:, 1:] == segment_ids[:, :-1]) & (segment_ids[:, 1:] != 0)
    return F.pad(ids[:, 1:].masked_fill(~same, IGNORE), (0, 1), value=IGNORE)
    ### END SOLUTION


# --- prompts ----------------------------------------------------------------------------------------------------------


def few_shot_prompt(
    examples: Sequence[tuple[str, str]],
    query: str,
    template: str = "Q: {question}\nA: {answer}",
    instruction: str = "",
) -> str:
    """Return a prompt of solved examples (question, answer) in their order, and the query without an answer.

    Blocks are separated by one empty line: the instruction, if there is one; an example for each pair; the query, which
    is the template up to where the answer would stand. The prompt ends without white space, as models learn " 4" and
    not "4" after "A:". An example that asks the query itself is left out: it gives the answer away. Braces in examples
    and in the query are text. The template has "{question}" and after it "{answer}", once each. No examples: zero-shot
    (Radford et al. 2019; Brown et al. 2020, figure 2.1).

    few_shot_prompt([("1+1?", "2")], "2+2?") -> "Q: 1+1?\\nA: 2\\n\\nQ: 2+2?\\nA:"
    """
    ### BEGIN SOLUTION
    blocks = [instruction] if instruction else []
    blocks += [template.format(question=q, answer=a) for q, a in examples if q != query]
    blocks.append(template.partition("{answer}")[0].format(question=query).rstrip())
    return "\n\n".join(blocks)
    ### END SOLUTION


def cot_prompt(examples: Sequence[tuple[str, str, str]], query: str) -> str:
    """Return a prompt that makes a model think before it answers; examples are (question, reasoning, answer).

    As `few_shot_prompt` with its own template, where what follows "A: " is the reasoning, a space, "The answer is ",
    the answer and a full stop (Wei et al. 2022). Where no example is left the prompt ends in "A: Let's think step by
    step." (Kojima et al. 2022).

    cot_prompt([("2+3?", "Start at 2, go 3 up.", "5")], "1+1?") ->
        "Q: 2+3?\\nA: Start at 2, go 3 up. The answer is 5.\\n\\nQ: 1+1?\\nA:"
    """
    ### BEGIN SOLUTION
    solved = [(q, f"{reasoning} The answer is {answer}.") for q, reasoning, answer in examples if q != query]
    prompt = few_shot_prompt(solved, query)
    return prompt if solved else f"{prompt} Let's think step by step."
    ### END SOLUTION


# --- tools ------------------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """A call in a text: text[span[0] : span[1]] is all of it, from its bracket to its bracket."""

    span: tuple[int, int]
    tool: str
    argument: str


def parse_calls(text: str) -> list[Call]:
    """Return the calls in a text, from left to right.

    A call is `[`, a name, `(`, an argument, `)]`, with no space between them. A name is an ASCII letter and then ASCII
    letters and digits. An argument holds no square bracket and no line end, may be empty, and its parentheses are
    balanced: none is closed before it is opened, and none stays open. Everything else is text, also a call that has its
    result already, `[Calculator(1+1) -> 2]`. The time is linear in the length of the text, up to a small factor: texts
    come from a model, or from whoever wrote to it.

    parse_calls("so [Calculator((1+2)*3)].") -> [((3, 24), "Calculator", "(1+2)*3")]
    """
    ### BEGIN SOLUTION

    def balanced(argument: str) -> bool:
        depth = 0
        for character in argument:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth < 0:
                return False
        return depth == 0

    # Without brackets in an argument, a call ends at the first `]` after its `[`.
    found = re.finditer(r"\[([A-Za-z][A-Za-z0-9]*)\(([^][\r\n]*)\)\]", text)
    return [Call(match.span(), match[1], match[2]) for match in found if balanced(match[2])]
    ### END SOLUTION


MAX_EXPRESSION = 200  # characters that a calculator reads


def calculator(expression: str) -> str:
    """Return the value of an arithmetic expression, exact, as text; "error" for everything else. Never raises.

    An expression is made of digits, the decimal point, `+ - * / ( )` and spaces, with the usual precedence, signs
    before numbers and parentheses (`2*-3` is -6), from left to right among equals. A number has a digit at least, and a
    point at most; what a leading zero means is left open. Values are exact fractions: 0.1 + 0.2 - 0.3 is 0. A whole
    number is written without a point; any other is rounded to two decimals, halves to the even digit, as in the
    Toolformer paper, and has both of them: "0.50". There is no "-0.00".

    "error": division by 0, nothing to calculate, more than MAX_EXPRESSION characters, `**`, `//`, names, commas,
    exponents, anything else. Do not pass the text to eval: it may be "9**9**9", or worse.

    calculator("77+33") -> "110";  calculator("400/1400") -> "0.29";  calculator("1/8") -> "0.12";
    calculator("1/0") -> "error"
    """
    ### BEGIN SOLUTION
    operations: dict[type, Callable[..., Fraction]] = {
        ast.Add: lambda a, b: a + b,
        ast.Sub: lambda a, b: a - b,
        ast.Mult: lambda a, b: a * b,
        ast.Div: lambda a, b: a / b,
        ast.UAdd: lambda a: a,
        ast.USub: lambda a: -a,
    }
    source = expression.strip(" ")

    def value(node: ast.expr) -> Fraction:
        match node:
            case ast.Constant():  # from its characters: a float would have lost some of them
                return Fraction(source[node.col_offset : node.end_col_offset])
            case ast.UnaryOp(op, operand):
                return operations[type(op)](value(operand))
            case ast.BinOp(left, op, right):
                return operations[type(op)](value(left), value(right))
        raise ValueError(f"{type(node).__name__} is no arithmetic")

    if len(expression) > MAX_EXPRESSION or not re.fullmatch(r"[0-9.+\-*/() ]+", source):
        return "error"
    try:
        result = value(ast.parse(source, mode="eval").body)
    except (SyntaxError, ValueError, KeyError, ZeroDivisionError, RecursionError, MemoryError):
        return "error"
    if result.denominator == 1:
        return str(result.numerator)
    hundredths = round(result * 100)  # of a Fraction: exact, halves to even
    whole, part = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole}.{part:02}"
    ### END SOLUTION


def execute_calls(text: str) -> str:
    """Return the text with the result of each call of the Calculator written into it.

    `[Calculator(77+33)]` becomes `[Calculator(77+33) -> 110]`, also where the result is "error". Calls of other tools
    (names are exact: `calculator` is another one), and whatever is no call, stay as they are. A text that was executed
    has no call of the Calculator left, so executing it again changes nothing.

    execute_calls("It is [Calculator(6*7)].") -> "It is [Calculator(6*7) -> 42]."
    """
    ### BEGIN SOLUTION
    for call in reversed(parse_calls(text)):  # from the right, so that the spans before stay true
        if call.tool == "Calculator":
            end = call.span[1] - 1  # the closing bracket
            text = f"{text[:end]} -> {calculator(call.argument)}{text[end:]}"
    return text
    ### END SOLUTION


def toolformer_weights(
    n: int, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Float[Tensor, " n"]:
    """Return w_0, ..., w_(n-1): w_t = max(0, 1 - t/5) / 3 (Schick et al. 2023, section 4.1).

    The 3 is the sum of max(0, 1 - t/5) over ALL t = 0, 1, 2, ..., whatever `n` is.

    toolformer_weights(3) -> [1/3, 0.8/3, 0.6/3]
    """
    ### BEGIN SOLUTION
    t = torch.arange(n, dtype=dtype or torch.get_default_dtype(), device=device)
    return (1 - t / 5).clamp(min=0) / 3
    ### END SOLUTION


def toolformer_loss(token_losses: Float[Tensor, "... t"], position: int) -> Float[Tensor, "..."]:
    """Return the sum over t >= position of w_(t - position) * token_losses[..., t]: what the next few tokens cost.

    `token_losses` are -log p of each token of the text; a call would be inserted before the token at `position`.

    toolformer_loss([9, 3, 6], position=1) -> 1/3 * 3 + 0.8/3 * 6 = 2.6
    """
    ### BEGIN SOLUTION
    after = token_losses[..., position:]
    return after @ toolformer_weights(after.shape[-1], dtype=after.dtype, device=after.device)
    ### END SOLUTION


def toolformer_keep(
    loss_with: Float[Tensor, "..."],
    loss_empty: Float[Tensor, "..."],
    loss_without: Float[Tensor, "..."],
    tau: float = 1.0,
) -> Bool[Tensor, "..."]:
    """Return which calls to keep: those with min(loss_without, loss_empty) - loss_with >= tau.

    The losses are `toolformer_loss` of the text after the call: with the call and its result before it, with the call
    but no result, and without a call. A call that helps without its result helps as a hint, not as a tool (Schick et
    al. 2023, section 2).

    toolformer_keep([1.], [4.], [2.], tau=1.0) -> [True];  toolformer_keep([1.], [1.5], [4.], tau=1.0) -> [False]
    """
    ### BEGIN SOLUTION
    return torch.minimum(loss_without, loss_empty) - loss_with >= tau
    ### END SOLUTION


# --- answers ----------------------------------------------------------------------------------------------------------


def extract_answer(text: str) -> str | None:
    """Return the last number of a text without its commas, or None where there is none.

    A number is digits 0-9, with or without commas between groups of three ("1,234,567", one to three digits before the
    first comma), then possibly a point and more digits. A minus directly before it belongs to it, unless a letter, a
    digit or a closing parenthesis stands directly before the minus: that is a subtraction, or a hyphen. Numbers are
    read from left to right, each as long as it can be; full stops and commas of the sentence are not theirs.

    "... = 1,234." -> "1234";  "72, in total, so" -> "72";  "is -3.50" -> "-3.50";  "5-3" -> "3";  "1,23" -> "23"
    """
    ### BEGIN SOLUTION
    numbers = re.findall(r"(?:(?<![^\W_])(?<!\))-)?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?", text)
    return numbers[-1].replace(",", "") if numbers else None
    ### END SOLUTION


def self_consistency(answers: Sequence[str | None]) -> str | None:
    """Return the answer that most samples agree on (Wang et al. 2022); None where no sample has one.

    None does not vote. Two answers agree if they are the same text or the same number: "3", "3.0" and "03" are one
    answer, returned in the spelling that came first. A number is an optional minus, digits 0-9, and possibly a point
    and more digits; everything else is compared as it is. Of answers with equally many votes the one seen first wins.

    self_consistency(["4", "3.0", None, "3", "4", "3"]) -> "3.0"
    """
    ### BEGIN SOLUTION
    spellings: dict[str | Fraction, str] = {}
    votes: Counter[str | Fraction] = Counter()
    for answer in answers:
        if answer is not None:
            meaning = Fraction(answer) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", answer) else answer
            spellings.setdefault(meaning, answer)
            votes[meaning] += 1
    return spellings[max(votes, key=votes.__getitem__)] if votes else None  # the first of several maxima
    ### END SOLUTION


# --- retrieval --------------------------------------------------------------------------------------------------------


def terms(text: str) -> list[str]:
    """Return the words of a text: its runs of letters and digits, in lower case. (Given.)

    terms("Tea-time, at 5!") -> ["tea", "time", "at", "5"]
    """
    return re.findall(r"[^\W_]+", text.lower())


def bm25_scores(query: str, documents: Sequence[str], k1: float = 1.5, b: float = 0.75) -> Float[Tensor, " n"]:
    """Return the score of each document, float64 (Robertson and Zaragoza 2009, section 3; Lucene's logarithm).

    With N documents, n(q) of which hold the term q, f(q, d) occurrences of q in d, |d| = len(terms(d)) and its mean
    over the documents avgdl,

        score(d) = sum over q in terms(query) of  idf(q) f(q, d) (k1 + 1) / (f(q, d) + k1 (1 - b + b |d| / avgdl))
        idf(q) = ln(1 + (N - n(q) + 0.5) / (n(q) + 0.5))

    A term that is twice in the query counts twice. A document without a term of the query has score exactly 0, an empty
    one too. No documents: a (0,) tensor.

    bm25_scores("tea", ["tea", "no tea", "no"], b=0.0) -> [ln 1.6, ln 1.6, 0]
    """
    ### BEGIN SOLUTION
    counts = [Counter(terms(document)) for document in documents]
    lengths = torch.tensor([count.total() for count in counts], dtype=torch.float64)
    norm = k1 * (1 - b + b * lengths / lengths.mean().clamp(min=1e-9))
    scores = torch.zeros_like(lengths)
    for term in terms(query):
        f = torch.tensor([count[term] for count in counts], dtype=torch.float64)
        n = int((f > 0).sum())
        idf = math.log1p((len(documents) - n + 0.5) / (n + 0.5))
        scores += torch.where(f > 0, idf * f * (k1 + 1) / (f + norm), 0.0)
    return scores
    ### END SOLUTION


def retrieve(query: str, documents: Sequence[str], k: int) -> list[int]:
    """Return the indices of the `k` documents with the highest `bm25_scores`, best first, ties in their order.

    Documents with score 0 have nothing to do with the query and are never returned, so there may be fewer than `k`.

    retrieve("tea", ["no", "tea", "tea"], k=5) -> [1, 2]
    """
    ### BEGIN SOLUTION
    scores = bm25_scores(query, documents).tolist()
    order = sorted(range(len(documents)), key=lambda i: -scores[i])
    return [i for i in order if scores[i] > 0][:k]
    ### END SOLUTION


def holds_answer(document: str, answer: str) -> bool:
    """Return whether the words of the answer stand in the document, in one piece: `terms` of both are compared.

    An answer without a word is held by no document.

    holds_answer("Ada was born in 1815.", "born in 1815") -> True;  holds_answer("In 1815.", "181") -> False
    """
    ### BEGIN SOLUTION
    words, wanted = terms(document), terms(answer)
    starts = range(len(words) - len(wanted) + 1)
    return bool(wanted) and any(words[i : i + len(wanted)] == wanted for i in starts)
    ### END SOLUTION


def answer_with_citations(
    question: str,
    documents: Sequence[str],
    reader: Callable[[str, str], tuple[str, float]],
    threshold: float,
    k: int = 3,
) -> str | None:
    """Return an answer that documents support, followed by a space and their numbers; None rather than a guess.

    `retrieve` finds `k` documents, and reader(question, document) reads an answer and its confidence in each of them,
    the best first. A reader may make things up: an answer that NO retrieved document holds (`holds_answer`) is dropped,
    however sure the reader is. Of the others the most confident one is returned, of equals the one from the better
    document, if its confidence is at least `threshold`. Cited are all retrieved documents that hold it, and no others,
    as [i] with i counting `documents` from 1, in ascending order.

    "1815" read with confidence 0.9 in documents[0], threshold 0.5, and documents[2] holds it too -> "1815 [1][3]"
    """
    ### BEGIN SOLUTION
    found = retrieve(question, documents, k)
    best, best_confidence = None, -math.inf
    for i in found:
        answer, confidence = reader(question, documents[i])
        sources = [j for j in sorted(found) if holds_answer(documents[j], answer)]
        if sources and confidence >= threshold and confidence > best_confidence:
            best, best_confidence = f"{answer} {''.join(f'[{j + 1}]' for j in sources)}", confidence
    return best
    ### END SOLUTION
