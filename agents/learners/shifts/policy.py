"""A rule whose levers are shifted by what is known beforehand: a constant, a schedule, or the facts
a merchant shows at the start of an episode. Nothing of it answers to what happens.

With the rule's action b_t(o) the policy plays

    a_t = clip(b_t(o) + c + d_day(t) + h_hour(t) + M z, -1, 1),
    z = clip((f - mean) / spread, -4, 4),

f being the facts of the episode's first observation. It is a folder as a saved policy is:
`policy.json` and `policy.safetensors`, and loading runs no code.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ....envs import FEATURE_NAMES
from ....envs.files import whole_file
from ...policy import PlanSpec
from ...rules import make_rule
from ..saved.description import ArtefactError, check_residual, plan_facts, residual_rule

FORMAT = "chengfang-shift-1"
FACTS = (
    "roi_target",
    "budget_size",
    "order_value",
    "margin",
    "coupon_budget",
    "quality_natural",
    "quality_transaction",
)
FORMS = ("constant", "schedule", "start_facts")
WIDEST_FACT = 4.0  # standard deviations
_FACT_COLUMNS = [FEATURE_NAMES.index(name) for name in FACTS]


class Shift(NamedTuple):
    """The numbers of a shift, float32 arrays; what its form does not use is zero."""

    constant: np.ndarray  # (levers,)
    days: np.ndarray  # (days, levers)
    hours: np.ndarray  # (ticks per day, levers)
    facts: np.ndarray  # (levers, facts)
    mean: np.ndarray  # (facts,) of the facts over merchants
    spread: np.ndarray  # (facts,) their standard deviation

    def standard(self, facts: np.ndarray) -> np.ndarray:
        """Facts (n, facts) in standard deviations from their mean."""
        return np.clip((facts - self.mean) / self.spread, -WIDEST_FACT, WIDEST_FACT)

    def at(self, tick: np.ndarray, standard: np.ndarray) -> np.ndarray:
        """The shift (n, levers) at ticks (n,) of episodes with standardised facts (n, facts)."""
        day = np.minimum(tick // len(self.hours), len(self.days) - 1)
        in_time = self.days[day] + self.hours[tick % len(self.hours)]
        # not as a matrix product, whose rounding depends on the size of the batch
        of_facts = (standard[:, None] * self.facts).sum(-1)
        return self.constant + in_time + of_facts


def no_shift(spec: PlanSpec) -> Shift:
    """A shift that moves nothing yet."""
    levers, facts = len(spec.levers), len(FACTS)
    days = -(-spec.ticks // spec.ticks_per_day)
    zeros = [
        np.zeros(shape, np.float32)
        for shape in (
            (levers,),
            (days, levers),
            (spec.ticks_per_day, levers),
            (levers, facts),
            (facts,),
        )
    ]
    return Shift(*zeros, spread=np.ones(facts, np.float32))


class Memory(NamedTuple):
    """What the policy keeps between ticks."""

    rule: Any  # of the rule underneath
    age: np.ndarray  # (n,) ticks since the episode began
    facts: np.ndarray  # (n, facts) standardised facts of its start


class ShiftedRule:
    """A rule plus a `Shift`.

    Args:
        shift: the numbers.
        description: what `policy.json` holds: form, levers, residual (rule, parameters, scale 1,
            plan), and where it comes from.
    """

    def __init__(self, shift: Shift, description: dict[str, Any]):
        self.shift = shift
        self.description = {k: v for k, v in description.items() if k not in ("format", "facts")}
        self.levers = tuple(description["levers"])
        rule = residual_rule(description)
        assert rule is not None
        self.rule = rule

    def predict(
        self,
        observation: np.ndarray,
        state: Memory | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Memory]:
        """Act on a batch; see `Policy.predict`. It is deterministic."""
        x = np.atleast_2d(np.asarray(observation, np.float32))
        base, memory = self.propose(x, state, episode_start)
        action = np.clip(base + self.shift.at(memory.age, memory.facts), -1, 1).astype(np.float32)
        memory = memory._replace(age=memory.age + 1)
        return (action if np.ndim(observation) > 1 else action[0]), memory

    def propose(
        self, x: np.ndarray, state: Memory | None, episode_start: np.ndarray | None
    ) -> tuple[np.ndarray, Memory]:
        """The rule's own action (n, levers), and the memory with this tick's age and facts."""
        n = len(x)
        fresh = np.ones(n, bool) if state is None else np.zeros(n, bool)
        if state is not None and episode_start is not None:
            fresh = np.atleast_1d(np.asarray(episode_start, bool))
        base, rule = self.rule.predict(x, None if state is None else state.rule, fresh)
        facts = self.shift.standard(x[:, _FACT_COLUMNS]).astype(np.float32)
        if state is None:
            return base, Memory(rule, np.zeros(n, np.int64), facts)
        age = np.where(fresh, 0, state.age)
        return base, Memory(rule, age, np.where(fresh[:, None], facts, state.facts))

    def save(self, folder: Path) -> None:
        """Write the folder; each file appears whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {k: np.ascontiguousarray(v) for k, v in self.shift._asdict().items()}
        with whole_file(folder / "policy.safetensors") as draft:
            save_file(tensors, draft)
        text = json.dumps({"format": FORMAT, "facts": list(FACTS)} | self.description, indent=2)
        with whole_file(folder / "policy.json") as draft:
            draft.write_text(text + "\n", encoding="utf-8")


def shifted(
    rule: str, parameters: dict[str, float], spec: PlanSpec, form: str, shift: Shift, **origin: Any
) -> ShiftedRule:
    """A shifted rule from its parts; raises ValueError for a form or a rule that there is not."""
    if form not in FORMS:
        raise ValueError(f"form is {form!r}; allowed are {', '.join(FORMS)}")
    make_rule(rule, spec, **parameters)
    residual = {"rule": rule, "parameters": parameters, "scale": 1.0, "plan": plan_facts(spec)}
    known = {"form": form, "levers": list(spec.levers), "residual": residual}
    return ShiftedRule(shift, known | origin)


def is_shift(folder: "str | Path") -> bool:
    """Whether a folder says that it holds a shifted rule."""
    try:
        text = (Path(folder) / "policy.json").read_text(encoding="utf-8")
        description = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(description, dict) and description.get("format") == FORMAT


def load_shift(folder: "str | Path") -> ShiftedRule:
    """Read a shifted rule; raises ArtefactError in one sentence for anything else."""
    folder = Path(folder)
    if not is_shift(folder):
        raise ArtefactError(f"{folder} is no shifted rule: its format is not {FORMAT}")
    description = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
    try:
        tensors = load_file(folder / "policy.safetensors")
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{folder} cannot be read: {error}") from None
    _require(folder, description.get("form") in FORMS, f"its form is none of {', '.join(FORMS)}")
    _require(folder, description.get("facts") == list(FACTS), "its facts are not those of now")
    levers = description.get("levers")
    names = isinstance(levers, list) and all(isinstance(name, str) for name in levers)
    _require(folder, names and len(set(levers)) == len(levers) > 0, "its levers are no names")
    check_residual(folder, description.get("residual"))
    try:
        rule = residual_rule(description)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{folder} cannot be used: {error}") from None
    assert rule is not None
    wanted = no_shift(rule.spec)._asdict()
    fits = set(tensors) == set(wanted) and all(
        tensors[name].shape == value.shape
        and tensors[name].dtype == np.float32
        and np.isfinite(tensors[name]).all()
        for name, value in wanted.items()
    )
    _require(folder, fits, "its numbers do not fit its levers, days and facts")
    _require(folder, (tensors["spread"] > 0).all(), "a fact's spread is not positive")
    return ShiftedRule(Shift(**tensors), description)


def _require(folder: Path, holds: Any, problem: str) -> None:
    if not holds:
        raise ArtefactError(f"{folder} cannot be used: {problem}")
