"""The runs that a benchmark consists of."""

from typing import Any, NamedTuple

from ...agents.learners.settings import LearnerSettings, rule_values
from ...agents.rules.tuned import tuned_parameters
from ...envs import find_task, select_levers, short_name
from ..runs.spec import RunSpec
from .config import NOTHING, BenchmarkConfig, Reference, known_names


def plan_runs(
    config: BenchmarkConfig, tasks: "list[str] | None" = None, agents: "list[str] | None" = None
) -> list[RunSpec]:
    """The runs of a benchmark, or of some of its tasks and agents; doing nothing is always among
    them. They are not yet fingerprinted (`runs.fingerprint.identified`).

    What takes seconds comes first, so that there is something to read; then the longest first, so
    that no worker is left with a long run at the end.

    Raises:
        ValueError: naming a task or agent that the benchmark does not have.
    """
    specs = [spec for task in config.tasks for spec in _task_runs(config, task)]
    return sorted(chosen(config, specs, tasks, agents), key=_order)


def chosen(
    config: BenchmarkConfig,
    specs: list[RunSpec],
    tasks: "list[str] | None" = None,
    agents: "list[str] | None" = None,
) -> list[RunSpec]:
    """Those of a benchmark's runs that belong to some tasks and agents, or do nothing there.

    Raises:
        ValueError: naming a task or agent that the benchmark does not have.
    """
    names = [short_name(find_task(name)) for name in tasks or config.tasks]
    known_names("tasks", names, tuple(config.tasks))
    there = dict.fromkeys([*(agent for task in names for agent in config.agents(task)), NOTHING])
    known_names("agents", agents or [], tuple(there))
    return [
        spec
        for spec in specs
        if spec.task in names and (not agents or spec.agent in (*agents, NOTHING))
    ]


def _order(spec: RunSpec) -> tuple[bool, int]:
    quick = spec.kind == "rule" or spec.agent == NOTHING or "policy" in spec.options
    return not quick, -spec.steps


class _World(NamedTuple):
    """What all runs of a task share."""

    scenario: dict[str, Any]
    levers: tuple[str, ...]
    days: int


def _task_runs(config: BenchmarkConfig, task: str) -> list[RunSpec]:
    plan = config.tasks[task]
    spec = find_task(task)
    scenario = config.scenario(task).model_dump(mode="json")
    world = _World(scenario, select_levers(spec.levers), plan.days or spec.days)

    def whole(agent: str, kind: Any, seed: int, options: dict[str, Any]) -> RunSpec:
        episodes = config.held_out(task, agent)
        first = config.test_seed
        return RunSpec(
            task, agent, kind, seed, *world, options, first, episodes, split=config.split
        )

    specs = [whole(NOTHING, "reference", 0, {})]
    for rule in plan.rules:
        values = tuned_parameters(rule, task) if config.tuned else {}
        specs.append(whole(rule, "rule", 0, {"rule": rule, "parameters": values}))
    for name, settings in plan.learners.items():
        options = resolved(settings).model_dump(mode="json")
        kind = config.agents(task)[name]
        seeds = config.training_seeds(task, name)
        specs += [whole(name, kind, seed, options) for seed in seeds]
    for name, own in plan.agents.items():
        seeds = (own.seeds or config.seeds) if own.train else [0]
        specs += [whole(name, "own", seed, own.options) for seed in seeds]
    for name, reference in plan.references.items():
        if name != NOTHING:
            specs += _reference_runs(config, task, world, name, reference)
    return specs


def _reference_runs(
    config: BenchmarkConfig, task: str, world: _World, name: str, reference: Reference
) -> list[RunSpec]:
    """The runs among which a reference's episodes are split."""
    options: dict[str, Any] = dict(reference.options)
    if name == "clairvoyant":  # starts from tuned rules, so that none of them is ever better
        tuned = {rule: tuned_parameters(rule, task) for rule in config.tasks[task].rules}
        options |= {"starts": {rule: values for rule, values in tuned.items() if values}}
    episodes = min(reference.episodes, config.held_out(task))
    return [
        RunSpec(
            task,
            name,
            "reference",
            0,
            *world,
            options,
            config.test_seed + first,
            min(reference.chunk, episodes - first),
            part,
            config.split,
        )
        for part, first in enumerate(range(0, episodes, reference.chunk))
    ]


def resolved(settings: LearnerSettings) -> LearnerSettings:
    """The same settings with the tuned values of the rule underneath spelled out: they decide what
    is learned.
    """
    env = settings.training_env
    if env is None or env.rule_task is None:
        return settings
    spelled_out = {"rule_task": None, "rule_parameters": rule_values(env)}
    return settings.model_copy(update={"training_env": env.model_copy(update=spelled_out)})
