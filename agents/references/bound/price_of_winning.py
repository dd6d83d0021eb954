"""The best a bid can do in one auction whose highest competing bid is log-normal (world 2.3),
tabulated and never too small.

With a value v per win and a price kappa on every unit spent, an opportunity yields max_b W(b) v -
kappa cost(b). In units of v it is a function H(x) of x = m - ln(v / kappa) alone, m the mean of the
log competing bid. H falls in x, and x -> H(x) v is the maximum of functions linear in (v, kappa),
which is what makes the bound convex in its multipliers.
"""

from functools import cache
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

LOW = -8.0
HIGH = 14.0
STEP = 0.005
BIDS = np.linspace(-14.0, 0.0, 5601)  # ln of bid over value / kappa


@cache
def yield_table(sigma: float, first_price: bool) -> np.ndarray:
    """H on the grid LOW, LOW + STEP, ..., for a spread sigma of the log competing bid; each entry
    is at least the true maximum.

    First price: H = max_y Phi((y - x) / sigma) (1 - e^y). Between two bids of the grid the win
    probability is at most the upper one's and the price at least the lower one's, so (upper win) x
    (1 - lower price) bounds every bid between them. Second price: bidding the value is optimal and
    H has a closed form.
    """
    x = np.arange(LOW, HIGH + STEP / 2, STEP)
    if not first_price:
        at = -x / sigma
        return np.maximum(
            ndtr(at) - np.exp(np.minimum(x + sigma**2 / 2, 700.0)) * ndtr(at - sigma), 0.0
        )
    best = np.zeros_like(x)
    for low, high in pairwise(BIDS):
        np.maximum(best, ndtr((high - x) / sigma) * -np.expm1(low), out=best)
    return np.maximum(best, ndtr((BIDS[0] - x) / sigma))


def auction_yield(
    value: np.ndarray, kappa: np.ndarray, mean: np.ndarray, table: np.ndarray
) -> np.ndarray:
    """At least max_b W(b) value - kappa cost(b) per opportunity; arrays of one shape, `mean` in ln
    of the unit of value / kappa.

    Read at the grid point below, where H is larger.
    """
    safe = np.maximum(value, 1e-300)
    x = mean - np.log(safe / np.maximum(kappa, 1e-300))
    index = np.clip(((x - LOW) / STEP).astype(np.int64), -1, len(table) - 1)
    return np.where(index < 0, safe, safe * table[np.maximum(index, 0)])


@cache
def bend_table(sigma: float, first_price: bool, width: float) -> np.ndarray:
    """How far H can lie above its chord over [x, x + width], on the same grid: width^2 / 8 times
    its largest concavity there.
    """
    table = yield_table(sigma, first_price)
    coarse = 20
    curve = np.zeros_like(table)
    curve[coarse:-coarse] = (
        -(table[2 * coarse :] - 2 * table[coarse:-coarse] + table[: -2 * coarse])
        / (coarse * STEP) ** 2
    )
    curve[:coarse], curve[-coarse:] = curve[coarse], curve[-coarse - 1]
    reach = int(np.ceil(width / STEP)) + coarse
    worst = np.maximum(curve, 0.0)
    shift = 1
    while shift <= reach:  # running maximum over the next `reach` points, doubling
        worst[:-shift] = np.maximum(worst[:-shift], worst[shift:])
        shift *= 2
    return worst * width**2 / 8
