"""Everything against the true optimum of the tiny market: rules, a learner, plans in hindsight and
the bound (docs/exact.md).
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...agents import RULES, Policy, make_rule, plan_spec
from ...agents.learners import PPOSettings
from ...agents.references import Search, clairvoyant, replay_on_fresh_noise, upper_bound
from ...agents.references.exact import BIDS, ExactPlan, OnGrid, exact
from ...agents.references.hindsight import hindsight
from ...agents.references.tiny import tiny_scenario
from ...agents.rules import DoNothing
from ...envs import Scenario, Setting
from ...envs.files import whole_file
from ..runs.evaluate import TEST_SEED, evaluate
from ..runs.manifest import manifest, write_json
from ..trainings import training_options
from ..tuning.search_space import Range, same_rule, search_space

LEVERS = ("bid",)
GRIDS = (17, 33, 65)  # finer grids between the same ends; 9 bids are the reference
WIDE = np.linspace(-1, 1, 21)  # the same spacing over the whole lever
FREE = Search(per_day=24, population=48, iterations=30)
LEARNER = PPOSettings.model_validate(training_options("exact"))
MERCHANTS = 4  # of the bound; every merchant is the same
FIRST_NAMES = {"certified upper bound": "upper bound"}  # of rows, in what is committed
STRIDE = 0.25  # first step of tuning, share of a parameter's range


class Size(NamedTuple):
    """How much is measured."""

    episodes: int = 20_000  # of each policy, on common random numbers
    hindsight: int = 256  # episodes that are searched in hindsight
    trials: int = 100  # of tuning each rule
    training: int = 2_000  # training episodes of a trial
    learner: PPOSettings = LEARNER


FULL = Size()


class Row(NamedTuple):
    """One line of the study; mean scores in CNY. What could not be measured is None."""

    name: str
    kind: str  # optimum, constant, rule, learner, hindsight or bound
    grid: float | None  # with bids moved to the nearest of BIDS
    grid_error: float  # standard error; 0 where the value is computed
    free: float | None = None  # with any bid
    free_error: float = 0.0
    episodes: int = 0


def study(
    folder: Path, size: Size = FULL, on_progress: Callable[[str], None] = lambda line: None
) -> list[Row]:
    """Measure everything against the optimum and write results.md and summary.json into the folder.

    Args:
        folder: where the results go; made if missing.
        size: how much is measured.
        on_progress: called with a line per result.
    """
    scenario = tiny_scenario()
    plan = exact(scenario, BIDS)
    rows = []
    for row in _measured(scenario, plan, size):
        rows.append(row)
        on_progress(
            f"{row.name:36} {row.kind:10} {_shown(row.grid, row.grid_error)}   any bid "
            f"{_shown(row.free, row.free_error)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "truncation": plan.truncation,
        "bids": list(BIDS),
        "search": FREE._asdict(),
        "command": "chengfang exact",
        "seed": TEST_SEED,
        "size": size._asdict() | {"learner": size.learner.model_dump()},
    }
    write_json(
        folder / "summary.json",
        {"rows": [row._asdict() for row in rows], "manifest": manifest(scenario, **facts)},
    )
    with whole_file(folder / "results.md") as draft:
        draft.write_text(table(rows), encoding="utf-8")
    return rows


def _measured(scenario: Scenario, plan: ExactPlan, size: Size) -> Iterator[Row]:
    yield from _optima(scenario, plan)
    yield from _policies(scenario, plan, size)
    yield from _references(scenario, plan, size.hindsight)
    yield from _bound(scenario, MERCHANTS)


def _optima(scenario: Scenario, plan: ExactPlan) -> Iterator[Row]:
    yield Row(f"exact, {len(BIDS)} bids", "optimum", plan.value, 0.0)
    yield Row(
        "exact, the same spacing over the whole lever",
        "optimum",
        None,
        0.0,
        exact(scenario, WIDE.tolist()).value,
    )
    for count in GRIDS:
        bids = np.linspace(BIDS[0], BIDS[-1], count).round(6).tolist()
        yield Row(f"exact, {count} bids", "optimum", None, 0.0, exact(scenario, bids).value)
    constants = plan.judge(*(np.full_like(plan.table, k) for k in range(len(BIDS))))
    yield Row(
        f"constant bid {BIDS[int(constants.argmax())]:g}", "constant", float(constants.max()), 0.0
    )


def _policies(scenario: Scenario, plan: ExactPlan, size: Size) -> Iterator[Row]:
    from ...agents.learners.training import train

    setting = Setting(scenario, LEVERS, 1)
    spec = plan_spec(Setting(scenario, LEVERS, 1))

    def judged(name: str, kind: str, policy: Policy) -> Row:
        grid, free = (_mean(_scores(p, setting, size.episodes)) for p in (OnGrid(policy), policy))
        return Row(name, kind, *grid, *free, size.episodes)

    yield judged("exact, played", "optimum", plan.policy)
    for name in RULES:
        yield judged(name, "rule", make_rule(name, spec))
        if name != DoNothing.__name__ and not same_rule(name, LEVERS):
            yield judged(
                f"{name}, tuned",
                "rule",
                make_rule(name, spec, **tune_here(name, scenario, size.trials, size.training)),
            )
    with tempfile.TemporaryDirectory() as folder:
        yield judged(
            size.learner.algorithm,
            "learner",
            train(size.learner, Setting(scenario, LEVERS, 1, "train"), 0, Path(folder)),
        )


def tune_here(
    rule: str, scenario: Scenario, trials: int, training: int, seed: int = 0
) -> dict[str, float]:
    """Parameters of a rule with the best mean score of a random walk that only takes steps that
    pay, on training episodes.

    Every trial moves a few parameters by a normal step whose width falls from STRIDE of their range
    to a tenth of it.
    """
    space = search_space(rule, LEVERS, events=False)
    setting = Setting(scenario, LEVERS, 1, "train")
    spec = plan_spec(setting)
    best = {name: float((RULES[rule].common | RULES[rule].defaults)[name]) for name in space}
    most = _scores(make_rule(rule, spec), setting, training).mean()
    rng = np.random.default_rng(seed)
    names = list(space)
    for trial in range(trials):
        width = STRIDE * 0.1 ** (trial / trials)
        moved = rng.choice(names, min(3, len(names)), replace=False)
        tried = best | {
            str(name): _moved(space[name], best[name], width * rng.normal()) for name in moved
        }
        value = _scores(make_rule(rule, spec, **tried), setting, training).mean()
        if value > most:
            best = tried
            most = value
    return best


def _moved(range_: Range, value: float, step: float) -> float:
    """A value moved by a share of its range, on the scale that the range is searched on."""
    if range_.log:
        return range_.inside(value * (range_.high / range_.low) ** step)
    return range_.inside(value + (range_.high - range_.low) * step)


def _references(scenario: Scenario, plan: ExactPlan, few: int) -> Iterator[Row]:
    """What knows the day; the optimum on the same days stands beside it."""
    seeds = np.arange(TEST_SEED, TEST_SEED + few)
    setting = Setting(scenario, LEVERS, 1)
    yield Row(
        "exact, on the days below",
        "optimum",
        *_mean(_scores(plan.policy, Setting(scenario, LEVERS, 1), few)),
        episodes=few,
    )
    for name, search in (("clairvoyant", Search()), ("clairvoyant, a level a tick", FREE)):
        found = clairvoyant(setting, seeds, search=search)
        fresh = replay_on_fresh_noise(setting, seeds, found.actions).mean(1)
        yield Row(name, "hindsight", None, 0.0, *_mean(found.plans["score"]), few)
        yield Row(f"{name}, on fresh noise", "hindsight", None, 0.0, *_mean(fresh), few)
    yield Row(
        "all sequences of bids",
        "hindsight",
        *_mean(hindsight(scenario, BIDS, seeds).value),
        episodes=few,
    )


def _bound(scenario: Scenario, few: int) -> Iterator[Row]:
    """The upper bound."""
    seeds = np.arange(TEST_SEED, TEST_SEED + few)
    value = upper_bound(Setting(scenario, LEVERS, 1), seeds).value
    yield Row("upper bound", "bound", None, 0.0, *_mean(value), few)


def _scores(policy: Policy, setting: Setting, episodes: int) -> np.ndarray:
    nothing = {"score": np.zeros(episodes)}  # there is no free traffic: doing nothing sells nothing
    seed = TEST_SEED if setting.split == "test" else 0
    return evaluate(policy, setting, episodes, seed, nothing).plans["score"]


def _mean(scores: np.ndarray) -> tuple[float, float]:
    return float(scores.mean()), float(scores.std(ddof=1) / math.sqrt(len(scores)))


def _shown(value: float | None, error: float) -> str:
    return "–" if value is None else f"{value:.4f} ± {error:.4f}" if error else f"{value:.4f}"


def table(rows: list[Row]) -> str:
    """The study as a Markdown table; shares are of the first row's value, and of the finest grid's
    where any bid may be made.
    """
    first = next(row.grid for row in rows if row.grid is not None)
    finest = max(
        (
            row.free
            for row in rows
            if row.kind == "optimum" and row.free is not None and not row.episodes
        ),
        default=first,
    )
    lines = [
        f"| | kind | {len(BIDS)} bids, CNY | share | any bid, CNY | share |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        shares = (
            "–" if value is None else f"{value / one:.3f}"
            for value, one in ((row.grid, first), (row.free, finest))
        )
        cells = zip(
            (_shown(row.grid, row.grid_error), _shown(row.free, row.free_error)),
            shares,
            strict=True,
        )
        lines.append(
            f"| {row.name} | {row.kind} | "
            + " | ".join(f"{value} | {share}" for value, share in cells)
            + " |"
        )
    return "\n".join(lines) + "\n"


def committed(folder: Path) -> list[Row]:
    """The rows of a summary.json."""
    data = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return [
        Row(**row | {"name": FIRST_NAMES.get(row["name"], row["name"])}) for row in data["rows"]
    ]
