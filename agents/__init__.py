"""Who acts: rules and learners behind one protocol. Imports the environments only."""

from .policy import PlanSpec, Policy, Reading, plan_spec
from .rollout import rollout
from .rules import RULES, Rule, make_rule

__all__ = ["RULES", "PlanSpec", "Policy", "Reading", "Rule", "make_rule", "plan_spec", "rollout"]
