"""The command line: `chengfang --help`."""

import typer

from .bench import bench
from .benchmark import benchmark
from .calibrate import calibrate
from .compare import compare
from .evaluate import evaluate
from .exact import exact
from .headroom import headroom
from .scenarios import scenarios_app
from .simulate import simulate
from .study import study
from .train import import_sb3, train
from .tune import tune

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="ChengFang: omni-domain promotion as a reinforcement-learning world.\n\n"
    "Start with [bold]chengfang compare[/bold]; look around with "
    "[bold]chengfang scenarios list[/bold] and "
    "[bold]chengfang simulate PID[/bold].",
)

for command in (
    compare,
    benchmark,
    tune,
    train,
    evaluate,
    simulate,
    calibrate,
    bench,
    study,
    headroom,
    exact,
    import_sb3,
):
    app.command()(command)
app.add_typer(scenarios_app, name="scenarios")


def main() -> None:
    """Entry point of the `chengfang` script."""
    app()
