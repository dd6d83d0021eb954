"""The market as a single Gymnasium environment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ..interface.features import FEATURE_NAMES
from ..interface.units import FEN_PER_CNY
from ..market import layout as rows
from ..market.dashboard import single
from ..market.engine import Market, MarketState
from ..scenario import Scenario, load_scenario
from .spaces import action_space, cost_limits, observation_space

# Ledger lines that `reward_parts` reports per tick, CNY.
PARTS = (
    "gmv",
    "spend",
    "coupon_merchant",
    "commission",
    "fee",
    "goods",
    "extras",
    "service",
    "creative",
    "rebate",
    "protection",
    "settled_refund_gmv",
)


class SuperPlanEnv(gym.Env[np.ndarray, np.ndarray]):
    """Omni-domain promotion: one merchant, one budget, one comprehensive ROI target, one plan.

    ## Description
    A merchant sells through four scenes (feed, live, mall, search) out of three pools of traffic:
    *natural* (content driven, free), *transaction* (ranked by GMV per impression, free) and *ad*
    (auctioned). Each tick the plan sets bids, budget shares, coupon depths and the shop's levers;
    users of four segments see, click and buy with the probabilities of world 2; orders arrive with
    delay and some are refunded later. Every episode draws another merchant and another market day.

    ## Action Space
    `Box(-1, 1, (len(levers),), float32)`; `env.unwrapped.levers` names each entry. 0 is what a
    careful merchant would do, -1 the least (no ads, no coupons, no refresh), +1 the most. Units and
    mappings: `chengfang.envs.lever_table(scenario)`.

    | set (`levers=`) | entries |
    |---|---|
    | `bidding` | `bid_feed, bid_live, bid_mall, bid_search` |
    | `allocation` | the bids and `share_<scene>`, the most of the budget a scene may spend |
    | `coupon` | `bid`, `coupon_<pool>` and `tilt_<segment>`, whose product is the coupon depth |
    | `super_plan` | all but `bid` and the tiers |
    | `whole_shop` | all of these and `tier_hot, tier_trending, tier_potential` |

    An action of the wrong shape or with an entry that is not finite raises ValueError; entries
    outside [-1, 1] are clipped.

    ## Observation Space
    `Box(-10, 10, (101,), float32)` of metrics a merchant's dashboard reports, scaled to O(1) by
    constants of the scenario and the merchant; `env.unwrapped.features` names each entry and
    `chengfang.envs.FEATURES` says what it means and how it is scaled.

    | index | names | about |
    |---|---|---|
    | 0-7 | `time_left` ... `traffic_left` | time, calendar of promotions, traffic still to come |
    | 8-16 | `budget_left` ... `coupon_budget` | budgets left, and who the merchant is |
    | 17-23 | `roi_gap` ... `smooth_gmv_pace` | the plan's results as reported so far |
    | 24-55 | `<metric>_<scene>` | bids, win rates, CPM, CTR, spend, GMV, ROI of each scene's ads |
    | 56-58 | `gmv_pace_<pool>` | what each pool sells |
    | 59-70 | `coupon_pace` ... `claims_<segment>` | coupons and segments |
    | 71-80 | `quality_natural` ... `refund_rate` | the shop's lasting quantities |
    | 81-100 | `free_pace_natural_feed` ... `learned_search` | free pools by scene, learning |

    ## Rewards
    `reward=` chooses one; all are scaled by budget * roi_target, so that an episode's return is
    O(1), and sum over an episode to the result itself, because orders and refunds on their way
    count at their expected value until they arrive.

    | `reward=` | growth of |
    |---|---|
    | `settled_gmv` | GMV less refunds within the settlement window (default) |
    | `incremental` | the same, above a no-op plan on the same random numbers |
    | `profit` | the merchant's profit |
    | `score` | settled_gmv * min(1, (ROI / target)^2) |
    | `platform` | what the platform earns: spend + fees - its coupons - rebates |

    The constraint is a cost, never a hidden penalty: `info["cost"]` is the tick's (roi_target *
    cost - value) / (budget * roi_target), whose episode sum must not end above 0; `info["costs"]`
    has it with the shares of budget and coupon budget used, and `cost_limits` their limits. Spend
    and coupons cannot exceed their budgets: the tick is cut pro rata.

    ## Starting State
    `reset(seed=s)` starts episode 0 of stream s: a merchant (category, size, order value, margin,
    appeal, prices, budget, ROI target), a weekday and the market's shocks. `reset()` goes on to the
    stream's next episode. The splits `train`, `validation` and `test` draw from disjoint streams.

    ## Episode End
    After days * ticks_per_day ticks the campaign is over and the episode *terminates*; it is never
    truncated. Then `info["plan"]` holds the full dashboard.

    ## Arguments
    ```python
    gym.make("chengfang/SuperPlan-v1", scenario="unlike_merchants", levers="super_plan_pools",
             days=7, reward="settled_gmv", split="train", render_mode=None, reward_parts=False,
             sampled=True)
    ```
    `scenario`: a shipped name, a YAML path, a dict of differences or a `Scenario`. `reward_parts`:
    put the tick's ledger lines into `info["reward_parts"]`. `sampled=False`: counts are their means
    (expectation mode).

    ## Vectorized environment
    `gym.make_vec(id, num_envs=n, vectorization_mode="vector_entry_point")` gives
    `PromotionVectorEnv`, the native batch; env i seeded with s + i walks the same trajectory as
    this class seeded with s + i, bit for bit.

    ## Version History
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 8}

    def __init__(
        self,
        scenario: "str | Path | dict[str, Any] | Scenario" = "default",
        levers: "str | Sequence[str]" = "super_plan",
        days: int | None = None,
        reward: str = "settled_gmv",
        split: str = "train",
        render_mode: str | None = None,
        reward_parts: bool = False,
        sampled: bool = True,
    ):
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is {render_mode!r}; allowed are None and 'rgb_array'")
        self.scenario = load_scenario(scenario)
        names = levers if isinstance(levers, str) else tuple(levers)
        self.market = Market(
            self.scenario,
            1,
            days=self.scenario.clock.days if days is None else days,
            levers=names,
            reward=reward,
            split=split,
            sampled=sampled,
        )
        self.levers = self.market.levers
        self.features = FEATURE_NAMES
        self.action_space = action_space(self.levers)
        self.observation_space = observation_space()
        self.cost_limits = cost_limits(self.scenario)
        self.render_mode = render_mode
        self.reward_parts = reward_parts
        self._frames: list[dict[str, Any]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode: of the seed's stream if one is given, else the next of the present
        stream.
        """
        super().reset(seed=seed)
        self.market.reset(seeds=None if seed is None else np.array([seed]))
        self._frames = []
        self._record()
        return self.market.observations[0].copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Advance one tick; raises ValueError for an action of the wrong shape or not finite."""
        observation, reward, done, (roi, budget, subsidy, ad_load, refund_rate) = (
            self.market.step_single(np.asarray(action))
        )
        costs = {"roi": roi, "budget": budget, "subsidy": subsidy}
        if "ad_load" in self.cost_limits:
            costs["ad_load"] = ad_load
        if "refund_rate" in self.cost_limits:
            costs["refund_rate"] = refund_rate
        info: dict[str, Any] = {"cost": roi, "costs": costs}
        if self.reward_parts:
            info["reward_parts"] = self._parts()
        if done:
            info["plan"] = self.plan()
        if self.render_mode is not None:
            self._record()
        return observation, reward, done, False, info

    def plan(self) -> dict[str, float]:
        """The dashboard of the plan so far (`info["plan"]` at the episode's end), money in CNY."""
        return single(self.market.dashboard())

    def get_state(self) -> MarketState:
        """An exact copy of the market."""
        return self.market.get_state()

    def set_state(self, state: MarketState) -> None:
        """Continue exactly where a copied market stood."""
        self.market.set_state(state)

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """A picture of the plan so far, (600, 1000, 3) uint8 RGB; None without render_mode."""
        if self.render_mode is None:
            return None
        from .rendering import draw_dashboard

        return draw_dashboard(self._frames, self.market)

    def close(self) -> None:
        """Release the market's threads."""
        self.market.close()

    def _parts(self) -> dict[str, float]:
        state = self.market.states[0]
        change = (state["ledger"] - state["last_ledger"]) / FEN_PER_CNY
        return {name: float(change[rows.LEDGER_NAMES.index(name)]) for name in PARTS}

    def _record(self) -> None:
        if self.render_mode is not None:
            from .rendering import snapshot

            self._frames.append(snapshot(self.market, 0))
