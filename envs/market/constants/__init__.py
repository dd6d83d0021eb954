"""A scenario as the engine reads it: a record of constants, the base cells and the calendar's
tables.
"""

from .record import WORLD
from .world import World, build_world

__all__ = ["WORLD", "World", "build_world"]
