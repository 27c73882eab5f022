"""The reference of `gpt` against libraries that were written by others: Hugging Face's GPT-2 and its logits processors,
torch's optimiser, schedule and clipping."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from autograder.course import open_course
from autograder.judge.suite import load

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def gpt() -> ModuleType:
    return load(open_course().assignment("gpt").solution)


def hugging_face(vocab_size: int = 50, context: int = 24, d_model: int = 32, n_heads: int = 4, n_layers: int = 3):
    """A small GPT-2 of Hugging Face with random weights, in float64."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=vocab_size, n_positions=context, n_embd=d_model, n_head=n_heads, n_layer=n_layers,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.2,
        bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).double().eval()


def copied(gpt: ModuleType, model) -> torch.nn.Module:
    """Our GPT with the weights of theirs. Their Conv1D keeps weights transposed."""
    c = model.config
    ours = gpt.GPT(gpt.GPTConfig(c.vocab_size, c.n_positions, c.n_embd, c.n_head, c.n_layer)).double().eval()
    theirs = model.transformer.state_dict()
    names = {
        "token.weight": "wte.weight",
        "position.weight": "wpe.weight",
        "norm.weight": "ln_f.weight",
        "norm.bias": "ln_f.bias",
    }
    parts = {
        "norm_1": "ln_1", "norm_2": "ln_2", "attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj",
        "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj",
    }  # fmt: skip
    for i in range(c.n_layer):
        for mine, other in parts.items():
            for kind in ("weight", "bias"):
                names[f"blocks.{i}.{mine}.{kind}"] = f"h.{i}.{other}.{kind}"
    transposed = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    state = {mine: theirs[other].T if other.endswith(transposed) else theirs[other] for mine, other in names.items()}
    ours.load_state_dict(state)
    return ours


@pytest.fixture(scope="module")
def pair(gpt):
    theirs = hugging_face()
    return copied(gpt, theirs), theirs


def test_logits_are_those_of_gpt2(pair):
    ours, theirs = pair
    ids = torch.randint(50, (3, 24))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, rtol=1e-9, atol=1e-9)


def test_gradients_are_those_of_gpt2(gpt, pair):
    ours, theirs = pair
    ids = torch.randint(50, (2, 12))
    gpt.lm_loss(ours(ids[:, :-1]), ids[:, 1:]).backward()
    F.cross_entropy(theirs(ids[:, :-1]).logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
    torch.testing.assert_close(ours.token.weight.grad, theirs.transformer.wte.weight.grad, rtol=1e-8, atol=1e-10)
    first, other = ours.blocks[0].attention.qkv.weight.grad, theirs.transformer.h[0].attn.c_attn.weight.grad
    torch.testing.assert_close(first, other.T, rtol=1e-8, atol=1e-10)


def test_left_padding_and_cache_are_those_of_gpt2(gpt, pair):
    ours, theirs = pair
    ids = torch.randint(50, (2, 9))
    real = torch.arange(9) >= torch.tensor([[4], [0]])
    positions = (real.cumsum(1) - 1).clamp(min=0)
    cache = gpt.new_cache(ours, 2, 9)
    with torch.no_grad():
        expected = theirs(ids, attention_mask=real.long(), position_ids=positions).logits
        head = ours(ids[:, :5], attention_mask=real[:, :5], position_ids=positions[:, :5], cache=cache)
        tail = ours(ids[:, 5:], attention_mask=real, position_ids=positions[:, 5:], cache=cache)
    torch.testing.assert_close(torch.cat((head, tail), 1)[real], expected[real], rtol=1e-9, atol=1e-9)


def test_greedy_texts_are_those_of_gpt2(gpt, pair):
    ours, theirs = pair
    ids = torch.randint(50, (3, 4))
    expected = theirs.generate(ids, max_new_tokens=20, do_sample=False, attention_mask=torch.ones_like(ids))
    assert torch.equal(gpt.generate(ours, ids, 20, temperature=0.0), expected)


def test_batches_of_prompts_are_those_of_gpt2(gpt, pair):
    ours, theirs = pair
    prompts = [[5, 6, 7, 8], [9], [1, 2]]
    ids = torch.tensor([[0] * (4 - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (4 - len(p)) + [1] * len(p) for p in prompts])
    expected = theirs.generate(ids, attention_mask=mask, max_new_tokens=12, do_sample=False)[:, 4:]
    assert gpt.generate_batch(ours, prompts, 12, pad_id=0, temperature=0.0) == expected.tolist()


@pytest.mark.parametrize("width", [1, 3, 6])
def test_beams_are_those_of_gpt2(gpt, pair, width):
    ours, theirs = pair
    ids = torch.randint(50, (1, 3))
    found = gpt.beam_search(ours, ids, width, 5)
    expected = theirs.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=5, do_sample=False, num_beams=width,
        num_return_sequences=width, length_penalty=0.0, output_scores=True, return_dict_in_generate=True,
    )  # fmt: skip
    assert [tokens for tokens, _ in found] == expected.sequences[:, 3:].tolist()
    if width > 1:
        scores = torch.tensor([score for _, score in found])
        torch.testing.assert_close(scores, expected.sequences_scores.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 7, 20])
def test_top_k_is_that_of_hugging_face(gpt, k):
    logits = torch.randn(5, 20, dtype=torch.float64)
    assert torch.equal(gpt.top_k_filter(logits, k), transformers.TopKLogitsWarper(k)(None, logits))


@pytest.mark.parametrize("p", [0.05, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("least", [1, 3])
def test_top_p_is_that_of_hugging_face(gpt, p, least):
    logits = torch.randn(50, 20, dtype=torch.float64) * 3
    expected = transformers.TopPLogitsWarper(p, min_tokens_to_keep=least)(None, logits)
    assert torch.equal(gpt.top_p_filter(logits, p, least), expected)


def test_schedule_is_that_of_hugging_face(gpt):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3.0)
    schedule = transformers.get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=5, num_training_steps=30)
    for step in range(31):
        ours = gpt.cosine_schedule(step, max_lr=3.0, min_lr=0.0, warmup_steps=5, total_steps=30)
        assert math.isclose(ours, schedule.get_last_lr()[0], rel_tol=1e-9, abs_tol=1e-12)
        optimizer.step()
        schedule.step()


def test_swiglu_and_rms_norm_are_those_of_llama(gpt):
    from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm

    ours = gpt.FeedForward(gpt.GPTConfig(2, 2, 8, 1, 1, d_ff=12, activation="swiglu", bias=False)).double()
    theirs = LlamaMLP(
        transformers.LlamaConfig(hidden_size=8, intermediate_size=12, num_attention_heads=2, num_hidden_layers=1)
    ).double()
    theirs.load_state_dict({f"{name.replace('.', '_proj.')}": w for name, w in ours.state_dict().items()})
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-9, atol=1e-12)
    block = gpt.TransformerBlock(gpt.GPTConfig(2, 2, 8, 1, 1, norm="rmsnorm")).double()
    torch.testing.assert_close(block.norm_1(x), LlamaRMSNorm(8, eps=1e-5).double()(x), rtol=1e-6, atol=1e-7)


def test_optimizer_and_clipping_are_those_of_torch(gpt):
    torch.manual_seed(1)
    ours = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)).double()
    theirs = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)).double()
    theirs.load_state_dict(ours.state_dict())
    mine, other = gpt.AdamW(ours.parameters(), lr=0.02), torch.optim.AdamW(theirs.parameters(), lr=0.02)
    for _ in range(20):
        x, y = torch.randn(16, 6, dtype=torch.float64), torch.randn(16, 2, dtype=torch.float64)
        norms = []
        for model, optimizer, clip in (
            (ours, mine, gpt.clip_grad_norm), (theirs, other, torch.nn.utils.clip_grad_norm_),
        ):  # fmt: skip
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            norms.append(clip(model.parameters(), 0.3))
            optimizer.step()
        torch.testing.assert_close(*norms, rtol=1e-9, atol=0.0)
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()), rtol=1e-9, atol=1e-12)


def test_batches_come_from_a_memmap_on_disk(gpt, tmp_path):
    np.arange(40_000, 41_000, dtype=np.uint16).tofile(tmp_path / "tokens.bin")
    data = np.memmap(tmp_path / "tokens.bin", dtype=np.uint16, mode="r")
    x, y = gpt.get_batch(data, 64, 10, torch.Generator().manual_seed(0))
    assert x.dtype == y.dtype == torch.int64
    assert torch.equal(y, x + 1)
    assert x.min() >= 40_000
    assert y.max() < 41_000


def test_the_reference_runs_in_half_precision(gpt):
    config = gpt.GPTConfig(20, 12, 16, 2, 2)
    model = gpt.GPT(config, torch.Generator().manual_seed(0)).bfloat16()
    ids = torch.randint(20, (2, 8))
    assert model(ids).dtype == torch.bfloat16
    out = gpt.generate(model, ids, 4, generator=torch.Generator().manual_seed(0), top_k=5, top_p=0.9)
    assert out.shape == (2, 12)
    losses, _ = gpt.train(model, torch.randint(20, (100,)), gpt.TrainConfig(steps=2, batch_size=2))
    assert losses.isfinite().all()
    tokens, n_new = gpt.speculative_sample(model, model, ids, 3, torch.Generator().manual_seed(0))
    assert tokens.shape == (2, 4)
    assert (n_new >= 1).all()


def test_a_checkpoint_survives_the_disk(gpt, tmp_path):
    data, config = torch.randint(7, (200,)), gpt.TrainConfig(steps=8, batch_size=4, learning_rate=0.01)
    shape = gpt.GPTConfig(7, 6, 8, 2, 1)
    seeded = [torch.Generator().manual_seed(3) for _ in range(3)]
    whole, _ = gpt.train(gpt.GPT(shape, torch.Generator().manual_seed(0)), data, config, generator=seeded[0])
    first = gpt.GPT(shape, torch.Generator().manual_seed(0))
    head, checkpoint = gpt.train(first, data, config, generator=seeded[1], until=5)
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    loaded = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    tail, _ = gpt.train(gpt.GPT(shape), data, config, generator=seeded[2].manual_seed(99), checkpoint=loaded)
    assert torch.equal(torch.cat((head, tail)), whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_never_waits_for_the_device(gpt):
    model = gpt.GPT(gpt.GPTConfig(100, 32, 64, 4, 2)).cuda()
    data = torch.randint(100, (5000,), device="cuda")
    source = torch.Generator(device="cuda").manual_seed(0)
    config = gpt.TrainConfig(steps=5, batch_size=8)
    gpt.train(model, data, config, generator=source)
    torch.cuda.set_sync_debug_mode("error")
    try:
        gpt.train(model, data, config, generator=source)
    finally:
        torch.cuda.set_sync_debug_mode("default")
