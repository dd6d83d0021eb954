"""A rule plus a shift of its levers: what of a learner's gain is mere retuning."""

from .policy import ShiftedRule, load_shift

__all__ = ["ShiftedRule", "load_shift"]
