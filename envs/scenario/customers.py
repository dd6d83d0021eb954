"""Customers who come back, and what an episode's end leaves behind (world 2.13, 2.14)."""

from .quantity import Section, quantity

CDNOW = (
    "BG/NBD on 2,357 CDNOW buyers (Fader, Hardie & Lee 2005): 0.24 orders per 30 days while "
    "active, 1.04 in 33 weeks, as of a stay of 180 days; a shop on a platform keeps fewer"
)
MOST_FED = 0.9  # orders that an order may bring


class Repeat(Section):
    """Buyers who keep their goods become customers and come back through the free pools."""

    rate: float = quantity(
        0.0,
        "orders",
        0,
        3,
        "repeat orders of a customer in 30 days; 0: nobody comes back",
        CDNOW,
    )
    delay_days: float = quantity(
        5.0, "days", 0.1, 365, "mean time from an order's arrival to the first day of coming back"
    )
    stay_days: float = quantity(45.0, "days", 1, 1000, "mean time that a customer stays one", CDNOW)

    @property
    def brought(self) -> float:
        """Orders that a kept order brings in the end, on average."""
        return self.rate / 30 * self.stay_days

    def problems(self) -> list[str]:
        """What is wrong between the fields, a sentence each."""
        if self.brought <= MOST_FED:
            return []
        return [
            f"repeat.rate is {self.rate:g} and repeat.stay_days {self.stay_days:g}, so that an "
            f"order brings {self.brought:g} more; allowed are at most {MOST_FED:g}, "
            "else sales feed themselves"
        ]


class LeftOver(Section):
    """What the shop is worth above its start when the episode ends: a share of the settled GMV that
    it will still bring the free pools. Shares of 0 leave it out.
    """

    customers: float = quantity(0.0, "share", 0, 1, "of what more customers than usual will bring")
    quality: float = quantity(0.0, "share", 0, 1, "of what quality above the start's will bring")
    supply: float = quantity(0.0, "share", 0, 1, "of what creators beyond the neutral supply bring")
    creatives: float = quantity(
        0.0, "share", 0, 1, "of what creatives fresher than the start's, or under way, will bring"
    )
