"""The actor of a trained model, as a policy that needs numpy alone."""

from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.base_class import BaseAlgorithm

from ..saved.network import Whitening
from ..saved_policy import SavedPolicy
from .asymmetric import AsymmetricPolicy


def actor(model: BaseAlgorithm, description: dict[str, Any]) -> SavedPolicy:
    """The deterministic actor of a stable-baselines3 PPO or SAC model as a SavedPolicy."""
    if isinstance(model, SAC):
        stack = [*model.actor.latent_pi, model.actor.mu]
        kind: dict[str, Any] = {"activation": "relu", "output": "tanh"}
    else:
        policy: Any = model.policy
        stack = [*policy.mlp_extractor.policy_net, policy.action_net]
        kind = {"activation": "tanh", "output": "clip"}
    layers = [
        (m.weight.detach().numpy().copy(), m.bias.detach().numpy().copy())
        for m in stack
        if isinstance(m, torch.nn.Linear)
    ]
    whitening = None
    if isinstance(model.policy, AsymmetricPolicy):
        extractor = model.policy.mlp_extractor
        if model.policy.as_apg:
            kind = {"activation": "silu", "output": "tanh", "by_row": True}
            whitening = _whitening(extractor)
        else:
            layers[0] = _on_plain_inputs(*layers[0], extractor)
    pairs = [(np.asarray(w), np.asarray(b)) for w, b in layers]
    return SavedPolicy(pairs, description | kind, whitening=whitening)


def _whitening(extractor: Any) -> Whitening:
    """How the actor's inputs are scaled."""
    mean, factor = (part.numpy()[: extractor.public] for part in (extractor.mean, extractor.factor))
    return Whitening(mean.copy(), (1 / factor).astype(np.float32), np.float32(extractor.limit))


def _on_plain_inputs(
    weight: np.ndarray, bias: np.ndarray, extractor: Any
) -> tuple[np.ndarray, np.ndarray]:
    """A first layer on scaled inputs as one on the inputs themselves."""
    mean, factor = (
        part.numpy().astype(float)[: extractor.public]
        for part in (extractor.mean, extractor.factor)
    )
    weight = weight * factor
    return weight.astype(np.float32), (bias - weight @ mean).astype(np.float32)
