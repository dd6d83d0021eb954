"""Market quantities no policy can beat: exogenous paths as they are, what a policy moves at its
most favourable (docs/upper_bound.md).

Everything is per merchant and tick. Random quantities that nobody can foresee from within a tick
(counts, the gamma factors behind them) enter by their means; demand and price shocks enter as they
will be.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from ...envs import Market, Setting
from ...envs.market import layout as rows
from .order_terms import free_tiers, most_worth, shift_ratio
from .tiers import heat_shift

SCENE_OF_LANE = np.arange(rows.N_LANES) % rows.N_SCENES
POOL_OF_LANE = np.arange(rows.N_LANES) // rows.BLOCK
LEAST_COMMISSION = 0.002
MOST_CONCAVE = 1 / (6 * np.sqrt(3))  # of a logistic, the largest -f''
COMMISSION_POINTS = 20
LUCK = 1.5  # how far free impressions of a tick, or of a few, may be from their mean
SURPRISE = 1.3  # how far luck may carry what ads add up to beyond every auction won


class Relaxation(NamedTuple):
    """Upper limits for n merchants over T ticks."""

    constants: np.void  # WORLD record
    merchants: np.ndarray  # (n,) MERCHANT records
    cells: np.ndarray  # (n, rows, 48)
    traffic: (
        np.ndarray
    )  # (n, T, 48) opportunities per tick, mean over the gamma factors; ads: increment only
    price: np.ndarray  # (n, T, 4) shift of ln Z without our own share of voice
    click: np.ndarray  # (n, T, 48) CTR without user pressure, creatives at their freshest
    order_shift: np.ndarray  # (n, T) order logit of calendar and tier heat, beyond `base_shift`
    # (n, 2, 2, T, 32) most free opportunities that show the product, per opportunity: by lowest and
    reach: np.ndarray
    # highest supply of creators, without what ad orders add to the quality and with the most
    room: np.ndarray  # (n, T, 2) most that ad orders add to the quality of both pools
    fewest: np.ndarray  # (n, T, 32) least share shown, whatever a policy does
    supply: np.ndarray  # (T, 2) lowest and highest supply of creators
    exposure: np.ndarray  # (n, T, 4) least exposure of the creative mix
    wear: (
        np.ndarray
    )  # (T, T) least share of the exposure added in tick u (column) that tick t (row) still sees
    creative: np.ndarray  # (n, T) highest quality of the creative mix
    free_levers: tuple[str, ...]

    @property
    def top_click(self) -> np.ndarray:
        """(n,) highest click logit of any lane."""
        return np.log(self.click / (1 - self.click)).max((1, 2))

    def worn_click(self, worn: np.ndarray) -> np.ndarray:
        """(n, T, 4) at least CTR after `worn` more exposures over CTR, for every lane of a scene."""
        rate = float(self.constants["fatigue_rate"])
        fresh = (
            float(self.constants["creative_gain"])
            * self.creative[..., None]
            * 2.0 ** (-self.exposure * rate)
        )
        down = fresh * (1 - 2.0 ** (-worn * rate))
        top = self.top_click[:, None, None]
        return np.exp(-down) * (1 + np.exp(top)) / (1 + np.exp(top - down))


def relax(setting: Setting, seeds: np.ndarray) -> Relaxation:
    """Follow a plan that does nothing on every seed, and take the best a policy could do to what it
    leaves behind.
    """
    levers = setting.levers
    market = Market.of(setting, len(seeds), noop=True)
    market.reset(seeds=seeds)
    w = market.world.constants[0]
    merchants = market.merchants.copy()
    cells = market.cells.astype(float)
    start = market.states.copy()
    ticks = market.ticks
    per_day = int(w["ticks_per_day"])
    demand, price, heat = (np.zeros((len(seeds), ticks, k)) for k in (4, 4, 3))
    idle = np.zeros((len(seeds), len(levers)), np.float32)
    for t in range(ticks):
        heat[:, t] = market.states["heat"]
        market.step(idle)
        demand[:, t] = market.states["demand_shock"]
        price[:, t] = market.states["price_shock"]
    day = np.arange(ticks) // per_day
    calendar = market.world.calendar[:, start["calendar"][:, None] + day].astype(float)  # (3, n, T)
    week = w["weekday"].astype(float)[(start["weekday"][:, None] + day) % 7]
    hours = market.world.hours[:, np.arange(ticks) % per_day].T.astype(float)  # (T, 4)
    scene = (week * calendar[0])[..., None] * hours * np.exp(demand - float(w["demand_correction"]))
    market.close()
    traffic = cells[:, None, rows.TRAFFIC] * scene[..., SCENE_OF_LANE]
    if w["incremental"]:
        traffic[..., rows.AD :] *= (1 - w["cannibalisation"].astype(float))[
            SCENE_OF_LANE[rows.AD :]
        ]
    order_shift = calendar[2] + heat_shift(w, cells, heat, calendar[2].max(-1), levers)
    low, high = _quality_paths(
        w, merchants, cells, traffic, levers, np.ones((len(seeds), ticks, 2))
    )
    least, most = (_supply_at(c, w, ticks) for c in commissions(w, levers)[[0, -1]])
    fewest = _reach(w, cells, low, least) * float(
        bool(w["incremental"])
    )  # else all of them may be displaced
    wear, start_wear = wear_kernel(w, levers, ticks)
    exposure = _least_exposure(w, merchants, traffic, fewest, wear, start_wear)
    click, creative = _click(w, merchants, cells, exposure, levers)
    most_shown = _reach(w, cells, np.full_like(low, float(w["quality_limit"])), most)
    signals = _best_signals(
        w, merchants, cells, traffic, levers, click, order_shift, fewest, most_shown
    )
    _, high = _quality_paths(w, merchants, cells, traffic, levers, signals)
    room = _room(w, merchants, cells, traffic, click, order_shift, high, levers)
    reach = np.stack(
        [np.stack([_reach(w, cells, q, s) for q in (high, high + room)], 1) for s in (least, most)],
        1,
    )
    reach += _above_chord(w, reach, room, most - least)
    return Relaxation(
        w,
        merchants,
        cells,
        traffic,
        price + calendar[1][..., None],
        click,
        order_shift,
        reach,
        room,
        fewest,
        np.stack([least, most], 1),
        exposure,
        wear,
        creative,
        levers,
    )


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _supply_at(commission: float, w: np.void, ticks: int) -> np.ndarray:
    """(T,) influencer supply in each tick when this commission on natural orders is offered
    throughout.
    """
    goal = np.log(max(commission, LEAST_COMMISSION) / float(w["commission_reference"]))
    return goal * (1 - (1 - float(w["influencer_speed"])) ** np.arange(ticks))


def _reach(w: np.void, cells: np.ndarray, quality: np.ndarray, supply: np.ndarray) -> np.ndarray:
    """(n, T, 32) exposure probability of free lanes at quality (n, T, 2) and supply (T,)."""
    lift = (
        w["quality_lift"].astype(float) * quality
        + w["influencer_lift"].astype(float) * supply[:, None]
    )
    return _logistic(
        cells[:, None, rows.EXPOSURE, : rows.AD] + np.repeat(lift, rows.BLOCK, axis=-1)
    )


def _room(
    w: np.void,
    merchants: np.ndarray,
    cells: np.ndarray,
    traffic: np.ndarray,
    click: np.ndarray,
    order_shift: np.ndarray,
    high: np.ndarray,
    levers: tuple[str, ...],
) -> np.ndarray:
    """(n, T, 2) most that ad orders can add to the quality index: every auction won, SURPRISE times
    the mean, up to the limit.
    """
    from .order_terms import order_values

    none = np.zeros(len(merchants))
    _, orders = order_values(w, merchants, cells, levers, none, none, none, pools=(2,))
    bought = (traffic * click * orders[:, None])[..., rows.AD :].sum(-1) * np.exp(
        np.maximum(order_shift, 0.0)
    )
    bought *= (
        SURPRISE
        * (1 + float(w["boost_reach"]))
        / np.maximum(merchants["ad_orders_reference"].astype(float), 1e-6)[:, None]
    )
    added = np.maximum(w["spill_over"].astype(float), 0.0)
    room = np.zeros_like(high)
    for t in range(1, high.shape[1]):
        room[:, t] = (1 - float(w["quality_speed"])) * room[:, t - 1] + added * bought[
            :, t - 1, None
        ]
    return np.minimum(room, np.maximum(float(w["quality_limit"]) - high, 0.0))


def spill_over(o: Relaxation) -> np.ndarray:
    """(n, 2) what one ad order adds to the quality index of both free pools; nothing where it would
    take away.
    """
    per_order = np.maximum(o.constants["spill_over"].astype(float), 0.0)
    return per_order / np.maximum(o.merchants["ad_orders_reference"].astype(float), 1e-6)[:, None]


def _above_chord(w: np.void, reach: np.ndarray, room: np.ndarray, width: np.ndarray) -> np.ndarray:
    """(n, 1, 1, T, 32) how far the exposure probability can lie above its chords over supply and
    quality: nothing where it is convex, up to logit 0; beyond, at most width^2 / 8 times the
    largest concavity of a logistic for each.
    """
    wide = (w["influencer_lift"].astype(float) * width[:, None]) ** 2 + (
        w["quality_lift"].astype(float) * room
    ) ** 2
    concave = reach.max((1, 2), keepdims=True) > 0.5
    return np.where(
        concave, np.repeat(wide, rows.BLOCK, axis=-1)[:, None, None] / 8 * MOST_CONCAVE, 0.0
    )


# a chord from 0 is a tangent at _TOUCH
_TOUCH = brentq(lambda x: (np.tanh(x - 1) - np.tanh(-1.0)) / x - 1 / np.cosh(x - 1) ** 2, 1.2, 2.0)
_CHORD = (np.tanh(_TOUCH - 1) - np.tanh(-1.0)) / _TOUCH  # pyright: ignore  (brentq may return two things, but not here)


def signal_envelope(ratio: np.ndarray) -> np.ndarray:
    """Concave envelope of tanh(x - 1) on x >= 0: the mean of the signal is at most this at the mean
    of x (Jensen).
    """
    x = np.clip(np.asarray(ratio, float), 0.0, None)
    return np.where(x < _TOUCH, np.tanh(-1.0) + _CHORD * x, np.tanh(np.maximum(x, _TOUCH) - 1))  # pyright: ignore


def _quality_paths(
    w: np.void,
    merchants: np.ndarray,
    cells: np.ndarray,
    traffic: np.ndarray,
    levers: tuple[str, ...],
    signals: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest quality index of both free pools, (n, T, 2), without what ad orders add;
    signals (n, T, 2): highest.
    """
    limit = float(w["quality_limit"])
    speed = float(w["quality_speed"])
    zeta = float(w["refund_penalty"])
    least, most = _refund_risk(w, cells, traffic, levers)
    better = np.maximum(merchants["risk_reference"] - least, 0.0)[:, None]
    worse = np.maximum(most - merchants["risk_reference"], 0.0)[:, None]
    low = np.empty_like(signals)
    high = np.empty_like(signals)
    low[:, 0] = high[:, 0] = merchants["start_quality"].astype(float)
    for t in range(1, signals.shape[1]):
        down = low[:, t - 1] + speed * (np.tanh(-1.0) - low[:, t - 1]) - zeta * worse
        up = high[:, t - 1] + speed * (signals[:, t - 1] - high[:, t - 1]) + zeta * better
        low[:, t] = np.clip(down, -limit, limit)
        high[:, t] = np.clip(up, -limit, limit)
    return low, high


def _refund_risk(
    w: np.void, cells: np.ndarray, traffic: np.ndarray, levers: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) least and most mean refund probability of orders over levers, whatever ads are bought
    beside the free traffic.
    """
    least = most = np.zeros(())
    for name, row, rate in (
        ("insurance", rows.LEVER_INSURANCE, float(w["refund_insurance"])),
        ("service", rows.LEVER_SERVICE, -float(w["refund_service"])),
    ):
        at = (
            [w["lever_low"][row], w["lever_high"][row]]
            if name in levers
            else [w["lever_default"][row]] * 2
        )
        effect = rate * np.array(at, float)
        least = least + effect.min()
        most = most + effect.max()
    tier = w["tier_refund"].astype(float)
    mix = np.exp(w["log_mix"].astype(float))
    mean = float((tier * mix).sum() / mix.sum())
    least = least + (tier.min() if free_tiers(levers) else mean)
    most = most + (tier.max() if free_tiers(levers) else mean)
    deep = float(w["refund_depth"]) * (
        float(w["depth_max"])
        if any(x.startswith(("coupon", "tilt")) for x in levers)
        else float(w["lever_default"][rows.LEVER_COUPON])
    )
    orders = traffic.mean(1) * _logistic(cells[:, rows.CLICK]) * _logistic(cells[:, rows.ORDER])
    fall = (
        float(w["quality_lift"].max())
        * float(w["quality_limit"])
        * min(1.0, traffic.shape[1] * float(w["quality_speed"]))
    )
    lowest = min(float(_supply_at(commissions(w, levers)[0], w, traffic.shape[1]).min()), 0.0)
    poorest = np.repeat(w["influencer_lift"].astype(float) * lowest - fall, rows.BLOCK)
    orders[:, : rows.AD] *= _logistic(cells[:, rows.EXPOSURE, : rows.AD] + poorest)
    if deep > 0:
        orders[:, rows.AD :] *= np.exp(
            cells[:, rows.RESPONSE, rows.AD :] * -np.expm1(-deep * float(w["coupon_rate"]))
        )
    risk = cells[:, rows.REFUND]
    return _mixed_risk(orders, _logistic(risk + least), 1.0), _mixed_risk(
        orders, _logistic(risk + most + deep), -1.0
    )


def _mixed_risk(orders: np.ndarray, risk: np.ndarray, sign: float) -> np.ndarray:
    """(n,) least (sign 1) or most (sign -1) mean risk of all free orders and any part of the ad
    orders of each lane.
    """
    total = orders[:, : rows.AD].sum(1)
    sent = (orders * risk)[:, : rows.AD].sum(1)
    ads = orders[:, rows.AD :]
    own = risk[:, rows.AD :]
    order = np.argsort(sign * own, axis=1)
    ads = np.take_along_axis(ads, order, 1)
    own = np.take_along_axis(own, order, 1)
    counts = np.maximum(
        total[:, None] + np.concatenate([np.zeros((len(ads), 1)), ads.cumsum(1)], 1), 1e-300
    )
    mixed = (
        sent[:, None] + np.concatenate([np.zeros((len(ads), 1)), (ads * own).cumsum(1)], 1)
    ) / counts
    return (mixed if sign > 0 else -mixed).min(1) * sign


def _best_signals(
    w: np.void,
    merchants: np.ndarray,
    cells: np.ndarray,
    traffic: np.ndarray,
    levers: tuple[str, ...],
    click: np.ndarray,
    order_shift: np.ndarray,
    fewest: np.ndarray,
    most: np.ndarray,
) -> np.ndarray:
    """(n, T, 2) most the content and the GPM signal can be, by the concave envelope at their
    highest mean.

    A smoothed ratio is a mean of the ticks' ratios, and what has been shown weighs at most as much
    as if the most had been shown until now, and the fewest now.
    """
    n, ticks = traffic.shape[:2]
    free = slice(rows.AD)
    transaction = slice(rows.BLOCK, rows.AD)
    per_click, logit = most_worth(w, cells, levers)
    lift = shift_ratio(
        cells[:, None, rows.ORDER],
        np.maximum(logit, cells[:, rows.ORDER])[:, None],
        order_shift[..., None],
    )
    worth = np.ones((n, ticks, rows.AD))
    worth[..., transaction] = (per_click[:, None] * lift)[..., transaction]
    reference = np.stack([merchants["ctr_reference"], merchants["gpm_reference"]], 1).astype(float)
    shape = (n, ticks, 2, rows.BLOCK)
    exposed = traffic[..., free] * _logistic(cells[:, None, rows.EXPOSURE, free])
    top = (exposed * click[..., free] * worth).reshape(shape).sum(-1)
    ratio = top / np.maximum(exposed.reshape(shape).sum(-1) * reference[:, None], 1e-12)
    few, many = ((traffic[..., free] * x).reshape(shape).sum(-1) for x in (fewest, most))
    keep = float(w["smooth_keep"])
    past = np.ones((n, 2))
    now = np.broadcast_to(1.0 / np.array([w["ctr_factor"], w["gpm_factor"]], float), (n, 2)).copy()
    for t in range(ticks):
        weight = keep * past / np.maximum(keep * past + (1 - keep) * few[:, t] / LUCK, 1e-300)
        now = np.maximum(ratio[:, t], weight * now + (1 - weight) * ratio[:, t])
        ratio[:, t] = now
        past = keep * past + (1 - keep) * many[:, t] * LUCK
    return signal_envelope(ratio)


def _least_exposure(
    w: np.void,
    merchants: np.ndarray,
    traffic: np.ndarray,
    reach: np.ndarray,
    wear: np.ndarray,
    start_wear: np.ndarray,
) -> np.ndarray:
    """(n, T, 4) exposure of the creative mix by the fewest free impressions alone, refreshed as
    early as the lever allows.
    """
    shape = (*traffic.shape[:2], 2 * rows.N_SEGMENTS, rows.N_SCENES)
    seen = (traffic[..., : rows.AD] * reach).reshape(shape).sum(2) / merchants[
        "audience_scene"
    ].astype(float)[:, None]
    return np.einsum("tu,nus->nts", wear, seen) + float(w["start_exposure"]) * start_wear[:, None]


def wear_kernel(w: np.void, levers: tuple[str, ...], ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """Least share of the exposure added in tick u that tick t still sees, (T, T), 0 for u >= t; and
    of the exposure at the start.

    Each creative that arrives takes its share away. Where refreshing is a lever, what was seen u
    ticks ago has lived through at most so many arrivals, whenever the policy lets them fall; none
    is rejected.
    """
    left = 1 - float(w["creative_mix_share"])
    at = np.arange(ticks)
    if "creative" in levers:
        first, gap = _refresh_ticks(w, levers)
        so_far = np.maximum(np.floor((at - first) / gap) + 1, 0)
        lived = np.minimum(np.floor((at[:, None] - at - 1) / gap) + 1, so_far[:, None])
    else:
        so_far = np.concatenate([[0], np.cumsum(refreshes(w, levers, ticks))])[:-1]
        lived = so_far[:, None] - so_far
    return np.where(at[:, None] > at, left ** np.maximum(lived, 0.0), 0.0), left**so_far


def _refresh_ticks(w: np.void, levers: tuple[str, ...]) -> tuple[int, int]:
    """Ticks before the first creative can arrive, and least ticks between two."""
    row = rows.LEVER_CREATIVE
    rate = float(w["lever_high"][row] if "creative" in levers else w["lever_default"][row]) * float(
        w["days_per_tick"]
    )
    gap = int(np.ceil((1 - 1e-6) / max(rate, 1e-9)))
    return gap + int(np.floor(float(w["creative_delay"]) / float(w["hours_per_tick"]))), gap


def refreshes(w: np.void, levers: tuple[str, ...], ticks: int) -> np.ndarray:
    """(T,) ticks at whose end a creative can arrive at the earliest, none rejected."""
    row = rows.LEVER_CREATIVE
    rate = float(w["lever_high"][row] if "creative" in levers else w["lever_default"][row]) * float(
        w["days_per_tick"]
    )
    arrives = np.zeros(ticks, bool)
    progress = 0.0
    wait = -1.0
    for t in range(ticks):
        if wait >= 0:
            wait -= float(w["hours_per_tick"])
            if wait < 0:
                arrives[t] = True
                wait = -1.0
        progress = min(progress + rate, 1.0)
        if progress >= 1 - 1e-6 and wait < 0:
            progress = 0.0
            wait = float(w["creative_delay"])
    return arrives


def _arrivals_by(w: np.void, levers: tuple[str, ...], ticks: int) -> np.ndarray:
    """(T,) most creatives that can have arrived before each tick."""
    first, gap = _refresh_ticks(w, levers)
    return np.maximum(np.floor((np.arange(ticks) - 1 - first) / gap) + 1, 0).astype(int)


def _best_creative(w: np.void, start: np.ndarray, arrivals: np.ndarray) -> np.ndarray:
    """(n, T) quality whose appeal no refresh policy exceeds in expectation.

    Quality moves a share towards max(draw, 0); a policy may stop when it likes what it has. With a
    creative's gain g the largest E[e^(g q)] over stopping rules comes from a dynamic program, and
    ln(.) / g of it also bounds every faded appeal (Lyapunov).
    """
    gain = max(float(w["creative_gain"]), 1e-6)
    share = float(w["creative_mix_share"])
    grid = np.linspace(0.0, 4.0, 161)
    at, weight = np.polynomial.hermite_e.hermegauss(31)
    drawn = np.maximum(float(w["creative_mean"]) + float(w["creative_sd"]) * at, 0.0)
    value = np.exp(gain * grid)
    found = [start]
    for _ in range(int(arrivals.max(initial=0))):
        moved = np.interp(
            grid[:, None] + share * (drawn - grid[:, None]), grid, value
        )  # convex: never too small
        value = np.maximum(value, moved @ weight / weight.sum())
        found.append(np.log(np.interp(start, grid, value)) / gain)
    return np.stack(found)[arrivals].T


def _click(
    w: np.void,
    merchants: np.ndarray,
    cells: np.ndarray,
    exposure: np.ndarray,
    levers: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """(n, T, 48) CTR and (n, T) quality of creatives, with the best creative there can be, nobody
    annoyed by ads.
    """
    ticks = exposure.shape[1]
    quality = _best_creative(
        w, merchants["start_creative"].astype(float), _arrivals_by(w, levers, ticks)
    )
    appeal = (
        float(w["creative_gain"])
        * quality[..., None]
        * 2.0 ** (-exposure * float(w["fatigue_rate"]))
    )
    lift = np.zeros(rows.N_LANES)
    if "commission_ad" in levers:
        top = max(float(w["lever_high"][rows.LEVER_COMMISSION_AD]), LEAST_COMMISSION)
    else:
        top = max(float(w["lever_default"][rows.LEVER_COMMISSION_AD]), LEAST_COMMISSION)
    lift[rows.AD :] = float(w["influencer_ad_lift"]) * np.log(
        top / float(w["commission_ad_neutral"])
    )
    return _logistic(cells[:, None, rows.CLICK] + appeal[..., SCENE_OF_LANE] + lift), quality


def commissions(w: np.void, levers: tuple[str, ...]) -> np.ndarray:
    """(C,) commissions on natural orders to choose from, rising; COMMISSION_SLACK covers what lies
    between them.
    """
    row = rows.LEVER_COMMISSION_NATURAL
    if "commission_natural" not in levers:
        return w["lever_default"][row : row + 1].astype(float)
    low = float(w["lever_low"][row])
    high = float(w["lever_high"][row])
    grid = np.geomspace(LEAST_COMMISSION, max(high, LEAST_COMMISSION), COMMISSION_POINTS)
    return np.unique(np.concatenate([[low], grid[grid > low]]))


def supply_goals(w: np.void, rates: np.ndarray) -> tuple[np.ndarray, float]:
    """(C,) supply that each commission leads to, and how far max_k (a goal(k) - b k) can lie above
    the best of them, per a.

    In u = ln k it is a u - b e^u, whose curvature between two points around the best one is at most
    a times their ratio.
    """
    goals = np.log(np.maximum(rates, LEAST_COMMISSION) / float(w["commission_reference"]))
    step = float(np.diff(goals).max(initial=0.0))
    return goals, float(np.exp(step)) * step**2 / 8
