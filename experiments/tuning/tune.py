"""Tune a rule on training merchants with a learner's simulation budget: `chengfang tune` (design
5).

CMA-ES (Hansen 2016, 1604.00772) through Optuna, in two stages: half of the budget on few merchants,
half on more, started at the first stage's best; the best trials of the second are scored again on
merchants of their own, and the best of these is kept. All trials of a stage meet the same merchants
and random numbers. The value is the judge's: IQM of score over doing nothing.
"""

import csv
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...agents import RULES, make_rule, plan_spec
from ...agents.rules.tuned import FILE, load_tuned, tuned_parameters
from ...envs import Market, Setting, Task, find_task, load_scenario, select_levers, short_name
from ...envs.files import whole_file
from ..analysis.statistics import iqm
from ..benchmark.config import load_benchmark
from ..runs.evaluate import play_noop
from ..runs.manifest import code_version
from .search_space import Range, same_rule, search_space

# first streams; the split is the training one
SEARCH_SEED = 2_000_000
CHECK_SEED = 3_000_000


class Budget(NamedTuple):
    """How much simulation a study may use, and on how many merchants."""

    steps: int
    merchants: tuple[int, int] = (192, 512)  # of the first and the second stage
    check: int = 1024  # of the final check
    finalists: int = 5
    spread: tuple[float, float] = (
        0.12,
        0.05,
    )  # first standard deviation of each stage, share of a range


class Trial(NamedTuple):
    """One setting that was tried."""

    number: int
    stage: str
    value: float
    violation: float
    parameters: dict[str, float]


class Field:
    """A fixed set of training merchants on which settings of a rule are scored."""

    def __init__(self, setting: Setting, rule: str, seed: int, count: int):
        self.rule = rule
        self.setting = setting
        self.spec = plan_spec(setting)
        self.market = Market.of(setting, count)
        self.market.reset(seeds=np.arange(seed, seed + count))
        self.start = self.market.get_state()
        self.idle = np.maximum(play_noop(setting, np.arange(seed, seed + count))["score"], 1e-9)
        self.steps = count * self.market.ticks

    def score(self, parameters: dict[str, float]) -> dict[str, float]:
        """The judge's figure and what stands beside it, for one setting."""
        rule = make_rule(self.rule, self.spec, **parameters)
        market = self.market
        market.set_state(self.start)
        memory = None
        fresh = np.ones(market.num_envs, bool)
        for _ in range(market.ticks):
            action, memory = rule.predict(market.observations, memory, fresh)
            market.step(action)
            fresh = np.zeros(market.num_envs, bool)
        plan = market.dashboard()
        return {
            "score": iqm(plan["score"] / self.idle),
            "violation_rate": float(plan["violated"].mean()),
            "mean_shortfall": float(plan["shortfall"].mean()),
            "budget_use": float(plan["budget_use"].mean()),
        }


def tune(
    rule: str,
    task: str,
    steps: int | None = None,
    seed: int = 0,
    folder: Path = Path("results/tuning"),
    target: Path = FILE,
    starts: list[dict[str, float]] | None = None,
    budget: Budget | None = None,
    again: bool = False,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Run or resume one study and keep its result in `target`.

    Args:
        rule, task: names.
        steps: environment steps of the study; default: what the best funded learner of the
            benchmark trains on here, less what
        earlier studies of the rule have used.
        seed: of the sampler.
        folder: gets `<task>-<rule>.csv`, the trials that improved and the finalists; while running,
            `.part` holds every trial,
        from which
            an interrupted study goes on exactly.
        target: the tuned.json to write into.
        starts: settings to try first, beside the defaults; the search starts from the best of them.
        budget: all of it; `steps` is ignored then.
        again: study once more, starting from what was found last time; kept is the better of both
            on the check merchants.

    Returns:
        The study as kept: parameters, score, score of the defaults, facts.

    Raises:
        ValueError: if rule or task are unknown, or the budget is too small for two trials a stage.
    """
    found = find_task(task)
    name = _rule_name(rule)
    label = short_name(found)
    load_tuned.cache_clear()
    done = load_tuned(target).get(label, {}).get(name)
    if done and not again:
        return done
    setting = Setting(
        load_scenario(found.scenario), select_levers(found.levers), found.days, "train"
    )
    played = same_rule(name, setting.levers) or name
    twin = load_tuned(target).get(label, {}).get(played) if played != name else None
    budget = budget or default_budget(task, steps, spent(done))
    before = [known["parameters"] for known in (done, twin) if known]
    study = _study(
        name, played, found, setting, budget, seed, folder, [*before, *(starts or [])], report
    )
    study = (
        study
        | {"steps_in_all": spent(done) + budget.steps}
        | ({"same_as": played} if played != name else {})
    )
    if done and _same_check(done, study) and done["score"] > study["score"]:
        report(f"{label} {name}: what was found before, {done['score']:.4f}, stays")
        study = done | {
            key: study[key] for key in ("steps_in_all", "score_default", "violation_rate_default")
        }
    _keep(target, label, name, study)
    return study


def spent(study: dict[str, Any] | None) -> int:
    """Environment steps of a rule's kept study and of those it went on from."""
    return study.get("steps_in_all", study["steps"]) if study else 0


def learner_steps(task: str) -> int:
    """Environment steps that the best funded learner of the shipped benchmark trains on: the budget
    of every rule.
    """
    return max(
        learner.steps
        for learner in load_benchmark().tasks[short_name(find_task(task))].learners.values()
    )


def default_budget(task: str, steps: int | None = None, before: int = 0) -> Budget:
    """The learners' budget on a task less what was used `before`; long tasks use fewer merchants a
    trial.

    Raises:
        ValueError: if nothing is left of it.
    """
    if steps is None:
        steps = learner_steps(task) - before
        if steps <= 0:
            raise ValueError(
                f"the rule was tuned with {before} steps on {short_name(find_task(task))}, no "
                "fewer than its learners "
                "train on; --steps gives it more"
            )
    return (
        Budget(steps)
        if find_task(task).days == 1
        else Budget(steps, merchants=(128, 384), check=512)
    )


def _same_check(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the scores of two studies are of the same merchants in the same market."""
    return all(
        one[key] == other[key] for key in ("check_merchants", "first_seeds", "scenario_hash")
    )


def _study(
    name: str,
    played: str,
    task: Task,
    setting: Setting,
    budget: Budget,
    seed: int,
    folder: Path,
    starts: list[dict[str, float]],
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Search the values of the rule `name`, which on these levers is the rule `played`."""
    space = search_space(played, setting.levers, bool(setting.scenario.traffic.events))
    path = Path(folder) / f"{short_name(task)}-{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    log = TrialLog(path.with_name(path.name + ".part"), list(space))
    defaults = {key: (RULES[played].common | RULES[played].defaults)[key] for key in space}
    first = [
        defaults,
        *({key: start.get(key, value) for key, value in defaults.items()} for start in starts),
    ]
    tried: list[Trial] = []
    best: list[Trial] = []
    for stage, number in enumerate(_trials(budget, setting)):
        field = Field(setting, played, SEARCH_SEED + stage * 100_000, budget.merchants[stage])
        made = _search(
            space,
            first,
            field,
            number,
            budget.spread[stage],
            seed + stage,
            str(stage + 1),
            log,
            len(tried),
        )
        tried += made
        best = sorted(made, key=lambda trial: -trial.value)
        report(
            f"{short_name(task)} {name} stage {stage + 1}: {best[0].value:.4f} of {number} trials; "
            f"defaults {made[0].value:.4f}"
        )
        first = [defaults, best[0].parameters]
    field = Field(setting, played, CHECK_SEED, budget.check)
    base = field.score(defaults)
    finals = [
        (t, log.scored(f"check {t.number}", t.parameters, field)) for t in best[: budget.finalists]
    ]
    winner, figures = max(finals, key=lambda pair: pair[1]["score"])
    if figures["score"] < base["score"]:
        winner = winner._replace(parameters=defaults)
        figures = base
    report(
        f"{short_name(task)} {name} check: {figures['score']:.4f}, violation "
        f"{figures['violation_rate']:.3f}; "
        f"defaults {base['score']:.4f}"
    )
    _write_log(path, list(space), tried, finals)
    log.path.unlink(missing_ok=True)
    return {
        "parameters": winner.parameters,
        **{key: round(value, 6) for key, value in figures.items()},
        "score_default": round(base["score"], 6),
        "violation_rate_default": round(base["violation_rate"], 6),
        "trials": len(tried),
        "steps": budget.steps,
        "merchants": list(budget.merchants),
        "check_merchants": budget.check,
        "first_seeds": [SEARCH_SEED, SEARCH_SEED + 100_000, CHECK_SEED],
        "sampler": "CMA-ES",
        "sampler_seed": seed,
        "scenario_hash": setting.scenario.hash,
        "code": code_version(),
    }


def _trials(budget: Budget, setting: Setting) -> list[int]:
    """Trials of both stages: half of the steps each, the check paid by the second."""
    ticks = setting.days * setting.scenario.clock.ticks_per_day
    check = budget.check * ticks * (budget.finalists + 1)
    numbers = [
        int((budget.steps / 2 - paid) // (count * ticks))
        for count, paid in zip(budget.merchants, (0, check), strict=True)
    ]
    if min(numbers) < 2:
        least = 2 * max(2 * budget.merchants[0] * ticks, 2 * budget.merchants[1] * ticks + check)
        raise ValueError(
            f"steps is {budget.steps}; this study needs at least {least} for two trials a stage "
            "and the check"
        )
    return numbers


def _search(
    space: dict[str, Range],
    first: list[dict[str, float]],
    field: Field,
    number: int,
    spread: float,
    seed: int,
    stage: str,
    log: "TrialLog",
    offset: int,
) -> list[Trial]:
    """`number` trials: the given settings, then CMA-ES from the best of them."""
    optuna = _optuna()
    trials: list[Trial] = []

    def run(parameters: dict[str, float]) -> float:
        setting = {key: space[key].inside(value) for key, value in parameters.items()}
        figures = log.scored(f"{stage} {offset + len(trials)}", setting, field)
        trials.append(
            Trial(offset + len(trials), stage, figures["score"], figures["violation_rate"], setting)
        )
        return figures["score"]

    for setting in first[:number]:
        run(setting)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    start = max(trials, key=lambda trial: trial.value).parameters
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # start and spread are to move to another package in Optuna 6
        sampler = optuna.samplers.CmaEsSampler(
            x0=start, sigma0=spread, seed=seed, n_startup_trials=0, warn_independent_sampling=False
        )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions: dict[str, Any] = {
        key: optuna.distributions.FloatDistribution(r.low, r.high, log=r.log)
        for key, r in space.items()
    }
    while len(trials) < number:
        trial = study.ask(distributions)
        study.tell(trial, run(trial.params))
    return trials


def _optuna() -> Any:
    """Optuna, an extra; raises ValueError saying how to get it."""
    try:
        import optuna
    except ImportError:
        raise ValueError(
            "tuning needs Optuna and cmaes, which are not installed; "
            '`pip install "chengfang[tune]"` adds them'
        ) from None
    return optuna


class TrialLog:
    """Every trial of a running study, one JSON line each, so that an interrupted study goes on
    where it was.
    """

    def __init__(self, path: Path, names: list[str]):
        self.path = path
        self.names = names
        self._known: dict[str, dict[str, Any]] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except (
                    json.JSONDecodeError
                ):  # the line that was being written when the study was stopped
                    break
                self._known[entry["key"]] = entry

    def scored(self, key: str, parameters: dict[str, float], field: Field) -> dict[str, float]:
        """Figures of a setting: remembered if this very setting was the trial before, else
        simulated and noted.
        """
        entry = self._known.get(key)
        if entry and entry["parameters"] == parameters and entry["steps"] == field.steps:
            return entry["figures"]
        figures = field.score(parameters)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(
                json.dumps(
                    {"key": key, "steps": field.steps, "parameters": parameters, "figures": figures}
                )
                + "\n"
            )
        return figures


def _write_log(
    path: Path, names: list[str], trials: list[Trial], finals: list[tuple[Trial, dict[str, float]]]
) -> None:
    """The trials that were the best so far of their stage, and the finalists with their score on
    the check merchants.
    """
    best: dict[str, float] = {}
    with whole_file(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "stage", "score", "violation_rate", *names])
        for trial in trials:
            if trial.value > best.get(trial.stage, -np.inf):
                best[trial.stage] = trial.value
                writer.writerow(
                    [
                        trial.number,
                        trial.stage,
                        f"{trial.value:.6f}",
                        f"{trial.violation:.4f}",
                        *trial.parameters.values(),
                    ]
                )
        for trial, figures in finals:
            writer.writerow(
                [
                    trial.number,
                    "check",
                    f"{figures['score']:.6f}",
                    f"{figures['violation_rate']:.4f}",
                    *trial.parameters.values(),
                ]
            )


def _keep(target: Path, task: str, rule: str, study: dict[str, Any]) -> None:
    """Put a study into tuned.json, whole or not at all."""
    data = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else {}
    data.setdefault(task, {})[rule] = study
    with whole_file(target) as draft:
        draft.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    load_tuned.cache_clear()


def starts_for(
    rule: str, task: str, leaders: list[str], relatives: list[str]
) -> list[dict[str, float]]:
    """Settings worth trying first.

    This rule as tuned on related tasks; what the leading rules found on this task for the
    parameters all rules share; and both together. Raises ValueError for an unknown name.
    """
    shared_names = RULES[_rule_name(rule)].common
    task = short_name(find_task(task))
    relatives = [short_name(find_task(other)) for other in relatives]
    own = [setting for setting in (tuned_parameters(rule, other) for other in relatives) if setting]
    shared = [
        {key: value for key, value in tuned_parameters(leader, task).items() if key in shared_names}
        for leader in leaders
    ]
    both = [mix for s in shared for o in own for mix in (s | o, o | s)]
    return [setting for setting in (*own, *shared, *both) if setting]


def _rule_name(rule: str) -> str:
    for known in RULES:
        if known.lower() == rule.lower():
            return known
    raise ValueError(f"rule is {rule!r}; allowed are {', '.join(RULES)}")
