"""A comparison: a benchmark of one task, with two more figures and a folder that is never
overwritten by another comparison.
"""

import itertools
import time
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from ...agents import Policy, make_rule, plan_spec
from ...agents.learners.artefact import load_artefact
from ...envs import find_task, load_scenario, short_name
from ..analysis.summary import Summary, best, ranked
from ..analysis.verdicts import adaptivity_sentence, headline, percent
from ..report.learning_curves import learning_figure, make_curve
from ..report.markdown import gained, millions, money
from ..report.pacing import pacing_figure, watch
from ..report.task_report import TaskReport
from ..runs.pool import Options
from ..runs.spec import RunSpec
from ..runs.store import training_folder
from ..runs.tracking import Tracker, read_metrics
from .config import BenchmarkConfig, load_benchmark, validated_benchmark
from .config_file import FOLDER, ConfigError
from .plan import plan_runs
from .run import Finished, Where, benchmark

WATCHED = 64  # episodes in the pacing figure


class Changes(NamedTuple):
    """What a call changes in a comparison's configuration; None changes nothing."""

    task: str | None = None
    scenario: str | None = None
    fields: dict[str, Any] = {}  # of the scenario
    episodes: int | None = None
    seeds: int | None = None  # so many: 0, 1, ...
    rules_only: bool = False
    agents: list[str] = []  # of the user's own: policies by name, or NAME=policy


def load_comparison(path: Path | None = None, changes: Changes | None = None) -> BenchmarkConfig:
    """A comparison from its YAML (default: the shipped one) with changes on top.

    Raises:
        ConfigError: one sentence per problem; a benchmark of several tasks is none.
    """
    config = load_benchmark(FOLDER / "compare.yaml" if path is None else path)
    if len(config.tasks) != 1:
        raise ConfigError(
            f"tasks are {', '.join(config.tasks)}; a comparison has one task, "
            "`chengfang benchmark` plays several"
        )
    return _changed(config, changes, shipped=path is None) if changes else config


def _changed(config: BenchmarkConfig, changes: Changes, shipped: bool) -> BenchmarkConfig:
    data = config.model_dump(mode="json")
    [(task, plan)] = data["tasks"].items()
    if changes.task is not None:
        task = short_name(find_task(changes.task))
        plan["scenario"] = None if shipped else plan["scenario"]
    if changes.scenario is not None or changes.fields:
        known = changes.scenario or plan["scenario"] or find_task(task).scenario
        plan["scenario"] = load_scenario(known, changes.fields).model_dump(mode="json")
    if changes.episodes is not None:
        data["episodes"] = changes.episodes
        plan["episodes"] = None
    if changes.seeds is not None:
        data["seeds"] = list(range(changes.seeds))
    if changes.rules_only:
        plan["learners"] = {}
        plan["final"] = None
    for text in changes.agents:
        name, policy = named_agent(text)
        if name in plan["agents"]:
            raise ConfigError(f"--agent names {name} twice; write OTHER={policy} for one of them")
        plan["agents"][name] = {"policy": policy}
    return validated_benchmark(data | {"tasks": {task: plan}})


def with_steps(config: BenchmarkConfig, steps: dict[str, int]) -> BenchmarkConfig:
    """The same comparison with other training steps of some learners."""
    if not steps:
        return config
    data = config.model_dump(mode="json")
    [plan] = data["tasks"].values()
    for name, count in steps.items():
        plan["learners"][name]["steps"] = count
    return validated_benchmark(data)


def named_agent(text: str) -> tuple[str, str]:
    """The name and the policy of `NAME=policy`, or of a policy that lends its own: `Cautious` of
    `my_agents:Cautious`, the last folder of a path.
    """
    name, sign, policy = text.partition("=")
    if sign:
        return name, policy
    short = Path(text).name if Path(text).exists() else text.rpartition(":")[2]
    return short.replace(".", "-"), text


def compare(
    config: BenchmarkConfig,
    folder: Path,
    console: Console,
    where: Where,
    options: Options,
    fresh: bool = False,
) -> Finished:
    """Run or resume a comparison; leaves tables, figures, policies and a manifest in the folder.

    Args:
        config: what to compare, a benchmark of one task.
        folder: where results go. One that holds another comparison is kept under another name.
        console: where to report.
        where: this machine or a cluster.
        options: tracking, and whether half-done trainings go on.
        fresh: begin anew even if the folder holds the same comparison.

    Raises:
        Interrupted: after Ctrl-C, with everything finished so far written.
    """
    make_room(config, folder, console, fresh)
    [task] = config.tasks
    scenario = config.scenario(task)
    title = f"{task} on {scenario.name}"
    console.print(
        f"[bold]{task}[/] on [bold]{scenario.name}[/] ({scenario.hash}): "
        f"{config.held_out(task)} held-out episodes per agent",
        highlight=False,
    )
    made = benchmark(config, folder, console, where=where, options=options, title=title)
    for report in made.reports:
        _figures(config, folder, report)
        _track(config, folder, report, options)
        console.print(rich_table(report.rows, f"{title}: {config.held_out(task)} episodes"))
        console.print(_told(config, report), style="bold", highlight=False, markup=False)
    return made


def _told(config: BenchmarkConfig, report: TaskReport) -> str:
    rules = "tuned values" if config.tuned else "their default values"
    told = [headline(report.verdict), adaptivity_sentence(report.verdict)]
    return f"{' '.join(text for text in told if text)} Rules play with {rules}."


# The folder
# --------------------------------------------------------------------------------------------------


def make_room(config: BenchmarkConfig, folder: Path, console: Console, fresh: bool) -> None:
    """Make the folder this comparison's own; another comparison in it is moved aside, never
    overwritten. One with fewer agents and all else the same is gone on with.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    same = _extends(config, folder)
    if same and not fresh:
        console.print(
            f"[dim]resuming the comparison in {folder}; finished runs are kept "
            "(--fresh begins anew)[/]",
            soft_wrap=True,
        )
        return
    stamp = f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime())}"
    names = (stamp if i == 1 else f"{stamp}-{i}" for i in itertools.count(1))
    aside = next(path for path in map(folder.with_name, names) if not path.exists())
    folder.rename(aside)
    console.print(
        f"[dim]{folder} held {'an earlier run' if same else 'another comparison'}; "
        f"it is now {aside}[/]",
        soft_wrap=True,
    )


def _extends(config: BenchmarkConfig, folder: Path) -> bool:
    """Whether the comparison in a folder is this one, or part of it."""
    try:
        before = _identities(load_benchmark(folder))
    except ValueError:
        return False
    now = _identities(config)
    return all(now.get(name) == identity for name, identity in before.items())


def _identities(config: BenchmarkConfig) -> dict[str, Any]:
    """What each run plays, by name; the scenario by its numbers."""
    hashes = {task: config.scenario(task).hash for task in config.tasks}
    return {
        spec.name: (hashes[spec.task], spec.days, spec.options, spec.test_seed, spec.episodes)
        for spec in plan_runs(config)
    }


# Figures and log
# --------------------------------------------------------------------------------------------------


def _figures(config: BenchmarkConfig, folder: Path, report: TaskReport) -> None:
    """Learning curves, and the pacing of the best learner beside the best rule."""
    specs = plan_runs(config)
    learners = sorted((s for s in specs if s.kind == "learner"), key=lambda s: s.name)
    curves = [
        make_curve(spec.name.partition("/")[2], read_metrics(training_folder(folder, spec)))
        for spec in learners
    ]
    learning_figure(curves, folder / "learning_curves.png")
    watched = {}
    for kind in ("learner", "rule"):
        row = best(report.rows, kind)
        if row is None:
            continue
        spec = next(s for s in specs if s.agent == row.agent)
        episodes = min(WATCHED, spec.episodes)
        policy = _policy(spec, folder)
        watched[row.agent] = watch(policy, spec.setting(), episodes, spec.test_seed)
    if watched:
        pacing_figure(watched, folder / "pacing.png")


def _policy(spec: RunSpec, folder: Path) -> Policy:
    if spec.is_learned:
        return load_artefact(training_folder(folder, spec))
    return make_rule(spec.options["rule"], plan_spec(spec.setting()), **spec.options["parameters"])


def _track(config: BenchmarkConfig, folder: Path, report: TaskReport, options: Options) -> None:
    """Log every agent's score under the comparison's name."""
    name = f"compare-{report.task}"
    tracker = Tracker(folder, name, config.model_dump(mode="json"), options.track)
    scores = {f"{row.agent}/score": row.score.value for row in report.rows}
    tracker.log(scores, step=0)
    tracker.finish(scores)


# The terminal
# --------------------------------------------------------------------------------------------------


def rich_table(rows: list[Summary], title: str) -> Table:
    """The table for the terminal, within 80 characters; learners and own agents in bold."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,  # the box already sets columns a space apart
    )
    heads = (
        "agent",
        "score",
        "95 % CI",
        "violated",
        "budget",
        "Δ\nprofit",
        "losing",
        "ticks",
        "CPU s",
    )
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left", no_wrap=True)
    for row in ranked(rows):
        table.add_row(
            row.agent,
            f"{row.score.value:.3f}",
            f"{row.score.low:.2f}-{row.score.high:.2f}",
            percent(row.violation_rate),
            percent(row.budget_use, 0),
            gained(row.profit_gain),
            percent(row.losing_share, 0),
            millions(row.ticks).replace(" ", ""),
            money(row.cpu_seconds),
            style="bold" if row.kind in ("learner", "own") else "",
        )
    return table
