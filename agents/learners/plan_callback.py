"""Business figures of finished episodes in stable-baselines3's own logger."""

from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from ...envs.scenario import POOLS

HIGHEST_ROI = 10.0  # over target; a plan that spends next to nothing has a boundless ROI


class PlanCallback(BaseCallback):
    """Logs what finished plans came to, beside stable-baselines3's own figures.

    ```python
    from chengfang.agents.learners import PlanCallback
    model = PPO("MlpPolicy", env, tensorboard_log="runs")
    model.learn(1_000_000, callback=PlanCallback())
    ```

    It reads `info["plan"]`, so it works on `PromotionVecEnv` and on environments of `gym.make`, and
    writes to whatever the model logs to: the terminal, CSV, TensorBoard, Weights & Biases. Figures
    are means over the episodes finished since the logger last wrote, once a rollout by default.

    | key | figure |
    |---|---|
    | `plan/roi_over_target` | ROI over its target, at most 10 |
    | `plan/violation_rate` | share of plans that end below 98 % of the target |
    | `plan/spend_share` | ad spend over budget |
    | `plan/score` | the score, in units of budget x ROI target |
    | `plan/profit` | profit, in units of budget x ROI target |
    | `plan/gmv_<pool>` | GMV of each pool, CNY |
    | `plan/coupon_use` | coupon cost over coupon budget, of plans that have one |
    | `plan/episodes` | episodes finished so far |
    """

    def __init__(self, verbose: int = 0):
        super().__init__(verbose)
        self.episodes = 0

    def _on_step(self) -> bool:
        before = self.episodes
        for info in self.locals["infos"]:
            if "plan" in info:
                self.episodes += 1
                for name, value in plan_figures(info["plan"]).items():
                    self.logger.record_mean(f"plan/{name}", value)
        if self.episodes > before:
            self.logger.record("plan/episodes", self.episodes)
        return True


def plan_figures(plan: dict[str, Any]) -> dict[str, float]:
    """The figures of `PlanCallback` for one finished plan's dashboard."""
    scale = plan["budget"] * plan["roi_target"]
    figures = {
        "roi_over_target": min(plan["roi"] / plan["roi_target"], HIGHEST_ROI),
        "violation_rate": plan["violated"],
        "spend_share": plan["budget_use"],
        "score": plan["score"] / scale,
        "profit": plan["profit"] / scale,
        **{f"gmv_{pool}": plan[f"gmv_{pool}"] for pool in POOLS},
    }
    if plan["coupon_budget"] > 0:
        figures["coupon_use"] = plan["coupon_cost"] / plan["coupon_budget"]
    return figures
