"""Whatever a training saves, by its folder: an actor, or a shifted rule."""

from pathlib import Path

from .saved_policy import ArtefactError, SavedPolicy, load_policy
from .shifts.policy import ShiftedRule, is_shift, load_shift


def load_artefact(
    folder: "str | Path", safety_margin: float | None = None
) -> "SavedPolicy | ShiftedRule":
    """Read what a training saved; raises ArtefactError in one sentence for anything else.

    Args:
        folder: where policy.json and policy.safetensors are.
        safety_margin: the margin on the ROI target to act with, for policies trained to take one.
    """
    if not is_shift(folder):
        return load_policy(folder, safety_margin)
    if safety_margin is not None:
        raise ArtefactError(
            f"{folder} holds a shifted rule, which takes no safety margin; only policies trained "
            "to take one do"
        )
    return load_shift(folder)
