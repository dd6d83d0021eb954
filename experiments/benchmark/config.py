"""What a benchmark is: tasks, agents and seeds, validated, read from YAML; and the cells it
consists of.

`defaults` holds rules, learners and references that every task has; a task names only its
differences, and `null` takes a learner or a reference away. A learner's `training_env.rule_task:
"{task}"` becomes the name of the task it is trained on.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ...agents import RULES
from ...agents.learners.settings import LearnerSettings, rule_values
from ...agents.rules.tuned import tuned_parameters
from ...envs import Scenario, find_task, load_scenario, select_levers, short_name
from ...envs.files import whole_file
from ...envs.scenario.validation import merged
from ..comparison.config import FOLDER, ConfigError, sentences
from ..runs.cells import REFERENCES, Cell, reference_options, steps_of
from ..runs.evaluate import TEST_SEED

NOTHING = "nothing"


class Reference(BaseModel):
    """A reference's settings, and how its episodes are split among cells."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunk: int = Field(default=64, ge=1, description="episodes per cell")
    episodes: int = Field(
        default=256, ge=1, description="held-out episodes it is computed on: the first ones"
    )
    options: dict[str, bool | int | float | str] = {}


class Final(BaseModel):
    """Agents that lie closer than `episodes` can tell apart, and how many held-out episodes they
    play instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: list[str] = Field(min_length=1, description="rules and learners of the task")
    episodes: int = Field(
        ge=2, le=100_000_000, description="the first ones are those that everybody plays"
    )


class TaskPlan(BaseModel):
    """Who plays a task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenario: str | dict[str, Any] | None = Field(default=None, description="None: the task's own")
    days: int | None = Field(default=None, ge=1, le=90, description="None: the task's own")
    episodes: int | None = Field(
        default=None, ge=2, le=1_000_000, description="None: the benchmark's"
    )
    final: Final | None = Field(default=None, description="None: everybody plays as many episodes")
    rules: list[str] = []
    learners: dict[str, LearnerSettings] = {}
    references: dict[str, Reference] = {}

    @field_validator("rules")
    @classmethod
    def _rules(cls, value: list[str]) -> list[str]:
        return _known("rules", value, tuple(RULES))

    @field_validator("references")
    @classmethod
    def _references(cls, value: dict[str, Reference]) -> dict[str, Reference]:
        _known("references", list(value), tuple(REFERENCES))
        for name, reference in value.items():
            _known(f"options of {name}", list(reference.options), reference_options(name))
        return value

    @model_validator(mode="after")
    def _names(self) -> "TaskPlan":
        taken = [name for name in self.learners if name in self.rules or name in REFERENCES]
        wrong = taken or [
            name
            for name in self.learners
            if not name or not name.replace("-", "").replace("_", "").isalnum()
        ]
        if wrong:
            raise ValueError(
                f"a learner is called {wrong[0]!r}; its name must be letters, digits, - and _, and not a rule's or a "
                "reference's"
            )
        if self.final:
            _known("agents in final", self.final.agents, (*self.rules, *self.learners))
        return self


def _known(field: str, names: list[str], allowed: tuple[str, ...]) -> list[str]:
    unknown = [name for name in names if name not in allowed]
    if unknown:
        raise ValueError(f"unknown {field} {', '.join(unknown)}; allowed are {', '.join(allowed)}")
    return names


class BenchmarkConfig(BaseModel):
    """A benchmark, complete: run again it gives the same numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    episodes: int = Field(
        default=256, ge=2, le=1_000_000, description="held-out, per agent and seed"
    )
    test_seed: int = Field(default=TEST_SEED, ge=0)
    seeds: list[int] = Field(default=[0, 1, 2, 3, 4], min_length=1, max_length=1000)
    tasks: dict[str, TaskPlan] = Field(min_length=1)

    @field_validator("tasks")
    @classmethod
    def _tasks(cls, value: dict[str, TaskPlan]) -> dict[str, TaskPlan]:
        return {short_name(find_task(name)): plan for name, plan in value.items()}

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: list[int]) -> list[int]:
        if len(set(value)) < len(value) or min(value) < 0:
            raise ValueError("each training seed is a whole number of at least 0 and is named once")
        return value

    @model_validator(mode="after")
    def _finals(self) -> "BenchmarkConfig":
        for name, plan in self.tasks.items():
            if plan.final and plan.final.episodes < self.held_out(name):
                raise ValueError(
                    f"tasks.{name}.final.episodes is {plan.final.episodes}; it must be at least the "
                    f"{self.held_out(name)} that everybody plays"
                )
        return self

    def held_out(self, task: str, agent: str = "") -> int:
        """Held-out episodes of a task, per seed; of one agent, which may be in its final, or of
        doing nothing there.
        """
        plan = self.tasks[task]
        if plan.final and agent in (*plan.final.agents, NOTHING):
            return plan.final.episodes
        return plan.episodes or self.episodes

    def scenario(self, task: str) -> Scenario:
        """The market a task is played in."""
        return load_scenario(self.tasks[task].scenario or find_task(task).scenario)

    def agents(self, task: str) -> dict[str, str]:
        """Names and kinds of a task's agents, doing nothing left out."""
        plan = self.tasks[task]
        return (
            dict.fromkeys(plan.rules, "rule")
            | dict.fromkeys(plan.learners, "learner")
            | {name: "reference" for name in plan.references if name != NOTHING}
        )


def load_benchmark(
    what: "str | Path | None" = None, changes: dict[str, Any] | None = None
) -> BenchmarkConfig:
    """Read a benchmark's YAML (default: the shipped one), with nested changes on top.

    Raises:
        ConfigError: one sentence per problem.
    """
    path = FOLDER / "benchmark.yaml" if what is None else Path(what)
    if path.is_dir():
        path = path / "config.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: no such configuration ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{path}: not readable as plain YAML") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a configuration holds fields and values")
    return validated_benchmark(merged(data, changes or {}))


def validated_benchmark(data: dict[str, Any]) -> BenchmarkConfig:
    """A benchmark from a dict that may share `defaults`; raises ConfigError with one sentence per
    problem.
    """
    data = dict(data)
    shared = data.pop("defaults", None) or {}
    tasks = data.get("tasks")
    if not isinstance(shared, dict):
        raise ConfigError(f"defaults is {shared!r}; it holds rules, learners and references")
    if isinstance(tasks, dict):
        data["tasks"] = {
            name: _own(name, merged(shared, plan or {})) if isinstance(plan or {}, dict) else plan
            for name, plan in tasks.items()
        }
    try:
        return BenchmarkConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(sentences(error)) from None


def _own(task: str, plan: dict[str, Any]) -> dict[str, Any]:
    """A task's plan less the learners and references it sets to null, `{task}` filled in."""
    parts = {
        part: {name: value for name, value in plan[part].items() if value is not None}
        for part in ("learners", "references")
        if isinstance(plan.get(part), dict)
    }
    for name, settings in parts.get("learners", {}).items():
        for field in ("training_env", "practice"):  # the second is its former name
            env = settings.get(field) if isinstance(settings, dict) else None
            if isinstance(env, dict) and env.get("rule_task") == "{task}":
                parts["learners"][name] = settings | {
                    field: env | {"rule_task": short_name(find_task(task))}
                }
    return plan | parts


def quick(config: BenchmarkConfig) -> BenchmarkConfig:
    """The same benchmark as a trial of minutes: 16 episodes, one seed, 100,000 training steps,
    references of one day only.
    """
    tasks = {}
    for name, plan in config.model_dump(mode="json")["tasks"].items():
        learners = {
            agent: s | {"steps": min(s["steps"], 100_000), "num_envs": min(s["num_envs"], 64)}
            for agent, s in plan["learners"].items()
        }
        days = plan["days"] or find_task(name).days
        references = {
            agent: r for agent, r in plan["references"].items() if days == 1 or agent == NOTHING
        }
        tasks[name] = plan | {
            "episodes": None,
            "final": None,
            "learners": learners,
            "references": references,
        }
    return validated_benchmark(
        {
            "episodes": min(config.episodes, 16),
            "test_seed": config.test_seed,
            "seeds": config.seeds[:1],
            "tasks": tasks,
        }
    )


def save_benchmark(config: BenchmarkConfig, path: Path) -> None:
    """Write the configuration complete; a market that is not shipped is spelled out, so that it can
    be run again anywhere.
    """
    data = config.model_dump(mode="json")
    for task, plan in data["tasks"].items():
        scenario = config.scenario(task)
        try:
            shipped = load_scenario(scenario.name).hash == scenario.hash
        except ValueError:
            shipped = False
        plan["scenario"] = scenario.name if shipped else scenario.model_dump(mode="json")
    with whole_file(path) as draft:
        draft.write_text(
            yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )


def plan_cells(
    config: BenchmarkConfig, tasks: "list[str] | None" = None, agents: "list[str] | None" = None
) -> list[Cell]:
    """The cells of a benchmark, or of some of its tasks and agents; doing nothing is always among
    them.

    What takes seconds comes first, so that there is something to read; then the longest first, so
    that no worker is left with a long cell at the end.

    Raises:
        ValueError: naming a task or agent that the benchmark does not have.
    """
    chosen = list(config.tasks) if not tasks else [short_name(find_task(name)) for name in tasks]
    _known("tasks", chosen, tuple(config.tasks))
    if agents:
        _known(
            "agents",
            agents,
            tuple(dict.fromkeys([*(a for task in chosen for a in config.agents(task)), NOTHING])),
        )
    cells = [
        cell
        for task in dict.fromkeys(chosen)
        for cell in _task_cells(config, task)
        if not agents or cell.agent in (*agents, NOTHING)
    ]
    return sorted(
        cells, key=lambda cell: (cell.kind != "rule" and cell.agent != NOTHING, -steps_of(cell))
    )


def _task_cells(config: BenchmarkConfig, task: str) -> list[Cell]:
    plan = config.tasks[task]
    spec = find_task(task)
    world = (
        config.scenario(task).model_dump(mode="json"),
        select_levers(spec.levers),
        plan.days or spec.days,
    )

    def whole(agent: str) -> tuple[int, int]:
        return config.test_seed, config.held_out(task, agent)

    cells = [Cell(task, NOTHING, "reference", 0, *world, {}, *whole(NOTHING))]
    cells += [
        Cell(
            task,
            rule,
            "rule",
            0,
            *world,
            {"rule": rule, "parameters": tuned_parameters(rule, task)},
            *whole(rule),
        )
        for rule in plan.rules
    ]
    cells += [
        Cell(
            task,
            name,
            "learner",
            seed,
            *world,
            resolved(settings).model_dump(mode="json"),
            *whole(name),
        )
        for name, settings in plan.learners.items()
        for seed in config.seeds
    ]
    for name, reference in plan.references.items():
        if name != NOTHING:
            episodes = min(reference.episodes, config.held_out(task))
            options = dict(reference.options)
            if (
                name == "clairvoyant"
            ):  # it starts from the tuned rules too, so that none of them is ever better
                options |= {
                    "starts": {
                        rule: values
                        for rule in plan.rules
                        if (values := tuned_parameters(rule, task))
                    }
                }
            cells += [
                Cell(
                    task,
                    name,
                    "reference",
                    0,
                    *world,
                    options,
                    config.test_seed + first,
                    min(reference.chunk, episodes - first),
                    part,
                )
                for part, first in enumerate(range(0, episodes, reference.chunk))
            ]
    return cells


def resolved(settings: LearnerSettings) -> LearnerSettings:
    """The same settings with the tuned values of the rule underneath spelled out: they decide what
    is learned.
    """
    env = settings.training_env
    if env is None or env.rule_task is None:
        return settings
    spelled_out = {"rule_task": None, "rule_parameters": rule_values(env)}
    return settings.model_copy(update={"training_env": env.model_copy(update=spelled_out)})
