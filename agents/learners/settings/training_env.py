"""The markets that a learner is trained in."""

from typing import Any, Literal

from pydantic import Field, model_validator

from ...rules.tuned import tuned_parameters
from .fields import DEFAULTS, RenamedFields

WRAPPED = DEFAULTS["training_env"]
Counterfactual = Literal["none", "noop", "rule"]


class TrainingEnv(RenamedFields):
    """The markets a learner is trained in, wrapped (`agents.wrappers`): what its actions are
    relative to, what its rewards are, and what only its critic sees.
    """

    rule: str | None = Field(
        default=None,
        description="actions are shifts of this rule's; none: actions are the levers themselves",
    )
    rule_task: str | None = Field(
        default=None, description="take the rule's values as tuned for this task"
    )
    rule_parameters: dict[str, float] = Field(
        default={}, description="values of the rule that go before the tuned ones"
    )
    residual_scale: float = Field(
        default=WRAPPED["residual_scale"],
        gt=0,
        le=2,
        description="how far an action of 1 moves a lever away from the rule's",
    )
    hold: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="ticks for which an action is held; the rule below acts every tick",
    )
    counterfactual: Counterfactual = Field(
        default="noop",
        description="whose earnings on the same noise are taken off the reward: nobody's, those of "
        "doing nothing, or those of the rule by itself",
    )
    relative: bool = Field(
        default=True, description="rewards over what doing nothing earns, as results are judged"
    )
    privileged: bool = Field(
        default=True, description="PPO: the critic also sees latent truth; the actor never does"
    )
    objective: Literal["score", "lagrangian"] = "score"
    margin_range: tuple[float, float] | None = Field(
        default=None,
        description="margins on the ROI target to train with, drawn per episode and shown to the "
        "actor",
    )
    safety_margin: float = Field(
        default=0.0, ge=-0.5, le=0.5, description="the margin the finished policy acts with"
    )
    multiplier_start: float = Field(
        default=WRAPPED["multiplier_start"],
        ge=0,
        description="lagrangian: price of a missed target, per unit of GMV",
    )
    multiplier_gains: tuple[float, float, float] = Field(
        default=tuple(WRAPPED["multiplier_gains"]),
        description="proportional, integral, derivative",
    )
    shortfall_limit: float = Field(
        default=WRAPPED["shortfall_limit"],
        ge=0,
        description="lagrangian: mean missed GMV to aim at, over budget * target",
    )

    @model_validator(mode="before")
    @classmethod
    def _first_counterfactual(cls, data: Any) -> Any:
        """`paired` (against doing nothing, by default) and `twin` (against the rule) came first."""
        if not isinstance(data, dict) or not {"paired", "twin"} & set(data):
            return data
        if "counterfactual" in data:
            raise ValueError("paired and twin are former names of counterfactual; one is allowed")
        data = dict(data)
        paired, twin = data.pop("paired", True), data.pop("twin", False)
        if not isinstance(paired, bool) or not isinstance(twin, bool):
            raise ValueError(f"paired is {paired!r} and twin {twin!r}; allowed are true and false")
        return data | {"counterfactual": "rule" if twin else "noop" if paired else "none"}

    @model_validator(mode="after")
    def _fits(self) -> "TrainingEnv":
        if (
            self.margin_range is not None
            and not -0.5 <= self.margin_range[0] <= self.margin_range[1] <= 0.5
        ):
            raise ValueError(
                f"margin_range is {self.margin_range}; it must rise within -0.5 to 0.5"
            )
        if self.rule is None and self.counterfactual == "rule":
            raise ValueError("counterfactual is 'rule', but there is no rule; name one in `rule`")
        if self.rule is None and (self.rule_task or self.rule_parameters):
            raise ValueError("rule_task and rule_parameters need a rule; name one in `rule`")
        return self


def rule_values(training_env: TrainingEnv) -> dict[str, float]:
    """Parameters of the rule underneath: tuned ones, then the settings' own."""
    rule, task = training_env.rule, training_env.rule_task
    tuned = tuned_parameters(rule, task) if rule and task else {}
    return tuned | training_env.rule_parameters
