"""`chengfang calibrate`: a market fitted to an auction log."""

from pathlib import Path
from typing import Annotated

import typer

from .conventions import plain_errors


def calibrate(
    log: Annotated[Path, typer.Argument(help="A tab-separated auction log, iPinYou's or another.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The scenario file to write.")],
    base: Annotated[
        str, typer.Option(help="Scenario that everything the log cannot tell is taken from.")
    ] = "default",
    name: Annotated[str | None, typer.Option(help="Name of the new scenario.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a field of another layout is: FIELD=POSITION (from 1) or FIELD=NAME in the "
            "header line. Fields: click, timestamp, bidding price, paying price, and if there are "
            "any weekday, hour, log type. Several: separated by commas, or the option again."
        ),
    ] = None,
) -> None:
    """Fit a market to a real auction log: hours, bid landscape, click rate; the rest stays a
    prior."""
    from ..calibration.calibrate import cli_calibrate

    with plain_errors():
        code = cli_calibrate(log, output, base, name, force, columns or ())
    raise typer.Exit(code)
