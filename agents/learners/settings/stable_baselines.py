"""PPO and SAC of stable-baselines3."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from .by_gradient import Start
from .fields import DEFAULTS, Layers, RenamedFields, Share
from .training_env import TrainingEnv

SHARED, PPO, SAC = DEFAULTS["shared"], DEFAULTS["PPO"], DEFAULTS["SAC"]


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
