"""References: what is achievable in hindsight, and what no policy can exceed."""

from .clairvoyant import Clairvoyant, Search, clairvoyant, replay

__all__ = ["Clairvoyant", "Search", "clairvoyant", "replay"]
