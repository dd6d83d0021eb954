"""What a training is: validated hyper-parameters, read from YAML by the experiments.

Numbers that a learner's settings leave out come from `defaults.yaml`. Settings that were written
under the names fields had first are read as well (`FIRST_NAMES`).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from ..rules.tuned import tuned_parameters

DEFAULTS: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "defaults.yaml").read_text(encoding="utf-8")
)
SHARED, PPO, SAC = DEFAULTS["shared"], DEFAULTS["PPO"], DEFAULTS["SAC"]
SHIFT = DEFAULTS["Shift"]
APG = DEFAULTS["APG"]
WRAPPED = DEFAULTS["training_env"]
FIRST_NAMES = {
    "training_env": "practice",
    "demonstrations": "warm_start",
    "demonstration_epochs": "warm_epochs",
    "ensemble": "members",
    "safety_margin": "caution",
    "margin_range": "caution_range",
}  # of fields, as in configurations and policies written before they were renamed
SCALE_MARKETS = 1024  # whose episodes the inputs of a PPO are measured over
Counterfactual = Literal["none", "noop", "rule"]
APG_USES = {  # of a training env
    "rule",
    "rule_task",
    "rule_parameters",
    "residual_scale",
    "margin_range",
    "safety_margin",
}
Share = Annotated[float, Field(ge=0, le=1)]
Layers = list[Annotated[int, Field(ge=1, le=4096)]]


class RenamedFields(BaseModel):
    """A model that is read under the names its fields had first, too."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for name, first in FIRST_NAMES.items():
            if first not in data or name not in cls.model_fields:
                continue
            if name in data:
                raise ValueError(f"{first} is the former name of {name}; only one is allowed")
            data[name] = data.pop(first)
        return data


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


class Settings(RenamedFields):
    """Fields every learner has."""

    reward: Literal["settled_gmv", "incremental", "profit", "score", "platform"] = Field(
        default="score", description="of the market without a training_env"
    )
    num_envs: int = Field(
        default=SHARED["num_envs"],
        ge=1,
        le=65_536,
        description="markets stepped together",
    )
    steps: int = Field(default=SHARED["steps"], ge=1, description="environment steps to train for")
    learning_rate: float = Field(
        default=SHARED["learning_rate"],
        gt=0,
        le=1,
        description="at the start; falls linearly to a tenth",
    )
    gamma: Share = Field(default=SHARED["gamma"])
    hidden: Layers = Field(default=SHARED["hidden"], max_length=6)
    batch_size: int = Field(default=SHARED["batch_size"], ge=1)
    stagger: bool = Field(
        default=False, description="start the markets at different ages of a campaign"
    )
    reward_scale: float = Field(
        default=1.0, gt=0, description="rewards are multiplied by this before learning"
    )
    training_env: TrainingEnv | None = Field(
        default=None, description="None: the plain market with `reward`"
    )
    demonstrations: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="clone the clairvoyant's plans of this many episodes first",
    )
    demonstration_epochs: int = Field(default=SHARED["demonstration_epochs"], ge=1, le=10_000)


class Start(RenamedFields):
    """What an actor learns by the market's derivative before PPO goes on with it: an MLP of APG's,
    as wide as `hidden` says, on the same task and seed. Fields are those of `APGSettings`.
    """

    num_envs: int = Field(default=APG["num_envs"], ge=1, le=65_536)
    steps: int = Field(
        default=APG["steps"], ge=1, description="market ticks, doing nothing aside, before PPO's"
    )
    learning_rate: float = Field(default=APG["learning_rate"], gt=0, le=1)
    gradient_limit: float = Field(default=APG["gradient_limit"], gt=0)
    average_last: Share = Field(default=APG["average_last"])
    compiled: bool = Field(default=False)


class PPOSettings(Settings):
    """Proximal policy optimisation (Schulman et al. 2017) in stable-baselines3."""

    algorithm: Literal["PPO"] = "PPO"
    actor: Literal["plain", "apg"] = Field(
        default="plain",
        description="the network: layers with tanh and a mean action that may leave the box; or, "
        "with a training_env, APG's: inputs of mean 0 and deviation 1, SiLU, a mean within the box",
    )
    start: Start | None = Field(
        default=None, description="train the actor by the market's derivative first"
    )
    critic_first: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="updates in which only the critic learns; with a training_env",
    )
    n_steps: int = Field(
        default=PPO["n_steps"],
        ge=1,
        description="decisions per market between updates",
    )
    n_epochs: int = Field(default=PPO["n_epochs"], ge=1, le=100)
    gae_lambda: Share = Field(default=PPO["gae_lambda"])
    clip_range: float = Field(default=PPO["clip_range"], gt=0, le=1)
    entropy: float = Field(default=PPO["entropy"], ge=0)
    log_std_start: float = Field(default=PPO["log_std_start"], ge=-5, le=2)
    log_std_end: float | None = Field(
        default=None,
        ge=-5,
        le=2,
        description="logarithm of the exploration's standard deviation when training ends, on a "
        "straight line from log_std_start; None: it is learned",
    )
    critic_hidden: Layers | None = Field(
        default=None, max_length=6, description="None: as the actor's"
    )
    input_spread: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="with a training_env: standard deviation to bring every input to; None leaves "
        "them",
    )
    average_last: Share = Field(
        default=0.0,
        description="the saved actor has the mean of the weights over this last share of "
        "training; 0: its last weights",
    )
    ensemble: int = Field(
        default=1,
        ge=1,
        le=64,
        description="networks trained separately, one after the other, each with an equal part "
        "of the steps; their mean acts",
    )

    @model_serializer(mode="wrap")
    def _used(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the newest fields where they are unused: a run made before they were there is
        still the same run.
        """
        data = dump(self)
        if self.log_std_end is None:
            data.pop("log_std_end", None)
        if self.input_spread is None:
            data.pop("input_spread", None)
        if not self.average_last:
            data.pop("average_last", None)
        if self.ensemble == 1:
            data.pop("ensemble", None)
        if self.actor == "plain":
            data.pop("actor", None)
        if self.start is None:
            data.pop("start", None)
        if not self.critic_first:
            data.pop("critic_first", None)
        return data

    @property
    def spread(self) -> float | None:
        """Standard deviation to bring every input to; None leaves them."""
        return 1.0 if self.actor == "apg" else self.input_spread

    @model_validator(mode="after")
    def _spread_needs_training_env(self) -> "PPOSettings":
        if self.input_spread is not None and self.training_env is None:
            raise ValueError(
                f"input_spread is {self.input_spread}; without a training_env only None is allowed"
            )
        return self

    @model_validator(mode="after")
    def _actor_fits(self) -> "PPOSettings":
        if self.critic_first and self.training_env is None:
            raise ValueError(
                f"critic_first is {self.critic_first}; without a training_env only 0 is allowed"
            )
        if self.actor == "plain":
            if self.start is not None:
                raise ValueError("actor is 'plain'; with a start only 'apg' is allowed")
            return self
        if self.training_env is None:
            raise ValueError("actor is 'apg'; without a training_env only 'plain' is allowed")
        if self.input_spread is not None:
            raise ValueError(
                f"input_spread is {self.input_spread}; the actor 'apg' has its own, allowed is None"
            )
        if self.ensemble > 1:
            raise ValueError(f"ensemble is {self.ensemble}; with the actor 'apg' only 1 is allowed")
        if self.demonstrations:
            raise ValueError(
                f"demonstrations is {self.demonstrations}; with the actor 'apg' only 0 is allowed"
            )
        if self.start and (len(self.hidden) != 2 or self.hidden[0] != self.hidden[1]):
            raise ValueError(
                f"hidden is {self.hidden}; with a start two layers of one width are allowed"
            )
        return self


class SACSettings(Settings):
    """Soft actor-critic (Haarnoja et al. 2018) in stable-baselines3."""

    algorithm: Literal["SAC"] = "SAC"
    num_envs: int = Field(default=SAC["num_envs"], ge=1, le=65_536)
    steps: int = Field(default=SAC["steps"], ge=1)
    batch_size: int = Field(default=SAC["batch_size"], ge=1)
    gradient_steps: int = Field(
        default=SAC["gradient_steps"],
        ge=1,
        description="updates per tick of the whole batch",
    )
    buffer_size: int = Field(default=SAC["buffer_size"], ge=1)
    learning_starts: int = Field(default=SAC["learning_starts"], ge=0)
    tau: Share = Field(default=SAC["tau"])
    target_entropy: float | None = Field(
        default=None, description="None: minus the number of levers"
    )


class ShiftSettings(RenamedFields):
    """A rule plus a shift that is fitted by the market's derivative (`agents.learners.shifts`)."""

    algorithm: Literal["Shift"] = "Shift"
    form: Literal["constant", "schedule", "start_facts"] = Field(
        default="constant",
        description="one shift for all; one by day and hour; one linear in the facts known at the "
        "start",
    )
    num_envs: int = Field(
        default=SHIFT["num_envs"], ge=1, le=65_536, description="merchants of an update"
    )
    steps: int = Field(
        default=SHIFT["steps"], ge=1, description="market ticks to fit on, doing nothing aside"
    )
    learning_rate: float = Field(
        default=SHIFT["learning_rate"],
        gt=0,
        le=1,
        description="of Adam, at the start; falls by a cosine",
    )
    compiled: bool = Field(
        default=False, description="fuse the derivative with torch.compile; needs a C++ compiler"
    )
    training_env: TrainingEnv = Field(description="which rule is shifted, and its values")

    @model_validator(mode="after")
    def _needs_a_rule(self) -> "ShiftSettings":
        if self.training_env.rule is None:
            raise ValueError("training_env.rule is None; a shift needs the rule that it shifts")
        return self


class APGSettings(RenamedFields):
    """Analytic policy gradient (the name is Brax's): a network trained by the market's derivative
    (`agents.learners.gradient`).
    """

    algorithm: Literal["APG"] = "APG"
    policy: Literal["gru", "mlp"] = Field(
        default="gru", description="with a memory of the episode so far, or without"
    )
    width: int = Field(default=APG["width"], ge=1, le=4096, description="of every layer")
    num_envs: int = Field(
        default=APG["num_envs"], ge=1, le=65_536, description="merchants of an update"
    )
    steps: int = Field(
        default=APG["steps"], ge=1, description="market ticks to learn on, doing nothing aside"
    )
    learning_rate: float = Field(
        default=APG["learning_rate"],
        gt=0,
        le=1,
        description="of Adam, at the start; falls by a cosine",
    )
    gradient_limit: float = Field(
        default=APG["gradient_limit"], gt=0, description="of an update, its norm over all weights"
    )
    average_last: Share = Field(
        default=APG["average_last"],
        description="the saved actor has the mean of the weights over this last share of updates",
    )
    compiled: bool = Field(
        default=False, description="fuse the derivative with torch.compile; needs a C++ compiler"
    )
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


LearnerSettings = Annotated[
    PPOSettings | SACSettings | ShiftSettings | APGSettings, Field(discriminator="algorithm")
]


def all_steps(settings: LearnerSettings) -> int:
    """Environment steps of a training, those of its start included, copies aside."""
    start = settings.start if isinstance(settings, PPOSettings) else None
    return settings.steps + (start.steps if start else 0)


def start_settings(settings: LearnerSettings) -> APGSettings | None:
    """The training by which the actor of a PPO starts; None where it starts from nothing."""
    if not isinstance(settings, PPOSettings) or settings.start is None or not settings.training_env:
        return None
    env = settings.training_env.model_dump(include=APG_USES)
    data = settings.start.model_dump() | {"policy": "mlp", "width": settings.hidden[0]}
    return APGSettings.model_validate(data | {"training_env": env})


def rule_values(training_env: TrainingEnv) -> dict[str, float]:
    """Parameters of the rule underneath: tuned ones, then the settings' own."""
    rule, task = training_env.rule, training_env.rule_task
    tuned = tuned_parameters(rule, task) if rule and task else {}
    return tuned | training_env.rule_parameters
