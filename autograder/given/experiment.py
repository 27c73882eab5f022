"""What the experiments share: options, the student's file as a module, progress, and how pictures look.

An experiment is a function of that module and the options. It saves pictures in `options.out` and returns the rows of
a small table, the first of them its heading:

    def run(bpe: ModuleType, options: Options) -> list[tuple[str, ...]]: ...

    if __name__ == "__main__":
        main("bpe", run, __doc__)
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")
Rows = Sequence[Sequence[str]]

# Okabe and Ito (2008): colours that people with any colour vision tell apart.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442",
)  # fmt: skip
INK, GREY = "#22272e", "#9aa3ad"


@dataclass(frozen=True)
class Options:
    """What every experiment can be told."""

    out: Path
    seed: int
    quick: bool
    device: str


def say(text: str) -> None:
    """One line of progress. It goes to stderr: stdout is for what was found."""
    print(text, file=sys.stderr, flush=True)


def progress(items: Sequence[T], what: str) -> Iterator[T]:
    """The items one by one, with a line for each: how many there are, and how long the rest takes at this pace."""
    started = time.monotonic()
    for done, item in enumerate(items):
        left = (time.monotonic() - started) / done * (len(items) - done) if done else 0.0
        say(f"{what} {item} ({done + 1} of {len(items)}" + (f", about {left:.0f} s left)" if left >= 1 else ")"))
        yield item


@contextmanager
def arguments_of(modules: Sequence[Any]) -> Iterator[list[dict[str, Any]]]:
    """What each call of these torch modules is given, by the parameters' names, whichever way it is passed."""
    seen: list[dict[str, Any]] = []

    def remember(module: Any, positional: tuple[Any, ...], named: dict[str, Any], returned: Any) -> None:
        seen.append(dict(inspect.signature(module.forward).bind(*positional, **named).arguments))

    hooks = [module.register_forward_hook(remember, with_kwargs=True) for module in modules]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def load(name: str, path: Path) -> ModuleType:
    """The file as the module `name`. Whatever it raises comes out."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def look() -> None:
    """Give matplotlib's pictures the look of this course, in a script and in a lab sheet."""
    import matplotlib

    matplotlib.rcParams.update(
        {
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "savefig.dpi": 160,
            "font.size": 10,
            "axes.titlesize": 11.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.titlepad": 10,
            "axes.labelcolor": INK,
            "axes.edgecolor": GREY,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": matplotlib.rcsetup.cycler(color=[BLUE, ORANGE, GREEN, RED, PURPLE, SKY]),
            "axes.grid": False,
            "grid.color": "#e3e7eb",
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "lines.linewidth": 2.0,
            "lines.markersize": 5.0,
            "legend.frameon": False,
        }
    )


def save(figure: Any, path: Path) -> None:
    """Save a picture, say where it is, and free its memory."""
    import matplotlib.pyplot as plt

    figure.savefig(path)
    plt.close(figure)
    say(f"saved {path}")


def table(rows: Rows) -> str:
    """The rows with their columns aligned: the first to the left, the others to the right.

    >>> print(table([("size", "bytes per token"), ("256", "1.00")]))
    size  bytes per token
    256              1.00
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(f"{cell:>{width}}" if i else f"{cell:{width}}" for i, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def main(name: str, run: Callable[[ModuleType, Options], Rows], description: str | None) -> None:
    """Read the options, run the experiment on the student's file beside it, and print its table.

    What is not written yet, or goes wrong in the student's file, is one line on stderr and exit code 1.
    """
    import matplotlib

    matplotlib.use("Agg")
    look()
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    beside = Path(sys.argv[0]).resolve().with_name(f"{name}.py")
    parser.add_argument("--solution", type=Path, default=beside, metavar="FILE", help=f"instead of the {name}.py here")
    parser.add_argument("--out", type=Path, default=Path(f"{name}-experiment"), metavar="DIR", help="for the pictures")
    parser.add_argument("--seed", type=int, default=0, help="other draws")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where tensors live")
    parser.add_argument("--quick", action="store_true", help="small sizes: some seconds")
    given = parser.parse_args()
    if given.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            sys.exit("torch finds no CUDA device here; leave out --device cuda")
    solution = given.solution.absolute()
    if not solution.is_file():
        sys.exit(f"There is no file {solution}; name yours with --solution FILE.")
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        module = load(name, solution)
        rows = run(module, Options(given.out, given.seed, given.quick, given.device))
    except Exception as error:
        sys.exit(_one_line(error, solution, name))
    print(table(rows))


def _one_line(error: Exception, solution: Path, name: str) -> str:
    """What stopped the experiment, for the person whose file it ran."""
    if isinstance(error, SyntaxError):
        return f"{solution.name}, line {error.lineno}: {error.msg}."
    steps = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    theirs = [(code, line) for code, line in steps if Path(code.co_filename) == solution]
    if isinstance(error, NotImplementedError) and theirs:
        return f"{theirs[-1][0].co_qualname} in {solution.name} is not written yet; the experiment needs it."
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    if theirs:
        code, line = theirs[-1]
        return f"{solution.name}, line {line}, in {code.co_qualname}: {what}. `autograder check {name}` may say why."
    code, line = steps[-1]
    return (
        f"The experiment stopped ({Path(code.co_filename).name}, line {line}: {what}). If {solution.name} returned "
        f"something that the handout does not expect, `autograder check {name}` shows it."
    )
