"""A rule of one's own: thirty lines that read the dashboard, judged against the best tuned rule.

    python -m chengfang.experiments.examples.own_rule --task Bidding
    chengfang evaluate my_rule:Cautious --task Bidding --against best-rule  # this file copied

A policy is anything with `predict(observation, state, episode_start, deterministic)` that returns
actions and the memory it wants back at the next tick. It acts on a batch: row i is one merchant.
"""

import argparse

import numpy as np
from chengfang.agents import PlanSpec, Policy, Reading, make_rule, plan_spec, rollout
from chengfang.agents.rules.tuned import tuned_parameters
from chengfang.envs import Market, Setting, find_task, short_name, task_setting


class Cautious:
    """Bid up while ROI is above its target and money is left, down otherwise; coupons stay careful.

    The signal is the smaller of two errors: how far the reported ROI lies above the target, and how
    far the budget left lies above the traffic left. `distance` is kept from the target because
    refunds are reported late.
    """

    def __init__(self, spec: PlanSpec, gain: float = 0.1, distance: float = 0.15):
        self.bids = [i for i, name in enumerate(spec.levers) if name.startswith("bid")]
        self.levers = len(spec.levers)
        self.gain = gain

    def predict(
        self,
        observation: np.ndarray,
        state: np.ndarray | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """`state` is the bid level of every merchant, (n,), in units of the action."""
        shown = Reading(observation)
        level = np.full(len(shown), -0.2) if state is None else state.copy()
        if episode_start is not None:
            level[episode_start] = -0.2
        roi_room = shown["roi_gap"]
        budget_room = np.log(np.maximum(shown["budget_left"], 1e-3))
        budget_room -= np.log(np.maximum(shown["traffic_left"], 1e-3))
        level += self.gain * np.clip(np.minimum(roi_room, budget_room), -1, 1)
        level = np.clip(level, -1, 1)
        action = np.zeros((len(shown), self.levers), np.float32)
        action[:, self.bids] = level[:, None]
        return action, level


def mean_score(policy: Policy, setting: Setting, seeds: np.ndarray) -> tuple[np.ndarray, float]:
    """Score of each merchant, (n,), and the rate of missed targets."""
    plans = rollout(policy, Market.of(setting, len(seeds)), seeds)
    return plans["score"], float(plans["violated"].mean())


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Judge the rule beside a tuned one on the same merchants and noise."""
    parser = argparse.ArgumentParser(description="A rule of one's own against a tuned one.")
    parser.add_argument("--task", default="Bidding")
    parser.add_argument("--against", default="OnlineLP", help="a rule's name")
    parser.add_argument("--episodes", type=int, default=1024)
    parser.add_argument("--quick", action="store_true", help="64 merchants")
    given = parser.parse_args(arguments)
    task = short_name(find_task(given.task))
    setting = task_setting(task)  # the test merchants
    spec = plan_spec(setting)
    seeds = np.arange(1_000_000, 1_000_000 + (64 if given.quick else given.episodes))
    other = make_rule(given.against, spec, **tuned_parameters(given.against, task))
    mine, missed = mean_score(Cautious(spec), setting, seeds)
    theirs, their_missed = mean_score(other, setting, seeds)
    gain = mine / theirs - 1
    error = 1.96 * gain.std(ddof=1) / len(gain) ** 0.5
    print(f"Cautious misses {missed:.1%} of the targets, {given.against} {their_missed:.1%}")
    print(f"paired difference of the score {gain.mean():+.1%}, 95 % interval ±{error:.1%}")
    return {"difference": float(gain.mean()), "half_width": float(error), "missed": missed}


if __name__ == "__main__":
    main()
