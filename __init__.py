"""ChengFang: a fast, calibrated, reproducible Gymnasium world of omni-domain promotion in
e-commerce.

Importing the package registers the environments, so `gym.make("chengfang/SuperPlan-v1")` works
afterwards. `load_best("SuperPlan")` is the best committed policy of a task.
"""

from typing import TYPE_CHECKING, Any

from .envs.api.registration import register_all

if TYPE_CHECKING:
    from .agents.learners.best import load_best

__version__ = "0.2.0"
__all__ = ["__version__", "load_best"]

register_all()


def __getattr__(name: str) -> Any:
    """`load_best`, imported when it is asked for: agents are not needed to play."""
    if name == "load_best":
        from .agents.learners.best import load_best

        return load_best
    raise AttributeError(f"module {__name__} has no attribute {name}")
