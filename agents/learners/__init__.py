"""Learners: PPO and SAC from stable-baselines3, and saved policies that load without running code.

`training` imports torch, and so do the wrappers that training stands on (`agents.wrappers`): they
are imported where they are used, so that rules and the environments stay light.
"""

from .saved_policy import ArtefactError, SavedPolicy, load_policy
from .settings import PPOSettings, SACSettings

__all__ = ["ArtefactError", "PPOSettings", "SACSettings", "SavedPolicy", "load_policy"]
