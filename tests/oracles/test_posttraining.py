"""The reference of `posttraining` against what others wrote: Hugging Face's chat templates, losses and packing, sympy's
rationals, SQLite's full-text search."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from types import ModuleType

import pytest
import torch
from torch.nn import functional as F

from autograder.course import open_course
from autograder.given.chat import Pieces, Table
from autograder.judge.suite import load

sympy = pytest.importorskip("sympy")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

CONTROLS = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@pytest.fixture(scope="module")
def posttraining() -> ModuleType:
    return load(open_course().assignment("posttraining").solution)


@pytest.fixture(scope="module")
def hugging_face():
    """A tokenizer of single characters with the control tokens, and a chat template that marks what is generated."""
    characters = [chr(code) for code in range(32, 127)]
    vocab = {token: i for i, token in enumerate(["<unk>", *CONTROLS, *characters])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocab, unk_token="<unk>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    model.add_special_tokens(CONTROLS)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=model)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


CHATS = [
    [],
    [("user", "Hi")],
    [("system", "Be brief."), ("user", "a  b "), ("assistant", "Yo")],
    [("user", " <|x|> "), ("assistant", ""), ("user", "?"), ("assistant", "ok.")],
]


@pytest.mark.parametrize("chat", CHATS[1:])
def test_chats_are_those_of_a_chat_template(posttraining, hugging_face, chat):
    messages = [{"role": role, "content": content} for role, content in chat]
    asks = chat[-1][0] == "user"
    theirs = hugging_face.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks)
    assert posttraining.render_chat(messages, add_generation_prompt=asks) == theirs


@pytest.mark.parametrize("chat", CHATS[2:])
def test_the_mask_is_what_a_chat_template_marks_as_generated(posttraining, hugging_face, chat):
    messages = [{"role": role, "content": content} for role, content in chat]
    theirs = hugging_face.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    _, mask = posttraining.render_chat_ids(messages, Pieces(controls=CONTROLS))
    assert [bool(m) for m in theirs["assistant_masks"]] == mask


def test_the_accumulated_loss_is_that_of_the_mended_trainer(posttraining):
    from transformers.loss.loss_utils import ForCausalLMLoss

    generator = torch.Generator().manual_seed(0)
    table = torch.randn(7, 7, generator=generator, dtype=torch.float64)
    batches = []
    for shape in ((1, 9), (3, 2), (2, 5)):
        ids, labels = torch.randint(7, (2, *shape), generator=generator)
        labels[torch.rand(shape, generator=generator) < 0.4] = -100
        batches.append((ids, labels))
    n = sum(int((labels != -100).sum()) for _, labels in batches)
    leaf = table.clone().requires_grad_()
    theirs = sum(
        ForCausalLMLoss(leaf[ids], labels=None, vocab_size=7, num_items_in_batch=n, shift_labels=labels)
        for ids, labels in batches
    )
    theirs.backward()
    model = Table(table)
    ours = posttraining.accumulated_sft_loss(model, batches)
    # They compute the loss in float32.
    assert float(ours) == pytest.approx(float(theirs.detach()), rel=1e-6)
    assert torch.allclose(model.table.grad, leaf.grad, rtol=1e-5, atol=1e-6)


def test_packed_rows_are_those_of_a_flattening_collator(posttraining):
    sequences = [[5, 6, 7, 8], [9, 10, 11], [12, 13], [14]]
    theirs = transformers.DataCollatorWithFlattening()([{"input_ids": sequence} for sequence in sequences])
    ids, position_ids, segment_ids = posttraining.pack_sequences(sequences, max_len=10)
    assert ids.tolist() == theirs["input_ids"].tolist()
    assert position_ids.tolist() == theirs["position_ids"].tolist()
    assert posttraining.packed_labels(ids, segment_ids)[0, :-1].tolist() == theirs["labels"][0, 1:].tolist()


def test_a_packed_text_has_the_logits_that_gpt_2_gives_it_alone(posttraining):
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=40, n_positions=12, n_embd=16, n_head=2, n_layer=2, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, initializer_range=0.3, bos_token_id=None, eos_token_id=None, attn_implementation="eager",
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).double().eval()
    sequences = [[5, 6, 7, 8, 9], [9, 10, 11, 5], [12, 13, 3]]
    ids, position_ids, segment_ids = posttraining.pack_sequences(sequences, max_len=12)
    mask = posttraining.block_causal_mask(segment_ids)
    additive = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, torch.finfo(torch.float64).min)
    with torch.no_grad():
        together = model(ids, position_ids=position_ids, attention_mask=additive[:, None]).logits[0]
        for number, sequence in enumerate(sequences, start=1):
            alone = model(torch.tensor([sequence])).logits[0]
            assert torch.allclose(together[segment_ids[0] == number], alone, rtol=1e-9, atol=1e-9)


def test_the_calculator_agrees_with_rationals_of_sympy(posttraining):
    rng = random.Random(0)

    def expression(depth: int) -> str:
        if not depth or rng.random() < 0.2:
            return rng.choice([str(rng.randrange(50)), f"{rng.randrange(20)}.{rng.randrange(100):02}"])
        kind = rng.randrange(4)
        if kind == 0:
            return f"({expression(depth - 1)})"
        if kind == 1:
            return f"-{expression(depth - 1)}"
        return expression(depth - 1) + rng.choice("+-*/") + expression(depth - 1)

    for _ in range(300):
        text = expression(3)
        value = sympy.sympify(text, rational=True)
        if not value.is_finite:
            assert posttraining.calculator(text) == "error"
        elif value.is_integer:
            assert posttraining.calculator(text) == str(value)
        else:
            with localcontext() as context:
                context.prec = 400
                exact = Decimal(int(value.p)) / Decimal(int(value.q))
                rounded = f"{exact.quantize(Decimal('0.01'), rounding=ROUND_HALF_EVEN):f}"
            assert posttraining.calculator(text) == rounded.replace("-0.00", "0.00")


def test_votes_are_those_of_a_counter(posttraining):
    rng = random.Random(0)
    for _ in range(100):
        answers = rng.choices(["1", "2", "x", None], k=rng.randrange(1, 9))
        voting = Counter(answer for answer in answers if answer is not None)
        assert posttraining.self_consistency(answers) == (voting.most_common(1)[0][0] if voting else None)


def test_bm25_falls_with_length_and_rises_with_frequency_as_in_sqlite(posttraining):
    """SQLite's inverse document frequency lacks the 1 in the logarithm; in a ratio of scores of one term it cancels."""
    documents = [
        "tea",
        "tea tea no",
        "hot tea in the hot sun",
        "no",
        "tea tea tea tea",
        "sun sun",
        "in",
        "hot",
        "the",
        "a",
    ]
    database = sqlite3.connect(":memory:")
    try:
        database.execute("create virtual table texts using fts5(body)")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no full-text search")
    database.executemany("insert into texts(body) values (?)", [(document,) for document in documents])
    for term in ("tea", "hot", "sun"):
        rows = database.execute("select rowid - 1, -bm25(texts) from texts where texts match ?", (term,)).fetchall()
        theirs = torch.zeros(len(documents), dtype=torch.float64)
        for i, score in rows:
            theirs[i] = score
        ours = posttraining.bm25_scores(term, documents, k1=1.2, b=0.75)
        assert torch.allclose(F.normalize(ours, dim=0), F.normalize(theirs, dim=0), rtol=1e-6)
