"""The command line: `chengfang --help`."""

import typer

from .bench import bench
from .benchmark import benchmark
from .calibrate import calibrate
from .compare import compare
from .evaluate import evaluate
from .exact import exact
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
    exact,
    import_sb3,
):
    app.command()(command)
app.add_typer(scenarios_app, name="scenarios")
<<<<<<< HEAD
console = Console()
errors = Console(stderr=True, soft_wrap=True)

Track = Literal["online", "offline", "off"]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Override a scenario field, for example "
        "--set auction.price_rule=second. May be repeated.",
    ),
]
ScenarioOption = Annotated[
    str | None, typer.Option("--scenario", "-s", help="A shipped market's name or a YAML file.")
]
TaskOption = Annotated[
    str, typer.Option("--task", "-t", help="Task: " + ", ".join(short_name(t) for t in TASKS) + ".")
]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what a user can get wrong into one sentence and exit code 2, and Ctrl-C into 130."""
    try:
        yield
    except ValueError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'file'}: {error.strerror or error}")
    except KeyboardInterrupt:
        errors.print("interrupted")
        raise typer.Exit(130) from None


def fail(text: str, code: int = 2) -> NoReturn:
    """Say what is wrong on stderr and end."""
    errors.print(f"[bold red]error:[/] {escape(text)}", highlight=False)
    raise typer.Exit(code)


def _overrides(changes: list[str] | None) -> dict[str, Any]:
    return dict(parse_override(text) for text in changes or [])


def _setting(
    task_name: str, scenario: str | None, changes: list[str] | None, split: str = "test"
) -> Setting:
    task = find_task(task_name)
    market = load_scenario(scenario or task.scenario, _overrides(changes))
    return Setting(market, select_levers(task.levers), task.days, split)


@app.command()
def compare(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="A comparison's YAML; one beside results can be run "
            "again. Default: the shipped `compare`.",
        ),
    ] = None,
    scenario: ScenarioOption = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Task, if not the configuration's.")
    ] = None,
    set_: SetOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path(
        "results/latest"
    ),
    episodes: Annotated[
        int | None, typer.Option(help="Held-out episodes per agent.", min=2)
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Training seeds per learner (0, 1, ...).", min=1)
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(help="Training steps: a number for every learner, or PPO=1e6,SAC=1e5."),
    ] = None,
    rules_only: Annotated[bool, typer.Option("--rules-only", help="Train nothing.")] = False,
    workers: Annotated[
        int, typer.Option(help="Training processes side by side.", min=1, max=64)
    ] = 2,
    track: Annotated[
        Track, typer.Option(help="W&B: offline writes files only; online uploads.")
    ] = "offline",
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin anew even if the folder holds the same comparison."),
    ] = False,
) -> None:
    """Train the learners, judge everybody on merchants they have never seen, and write tables and
    figures.

    An interrupted comparison goes on where it stopped when the same command is given again.
    """
    from ..comparison.compare import Interrupted
    from ..comparison.compare import compare as run

    with plain_errors():
        made = _compare_config(config, scenario, task, set_, episodes, seeds, steps, rules_only)
        try:
            run(made, out, console, track, fresh, workers)
        except Interrupted:
            errors.print(
                f"[bold]interrupted[/]: what is finished is in {out}; the same command goes on from there"
            )
            raise typer.Exit(130) from None
        except RuntimeError as error:
            fail(str(error), 1)


def _compare_config(
    config: Path | None,
    scenario: str | None,
    task: str | None,
    changes: list[str] | None,
    episodes: int | None,
    seeds: int | None,
    steps: str | None,
    rules_only: bool,
) -> Any:
    from ..comparison.config import load_config, validated_config

    wanted: dict[str, Any] = {}
    if task is not None:
        wanted |= (
            {"task": task}
            if config is not None
            else {"task": task, "scenario": find_task(task).scenario}
        )
    if episodes is not None:
        wanted["episodes"] = episodes
    if seeds is not None:
        wanted["seeds"] = list(range(seeds))
    base = load_config(config, wanted)
    if scenario is not None or changes:
        market = load_scenario(base.scenario if scenario is None else scenario, _overrides(changes))
        wanted["scenario"] = market.model_dump(mode="json")
    learners = {} if rules_only else {name: s.model_dump() for name, s in base.learners.items()}
    for name, count in _steps(steps, list(learners)).items():
        learners[name]["steps"] = count
    made = load_config(config, wanted)
    return validated_config(made.model_dump() | {"learners": learners})


def _steps(text: str | None, learners: list[str]) -> dict[str, int]:
    """`1e6` for every learner, or `PPO=1e6,SAC=2e5`."""
    if text is None:
        return {}
    pairs = (
        [part.partition("=")[::2] for part in text.split(",")]
        if "=" in text
        else [(name, text) for name in learners]
    )
    result = {}
    for name, value in pairs:
        if name not in learners:
            raise ValueError(f"--steps names {name!r}; the learners are {', '.join(learners)}")
        try:
            result[name] = int(float(value))
        except (ValueError, OverflowError):
            raise ValueError(
                f"--steps is {value!r}; it must be a number of environment steps, for example 1e6"
            ) from None
    return result


@app.command()
def benchmark(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="A benchmark's YAML, or a folder of results to go on "
            "with. Default: the shipped one.",
        ),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="Only this task; may be repeated.")
    ] = None,
    agent: Annotated[
        list[str] | None, typer.Option("--agent", "-a", help="Only this agent; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the results. Default: results/benchmark; with "
            "--quick results/benchmark-quick, with --check results/reproduce.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes side by side.", min=1, max=1024)] = 2,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="auto|ADDRESS|local", help="Run the cells on a Ray cluster."),
    ] = None,
    track: Annotated[
        Track, typer.Option(help="W&B: offline writes files only; online uploads.")
    ] = "offline",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A trial of minutes: 16 episodes, one seed, 100,000 steps."),
    ] = False,
    go_on: Annotated[
        bool,
        typer.Option(
            "--continue",
            help="Go on from checkpoints of half-done trainings. Without it they "
            "start again, so that an interruption changes no number.",
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Make rows of a committed benchmark again and compare.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="With --check: train and search again, too.")
    ] = False,
    against: Annotated[
        Path, typer.Option("--against", help="With --check: the committed benchmark.")
    ] = Path("results/benchmark"),
) -> None:
    """Run tasks x agents x seeds, here or on a Ray cluster, and write summary, report and manifest.

    Finished cells are kept: the same command goes on after any interruption. Exit code 1: a cell
        failed, or a row differs.
    """
    from ..benchmark.command import Request, run_request
    from ..benchmark.run import Interrupted, Where
    from ..runs.pool import Options

    with plain_errors():
        try:
            code = run_request(
                Request(config, task, agent, out, quick, check, retrain, against),
                console,
                Where(workers, ray),
                Options(track, go_on),
            )
        except Interrupted:
            errors.print(
                "[bold]interrupted[/]: finished cells are kept; the same command goes on from there"
            )
            raise typer.Exit(130) from None
    raise typer.Exit(code)


@app.command()
def tune(
    rule: Annotated[str, typer.Argument(help="A rule's name.")],
    task: TaskOption = "Bidding",
    steps: Annotated[
        str | None,
        typer.Option(
            help="Simulation budget in environment steps. Default: the learners', less "
            "what earlier studies used."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sampler.", min=0)] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the study's log.")] = Path(
        "results/tuning"
    ),
    target: Annotated[
        Path | None,
        typer.Option("--target", help="The tuned.json to write into. Default: the shipped one."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Search on from what an earlier study found.")
    ] = False,
    leader: Annotated[
        list[str] | None,
        typer.Option(
            "--leader",
            help="Start also at what this rule found on the task, for "
            "parameters that all rules share.",
        ),
    ] = None,
    relative: Annotated[
        list[str] | None,
        typer.Option("--relative", help="Start also at what the rule found on this task."),
    ] = None,
) -> None:
    """Tune a rule on training merchants (CMA-ES through Optuna) and keep what was found beside the
    rules.

    An interrupted study goes on where it stopped when the same command is given again.
    """
    from ...agents.rules.tuned import FILE
    from ..tuning.tune import starts_for
    from ..tuning.tune import tune as run

    with plain_errors():
        starts = starts_for(rule, task, leader or [], relative or [])
        study = run(
            rule,
            task,
            _steps(steps, [""]).get(""),
            seed,
            out,
            target or FILE,
            starts,
            again=again,
            report=lambda text: console.print(text, highlight=False),
        )
        console.print_json(
            data={
                name: study[name]
                for name in ("score", "score_default", "violation_rate", "parameters")
            }
        )


@app.command()
def train(
    algorithm: Annotated[
        str, typer.Argument(help="PPO or SAC, with the settings of the shipped comparison.")
    ],
    task: TaskOption = "SuperPlan",
    scenario: ScenarioOption = None,
    set_: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the policy; default runs/<task>-<name>."),
    ] = None,
    steps: Annotated[float | None, typer.Option(help="Environment steps.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Training seed.", min=0)] = 0,
    track: Annotated[
        Track, typer.Option(help="W&B: offline writes files only; online uploads.")
    ] = "offline",
) -> None:
    """Train one learner and save it as a folder that loads without running code."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    from ..comparison.config import load_config
    from ..runs.training_job import Job, Note, train_job

    with plain_errors():
        known = load_config().learners
        name = next((n for n in known if n.lower() == algorithm.lower()), None)
        if name is None:
            raise ValueError(f"algorithm is {algorithm!r}; allowed are {', '.join(known)}")
        settings = (
            known[name] if steps is None else known[name].model_copy(update={"steps": int(steps)})
        )
        setting = _setting(task, scenario, set_, split="train")
        folder = out or Path("runs") / f"{short_name(find_task(task))}-{name}-seed{seed}"
        origin = {
            "task": short_name(find_task(task)),
            "days": setting.days,
            "scenario": setting.scenario.name,
            "scenario_hash": setting.scenario.hash,
        }
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
        ) as bars:
            bar = bars.add_task(
                f"train {name}", total=settings.steps, note="compiling and starting"
            )

            def tell(note: Note) -> None:
                bars.update(bar, completed=note.steps)
                if "score" in note.figures:
                    bars.update(bar, note=f"score {note.figures['score']:.3f}")

            try:
                train_job(
                    Job(f"{name}-seed{seed}", settings, setting, seed, folder, track, origin), tell
                )
            except KeyboardInterrupt:
                errors.print(
                    f"[bold]interrupted[/]: checkpoint and policy so far are in {folder}; the same command goes on"
                )
                raise typer.Exit(130) from None
        console.print(
            f"saved {folder}; judge it with: chengfang evaluate {folder} --task {short_name(find_task(task))}"
        )


@app.command()
def evaluate(
    policy: Annotated[str, typer.Argument(help="A rule's name or the folder of a saved policy.")],
    task: TaskOption = "SuperPlan",
    scenario: ScenarioOption = None,
    set_: SetOption = None,
    episodes: Annotated[
        int, typer.Option("--episodes", "-n", help="Merchants and days.", min=2)
    ] = 256,
    seed: Annotated[
        int, typer.Option(help="First stream of the test merchants.", min=0)
    ] = TEST_SEED,
    tuned: Annotated[
        bool,
        typer.Option(
            "--tuned/--untuned", help="A rule's values as tuned on this task, or its defaults."
        ),
    ] = True,
    caution: Annotated[
        float | None, typer.Option(help="Margin on the ROI target, for policies that take one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge a rule or a saved policy on held-out merchants."""
    from ..comparison.report import LEGEND, make_row, rich_table
    from ..runs.evaluate import evaluate as judge
    from ..simulate import find_policy

    with plain_errors():
        setting = _setting(task, scenario, set_)
        kind = "learner" if Path(policy).exists() else "rule"
        name = short_name(find_task(task))
        result = judge(
            find_policy(policy, setting, name if tuned else None, caution), setting, episodes, seed
        )
        row = make_row(Path(policy).name if kind == "learner" else policy, kind, [result])
        if as_json:
            data = row._asdict() | {
                "score": row.score._asdict(),
                "task": name,
                "seed": seed,
                "episodes": episodes,
                "iqm": row.score.value,
                "ci_low": row.score.low,
                "ci_high": row.score.high,
                "violation_rate": row.violation,
                "mean_shortfall": row.shortfall,
                "scenario": setting.scenario.name,
                "scenario_hash": setting.scenario.hash,
            }
            sys.stdout.write(json.dumps(data) + "\n")
        else:
            title = f"{name} on {setting.scenario.name}, {episodes} episodes from seed {seed}"
            console.print(rich_table([row], title))
            console.print(LEGEND, style="dim")


@app.command()
def simulate(
    policy: Annotated[str, typer.Argument(help="A rule's name or the folder of a saved policy.")],
    task: TaskOption = "SuperPlan",
    scenario: ScenarioOption = None,
    set_: SetOption = None,
    seed: Annotated[int, typer.Option(help="Stream of the merchant and day.", min=0)] = TEST_SEED,
    picture: Annotated[
        Path, typer.Option("--picture", "-p", help="Where the picture goes.")
    ] = Path("plan.png"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the dashboard as JSON.")] = False,
) -> None:
    """Play one episode: a table of what happened and a picture."""
    from ..simulate import find_policy, plan_table, save_picture, totals_table
    from ..simulate import simulate as play

    with plain_errors():
        setting = _setting(task, scenario, set_)
        market, frames, plan = play(find_policy(policy, setting), setting, seed)
        save_picture(frames, market, picture)
        if as_json:
            finite = {
                name: value if math.isfinite(value) else None for name, value in plan.items()
            }  # JSON has no infinity
            sys.stdout.write(json.dumps(finite) + "\n")
            return
        console.print(
            plan_table(plan, f"{policy} on {setting.scenario.name}, merchant and day {seed}")
        )
        console.print(totals_table(plan))
        console.print(f"picture: {picture}")


@app.command()
def calibrate(
    log: Annotated[Path, typer.Argument(help="A tab-separated iPinYou auction log.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The scenario file to write.")],
    base: Annotated[
        str, typer.Option(help="Scenario that everything the log cannot tell is taken from.")
    ] = "default",
    name: Annotated[str | None, typer.Option(help="Name of the new scenario.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Fit a market to a real auction log: hours, bid landscape, click rate; the rest stays a prior."""
    from ..calibration.calibrate import cli_calibrate

    with plain_errors():
        code = cli_calibrate(log, output, base, name, force)
    raise typer.Exit(code)


@scenarios_app.command("list")
def list_scenarios() -> None:
    """The shipped markets, a line each."""
    from ..scenarios import list_table

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
    from ..scenarios import field_list, population_table

    with plain_errors():
        market = load_scenario(scenario, _overrides(set_))
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
        market = load_scenario(scenario, _overrides(set_))
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
    from ..scenarios import write_new

    with plain_errors():
        made: Scenario = write_new(path, base, _overrides(set_), name, force)
        console.print(f"wrote {path}: {made.name}, hash {made.hash}")


@app.command()
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
            told=lambda name: errors.print(f"[dim]measuring {name}[/]"),
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


@app.command()
def study(
    name: Annotated[
        str,
        typer.Argument(
            help="unified (against dual-track scheduling), plans (one super plan against four per-"
            "scene plans), money (fee and platform-funded coupons) or knowing (what "
            "the best rule would gain by knowing the merchant)."
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

    from ..studies import run_study

    with plain_errors():
        folder, text = run_study(
            name, out, episodes, quick, tell=lambda line: errors.print(f"[dim]{escape(line)}[/]")
        )
        console.print(Markdown(text))
        console.print(f"results: {folder}")


@app.command()
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
=======
>>>>>>> cli


def main() -> None:
    """Entry point of the `chengfang` script."""
    app()
