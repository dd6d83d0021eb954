"""What makes learning easier, one behaviour a wrapper, for stable-baselines3's vector envs.

Each stands alone on a `PromotionVecEnv` and on any stack of the others;
`agents.learners.training.make_training_env` stacks them from settings. They shape learning only:
what is judged afterwards is the saved actor alone, on reported features, in the plain market.
Imports stable-baselines3.
"""

from .counterfactual_reward import CounterfactualReward
from .hold_action import HoldAction
from .objective_reward import ObjectiveReward
from .privileged_observation import PRIVILEGED, PrivilegedObservation
from .relative_reward import RelativeReward
from .residual_action import ResidualAction
from .safety_margin import SafetyMargin
from .scale_reward import ScaleReward

__all__ = [
    "PRIVILEGED",
    "CounterfactualReward",
    "HoldAction",
    "ObjectiveReward",
    "PrivilegedObservation",
    "RelativeReward",
    "ResidualAction",
    "SafetyMargin",
    "ScaleReward",
]
