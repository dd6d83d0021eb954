"""`chengfang exact`: everybody against a market small enough to be solved."""

from pathlib import Path
from typing import Annotated

import typer

from .conventions import console, plain_errors


def exact(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path(
        "results/exact"
    ),
    episodes: Annotated[
        int, typer.Option("--episodes", "-n", help="Episodes per policy.", min=2)
    ] = 20_000,
) -> None:
    """Hold everything to the true optimum of a market small enough to be solved exactly
    (docs/exact.md).
    """
    from ..studies.exactness import FULL
    from ..studies.exactness import study as measure

    with plain_errors():
        measure(
            out, FULL._replace(episodes=episodes), lambda line: console.print(line, highlight=False)
        )
        console.print(f"results: {out}")
