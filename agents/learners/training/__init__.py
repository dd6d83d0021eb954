"""Training PPO and SAC from stable-baselines3. Imports torch: import it where it is used."""

from .actor_export import actor
from .asymmetric import AsymmetricPolicy
from .loop import train
from .progress import OnProgress, Progress
from .training_env import make_training_env

__all__ = [
    "AsymmetricPolicy",
    "OnProgress",
    "Progress",
    "actor",
    "make_training_env",
    "train",
]
