"""What a training leaves on disk: a checkpoint it can go on from, and the policy.

A checkpoint is a torch file of tensors and numbers, read back with `weights_only=True`; the policy
is safetensors and JSON.
"""

import contextlib
from typing import Any, NamedTuple

import torch
from stable_baselines3 import SAC
from stable_baselines3.common.base_class import BaseAlgorithm

from ....envs.files import whole_file
from ..saved_policy import SavedPolicy
from .actor_export import actor
from .averaging import WeightAverage
from .multiplier import PIDMultiplier
from .run import TrainingRun

FILE = "checkpoint.pt"


class Learned(NamedTuple):
    """Everything that training changes; None where the settings ask for none."""

    model: BaseAlgorithm
    multiplier: PIDMultiplier | None = None
    average: WeightAverage | None = None


def restore(learned: Learned, run: TrainingRun) -> int:
    """Continue from the folder's checkpoint; returns the decisions already made, 0 if there is no
    checkpoint of this very run.
    """
    path = run.folder / FILE
    if not path.is_file():
        return 0
    saved = torch.load(path, weights_only=True)
    if saved.get("run") != run.identity:
        return 0
    model = learned.model
    model.policy.load_state_dict(saved["policy"])
    for name, optimizer in _optimizers(model).items():
        optimizer.load_state_dict(saved["optimizers"][name])
    if isinstance(model, SAC) and model.log_ent_coef is not None:
        model.log_ent_coef.data.copy_(saved["log_ent_coef"])
    if learned.multiplier is not None:
        learned.multiplier.restore(saved["multiplier"])
    if learned.average is not None:
        learned.average.restore(saved["average"])
    model.num_timesteps = int(saved["steps"])
    return model.num_timesteps


def save(learned: Learned, run: TrainingRun) -> SavedPolicy:
    """Write checkpoint and policy as far as training has come; each file appears whole or not at
    all.
    """
    model, average = learned.model, learned.average
    with whole_file(run.folder / FILE) as draft:
        torch.save(_state(learned, run), draft)
    shown = average.shown(model.policy) if average is not None else contextlib.nullcontext()
    with shown:
        policy = actor(model, run.description(int(model.num_timesteps)))
    policy.save(run.folder)
    return policy


def _state(learned: Learned, run: TrainingRun) -> dict[str, Any]:
    """What a checkpoint holds: tensors, numbers and text."""
    model = learned.model
    state: dict[str, Any] = {
        "policy": model.policy.state_dict(),
        "steps": int(model.num_timesteps),
        "run": run.identity,
        "optimizers": {name: o.state_dict() for name, o in _optimizers(model).items()},
    }
    if isinstance(model, SAC) and model.log_ent_coef is not None:
        state["log_ent_coef"] = model.log_ent_coef.detach()
    if learned.multiplier is not None:
        state["multiplier"] = learned.multiplier.state()
    if learned.average is not None:
        state["average"] = learned.average.state()
    return state


def _optimizers(model: BaseAlgorithm) -> dict[str, torch.optim.Optimizer]:
    if not isinstance(model, SAC):
        return {"policy": model.policy.optimizer}
    found = {"actor": model.actor.optimizer, "critic": model.critic.optimizer}
    entropy = model.ent_coef_optimizer
    return found if entropy is None else found | {"entropy": entropy}
