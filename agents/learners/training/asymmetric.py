"""An actor that sees what a merchant sees, and a critic that sees more: for stable-baselines3's
PPO.
"""

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn


class SplitExtractor(nn.Module):
    """Two towers: the policy's on the first `public` entries of an observation, the value's on all
    of them.

    Both see (entry - mean) * factor; `set_scale` fixes these constants. They are no part of the
    state: whoever builds the towers again measures them again.
    """

    mean: torch.Tensor
    factor: torch.Tensor

    def __init__(self, width: int, public: int, hidden: list[int], critic_hidden: list[int]):
        super().__init__()
        self.public = public
        self.register_buffer("mean", torch.zeros(width), persistent=False)
        self.register_buffer("factor", torch.ones(width), persistent=False)
        self.policy_net, self.latent_dim_pi = _tower(public, hidden)
        self.value_net, self.latent_dim_vf = _tower(width, critic_hidden)

    def set_scale(self, mean: np.ndarray, factor: np.ndarray) -> None:
        """What is taken off every entry and what it is then multiplied by, each (width,)."""
        self.mean.copy_(torch.as_tensor(mean))
        self.factor.copy_(torch.as_tensor(factor))

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents of policy and value."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """Latent of the policy, from public entries only."""
        return self.policy_net(((features - self.mean) * self.factor)[:, : self.public])

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        """Latent of the value, from everything."""
        return self.value_net((features - self.mean) * self.factor)


class AsymmetricPolicy(ActorCriticPolicy):
    """Asymmetric actor-critic (Pinto et al. 2017, 1710.06542): the critic may see latent truth, as
    it is thrown away afterwards.
    """

    def __init__(self, *args: Any, public: int, critic_hidden: list[int], **kwargs: Any):
        self.public = public
        self.critic_hidden = critic_hidden
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        hidden = list(self.net_arch) if isinstance(self.net_arch, list) else [64, 64]
        self.mlp_extractor = SplitExtractor(
            self.features_dim, self.public, hidden, self.critic_hidden
        )


def _tower(width: int, hidden: list[int]) -> tuple[nn.Sequential, int]:
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), nn.Tanh()]
        width = size
    return nn.Sequential(*layers), width
