"""A valid solution: patterns, a shunting-yard calculator, losses and masks from one-hots, a matrix of terms."""

from __future__ import annotations

import re
from collections import Counter
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from itertools import accumulate, chain, groupby

import torch

CONTROL = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
END = "<|end|>"
MAX_EXPRESSION = 200
ANY_CONTROL = re.compile("|".join(map(re.escape, (*CONTROL.values(), END))))


def check_roles(messages, add_generation_prompt=False):
    code = "".join({"system": "s", "user": "u", "assistant": "a"}.get(m["role"], "?") for m in messages)
    if not re.fullmatch("s?(ua)*u?", code):
        raise ValueError(f"roles out of order: {code}")
    if add_generation_prompt and not code.endswith("u"):
        raise ValueError("the last message is not the user's")


def render_chat(messages, add_generation_prompt=False):
    check_roles(messages, add_generation_prompt)
    if any(ANY_CONTROL.search(message["content"]) for message in messages):
        raise ValueError("a content holds a control token")
    pieces = [piece for m in messages for piece in (CONTROL[m["role"]], m["content"], END)]
    return "".join(pieces + [CONTROL["assistant"]] * add_generation_prompt)


def render_chat_ids(messages, tokenizer, add_generation_prompt=False):
    check_roles(messages, add_generation_prompt)
    blocks, masks = [], []
    for m in messages:
        content = tokenizer.encode_ordinary(m["content"])
        blocks.append([tokenizer.id(CONTROL[m["role"]]), *content, tokenizer.id(END)])
        masks.append([m["role"] == "assistant" and i > 0 for i in range(len(content) + 2)])
    if add_generation_prompt:
        blocks.append([tokenizer.id(CONTROL["assistant"])])
        masks.append([False])
    return list(chain(*blocks)), list(chain(*masks))


def tokenize_prompt_response(prompts, responses, tokenizer, pad_id, eos_id):
    if len(prompts) != len(responses):
        raise ValueError("as many prompts as responses")
    asked = list(map(tokenizer.encode_ordinary, prompts))
    if min(map(len, asked), default=1) == 0:
        raise ValueError("a prompt without a token")
    said = [[*tokenizer.encode_ordinary(response), eos_id] for response in responses]
    length = max(len(a) + len(s) for a, s in zip(asked, said))
    ids = torch.full((len(asked), length), pad_id)
    kinds = torch.zeros_like(ids)  # 0 padding, 1 prompt, 2 response
    for row, (a, s) in enumerate(zip(asked, said)):
        ids[row, : len(a) + len(s)] = torch.tensor(a + s)
        kinds[row, : len(a)] = 1
        kinds[row, len(a) : len(a) + len(s)] = 2
    response_mask = kinds[:, 1:] == 2
    labels = torch.where(response_mask, ids[:, 1:], -100)
    return {"input_ids": ids[:, :-1].clone(), "labels": labels, "response_mask": response_mask}


def _summed(logits, labels):
    counts = labels != -100
    one_hot = torch.nn.functional.one_hot(labels.clamp(min=0), logits.shape[-1]).to(logits.dtype)
    nll = torch.logsumexp(logits, -1) - (logits * one_hot).sum(-1)
    return (nll * counts).sum()


def sft_loss(logits, labels):
    return _summed(logits, labels) / max(int(torch.count_nonzero(labels != -100)), 1)


def accumulated_sft_loss(model, microbatches):
    n = max(int(torch.cat([(m[-1] != -100).flatten() for m in microbatches]).sum()), 1)
    losses = []
    for *inputs, labels in microbatches:
        loss = _summed(model(*inputs), labels)
        (loss / n).backward()
        losses.append(loss.detach())
    return sum(losses) / n


def pack_sequences(sequences, max_len, pad_id=0):
    if max(map(len, sequences), default=0) > max_len:
        raise ValueError("a sequence does not fit")
    by_length = groupby(sorted(sequences, key=lambda s: -len(s)), key=len)
    bins, used = [], torch.zeros(0, dtype=torch.int64)
    for length, group in by_length:
        if not length:
            continue
        for sequence in group:
            fits = torch.nonzero(used + length <= max_len).flatten()
            if len(fits):
                place = int(fits[0])
            else:
                place = len(bins)
                bins.append([])
                used = torch.cat([used, torch.zeros(1, dtype=torch.int64)])
            bins[place].append(list(sequence))
            used[place] += length
    shape = (len(bins), max_len)
    ids, positions, segments = torch.full(shape, pad_id), torch.zeros(shape).long(), torch.zeros(shape).long()
    for row, content in enumerate(bins):
        sizes = [len(sequence) for sequence in content]
        total = sum(sizes)
        ids[row, :total] = torch.tensor(list(chain(*content)))
        segments[row, :total] = torch.repeat_interleave(torch.arange(1, len(sizes) + 1), torch.tensor(sizes))
        starts = torch.tensor(list(accumulate(sizes, initial=0))[:-1])
        positions[row, :total] = torch.arange(total) - starts[segments[row, :total] - 1]
    return ids, positions, segments


def block_causal_mask(segment_ids):
    one_hot = torch.nn.functional.one_hot(segment_ids, int(segment_ids.max()) + 1)[..., 1:].float()
    same = one_hot @ one_hot.mT  # 1 where both are of one segment that is not 0
    t = torch.arange(segment_ids.shape[1], device=segment_ids.device)
    return same.bool() & (t[:, None] >= t)


def packed_labels(ids, segment_ids):
    following = ids.roll(-1, dims=1)
    continues = segment_ids.roll(-1, dims=1) == segment_ids
    continues[:, -1] = False
    return torch.where(continues & (segment_ids > 0), following, torch.full_like(ids, -100))


def few_shot_prompt(examples, query, template="Q: {question}\nA: {answer}", instruction=""):
    def fill(texts, form):
        return re.sub(r"\{(question|answer)\}", lambda match: texts[match[1]], form)

    blocks = [fill({"question": q, "answer": a}, template) for q, a in examples if q != query]
    open_form = template[: template.index("{answer}")]
    blocks = ([instruction] if instruction else []) + blocks + [fill({"question": query}, open_form)]
    return re.sub(r"\s+\Z", "", "\n\n".join(blocks))


def cot_prompt(examples, query):
    template = "Q: {question}\nA: {answer}."
    others = [(q, f"{r} The answer is {a}") for q, r, a in examples if q != query]
    prompt = few_shot_prompt(others, query, template=template)
    return prompt + ("" if others else " Let's think step by step.")


def parse_calls(text):
    calls = []
    for match in re.finditer(r"\[([a-z][a-z0-9]*)\(([^\[\]\n\r]*)\)\]", text, flags=re.IGNORECASE | re.ASCII):
        rest, before = match[2], None
        rest = re.sub(r"[^()]+", "", rest)
        while rest != before:
            rest, before = rest.replace("()", ""), rest
        if not rest:
            calls.append((match.span(), match[1], match[2]))
    return calls


RANK = {"+": 1, "-": 1, "*": 2, "/": 2, "~": 3, "#": 3}  # ~ is a minus sign, # a plus sign


def calculator(expression):
    if len(expression) > MAX_EXPRESSION:
        return "error"
    tokens = re.findall(r"[0-9]+\.?[0-9]*|\.[0-9]+|[-+*/()]|[^ ]", expression)
    values, operators, wants_value = [], [], True

    def apply():
        operator = operators.pop()
        b = values.pop()
        if operator == "~":
            values.append(-b)
        elif operator == "#":
            values.append(b)
        else:
            a = values.pop()
            values.append({"+": a.__add__, "-": a.__sub__, "*": a.__mul__, "/": a.__truediv__}[operator](b))

    try:
        for token in tokens:
            if re.fullmatch(r"[0-9]+\.?[0-9]*|\.[0-9]+", token):
                if not wants_value:
                    return "error"
                values.append(Fraction(token))
                wants_value = False
            elif token == "(" and wants_value:
                operators.append(token)
            elif token == ")" and not wants_value:
                while operators and operators[-1] != "(":
                    apply()
                if not operators:
                    return "error"
                operators.pop()
            elif token in ("+", "-") and wants_value:
                operators.append("~" if token == "-" else "#")
            elif token in ("+", "-", "*", "/") and not wants_value:
                while operators and operators[-1] != "(" and RANK[operators[-1]] >= RANK[token]:
                    apply()
                operators.append(token)
                wants_value = True
            else:
                return "error"
        if wants_value or "(" in operators:
            return "error"
        while operators:
            apply()
    except ZeroDivisionError:
        return "error"
    (value,) = values
    if value == int(value):
        return str(int(value))
    with localcontext() as context:
        context.prec = 1000
        scaled = value * 100
        floor = scaled.numerator // scaled.denominator
        rest = scaled - floor
        part = Decimal("0.5") if rest == Fraction(1, 2) else Decimal("0.7") if rest > Fraction(1, 2) else Decimal("0.2")
        cents = (Decimal(floor) + part).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
        text = f"{cents.scaleb(-2):.2f}"
    return text[1:] if text == "-0.00" else text


def execute_calls(text):
    shift = 0
    for (_, end), tool, argument in parse_calls(text):
        if tool == "Calculator":
            result = " -> " + calculator(argument)
            text = text[: end + shift - 1] + result + text[end + shift - 1 :]
            shift += len(result)
    return text


def toolformer_weights(n, dtype=None, device=None):
    base = torch.tensor([5, 4, 3, 2, 1], dtype=dtype or torch.float32, device=device) / 15
    return torch.nn.functional.pad(base, (0, max(n - 5, 0)))[:n]


def toolformer_loss(token_losses, position):
    near = token_losses[..., position : position + 5]
    return (near * toolformer_weights(near.shape[-1], near.dtype, near.device)).sum(-1)


def toolformer_keep(loss_with, loss_empty, loss_without, tau=1.0):
    return torch.stack([loss_empty, loss_without]).amin(0).sub(loss_with).ge(tau)


def extract_answer(text):
    last = None
    pattern = re.compile(r"[0-9]{1,3}(?:,[0-9]{3}(?![0-9]))+|[0-9]+")
    place = 0
    while match := pattern.search(text, place):
        place = match.end()
        decimals = re.compile(r"\.[0-9]+").match(text, place)
        if decimals:
            place = decimals.end()
        signed = re.search(r"(?:^|[^)\w])-\Z|\A-\Z", text[max(match.start() - 2, 0) : match.start()])
        last = ("-" if signed else "") + text[match.start() : place].replace(",", "")
    return last


def _canonical(answer):
    if not re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?", answer):
        return "text", answer
    whole, _, decimals = answer.lstrip("-").partition(".")
    whole, decimals = whole.lstrip("0"), decimals.rstrip("0")
    return "number", answer.startswith("-") and bool(whole + decimals), whole, decimals


def self_consistency(answers):
    said = [answer for answer in answers if answer is not None]
    keys = [_canonical(answer) for answer in said]
    ranked = sorted(range(len(said)), key=lambda i: (-keys.count(keys[i]), i))
    return said[ranked[0]] if ranked else None


def terms(text):
    return re.findall(r"[^\W_]+", text.lower())


def bm25_scores(query, documents, k1=1.5, b=0.75):
    wanted = Counter(terms(query))
    bags = [Counter(terms(document)) for document in documents]
    if not bags or not wanted or not any(bags):
        return torch.zeros(len(bags), dtype=torch.float64)
    f = torch.tensor([[bag[term] for term in wanted] for bag in bags], dtype=torch.float64)  # (documents, terms)
    times = torch.tensor(list(wanted.values()), dtype=torch.float64)
    lengths = torch.tensor([sum(bag.values()) for bag in bags], dtype=torch.float64)[:, None]
    holding = (f > 0).sum(0).double()
    idf = (1 + (len(bags) - holding + 0.5) / (holding + 0.5)).log()
    denominator = f + k1 * ((1 - b) + b * lengths / lengths.mean())
    gains = times * idf * f * (k1 + 1) / denominator
    return gains.nan_to_num(nan=0.0).sum(1)


def retrieve(query, documents, k):
    scores = bm25_scores(query, documents)
    order = torch.sort(scores, descending=True, stable=True).indices
    return order[scores[order] > 0][:k].tolist()


def holds_answer(document, answer):
    wanted = " ".join(terms(answer))
    return wanted != "" and f" {wanted} " in f" {' '.join(terms(document))} "


def answer_with_citations(question, documents, reader, threshold, k=3):
    found = retrieve(question, documents, k)
    candidates = []
    for rank, i in enumerate(found):
        answer, confidence = reader(question, documents[i])
        numbers = [j + 1 for j in range(len(documents)) if j in found and holds_answer(documents[j], answer)]
        if numbers:
            candidates.append((-confidence, rank, answer, numbers))
    if not candidates or -min(candidates)[0] < threshold:
        return None
    _, _, answer, numbers = min(candidates)
    return f"{answer} " + "".join(map("[{}]".format, numbers))
