"""`chengfang exact`: everybody against a market small enough to be solved."""

from pathlib import Path
from typing import Annotated

import typer

from .conventions import console, errors, folder_for_results, plain_errors


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
    from ..runs.progress import Progress
    from ..studies.exactness import FULL
    from ..studies.exactness import study as measure

    with plain_errors():
        folder = folder_for_results(out)
        with Progress(errors) as progress:
            stage = progress.add("exact")

            def on_progress(line: str) -> None:
                console.print(line, highlight=False)
                stage.update(note=f"last: {line.split('  ')[0]}")

            measure(folder, FULL._replace(episodes=episodes), on_progress)
        console.print(f"results: {out}")
