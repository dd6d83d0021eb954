"""PlanCallback writes the figures of finished plans into the model's own logger."""

import csv
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from chengfang.agents.learners import PlanCallback
from chengfang.agents.learners.plan_callback import plan_figures
from chengfang.envs import Market, PromotionVecEnv, task_setting
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv

KEYS = {
    "roi_over_target",
    "violation_rate",
    "spend_share",
    "score",
    "profit",
    "gmv_natural",
    "gmv_transaction",
    "gmv_ad",
    "coupon_use",
    "episodes",
}


class Plans(BaseCallback):
    """Keeps the dashboards of finished plans."""

    def __init__(self):
        super().__init__()
        self.plans = []

    def _on_step(self):
        self.plans += [info["plan"] for info in self.locals["infos"] if "plan" in info]
        return True


def native():
    return PromotionVecEnv(4, days=1, levers="coupon", seed=0)


def ordinary():
    return DummyVecEnv([lambda: gym.make("chengfang/Coupon-v1", days=1)] * 2)


def logged(folder):
    """Rows of the CSV that have figures of plans."""
    with (folder / "progress.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            {
                key[5:]: float(value)
                for key, value in row.items()
                if key.startswith("plan/") and value
            }
            for row in csv.DictReader(file)
        ]
    return [row for row in rows if row]


@pytest.mark.slow
@pytest.mark.parametrize("make", [native, ordinary])
@pytest.mark.parametrize("kind", [PPO, SAC])
def test_figures_are_the_means_of_finished_plans(kind, make, tmp_path):
    env = make()
    more: dict[str, Any] = (
        {"n_steps": 24, "batch_size": 24, "n_epochs": 1}
        if kind is PPO
        else {"learning_starts": 1000, "buffer_size": 1000, "batch_size": 8}
    )
    model = kind("MlpPolicy", env, device="cpu", seed=0, **more)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    plans = Plans()
    model.learn(
        24 * env.num_envs * 2,
        callback=[plans, PlanCallback()],
        log_interval=1 if kind is PPO else env.num_envs,
    )
    model.logger.close()
    rows = logged(tmp_path)
    assert len(rows) == 2
    for i, row in enumerate(rows):
        assert set(row) == KEYS
        wanted = [plan_figures(p) for p in plans.plans[i * env.num_envs : (i + 1) * env.num_envs]]
        assert row.pop("episodes") == (i + 1) * env.num_envs
        for name, value in row.items():
            mean = np.mean([figures[name] for figures in wanted if name in figures])
            assert value == pytest.approx(mean, rel=1e-6), name


def test_figures_of_a_plan():
    """Doing nothing spends nothing: a boundless ROI is shown as ten times the target."""
    market = Market.of(task_setting("Coupon"), 1)
    market.reset(seeds=np.array([0]))
    for _ in range(market.ticks):
        market.step(np.full((1, len(market.levers)), -1, np.float32))
    plan = {name: float(values[0]) for name, values in market.dashboard().items()}
    figures = plan_figures(plan)
    assert figures["spend_share"] == figures["coupon_use"] == 0
    assert figures["gmv_ad"] == 0 < figures["gmv_natural"]
    assert figures["roi_over_target"] <= 10
    assert "coupon_use" not in plan_figures(plan | {"coupon_budget": 0.0})
