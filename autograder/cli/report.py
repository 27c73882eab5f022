"""`autograder report`: the HTML site of records that are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    records: Annotated[Path, typer.Argument(help="The --out folder of `autograder grade`, or its records/.")],
    out: Annotated[Path | None, typer.Option(help="Where the site goes; the same folder where it is left out.")] = None,
) -> None:
    """Write the report again from records."""
    from autograder.records import read_all
    from autograder.reports import html

    folder = out or (records.parent if records.name == "records" else records)
    typer.echo(html.write_site(list(read_all(records)), folder))
