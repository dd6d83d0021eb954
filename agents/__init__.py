"""Who acts: rules, learners and code of one's own behind one protocol. Imports the environments
only.
"""

from .catalog import find_policy
from .guard import AgentError
from .policy import PlanSpec, Policy, Reading, plan_spec
from .rollout import rollout
from .rules import RULES, Rule, make_rule

__all__ = [
    "RULES",
    "AgentError",
    "PlanSpec",
    "Policy",
    "Reading",
    "Rule",
    "find_policy",
    "make_rule",
    "plan_spec",
    "rollout",
]
