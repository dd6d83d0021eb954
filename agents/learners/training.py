"""Train PPO or SAC from stable-baselines3 on the native batch, with resumable checkpoints (design
5).

A checkpoint is a torch file of tensors and numbers, read back with `weights_only=True`; the
finished policy is saved as safetensors.
"""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from ...envs import FEATURE_NAMES, Setting
from ...envs.api.sb3_vec_env import PromotionVecEnv
from ...envs.files import whole_file
from ...envs.scenario import SCENES
from ..policy import plan_spec
from .asymmetric import AsymmetricPolicy
from .averaging import WeightAverage
from .demonstrations import fit, lessons
from .ensemble import member_seed, merged
from .multiplier import PIDMultiplier
from .practice import PracticeVecEnv, rule_values
from .saved_policy import SavedPolicy, load_policy, plan_facts
from .settings import PPOSettings, Practice, SACSettings

FINAL_RATE = 0.1  # the learning rate ends at this share of its start
# episodes over which inputs are measured
SCALE_SEED = 500_000
SCALE_MARKETS = 1024
LEAST_SPREAD = 0.02  # inputs that hardly move are not blown up


class Progress(NamedTuple):
    """What training reports every so often; means over the episodes finished since the last report."""

    steps: int
    total: int
    seconds: float
    steps_per_second: float
    figures: dict[str, float]


Report = Callable[[Progress], None]


class Kept(NamedTuple):
    """What a run carries along beside the model; None where its settings ask for none."""

    multiplier: PIDMultiplier | None = None
    average: WeightAverage | None = None


def train(
    settings: PPOSettings | SACSettings,
    setting: Setting,
    seed: int,
    folder: Path,
    report: Report | None = None,
    origin: dict[str, Any] | None = None,
    threads: int = 1,
) -> SavedPolicy:
    """Train to `settings.steps` environment steps, from the folder's checkpoint if there is one,
    and save the policy there.

    Args:
        settings: algorithm and hyper-parameters.
        setting: what is played; merchants come from the train split.
        seed: of the network, the exploration and the markets; the same seed gives the same policy.
        folder: where checkpoint and policy are written.
        report: called every few seconds with the progress.
        origin: what to note in the artefact about where it came from.
        threads: simulator threads.

    Raises:
        KeyboardInterrupt: after writing a checkpoint and the policy as far as it has come.
    """
    if isinstance(settings, PPOSettings) and settings.members > 1:
        return _train_members(settings, setting, seed, folder, report, origin, threads)
    torch.set_num_threads(1)
    env = make_env(settings, setting, seed, threads)
    model = _model(settings, env, seed)
    if isinstance(settings, PPOSettings) and settings.input_spread is not None:
        scale_inputs(model, settings, setting, threads)
    model.set_logger(
        Logger(folder=None, output_formats=[])
    )  # ours is the report; SB3's would litter the temporary folder
    folder.mkdir(parents=True, exist_ok=True)
    run = identity(settings, setting, seed)
    origin = describe(settings, setting) | (origin or {})
    multiplier = (
        PIDMultiplier(settings.practice)
        if settings.practice and settings.practice.objective == "lagrangian"
        else None
    )
    hold = settings.practice.hold if settings.practice else 1
    decisions = -(-settings.steps // hold)
    lasting = settings.average_last if isinstance(settings, PPOSettings) else 0.0
    kept = Kept(multiplier, WeightAverage(int(decisions * (1 - lasting))) if lasting else None)
    done = _restore(model, folder / "checkpoint.pt", run, kept)
    callbacks: list[BaseCallback] = [_Reporter(decisions, hold, done, report, multiplier)]
    if kept.average is not None:
        callbacks.append(kept.average)
    try:
        if done == 0 and settings.warm_start:
            clone(model, settings, setting, seed, threads)
        if done < decisions:
            model.learn(decisions - done, callback=callbacks, reset_num_timesteps=False)
    except KeyboardInterrupt:
        _save(model, settings, folder, origin, setting.levers, seed, run, kept)
        raise
    finally:
        env.close()
    return _save(model, settings, folder, origin, setting.levers, seed, run, kept)


def _train_members(
    settings: PPOSettings,
    setting: Setting,
    seed: int,
    folder: Path,
    report: Report | None,
    origin: dict[str, Any] | None,
    threads: int,
) -> SavedPolicy:
    """Train the members in folders of their own, each resumable by itself, and save their mean."""
    count = settings.members
    policies = []
    alone = settings.model_copy(update={"members": 1, "steps": max(1, settings.steps // count)})
    facts = {"seed": seed, "settings": settings.model_dump(), "members": count}

    def save() -> SavedPolicy:
        policy = merged(
            policies,
            policies[0].description
            | facts
            | {"steps": sum(p.description["steps"] for p in policies)},
        )
        policy.save(folder)
        return policy

    for member in range(count):
        own = folder / f"member-{member}"

        def told(progress: Progress, before: int = member) -> None:
            if report:
                report(
                    progress._replace(
                        steps=before * alone.steps + progress.steps, total=settings.steps
                    )
                )

        try:
            policies.append(
                train(
                    alone,
                    setting,
                    member_seed(seed, member),
                    own,
                    told,
                    origin,
                    threads,
                )
            )
        except KeyboardInterrupt:
            if (own / "policy.json").is_file():  # not if it was stopped before its first decision
                policies.append(load_policy(own))
            if policies:
                save()
            raise
    return save()


def make_env(
    settings: PPOSettings | SACSettings,
    setting: Setting,
    seed: int,
    threads: int = 1,
) -> PromotionVecEnv:
    """The markets a learner is trained in: plain ones with `settings.reward`, or its practice.

    Raises:
        ValueError: if an action would be held across the end of an episode, or a practice asks for
            what its algorithm cannot do.
    """
    practice = settings.practice
    if practice is None:
        env = PromotionVecEnv(
            settings.num_envs,
            setting.scenario,
            levers=setting.levers,
            days=setting.days,
            reward=settings.reward,
            threads=threads,
            seed=seed,
            stagger=settings.stagger,
        )
        env.reward_scale = settings.reward_scale
        return env
    ticks = setting.ticks
    if ticks % practice.hold:
        raise ValueError(
            f"practice.hold is {practice.hold}; it must divide the episode's {ticks} ticks"
        )
    if settings.stagger:
        raise ValueError(
            "stagger is true; a practice starts all its markets together, allowed is false"
        )
    if practice.privileged and isinstance(settings, SACSettings):
        practice = practice.model_copy(
            update={"privileged": False}
        )  # SB3's SAC has one observation for actor and critics
    return PracticeVecEnv(
        settings.num_envs,
        setting.scenario,
        practice,
        levers=setting.levers,
        days=setting.days,
        threads=threads,
        seed=seed,
        reward_scale=settings.reward_scale,
    )


def describe(settings: PPOSettings | SACSettings, setting: Setting) -> dict[str, Any]:
    """What the artefact must say about the practice so that the actor can be used without it."""
    practice = settings.practice
    if practice is None:
        return {}
    facts: dict[str, Any] = {"hold": practice.hold}
    if practice.caution_range is not None:
        facts["caution"] = practice.caution
    if practice.rule is not None:
        facts["residual"] = {
            "rule": practice.rule,
            "parameters": rule_values(practice),
            "scale": practice.residual_scale,
            "plan": plan_facts(plan_spec(setting)),
        }
    return facts


def _schedule(rate: float) -> Callable[[float], float]:
    """Linear from the rate to a tenth of it; the argument is the share of training left."""
    return lambda left: rate * (FINAL_RATE + (1 - FINAL_RATE) * max(left, 0.0))


def _model(settings: PPOSettings | SACSettings, env: PromotionVecEnv, seed: int) -> BaseAlgorithm:
    common: dict[str, Any] = {
        "learning_rate": _schedule(settings.learning_rate),
        "gamma": settings.gamma,
        "seed": seed,
        "batch_size": settings.batch_size,
        "device": "cpu",
        "verbose": 0,
    }
    if isinstance(settings, PPOSettings):
        kind = "MlpPolicy"
        shape = {}
        if isinstance(env, PracticeVecEnv):
            kind = AsymmetricPolicy
            shape = {
                "public": env.public,
                "critic_hidden": list(settings.critic_hidden or settings.hidden),
            }
        model = PPO(
            kind,
            env,
            n_steps=settings.n_steps,
            n_epochs=settings.n_epochs,
            gae_lambda=settings.gae_lambda,
            clip_range=settings.clip_range,
            ent_coef=settings.entropy,
            policy_kwargs={
                "net_arch": list(settings.hidden),
                "log_std_init": settings.log_std_start,
                "activation_fn": torch.nn.Tanh,
                **shape,
            },
            **common,
        )
        if settings.practice is not None and settings.practice.rule is not None:
            start_at_rule(model.policy.action_net)
        return model
    entropy = "auto" if settings.target_entropy is None else settings.target_entropy
    model = SAC(
        "MlpPolicy",
        env,
        buffer_size=settings.buffer_size,
        learning_starts=settings.learning_starts,
        tau=settings.tau,
        train_freq=1,
        gradient_steps=settings.gradient_steps,
        target_entropy=entropy,
        ent_coef="auto_0.05",
        policy_kwargs={"net_arch": list(settings.hidden), "activation_fn": torch.nn.ReLU},
        **common,
    )
    if settings.practice is not None and settings.practice.rule is not None:
        start_at_rule(model.actor.mu)
    return model


def clone(
    model: BaseAlgorithm,
    settings: PPOSettings | SACSettings,
    setting: Setting,
    seed: int,
    threads: int,
) -> None:
    """Fit the actor to the clairvoyant's plans before reinforcement learning begins."""
    practice = settings.practice or Practice(hold=1)
    taught = lessons(practice, setting, settings.warm_start, threads)
    if isinstance(model, SAC):
        actor = model.actor
        parts = [model.actor.latent_pi, model.actor.mu]
        fit(
            lambda x: torch.tanh(actor.mu(actor.latent_pi(x))),
            [p for part in parts for p in part.parameters()],
            taught,
            settings.warm_epochs,
            seed,
        )
        return
    policy: Any = model.policy
    tower = policy.mlp_extractor.policy_net
    learned = [*tower.parameters(), *policy.action_net.parameters()]
    fit(lambda x: policy.action_net(tower(x)), learned, taught, settings.warm_epochs, seed)


def start_at_rule(layer: Any) -> None:
    """Make the first residuals nearly nothing, so that learning starts from the rule."""
    with torch.no_grad():
        layer.weight.mul_(0.01)
        layer.bias.zero_()


def scale_inputs(
    model: BaseAlgorithm,
    settings: PPOSettings,
    setting: Setting,
    threads: int = 1,
) -> None:
    """Bring all inputs of actor and critic to mean 0 and one standard deviation, measured where
    every shift is nothing.

    Features are on natural scales: the weekday moves by 0.7, the coupon budget by 0.03. How
        strongly an actor's output first varies
    with an input, and how fast that is learned, goes with its scale.
    """
    assert settings.input_spread is not None
    few = settings.model_copy(update={"num_envs": SCALE_MARKETS})
    env = make_env(few, setting, SCALE_SEED, threads)
    assert settings.practice is not None
    seen: list[Any] = [env.reset()]
    nothing = np.zeros((env.num_envs, len(setting.levers)), np.float32)
    for _ in range(env.market.ticks // settings.practice.hold - 1):
        seen.append(env.step(nothing)[0])
    env.close()
    entries = np.concatenate(seen).astype(float)
    policy: Any = model.policy
    policy.mlp_extractor.set_scale(
        entries.mean(0), settings.input_spread / np.maximum(entries.std(0), LEAST_SPREAD)
    )


class _Reporter(BaseCallback):
    """Collects finished episodes and reports every few seconds."""

    def __init__(
        self,
        total: int,
        hold: int,
        done: int,
        report: Report | None,
        multiplier: PIDMultiplier | None,
        every: float = 2.0,
    ):
        super().__init__()
        self.total = total
        self.hold = hold
        self.done = done
        self.report = report
        self.every = every
        self.multiplier = multiplier
        self.begin = self.last = time.monotonic()
        self.last_steps = done
        self.sums: dict[str, float] = {}
        self.episodes = 0

    def _on_training_start(self) -> None:
        self._price()

    def _price(self) -> None:
        """Let the markets charge the multiplier of now."""
        if self.multiplier is not None:
            self.training_env.set_attr("multiplier", self.multiplier.value)

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.episodes += 1
                if self.multiplier is not None:
                    self.multiplier.note(info["cost"])
                for name, value in _figures(info).items():
                    self.sums[name] = self.sums.get(name, 0.0) + value
        if self.multiplier is not None and self.multiplier.due:
            self.multiplier.update()
            self._price()
        if self.report and time.monotonic() - self.last >= self.every:
            self._emit()
        return True

    def _on_training_end(self) -> None:
        if self.report:
            self._emit()

    def _emit(self) -> None:
        now = time.monotonic()
        steps = self.model.num_timesteps
        figures = (
            {name: value / self.episodes for name, value in self.sums.items()}
            if self.episodes
            else {}
        )
        if self.multiplier is not None:
            figures["multiplier"] = self.multiplier.value
        rate = self.hold * (steps - self.last_steps) / max(now - self.last, 1e-9)
        if self.report:
            figures = figures | {"episodes": float(self.episodes)}
            self.report(
                Progress(self.hold * steps, self.hold * self.total, now - self.begin, rate, figures)
            )
        self.last = now
        self.last_steps = steps
        self.sums = {}
        self.episodes = 0


def _figures(info: dict[str, Any]) -> dict[str, float]:
    plan = info["plan"]
    scale = plan["budget"] * plan["roi_target"]
    return {
        "return": info["episode"]["r"],
        "cost": info["cost"],
        "score": plan["score"] / scale,
        "settled_gmv": plan["settled_gmv"] / scale,
        "roi_over_target": min(plan["roi"] / plan["roi_target"], 10.0),
        "violation": plan["violated"],
        "shortfall": plan["shortfall"],
        "budget_use": plan["budget_use"],
        "coupon_use": plan["coupon_cost"] / max(plan["coupon_budget"], 1e-9),
        "profit": plan["profit"] / scale,
        **{
            f"spend_share_{scene}": plan[f"spend_{scene}"] / max(plan["spend"], 1e-9)
            for scene in SCENES
        },
    }


def identity(
    settings: PPOSettings | SACSettings,
    setting: Setting,
    seed: int,
) -> str:
    """What a checkpoint must share with a run to be continued by it, as JSON."""
    return json.dumps(
        {
            "settings": settings.model_dump(),
            "scenario": setting.scenario.hash,
            "levers": setting.levers,
            "days": setting.days,
            "seed": seed,
        }
    )


def _restore(model: BaseAlgorithm, path: Path, run: str, kept: Kept) -> int:
    """Continue from a checkpoint of the same run; returns the steps already done, 0 for another
    run's checkpoint.
    """
    if not path.is_file():
        return 0
    saved = torch.load(path, weights_only=True)
    if saved.get("run") != run:
        return 0
    model.policy.load_state_dict(saved["policy"])
    for name, optimizer in _optimizers(model).items():
        optimizer.load_state_dict(saved["optimizers"][name])
    if isinstance(model, SAC) and model.log_ent_coef is not None:
        model.log_ent_coef.data.copy_(saved["log_ent_coef"])
    if kept.multiplier is not None:
        kept.multiplier.restore(saved["multiplier"])
    if kept.average is not None:
        kept.average.restore(saved["average"])
    model.num_timesteps = int(saved["steps"])
    return model.num_timesteps


def _optimizers(model: BaseAlgorithm) -> dict[str, torch.optim.Optimizer]:
    if isinstance(model, SAC):
        found = {"actor": model.actor.optimizer, "critic": model.critic.optimizer}
        return found | (
            {"entropy": model.ent_coef_optimizer} if model.ent_coef_optimizer is not None else {}
        )
    return {"policy": model.policy.optimizer}


def _save(
    model: BaseAlgorithm,
    settings: PPOSettings | SACSettings,
    folder: Path,
    origin: dict[str, Any] | None,
    levers: tuple[str, ...],
    seed: int,
    run: str,
    kept: Kept,
) -> SavedPolicy:
    data: dict[str, Any] = {
        "policy": model.policy.state_dict(),
        "steps": int(model.num_timesteps),
        "run": run,
        "optimizers": {name: o.state_dict() for name, o in _optimizers(model).items()},
    }
    if isinstance(model, SAC) and model.log_ent_coef is not None:
        data["log_ent_coef"] = model.log_ent_coef.detach()
    if kept.multiplier is not None:
        data["multiplier"] = kept.multiplier.state()
    if kept.average is not None:
        data["average"] = kept.average.state()
    with whole_file(folder / "checkpoint.pt") as draft:
        torch.save(data, draft)
    hold = settings.practice.hold if settings.practice else 1
    with kept.average.shown(model.policy) if kept.average is not None else contextlib.nullcontext():
        policy = actor(
            model,
            {
                "algorithm": settings.algorithm,
                "levers": list(levers),
                "features": list(FEATURE_NAMES),
                "seed": seed,
                "steps": int(model.num_timesteps) * hold,
                "settings": settings.model_dump(),
                **(origin or {}),
            },
        )
    policy.save(folder)
    return policy


def actor(model: BaseAlgorithm, description: dict[str, Any]) -> SavedPolicy:
    """The deterministic actor of a stable-baselines3 PPO or SAC model as a SavedPolicy."""
    if isinstance(model, SAC):
        stack = [*model.actor.latent_pi, model.actor.mu]
        kind = {"activation": "relu", "output": "tanh"}
    else:
        policy: Any = model.policy
        stack = [*policy.mlp_extractor.policy_net, policy.action_net]
        kind = {"activation": "tanh", "output": "clip"}
    layers = [
        (m.weight.detach().numpy().copy(), m.bias.detach().numpy().copy())
        for m in stack
        if isinstance(m, torch.nn.Linear)
    ]
    if not isinstance(model, SAC) and isinstance(model.policy, AsymmetricPolicy):
        layers[0] = _unscaled(*layers[0], model.policy.mlp_extractor)
    return SavedPolicy([(np.asarray(w), np.asarray(b)) for w, b in layers], description | kind)


def _unscaled(
    weight: np.ndarray, bias: np.ndarray, extractor: Any
) -> tuple[np.ndarray, np.ndarray]:
    """A first layer on scaled inputs as one on the inputs themselves."""
    mean, factor = (
        part.numpy().astype(float)[: extractor.public]
        for part in (extractor.mean, extractor.factor)
    )
    weight = weight * factor
    return weight.astype(np.float32), (bias - weight @ mean).astype(np.float32)
