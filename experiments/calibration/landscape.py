"""The bid landscape of a log: a log-normal fitted by maximum likelihood, with standard errors.

The highest competing bid Z per thousand impressions is log-normal, ln Z ~ Normal(mu, sigma) (world
2.3; landscapes: 1905.03028). A second-price log shows Z only where the own bid won; what it hides
is told by one of two likelihoods:

- the log holds lost rows: a loss says only Z > own bid (right-censored, as in Ren et al., KDD
    2019);
- the log holds won rows only: the losses are unknown, so each price is drawn from Z given Z <= own
    bid (truncated).

Both are one formula with a `ceiling` above which the log holds no row: infinite in the first case,
the own bid in the second, and the original bid where a won-only log is replayed against lower bids.
Prices are whole fen, so a price z stands for the interval [z - 1/2, z + 1/2]; z = 0 needs no
special case. Ties win. The likelihood was derived here from these statements; no paper's formula is
copied.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr

Floats = NDArray[np.float64]
HALF_FEN = 0.5
LEAST_DISTINCT = 3  # two parameters need at least three different prices
SIGMA_LIMITS = (0.01, 10.0)  # beyond these a fit has left what prices in whole fen can tell
MU_LIMIT = 25.0
HESSIAN_STEP = 1e-3  # in units of sigma; the likelihood is smooth on this scale


class Landscape(NamedTuple):
    """A fitted log-normal of the highest competing bid; mu and sigma in ln of the price unit given
    (fen: ln fen).
    """

    mu: float
    sigma: float
    mu_error: float
    sigma_error: float
    rows: int
    losses: int
    ks: float

    def shifted(self, amount: float) -> "Landscape":
        """The same landscape in another unit: mu + amount; -ln 100 turns fen into CNY."""
        return self._replace(mu=self.mu + amount)


class _Rows(NamedTuple):
    """Distinct rows, how often each occurs, the upper edges of the intervals; all (n,) float64."""

    price: Floats
    bid_edge: Floats
    ceiling_edge: Floats
    won: NDArray[np.bool_]
    times: Floats


def fit_landscape(
    price: ArrayLike, bid: ArrayLike, won: ArrayLike, ceiling: ArrayLike | None = None
) -> Landscape:
    """Maximum-likelihood log-normal of the highest competing bid, with standard errors from the
    observed information.

    Args:
        price: (n,) paying prices in whole fen per thousand: the highest competing bid where won;
            not read where lost.
        bid: (n,) own bids, same unit, above 0. The row is won when the competing bid is at most the
            own bid.
        won: (n,) booleans.
        ceiling: (n,) highest competing bids that the log could hold at all. By default infinite if
            any row is lost, the own bid if all are won.

    Raises:
        ValueError: shapes differ, a price is negative or above its bid, fewer than three different
            prices were won, or the likelihood has no maximum inside the allowed range (the log does
            not tell the landscape).
    """
    rows = _distinct(price, bid, won, ceiling)
    total = rows.times.sum()
    start = _start(rows)
    found = minimize(
        lambda x: -_log_likelihood(rows, x[0], np.exp(x[1])) / total,
        start,
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000},
    )
    mu = float(found.x[0])
    sigma = float(np.exp(found.x[1]))
    if not found.success or not SIGMA_LIMITS[0] < sigma < SIGMA_LIMITS[1] or abs(mu) > MU_LIMIT:
        raise ValueError(
            "the log does not tell a log-normal landscape: the likelihood still rises at mu "
            f"{mu:.3g}, sigma {sigma:.3g}; more rows, higher bids or lost rows are needed"
        )
    mu_error, sigma_error = _standard_errors(rows, mu, sigma)
    return Landscape(
        mu,
        sigma,
        mu_error,
        sigma_error,
        int(total),
        int(rows.times[~rows.won].sum()),
        ks_distance(rows, mu, sigma),
    )


def log_mass(low: Floats, high: Floats) -> Floats:
    """ln(Phi(high) - Phi(low)) elementwise for low < high, exact in both tails."""
    flip = low > 0  # take the difference in the lower tail, where Phi keeps its digits
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    upper = log_ndtr(high)
    return upper + np.log1p(-np.exp(log_ndtr(low) - upper))


def ks_distance(rows: _Rows, mu: float, sigma: float) -> float:
    """Largest distance between the won prices' distribution and the fitted one given that each row
    was won.

    The fitted one averages F(z) / F(top) over the won rows, each with its own top (bid or ceiling,
    whichever is lower). Both are compared at the edges of the whole-fen intervals, so rounding adds
    no distance of its own.
    """
    price = rows.price[rows.won]
    weight = rows.times[rows.won] / rows.times[rows.won].sum()
    top = np.minimum(rows.bid_edge, rows.ceiling_edge)[rows.won]
    edges = np.unique(np.concatenate([np.maximum(price - HALF_FEN, 0), price + HALF_FEN]))
    seen = _share_below(price, weight, edges)
    passed = _share_below(
        top, weight, edges
    )  # rows whose top lies below the edge: all of their mass does too
    order = np.argsort(top)
    part = weight[order] / ndtr(_standard(top[order], mu, sigma))
    above = (
        part.sum() - np.concatenate([[0.0], np.cumsum(part)])[np.searchsorted(top[order], edges)]
    )
    return float(np.abs(seen - passed - above * ndtr(_standard(edges, mu, sigma))).max())


def _share_below(value: Floats, weight: Floats, edges: Floats) -> Floats:
    """Weight of the values below each edge."""
    order = np.argsort(value)
    return np.concatenate([[0.0], np.cumsum(weight[order])])[np.searchsorted(value[order], edges)]


def _standard(edge: Floats, mu: float, sigma: float) -> Floats:
    """(ln edge - mu) / sigma; an edge of 0 gives -inf, an infinite one +inf."""
    with np.errstate(divide="ignore"):
        return (np.log(edge) - mu) / sigma


def _log_likelihood(rows: _Rows, mu: float, sigma: float) -> float:
    """Sum of ln P(interval | Z <= ceiling): won rows their price interval, lost rows (bid,
    ceiling].

    Minus infinity where the search has strayed so far that the probabilities vanish.
    """
    low = np.where(rows.won, np.maximum(rows.price - HALF_FEN, 0), rows.bid_edge)
    high = np.where(rows.won, rows.price + HALF_FEN, rows.ceiling_edge)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = log_mass(_standard(low, mu, sigma), _standard(high, mu, sigma))
        total = float(rows.times @ (terms - log_ndtr(_standard(rows.ceiling_edge, mu, sigma))))
    return total if np.isfinite(total) else -np.inf


def _standard_errors(rows: _Rows, mu: float, sigma: float) -> tuple[float, float]:
    """Square roots of the inverse observed information's diagonal; raises ValueError where it is
    not a maximum.
    """
    information = -_hessian(
        lambda m, s: _log_likelihood(rows, m, s), mu, sigma, HESSIAN_STEP * sigma
    )
    if not (np.isfinite(information).all() and (np.linalg.eigvalsh(information) > 0).all()):
        raise ValueError(
            "the log does not tell a log-normal landscape: its likelihood is flat at the best fit; "
            "more rows, higher bids or lost rows are needed"
        )
    mu_error, sigma_error = np.sqrt(np.diag(np.linalg.inv(information)))
    return float(mu_error), float(sigma_error)


def _hessian(f: Callable[[float, float], float], x: float, y: float, h: float) -> Floats:
    """Central second differences of f at (x, y)."""
    centre = f(x, y)
    xx = (f(x + h, y) - 2 * centre + f(x - h, y)) / h**2
    yy = (f(x, y + h) - 2 * centre + f(x, y - h)) / h**2
    xy = (f(x + h, y + h) - f(x + h, y - h) - f(x - h, y + h) + f(x - h, y - h)) / (4 * h**2)
    return np.array([[xx, xy], [xy, yy]])


def _start(rows: _Rows) -> Floats:
    """(mean, ln sd) of the won log prices: right up to truncation, close enough to start from."""
    logs = np.log(np.maximum(rows.price[rows.won], HALF_FEN))
    weight = rows.times[rows.won]
    mean = np.average(logs, weights=weight)
    return np.array([mean, 0.5 * np.log(max(np.average((logs - mean) ** 2, weights=weight), 1e-4))])


def _distinct(price: ArrayLike, bid: ArrayLike, won: ArrayLike, ceiling: ArrayLike | None) -> _Rows:
    """Check the input and merge equal rows: a million rows of whole fen hold a few thousand
    different ones.
    """
    z = np.asarray(price, float)
    b = np.asarray(bid, float)
    w = np.asarray(won, bool)
    top = (
        np.asarray(ceiling, float)
        if ceiling is not None
        else b
        if w.all()
        else np.full(b.shape, np.inf)
    )
    if z.ndim != 1 or not z.shape == b.shape == w.shape == top.shape:
        raise ValueError(
            f"price, bid, won and ceiling have shapes {z.shape}, {b.shape}, {w.shape}, "
            f"{top.shape}; all must be of one length"
        )
    z = np.where(w, z, 0.0)  # a lost row's price says nothing
    _check(z, b, w, top)
    table, count = np.unique(np.stack([z, b, top, w]), axis=1, return_counts=True)
    merged = _Rows(
        table[0], table[1] + HALF_FEN, table[2] + HALF_FEN, table[3] > 0, count.astype(float)
    )
    distinct = len(np.unique(merged.price[merged.won]))
    if distinct < LEAST_DISTINCT:
        raise ValueError(
            f"the log holds {distinct} different prices of won rows; "
            f"a landscape needs at least {LEAST_DISTINCT}"
        )
    return merged


def _check(z: Floats, b: Floats, won: NDArray[np.bool_], top: Floats) -> None:
    for wrong, words in (
        (~(np.isfinite(z) & (z >= 0)), "a price is negative or not a number; prices are 0 or more"),
        (~(np.isfinite(b) & (b > 0)), "a bid is not above 0"),
        (won & (z > b), "a won price is above its bid; a second-price winner pays at most its bid"),
        (
            ~won & ~(top > b),
            "a lost row's ceiling is not above its bid; it could not have been lost",
        ),
    ):
        if wrong.any():
            raise ValueError(f"{words} (first at row {int(np.argmax(wrong)) + 1})")
    if np.isnan(top).any():
        raise ValueError("a ceiling is not a number; use infinity where nothing is cut")
