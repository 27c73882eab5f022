"""sft_loss and accumulated_sft_loss: a mean over tokens, whole or in pieces."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judge import Given, checks, draws, part
from autograder.suites.posttraining.strategies import logits_and_labels, mean_nll, microbatches, whole

NAME = "accumulated_sft_loss"


@part("sft_loss", points=2)
@given(logits_and_labels(draws.float_dtypes(), elements="extreme"))
def test_it_is_the_mean_over_labels_that_count(posttraining, case):
    """The loss is the mean of -ln p(label) in nats over the labels that are not -100, in the dtype of the logits."""
    checks.agrees(posttraining.sft_loss(*case), mean_nll, *case)


@part("sft_loss", points=1)
@given(draws.seeds(), st.integers(1, 5), st.integers(2, 4))
def test_every_token_weighs_the_same(posttraining, seed, length, v):
    """The mean is over tokens: a response of ten tokens weighs ten times as much as one of a single token."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, length + 1, v, generator=generator, dtype=torch.float64)
    labels = torch.randint(v, (2, length + 1), generator=generator)
    labels[0, 1:] = -100
    checks.close(posttraining.sft_loss(logits, labels), mean_nll(logits, labels))


@part("sft_loss", points=1)
@given(draws.seeds(), st.integers(1, 3), st.integers(1, 4), st.integers(2, 4), draws.float_dtypes())
def test_no_label_at_all_gives_zero(posttraining, seed, b, t, v, dtype):
    """With no label that counts the loss is 0, and so is its gradient: not NaN."""
    logits = torch.randn(b, t, v, generator=torch.Generator().manual_seed(seed)).to(dtype)
    labels = torch.full((b, t), -100)
    loss, gradients = posttraining.vjp(
        posttraining.sft_loss, logits, labels, cotangent=torch.ones((), dtype=dtype), wrt=[0]
    )
    checks.equal(loss, torch.zeros((), dtype=dtype))
    checks.equal(gradients[0], torch.zeros_like(logits))


@part("sft_loss", points=1)
@given(logits_and_labels(torch.float64))
def test_the_gradient_is_that_of_the_mean(posttraining, case):
    """The gradient is (softmax - one hot) / number of labels where a label counts, and exactly 0 where none does."""
    logits, labels = case
    counts = labels != -100
    one_hot = torch.nn.functional.one_hot(labels.clamp(min=0), logits.shape[-1])
    expected = (logits.softmax(-1) - one_hot) * counts[..., None] / counts.sum()
    _, gradients = posttraining.vjp(
        posttraining.sft_loss, logits, labels, cotangent=torch.ones((), dtype=torch.float64), wrt=[0]
    )
    checks.close(gradients[0], expected, rtol=1e-9, atol=1e-12)


@part(NAME, points=2)
@given(microbatches())
def test_the_loss_is_that_of_everything_at_once(posttraining, case):
    """However the batch is cut, the loss is the mean over all labels of all microbatches; 0 where there is none."""
    table, batches = case
    loss = posttraining.accumulated_sft_loss(posttraining.make(Given("chat.Table"), table), batches)
    checks.close(loss, whole(table, batches)[0], rtol=1e-9, atol=1e-12)


@part(NAME, points=2)
@given(microbatches(min_labels=1))
def test_the_gradient_is_that_of_everything_at_once(posttraining, case):
    """However the batch is cut, the gradients are those of the mean over all labels of all microbatches."""
    table, batches = case
    model = posttraining.make(Given("chat.Table"), table)
    loss = posttraining.accumulated_sft_loss(model, batches)
    expected_loss, expected = whole(table, batches)
    checks.close(model.gradient(), expected, rtol=1e-9, atol=1e-12)
    checks.close(loss, expected_loss, rtol=1e-9, atol=1e-12)


@part(NAME, points=1)
@given(microbatches(min_labels=1), draws.seeds())
def test_gradients_are_added_to_what_is_there(posttraining, case, seed):
    """What the gradients held before stays in them, as `backward` leaves it."""
    table, batches = case
    before = torch.randn(table.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    model = posttraining.make(Given("chat.Table"), table, before)
    posttraining.accumulated_sft_loss(model, batches)
    checks.close(model.gradient(), before + whole(table, batches)[1], rtol=1e-9, atol=1e-12)


@part(NAME, points=1)
@given(microbatches(min_labels=1, scaled=True))
def test_all_inputs_reach_the_model(posttraining, case):
    """The labels are the last tensor of a microbatch; all before it are inputs of the model, one or more."""
    table, batches = case
    model = posttraining.make(Given("chat.Table"), table)
    loss = posttraining.accumulated_sft_loss(model, batches)
    expected_loss, expected = whole(table, batches)
    checks.close(loss, expected_loss, rtol=1e-9, atol=1e-12)
    checks.close(model.gradient(), expected, rtol=1e-9, atol=1e-12)


@part(NAME, points=1)
@settings(max_examples=20)
@given(microbatches(min_labels=1, min_size=2))
def test_one_graph_at_a_time(posttraining, case):
    """Each microbatch goes forward and backward before the next one: that is what accumulation saves memory by."""
    table, batches = case
    model = posttraining.make(Given("chat.Table"), table)
    loss = posttraining.accumulated_sft_loss(model, batches)
    checks.close(loss, whole(table, batches)[0], rtol=1e-9, atol=1e-12)
    checks.equal(model.events, ["forward", "backward"] * len(batches))
