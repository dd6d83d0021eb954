"""The same merchant again: several plans in one episode (world 2.12)."""

from .quantity import Section, quantity


class Seasons(Section):
    """An episode of several plans: budget and target are new in each, the shop carries over."""

    plan_days: int = quantity(
        0,
        "days",
        0,
        90,
        "a plan lasts so long and the next one follows; 0: the episode is one plan",
    )
    budget_sd: float = quantity(
        0.35, "ln", 0, 2, "spread of a plan's budget, from the second on, about the merchant's"
    )
    target_low: float = quantity(
        0.9,
        "factor",
        0.1,
        5,
        "a plan's ROI target over the merchant's, low end, from the second on",
    )
    target_high: float = quantity(1.1, "factor", 0.1, 5, "high end; the draw is uniform")

    def plans(self, days: int) -> int:
        """Number of plans in an episode of some days.

        Raises:
            ValueError: if the last plan would be cut short.
        """
        if not self.plan_days:
            return 1
        if days % self.plan_days:
            raise ValueError(
                f"days is {days}, and seasons.plan_days is {self.plan_days}; "
                f"allowed are multiples of {self.plan_days}, so that every plan is whole"
            )
        return days // self.plan_days
