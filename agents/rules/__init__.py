"""Rule baselines, batched over plans, each citing its source."""

from ..policy import PlanSpec
from .base import Rule, lever_action, present_names
from .coupons import MCKPCoupon, UniformCoupon
from .cross_scene import CrossScenePID
from .division import EvenDivision, MarginalDivision
from .dual import DualMirrorDescent
from .fixed import DoNothing, FixedBid
from .four_plans import FourPlans
from .marginal import MarginalROI
from .mpc import MPC
from .online_lp import OnlineLP
from .pacing import PID, EvenPacing, ManualOperator, MinPacing

RULES: dict[str, type[Rule]] = {
    rule.__name__: rule
    for rule in (
        DoNothing,
        FixedBid,
        EvenPacing,
        ManualOperator,
        PID,
        DualMirrorDescent,
        UniformCoupon,
        FourPlans,
        CrossScenePID,
        MinPacing,
        MarginalROI,
        OnlineLP,
        MPC,
        MCKPCoupon,
    )
}

# Rules that act where the platform bids (world 2.15), by the levers of the set `division`; apart,
# because of the tasks only `Allocation-v1` has these levers.
DIVISION_RULES: dict[str, type[Rule]] = {
    rule.__name__: rule for rule in (EvenDivision, MarginalDivision)
}
ALL_RULES = RULES | DIVISION_RULES


def make_rule(name: str, spec: PlanSpec, **parameters: float) -> Rule:
    """A rule by name, case does not matter.

    Args:
        name: one of `ALL_RULES`.
        spec: the public facts of the task.
        **parameters: of the rule; first names (`base.RENAMED`) are accepted too.

    Raises:
        ValueError: naming what is allowed.
    """
    for known, rule in ALL_RULES.items():
        if known.lower() == name.lower():
            return rule(spec, **present_names(parameters))
    raise ValueError(f"rule is {name!r}; allowed are {', '.join(ALL_RULES)}")


__all__ = [
    "ALL_RULES",
    "DIVISION_RULES",
    "MPC",
    "PID",
    "RULES",
    "CrossScenePID",
    "DoNothing",
    "DualMirrorDescent",
    "EvenDivision",
    "EvenPacing",
    "FixedBid",
    "FourPlans",
    "MCKPCoupon",
    "ManualOperator",
    "MarginalDivision",
    "MarginalROI",
    "MinPacing",
    "OnlineLP",
    "Rule",
    "UniformCoupon",
    "lever_action",
    "make_rule",
]
