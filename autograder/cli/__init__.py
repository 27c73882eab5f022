"""The `autograder` command. One file a command; what a command needs is imported when it runs, so `--help` is quick."""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import sys

import typer

# In the order of `--help`. A student's kit has only those that a student needs, so what is not there is left out.
COMMANDS = (
    "check", "demo", "grade", "report", "export", "regrade", "similarity", "replay", "release", "nbgrader",
    "gradescope", "ci", "adequacy", "doctor",
)  # fmt: skip

INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Assignments from byte-pair encoding to a reward model, and the autograder that grades them.",
)
for _name in COMMANDS:
    if importlib.util.find_spec(f"autograder.cli.{_name}") is not None:
        app.command(_name)(getattr(importlib.import_module(f"autograder.cli.{_name}"), _name))


def main() -> None:
    """Run a command.

    Exit codes: 0 done, 1 below full marks where that is the question, 2 wrong input, 3 our own failure.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of another encoding shows escapes, it does not fail
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except (KeyboardInterrupt, SystemExit) as end:  # typer makes a silent exit of Ctrl-C
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        print("\nautograder: interrupted; run the same command again and it goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if code is None and os.environ.get("AUTOGRADER_DEBUG"):
            raise
        if code is None:
            text = _shown(f"{type(error).__name__}: {error}")
            print(f"autograder: internal error: {text} (AUTOGRADER_DEBUG=1 shows where)", file=sys.stderr)
            sys.exit(3)
        print(f"autograder: {_shown(str(error))}", file=sys.stderr)
        sys.exit(code)


def _shown(message: str) -> str:
    """For a terminal: a message may quote the name of a file, or a value, that a submission chose."""
    from autograder.reports.escape import terminal

    return "\n".join(terminal(line) for line in message.split("\n"))
