"""Market ticks that an agent cost before it plays its held-out episodes, by its specification.

A tick is a tick, whoever plays it: a learner's own markets, copies that do nothing or follow a rule
beside them, demonstrations, every member of an ensemble, the trials of a tuning, the search of a
plan in hindsight, and the tuning that a learner inherits from the rule it stands on.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from ...agents.learners.settings import (
    CHOOSING,
    SCALE_MARKETS,
    SHARES,
    APGSettings,
    LearnerSettings,
    PPOSettings,
    SACSettings,
    ShiftSettings,
    rule_values,
    start_settings,
)
from ...agents.rules.tuned import load_tuned
from ...envs import find_task, load_scenario
from ..report.markdown import millions
from ..runs.spec import RunSpec
from .config import NOTHING


class Ticks(NamedTuple):
    """Market ticks by what they were simulated for."""

    training: int = 0  # a learner's own markets
    copies: int = 0  # of them, doing nothing or following the rule underneath
    demonstrations: int = 0  # searched in hindsight and replayed
    tuning: int = 0  # of the rule itself, or of the rule that a learner stands on
    search: int = 0  # of a plan in hindsight

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)

    def __str__(self) -> str:
        """`36.0 M ticks (training 12.0 M, copies 24.0 M)`."""
        parts = [f"{name} {millions(n)}" for name, n in self._asdict().items() if n]
        inner = f" ({', '.join(parts)})" if len(parts) > 1 else ""
        return f"{millions(self.total)} ticks{inner}"


def ticks_of(specs: list[RunSpec]) -> Ticks | None:
    """What one agent cost, from its runs: one training, whatever the number of its seeds; the whole
    search of a reference. None where an agent of the user's own does not say.
    """
    spec = specs[0]
    episode = spec.days * int(spec.scenario["clock"]["ticks_per_day"])
    if spec.is_learned:
        settings = TypeAdapter(LearnerSettings).validate_python(spec.options)
        return training_ticks(settings, episode)
    if spec.kind == "rule":
        return Ticks(tuning=tuning_ticks(spec.options["rule"], spec.options["parameters"]))
    if spec.kind == "own":
        return Ticks(training=spec.training_steps) if spec.training_steps else None
    return Ticks(search=sum(_search_ticks(part, episode) for part in specs))


def training_ticks(settings: LearnerSettings, episode: int) -> Ticks:
    """What a training simulates, and the tuning that it inherits.

    Args:
        settings: of the learner.
        episode: ticks of an episode.
    """
    if isinstance(settings, (ShiftSettings, APGSettings)):
        return _fitting_ticks(settings, episode)
    env = settings.training_env
    networks = settings.ensemble if isinstance(settings, PPOSettings) else 1
    alone = max(1, settings.steps // networks)  # steps of a network
    hold = env.hold if env else 1
    together = settings.num_envs  # decisions that are made at once
    if isinstance(settings, PPOSettings):
        together *= settings.n_steps
    decisions = -(-alone // hold)
    own = -(-decisions // together) * together * hold
    begun = settings.num_envs * (1 + own // settings.num_envs // episode)  # episodes
    copies = _copies(settings) * begun * episode
    if env is None and settings.reward == "incremental":
        copies = own
    tuning = 0
    if env is not None and env.rule:
        tuning = tuning_ticks(env.rule, rule_values(env))
    shown = settings.demonstrations and settings.demonstrations * _demonstration_ticks(episode)
    if isinstance(settings, PPOSettings) and settings.spread is not None:
        # of the episodes that inputs are measured over
        own += SCALE_MARKETS * (episode - hold)
        copies += SCALE_MARKETS * _copies(settings) * episode
    begun_by = start_settings(settings)
    if begun_by is not None:
        first = _fitting_ticks(begun_by, episode)
        own, copies = own + first.training, copies + first.copies
    return Ticks(networks * own, networks * copies, networks * shown, tuning)


def _fitting_ticks(settings: ShiftSettings | APGSettings, episode: int) -> Ticks:
    """Of what is learned by the market's derivative: its markets, and doing nothing on the same
    merchants; of a shift also those on which its share is chosen.
    """
    batch = settings.num_envs * episode
    own = max(1, -(-settings.steps // batch)) * batch
    env = settings.training_env
    tuning = tuning_ticks(env.rule, rule_values(env)) if env and env.rule else 0
    chosen = CHOOSING * episode if isinstance(settings, ShiftSettings) else 0
    return Ticks(own + len(SHARES) * chosen, own + chosen, tuning=tuning)


def tuning_ticks(rule: str, parameters: Mapping[str, float]) -> int:
    """Ticks of the studies that found values of a rule; 0 for values that no study found."""
    study = _study_of(rule, parameters)
    return _study_ticks(*study) if study else 0


def tuning_seconds(spec: RunSpec) -> float | None:
    """CPU seconds of a rule's tuning: 0 without one, None where its study did not note them."""
    study = _study_of(spec.options["rule"], spec.options["parameters"])
    return study[1].get("cpu_seconds") if study else 0.0


def _study_of(rule: str, parameters: Mapping[str, float]) -> tuple[str, dict[str, Any]] | None:
    """The task and the study whose values these are, if at least half of its own are among them."""
    for task, rules in load_tuned().items():
        study = rules.get(rule, {"parameters": {}})
        found = study["parameters"]
        same = sum(parameters.get(name) == value for name, value in found.items())
        if found and parameters and 2 * same >= len(found):
            return task, study
    return None


def _study_ticks(task: str, study: dict[str, Any]) -> int:
    """Trials of a study and of those it went on from, and doing nothing on its merchants."""
    found = find_task(task)
    episode = found.days * load_scenario(found.scenario).clock.ticks_per_day
    merchants = sum(study["merchants"]) + study["check_merchants"]
    ticks = study.get("steps_in_all", study["steps"]) + merchants * episode
    namesake = load_tuned()[task].get(study.get("same_as", ""))  # whose values it started from
    return ticks + (_study_ticks(task, namesake) if namesake else 0)


def _copies(settings: PPOSettings | SACSettings) -> int:
    """How many copies of its markets a training env plays beside them (`agents.wrappers`)."""
    env = settings.training_env
    if env is None:
        return 0
    seen = env.privileged and isinstance(settings, PPOSettings)
    noop = env.relative or env.counterfactual == "noop" or seen  # one copy serves all
    return int(noop) + int(env.counterfactual == "rule")


def _demonstration_ticks(episode: int) -> int:
    """Of one demonstrated episode: searched, replayed, and replayed to be watched."""
    from ...agents.learners.training.demonstrations import SEARCH
    from ...agents.references.clairvoyant import START_RULES, SWEEP

    starts = len(SWEEP) + len(START_RULES)
    return (starts + SEARCH.iterations * SEARCH.population + 2) * episode


def _search_ticks(spec: RunSpec, episode: int) -> int:
    """Of one run of a reference."""
    if spec.agent == NOTHING:
        return 0
    if spec.agent == "upper_bound":
        return spec.episodes * episode  # doing nothing on every merchant
    from ...agents.references.clairvoyant import NOISES, START_RULES, SWEEP, Search

    options = dict(spec.options)
    tuned = len(options.pop("starts", {}))
    search = Search(**options)
    starts = len(SWEEP) + (len(START_RULES) + tuned if spec.agent == "clairvoyant" else 0)
    replays = NOISES if spec.agent == "clairvoyant" else 0
    plans = replays + starts + search.iterations * search.population + 1  # the best is replayed
    return spec.episodes * plans * episode
