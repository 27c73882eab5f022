"""What to do about a layer that is missing, on this very kind of machine: commands to type, not things to consider.

`clues` looks at where we are; `advice` decides from clues alone, so that every place is tested on one machine.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

RESTRICTED = "kernel/apparmor_restrict_unprivileged_userns"
PROFILE = (
    "printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap /usr/bin/bwrap "
    "flags=(unconfined) {\\n  userns,\\n}\\n'"
    " | sudo tee /etc/apparmor.d/bwrap && sudo systemctl reload apparmor"
)
IMAGE = "apt-get install -y bubblewrap python3-venv"


class Clues(msgspec.Struct, frozen=True):
    """Where this process runs, as far as it matters for containment."""

    system: str = "Linux"
    container: str = ""  # "docker", "podman", "gradescope", "slurm" or ""
    wsl: int = 0  # 1 has no Linux kernel, 2 has
    apparmor_restricts: bool = False
    most_user_namespaces: int = -1  # -1: not said
    root: bool = False


def clues() -> Clues:
    """Looks at the machine. Raises nothing."""
    release = platform.release().lower()
    wsl = 0 if "microsoft" not in release else 2 if "wsl2" in release or "standard" in release else 1
    return Clues(
        system=platform.system(),
        container=_container(),
        wsl=wsl,
        apparmor_restricts=_number(f"/proc/sys/{RESTRICTED}") == 1,
        most_user_namespaces=_number("/proc/sys/user/max_user_namespaces"),
        root=sys.platform != "win32" and os.getuid() == 0,
    )


def _container() -> str:
    if Path("/autograder/submission").exists():
        return "gradescope"
    if "SLURM_JOB_ID" in os.environ:
        return "slurm"
    if Path("/.dockerenv").exists():
        return "docker"
    return "podman" if Path("/run/.containerenv").exists() else ""


def _number(path: str) -> int:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return -1


def advice(layer: str, own: Clues) -> str:
    """The fix for a layer that does not hold, in one line."""
    if own.system == "Darwin":
        return "macOS has no such thing: grade in a Linux machine on it (brew install lima && limactl start; or Docker)"
    if own.system == "Windows":
        return "Windows has no such thing: wsl --install, and grade inside WSL 2"
    if own.system != "Linux":
        return "use a Linux machine: a virtual machine, or a container on one"
    if own.wsl == 1:
        return "WSL 1 has no Linux kernel: in PowerShell, wsl --set-version DISTRIBUTION 2"
    fixes: dict[str, Callable[[Clues], str]] = {
        "bubblewrap": _bubblewrap,
        "user namespaces": _namespaces,
        "landlock": _landlock,
        "seccomp": lambda own: "needs a kernel with seccomp filters, on x86-64 or aarch64: no setting gives one",
        "limits": lambda own: "nothing is known to forbid resource limits; please report this machine",
    }
    return fixes[layer](own)


def _bubblewrap(own: Clues) -> str:
    if own.container == "gradescope":
        return f"not needed there: level landlock is what its container allows (else, in setup.sh: {IMAGE})"
    if own.container == "slurm":
        return "ask your site for bubblewrap (its Apptainer brings one), or grade at level landlock inside the job"
    return "apt install bubblewrap (or dnf, pacman, apk)"


def _namespaces(own: Clues) -> str:
    if own.container in ("docker", "podman"):
        return (
            f"{own.container}'s default profile forbids them: level landlock needs none. For level full: "
            f"{own.container} run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined, and never --privileged"
        )
    if own.container == "gradescope":
        return "its container forbids them: level landlock is the best there is; or grade on a host of your own"
    if own.container == "slurm":
        return "ask your site for unprivileged user namespaces (Apptainer needs them too), or grade at level landlock"
    if own.apparmor_restricts:
        return (
            f"Ubuntu's AppArmor forbids them: {PROFILE}; on a machine that is thrown away: "
            f"sudo sysctl -w {RESTRICTED.replace('/', '.')}=0"
        )
    if own.most_user_namespaces == 0:
        return "they are set to none: sudo sysctl -w user.max_user_namespaces=10000"
    return "sudo sysctl -w kernel.unprivileged_userns_clone=1 (Debian), or see why unshare --user true fails"


def _landlock(own: Clues) -> str:
    if own.container in ("docker", "podman"):
        return f"needs {own.container} of 2022 or newer on a host with Linux 5.13 or newer and `landlock` in lsm="
    if own.container == "gradescope":
        return "its kernel has none: grade on a host of your own and upload the results"
    return (
        "needs Linux 6.2 or newer (5.13 as root), and `landlock` in /sys/kernel/security/lsm: add lsm=landlock,... to "
        "the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then sudo update-grub)"
    )
