"""The market's derivative: what an action moves in the episode's result.

The compiled engine stays the only truth; errors in this second telling of its equations bias a
gradient, never a value.
"""

from .episode import Episode, episode_gradient

__all__ = ["Episode", "episode_gradient"]
