"""PPO of stable-baselines3 on a batch of markets, its figures in CSV, its policy saved without
pickles.

    python -m chengfang.experiments.examples.sb3_ppo --task SuperPlan
    python -m chengfang.experiments.examples.sb3_ppo --quick
    chengfang evaluate runs/sb3-ppo/policy --task Bidding --against best-rule
"""

import argparse
from pathlib import Path

import numpy as np
from chengfang.agents import Policy, rollout
from chengfang.agents.learners import PlanCallback, SavedPolicy, load_policy, save_policy
from chengfang.agents.wrappers import CounterfactualReward, HoldAction, ObjectiveReward
from chengfang.envs import Market, PromotionVecEnv, Setting, find_task, task_setting
from stable_baselines3 import PPO
from stable_baselines3.common.logger import configure

HOLD_OF_A_DAY = 3  # ticks that a decision lasts in a campaign of one day


def train(task: str, seed: int, folder: Path, steps: int) -> SavedPolicy:
    """Train on the task's training merchants, save, and return what was saved.

    This is also the form that a benchmark asks of a learner of one's own.
    """
    facts = find_task(task)
    markets = PromotionVecEnv(
        128, facts.scenario, facts.levers, facts.days, split="train", seed=seed
    )
    ticks = markets.market.ticks
    hold = HOLD_OF_A_DAY if facts.days == 1 else ticks // facts.days
    # paid for what a no-op on the same noise would not earn; few, long decisions
    env = HoldAction(CounterfactualReward(ObjectiveReward(markets)), hold)
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=ticks // hold,  # whole episodes
        batch_size=64 * (ticks // hold),
        n_epochs=10,
        learning_rate=1e-3,
        gamma=1.0,  # a campaign is finite, and every yuan counts the same
        gae_lambda=0.9,
        policy_kwargs={"log_std_init": -1.0},
        device="cpu",
        seed=seed,
    )
    model.set_logger(configure(str(folder / "log"), ["csv"]))
    model.learn(steps // hold, callback=PlanCallback())
    model.logger.close()
    env.close()
    return save_policy(model, folder / "policy", task)


def judge(policy: Policy, setting: Setting, episodes: int) -> dict[str, float]:
    """Mean score over doing nothing and violation rate on held-out merchants."""
    seeds = np.arange(1_000_000, 1_000_000 + episodes)
    plans = rollout(policy, Market.of(setting, episodes), seeds)
    nothing = rollout(policy, Market.of(setting, episodes, noop=True), seeds)
    return {
        "score over doing nothing": float((plans["score"] / nothing["score"]).mean()),
        "violation rate": float(plans["violated"].mean()),
    }


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train, load from disk, judge, print."""
    parser = argparse.ArgumentParser(description="PPO of stable-baselines3.")
    parser.add_argument("--task", default="Bidding")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=float, default=2e6, help="ticks to train for")
    parser.add_argument("--folder", type=Path, default=Path("runs/sb3-ppo"))
    parser.add_argument("--quick", action="store_true", help="a minute at most")
    given = parser.parse_args(arguments)
    steps = 150_000 if given.quick else int(given.steps)
    train(given.task, given.seed, given.folder, steps)
    policy = load_policy(given.folder / "policy")  # numpy alone: no torch, nothing unpickled
    figures = judge(policy, task_setting(given.task), 256 if given.quick else 2048)
    print("  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    return figures


if __name__ == "__main__":
    main()
