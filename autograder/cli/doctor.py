"""`autograder doctor`: what this machine can contain, and how to get more."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Annotated

import typer

from autograder.cli import choices


def doctor(
    as_json: choices.Json = False, quiet: Annotated[bool, typer.Option("--quiet", help="The level alone.")] = False
) -> None:
    """Say layer by layer what holds here, why not where not, and the fix. Exit 3 below level landlock."""
    from autograder import sandbox
    from autograder.reports import escape

    report = sandbox.probe()
    if as_json:
        typer.echo(escape.json(report))
    elif quiet:
        typer.echo(report.best)
    else:
        typer.echo(f"{platform.system()} {platform.release()}, Python {platform.python_version()}")
        typer.echo(f"torch {_version('torch')}, hypothesis {_version('hypothesis')}\n")
        for layer in report.layers:
            typer.echo(f"{'holds' if layer.holds else 'MISSING':8} {layer.name}{': ' + layer.why if layer.why else ''}")
            if not layer.holds and layer.fix:
                typer.echo(f"         fix: {layer.fix}")
        typer.echo("")
        for standing in report.levels:
            typer.echo(
                f"level {standing.level}: {'yes' if standing.holds else 'no'}"
                + (f": {standing.why}" if standing.why else "")
            )
        typer.echo(f"submissions are contained at level {report.best}")
    raise typer.Exit(0 if report.best in choices.CONTAINED else 3)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
