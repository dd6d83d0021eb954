"""The upper bound and its pieces, one idea a module (docs/upper_bound.md holds the argument)."""

from .upper_bound import Bound, upper_bound

__all__ = ["Bound", "upper_bound"]
