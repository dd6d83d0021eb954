"""PPO on one page, on the native batch of markets: read it, copy it, change it.

    python -m chengfang.experiments.examples.cleanrl_ppo --task Bidding
    python -m chengfang.experiments.examples.cleanrl_ppo --quick

In the spirit of CleanRL: no classes to subclass, no callbacks, every line of the algorithm in
`train`. A campaign ends for good at its horizon (the episode *terminates*), so the value after a
last tick is 0 and nothing is bootstrapped there. All episodes of a task have the same length.

`train` has the form that a benchmark asks of one's own learner:
`agents: {MyPPO: {train: "chengfang.experiments.examples.cleanrl_ppo:train", steps: 2e6}}`.
"""

import argparse
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chengfang.agents import rollout
from chengfang.envs import Market, PromotionVectorEnv, Setting, find_task, task_setting
from torch import nn


@dataclass
class Settings:
    """Everything to tune."""

    num_envs: int = 512
    num_steps: int = 24  # ticks of a rollout: a day
    epochs: int = 4
    minibatch: int = 4096
    learning_rate: float = 1e-3  # falls linearly to 0
    gamma: float = 1.0  # the horizon is finite and every yuan counts the same
    gae_lambda: float = 0.9
    clip: float = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.0
    max_gradient: float = 0.5
    log_std: float = -0.7  # of the actions at the start, which lie in [-1, 1]
    hidden: int = 64


class Agent(nn.Module):
    """A Gaussian actor and a critic, two tanh layers each, initialised orthogonally."""

    def __init__(self, features: int, levers: int, settings: Settings):
        super().__init__()
        width = settings.hidden
        self.actor = mlp(features, width, levers, last_gain=0.01)
        self.critic = mlp(features, width, 1, last_gain=1.0)
        self.log_std = nn.Parameter(torch.full((levers,), settings.log_std))

    def distribution(self, observation: torch.Tensor) -> torch.distributions.Normal:
        """Of the actions, before the environment clips them to its Box."""
        return torch.distributions.Normal(self.actor(observation), self.log_std.exp())

    def value(self, observation: torch.Tensor) -> torch.Tensor:
        """Rewards still to come, (n,)."""
        return self.critic(observation).squeeze(-1)

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Any]:
        """The policy protocol: this is what makes the agent one for `rollout` and the benchmark."""
        with torch.no_grad():
            law = self.distribution(torch.as_tensor(observation))
            action = law.mean if deterministic else law.sample()
        return action.clamp(-1, 1).numpy(), state


def mlp(inputs: int, width: int, outputs: int, last_gain: float) -> nn.Sequential:
    """Two hidden layers; a small last gain starts the actor near 0, the careful merchant."""
    return nn.Sequential(
        orthogonal(nn.Linear(inputs, width), 2**0.5),
        nn.Tanh(),
        orthogonal(nn.Linear(width, width), 2**0.5),
        nn.Tanh(),
        orthogonal(nn.Linear(width, outputs), last_gain),
    )


def orthogonal(layer: nn.Linear, gain: float) -> nn.Linear:
    """The layer with orthogonal weights and zero biases."""
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def train(
    task: str, seed: int, folder: Path, steps: int, settings: Settings | None = None
) -> Agent:
    """Train on the task's training merchants for `steps` ticks; returns the policy."""
    s = settings or Settings()
    torch.manual_seed(seed)
    facts = find_task(task)
    envs = PromotionVectorEnv(
        s.num_envs, facts.scenario, facts.levers, facts.days, reward="score", split="train"
    )
    features = len(envs.features)
    agent = Agent(features, len(envs.levers), s)
    optimizer = torch.optim.Adam(agent.parameters(), lr=s.learning_rate, eps=1e-5)

    shape = (s.num_steps, s.num_envs)
    observations = torch.zeros((*shape, features))
    actions = torch.zeros((*shape, len(envs.levers)))
    log_probs = torch.zeros(shape)
    rewards = torch.zeros(shape)
    dones = torch.zeros(shape)  # whether the episode ended with this tick
    values = torch.zeros(shape)

    observation = torch.as_tensor(envs.reset(seed=seed * 1_000_003)[0])
    iterations = max(1, steps // (s.num_steps * s.num_envs))
    started = time.time()
    finished = []  # ROI over target and score of the episodes of an iteration
    for iteration in range(iterations):
        optimizer.param_groups[0]["lr"] = s.learning_rate * (1 - iteration / iterations)

        # Play.
        for t in range(s.num_steps):
            with torch.no_grad():
                law = agent.distribution(observation)
                action = law.sample()
                values[t] = agent.value(observation)
            observations[t] = observation
            actions[t] = action
            log_probs[t] = law.log_prob(action).sum(-1)
            after, reward, terminated, _, info = envs.step(action.numpy())
            rewards[t] = torch.as_tensor(reward)
            dones[t] = torch.as_tensor(terminated)
            observation = torch.as_tensor(after)
            if "final_info" in info:
                plan = info["final_info"]["plan"]
                finished.append((plan["roi"] / plan["roi_target"])[terminated])

        # Advantages, from the last tick backwards.
        advantages = torch.zeros(shape)
        with torch.no_grad():
            later_value = agent.value(observation)
        later_advantage = torch.zeros(s.num_envs)
        for t in reversed(range(s.num_steps)):
            goes_on = 1 - dones[t]
            delta = rewards[t] + s.gamma * later_value * goes_on - values[t]
            later_advantage = delta + s.gamma * s.gae_lambda * goes_on * later_advantage
            advantages[t] = later_advantage
            later_value = values[t]

        # Learn.
        batch = {
            "observation": observations.reshape(-1, features),
            "action": actions.reshape(-1, len(envs.levers)),
            "log_prob": log_probs.reshape(-1),
            "advantage": advantages.reshape(-1),
            "target": (advantages + values).reshape(-1),
        }
        for _ in range(s.epochs):
            for rows in torch.randperm(s.num_steps * s.num_envs).split(s.minibatch):
                loss = ppo_loss(agent, {name: part[rows] for name, part in batch.items()}, s)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), s.max_gradient)
                optimizer.step()

        if finished and (iteration % 10 == 9 or iteration == iterations - 1):
            met = np.concatenate(finished)
            finished.clear()
            done_steps = (iteration + 1) * s.num_steps * s.num_envs
            print(
                f"{done_steps:>10,} ticks  {done_steps / (time.time() - started):>8,.0f} ticks/s  "
                f"median ROI / target {np.median(met):.2f}  std {agent.log_std.exp().mean():.2f}"
            )
    envs.close()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(agent.state_dict(), folder / "agent.pt")
    return agent


def ppo_loss(agent: Agent, batch: dict[str, torch.Tensor], s: Settings) -> torch.Tensor:
    """Clipped surrogate, squared error of the value, entropy bonus."""
    law = agent.distribution(batch["observation"])
    ratio = (law.log_prob(batch["action"]).sum(-1) - batch["log_prob"]).exp()
    advantage = batch["advantage"]
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    clipped = ratio.clamp(1 - s.clip, 1 + s.clip)
    policy_loss = -torch.min(ratio * advantage, clipped * advantage).mean()
    value_loss = (agent.value(batch["observation"]) - batch["target"]).square().mean()
    entropy = law.entropy().sum(-1).mean()
    return policy_loss + s.value_weight * value_loss - s.entropy_weight * entropy


def judge(agent: Any, setting: Setting, episodes: int, seed: int = 1_000_000) -> dict[str, float]:
    """Mean score over doing nothing and violation rate on held-out merchants."""
    seeds = np.arange(seed, seed + episodes)
    plans = rollout(agent, Market.of(setting, episodes), seeds)
    noop = Market.of(setting, episodes, noop=True)
    nothing = rollout(agent, noop, seeds)  # whatever the agent says, this market does nothing
    return {
        "score over doing nothing": float((plans["score"] / nothing["score"]).mean()),
        "violation rate": float(plans["violated"].mean()),
    }


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description="PPO on one page.")
    parser.add_argument("--task", default="Bidding")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=float, default=2e6, help="ticks to train for")
    parser.add_argument("--folder", type=Path, default=Path("runs/cleanrl-ppo"))
    parser.add_argument("--quick", action="store_true", help="a minute at most")
    for field in fields(Settings):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, type=type(field.default), default=field.default)
    given = parser.parse_args(arguments)
    settings = Settings(**{field.name: getattr(given, field.name) for field in fields(Settings)})
    steps = 250_000 if given.quick else int(given.steps)
    agent = train(given.task, given.seed, given.folder, steps, settings)
    figures = judge(agent, task_setting(given.task), 256 if given.quick else 2048)
    print("  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    return figures


if __name__ == "__main__":
    main()
