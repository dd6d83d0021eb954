"""`chengfang scenarios`: list, show, validate and make markets."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ...envs import Scenario, load_scenario
from .conventions import SetOption, console, overrides, plain_errors

scenarios_app = typer.Typer(no_args_is_help=True, help="List, show, validate and make markets.")


@scenarios_app.command("list")
def list_scenarios() -> None:
    """The shipped markets, a line each."""
    from ..inspection.scenarios import list_table

    with plain_errors():
        console.print(list_table())


@scenarios_app.command("show")
def show_scenario(
    scenario: Annotated[str, typer.Argument(help="A shipped name or a YAML file.")] = "default",
    set_: SetOption = None,
    section: Annotated[
        str | None, typer.Option(help="Only this section, for example auction.")
    ] = None,
    population: Annotated[
        bool, typer.Option(help="Also how many merchants are bound by budget or ROI.")
    ] = True,
) -> None:
    """Every number with unit, range, source, and who is bound by what."""
    from ..inspection.scenarios import field_list, population_table

    with plain_errors():
        market = load_scenario(scenario, overrides(set_))
        lines = field_list(market, section)
        console.print(f"[bold]{market.name}[/] ({market.hash}): {escape(market.description)}")
        if market.source:
            console.print(f"[dim]{escape(market.source)}[/]")
        for line in lines:
            console.print(line, highlight=False)
        if population and section is None:
            console.print(population_table(market))


@scenarios_app.command("validate")
def validate_scenario(
    scenario: Annotated[str, typer.Argument(help="A YAML file or shipped name.")],
    set_: SetOption = None,
) -> None:
    """Check a market; says everything that is wrong with it at once."""
    with plain_errors():
        market = load_scenario(scenario, overrides(set_))
        console.print(f"{scenario}: valid; {market.name}, hash {market.hash}")


@scenarios_app.command("new")
def new_scenario(
    path: Annotated[Path, typer.Argument(help="The YAML file to write.")],
    base: Annotated[str, typer.Option(help="Market to start from.")] = "default",
    set_: SetOption = None,
    name: Annotated[str | None, typer.Option(help="Its name; the file's by default.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a market that differs from another in what --set says; edit it further by hand."""
    from ..inspection.scenarios import write_new

    with plain_errors():
        made: Scenario = write_new(path, base, overrides(set_), name, force)
        console.print(f"wrote {path}: {made.name}, hash {made.hash}")
