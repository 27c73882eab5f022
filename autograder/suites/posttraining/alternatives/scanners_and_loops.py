"""A valid solution: texts read one character at a time, a recursive-descent calculator, an inverted index, loops."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch.nn.utils.rnn import pad_sequence

CONTROL = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
END = "<|end|>"
MAX_EXPRESSION = 200


def check_roles(messages, add_generation_prompt=False):
    last = None
    for number, message in enumerate(messages):
        role = message["role"]
        if role == "system":
            fine = number == 0
        elif role == "user":
            fine = last in (None, "system", "assistant")
        elif role == "assistant":
            fine = last == "user"
        else:
            fine = False
        if not fine:
            raise ValueError(f"message {number} cannot be from {role!r}")
        last = role
    if add_generation_prompt and last != "user":
        raise ValueError("nobody asked")


def render_chat(messages, add_generation_prompt=False):
    check_roles(messages, add_generation_prompt)
    controls = [*CONTROL.values(), END]
    text = ""
    for message in messages:
        for start in range(len(message["content"])):
            if any(message["content"].startswith(control, start) for control in controls):
                raise ValueError("a control token in a content")
        text += CONTROL[message["role"]]
        text += message["content"]
        text += END
    if add_generation_prompt:
        text += CONTROL["assistant"]
    return text


def render_chat_ids(messages, tokenizer, add_generation_prompt=False):
    check_roles(messages, add_generation_prompt)
    pairs = []
    for message in messages:
        own = message["role"] == "assistant"
        pairs.append((tokenizer.id(CONTROL[message["role"]]), False))
        for token in tokenizer.encode_ordinary(message["content"]):
            pairs.append((token, own))
        pairs.append((tokenizer.id(END), own))
    if add_generation_prompt:
        pairs.append((tokenizer.id(CONTROL["assistant"]), False))
    return [token for token, _ in pairs], [own for _, own in pairs]


def tokenize_prompt_response(prompts, responses, tokenizer, pad_id, eos_id):
    input_rows, label_rows = [], []
    for prompt, response in zip(prompts, responses, strict=True):
        asked = tokenizer.encode_ordinary(prompt)
        said = tokenizer.encode_ordinary(response)
        if len(asked) == 0:
            raise ValueError("an empty prompt")
        input_rows.append(torch.tensor([*asked, *said, eos_id]))
        label_rows.append(torch.tensor([-100] * len(asked) + [*said, eos_id]))
    input_ids = pad_sequence(input_rows, batch_first=True, padding_value=pad_id)[:, :-1]
    labels = pad_sequence(label_rows, batch_first=True, padding_value=-100)[:, 1:]
    return {"response_mask": labels.ne(-100), "labels": labels, "input_ids": input_ids}


def sft_loss(logits, labels):
    rows = logits.reshape(-1, logits.shape[-1])
    targets = labels.reshape(-1)
    chosen = [i for i, label in enumerate(targets.tolist()) if label != -100]
    if not chosen:
        return (logits * 0).sum()
    logp = rows[chosen].log_softmax(dim=-1)
    return -logp[torch.arange(len(chosen)), targets[chosen]].mean()


def accumulated_sft_loss(model, microbatches):
    total = 0
    for microbatch in microbatches:
        total += int((microbatch[-1] != -100).sum())
    loss = None
    for microbatch in microbatches:
        logits = model(*microbatch[:-1])
        logp = logits.log_softmax(-1)
        keep = microbatch[-1] != -100
        picked = logp.gather(-1, microbatch[-1].clamp(min=0)[..., None])[..., 0]
        here = -torch.where(keep, picked, torch.zeros_like(picked)).sum() / max(total, 1)
        here.backward()
        loss = here.detach() if loss is None else loss + here.detach()
    return loss


def pack_sequences(sequences, max_len, pad_id=0):
    if any(len(sequence) > max_len for sequence in sequences):
        raise ValueError("too long")
    order = sorted((-len(sequence), i) for i, sequence in enumerate(sequences) if len(sequence))
    rows = []
    for _, i in order:
        for row in rows:
            if len(row) + len(sequences[i]) <= max_len:
                break
        else:
            row = []
            rows.append(row)
        number = row[-1][2] + 1 if row else 1
        for position, token in enumerate(sequences[i]):
            row.append((token, position, number))
    for row in rows:
        row += [(pad_id, 0, 0)] * (max_len - len(row))
    columns = [[[place[c] for place in row] for row in rows] for c in range(3)]
    return tuple(torch.tensor(column, dtype=torch.int64).reshape(len(rows), max_len) for column in columns)


def block_causal_mask(segment_ids):
    b, t = segment_ids.shape
    mask = torch.zeros(b, t, t, dtype=torch.bool, device=segment_ids.device)
    for i in range(t):
        for j in range(i + 1):
            mask[:, i, j] = (segment_ids[:, i] == segment_ids[:, j]) & (segment_ids[:, i] > 0)
    return mask


def packed_labels(ids, segment_ids):
    labels = torch.full_like(ids, -100)
    for row in range(ids.shape[0]):
        for t in range(ids.shape[1] - 1):
            if segment_ids[row, t] != 0 and segment_ids[row, t] == segment_ids[row, t + 1]:
                labels[row, t] = ids[row, t + 1]
    return labels


def few_shot_prompt(examples, query, template="Q: {question}\nA: {answer}", instruction=""):
    before, _, rest = template.partition("{question}")
    between, _, after = rest.partition("{answer}")
    text = ""
    if instruction:
        text += instruction + "\n\n"
    for question, answer in examples:
        if question == query:
            continue
        text += before + question + between + answer + after + "\n\n"
    return (text + before + query + between).rstrip()


def cot_prompt(examples, query):
    worked = []
    for question, reasoning, answer in examples:
        if question != query:
            worked.append((question, reasoning + " The answer is " + answer + "."))
    if not worked:
        return "Q: " + query + "\nA: Let's think step by step."
    return few_shot_prompt(worked, query)


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def parse_calls(text):
    calls = []
    start = text.find("[")
    while start >= 0:
        following = text.find("[", start + 1)
        end = text.find("]", start, following if following >= 0 else len(text))
        if end >= 0:
            call = _read_call(text[start + 1 : end])
            if call:
                calls.append(((start, end + 1), *call))
        start = following
    return calls


def _read_call(inside):
    name, parenthesis, argument = inside.partition("(")
    if not parenthesis or not argument.endswith(")") or "\n" in argument or "\r" in argument:
        return None
    if not name or name[0] not in LETTERS or any(c not in LETTERS + "0123456789" for c in name):
        return None
    open_now = 0
    for character in argument[:-1]:
        if character == "(":
            open_now += 1
        elif character == ")":
            if not open_now:
                return None
            open_now -= 1
    return None if open_now else (name, argument[:-1])


class _Reader:
    """sum = product {(+|-) product}; product = factor {(*|/) factor}; factor = sign factor | number | ( sum )"""

    def __init__(self, text):
        self.text, self.place = text, 0

    def peek(self):
        while self.place < len(self.text) and self.text[self.place] == " ":
            self.place += 1
        return self.text[self.place] if self.place < len(self.text) else ""

    def take(self, signs):
        if self.peek() and self.peek() in signs:
            self.place += 1
            return self.text[self.place - 1]
        return ""

    def sum(self):
        value = self.product()
        while sign := self.take("+-"):
            other = self.product()
            value = value + other if sign == "+" else value - other
        return value

    def product(self):
        value = self.factor()
        while sign := self.take("*/"):
            other = self.factor()
            value = value * other if sign == "*" else value / other
        return value

    def factor(self):
        if sign := self.take("+-"):
            value = self.factor()
            return -value if sign == "-" else value
        if self.take("("):
            value = self.sum()
            if not self.take(")"):
                raise ValueError("a parenthesis is missing")
            return value
        self.peek()
        start, points = self.place, 0
        while self.place < len(self.text) and self.text[self.place] in "0123456789.":
            points += self.text[self.place] == "."
            self.place += 1
        number = self.text[start : self.place]
        if points > 1 or len(number) == points:
            raise ValueError("a number is missing")
        whole, _, decimals = number.partition(".")
        return Fraction(int(whole + decimals), 10 ** len(decimals))


def calculator(expression):
    if len(expression) > MAX_EXPRESSION:
        return "error"
    reader = _Reader(expression)
    try:
        value = reader.sum()
    except (ValueError, ZeroDivisionError):
        return "error"
    if reader.peek():
        return "error"
    numerator, denominator = value.numerator, value.denominator
    if denominator == 1:
        return str(numerator)
    cents, rest = divmod(abs(numerator) * 100, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and cents % 2 == 1):
        cents += 1
    text = str(cents // 100) + "." + str(cents % 100).zfill(2)
    return "-" + text if numerator < 0 and cents else text


def execute_calls(text):
    pieces, done = [], 0
    for (start, end), tool, argument in parse_calls(text):
        if tool != "Calculator":
            continue
        pieces += [text[done:start], "[Calculator(", argument, ") -> ", calculator(argument), "]"]
        done = end
    return "".join(pieces) + text[done:]


def toolformer_weights(n, dtype=None, device=None):
    return torch.tensor([max(0, 5 - t) / 15 for t in range(n)], dtype=dtype or torch.float32, device=device)


def toolformer_loss(token_losses, position):
    total = torch.zeros_like(token_losses.sum(-1))
    for step in range(5):
        if position + step < token_losses.shape[-1]:
            total = total + (5 - step) / 15 * token_losses[..., position + step]
    return total


def toolformer_keep(loss_with, loss_empty, loss_without, tau=1.0):
    return (loss_without - loss_with >= tau) & (loss_empty - loss_with >= tau)


def extract_answer(text):
    answer = None
    place = 0
    while place < len(text):
        if text[place] not in "0123456789":
            place += 1
            continue
        start = place
        while place < len(text) and text[place] in "0123456789":
            place += 1
        if place - start <= 3:
            while _three_digits(text, place):
                place += 4
        if text[place : place + 1] == "." and text[place + 1 : place + 2] in set("0123456789"):
            place += 1
            while place < len(text) and text[place] in "0123456789":
                place += 1
        answer = "".join(c for c in text[start:place] if c != ",")
        if start and text[start - 1] == "-":
            before = text[start - 2] if start > 1 else " "
            if not before.isalpha() and not before.isdigit() and before != ")":
                answer = "-" + answer
    return answer


def _three_digits(text, place):
    group = text[place + 1 : place + 4]
    if text[place : place + 1] != "," or len(group) != 3 or any(c not in "0123456789" for c in group):
        return False
    return text[place + 4 : place + 5] not in set("0123456789")


def self_consistency(answers):
    groups = []
    for answer in answers:
        if answer is None:
            continue
        for group in groups:
            if _agree(group[0], answer):
                group.append(answer)
                break
        else:
            groups.append([answer])
    best = None
    for group in groups:
        if best is None or len(group) > len(best):
            best = group
    return best[0] if best else None


def _agree(a, b):
    return a == b or (_is_number(a) and _is_number(b) and Fraction(a) == Fraction(b))


def _is_number(text):
    whole, point, decimals = text.removeprefix("-").partition(".")
    digits = [whole, decimals] if point else [whole]
    return all(part and all(c in "0123456789" for c in part) for part in digits)


def terms(text):
    words, word = [], ""
    for character in text.lower() + " ":
        if character.isalnum():
            word += character
        elif word:
            words.append(word)
            word = ""
    return words


def bm25_scores(query, documents, k1=1.5, b=0.75):
    postings = {}
    lengths = []
    for i, document in enumerate(documents):
        words = terms(document)
        lengths.append(len(words))
        for word in words:
            postings.setdefault(word, {}).setdefault(i, 0)
            postings[word][i] += 1
    scores = [0.0] * len(documents)
    for term in terms(query):
        holding = postings.get(term, {})
        idf = math.log(1 + (len(documents) - len(holding) + 0.5) / (len(holding) + 0.5))
        for i, f in holding.items():
            relative = lengths[i] * len(documents) / sum(lengths)
            scores[i] += idf * f * (k1 + 1) / (f + k1 * (1 - b + b * relative))
    return torch.tensor(scores, dtype=torch.float64)


def retrieve(query, documents, k):
    left = {i: score for i, score in enumerate(bm25_scores(query, documents).tolist()) if score > 0}
    best = []
    while left and len(best) < k:
        top = max(left.values())
        chosen = min(i for i, score in left.items() if score == top)
        best.append(chosen)
        del left[chosen]
    return best


def holds_answer(document, answer):
    wanted = terms(answer)
    words = terms(document)
    while wanted and len(words) >= len(wanted):
        if words[: len(wanted)] == wanted:
            return True
        words = words[1:]
    return False


def answer_with_citations(question, documents, reader, threshold, k=3):
    found = retrieve(question, documents, k)
    readings = [(*reader(question, documents[i]), -rank) for rank, i in enumerate(found)]
    for answer, confidence, _ in sorted(readings, key=lambda reading: reading[1:], reverse=True):
        if confidence < threshold:
            return None
        numbers = sorted(j + 1 for j in found if holds_answer(documents[j], answer))
        if numbers:
            return answer + " " + "".join("[" + str(number) + "]" for number in numbers)
    return None
