"""The fix for what is missing, in every place where it may be missing."""

from __future__ import annotations

import pytest

from autograder.sandbox.advice import Clues, advice, clues
from autograder.sandbox.machine import LAYERS

PLACES = {
    "a plain Linux": Clues(),
    "Ubuntu 24.04": Clues(apparmor_restricts=True, most_user_namespaces=60_000),
    "namespaces set to none": Clues(most_user_namespaces=0),
    "Docker": Clues(container="docker", root=True),
    "Podman": Clues(container="podman"),
    "Gradescope": Clues(container="gradescope", root=True),
    "Slurm": Clues(container="slurm"),
    "macOS": Clues(system="Darwin"),
    "Windows": Clues(system="Windows"),
    "WSL 1": Clues(wsl=1),
    "FreeBSD": Clues(system="FreeBSD"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("layer", LAYERS)
def test_there_is_one_line_of_advice_for_every_layer_in_every_place(layer: str, place: str) -> None:
    text = advice(layer, PLACES[place])
    assert text.isprintable()
    assert len(text) > 20
    assert "run --privileged" not in text


@pytest.mark.parametrize(
    ("place", "layer", "said"),
    [
        ("Ubuntu 24.04", "user namespaces", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("Ubuntu 24.04", "user namespaces", "/etc/apparmor.d/bwrap"),
        ("namespaces set to none", "user namespaces", "user.max_user_namespaces=10000"),
        ("Docker", "user namespaces", "--security-opt seccomp=unconfined"),
        ("Docker", "user namespaces", "level landlock needs none"),
        ("Docker", "landlock", "2022 or newer"),
        ("Gradescope", "user namespaces", "level landlock"),
        ("Slurm", "bubblewrap", "ask your site"),
        ("macOS", "landlock", "limactl start"),
        ("Windows", "landlock", "wsl --install"),
        ("WSL 1", "seccomp", "wsl --set-version"),
        ("a plain Linux", "landlock", "lsm=landlock"),
        ("a plain Linux", "bubblewrap", "apt install bubblewrap"),
    ],
)
def test_it_names_the_command_of_that_place(place: str, layer: str, said: str) -> None:
    assert said in advice(layer, PLACES[place])


def test_this_machine_gives_clues() -> None:
    assert clues().system


def test_a_job_of_slurm_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert clues().container in ("slurm", "gradescope")
