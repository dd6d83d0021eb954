"""`chengfang study`: put a claim to the test."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from .conventions import console, errors, plain_errors


def study(
    name: Annotated[
        str,
        typer.Argument(
            help="unified (against dual-track scheduling), scheduling (what moving free traffic is "
            "worth beside that), plans (one super plan against four per-"
            "scene plans), money (fee and platform-funded coupons), value-of-information "
            "(what the best rule would gain by knowing the merchant) or recipes (what keeps PPO "
            "and SAC below the rules)."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the results; default results/studies/<name>."),
    ] = None,
    episodes: Annotated[
        int | None, typer.Option("--episodes", "-n", help="Held-out merchants per market.", min=4)
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One or two markets, a coarse search, no training.")
    ] = False,
) -> None:
    """Put one of the article's claims, or what there is to learn, to the test: table, figure and
    intervals (docs/studies.md).
    """
    from rich.markdown import Markdown

    from ..runs.progress import Progress
    from ..studies import run_study

    with plain_errors():
        with Progress(errors) as progress:
            stage = progress.add(f"study {name}")

            def on_progress(line: str) -> None:
                errors.print(f"[dim]{escape(line)}[/]")
                stage.update(note=f"last: {line}")

            folder, text = run_study(name, out, episodes, quick, on_progress)
        console.print(Markdown(text))
        console.print(f"results: {folder}")
