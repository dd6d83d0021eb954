"""What a training run is: validated hyper-parameters, read from YAML by the experiments."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Fields every learner has."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    reward: Literal["settled_gmv", "incremental", "profit", "score", "platform"] = "score"
    num_envs: int = Field(default=512, ge=1, le=65_536, description="markets stepped together")
    steps: int = Field(default=5_000_000, ge=1, description="environment steps to train for")
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="at the start; falls linearly to a tenth")
    gamma: Share = 0.999
    hidden: list[Annotated[int, Field(ge=1, le=4096)]] = Field(default=[64, 64], max_length=6)
    batch_size: int = Field(default=4096, ge=1)
    stagger: bool = Field(default=False, description="start the markets at different ages of a campaign")
    reward_scale: float = Field(default=1.0, gt=0, description="rewards are multiplied by this before learning")


class PPOSettings(Settings):
    """Proximal policy optimisation (Schulman et al. 2017) in stable-baselines3."""

    algorithm: Literal["PPO"] = "PPO"
    n_steps: int = Field(default=24, ge=1, description="ticks per market between updates")
    n_epochs: int = Field(default=4, ge=1, le=100)
    gae_lambda: Share = 0.95
    clip_range: float = Field(default=0.2, gt=0, le=1)
    entropy: float = Field(default=0.0, ge=0)
    log_std_start: float = Field(default=-1.0, ge=-5, le=2)


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
    target_entropy: float | None = Field(default=None, description="None: minus the number of levers")


LearnerSettings = Annotated[PPOSettings | SACSettings, Field(discriminator="algorithm")]
