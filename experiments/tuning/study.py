"""One search for the values of a rule: two stages of trials by CMA-ES, then a check."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...agents import RULES
from ...agents.rules.base import RENAMED
from ...envs import Setting, Task, short_name
from ..runs.manifest import code_version
from .search_space import Range, search_space
from .trial_log import TrialLog, write_trials
from .trial_merchants import Trial, TrialMerchants

# first streams; the split is the training one
SEARCH_SEED = 2_000_000
STAGE_SEEDS = 100_000  # between the stages
CHECK_SEED = 3_000_000
FIRST_NAMES = {new: old for old, new in RENAMED.items()}


class Budget(NamedTuple):
    """How much simulation a study may use, and on how many merchants."""

    steps: int
    merchants: tuple[int, int] = (192, 512)  # of the first and the second stage
    check: int = 1024  # of the final check
    finalists: int = 5
    # first standard deviation of each stage, share of a range
    spread: tuple[float, float] = (0.12, 0.05)


class Note(NamedTuple):
    """How far a study is."""

    done: int  # trials, of both stages and the check
    total: int
    words: str  # on the stage that is under way
    result: str = ""  # a sentence, once a stage is over


OnProgress = Callable[[Note], None]


class Study:
    """One search for the values of a rule on a task.

    Args:
        name: the rule whose values are searched.
        played: the rule that it is on these levers.
        task, setting: what is played.
        budget: how much simulation.
        seed: of the sampler.
        folder: where the trials are written.
        on_progress: called after every trial.
    """

    def __init__(
        self,
        name: str,
        played: str,
        task: Task,
        setting: Setting,
        budget: Budget,
        seed: int,
        folder: Path,
        on_progress: OnProgress,
    ):
        self.title = f"{short_name(task)} {name}"
        self.played = played
        self.setting = setting
        self.budget = budget
        self.seed = seed
        self.on_progress = on_progress
        self.space = search_space(played, setting.levers, bool(setting.scenario.traffic.events))
        self.path = Path(folder) / f"{short_name(task)}-{name}.csv"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.log = TrialLog(self.path.with_name(self.path.name + ".part"))
        self.numbers = _trials(budget, setting)
        self.trials: list[Trial] = []
        self._checked = 0

    def run(self, starts: list[dict[str, float]]) -> dict[str, Any]:
        """Search in two stages from the defaults and the given settings, and check the best.

        Returns:
            What is kept of the study.
        """
        known = RULES[self.played].common | RULES[self.played].defaults
        defaults = {key: known[key] for key in self.space}
        first = [
            defaults,
            *({key: start.get(key, value) for key, value in defaults.items()} for start in starts),
        ]
        best: list[Trial] = []
        for stage in range(len(self.numbers)):
            made = self._search(stage, first)
            best = sorted(made, key=lambda trial: -trial.value)
            self.say(
                f"stage {stage + 1}: {best[0].value:.4f} of {self.numbers[stage]} trials; "
                f"defaults {made[0].value:.4f}"
            )
            first = [defaults, best[0].parameters]
        return self._check(defaults, best[: self.budget.finalists])

    def say(self, result: str) -> None:
        """Report the end of a stage."""
        self._note("", f"{self.title} {result}")

    def _note(self, words: str, result: str = "") -> None:
        total = sum(self.numbers) + self.budget.finalists + 1
        self.on_progress(Note(len(self.trials) + self._checked, total, words, result))

    def _merchants(self, seed: int, count: int) -> TrialMerchants:
        return TrialMerchants(self.setting, self.played, seed, count)

    def _search(self, stage: int, first: list[dict[str, float]]) -> list[Trial]:
        """A stage's trials: the given settings, then CMA-ES from the best of them."""
        number = self.numbers[stage]
        merchants = self._merchants(SEARCH_SEED + stage * STAGE_SEEDS, self.budget.merchants[stage])
        made: list[Trial] = []

        def run(parameters: dict[str, float]) -> float:
            values = {key: self.space[key].inside(value) for key, value in parameters.items()}
            count = len(self.trials)
            figures = self.log.scored(f"{stage + 1} {count}", values, merchants)
            trial = Trial(
                count, str(stage + 1), figures["score"], figures["violation_rate"], values
            )
            made.append(trial)
            self.trials.append(trial)
            best = max(trial.value for trial in made)
            self._note(f"stage {stage + 1}, best {best:.4f}, defaults {made[0].value:.4f}")
            return trial.value

        for values in first[:number]:
            run(values)
        start = max(made, key=lambda trial: trial.value).parameters
        ask = _sampler(self.space, start, self.budget.spread[stage], self.seed + stage)
        while len(made) < number:
            values, tell = ask()
            tell(run(values))
        return made

    def _check(self, defaults: dict[str, float], finalists: list[Trial]) -> dict[str, Any]:
        """Score the finalists and the defaults on merchants of their own; the best is kept."""
        merchants = self._merchants(CHECK_SEED, self.budget.check)
        base = merchants.score(defaults)
        self._checked = 1
        finals = []
        for trial in finalists:
            figures = self.log.scored(f"check {trial.number}", trial.parameters, merchants)
            finals.append((trial, figures))
            self._checked += 1
            self._note("check")
        winner, figures = max(finals, key=lambda pair: pair[1]["score"])
        if figures["score"] < base["score"]:
            winner = winner._replace(parameters=defaults)
            figures = base
        self.say(
            f"check: {figures['score']:.4f}, violation {figures['violation_rate']:.3f}; "
            f"defaults {base['score']:.4f}"
        )
        write_trials(self.path, list(self.space), self.trials, finals)
        self.log.path.unlink(missing_ok=True)
        return self._kept(winner, figures, base)

    def _kept(
        self, winner: Trial, figures: dict[str, float], base: dict[str, float]
    ) -> dict[str, Any]:
        budget = self.budget
        return {
            "parameters": winner.parameters,
            **{key: round(value, 6) for key, value in figures.items()},
            "score_default": round(base["score"], 6),
            "violation_rate_default": round(base["violation_rate"], 6),
            "trials": len(self.trials),
            "steps": budget.steps,
            "cpu_seconds": round(self.log.cpu_seconds, 3),
            "merchants": list(budget.merchants),
            "check_merchants": budget.check,
            "first_seeds": [SEARCH_SEED, SEARCH_SEED + STAGE_SEEDS, CHECK_SEED],
            "sampler": "CMA-ES",
            "sampler_seed": self.seed,
            "scenario_hash": self.setting.scenario.hash,
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


Ask = Callable[[], tuple[dict[str, float], Callable[[float], None]]]


def _sampler(space: dict[str, Range], start: dict[str, float], spread: float, seed: int) -> Ask:
    """CMA-ES around a setting: each call gives values to try, and what to call with their score."""
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        # start and spread are to move to another package in Optuna 6
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.CmaEsSampler(
            x0={_sorted_as(key): value for key, value in start.items()},
            sigma0=spread,
            seed=seed,
            n_startup_trials=0,
            warn_independent_sampling=False,
        )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions: dict[str, Any] = {
        _sorted_as(key): optuna.distributions.FloatDistribution(r.low, r.high, log=r.log)
        for key, r in space.items()
    }

    def ask() -> tuple[dict[str, float], Callable[[float], None]]:
        trial = study.ask(distributions)
        values = {key: trial.params[_sorted_as(key)] for key in space}
        return values, lambda value: study.tell(trial, value)

    return ask


def _sorted_as(name: str) -> str:
    """The first name of a parameter. Optuna sorts parameters by name and draws in that order, so
    that a study that is made again must use the names it was made with.
    """
    return FIRST_NAMES.get(name, name)


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
