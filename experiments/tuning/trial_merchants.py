"""The training merchants that a stage's trials are scored on."""

from typing import NamedTuple

import numpy as np

from ...agents import make_rule, plan_spec, rollout
from ...envs import Market, Setting, unit_of
from ..analysis.statistics import iqm
from ..runs.evaluate import play_noop


class Trial(NamedTuple):
    """One setting of a rule that was tried."""

    number: int
    stage: str
    value: float
    violation: float
    parameters: dict[str, float]


class TrialMerchants:
    """A fixed set of training merchants on which settings of a rule are scored.

    Args:
        setting: what is played.
        rule: its name.
        seed: first stream.
        count: of merchants.
    """

    def __init__(self, setting: Setting, rule: str, seed: int, count: int):
        self.rule = rule
        self.spec = plan_spec(setting)
        seeds = np.arange(seed, seed + count)
        self.market = Market.of(setting, count)
        self.market.reset(seeds=seeds)
        self.start = self.market.get_state()
        self.unit = unit_of(play_noop(setting, seeds))
        self.steps = count * self.market.ticks

    def score(self, parameters: dict[str, float]) -> dict[str, float]:
        """The judge's figure and what stands beside it, for one setting of the rule."""
        rule = make_rule(self.rule, self.spec, **parameters)
        self.market.set_state(self.start)
        plan = rollout(rule, self.market)
        return {
            "score": iqm(plan["score"] / self.unit),
            "violation_rate": float(plan["violated"].mean()),
            "mean_shortfall": float(plan["shortfall"].mean()),
            "budget_use": float(plan["budget_use"].mean()),
        }
