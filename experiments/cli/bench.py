"""`chengfang bench`: speed and memory on this machine."""

import json
import sys
from typing import Annotated

import typer

from .conventions import console, errors, plain_errors


def bench(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats.")] = False,
    envs: Annotated[int, typer.Option(help="Batch size.", min=1)] = 1024,
    learner: Annotated[bool, typer.Option(help="Measure PPO end to end too.")] = True,
) -> None:
    """Measure speed and memory on this machine: CPU time, median of repeats."""
    from rich.table import Table

    from ..bench import bench as measure
    from ..runs.manifest import versions

    with plain_errors():
        figures = measure(
            envs,
            quick=quick,
            learner=learner,
            on_progress=lambda name: errors.print(f"[dim]measuring {name}[/]"),
        )
        if as_json:
            sys.stdout.write(
                json.dumps({"figures": [f._asdict() for f in figures], "versions": versions()})
                + "\n"
            )
            return
        table = Table("measured", "value", "unit", "floor", "goal")
        for f in figures:
            table.add_row(
                f.name,
                f"{f.value:,.2f}" if f.value < 100 else f"{f.value:,.0f}",
                f.unit,
                *(
                    "-" if x is None else f"{'≤' if f.at_most else '≥'} {x:,g}"
                    for x in (f.floor, f.goal)
                ),
            )
        console.print(table)
