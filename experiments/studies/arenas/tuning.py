"""A small, equal tuning of every rule on training merchants of the world that it will be judged in.

Rules were shipped with numbers chosen for one market; a rule that plays another with them is a
straw man. Each rule gets the same search here: its start, its safety margin and its bids by scene,
one after another, up and down, for the inter-quartile mean score.
"""

from collections.abc import Mapping

from ....agents import make_rule, plan_spec
from ....agents.rules import RULES
from ....envs import unit_of
from ....envs.scenario import SCENES
from ...analysis.statistics import iqm
from .arena import Arena, Plans

FACTOR = 1.4  # first step of a parameter that multiplies
ADDED = 0.25  # and of one that is a logarithm
SCENE_BIDS = tuple(f"scene_{scene}" for scene in SCENES)
TUNED: dict[str, tuple[str, ...]] = {
    "PID": ("start_at", "safety_margin", *SCENE_BIDS),
    "DualMirrorDescent": ("shade", "mu_start", *SCENE_BIDS),
    "FourPlans": ("start_at", "ad_part", *SCENE_BIDS),
}
LOGARITHMS = ("safety_margin", *SCENE_BIDS)
MARGIN_STEP = 0.06
STRIDES = 3  # a parameter goes on in a direction that pays, at most this often a round


def tune(
    rule: str, training: Arena, rounds: int = 2, fixed: Mapping[str, float] = {}
) -> dict[str, float]:
    """Parameters of a rule that did best on the training merchants, beside the `fixed` ones; each
    round halves the steps.
    """
    unit = unit_of(training.noop())

    def worth(given: Mapping[str, float]) -> float:
        return iqm(play_rule(rule, training, given)["score"] / unit)

    best = {name: _default(rule, name) for name in TUNED[rule]} | dict(fixed)
    most = worth(best)
    for level in range(rounds):
        for name in TUNED[rule]:
            for sign in (1, -1):
                before = most
                for _ in range(STRIDES):
                    tried = best | {name: _moved(name, best[name], sign / 2**level)}
                    value = worth(tried)
                    if value <= most:
                        break
                    best = tried
                    most = value
                if most > before:
                    break
    return best


def play_rule(rule: str, arena: Arena, parameters: Mapping[str, float]) -> Plans:
    """Dashboard figures, each (n,), of a rule with these parameters."""
    return arena.play(make_rule(rule, plan_spec(arena.market.setting), **parameters))


def _default(rule: str, name: str) -> float:
    return float((RULES[rule].common | RULES[rule].defaults)[name])


def _moved(name: str, value: float, step: float) -> float:
    if name == "safety_margin":
        return value + MARGIN_STEP * step
    return value + ADDED * step if name in LOGARITHMS else value * FACTOR**step
