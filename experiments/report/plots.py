"""How every figure begins and ends: size, font, file."""

from pathlib import Path
from typing import Any

from ...envs.files import whole_file

PALETTE = ("#2b6cb0", "#dd6b20", "#2f855a", "#805ad5", "#c53030", "#319795", "#b7791f")


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure, in inches, laid out so that nothing overlaps."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG; the file appears whole or not at all."""
    with whole_file(path) as draft:
        figure.savefig(draft, format="png")
