"""The most a plan can make of ads when its own impressions wear the market out (world 2.3, 2.5),
for one merchant at given prices.

Ad impressions harm later ticks in three ways. They press on a segment's users (X, all pools). They
age the creatives of a scene (D, as free impressions do). Competitors answer them with higher prices
(eta, per scene). Ad orders help: they add to the quality index of free traffic.

X is the state of a dynamic program per segment. D, eta and that quality are relaxed: a multiplier
charges or credits whatever moves them, and in return each lane may choose where in their reachable
interval they stand. What a lane yields is convex in each, so that only the
ends of the intervals matter. The multipliers make both ends about equally good along a reference
path; any others would give a bound as well, only a weaker one.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .ad_market import (
    AD_LANES,
    SCENES,
    SEGMENTS,
    AdMarket,
    Auctions,
    FreeLanes,
    Pressure,
    Quality,
    Wear,
)
from .free_traffic import FreePrices, FreeTick, best_free, shown_worth
from .price_of_winning import LOW, STEP

NODES = 9


class LaneWorth(NamedTuple):
    """What traffic is worth at given multipliers at D = X = 0, fen; n merchants, or one."""

    free: np.ndarray  # (n, T, 2, 16) of both free pools, if all of it were shown
    ads: np.ndarray  # (n, T, 16) per ad impression, the quality that its orders add left out
    orders: np.ndarray  # (n, T, 16) orders per ad impression


class Tolls(NamedTuple):
    """What a unit of each lasting quantity costs from the next tick on, fen; filled backwards."""

    exposure: np.ndarray  # (T, 4) per unit of D in each tick
    price: np.ndarray  # (4,) per unit of eta
    quality: np.ndarray  # (2,) credit per unit of each pool's quality


class FarEnds(NamedTuple):
    """What the far ends of D, eta and quality must bring in a tick so as to be no worse than the
    near ones, fen.
    """

    worn: np.ndarray  # (16,) D, ads
    free: np.ndarray  # (16,) D, free traffic
    price: np.ndarray  # (16,) eta
    quality: np.ndarray  # (2, 16) rent for the most extra quality


class Tick(NamedTuple):
    """One tick of the backward pass."""

    at: int
    value: np.ndarray  # (16,) worth of an ad impression, the quality it adds included
    aged: np.ndarray  # (4,) toll on exposures added now, per exposure of the whole audience
    charge: np.ndarray  # (4,) fen that an ad impression owes for D and eta
    nodes: np.ndarray  # (NODES,) grid of X, shares of the largest
    kappa: float  # price of one CNY per thousand, fen


class Curves(NamedTuple):
    """What one auction of a scene yields, and what it may be boosted by."""

    table: np.ndarray
    bend: np.ndarray
    boosts: np.ndarray


class Lot(NamedTuple):
    """The auctions of one lane in one tick."""

    auctions: float
    value: float  # fen per win
    log_price: float  # mean of ln Z
    kappa: float


class FarCell(NamedTuple):
    """The far ends of D and eta for one lane."""

    worn: float  # factor on value
    dearer: float  # shift of ln Z
    worn_gain: float
    price_gain: float


@njit(cache=True)
def programs(market: AdMarket, worth: LaneWorth, kappa: np.ndarray) -> np.ndarray:
    """`program` of n merchants: (n,) fen; kappa (n,) is the price of one CNY per thousand, fen."""
    found = np.empty(len(kappa))
    for i in range(len(kappa)):
        one = LaneWorth(worth.free[i], worth.ads[i], worth.orders[i])
        found[i] = program(merchant(market, i), one, kappa[i])
    return found


@njit(cache=True)
def merchant(market: AdMarket, i: int) -> AdMarket:
    """The market of merchant i: the same fields without their first axis."""
    auctions, wear, pressure, free, quality = market
    return AdMarket(
        Auctions(
            auctions.entered[i],
            auctions.log_price[i],
            auctions.dearest[i],
            auctions.price_keep,
            auctions.price_reaction,
            auctions.boosts,
            auctions.tables,
            auctions.bends[i],
            auctions.kinds,
        ),
        Wear(wear.click[i], wear.most[i], wear.kept, wear.audience[i]),
        Pressure(
            pressure.most[i],
            pressure.usual[i],
            pressure.audience[i],
            pressure.logit,
            pressure.keep,
            pressure.top_click[i],
        ),
        FreeLanes(free.people[i], free.fewest[i], free.most[i]),
        Quality(quality.room[i], quality.spill[i], quality.keep),
    )


@njit(cache=True)
def program(market: AdMarket, worth: LaneWorth, kappa: float) -> float:
    """Most that free and ad traffic are worth together, fen; one merchant.

    Args:
        market: of one merchant, see `merchant`.
        worth: of one merchant's traffic, without the first axis.
        kappa: price of one CNY per thousand, fen.
    """
    ticks = worth.ads.shape[0]
    nodes = (np.arange(NODES) / (NODES - 1)) ** 1.5
    later = np.zeros((SEGMENTS, NODES))
    now = np.zeros((SEGMENTS, NODES))
    tolls = Tolls(np.zeros((ticks, SCENES)), np.zeros(SCENES), np.zeros(2))
    ends = FarEnds(
        np.zeros(AD_LANES), np.zeros(AD_LANES), np.zeros(AD_LANES), np.zeros((2, AD_LANES))
    )
    for t in range(ticks - 1, -1, -1):
        aged = exposure_tolls(market.wear, tolls, t)
        charge = impression_charges(market, tolls, aged, t)
        tick = Tick(t, ad_values(market.quality, worth, tolls, t), aged, charge, nodes, kappa)
        price_far_ends(market, worth, tick, later, ends)
        for k in range(SEGMENTS):
            worth_of_segment(market, worth, tick, ends, k, later[k], now[k])
        later[:] = now
        update_tolls(market, tolls, ends, t)
    total = 0.0
    for k in range(SEGMENTS):
        total += later[k, 0]
    return total


@njit(cache=True)
def exposure_tolls(wear: Wear, tolls: Tolls, t: int) -> np.ndarray:
    """(4,) what a unit of exposure added in tick t costs the ticks after it, fen."""
    found = np.zeros(SCENES)
    for s in range(SCENES):
        for u in range(t + 1, wear.kept.shape[0]):
            found[s] += wear.kept[u, t] * tolls.exposure[u, s]
    return found


@njit(cache=True)
def impression_charges(market: AdMarket, tolls: Tolls, aged: np.ndarray, t: int) -> np.ndarray:
    """(4,) fen that an ad impression of a scene owes for the exposure and the prices it raises."""
    auctions = market.auctions
    found = np.zeros(SCENES)
    for s in range(SCENES):
        entered = 0.0
        for k in range(SEGMENTS):
            entered += auctions.entered[t, k * SCENES + s]
        voice = auctions.price_reaction * tolls.price[s] / max(entered, 1.0)
        found[s] = aged[s] / market.wear.audience[s] + voice
    return found


@njit(cache=True)
def ad_values(quality: Quality, worth: LaneWorth, tolls: Tolls, t: int) -> np.ndarray:
    """(16,) worth of an ad impression in tick t with the quality that its orders add."""
    credit = quality.spill[0] * tolls.quality[0] + quality.spill[1] * tolls.quality[1]
    return worth.ads[t] + credit * worth.orders[t]


@njit(cache=True)
def pressed(x: float, logit: float, top: "float | np.ndarray") -> float:
    """At least CTR under pressure x over CTR without, for every lane; `logit` is lost per x."""
    down = logit * x
    return np.exp(-down) * (1.0 + np.exp(top)) / (1.0 + np.exp(top - down))


@njit(cache=True)
def auction_worth(table: np.ndarray, value: float, kappa: float, log_price: float) -> float:
    """What one auction yields, read off the table at the grid point below."""
    if value <= 0.0:
        return 0.0
    x = log_price - np.log(value / max(kappa, 1e-300))
    i = int((x - LOW) / STEP)
    if x <= LOW:
        return value
    return value * table[min(i, table.shape[0] - 1)]


@njit(cache=True)
def price_far_ends(
    market: AdMarket, worth: LaneWorth, tick: Tick, later: np.ndarray, ends: FarEnds
) -> None:
    """Write into `ends` what the far ends must bring, read along the reference path."""
    auctions = market.auctions
    pressure = market.pressure
    t = tick.at
    dearest = auctions.dearest[t]
    for k in range(SEGMENTS):
        toll = usual_toll(pressure, tick, later, k)
        share = pressed(pressure.usual[t, k], pressure.logit, pressure.top_click)
        for s in range(SCENES):
            c = k * SCENES + s
            table = auctions.tables[auctions.kinds[s]]
            cost = tick.charge[s] + toll
            value = tick.value[c] * share
            entered = auctions.entered[t, c]
            mean = auctions.log_price[t, c]
            tired = value * market.wear.click[t, s]
            near = entered * auction_worth(table, value - cost, tick.kappa, mean)
            worn = entered * auction_worth(table, tired - cost, tick.kappa, mean)
            dear = entered * auction_worth(table, value - cost, tick.kappa, mean + dearest)
            ends.worn[c] = near - worn
            ends.price[c] = near - dear
            price_free_ends(market, worth, tick, share, c, ends)


@njit(cache=True)
def usual_toll(pressure: Pressure, tick: Tick, later: np.ndarray, k: int) -> float:
    """What an impression's pressure on segment k costs later along the reference path, fen."""
    most = pressure.most[tick.at + 1, k]
    usual = pressure.usual[tick.at + 1, k]
    j = 0
    while j < NODES - 2 and tick.nodes[j + 1] * most < usual:
        j += 1
    width = (tick.nodes[j + 1] - tick.nodes[j]) * most
    return (later[k, j] - later[k, j + 1]) / max(width, 1e-9) / pressure.audience[k]


@njit(cache=True)
def price_free_ends(
    market: AdMarket, worth: LaneWorth, tick: Tick, share: float, c: int, ends: FarEnds
) -> None:
    """Write the far ends of D and quality for the free traffic of lane c."""
    t = tick.at
    s = c % SCENES
    ends.free[c] = 0.0
    for p in range(2):
        full = share * worth.free[t, p, c]
        few = market.free.fewest[t, p, c]
        cost = market.free.people[t, p, c] * tick.aged[s]
        most = market.free.most[:, t, p, c]
        rent = max((most[1] - most[0]) * max(full - cost, 0.0), 0.0)
        ends.quality[p, c] = rent
        fresh = shown_worth(full, cost, few, most, rent)
        worn = shown_worth(full * market.wear.click[t, s], cost, few, most, rent)
        ends.free[c] += fresh - worn


@njit(cache=True)
def free_prices(market: AdMarket, tick: Tick, ends: FarEnds, k: int) -> FreePrices:
    """What wear and quality cost the free traffic of segment k."""
    lanes = slice(k * SCENES, (k + 1) * SCENES)
    return FreePrices(
        market.wear.click[tick.at], ends.free[lanes], ends.quality[:, lanes], tick.aged
    )


@njit(cache=True)
def worth_of_segment(
    market: AdMarket,
    worth: LaneWorth,
    tick: Tick,
    ends: FarEnds,
    k: int,
    later: np.ndarray,
    now: np.ndarray,
) -> None:
    """Write into `now` (NODES,) what segment k is worth from this tick on at each pressure; `later`
    is the same of the next tick.
    """
    t = tick.at
    free = market.free
    pressure = market.pressure
    lanes = slice(k * SCENES, (k + 1) * SCENES)
    traffic = FreeTick(
        worth.free[t, :, lanes],
        free.people[t, :, lanes],
        free.fewest[t, :, lanes],
        free.most[:, t, :, lanes],
    )
    prices = free_prices(market, tick, ends, k)
    for i in range(NODES):
        x = tick.nodes[i] * pressure.most[t, k]
        share = pressed(x, pressure.logit, pressure.top_click)
        without_ads = best_free(traffic, prices, share)
        now[i] = without_ads + best_ads(market, tick, ends, k, pressure.keep * x, share, later)


@njit(cache=True)
def best_ads(
    market: AdMarket,
    tick: Tick,
    ends: FarEnds,
    k: int,
    kept: float,
    share: float,
    later: np.ndarray,
) -> float:
    """Most that the ads of segment k yield now together with what follows, fen, over the pressure
    they leave behind.

    Args:
        kept: pressure that is left without any ads.
        share: CTR under pressure over CTR without.
        later: (NODES,) what follows, concave in pressure between nodes or bounded as if it were.
    """
    span = market.pressure.most[tick.at + 1, k]
    best = -1e300
    for j in range(NODES - 1):
        if tick.nodes[j + 1] * span < kept and j < NODES - 2:
            continue
        width = max((tick.nodes[j + 1] - tick.nodes[j]) * span, 1e-9)
        slope = (later[j] - later[j + 1]) / width
        total = later[j] - slope * (kept - tick.nodes[j] * span)
        for s in range(SCENES):
            charge = tick.charge[s] + slope / market.pressure.audience[k]
            total += best_lane(market, tick, ends, k * SCENES + s, share, charge)
        best = max(best, total)
    return best


@njit(cache=True)
def best_lane(
    market: AdMarket, tick: Tick, ends: FarEnds, c: int, share: float, charge: float
) -> float:
    """Most that the auctions of lane c yield over boosts and both ends of D and eta, fen; each
    impression owes `charge`.
    """
    auctions = market.auctions
    t = tick.at
    s = c % SCENES
    kind = auctions.kinds[s]
    curves = Curves(auctions.tables[kind], auctions.bends[kind], auctions.boosts)
    lot = Lot(auctions.entered[t, c], tick.value[c] * share, auctions.log_price[t, c], tick.kappa)
    far = FarCell(market.wear.click[t, s], auctions.dearest[t], ends.worn[c], ends.price[c])
    return best_lot(curves, lot, far, charge)


@njit(cache=True)
def best_lot(curves: Curves, lot: Lot, far: FarCell, charge: float) -> float:
    """Most that a lane's auctions yield, fen; the gains are paid at the far ends.

    The last term makes up for what an auction's yield lacks of convexity in eta.
    """
    best = -1e300
    for i in range(2):
        worth = lot.value * far.worn if i else lot.value
        for j in range(2):
            extra = (far.worn_gain if i else 0.0) + (far.price_gain if j else 0.0)
            mean = lot.log_price + (far.dearer if j else 0.0)
            top = 0.0
            for b in range(curves.boosts.shape[0]):
                got = curves.boosts[b, 0] * auction_worth(
                    curves.table, worth - charge, lot.kappa, mean + curves.boosts[b, 1]
                )
                top = max(top, got)
            best = max(best, lot.auctions * top + extra)
    net = max(lot.value - charge, 0.0)
    bent = auction_worth(curves.bend, 1.0, lot.kappa, lot.log_price - np.log(max(net, 1e-300)))
    return best + lot.auctions * curves.boosts[:, 0].max() * net * bent


@njit(cache=True)
def update_tolls(market: AdMarket, tolls: Tolls, ends: FarEnds, t: int) -> None:
    """Carry the tolls on D, eta and quality over to the tick before t."""
    for p in range(2):
        credit = ends.quality[p].sum() / max(market.quality.room[t, p], 1e-9)
        tolls.quality[p] = market.quality.keep * tolls.quality[p] + credit
    for s in range(SCENES):
        worn = 0.0
        dear = 0.0
        for k in range(SEGMENTS):
            c = k * SCENES + s
            worn += ends.worn[c] + ends.free[c]
            dear += ends.price[c]
        tolls.exposure[t, s] = worn / max(market.wear.most[t, s], 1e-9)
        dear /= max(market.auctions.dearest[t], 1e-9)
        tolls.price[s] = market.auctions.price_keep * tolls.price[s] + dear
