"""The training view of the market: residual actions, paired rewards, risk levels, and what only the
critic may see.

Everything here shapes learning only. What is judged afterwards is the saved actor alone, on
reported features, in the plain market.
"""

from typing import Any

import numpy as np
from gymnasium import spaces

from ...envs import FEATURE_NAMES, Market, Scenario, Setting
from ...envs.api.sb3_vec_env import PromotionVecEnv
from ...envs.market import layout as rows
from ..policy import plan_spec
from ..rules import Rule, make_rule
from ..rules.tuned import tuned_parameters
from .settings import Practice

LEAST = 1e-9
LIMIT = 10.0
USUAL_IDLE, LEAST_IDLE = (
    0.4,
    0.1,
)  # GMV of doing nothing over budget * roi_target: a usual one, and the least to divide by
PRIVILEGED = (
    "idle_total",
    "idle_left",
    "binding_multiplier",
    "binding_share",
    "true_gap",
    "true_value",
    "true_cost",
    *(f"worth_{s}" for s in range(rows.N_SCENES)),
    *(f"reach_{s}" for s in range(rows.N_SCENES)),
    *(f"demand_shock_{s}" for s in range(rows.N_SCENES)),
    *(f"price_shock_{s}" for s in range(rows.N_SCENES)),
)


class PracticeVecEnv(PromotionVecEnv):
    """A batch of promotion markets as a learner practises in them.

    Observations are the 81 reported features, then `caution` (if ranged), then the rule's own
    action (if there is a rule), and last the privileged entries, after the first `public`.

    Rewards are growths of a potential that ends at the objective, over budget * roi_target:

    * score: settled * min(1, (ROI / (target * (1 + caution)))^2), world 6
    * lagrangian: settled - multiplier * max(0, target * (1 + caution) * cost - settled)

    With `paired`, what doing nothing earns on the same random numbers is taken off tick by tick: a
    control variate. No action can move it, so it changes no preference between policies. With
    `twin`, what the rule underneath earns by itself on the same random
    numbers is taken off instead: the luck that both share is gone, and a residual is paid for what
        it adds. With `relative`,
    rewards are divided by the episode's GMV of doing nothing instead, times a usual one: the scale
    results are judged on, which keeps merchants with large budgets from ruling the gradient.
    """

    def __init__(
        self,
        num_envs: int,
        scenario: Scenario,
        practice: Practice,
        *,
        levers: tuple[str, ...],
        days: int,
        threads: int = 1,
        seed: int | None = None,
        reward_scale: float = 1.0,
        split: str = "train",
    ):
        super().__init__(
            num_envs,
            scenario,
            levers=levers,
            days=days,
            reward="score",
            split=split,
            threads=threads,
            seed=seed,
        )
        self.practice = practice
        self.reward_scale = reward_scale
        self.multiplier = 0.0
        self._rng = np.random.default_rng(seed)
        spec = plan_spec(Setting(scenario, self.levers, days))
        self._rule: Rule | None = (
            make_rule(practice.rule, spec, **rule_values(practice)) if practice.rule else None
        )
        self._memory: Any = None
        self._between = False
        self._started = np.ones(num_envs, bool)
        self._proposal = np.zeros((num_envs, len(self.levers)), np.float32)
        self._caution = np.zeros(num_envs, np.float32)
        self._potential = np.zeros(num_envs)
        idle = practice.paired or practice.privileged or practice.relative
        self._idle: Market | None = None
        if idle:
            self._idle = Market(
                scenario,
                num_envs,
                days=days,
                levers=self.levers,
                split=split,
                threads=threads,
                noop=True,
            )
        self._idle_path = np.zeros((num_envs, self.market.ticks + 1))
        self._twin: Market | None = None
        if practice.twin:
            self._twin = Market(
                scenario, num_envs, days=days, levers=self.levers, split=split, threads=threads
            )
        self._twin_path = np.zeros((num_envs, self.market.ticks + 1))
        self._static = np.zeros((num_envs, 2 + 2 * rows.N_SCENES), np.float32)
        self.public = (
            len(FEATURE_NAMES)
            + (practice.caution_range is not None)
            + (len(self.levers) if self._rule else 0)
        )
        width = self.public + (len(PRIVILEGED) if practice.privileged else 0)
        self.observation_space = spaces.Box(-np.inf, np.inf, (width,), np.float32)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Advance by `hold` ticks under the same action: the rule's own plus a residual, if there
        is a rule.
        """
        held = self._actions
        left = self.practice.hold
        view, total, dones, infos = self._tick(held, left)
        total = total.copy()
        while (left := left - 1) > 0:
            view, rewards, dones, infos = self._tick(held, left)
            total += rewards
        return view, total, dones, infos

    def _tick(
        self, held: np.ndarray, left: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One of the `left` ticks that the held action still lasts."""
        if self._rule is not None:
            self._actions = np.clip(
                self._proposal + np.float32(self.practice.residual_scale) * held, -1, 1
            )
        self._between = left > 1
        return super().step_wait()

    def _begin(self, started: np.ndarray) -> None:
        self._potential[started] = 0.0
        self._started |= started
        if self.practice.caution_range is not None:
            low, high = self.practice.caution_range
            self._caution[started] = self._rng.uniform(low, high, int(started.sum())).astype(
                np.float32
            )
        if self._idle is not None:
            self._run_idle(started)
        if self._twin is not None:
            self._run_twin(started)
        if self.practice.privileged:
            self._static[started] = _latent_start(self.market, started)

    def _run_twin(self, started: np.ndarray) -> None:
        """Play the started markets' episodes through with the rule alone, and keep the growth of
        the objective.
        """
        twin = self._twin
        market = self.market
        assert twin is not None
        assert self._rule is not None
        for field in ("states", "merchants", "cells"):
            getattr(twin, field)[started] = getattr(market, field)[started]
        twin.states["done"][~started] = 1
        view = market.observations
        memory = None
        fresh = np.ones(self.num_envs, bool)
        for tick in range(market.ticks):
            action, memory = self._rule.predict(view.copy(), memory, fresh)
            view = twin.step(action)
            fresh = np.zeros(self.num_envs, bool)
            self._twin_path[started, tick + 1] = self._objective(twin)[started]

    def _run_idle(self, started: np.ndarray) -> None:
        """Play the started markets' episodes through without ads and coupons, and keep the growth
        of settled GMV.
        """
        idle = self._idle
        market = self.market
        assert idle is not None
        for field in ("states", "merchants", "cells"):
            getattr(idle, field)[started] = getattr(market, field)[started]
        idle.states["done"][~started] = 1
        nothing = np.zeros((self.num_envs, len(self.levers)), np.float32)
        scale = _scale(market.merchants)
        for tick in range(market.ticks):
            idle.step(nothing)
            self._idle_path[started, tick + 1] = (
                idle.states["accrued"][:, rows.A_SETTLED] / scale
            )[started]

    def _measure(self) -> np.ndarray:
        market = self.market
        potential = self._objective(market)
        rewards = potential - self._potential
        self._potential = potential
        if self.practice.paired or self.practice.twin:
            path = self._twin_path if self.practice.twin else self._idle_path
            index = np.arange(self.num_envs)
            tick = market.states["tick"]
            rewards = rewards - (path[index, tick] - path[index, tick - 1])
        if self.practice.relative:
            rewards = rewards * USUAL_IDLE / np.maximum(self._idle_path[:, -1], LEAST_IDLE)
        return rewards.astype(np.float32)

    def _objective(self, market: Market) -> np.ndarray:
        """The potential whose growth is rewarded, (num_envs,), over budget * roi_target."""
        earned = market.states["accrued"]
        scale = _scale(market.merchants)
        settled = earned[:, rows.A_SETTLED]
        cost = earned[:, rows.A_COST]
        wanted = market.merchants["roi_target"] * (1.0 + self._caution) * cost
        if self.practice.objective == "score":
            return settled * np.minimum(1.0, settled / np.maximum(wanted, LEAST)) ** 2 / scale
        return (settled - self.multiplier * np.maximum(wanted - settled, 0.0)) / scale

    def _view(self, final: bool = False) -> np.ndarray:
        if self._between and self._rule is None:
            return self.market.observations  # nobody looks
        parts = [self.market.observations]
        if self.practice.caution_range is not None:
            parts.append(self._caution[:, None])
        if self._rule is not None and not final:  # a rule has memory: it is asked once per tick
            self._proposal, self._memory = self._rule.predict(
                self.market.observations.copy(), self._memory, self._started
            )
            self._started = np.zeros(self.num_envs, bool)
        if self._rule is not None:
            parts.append(self._proposal)
        if self.practice.privileged and not self._between:
            parts.append(self._latent())
        return np.concatenate(parts, 1)

    def _latent(self) -> np.ndarray:
        """The privileged entries, (num_envs, len(PRIVILEGED)) float32."""
        market = self.market
        states = market.states
        scale = _scale(market.merchants)
        earned = states["accrued"]
        target = market.merchants["roi_target"]
        settled = earned[:, rows.A_SETTLED] / scale
        cost = earned[:, rows.A_COST] * target / scale
        index = np.arange(self.num_envs)
        total = self._idle_path[:, -1]
        left = total - self._idle_path[index, states["tick"]]
        moving = np.stack([total, left, *self._static[:, :2].T, settled - cost, settled, cost], 1)
        latent = np.concatenate(
            [moving, self._static[:, 2:], states["demand_shock"], states["price_shock"]], 1
        )
        return np.clip(latent, -LIMIT, LIMIT).astype(np.float32)


def rule_values(practice: Practice) -> dict[str, float]:
    """Parameters of the rule underneath: tuned ones, then the practice's own."""
    tuned = (
        tuned_parameters(practice.rule, practice.rule_task)
        if practice.rule and practice.rule_task
        else {}
    )
    return tuned | practice.rule_parameters


def _scale(merchants: np.ndarray) -> np.ndarray:
    """budget * roi_target of each merchant, fen."""
    return merchants["budget"] * merchants["roi_target"].astype(float)


def _latent_start(market: Market, chosen: np.ndarray) -> np.ndarray:
    """What stays fixed over an episode, (n, 2 + 2 * scenes): binding multiplier and spend, worth
    and reach of each scene's ads.

    worth: ln of an impression's expected GMV over target and median competing price; reach: ln of
        the GMV of winning everything,
    over budget * roi_target. Both averaged over segments.
    """
    merchants = market.merchants[chosen]
    cells = market.cells[chosen].astype(float)
    ads = slice(rows.AD, rows.N_LANES)
    click, order = (1 / (1 + np.exp(-cells[:, row, ads])) for row in (rows.CLICK, rows.ORDER))
    value = click * order * cells[:, rows.VALUE, ads]
    worth = np.log(value * 10 / merchants["roi_target"][:, None]) - cells[:, rows.PRICE_MU, ads]
    reach = (cells[:, rows.TRAFFIC, ads] * value).reshape(-1, rows.N_SEGMENTS, rows.N_SCENES).sum(
        1
    ) * market.ticks
    days = market.days
    return np.concatenate(
        [
            np.log(merchants["binding_multiplier"])[:, None],
            np.log(merchants["binding_spend"] * days / merchants["budget"])[:, None],
            worth.reshape(-1, rows.N_SEGMENTS, rows.N_SCENES).mean(1),
            np.log(np.maximum(reach, 1.0) / _scale(merchants)[:, None]),
        ],
        1,
    ).astype(np.float32)
