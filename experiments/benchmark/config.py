"""What a benchmark is: tasks, agents and seeds, validated, read from YAML.

`defaults` holds rules, learners, references and agents of the user's own that every task has; a
task names only its differences, and `null` takes an entry away. `agents` at the top is short for
`defaults: {agents: ...}`. A learner's `rule_task: "{task}"` becomes the name of the task it is
trained on.

A configuration that names agents of the user's own and nothing else stands on the shipped
benchmark: it has all rules, learners and references of the tasks it names, on the same merchants,
so that every committed row is taken as it is. With other `episodes` or `test_seed` it has the rules
of the tasks, which are quick to play, and neither learners nor references.
"""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ...agents import RULES
from ...agents.learners.settings import LearnerSettings, ShiftSettings
from ...envs import Scenario, find_task, load_scenario, short_name
from ...envs.files import whole_file
from ...envs.scenario.validation import merged
from ..runs.evaluate import TEST_SEED
from ..runs.execute import REFERENCES, reference_options
from .config_file import FOLDER, ConfigError, read_config, sentences

NOTHING = "nothing"


class Reference(BaseModel):
    """A reference's settings, and how its episodes are split among runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunk: int = Field(default=64, ge=1, description="episodes per run")
    episodes: int = Field(
        default=256, ge=1, description="held-out episodes it is computed on: the first ones"
    )
    options: dict[str, bool | int | float | str] = {}


class Final(BaseModel):
    """Agents that play more held-out episodes than the others. Only the committed benchmark has
    finals: whether two agents differ is decided on episodes fixed beforehand (docs/decisions.md).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: list[str] = Field(min_length=1, description="rules and learners of the task")
    episodes: int = Field(
        ge=2, le=100_000_000, description="the first ones are those that everybody plays"
    )


class OwnAgent(BaseModel):
    """An agent of the user's own: a policy to be played, or a function that trains one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str | None = Field(
        default=None,
        description="module:Name, an installed entry point, or whatever names a policy elsewhere",
    )
    train: str | None = Field(
        default=None, description="module:function that trains and returns a policy, once per seed"
    )
    steps: int | None = Field(default=None, ge=1, description="environment steps to train for")
    seeds: list[int] | None = Field(
        default=None, min_length=1, description="training seeds; None: the benchmark's"
    )

    @field_validator("steps", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        """YAML reads 5e6 as text."""
        try:
            number = float(value) if isinstance(value, str) else value
            return int(number) if isinstance(number, float) and number.is_integer() else number
        except ValueError:
            return value

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: list[int] | None) -> list[int] | None:
        return None if value is None else _distinct(value)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.policy is None) == (self.train is None):
            raise ValueError("an agent has either `policy` or `train`")
        if self.policy is not None and (self.steps is not None or self.seeds is not None):
            raise ValueError("`steps` and `seeds` go with `train`; a `policy` is played as it is")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """What decides how it plays, as a run's options."""
        if self.train is None:
            return {"policy": self.policy}
        return {"train": self.train, "steps": self.steps}


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError("each training seed is a whole number of at least 0 and is named once")
    return seeds


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
    agents: dict[str, OwnAgent] = {}
    seeds: dict[str, list[int]] = Field(
        default={}, description="training seeds of single learners; others have the benchmark's"
    )

    @field_validator("rules")
    @classmethod
    def _rules(cls, value: list[str]) -> list[str]:
        return known_names("rules", value, tuple(RULES))

    @field_validator("references")
    @classmethod
    def _references(cls, value: dict[str, Reference]) -> dict[str, Reference]:
        known_names("references", list(value), tuple(REFERENCES))
        for name, reference in value.items():
            known_names(f"options of {name}", list(reference.options), reference_options(name))
        return value

    @model_validator(mode="after")
    def _names(self) -> Self:
        taken = {*self.rules, *REFERENCES}
        for what, names in (("a learner", self.learners), ("an agent", self.agents)):
            for name in names:
                plain = bool(name) and name.replace("-", "").replace("_", "").isalnum()
                if name in taken or not plain:
                    raise ValueError(
                        f"{what} is called {name!r}; its name must be letters, digits, - and _, "
                        "and not that of a rule, a reference or another agent"
                    )
            taken |= set(names)
        known_names("learners in seeds", list(self.seeds), tuple(self.learners))
        for name, seeds in self.seeds.items():
            if not seeds:
                raise ValueError(f"seeds.{name} is empty; it holds at least one training seed")
            _distinct(seeds)
        if self.final:
            known_names("agents in final", self.final.agents, (*self.rules, *self.learners))
        return self


def known_names(field: str, names: list[str], allowed: tuple[str, ...]) -> list[str]:
    """The names, if all of them are allowed; raises ValueError naming those that are not."""
    unknown = [name for name in names if name not in allowed]
    if unknown:
        raise ValueError(f"unknown {field} {', '.join(unknown)}; allowed are {', '.join(allowed)}")
    return names


class BenchmarkConfig(BaseModel):
    """A benchmark, complete: run again it gives the same numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    episodes: int = Field(
        default=8192, ge=2, le=1_000_000, description="held-out, per agent and seed"
    )
    test_seed: int = Field(default=TEST_SEED, ge=0)
    split: Literal["validation", "test"] = Field(
        default="test",
        description="whose merchants: validation to choose on, test to report on",
    )
    seeds: list[int] = Field(default=[0, 1, 2, 3, 4], min_length=1, max_length=1000)
    tuned: bool = Field(
        default=True, description="rules play with the values tuned for the task, or their defaults"
    )
    tasks: dict[str, TaskPlan] = Field(min_length=1)

    @field_validator("tasks")
    @classmethod
    def _tasks(cls, value: dict[str, TaskPlan]) -> dict[str, TaskPlan]:
        return {short_name(find_task(name)): plan for name, plan in value.items()}

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: list[int]) -> list[int]:
        return _distinct(value)

    @model_validator(mode="after")
    def _finals(self) -> Self:
        for name, plan in self.tasks.items():
            if plan.final and plan.final.episodes < self.held_out(name):
                raise ValueError(
                    f"tasks.{name}.final.episodes is {plan.final.episodes}; it must be at least "
                    f"the {self.held_out(name)} that everybody plays"
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

    def training_seeds(self, task: str, agent: str) -> list[int]:
        """Seeds that a learner of a task is trained with. A shift has few numbers: one fit."""
        kind = self.agents(task)[agent]
        usual = self.seeds if kind == "learner" else self.seeds[:1]
        return self.tasks[task].seeds.get(agent, usual)

    def scenario(self, task: str) -> Scenario:
        """The market a task is played in."""
        return load_scenario(self.tasks[task].scenario or find_task(task).scenario)

    def agents(self, task: str) -> dict[str, str]:
        """Names and kinds of a task's agents, doing nothing left out."""
        plan = self.tasks[task]
        return (
            dict.fromkeys(plan.rules, "rule")
            | {n: "shift" if _is_shift(s) else "learner" for n, s in plan.learners.items()}
            | {name: "reference" for name in plan.references if name != NOTHING}
            | dict.fromkeys(plan.agents, "own")
        )


def _is_shift(settings: LearnerSettings) -> bool:
    """Whether a learner is no more than the shift of a rule."""
    return isinstance(settings, ShiftSettings)


def load_benchmark(
    what: "str | Path | None" = None, changes: dict[str, Any] | None = None
) -> BenchmarkConfig:
    """Read a benchmark's YAML (default: the shipped one), with nested changes on top.

    Raises:
        ConfigError: one sentence per problem.
    """
    path = FOLDER / "benchmark.yaml" if what is None else Path(what)
    return validated_benchmark(merged(read_config(path), changes or {}))


def validated_benchmark(data: dict[str, Any]) -> BenchmarkConfig:
    """A benchmark from a dict that may share `defaults`; raises ConfigError with one sentence per
    problem.
    """
    data = dict(data)
    if "task" in data and "tasks" not in data:
        raise ConfigError(
            f"task is {data['task']!r}; a comparison is a benchmark of one task now: write rules "
            f"and learners under `tasks: {{{data['task']}: {{...}}}}`, as in configs/compare.yaml"
        )
    shared = data.pop("defaults", None) or {}
    if not isinstance(shared, dict):
        raise ConfigError(f"defaults is {shared!r}; it holds rules, learners and references")
    if "agents" in data:
        own = data.pop("agents") or {}
        if not isinstance(own, dict):
            raise ConfigError(f"agents is {own!r}; it holds names, each with `policy` or `train`")
        _check_agents(own)
        shared = merged(shared, {"agents": own})
    tasks = data.get("tasks")
    if isinstance(tasks, dict):
        if _names_own_agents_alone(shared, tasks):
            data, shared = _on_the_shipped(data, shared)
            tasks = data["tasks"]
        data["tasks"] = {
            name: _own(name, merged(shared, plan or {})) if isinstance(plan or {}, dict) else plan
            for name, plan in tasks.items()
        }
    try:
        return BenchmarkConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(sentences(error, _FIELDS)) from None


def _check_agents(agents: dict[str, Any]) -> None:
    """Say what is wrong with `agents` where the user wrote it, and once, not for every task."""
    problems = []
    for name, fields in agents.items():
        try:
            if fields is not None:  # null leaves out an agent
                OwnAgent.model_validate(fields)
        except ValidationError as error:
            problems.append(sentences(error, OwnAgent.model_fields, ("agents", str(name))))
    if problems:
        raise ConfigError("\n".join(problems))


_FIELDS = {
    name
    for model in (BenchmarkConfig, TaskPlan, OwnAgent, Reference, Final)
    for name in model.model_fields
}
PARTS = ("rules", "learners", "references")
MERCHANTS = ("episodes", "test_seed", "split", "tuned")  # what committed rows depend on


def _names_own_agents_alone(shared: dict[str, Any], tasks: dict[str, Any]) -> bool:
    plans = [shared, *(plan for plan in tasks.values() if isinstance(plan, dict))]
    return any("agents" in plan for plan in plans) and not any(
        part in plan for plan in plans for part in PARTS
    )


def _on_the_shipped(
    data: dict[str, Any], shared: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tasks of a configuration that names own agents alone, on top of the shipped benchmark's.

    Raises:
        ConfigError: a task changes more than its own agents.
    """
    for task, plan in data["tasks"].items():
        others = [name for name in plan or {} if name != "agents"]
        if others:
            raise ConfigError(
                f"tasks.{task} names {', '.join(others)} beside agents of your own; without rules, "
                "learners and references it is the committed task, where nothing else can change"
            )
    shipped = read_config(FOLDER / "benchmark.yaml")
    known = {name: field.default for name, field in BenchmarkConfig.model_fields.items()}
    known |= {name: value for name, value in shipped.items() if name in known}
    common = merged(shipped.pop("defaults"), shared)
    plans = {short_name(find_task(name)): plan for name, plan in shipped.pop("tasks").items()}
    tasks = {
        name: merged(plans.get(short_name(find_task(name)), {}), plan or {})
        for name, plan in data["tasks"].items()
    }
    if any(data.get(name, known[name]) != known[name] for name in MERCHANTS):
        common |= {"learners": {}, "references": {}}
        tasks = {
            name: {part: plan[part] for part in ("rules", "agents") if part in plan}
            for name, plan in tasks.items()
        }
        return data | {"tasks": tasks}, common
    data = dict(data)
    seeds = data.pop("seeds", None)
    if seeds is not None and seeds != known["seeds"]:
        for plan in (common, *tasks.values()):
            plan["agents"] = _with_seeds(plan.get("agents") or {}, seeds)
    return shipped | data | {"tasks": tasks}, common


def _with_seeds(agents: dict[str, Any], seeds: Any) -> dict[str, Any]:
    """The agents, those that are trained with these seeds unless they name their own."""
    return {
        name: {"seeds": seeds} | own if isinstance(own, dict) and "train" in own else own
        for name, own in agents.items()
    }


def _own(task: str, plan: dict[str, Any]) -> dict[str, Any]:
    """A task's plan less the entries it sets to null, `{task}` filled in."""
    parts = {
        part: {name: value for name, value in plan[part].items() if value is not None}
        for part in ("learners", "references", "agents")
        if isinstance(plan.get(part), dict)
    }
    for name, settings in parts.get("learners", {}).items():
        for field in ("training_env", "practice"):  # the second is its first name
            env = settings.get(field) if isinstance(settings, dict) else None
            if isinstance(env, dict) and env.get("rule_task") == "{task}":
                known = {"rule_task": short_name(find_task(task))}
                parts["learners"][name] = settings | {field: env | known}
    return plan | parts


def _shortened(settings: dict[str, Any]) -> dict[str, Any]:
    """A learner's settings with few steps, those of its start included."""
    few = {"steps": min(settings["steps"], 100_000), "num_envs": min(settings["num_envs"], 64)}
    start = settings.get("start")
    return settings | few | ({"start": _shortened(start)} if start else {})


def quick(config: BenchmarkConfig) -> BenchmarkConfig:
    """The same benchmark as a trial of minutes: 16 episodes, one seed, 100,000 training steps,
    references of one day only.
    """
    tasks = {}
    for name, plan in config.model_dump(mode="json")["tasks"].items():
        learners = {agent: _shortened(s) for agent, s in plan["learners"].items()}
        days = plan["days"] or find_task(name).days
        references = {
            agent: r for agent, r in plan["references"].items() if days == 1 or agent == NOTHING
        }
        tasks[name] = plan | {
            "episodes": None,
            "final": None,
            "seeds": {agent: seeds[:1] for agent, seeds in plan["seeds"].items()},
            "learners": learners,
            "references": references,
            "agents": {
                agent: own
                | {"steps": min(own["steps"], 100_000), "seeds": (own["seeds"] or [0])[:1]}
                if own["train"] and own["steps"]
                else own
                for agent, own in plan["agents"].items()
            },
        }
    return validated_benchmark(
        {
            "episodes": min(config.episodes, 16),
            "test_seed": config.test_seed,
            "split": config.split,
            "seeds": config.seeds[:1],
            "tuned": config.tuned,
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
