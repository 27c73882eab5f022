"""The corpus can fail: without the layer that stops it, every attack wins. And no two of them fail alike.

Nothing here is left without containment. The layer is gone, the others and the throw-away user id stay; the attacks are
bounded, and there is no bomb of processes among them.
"""

from __future__ import annotations

import pytest
from bare_worker import fate, forker, module
from hostile_corpus import LAYERS, Entry, entries, submission
from hostile_machine import canary, refuse
from naive import NAIVE

from autograder import sandbox
from autograder.judge.session import Ended, StudentError

ENTRIES = entries()
ATTACKS = [own for own in ENTRIES if own.kind == "attack"]
CONTROLS = sorted({control for own in ATTACKS for control in own.controls()})
EASY = ("full", ("seccomp",)), ("landlock", ("landlock",))


def won_at(level: str, without: tuple[str, ...], chosen: list[Entry]) -> dict[str, tuple[str, str]]:
    """How each of these ends there."""
    with canary() as paths:
        try:
            with forker(level, without) as workers:
                return {own.name: fate(workers, own, paths) for own in chosen}
        except sandbox.SandboxError as error:
            refuse(f"needs level {level}: {error}")


@pytest.mark.full
@pytest.mark.parametrize(("level", "without"), CONTROLS, ids=lambda value: str(value))
def test_what_a_layer_stops_wins_without_it(level: str, without: tuple[str, ...]) -> None:
    chosen = [own for own in ATTACKS if (level, without) in own.controls()]
    fates = won_at(level, without, chosen)
    assert {name: how for name, how in fates.items() if how[0] != "won"} == {}


@pytest.mark.parametrize(("level", "without"), EASY, ids=lambda value: str(value))
def test_some_of_what_a_layer_stops_wins_without_it(level: str, without: tuple[str, ...]) -> None:
    chosen = [own for own in ATTACKS if (level, without) in own.controls()][:6]
    fates = won_at(level, without, chosen)
    assert {name: how for name, how in fates.items() if how[0] != "won"} == {}


def test_every_layer_has_attacks_that_win_without_it_alone() -> None:
    alone = [without[0] for own in ATTACKS for _, without in own.controls() if len(without) == 1]
    assert {layer: alone.count(layer) >= 5 for layer in LAYERS} == dict.fromkeys(LAYERS, True)


@pytest.mark.full
@pytest.mark.parametrize("level", ["full", "landlock"])
def test_no_two_attacks_fail_alike(level: str) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name, (outcome, detail) in won_at(level, (), ATTACKS).items():
        own = next(own for own in ATTACKS if own.name == name)
        assert (outcome == "won") == (own.record_says(level)[0] < 100 and "failed" in own.record_says(level)[1]), name
        number, _, line = detail.partition(" line ")
        # Where nothing was raised, what the attack looked at is the reason.
        place = own.text.splitlines()[int(line) - 1].strip() if line and int(line) else own.text
        other = seen.setdefault((outcome, f"{number} {place}") if outcome != "died" else (name, ""), name)
        assert other == name, f"{name} and {other} both end with {outcome} {number} at `{place}`"


NAIVELY = [own for own in ENTRIES if own.wins_without.startswith("one process")]


@pytest.mark.needs("namespaces", "apt install bubblewrap, and see `autograder doctor`")
def test_what_the_process_split_stops_wins_in_a_grader_of_one_process() -> None:
    missed = {}
    with forker("full") as workers:
        for own in NAIVELY:
            wanted = (own.wins_without.partition(": ")[2] or "average and runs").split(" and ")
            if left := set(wanted) - _believed(workers, submission(own, {"OUT": ".", "COURSE": "."})):
                missed[own.name] = left
        assert _believed(workers, "def runs(text):\n    raise NotImplementedError\n") == set()
    assert missed == {}


def _believed(workers: sandbox.Forker, source: str) -> set[str]:
    """What graders of one process would believe: their comparisons, the file of results, the exit code, the output."""
    with module(workers, NAIVE) as (grader, connection):
        try:
            believed = set(grader.grade(source))
        except Ended as end:
            believed = {"exit code"} if "exit code 0" in end.reason else set()
        except StudentError as error:
            believed = {"exit code"} if error.lineage[0] == "SystemExit" else set()
        ended = connection._worker.stop()
        return believed | ({"output"} if b"100/100" in ended.output else set())
