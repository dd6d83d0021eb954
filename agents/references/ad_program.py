"""The most a plan can make of ads when its own impressions wear the market out (world 2.3, 2.5),
for one merchant at given prices.

Ad impressions harm later ticks in three ways: they press on a segment's users (X, all pools), they
    age the creatives of a scene
(D, as free impressions do), and competitors answer them with higher prices (eta, per scene). Ad
orders help: they add to the quality index of free traffic. X is the state of a dynamic program per
segment. D, eta, that quality and the supply of creators are
relaxed: a multiplier charges or credits whatever moves them, and in return each cell may choose
    where in their reachable interval
they stand; what it yields is convex in each, so that only the ends of the intervals matter. The
multipliers make both ends about equally good along a reference path; any others would give a bound
as well, only a weaker one.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ...envs.market import layout as rows
from .free_traffic import best_free, shown_worth
from .price_of_winning import LOW, STEP, bend_table, yield_table
from .relaxation import SURPRISE, Relaxation, commissions, spill_over, supply_goals

NODES = 9
# of the supply's chord: any multiplier bounds, and a policy that buys supply gains from a small one
RENT = 0.6
CELLS = 16
SCENES = 4
SEGMENTS = 4


class AdMarket(NamedTuple):
    """What does not depend on multipliers, for n merchants over T ticks; cells are (segment,
    scene), the scene running fastest.
    """

    auctions: np.ndarray  # (n, T, 16)
    price: np.ndarray  # (n, T, 16) mean of ln Z, our own voice left out
    worn_click: np.ndarray  # (n, T, 4) CTR at the largest D over that at D = 0, at least
    worn_most: np.ndarray  # (n, T, 4) largest D
    price_most: np.ndarray  # (T,) largest eta
    wear: np.ndarray  # (T, T) share of what tick u (column) adds to D that tick t still sees
    pressure_most: np.ndarray  # (n, T + 1, 4) largest X
    pressure_usual: np.ndarray  # (n, T + 1, 4) X on the reference path
    audience_scene: np.ndarray  # (n, 4)
    audience_segment: np.ndarray
    pressure: float  # logit per X
    pressure_keep: float
    top_click: np.ndarray  # (n,) highest click logit of any lane
    price_keep: float
    price_reaction: float
    boosts: np.ndarray  # (B, 2) auctions factor and price shift
    tables: np.ndarray  # (kinds of spread, x) what an auction yields
    bends: np.ndarray  # (kinds of spread, x) how far it is from convex within `price_most`
    table_of_scene: np.ndarray  # (4,)
    people: np.ndarray  # (n, T, 2, 16) free opportunities per member of the scene's audience
    fewest: np.ndarray  # (n, T, 2, 16) least share of them that is shown
    reach: (
        np.ndarray
    )  # (n, 2, 2, T, 2, 16) the most, by ends of the supply of creators and of the extra quality
    supply: np.ndarray  # (T, 2) lowest and highest
    supply_speed: float
    goals: np.ndarray  # (C,) supply that each commission leads to
    slack: float  # of the grid of commissions
    room: np.ndarray  # (n, T, 2) most extra quality of both free pools
    spill: np.ndarray  # (n, 2) extra quality from one ad order
    quality_keep: float


@njit(cache=True)
def _yield(table, value, kappa, mean):
    """What one auction yields, read off the table at the point below."""
    if value <= 0.0:
        return 0.0
    x = mean - np.log(value / max(kappa, 1e-300))
    i = int((x - LOW) / STEP)
    if x <= LOW:
        return value
    return value * table[min(i, table.shape[0] - 1)]


@njit(cache=True)
def _pressed(x, pressure, top):
    """At least CTR under pressure x over CTR without, for every lane."""
    down = pressure * x
    return np.exp(-down) * (1.0 + np.exp(top)) / (1.0 + np.exp(top - down))


@njit(cache=True)
def _best_cell(
    table, bend, boosts, auctions, value, kappa, mean, worn, eta, gain_worn, gain_eta, charge
):
    """Most a cell yields over boosts and both ends of D and eta; the gains are paid at the far
    ends.
    """
    best = -1e300
    for i in range(2):
        worth = value * worn if i else value
        for j in range(2):
            extra = (gain_worn if i else 0.0) + (gain_eta if j else 0.0)
            shift = eta if j else 0.0
            top = 0.0
            for b in range(boosts.shape[0]):
                got = boosts[b, 0] * _yield(
                    table, worth - charge, kappa, mean + shift + boosts[b, 1]
                )
                top = max(top, got)
            best = max(best, auctions * top + extra)
    net = max(value - charge, 0.0)
    return best + auctions * boosts[:, 0].max() * net * _yield(
        bend, 1.0, kappa, mean - np.log(max(net, 1e-300))
    )


@njit(cache=True)
def program(
    auctions: np.ndarray,
    price: np.ndarray,
    worn_click: np.ndarray,
    worn_most: np.ndarray,
    price_most: np.ndarray,
    wear: np.ndarray,
    pressure_most: np.ndarray,
    pressure_usual: np.ndarray,
    audience_scene: np.ndarray,
    audience_segment: np.ndarray,
    pressure: float,
    pressure_keep: float,
    top_click: float,
    price_keep: float,
    price_reaction: float,
    boosts: np.ndarray,
    tables: np.ndarray,
    bends: np.ndarray,
    table_of_scene: np.ndarray,
    people: np.ndarray,
    fewest: np.ndarray,
    reach: np.ndarray,
    supply: np.ndarray,
    supply_speed: float,
    goals: np.ndarray,
    slack: float,
    room: np.ndarray,
    spill: np.ndarray,
    quality_keep: float,
    worth: np.ndarray,
    orders: np.ndarray,
    natural: np.ndarray,
    transaction: np.ndarray,
    kappa: float,
) -> float:
    """Most that free and ad traffic are worth together, fen; one merchant.

    Args, after the fields of AdMarket without their first axis:
        worth, orders: (T, 16) fen and orders per ad impression at D = X = 0.
        natural, transaction: (C, T, 16) by commission and (T, 16): fen that free traffic would
            bring if all of it were shown, at D = X = 0.
        kappa: price of one CNY per thousand, fen.
    """
    ticks = auctions.shape[0]
    nodes = (np.arange(NODES) / (NODES - 1)) ** 1.5
    later = np.zeros((SEGMENTS, NODES))
    now = np.zeros((SEGMENTS, NODES))
    toll_worn = np.zeros((ticks, SCENES))
    toll_price = np.zeros(SCENES)
    toll_supply = np.zeros(SEGMENTS)
    gain_worn = np.zeros(CELLS)
    gain_free = np.zeros(CELLS)
    gain_eta = np.zeros(CELLS)
    toll_quality = np.zeros(2)
    quality_rent = np.zeros((2, CELLS))
    value = np.zeros((ticks, CELLS))
    charge = np.zeros(SCENES)
    aged = np.zeros(SCENES)
    last = natural.shape[0] - 1
    for t in range(ticks - 1, -1, -1):
        for s in range(SCENES):
            entered = 0.0
            for k in range(SEGMENTS):
                entered += auctions[t, k * SCENES + s]
            aged[s] = 0.0
            for u in range(t + 1, ticks):
                aged[s] += wear[u, t] * toll_worn[u, s]
            charge[s] = aged[s] / audience_scene[s] + price_reaction * toll_price[s] / max(
                entered, 1.0
            )
        value[t] = worth[t] + (spill[0] * toll_quality[0] + spill[1] * toll_quality[1]) * orders[t]
        # what the far ends of D and eta must pay, on the reference path
        for k in range(SEGMENTS):
            usual = pressure_usual[t, k]
            j = 0
            while (
                j < NODES - 2 and nodes[j + 1] * pressure_most[t + 1, k] < pressure_usual[t + 1, k]
            ):
                j += 1
            width = (nodes[j + 1] - nodes[j]) * pressure_most[t + 1, k]
            toll = (later[k, j] - later[k, j + 1]) / max(width, 1e-9) / audience_segment[k]
            share = _pressed(usual, pressure, top_click)
            for s in range(SCENES):
                c = k * SCENES + s
                table = tables[table_of_scene[s]]
                cost = charge[s] + toll
                near = auctions[t, c] * _yield(
                    table, value[t, c] * share - cost, kappa, price[t, c]
                )
                worn = auctions[t, c] * _yield(
                    table, value[t, c] * share * worn_click[t, s] - cost, kappa, price[t, c]
                )
                dear = auctions[t, c] * _yield(
                    table, value[t, c] * share - cost, kappa, price[t, c] + price_most[t]
                )
                gain_worn[c] = near - worn
                gain_eta[c] = near - dear
                gain_free[c] = 0.0
                for p in range(2):
                    full = share * (transaction[t, c] if p else natural[last, t, c])
                    few = fewest[t, p, c]
                    shown = people[t, p, c] * aged[s]
                    most = reach[1, :, t, p, c]
                    quality_rent[p, c] = max((most[1] - most[0]) * max(full - shown, 0.0), 0.0)
                    gain_free[c] += shown_worth(
                        full, shown, few, most, quality_rent[p, c]
                    ) - shown_worth(full * worn_click[t, s], shown, few, most, quality_rent[p, c])
        for k in range(SEGMENTS):
            reach_now = pressure_most[t, k]
            span = pressure_most[t + 1, k]
            lanes = slice(k * SCENES, (k + 1) * SCENES)
            credit = supply_speed * toll_supply[k]
            rent = 0.0
            width = supply[t, 1] - supply[t, 0]
            if width > 0.0:
                share = _pressed(pressure_usual[t, k], pressure, top_click)
                for j in range(2):
                    got = best_free(
                        natural[last:, t, lanes],
                        transaction[t, lanes],
                        people[t, :, lanes],
                        fewest[t, :, lanes],
                        reach[j : j + 1, :, t, :, lanes],
                        supply[t, j : j + 1],
                        goals[last:],
                        0.0,
                        0.0,
                        share,
                        worn_click[t],
                        gain_free[lanes],
                        quality_rent[:, lanes],
                        aged,
                    )
                    rent += RENT * (got if j else -got) / width
            for i in range(NODES):
                x = nodes[i] * reach_now
                share = _pressed(x, pressure, top_click)
                idle = slack * abs(credit) + best_free(
                    natural[:, t, lanes],
                    transaction[t, lanes],
                    people[t, :, lanes],
                    fewest[t, :, lanes],
                    reach[:, :, t, :, lanes],
                    supply[t],
                    goals,
                    credit,
                    rent,
                    share,
                    worn_click[t],
                    gain_free[lanes],
                    quality_rent[:, lanes],
                    aged,
                )
                kept = pressure_keep * x
                best = -1e300
                for j in range(NODES - 1):
                    if nodes[j + 1] * span < kept and j < NODES - 2:
                        continue
                    width = max((nodes[j + 1] - nodes[j]) * span, 1e-9)
                    slope = (later[k, j] - later[k, j + 1]) / width
                    total = later[k, j] - slope * (kept - nodes[j] * span)
                    for s in range(SCENES):
                        c = k * SCENES + s
                        total += _best_cell(
                            tables[table_of_scene[s]],
                            bends[table_of_scene[s]],
                            boosts,
                            auctions[t, c],
                            value[t, c] * share,
                            kappa,
                            price[t, c],
                            worn_click[t, s],
                            price_most[t],
                            gain_worn[c],
                            gain_eta[c],
                            charge[s] + slope / audience_segment[k],
                        )
                    best = max(best, total)
                now[k, i] = idle + best
            toll_supply[k] = rent + (1.0 - supply_speed) * toll_supply[k]
        later[:] = now
        for p in range(2):
            toll_quality[p] = quality_keep * toll_quality[p] + quality_rent[p].sum() / max(
                room[t, p], 1e-9
            )
        for s in range(SCENES):
            worn, dear = 0.0, 0.0
            for k in range(SEGMENTS):
                c = k * SCENES + s
                worn += gain_worn[c] + gain_free[c]
                dear += gain_eta[c]
            toll_worn[t, s] = worn / max(worn_most[t, s], 1e-9)
            toll_price[s] = price_keep * toll_price[s] + dear / max(price_most[t], 1e-9)
    total = 0.0
    for k in range(SEGMENTS):
        total += later[k, 0]
    return total


def ad_market(o: Relaxation) -> AdMarket:
    """What `program` needs of a market, multipliers apart."""
    w = o.constants
    n = len(o.merchants)
    ticks = o.traffic.shape[1]
    auctions = o.traffic[..., rows.AD :]
    boosts = boost_choices(o)
    most = auctions.reshape(n, ticks, SEGMENTS, SCENES) * boosts[:, 0].max() * SURPRISE
    people_scene, people_segment = (
        np.asarray(o.merchants[name], float) for name in ("audience_scene", "audience_segment")
    )
    free = (
        (o.traffic[..., : rows.AD] * (o.reach[:, 1, 1] - o.fewest))
        .reshape(n, ticks, -1, SCENES)
        .sum(2)
    )
    worn = np.einsum("tu,nus->nts", o.wear, (most.sum(2) + SURPRISE * free) / people_scene[:, None])
    pressed = np.zeros((n, ticks + 1, SEGMENTS))
    usual = np.zeros((n, ticks + 1, SEGMENTS))
    per_day = int(w["ticks_per_day"])
    pace = np.minimum(
        o.merchants["budget"] / (o.merchants["binding_spend"] * ticks / per_day), 1.0
    )[:, None]
    typical = (
        float(w["audience"])
        * pace
        * auctions.sum(-1)
        / np.maximum(auctions.sum((1, 2)), 1e-9)[:, None]
        * ticks
        / per_day
    )
    for t in range(ticks):
        pressed[:, t + 1] = (
            float(w["pressure_keep"]) * pressed[:, t] + most[:, t].sum(2) / people_segment
        )
        usual[:, t + 1] = float(w["pressure_keep"]) * usual[:, t] + typical[:, t, None]
    reaction = float(w["price_reaction"])
    kept = float(w["price_keep"])
    dearer = np.array(
        [1.1 * reaction * sum(kept**i for i in range(min(t, 400))) for t in range(ticks)]
    )
    sigma = o.cells[0, rows.PRICE_SIGMA, rows.AD : rows.AD + SCENES]
    shape = (n, ticks, 2, CELLS)
    kinds, kind = np.unique(sigma, return_inverse=True)
    first = bool(w["first_price"])
    return AdMarket(
        auctions,
        o.cells[:, None, rows.PRICE_MU, rows.AD :] + np.tile(o.price, SEGMENTS),
        o.worn_click(worn),
        worn,
        dearer,
        o.wear,
        pressed,
        np.minimum(usual, pressed),
        people_scene,
        people_segment,
        float(w["pressure"]),
        float(w["pressure_keep"]),
        o.top_click,
        kept,
        reaction,
        boosts,
        np.stack([yield_table(round(float(x), 9), first) for x in kinds]),
        np.stack(
            [bend_table(round(float(x), 9), first, round(float(dearer.max()), 3)) for x in kinds]
        ),
        kind.astype(np.int64),
        o.traffic[..., : rows.AD].reshape(shape) / np.tile(people_scene, SEGMENTS)[:, None, None],
        o.fewest.reshape(shape),
        o.reach.reshape(n, 2, 2, *shape[1:]),
        o.supply,
        float(w["influencer_speed"]),
        *supply_goals(w, commissions(w, o.free_levers)),
        o.room,
        spill_over(o),
        1 - float(w["quality_speed"]),
    )


def boost_choices(o: Relaxation) -> np.ndarray:
    """(B, 2) factors on auctions and shifts of ln Z that the policy can choose from."""
    w = o.constants
    levels = (
        np.linspace(0, 1, 5)
        if "boost" in o.free_levers
        else np.unique([0.0, float(w["lever_default"][rows.LEVER_BOOST])])
    )
    return np.stack([1 + float(w["boost_reach"]) * levels, float(w["boost_premium"]) * levels], 1)
