"""What the rules share: state per env, writing controls by name, and the parts of a plan that are
not the bid.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from ...envs import LEVER_NAMES
from ...envs.scenario import FREE_POOLS, POOLS, SCENES
from ..policy import PlanSpec, Reading
from .estimates.reported import Memory, expected_roi, start_clock, tell_time
from .numbers import shared_numbers
from .pools import mix_logits, release_shape

T = TypeVar("T")
LEAST = 1e-6
# first names of parameters, which saved artefacts and files of tuned values may still use
RENAMED = {"caution": "safety_margin"}
# What the dashboard shows at the start, about its mean over merchants, as the linear start term
# sees it.
OPENING = {
    "roi_target": 0.39,
    "budget_size": 0.55,
    "order_value": 0.0,
    "margin": 0.535,
    "coupon_budget": 0.07,
}


class Rule:
    """A rule written for a batch of plans. Subclasses say how they `start` an episode and what they
    `decide` each tick.

    Args:
        spec: the public facts of the task.
        **parameters: the rule's own numbers; defaults are the class attribute `defaults`.
    """

    # parameters that every rule has: what is not the bid, and what shapes the bid
    common: dict[str, float] = shared_numbers()
    defaults: dict[str, float] = {}  # the rule's own; both come from defaults.yaml

    shop_levers = (
        "creative",
        "commission_natural",
        "commission_ad",
        "insurance",
        "interest_free",
        "service",
        "boost",
        "tilt_new",
        "tilt_price_sensitive",
        "tilt_regular",
        "tilt_loyal",
        "share_feed",
        "share_live",
        "share_mall",
        "share_search",
        "tier_hot",
        "tier_trending",
        "tier_potential",
    )

    def __init__(self, spec: PlanSpec, **parameters: float):
        known = self.common | self.defaults
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no parameter {', '.join(unknown)}; "
                f"allowed are {', '.join(known)}"
            )
        self.spec = spec
        self.parameters = known | parameters
        self._column = {name: i for i, name in enumerate(spec.levers)}

    def __getattr__(self, name: str) -> float:
        try:
            return self.__dict__["parameters"][name]
        except KeyError:
            raise AttributeError(name) from None

    def predict(
        self,
        observation: np.ndarray,
        state: Memory | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Memory]:
        """Act on a batch; see `Policy.predict`. Rules are deterministic."""
        reading = Reading(observation)
        if state is None:
            state = {}
            fresh = np.ones(len(reading), bool)
        else:
            none = np.zeros(len(reading), bool)
            fresh = none if episode_start is None else np.asarray(episode_start, bool)
            # copied, as the caller may plan from the old state
            state = {name: values.copy() for name, values in state.items()}
            # traffic left rises where the next plan of an episode begins: a rule plays each anew
            fresh = fresh | (reading["traffic_left"] > state["traffic_before"])
        if fresh.any():
            first = start_clock(reading) | self.start(reading) | self.start_coupons(reading)
            for name, values in first.items():
                old = state.setdefault(name, values.copy())
                old[fresh] = values[fresh]
        tell_time(reading, state, 24.0 / self.spec.ticks_per_day)
        action = np.zeros((len(reading), len(self.spec.levers)), np.float32)
        self.run_shop(reading, state, action)
        self.run_pools(reading, action)
        self.run_coupons(reading, state, action)
        self.decide(reading, state, action)
        return (action if np.ndim(observation) > 1 else action[0]), state

    def start(self, reading: Reading) -> Memory:
        """Memory of a new episode, arrays of (n, ...)."""
        return {}

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Write the bids, and whatever else the rule is about, into action (n, levers)."""
        raise TypeError(f"{type(self).__name__} must say how it decides")

    def start_coupons(self, reading: Reading) -> Memory:
        """Coupon depth at the start of an episode."""
        return {"coupon_depth": np.full(len(reading), self.depth)}

    def lean(self, reading: Reading) -> np.ndarray:
        """ln of what the merchant's facts, shown from the start, move the first bid by, (n,)."""
        lean = np.zeros(len(reading))
        for name, feature in _START:
            if self.parameters[name]:
                lean += self.parameters[name] * (reading[feature] - OPENING[feature])
        return np.clip(lean, -2, 2)

    def roi_error(self, reading: Reading, memory: Memory) -> np.ndarray:
        """ln(ROI / target), (n,), as this rule reads it: reported, or with what is on its way; less
        the distance to keep.
        """
        if not (self.delay or self.refund):
            return roi_error(reading) - self.safety_margin
        return (
            expected_roi(reading, memory["arrived"], self.delay, self.refund) - self.safety_margin
        )

    def log_bid(self, reading: Reading) -> np.ndarray:
        """ln of the multipliers of the reference in force, (n, 4), as the dashboard shows them."""
        return reading.each(BIDS) + np.log(self.spec.table[LEVER_NAMES.index("bid")].default)

    def room(self, reading: Reading, memory: Memory) -> np.ndarray:
        """ROI room for costs other than bids, (n,) within plus or minus one; none before anything
        is known.
        """
        return np.where(memory["seen"] > 0, np.clip(self.roi_error(reading, memory), -1, 1), 0.0)

    def run_coupons(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Pace coupon depth to the coupon budget: proportional and slow integral feedback on what
        is left against traffic left.
        """
        left = reading["coupon_budget_left"]
        ahead = reading["traffic_left"]
        lead = np.clip(np.log(np.maximum(left, LEAST) / np.maximum(ahead, 1e-2)), -2, 1)
        depth = np.clip(memory["coupon_depth"] * np.exp(self.coupon_gain * lead), 0.002, 0.25)
        memory["coupon_depth"] = depth
        now = self.coupon_now * lead
        if self.room_coupon:
            now = now + self.room_coupon * self.room(reading, memory)
        shown = np.where(reading["coupon_budget"] > 0, np.clip(depth * np.exp(now), 0, 0.25), 0.0)
        for pool in POOLS:
            self.control(action, f"coupon_{pool}", shown)

    def run_shop(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Hold the shop's levers, budget shares, tiers and tilts where the parameters say."""
        for name in self.shop_levers:
            if name in self._column:
                action[:, self._column[name]] = self.parameters[name.replace("share_", "cap_")]
        for lever, room, late in _MOVED:
            gain = self.parameters[room]
            drift = self.parameters[late] if late else 0.0
            if lever in self._column and lever in self.shop_levers and (gain or drift):
                moved = gain * self.room(reading, memory) + drift * (1 - reading["time_left"])
                column = action[:, self._column[lever]]
                action[:, self._column[lever]] = np.clip(column + moved, -1, 1)

    def run_pools(self, reading: Reading, action: np.ndarray) -> None:
        """Schedule free traffic: the mix by its reported worth, the release by the time of day."""
        if any(name in self._column for name in MIX):
            logits = mix_logits(reading, self.mix_gain, self.mix_wait)
            for lever, logit in zip(MIX, logits.T, strict=True):
                self.control(action, lever, logit)
        for pool in FREE_POOLS:
            if f"pace_{pool}" in self._column:
                held = self.parameters[f"release_{pool}"]
                shape = self.release_swing * release_shape(reading, pool)
                action[:, self._column[f"pace_{pool}"]] = np.clip(held + shape, -1, 1)

    def control(self, action: np.ndarray, lever: str, value: "np.ndarray | float") -> None:
        """Set a lever to a value in its own unit, for all envs; levers the task does not control
        are left alone.
        """
        if lever in self._column:
            action[:, self._column[lever]] = lever_action(self.spec, lever, value)

    def bid(self, reading: Reading, action: np.ndarray, multiplier: np.ndarray) -> None:
        """Bid a multiplier of the reference: (n,) for all scenes, or (n, 4) per scene, times the
        rule's fixed shape.

        With only a plan-wide bid lever, per-scene multipliers are averaged geometrically.
        """
        if multiplier.ndim == 2:
            scenes = multiplier
        else:
            scenes = np.repeat(multiplier[:, None], len(SCENES), 1)
        shape = self.shape(reading)
        if shape is not None:
            scenes = scenes * np.exp(shape)
        default = self.spec.table[LEVER_NAMES.index("bid")].default
        if "bid_feed" in self._column:
            for s, scene in enumerate(SCENES):
                self.control(action, f"bid_{scene}", scenes[:, s] / default)
        else:
            self.control(action, "bid", np.exp(np.log(np.maximum(scenes, LEAST)).mean(1)))

    def shape(self, reading: Reading) -> np.ndarray | None:
        """ln of the bid's fixed shape over scenes, hours and event days, (n, 4); None if it has
        none.
        """
        scenes = np.array([self.parameters[f"scene_{scene}"] for scene in SCENES])
        in_time = [name for name in ("hour_sin", "hour_cos", "event") if self.parameters[name]]
        if not in_time and not scenes.any():
            return None
        shape = np.repeat(scenes[None], len(reading), 0)
        for name in in_time:
            feature = "event_today" if name == "event" else name
            shape = shape + self.parameters[name] * reading[feature][:, None]
        return np.clip(shape, -3, 3)


BIDS = [f"bid_{scene}" for scene in SCENES]
MIX = [*(f"mix_{scene}" for scene in SCENES), "mix_natural"]
_START = (
    ("start_target", "roi_target"),
    ("start_budget", "budget_size"),
    ("start_value", "order_value"),
    ("start_margin", "margin"),
    ("start_coupon", "coupon_budget"),
)
_MOVED = (
    ("creative", "room_creative", "late_creative"),
    ("commission_natural", "room_natural", "late_natural"),
    ("commission_ad", "room_ad", "late_ad"),
    ("boost", "room_boost", None),
)


def lever_action(spec: PlanSpec, lever: str, value: Any) -> np.ndarray:
    """The action in [-1, 1] whose control is nearest to `value`: the inverse of `lever_value`."""
    entry = spec.table[LEVER_NAMES.index(lever)]
    x = np.asarray(value, float)
    if entry.mapping == "log":
        floor = 1 / entry.span
        inner = x / entry.default * (1 - floor) + floor
        action = np.log(np.maximum(inner, floor)) / np.log(entry.span)
    else:
        up = max(entry.high - entry.default, LEAST)
        down = max(entry.default - entry.low, LEAST)
        action = np.where(x >= entry.default, (x - entry.default) / up, (x - entry.default) / down)
    return np.clip(action, -1.0, 1.0).astype(np.float32)


def present_names(parameters: Mapping[str, T]) -> dict[str, T]:
    """Parameters under the names of now.

    Raises:
        ValueError: if one is given under both names.
    """
    for old, new in RENAMED.items():
        if old in parameters and new in parameters:
            raise ValueError(f"{old} is the first name of {new}; give one of them")
    return {RENAMED.get(name, name): value for name, value in parameters.items()}


def pace_error(reading: Reading) -> np.ndarray:
    """ln(budget left / traffic left), (n,): positive when the plan is behind an even spend."""
    left = np.maximum(reading["budget_left"], 1e-3)
    ahead = np.maximum(reading["traffic_left"], 1e-3)
    return np.log(left / ahead)


def roi_error(reading: Reading) -> np.ndarray:
    """ln(reported ROI / target), (n,): positive when there is room to bid more."""
    return reading["roi_gap"]
