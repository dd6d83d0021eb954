"""Who the merchant is: its deviations from the scenario, its budget and its ROI target (world
2.11).
"""

from .draws import draw_merchant
from .fluid_market import REACTIONS
from .slots import DRAWS

__all__ = ["DRAWS", "REACTIONS", "draw_merchant"]
