"""References: what is achievable in hindsight, and what no policy can exceed."""

from .bound import Bound, upper_bound
from .clairvoyant import (
    Clairvoyant,
    Search,
    best_constant,
    clairvoyant,
    default_starts,
    replay,
    replay_on_fresh_noise,
)

__all__ = [
    "Bound",
    "Clairvoyant",
    "Search",
    "best_constant",
    "clairvoyant",
    "default_starts",
    "replay",
    "replay_on_fresh_noise",
    "upper_bound",
]
