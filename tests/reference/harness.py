"""The compiled engine driven directly, and random scenarios to drive it through."""

import hashlib
from typing import Any

import numpy as np
from chengfang.envs.interface.features import N_FEATURES
from chengfang.envs.interface.feedback import N_COSTS
from chengfang.envs.interface.levers import LEVER_NAMES, select_levers
from chengfang.envs.kernels.frame import Frame
from chengfang.envs.kernels.streams import TRAIN
from chengfang.envs.market import layout as rows
from chengfang.envs.market.batch import FRAME, reset_batch, step_batch
from chengfang.envs.market.constants import build_world
from chengfang.envs.market.generator import DRAWS
from chengfang.envs.scenario import POOLS, SCENES, SEGMENTS, TIERS, Scenario, load_scenario


def block(array: np.ndarray, kind: str) -> Any:
    """A work array as the kernels take it: the record layout.<kind> over the same memory, where
    there is one.
    """
    record = getattr(rows, kind, None)
    return array if record is None else array.reshape(-1).view(record)[0]


class Scratch:
    """Work space of one thread."""

    def __init__(self) -> None:
        self.lane = np.zeros((rows.LANE_ROWS, rows.N_LANES), np.float32)
        self.scene = np.zeros((rows.SCENE_ROWS, 16), np.float32)
        self.group = np.zeros((rows.GROUP_ROWS, 2 * rows.N_GROUPS))
        self.draws = np.zeros((2, DRAWS), np.float32)


class Rig:
    """A batch of markets of one scenario with everything in reach."""

    def __init__(
        self,
        scenario: Scenario,
        n: int = 1,
        *,
        days: int = 1,
        levers: str = "all",
        reward: str = "settled_gmv",
        sampled: bool = True,
        split: int = int(TRAIN),
        noop: bool = False,
    ):
        self.scenario = scenario
        self.days = days
        self.noop = noop
        self.levers = select_levers(levers)
        self.index = np.array([LEVER_NAMES.index(name) for name in self.levers], np.int64)
        self.world = build_world(scenario, days, split, reward, sampled)
        self.ticks = days * scenario.clock.ticks_per_day
        self.merchants = np.zeros(n, rows.MERCHANT)
        self.states = np.zeros(n, rows.STATE)
        self.cells = np.zeros((n, rows.CELL_ROWS, rows.N_LANES), np.float32)
        self.observations = np.zeros((n, N_FEATURES), np.float32)
        self.rewards = np.zeros(n, np.float32)
        self.dones = np.zeros(n, np.bool_)
        self.costs = np.zeros((n, N_COSTS), np.float32)
        self.scratch = Scratch()

    def frame(self, scratch: Scratch, **arrays: np.ndarray) -> Frame:
        return Frame(
            FRAME,
            **self.world._asdict(),
            merchants=self.merchants,
            cells=self.cells,
            states=self.states,
            levers=self.index,
            observations=self.observations,
            rewards=self.rewards,
            dones=self.dones,
            costs=self.costs,
            **vars(scratch),
            **arrays,
        )

    def reset(self, seeds: Any = None, episode: int = 0) -> "Rig":
        n = len(self.states)
        self.states["seed"] = np.arange(n) if seeds is None else seeds
        self.states["episode"] = episode
        frame = self.frame(self.scratch, mask=np.ones(n, np.bool_))
        frame.note(first=0, last=n)
        reset_batch(frame.address)
        return self

    def step(
        self,
        actions: np.ndarray,
        first: int = 0,
        last: int | None = None,
        scratch: Scratch | None = None,
    ) -> None:
        actions = np.ascontiguousarray(
            np.broadcast_to(actions, (len(self.states), len(self.levers))), np.float32
        )
        frame = self.frame(scratch or self.scratch, actions=actions)
        frame.note(
            first=first, last=len(self.states) if last is None else last, noop=int(self.noop)
        )
        assert step_batch(frame.address) == -1

    def ledger(self, name: str) -> np.ndarray:
        """A line of the books over all plans of the episode, (n,) fen."""
        line = rows.LEDGER_NAMES.index(name)
        return self.states["ledger"][:, line] + self.states["season_ledger"][:, line]

    def digest(self, i: int) -> str:
        """Hash of everything env i is and has shown."""
        parts = (
            self.states[i],
            self.merchants[i],
            self.cells[i],
            self.observations[i],
            self.rewards[i],
            self.costs[i],
        )
        return hashlib.sha256(b"".join(np.asarray(p).tobytes() for p in parts)).hexdigest()


def random_scenario(rng: np.random.Generator) -> Scenario:
    """The default market with many fields moved, some to where the limits bind."""

    def near(value: float, spread: float = 0.5) -> float:
        return value * float(np.exp(spread * rng.normal()))

    def table(keys: tuple[str, ...], low: float, high: float) -> dict[str, float]:
        return {key: float(rng.uniform(low, high)) for key in keys}

    def pick(*options: Any) -> Any:
        return options[rng.integers(len(options))]

    events = (
        []
        if rng.random() < 0.5
        else [
            {
                "name": "festival",
                "day": int(rng.integers(-3, 4)),
                "length": int(rng.integers(1, 3)),
                "traffic": float(rng.uniform(0.5, 3)),
                "price": float(rng.uniform(0.6, 2)),
                "conversion": float(rng.uniform(-0.3, 0.6)),
                "buildup": int(rng.integers(0, 4)),
                "hangover": int(rng.integers(0, 4)),
            }
        ]
    )

    def unlike_merchants() -> dict[str, dict[str, Any]]:
        """What sets merchants and hours apart, off in a third of the scenarios."""
        if rng.random() < 1 / 3:
            return {}
        return {
            "regime": {"pools_scheduled": pick(True, True, False)},
            "free_traffic": {
                "match_cost": float(rng.uniform(0, 0.6)),
                "mix_most": pick(1.5, 4.0),
                "mix_centre": table(SCENES, -1, 1),
                "natural_centre": float(rng.normal() * 0.5),
            },
            "jumps": {
                "rate": float(rng.uniform(0, 3)),
                "traffic_sd": float(rng.uniform(0, 0.4)),
                "order_sd": float(rng.uniform(0, 0.4)),
                "coupon_sd": float(rng.uniform(0, 0.8)),
                "refund_sd": float(rng.uniform(0, 0.4)),
            },
            "predictor": {
                "learns": pick(True, True, False),
                "prior_orders": pick(2.0, 30.0),
                "memory_days": pick(0.5, 5.0),
                "edit_keep": float(rng.uniform(0, 1)),
            },
            "order": {"hour_swing": float(rng.uniform(0, 0.6))},
            "creative": {"fee_cny": pick(0.0, 40.0, 400.0)},
            "services": {
                "curvature": pick(0.0, 1.0, 4.0),
                "insurance_premium": float(rng.uniform(0, 6)),
            },
            "merchants": {
                "target_rule": pick("reach", "increment"),
                "coupon_segment_sd": float(rng.uniform(0, 0.8)),
                "price_sigma_spread": float(rng.uniform(0, 0.4)),
            },
            "seasons": {
                "plan_days": pick(0, 1, 1),
                "budget_sd": float(rng.uniform(0, 0.6)),
                "target_low": float(rng.uniform(0.7, 1)),
            },
            "repeat": {
                "rate": pick(0.0, 0.1, 0.6),
                "delay_days": pick(0.3, 5.0),
                "stay_days": pick(3.0, 30.0),
            },
            "left_over": {
                name: pick(0.0, 0.5, 1.0)
                for name in ("customers", "quality", "supply", "creatives")
            },
            "dashboard": {"shop_daily": pick(False, True)},
        }

    def own_bidder(rng: np.random.Generator) -> dict[str, dict[str, Any]]:
        """The platform's bidder, off in half of the scenarios; from a stream of its own."""
        return {
            "clock": {"decision_hours": int(rng.choice([0, 0, 1, 3, 6]))},
            "bidder": {
                "platform": bool(rng.random() < 0.5),
                "division_centre": dict(zip(SCENES, rng.uniform(-1, 1, 4).tolist(), strict=True)),
                "subsidy_centre": dict(zip(POOLS, rng.uniform(-1, 1, 3).tolist(), strict=True)),
                "start": float(rng.choice([0.2, 0.6, 2.0])),
                "cost_prior": float(rng.choice([0.002, 0.05])),
                "cost_slack": float(rng.uniform(0, 1)),
                "margin": float(rng.uniform(-0.1, 0.2)),
            },
            "seat": {
                "open": bool(rng.random() < 0.4),
                "budget_edits": int(rng.integers(0, 8)),
                "target_edits": int(rng.integers(0, 30)),
                "target_hours": float(rng.choice([0.0, 1.0, 2.5])),
                "budget_step": float(rng.uniform(0, 0.4)),
                "target_step": float(rng.uniform(0, 0.2)),
            },
        }

    budget = pick((0.02, 0.1), (0.35, 2.6), (2.0, 5.0))
    coupons = pick((0.0, 0.0), (0.0005, 0.01), (0.06, 0.3), (1.0, 2.0))
    scenario = load_scenario(
        {
            "clock": {"ticks_per_day": pick(24, 24, 48, 96), "smoothing_hours": near(4)},
            "regime": {
                "preset": pick("unified", "dual_track"),
                "incremental_ads": pick(None, True, False),
                "coupons_everywhere": pick(None, True, False),
                "low_fee": pick(None, True, False),
            },
            "traffic": {
                "events": events,
                "shock_volatility": float(rng.uniform(0, 0.15)),
                "weekday": rng.uniform(0.5, 1.5, 7).tolist(),
                "hourly": rng.uniform(0.2, 3, 24).tolist(),
            },
            "free_traffic": {
                "cannibalisation": table(SCENES, 0, 1),
                "quality_lift": table(POOLS[:2], 0, 2),
                "influencer_lift": table(POOLS[:2], 0, 1),
            },
            "auction": {
                "price_rule": pick("first", "second"),
                "reaction": float(rng.uniform(0, 0.5)),
                "bid_span": near(6),
                "cpm_log_sigma": table(SCENES, 0.3, 1.5),
                "bid_default": near(1),
                "shock_persistence": float(rng.uniform(0.5, 0.99)),
            },
            "boost": {
                "reach": float(rng.uniform(0, 1)),
                "premium": float(rng.uniform(0, 0.4)),
                "budget_share": pick(0.0, 0.02, 0.3),
            },
            "predictor": {"noise": float(rng.uniform(0, 0.5)), "bias": float(rng.normal() * 0.2)},
            "click": {
                "creative_gain": near(0.8),
                "fatigue_half_life": near(6),
                "pressure": near(0.35),
                "pressure_decay_hours": near(18),
            },
            "order": {
                "at_once": pick(0.0, 0.35, 1.0),
                "fast_share": float(rng.uniform(0, 1)),
                "fast_hours": near(6),
                "slow_hours": near(48),
            },
            "coupon": {
                "response": table(SEGMENTS, 0, 1.5),
                "platform_share": pick(0.0, 0.2, 0.5, 1.0),
                "scale": near(0.1),
                "redemption_scale": near(0.06),
            },
            "tiers": {
                "mix": table(TIERS, 0, 1),
                "stock": table(TIERS, 0.1, 1),
                "growth": float(rng.uniform(0, 1)),
                "heat_elasticity": float(rng.uniform(0, 1)),
                "value_factor": table(TIERS, 0.7, 1.4),
            },
            "refund": {
                "scene": table(SCENES, 0.03, 0.5),
                "window": pick("1h", "7d", "14d", "90d"),
                "insurance": near(0.22),
                "shares": table(("1h", "7d", "14d", "90d"), 0.01, 1),
            },
            "quality": {
                "speed": near(0.35),
                "refund_penalty": near(1.5),
                "spill_over": table(POOLS[:2], -0.3, 0.5),
                "limit": pick(0.3, 1.5),
                "ctr_reference": near(1, 0.2),
                "gpm_reference": near(1, 0.2),
            },
            "creative": {
                "delay_hours": pick(0.0, 1.5, 8.0),
                "rate_max": 10.0,
                "rejection": float(rng.uniform(0, 1)),
                "start_exposure": float(rng.uniform(0, 5)),
                "mix_share": float(rng.uniform(0.1, 1)),
            },
            "influencer": {
                "commission_natural": float(rng.uniform(0, 0.2)),
                "commission_ad": float(rng.uniform(0, 0.2)),
                "reference": float(rng.uniform(0.02, 0.2)),
                "speed": near(1.2),
            },
            "services": {
                "insurance_cost": near(1),
                "interest_cost": float(rng.uniform(0, 0.1)),
                "service_cost": near(1.2),
            },
            "money": {
                "rebate": pick(0.0, 0.05),
                "protection": pick(True, False),
                "protection_threshold": pick(0.8, 1.0),
                "protection_min_orders": pick(0.0, 20.0),
                "cost_commission": pick(True, False),
                "cost_coupon": pick(True, False),
                "cost_creative": pick(True, False),
                "cost_service": pick(True, False),
            },
            "constraints": {
                "roi": pick("overall", "net", "pay"),
                "daily_cap": pick(0.05, 0.4, 1.0),
                "scene_share": pick(0.05, 0.3, 0.6, 1.0),
                "ad_load": float(rng.uniform(0, 1)),
                "refund_rate": float(rng.uniform(0, 0.5)),
            },
            "merchants": {
                "budget_low": budget[0],
                "budget_high": budget[1],
                "coupon_budget_low": coupons[0],
                "coupon_budget_high": coupons[1],
                "calendar_shift": int(rng.integers(0, 4)),
                "size_sd": 1.0,
            },
        }
    )
    return scenario.updated(unlike_merchants()).updated(own_bidder(rng.spawn(1)[0]))
