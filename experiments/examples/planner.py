"""Planning with copies of the market: try plans in a copy, take the first action of the best.

    python -m chengfang.experiments.examples.planner --task Bidding

`get_state` copies a market exactly and `set_state` continues from the copy. Here every merchant's
state is copied once per candidate into markets in *expectation mode* (`sampled=False`), where
counts are their means: the planner knows the market's laws and the merchant, but not the noise to
come. Still it knows more than any agent may; what it earns is a yardstick, not a competitor.
"""

import argparse

import numpy as np
from chengfang.agents import make_rule, plan_spec, rollout
from chengfang.agents.rules.tuned import tuned_parameters
from chengfang.envs import Market, MarketState, Setting, find_task, short_name, task_setting


class Planner:
    """At every tick: which constant level of all bids, held to the end, would score highest?

    Args:
        market: the market that is played. No agent may hold it; this one plans with it.
        spread: how far around the present level candidates lie, in units of the action.
        candidates: how many are tried.
    """

    def __init__(self, market: Market, spread: float = 0.4, candidates: int = 9):
        self.market = market
        self.offsets = np.linspace(-spread, spread, candidates)
        self.bids = [i for i, name in enumerate(market.levers) if name.startswith("bid")]
        self.copies = Market.of(market.setting, market.num_envs * candidates, sampled=False)

    def predict(
        self,
        observation: np.ndarray,
        state: np.ndarray | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """`state` is the bid level of every merchant, (n,)."""
        n = len(observation)
        level = np.full(n, -0.2) if state is None else state
        tried = np.clip(level[:, None] + self.offsets, -1, 1)  # (n, candidates)
        scores = self.imagine(tried.reshape(-1)).reshape(tried.shape)
        best = tried[np.arange(n), scores.argmax(1)]
        return self.action(best), best

    def imagine(self, levels: np.ndarray) -> np.ndarray:
        """Final scores if each copy holds its level to the end, CNY, same shape as levels."""
        self.copies.set_state(repeated(self.market.get_state(), len(self.offsets)))
        plan = self.action(levels)
        for _ in range(self.market.ticks_left):
            self.copies.step(plan)
        return self.copies.dashboard()["score"]

    def action(self, levels: np.ndarray) -> np.ndarray:
        """All bids at their level, everything else careful, (n, levers)."""
        action = np.zeros((len(levels), len(self.market.levers)), np.float32)
        action[:, self.bids] = levels[:, None]
        return action


def repeated(state: MarketState, times: int) -> MarketState:
    """Each market of a state `times` times in a row."""
    return MarketState(*(None if part is None else np.repeat(part, times, 0) for part in state))


def compare(setting: Setting, task: str, episodes: int) -> dict[str, float]:
    """Mean score over doing nothing of planner and tuned rule on the same merchants."""
    seeds = np.arange(1_000_000, 1_000_000 + episodes)
    spec = plan_spec(setting)
    rule = make_rule("OnlineLP", spec, **tuned_parameters("OnlineLP", task))
    market = Market.of(setting, episodes)
    nothing = rollout(rule, Market.of(setting, episodes, noop=True), seeds)["score"]
    ruled = rollout(rule, Market.of(setting, episodes), seeds)["score"]
    planned = rollout(Planner(market), market, seeds)["score"]
    return {
        "planner": float((planned / nothing).mean()),
        "OnlineLP": float((ruled / nothing).mean()),
    }


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Play both, print both."""
    parser = argparse.ArgumentParser(description="Planning with copies of the market.")
    parser.add_argument("--task", default="Bidding")
    parser.add_argument("--episodes", type=int, default=256)
    parser.add_argument("--quick", action="store_true", help="16 merchants")
    given = parser.parse_args(arguments)
    task = short_name(find_task(given.task))
    figures = compare(task_setting(task), task, 16 if given.quick else given.episodes)
    print("score over doing nothing:", *(f"{name} {x:.3f}" for name, x in figures.items()))
    return figures


if __name__ == "__main__":
    main()
