"""Learners by the market's derivative: APG, the start of a PPO, and the shifts of a rule."""

from typing import Literal

from pydantic import Field, model_validator

from .fields import DEFAULTS, Count, Markets, Rate, RenamedFields, Share
from .training_env import TrainingEnv

SHIFT, APG = DEFAULTS["Shift"], DEFAULTS["APG"]
APG_USES = {  # of a training env
    "rule",
    "rule_task",
    "rule_parameters",
    "residual_scale",
    "margin_range",
    "safety_margin",
}


class ByGradient(RenamedFields):
    """Fields of every learner by the market's derivative."""

    num_envs: Markets = Field(default=APG["num_envs"], description="merchants of an update")
    steps: Count = Field(
        default=APG["steps"], description="market ticks to learn on, doing nothing aside"
    )
    learning_rate: Rate = Field(
        default=APG["learning_rate"], description="of Adam, at the start; falls by a cosine"
    )
    compiled: bool = Field(
        default=False, description="fuse the derivative with torch.compile; needs a C++ compiler"
    )


SHARES = (1.0, 0.5, 0.25, 0.0)  # of a fitted shift, of which the best is kept
CHOOSING = 1024  # training merchants that decide it


class ShiftSettings(ByGradient):
    """A rule plus a shift that is fitted by the market's derivative (`agents.learners.shifts`)."""

    algorithm: Literal["Shift"] = "Shift"
    form: Literal["constant", "schedule", "start_facts"] = Field(
        default="constant",
        description="one shift for all; one by day and hour; one linear in the facts known at the "
        "start",
    )
    num_envs: Markets = SHIFT["num_envs"]
    steps: Count = SHIFT["steps"]
    learning_rate: Rate = SHIFT["learning_rate"]
    training_env: TrainingEnv = Field(description="which rule is shifted, and its values")

    @model_validator(mode="after")
    def _needs_a_rule(self) -> "ShiftSettings":
        if self.training_env.rule is None:
            raise ValueError("training_env.rule is None; a shift needs the rule that it shifts")
        return self


class Start(ByGradient):
    """What an actor learns by the market's derivative before PPO goes on with it: an MLP of APG's,
    as wide as `hidden` says, on the same task and seed.
    """

    gradient_limit: float = Field(
        default=APG["gradient_limit"], gt=0, description="of an update, its norm over all weights"
    )
    average_last: Share = Field(
        default=APG["average_last"],
        description="the saved actor has the mean of the weights over this last share of updates",
    )


class APGSettings(Start):
    """Analytic policy gradient (the name is Brax's): a network trained by the market's derivative
    (`agents.learners.gradient`).
    """

    algorithm: Literal["APG"] = "APG"
    policy: Literal["gru", "mlp"] = Field(
        default="gru", description="with a memory of the episode so far, or without"
    )
    width: int = Field(default=APG["width"], ge=1, le=4096, description="of every layer")
    training_env: TrainingEnv | None = Field(
        default=None, description="a rule underneath, and margins; None: from scratch"
    )

    @model_validator(mode="after")
    def _fits(self) -> "APGSettings":
        plain = TrainingEnv()
        for name in TrainingEnv.model_fields:
            given = getattr(self.training_env or plain, name)
            if name not in APG_USES and given != getattr(plain, name):
                raise ValueError(
                    f"training_env.{name} is {given!r}, which APG does not use; allowed are "
                    f"{', '.join(sorted(APG_USES))}"
                )
        return self
