"""SAC from TorchRL on the native batch of markets.

    pip install "chengfang[torchrl]"
    python -m chengfang.experiments.examples.torchrl_sac --task Bidding
    python -m chengfang.experiments.examples.torchrl_sac --quick

`PromotionTorchEnv` is all that TorchRL needs to know of a market: one tensordict in, one out, for
the whole batch at once. The rest is TorchRL's own SAC.
"""

import argparse
import sys
from typing import Any

import numpy as np
import torch
from chengfang.agents import rollout
from chengfang.envs import Market, PromotionVectorEnv, Setting, find_task, task_setting
from torch import nn

try:
    from tensordict import TensorDict, TensorDictBase
    from tensordict.nn import TensorDictModule
    from torchrl.collectors import Collector
    from torchrl.data import Bounded, Composite, LazyTensorStorage, ReplayBuffer, Unbounded
    from torchrl.envs import EnvBase
    from torchrl.modules import (
        MLP,
        NormalParamExtractor,
        ProbabilisticActor,
        TanhNormal,
        ValueOperator,
    )
    from torchrl.objectives import SACLoss, SoftUpdate
except ImportError as error:
    sys.exit(f'this example needs TorchRL: pip install "chengfang[torchrl]" ({error})')


class PromotionTorchEnv(EnvBase):
    """A batch of markets as a TorchRL environment of batch size (num_envs,)."""

    def __init__(self, task: str, num_envs: int, split: str = "train"):
        super().__init__(batch_size=torch.Size([num_envs]))
        facts = find_task(task)
        self.envs = PromotionVectorEnv(
            num_envs,
            facts.scenario,
            facts.levers,
            facts.days,
            reward="score",
            split=split,
            autoreset_mode="Disabled",  # TorchRL's collector asks for resets itself
        )
        features = len(self.envs.features)
        self.observation_spec = Composite(
            observation=Unbounded((num_envs, features)), shape=(num_envs,)
        )
        self.action_spec = Bounded(-1, 1, (num_envs, len(self.envs.levers)))
        self.reward_spec = Unbounded((num_envs, 1))
        self.first_seed: int | None = None

    def _reset(self, tensordict: TensorDictBase | None = None, **_: Any) -> TensorDictBase:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        options = None if mask is None else {"reset_mask": mask.reshape(-1).numpy()}
        observation, _info = self.envs.reset(seed=self.first_seed, options=options)
        self.first_seed = None  # later resets go on along each market's own stream
        return TensorDict({"observation": torch.as_tensor(observation)}, self.batch_size)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        observation, reward, terminated, _, _ = self.envs.step(tensordict["action"].numpy())
        over = torch.as_tensor(terminated)[:, None]
        return TensorDict(
            {
                "observation": torch.as_tensor(observation),
                "reward": torch.as_tensor(reward, dtype=torch.float32)[:, None],
                "terminated": over,
                "done": over.clone(),
            },
            self.batch_size,
        )

    def _set_seed(self, seed: int | None) -> None:
        self.first_seed = seed


def make_actor(env: PromotionTorchEnv) -> ProbabilisticActor:
    """A squashed Gaussian on the observation."""
    levers = env.action_spec.shape[-1]
    network = nn.Sequential(
        MLP(
            in_features=env.observation_spec["observation"].shape[-1],
            out_features=2 * levers,
            num_cells=[128, 128],
            activation_class=nn.ReLU,
        ),
        NormalParamExtractor(),
    )
    return ProbabilisticActor(
        TensorDictModule(network, in_keys=["observation"], out_keys=["loc", "scale"]),
        in_keys=["loc", "scale"],
        spec=env.action_spec_unbatched,
        distribution_class=TanhNormal,
        return_log_prob=True,
    )


def make_critic(env: PromotionTorchEnv) -> ValueOperator:
    """Value of an observation and an action."""
    inputs = env.observation_spec["observation"].shape[-1] + env.action_spec.shape[-1]
    network = MLP(
        in_features=inputs, out_features=1, num_cells=[128, 128], activation_class=nn.ReLU
    )
    return ValueOperator(network, in_keys=["observation", "action"])


def train(task: str, seed: int, steps: int, num_envs: int = 64, updates: int = 16) -> Any:
    """Collect, store, update; returns the actor. `updates` gradient steps follow every tick."""
    torch.manual_seed(seed)
    env = PromotionTorchEnv(task, num_envs)
    env.set_seed(seed)
    actor = make_actor(env)
    # Rewards of a tick are about 1 / ticks; the entropy bonus would drown them.
    reward_scale = 50.0
    loss = SACLoss(actor, make_critic(env), action_spec=env.action_spec_unbatched)
    loss.make_value_estimator(gamma=0.97)
    targets = SoftUpdate(loss, tau=0.005)
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-3)
    buffer = ReplayBuffer(storage=LazyTensorStorage(200_000), batch_size=256)
    random_ticks = min(94, steps // num_envs // 4) * num_envs
    collector = Collector(
        env,
        actor,
        frames_per_batch=num_envs,
        total_frames=steps,
        init_random_frames=random_ticks,
        auto_register_policy_transforms=True,
    )
    for i, batch in enumerate(collector):
        batch["next", "reward"] *= reward_scale
        buffer.extend(batch.reshape(-1))
        if (i + 1) * num_envs < random_ticks:
            continue
        errors = []
        for _ in range(updates):
            parts = loss(buffer.sample())
            total = parts["loss_actor"] + parts["loss_qvalue"] + parts["loss_alpha"]
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            targets.step()
            errors.append(parts["loss_qvalue"].item())
        if i % 50 == 0:
            print(f"{(i + 1) * num_envs:>8,} ticks  critic loss {np.mean(errors):.3f}")
    collector.shutdown()
    return actor


class TorchRLPolicy:
    """The actor behind the policy protocol."""

    def __init__(self, actor: Any):
        self.actor = actor

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Any]:
        """The squashed mean, (n, levers)."""
        with torch.no_grad():
            law = self.actor.get_dist(
                TensorDict({"observation": torch.as_tensor(observation)}, [len(observation)])
            )
            action = law.deterministic_sample if deterministic else law.sample()
        return action.numpy(), state


def judge(policy: TorchRLPolicy, setting: Setting, episodes: int) -> dict[str, float]:
    """Mean score over doing nothing and violation rate on held-out merchants."""
    seeds = np.arange(1_000_000, 1_000_000 + episodes)
    plans = rollout(policy, Market.of(setting, episodes), seeds)
    nothing = rollout(policy, Market.of(setting, episodes, noop=True), seeds)
    return {
        "score over doing nothing": float((plans["score"] / nothing["score"]).mean()),
        "violation rate": float(plans["violated"].mean()),
    }


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description="SAC from TorchRL.")
    parser.add_argument("--task", default="Bidding")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=float, default=60_000, help="ticks to train for")
    parser.add_argument("--quick", action="store_true", help="a minute at most")
    given = parser.parse_args(arguments)
    steps = 9_600 if given.quick else int(given.steps)
    policy = TorchRLPolicy(train(given.task, given.seed, steps, updates=4 if given.quick else 16))
    figures = judge(policy, task_setting(given.task), 256 if given.quick else 2048)
    print("  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    return figures


if __name__ == "__main__":
    main()
