"""The markets a learner is trained in: a stack of wrappers, built from its settings."""

from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from ....envs import Setting
from ....envs.api.sb3_vec_env import PromotionVecEnv
from ...policy import plan_spec
from ...rules import Rule, make_rule
from ...wrappers import (
    CounterfactualReward,
    HoldAction,
    ObjectiveReward,
    PrivilegedObservation,
    RelativeReward,
    ResidualAction,
    SafetyMargin,
    ScaleReward,
)
from ..settings import PPOSettings, SACSettings, TrainingEnv, rule_values


def make_training_env(
    settings: PPOSettings | SACSettings,
    setting: Setting,
    seed: int,
    threads: int = 1,
) -> VecEnv:
    """Plain markets with `settings.reward`, or those that `settings.training_env` asks for.

    Args:
        settings: of the learner.
        setting: what is played; merchants come from the train split.
        seed: of the markets and the safety margins.
        threads: of the simulator.

    Raises:
        ValueError: if an action would be held across the end of an episode, or the settings ask
            for what their wrappers cannot do.
    """
    training_env = settings.training_env
    if training_env is not None:
        _check(training_env, settings, setting)
    env = PromotionVecEnv(
        settings.num_envs,
        setting.scenario,
        levers=setting.levers,
        days=setting.days,
        reward=settings.reward if training_env is None else "score",
        threads=threads,
        seed=seed,
        stagger=settings.stagger,
    )
    if training_env is None:
        return env if settings.reward_scale == 1 else ScaleReward(env, settings.reward_scale)
    # stable-baselines3's SAC has one observation for actor and critics
    privileged = training_env.privileged and isinstance(settings, PPOSettings)
    rule = None
    if training_env.rule:
        rule = make_rule(training_env.rule, plan_spec(setting), **rule_values(training_env))
    rewarded = _rewarded(env, training_env, rule, seed)
    decided = ScaleReward(rewarded, settings.reward_scale)
    return _decided(decided, training_env, rule, privileged)


def _rewarded(env: VecEnv, training_env: TrainingEnv, rule: Rule | None, seed: int) -> VecEnv:
    """What is rewarded, from the objective up."""
    if training_env.margin_range is not None:
        env = SafetyMargin(env, *training_env.margin_range, seed=seed)
    env = ObjectiveReward(env, training_env.objective)
    if training_env.counterfactual != "none":
        env = CounterfactualReward(env, rule if training_env.counterfactual == "rule" else None)
    return RelativeReward(env) if training_env.relative else env


def _decided(env: VecEnv, training_env: TrainingEnv, rule: Rule | None, privileged: bool) -> VecEnv:
    """What is decided, how often, and on what view."""
    if rule is not None:
        env = ResidualAction(env, rule, training_env.residual_scale)
    if training_env.hold > 1:
        env = HoldAction(env, training_env.hold)
    return PrivilegedObservation(env) if privileged else env


def _check(
    training_env: TrainingEnv, settings: PPOSettings | SACSettings, setting: Setting
) -> None:
    if setting.ticks % training_env.hold:
        raise ValueError(
            f"training_env.hold is {training_env.hold}; "
            f"it must divide the episode's {setting.ticks} ticks"
        )
    if settings.stagger:
        raise ValueError(
            "stagger is true; a training_env starts all its markets together, allowed is false"
        )
