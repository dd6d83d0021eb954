"""Tune a rule on training merchants with a learner's simulation budget: `chengfang tune` (world 5).

CMA-ES (Hansen 2016, 1604.00772) through Optuna, in two stages: half of the budget on few merchants,
half on more, started at the first stage's best; the best trials of the second are scored again on
merchants of their own, and the best of these is kept. All trials of a stage meet the same merchants
and random numbers. The value is the judge's: IQM of score over doing nothing.
"""

import json
from pathlib import Path
from typing import Any

from ...agents.rules import ALL_RULES
from ...agents.rules.tuned import FILE, load_tuned, tuned_parameters
from ...envs import Setting, find_task, load_scenario, select_levers, short_name
from ...envs.files import whole_file
from ..benchmark.config import load_benchmark
from .search_space import same_rule
from .study import Budget, OnProgress, Study


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
    on_progress: OnProgress = lambda note: None,
) -> dict[str, Any]:
    """Run or resume one study and keep its result in `target`.

    Args:
        rule, task: names.
        steps: environment steps of the study; default: what the best funded learner of the
            benchmark trains on here, less what earlier studies of the rule have used.
        seed: of the sampler.
        folder: gets `<task>-<rule>.csv`, the trials that improved and the finalists; while running,
            `.part` holds every trial, from which an interrupted study goes on exactly.
        target: the tuned.json to write into.
        starts: settings to try first, beside the defaults; the search starts from the best of them.
        budget: all of it; `steps` is ignored then.
        again: study once more, starting from what was found last time; kept is the better of both
            on the check merchants.
        on_progress: called after every trial.

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
    namesake = load_tuned(target).get(label, {}).get(played) if played != name else None
    budget = budget or default_budget(task, steps, spent(done))
    before = [known["parameters"] for known in (done, namesake) if known]
    search = Study(name, played, found, setting, budget, seed, folder, on_progress)
    study = search.run([*before, *(starts or [])])
    study["steps_in_all"] = spent(done) + budget.steps
    if done and "cpu_seconds" in done:
        study["cpu_seconds"] += done["cpu_seconds"]
    elif done:  # an earlier part of it is not known
        del study["cpu_seconds"]
    if played != name:
        study["same_as"] = played
    if done and _same_check(done, study) and done["score"] > study["score"]:
        search.say(f"what was found before, {done['score']:.4f}, stays")
        newer = ("steps_in_all", "cpu_seconds", "score_default", "violation_rate_default")
        study = done | {key: study[key] for key in newer if key in study}
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
    shared_names = ALL_RULES[_rule_name(rule)].common
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
    for known in ALL_RULES:
        if known.lower() == rule.lower():
            return known
    raise ValueError(f"rule is {rule!r}; allowed are {', '.join(ALL_RULES)}")
