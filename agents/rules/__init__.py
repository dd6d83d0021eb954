"""Rule baselines, batched over plans, each citing its source."""

from ..policy import PlanSpec
from .base import Rule, lever_action
from .coupons import UniformCoupon
from .dual import DualMirrorDescent
from .fixed import DoNothing, FixedBid
from .four_plans import FourPlans
from .pacing import PID, EvenPacing, ManualOperator

RULES: dict[str, type[Rule]] = {rule.__name__: rule for rule in (
    DoNothing, FixedBid, EvenPacing, ManualOperator, PID, DualMirrorDescent, UniformCoupon, FourPlans)}


def make_rule(name: str, spec: PlanSpec, **parameters: float) -> Rule:
    """A rule by name (case does not matter); raises ValueError naming what is allowed."""
    for known, rule in RULES.items():
        if known.lower() == name.lower():
            return rule(spec, **parameters)
    raise ValueError(f"rule is {name!r}; allowed are {', '.join(RULES)}")


__all__ = ["PID", "RULES", "DoNothing", "DualMirrorDescent", "EvenPacing", "FixedBid", "FourPlans", "ManualOperator", "Rule",
           "UniformCoupon", "lever_action", "make_rule"]
