"""BertForPreTraining: torch's own layers as oracle, the tied decoder, both heads."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import checks, draws, part
from autograder.suites.bert.strategies import build, model_cases, model_weights, normal, torch_model

NAME = "BertForPreTraining"


@part(NAME, points=3)
@given(model_cases())
def test_matches_torch_with_the_same_weights(bert, case):
    """With the same weights both outputs are those of torch's own layers under the two heads, padding and all."""
    config, weights, inputs = case
    model = build(bert, NAME, config, weights)
    returned = model(inputs[0], segment_ids=inputs[1], attention_mask=inputs[2])
    checks.agrees(returned, torch_model, weights, config, inputs)


@part(NAME, points=1)
@settings(max_examples=20)
@given(model_cases())
def test_segments_default_to_zero_and_tokens_to_real(bert, case):
    """Without segment ids and mask every token is of segment 0 and real."""
    config, weights, (input_ids, _, _) = case
    model = build(bert, NAME, config, weights)
    zeros, ones = torch.zeros_like(input_ids), torch.ones_like(input_ids, dtype=torch.bool)
    checks.agrees(model(input_ids), torch_model, weights, config, (input_ids, zeros, ones))


@part(NAME, points=2)
@settings(max_examples=30)
@given(model_cases(min_t=2), st.integers(1, 2))
def test_more_padding_changes_nothing(bert, case, more):
    """Both outputs at real tokens are the same with more padding behind them, whatever ids stand in it."""
    config, weights, (input_ids, segment_ids, _) = case
    config = config | {"context_length": 8}
    weights = weights | {"embeddings.position.weight": normal((8, config["d_model"]), 1)}
    model = build(bert, NAME, config, weights)
    shape = (len(input_ids), more)
    real = torch.cat((torch.ones_like(input_ids, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)), dim=1)
    longer = torch.cat((input_ids, torch.full(shape, config["vocab_size"] - 1)), dim=1)
    segments = torch.cat((segment_ids, torch.ones(shape, dtype=torch.int64)), dim=1)
    words, nsp = model(input_ids, segment_ids)
    padded, padded_nsp = model(longer, segments, real)
    whole = (input_ids, segment_ids, torch.ones_like(input_ids, dtype=torch.bool))
    checks.agrees((words, nsp), torch_model, weights, config, whole)
    checks.close(padded[:, : input_ids.shape[1]].contiguous(), words, rtol=1e-9, atol=1e-10)
    checks.close(padded_nsp, nsp, rtol=1e-9, atol=1e-10)


@part(NAME, points=2)
@settings(max_examples=20)
@given(draws.seeds(), st.booleans())
def test_the_decoder_is_the_word_embedding(bert, seed, trained):
    """The matrix of the word head is `embeddings.word.weight` itself: words that the input lacks get a gradient too."""
    config = {
        "vocab_size": 7,
        "context_length": 4,
        "d_model": 4,
        "n_heads": 2,
        "n_layers": 1,
        "d_ff": 3,
        "dropout": 0.0,
    }
    fields = config | {"n_segments": 2, "eps": 1e-12}
    weights = model_weights(fields, seed)
    model = build(bert, NAME, config, weights)
    if not trained:
        model.eval()
    input_ids = torch.tensor([[1, 4, 5, 2]])
    cotangent = normal((1, 4, 7), seed + 100)
    both = [cotangent, None]
    wrt = ["embeddings.word.weight", "mlm_bias"]
    _, grads = bert.vjp(model, input_ids, cotangent=both, wrt=wrt)

    # Doubling the table's last row, a word that is not in the input, doubles its logit but for the bias.
    leaf = weights["embeddings.word.weight"].clone().requires_grad_()
    words, _ = model(input_ids)
    hidden = (words - weights["mlm_bias"]) @ torch.linalg.pinv(leaf.detach().T)  # what enters the decoder
    absent = [0, 3, 6]
    wanted = (cotangent[0].T @ hidden[0])[absent]
    checks.close(grads[0][absent], wanted, rtol=1e-5, atol=1e-6 * float(1 + wanted.abs().max()))
    checks.close(grads[1], cotangent.sum(dim=(0, 1)), rtol=1e-9, atol=1e-10)
    changed = dict(weights)
    changed["embeddings.word.weight"] = leaf.detach().clone()
    changed["embeddings.word.weight"][6] *= 2
    model.load_state_dict(changed)
    after, _ = model(input_ids)
    bias = weights["mlm_bias"][6]
    checks.close((after[..., 6] - bias).contiguous(), 2 * (words[..., 6] - bias), rtol=1e-8, atol=1e-9)


@part(NAME, points=1)
@settings(max_examples=20)
@given(draws.seeds(), st.integers(1, 2))
def test_the_first_token_depends_on_the_last_and_the_last_on_the_first(bert, seed, n_layers):
    """The logits at both ends change with the token at the other end: the model reads in both directions."""
    config = {
        "vocab_size": 9,
        "context_length": 6,
        "d_model": 6,
        "n_heads": 2,
        "n_layers": n_layers,
        "d_ff": 4,
        "dropout": 0.0,
    }
    weights = model_weights(config | {"n_segments": 2}, seed)
    # Small weights: with large ones attention may be so sharp that a change is lost in rounding.
    weights = {name: w if "norm" in name else 0.3 * w for name, w in weights.items()}
    model = build(bert, NAME, config, weights)
    input_ids = torch.tensor([[1, 2, 3, 4, 5]])
    words, nsp = model(input_ids)
    for changed, seen in ((0, 4), (4, 0)):
        other = input_ids.clone()
        other[0, changed] = 8
        after, after_nsp = model(other)
        moved = float((after[0, seen] - words[0, seen]).abs().max())
        checks.holds(moved > 1e-9, f"the logits at token {seen} change with token {changed}", after[0, seen], None)
        checks.holds(
            float((after_nsp - nsp).abs().max()) > 1e-9, f"the pair's logits change with token {changed}", after_nsp
        )


@part(NAME, points=1)
@settings(max_examples=10)
@given(model_cases(n_layers=2), st.sampled_from([torch.float32, torch.bfloat16]))
def test_it_computes_in_the_dtype_of_its_weights(bert, case, dtype):
    """In float32 and bfloat16 both outputs have that dtype; in evaluation mode dropout changes nothing."""
    config, weights, inputs = case
    weights = {name: w.to(dtype) for name, w in weights.items()}
    model = build(bert, NAME, config | {"dropout": 0.5}, weights, dtype)
    model.eval()
    words, nsp = model(*inputs)
    checks.tensor(words, shape=(*inputs[0].shape, config["vocab_size"]), dtype=dtype)
    checks.tensor(nsp, shape=(len(inputs[0]), 2), dtype=dtype)
    checks.equal(model(*inputs), (words, nsp))
    if dtype == torch.float32:
        checks.agrees((words, nsp), torch_model, weights, config, inputs)
