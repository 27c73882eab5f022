"""Preferences: noise that is what it says, a known reward, networks that are exact, and files of rankings."""

from __future__ import annotations

import gzip
import json
import math
from itertools import product

import pytest
import torch

from autograder.given.comparisons import Ranking, as_tensors, read_hh, read_jsonl
from autograder.given.policies import PolicyTable, RunningSum, Steps, divergence, walk
from autograder.given.preferences import (
    EOS,
    FIRST_LETTER,
    PAD,
    KnownReward,
    noise_ceiling,
    noisy_ranks,
    preference_probability,
    random_reward,
    random_texts,
    synthetic_preferences,
)
from autograder.judge import checks

# --- the known reward and its noise


def test_a_known_reward_counts_real_tokens_and_charges_repeats():
    reward = KnownReward(torch.tensor([5.0, 0.0, 2.0, -1.0]), repeat_cost=0.5)
    ids = torch.tensor([[2, 2, 2, 3, 0], [0, 3, 2, 1, 1]])
    mask = torch.tensor([[True, True, True, True, False], [False, True, True, True, False]])
    assert reward(ids, mask).tolist() == [3 * 2 - 0.5 * 3 - 1, 1.0]
    assert reward(ids[None], mask[None]).shape == (1, 2)


def test_random_rewards_give_padding_and_the_end_no_weight():
    reward = random_reward(7, seed=3)
    assert reward.weights[:FIRST_LETTER].tolist() == [0, 0]
    assert torch.equal(reward.weights, random_reward(7, seed=3).weights)
    assert not torch.equal(reward.weights, random_reward(7, seed=4).weights)


def test_random_texts_end_once_and_are_padded_after_that():
    ids, real = random_texts(200, 3, 6, prompt_length=2, max_length=5, seed=1)
    assert ids.shape == real.shape == (200, 3, 7)
    assert torch.equal(ids[:, 0, :2], ids[:, 2, :2])
    assert bool((ids[..., :2] >= FIRST_LETTER).all())
    assert torch.equal(ids == PAD, ~real)
    assert torch.equal((ids == EOS).sum(-1), torch.ones(200, 3, dtype=torch.long))
    assert torch.equal((ids == EOS).long().argmax(-1), real.sum(-1) - 1)
    assert set(real.sum(-1).flatten().tolist()) == {3, 4, 5, 6, 7}


def test_without_noise_ranks_follow_rewards():
    rewards = torch.tensor([[0.5, 2.0, -1.0], [1.0, 1.0, 3.0]])
    assert noisy_ranks(rewards, temperature=0.0).tolist() == [[1, 0, 2], [1, 2, 0]]
    assert noisy_ranks(rewards, temperature=0.0, flip=1.0).tolist() == [[1, 2, 0], [1, 0, 2]]


@pytest.mark.parametrize(("temperature", "flip"), [(1.0, 0.0), (1.0, 0.1), (0.5, 0.3), (0.0, 0.1)])
def test_every_pair_of_a_ranking_has_the_probability_of_bradley_and_terry(temperature, flip):
    rewards, n = torch.tensor([0.0, 0.7, -0.4]), 20_000
    generator = torch.Generator().manual_seed(5)
    ranks = noisy_ranks(rewards.expand(n, 3), temperature=temperature, flip=flip, generator=generator)
    assert torch.equal(ranks.sort(1).values, torch.arange(3).expand(n, 3))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        p = preference_probability(rewards[i] - rewards[j], temperature=temperature, flip=flip)
        checks.proportion(int((ranks[:, i] < ranks[:, j]).sum()), n, float(p))
    p = flip + (1 - 2 * flip) / (1 + math.exp(-0.7 / temperature)) if temperature else 1 - flip
    assert float(preference_probability(torch.tensor(0.7), temperature=temperature, flip=flip)) == pytest.approx(p)


def test_the_ceiling_is_what_the_truth_itself_reaches():
    difference = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    label = torch.rand(20_000, generator=torch.Generator().manual_seed(1)) < preference_probability(
        difference, flip=0.1
    )
    reached = int((label == (difference > 0)).sum())
    checks.proportion(reached, 20_000, noise_ceiling(difference, flip=0.1))
    assert noise_ceiling(torch.zeros(4)) == 0.5
    assert noise_ceiling(torch.ones(4), temperature=0.0, flip=0.1) == pytest.approx(0.9)


def test_synthetic_preferences_are_a_function_of_their_seed():
    one, two, other = (synthetic_preferences(random_reward(8), 20, 3, flip=0.1, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one.input_ids, other.input_ids)


# --- small networks


def test_a_running_sum_does_not_see_padding():
    body = RunningSum(6, 4, seed=1)
    ids = torch.tensor([[3, 1, 4]])
    padded = torch.tensor([[0, 3, 1, 4, 2]])
    mask = torch.tensor([[False, True, True, True, False]])
    with torch.no_grad():
        hidden, wide = body(ids), body(padded, mask)
        torch.testing.assert_close(wide[:, 1:4], hidden)
        torch.testing.assert_close(hidden[0, -1], body.embed(ids).sum(1)[0])
    assert bool((wide[0, [0, 4]] == 100).all())
    assert torch.equal(body.embed.weight, RunningSum(6, 4, seed=1).embed.weight)


def enumerate_responses(table: torch.Tensor, first: int, length: int) -> dict[tuple[int, ...], float]:
    """All responses and their probabilities, by recursion."""
    chances = table.softmax(-1)
    found: dict[tuple[int, ...], float] = {}

    def go(last: int, said: tuple[int, ...], p: float) -> None:
        if len(said) == length or (said and said[-1] == EOS):
            found[said] = p
            return
        for token in range(len(table)):
            go(token, (*said, token), p * float(chances[last, token]))

    go(first, (), 1.0)
    return found


@pytest.mark.parametrize("length", [1, 2, 3])
def test_walk_and_divergence_are_those_of_all_responses(length):
    generator = torch.Generator().manual_seed(length)
    table, reference = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64).unbind(0)
    first = torch.tensor([2, 3, 1])
    emitted, nats = walk(table, first, length, EOS), divergence(table, reference, first, length, EOS)
    for row, start in enumerate(first.tolist()):
        p, q = enumerate_responses(table, start, length), enumerate_responses(reference, start, length)
        assert sum(p.values()) == pytest.approx(1)
        assert float(nats[row]) == pytest.approx(sum(p[y] * math.log(p[y] / q[y]) for y in p))
        for step, token in product(range(length), range(4)):
            seen = sum(chance for y, chance in p.items() if len(y) > step and y[step] == token)
            assert float(emitted[step][row, token]) == pytest.approx(seen)


def test_a_policy_table_is_looked_up_and_steps_keep_copies():
    policy, told = PolicyTable(torch.eye(3)), Steps()
    assert torch.equal(policy(torch.tensor([[2, 0]])), torch.eye(3)[[2, 0]][None])
    told(1, policy)
    with torch.no_grad():
        policy.table += 1
    told(2, policy)
    assert told.numbers == [1, 2]
    assert torch.equal(told.tables[1], told.tables[0] + 1)


# --- files of rankings

HH = [
    {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello!", "rejected": "\n\nHuman: Hi\n\nAssistant: Help yourself."},
    {
        "chosen": "\n\nHuman: A?\n\nAssistant: B.\n\nHuman: And C?\n\nAssistant: D",
        "rejected": "\n\nHuman: A?\n\nAssistant: B.\n\nHuman: And C?\n\nAssistant: E",
    },
    {
        "chosen": "\n\nHuman: A?\n\nAssistant: B.\n\nHuman: Oh.\n\nAssistant: Yes",
        "rejected": "\n\nHuman: A?\n\nAssistant: Beware.",
    },
]


def write(path, records, compressed=False):
    text = "\n".join(record if isinstance(record, str) else json.dumps(record) for record in records) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
    return path


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl.gz"])
def test_dialogues_are_cut_after_the_last_turn_that_they_share(tmp_path, name):
    one, two, parted = read_hh(write(tmp_path / name, HH, compressed=name.endswith("gz")))
    assert one == Ranking("\n\nHuman: Hi\n\nAssistant:", (" Hello!", " Help yourself."), (0, 1))
    assert two.prompt.endswith("And C?\n\nAssistant:")
    assert two.completions == (" D", " E")
    assert parted.prompt == "\n\nHuman: A?\n\nAssistant:"
    assert parted.completions == (" B.\n\nHuman: Oh.\n\nAssistant: Yes", " Beware.")


def test_lines_of_json_are_pairs_or_rankings(tmp_path):
    records = [
        {"prompt": "p", "chosen": "a", "rejected": "b"},
        "",
        {"prompt": "q", "completions": ["x", "y", "z"], "ranks": [1, 0, 1]},
    ]
    pair, ranking = read_jsonl(write(tmp_path / "set.jsonl", records))
    assert pair == Ranking("p", ("a", "b"), (0, 1))
    assert ranking == Ranking("q", ("x", "y", "z"), (1, 0, 1))


@pytest.mark.parametrize(
    ("read", "record", "message"),
    [
        (read_hh, "{", "line 2: no JSON"),
        (read_hh, "[1]", "line 2: not an object"),
        (read_hh, {"chosen": "x"}, "line 2: there is no text called 'rejected'"),
        (read_hh, {"chosen": "one", "rejected": "two"}, "line 2: the two dialogues share no turn"),
        (read_jsonl, {"prompt": "p", "chosen": 3, "rejected": "b"}, "line 2: there is no text called 'chosen'"),
        (read_jsonl, {"prompt": "p", "completions": [], "ranks": []}, "line 2: completions"),
        (read_jsonl, {"prompt": "p", "completions": ["a", "b"], "ranks": [0]}, "line 2: ranks should be 2"),
        (read_jsonl, {"prompt": "p", "completions": ["a"], "ranks": [-1]}, "line 2: ranks"),
        (read_jsonl, {"completions": ["a"], "ranks": [0]}, "line 2: there is no text called 'prompt'"),
    ],
)
def test_what_is_no_preference_is_named_by_its_line(tmp_path, read, record, message):
    good = HH[0] if read is read_hh else {"prompt": "p", "chosen": "a", "rejected": "b"}
    with pytest.raises(ValueError, match=rf"set\.jsonl, {message}"):
        read(write(tmp_path / "set.jsonl", [good, record]))


def test_rankings_become_tensors():
    rankings = [Ranking("ab", ("c", "def"), (0, 1)), Ranking("abcdefgh", ("i", "jklmnopq", "k"), (2, 0, 1))]
    ids, mask, ranks = as_tensors(rankings, lambda text: [ord(c) for c in text], max_length=6, pad_id=0)
    texts = [["".join(map(chr, row[real])) for row, real in zip(*pair)] for pair in zip(ids.numpy(), mask.numpy())]
    assert texts == [["abc", "abdef", "abc"], ["defghi", "jklmno", "defghk"]]
    assert ranks.tolist() == [[0, 1, -1], [2, 0, 1]]
    assert bool((ids[~mask] == 0).all())
    assert bool(mask[..., 0].all())
    with pytest.raises(ValueError, match="no token"):
        as_tensors([Ranking("", ("",), (0,))], lambda text: [], max_length=3, pad_id=0)
