"""APG, a policy trained by the market's own derivative. Imports torch: import it where it is
used.
"""

from .train import train_apg

__all__ = ["train_apg"]
