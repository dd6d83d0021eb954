"""An actor that sees what a merchant sees, and a critic that sees more: for stable-baselines3's
PPO. The actor may be the network that APG trains, so that PPO can go on from one.
"""

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.distributions import DiagGaussianDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from ..gradient.network import LIMIT
from ..saved_policy import SavedPolicy


class SplitExtractor(nn.Module):
    """Two towers: the policy's on the first `public` entries of an observation, the value's on all
    of them.

    Both see (entry - mean) * factor, within +-limit where there is one; `set_scale` fixes these
    constants. They are no part of the state: whoever builds the towers again measures them again.
    """

    mean: torch.Tensor
    factor: torch.Tensor

    def __init__(
        self,
        width: int,
        public: int,
        hidden: list[int],
        critic_hidden: list[int],
        activation: type[nn.Module] = nn.Tanh,
        limit: float | None = None,
    ):
        super().__init__()
        self.public = public
        self.limit = limit
        self.register_buffer("mean", torch.zeros(width), persistent=False)
        self.register_buffer("factor", torch.ones(width), persistent=False)
        self.policy_net, self.latent_dim_pi = _tower(public, hidden, activation)
        self.value_net, self.latent_dim_vf = _tower(width, critic_hidden, nn.Tanh)

    def set_scale(self, mean: np.ndarray, factor: np.ndarray) -> None:
        """What is taken off the first entries and what they are then multiplied by, each (m,)."""
        self.mean[: len(mean)] = torch.as_tensor(mean)
        self.factor[: len(factor)] = torch.as_tensor(factor)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents of policy and value."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """Latent of the policy, from public entries only."""
        return self.policy_net(self._scaled(features)[:, : self.public])

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        """Latent of the value, from everything."""
        return self.value_net(self._scaled(features))

    def _scaled(self, features: torch.Tensor) -> torch.Tensor:
        scaled = (features - self.mean) * self.factor
        return scaled if self.limit is None else scaled.clamp(-self.limit, self.limit)


class AsymmetricPolicy(ActorCriticPolicy):
    """Asymmetric actor-critic (Pinto et al. 2017, 1710.06542): the critic may see latent truth, as
    it is thrown away afterwards.

    Args:
        public: entries of an observation that the actor sees; they come first.
        critic_hidden: widths of the critic's layers.
        as_apg: the actor is the network of APG's MLP: inputs cut at five deviations, SiLU, and a
            mean action that a tanh keeps within the box.
    """

    def __init__(
        self,
        *args: Any,
        public: int,
        critic_hidden: list[int],
        as_apg: bool = False,
        **kwargs: Any,
    ):
        self.public = public
        self.critic_hidden = critic_hidden
        self.as_apg = as_apg
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        hidden = list(self.net_arch) if isinstance(self.net_arch, list) else [64, 64]
        self.mlp_extractor = SplitExtractor(
            self.features_dim,
            self.public,
            hidden,
            self.critic_hidden,
            nn.SiLU if self.as_apg else nn.Tanh,
            LIMIT if self.as_apg else None,
        )

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        if not self.as_apg:
            return super()._get_action_dist_from_latent(latent_pi)
        assert isinstance(self.action_dist, DiagGaussianDistribution)
        mean = torch.tanh(self.action_net(latent_pi))
        return self.action_dist.proba_distribution(mean, self.log_std)

    @torch.no_grad()
    def take_actor(self, saved: SavedPolicy) -> None:
        """Make the actor a policy that APG has saved: its weights, and its scale of inputs.

        Args:
            saved: dense layers as wide as the actor's, with a whitening of the public inputs.
        """
        linear = [m for m in self.mlp_extractor.policy_net if isinstance(m, nn.Linear)]
        for layer, (weight, bias) in zip([*linear, self.action_net], saved.layers, strict=True):
            layer.load_state_dict(
                {"weight": torch.as_tensor(weight), "bias": torch.as_tensor(bias)}
            )
        whitening = saved.whitening
        assert whitening is not None
        self.mlp_extractor.set_scale(whitening.mean, 1 / whitening.std)


def _tower(width: int, hidden: list[int], activation: type[nn.Module]) -> tuple[nn.Sequential, int]:
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), activation()]
        width = size
    return nn.Sequential(*layers), width
