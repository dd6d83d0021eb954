"""What a training run is: validated hyper-parameters, read from YAML by the experiments."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

Share = Annotated[float, Field(ge=0, le=1)]


class Practice(BaseModel):
    """How a learner practises: what its actions are relative to, what its rewards are, and what
    only its critic sees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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
        default=1.0,
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
    paired: bool = Field(
        default=True,
        description="take off the reward what doing nothing earns on the same random numbers",
    )
    twin: bool = Field(
        default=False,
        description="take off what the rule underneath earns by itself on the same random numbers",
    )
    relative: bool = Field(
        default=True, description="rewards over what doing nothing earns, as results are judged"
    )
    privileged: bool = Field(
        default=True, description="PPO: the critic also sees latent truth; the actor never does"
    )
    objective: Literal["score", "lagrangian"] = "score"
    caution_range: tuple[float, float] | None = Field(
        default=None,
        description="margins on the ROI target to practise with, drawn per episode and shown to the actor",
    )
    caution: float = Field(
        default=0.0, ge=-0.5, le=0.5, description="the margin the finished policy acts with"
    )
    multiplier_start: float = Field(
        default=0.5, ge=0, description="lagrangian: price of a missed target, per unit of GMV"
    )
    multiplier_gains: tuple[float, float, float] = Field(
        default=(20.0, 4.0, 0.0), description="proportional, integral, derivative"
    )
    shortfall_limit: float = Field(
        default=0.002,
        ge=0,
        description="lagrangian: mean missed GMV to aim at, over budget * target",
    )

    @model_validator(mode="after")
    def _fits(self) -> "Practice":
        if (
            self.caution_range is not None
            and not -0.5 <= self.caution_range[0] <= self.caution_range[1] <= 0.5
        ):
            raise ValueError(
                f"caution_range is {self.caution_range}; it must rise within -0.5 to 0.5"
            )
        if self.rule is None and self.twin:
            raise ValueError("twin needs a rule")
        if self.rule is None and (self.rule_task or self.rule_parameters):
            raise ValueError("rule_task and rule_parameters need a rule")
        return self


class Settings(BaseModel):
    """Fields every learner has."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    reward: Literal["settled_gmv", "incremental", "profit", "score", "platform"] = "score"
    num_envs: int = Field(default=512, ge=1, le=65_536, description="markets stepped together")
    steps: int = Field(default=5_000_000, ge=1, description="environment steps to train for")
    learning_rate: float = Field(
        default=1e-3, gt=0, le=1, description="at the start; falls linearly to a tenth"
    )
    gamma: Share = 0.999
    hidden: list[Annotated[int, Field(ge=1, le=4096)]] = Field(default=[64, 64], max_length=6)
    batch_size: int = Field(default=4096, ge=1)
    stagger: bool = Field(
        default=False, description="start the markets at different ages of a campaign"
    )
    reward_scale: float = Field(
        default=1.0, gt=0, description="rewards are multiplied by this before learning"
    )
    practice: Practice | None = Field(
        default=None, description="None: the plain market with `reward`"
    )
    warm_start: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="clone the clairvoyant's plans of this many episodes first",
    )
    warm_epochs: int = Field(default=30, ge=1, le=10_000)


class PPOSettings(Settings):
    """Proximal policy optimisation (Schulman et al. 2017) in stable-baselines3."""

    algorithm: Literal["PPO"] = "PPO"
    n_steps: int = Field(default=24, ge=1, description="ticks per market between updates")
    n_epochs: int = Field(default=4, ge=1, le=100)
    gae_lambda: Share = 0.95
    clip_range: float = Field(default=0.2, gt=0, le=1)
    entropy: float = Field(default=0.0, ge=0)
    log_std_start: float = Field(default=-1.0, ge=-5, le=2)
    critic_hidden: list[Annotated[int, Field(ge=1, le=4096)]] | None = Field(
        default=None, max_length=6, description="None: as the actor's"
    )
    input_spread: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="practice: standard deviation to bring every input to; None leaves them",
    )
    average_last: Share = Field(
        default=0.0,
        description="the saved actor has the mean of the weights over this last share of "
        "training; 0: its last weights",
    )
    members: int = Field(
        default=1,
        ge=1,
        le=64,
        description="networks trained apart, one after the other, each with an equal part "
        "of the steps; their mean acts",
    )

    @model_serializer(mode="wrap")
    def _used(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the newest fields where they are unused: a run made before they were there is
        still the same run.
        """
        data = dump(self)
        if self.input_spread is None:
            data.pop("input_spread", None)
        if not self.average_last:
            data.pop("average_last", None)
        if self.members == 1:
            data.pop("members", None)
        return data

    @model_validator(mode="after")
    def _spread_needs_practice(self) -> "PPOSettings":
        if self.input_spread is not None and self.practice is None:
            raise ValueError(
                f"input_spread is {self.input_spread}; without a practice only None is allowed"
            )
        return self


class SACSettings(Settings):
    """Soft actor-critic (Haarnoja et al. 2018) in stable-baselines3."""

    algorithm: Literal["SAC"] = "SAC"
    num_envs: int = Field(default=64, ge=1, le=65_536)
    steps: int = Field(default=600_000, ge=1)
    batch_size: int = Field(default=512, ge=1)
    gradient_steps: int = Field(default=16, ge=1, description="updates per tick of the whole batch")
    buffer_size: int = Field(default=400_000, ge=1)
    learning_starts: int = Field(default=20_000, ge=0)
    tau: Share = 0.005
    target_entropy: float | None = Field(
        default=None, description="None: minus the number of levers"
    )


LearnerSettings = Annotated[PPOSettings | SACSettings, Field(discriminator="algorithm")]
