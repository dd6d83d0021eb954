"""What there is to win on a task, and which levers it is won with: `chengfang headroom`."""

from .measure import Effort, Headroom, Row, measure

__all__ = ["Effort", "Headroom", "Row", "measure"]
