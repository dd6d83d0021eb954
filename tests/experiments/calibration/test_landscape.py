"""The log-normal bid landscape: recovery, honest standard errors, censoring of a real log, and
refusals.
"""

from pathlib import Path

import numpy as np
import pytest
from chengfang.experiments.calibration.auction_log import read_log
from chengfang.experiments.calibration.landscape import Landscape, fit_landscape, log_mass
from scipy.special import ndtr

LOG = Path(__file__).parents[4] / "shared" / "data" / "ipinyou-2259.tsv"
MU = 4.5
SIGMA = 1.1


def simulate(seed: int, rows: int, lost: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole-fen prices, two bids and wins; without lost rows, as many won rows as there are."""
    rng = np.random.default_rng(seed)
    price = np.rint(np.exp(rng.normal(MU, SIGMA, rows)))
    bid = np.where(rng.random(rows) < 0.5, 60.0, 300.0)
    won = price <= bid
    return (price, bid, won) if lost else (price[won], bid[won], won[won])


@pytest.mark.parametrize("lost", [False, True], ids=["truncated", "censored"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fit_landscape_recovers_the_truth(lost: bool, seed: int) -> None:
    price, bid, won = simulate(seed, 20_000, lost)
    fit = fit_landscape(price, bid, won)
    assert abs(fit.mu - MU) < 4 * fit.mu_error
    assert abs(fit.sigma - SIGMA) < 4 * fit.sigma_error
    assert fit.mu_error < 0.1
    assert fit.rows == len(price)
    assert fit.losses == (~won).sum()
    assert fit.ks < 2 / np.sqrt(won.sum())


@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True], ids=["truncated", "censored"])
def test_standard_errors_cover_the_truth(lost: bool) -> None:
    fits = [fit_landscape(*simulate(100 + i, 3_000, lost)) for i in range(200)]
    for value, truth, error in (("mu", MU, "mu_error"), ("sigma", SIGMA, "sigma_error")):
        scaled = np.array([(getattr(f, value) - truth) / getattr(f, error) for f in fits])
        # 95 % coverage of 200 replications has a standard deviation of 1.5 %
        assert 0.90 <= (np.abs(scaled) < 1.96).mean() <= 0.99
        assert 0.85 < scaled.std() < 1.15


def test_lost_rows_matter() -> None:
    price, bid, won = simulate(5, 20_000, lost=True)
    naive = np.log(np.maximum(price[won], 0.5)).mean()
    assert naive < MU - 0.3  # what a fit without the likelihood of the losses would say
    assert abs(fit_landscape(price, bid, won).mu - MU) < 0.05


def test_price_zero_and_small_prices_keep_the_fit() -> None:
    rng = np.random.default_rng(3)
    price = np.rint(
        np.exp(rng.normal(0.5, 1.0, 20_000))
    )  # a fifth of the prices round to 0 or 1 fen
    assert (price == 0).any()
    fit = fit_landscape(price, np.full(20_000, 50.0), price <= 50)
    assert abs(fit.mu - 0.5) < 4 * fit.mu_error
    assert abs(fit.sigma - 1.0) < 4 * fit.sigma_error


def test_fit_does_not_depend_on_order_or_on_lost_prices() -> None:
    price, bid, won = simulate(8, 5_000, lost=True)
    order = np.random.default_rng(0).permutation(len(price))
    hidden = np.where(won, price, -1.0)
    assert fit_landscape(price, bid, won) == fit_landscape(price[order], bid[order], won[order])
    assert fit_landscape(price, bid, won) == fit_landscape(hidden, bid, won)


def test_log_mass_in_both_tails() -> None:
    low = np.array([-1.0, -40.0, 39.0, -np.inf, 0.5])
    high = np.array([1.0, -39.0, 40.0, 0.0, np.inf])
    value = log_mass(low, high)
    assert value[[0, 3, 4]] == pytest.approx(np.log([ndtr(1) - ndtr(-1), 0.5, ndtr(-0.5)]))
    assert value[1] == value[2]
    assert np.isfinite(value).all()


def test_shifted_changes_the_unit_only() -> None:
    fit = Landscape(4.6, 1.0, 0.1, 0.05, 10, 0, 0.1)
    assert fit.shifted(-np.log(100)).mu == pytest.approx(-0.00517, abs=1e-5)
    assert fit.shifted(1.0)._replace(mu=4.6) == fit


@pytest.mark.parametrize("bid", [250, 200, 160, 120, 80, 50])
def test_replaying_the_real_log_against_lower_bids_is_consistent(bid: int) -> None:
    if not LOG.is_file():
        pytest.skip(f"real log absent: {LOG}")
    log = read_log(LOG)
    whole = fit_landscape(log.paying_price, log.bid_price, log.won)
    won = log.paying_price <= bid
    # a replayed loss lies between the lower bid and the bid that had won it
    replay = fit_landscape(
        log.paying_price, np.full(log.rows, float(bid)), won, ceiling=log.bid_price
    )
    assert replay.losses == (~won).sum()
    # real prices are only roughly log-normal (KS 0.04), so three joint errors, not two
    assert abs(replay.mu - whole.mu) < 3 * np.hypot(replay.mu_error, whole.mu_error)
    assert abs(replay.sigma - whole.sigma) < 3 * np.hypot(replay.sigma_error, whole.sigma_error)


ONE = np.ones(4)


@pytest.mark.parametrize(
    ("price", "bid", "won", "ceiling", "words"),
    [
        (ONE[:3], ONE, ONE > 0, None, "of one length"),
        (-ONE, 9 * ONE, ONE > 0, None, "a price is negative"),
        (np.array([1, 2, np.nan, 4]), 9 * ONE, ONE > 0, None, "row 3"),
        (ONE, 0 * ONE, ONE > 0, None, "a bid is not above 0"),
        (np.array([1, 2, 10, 4]), 9 * ONE, ONE > 0, None, r"above its bid.*row 3"),
        (ONE, 9 * ONE, ONE < 0, 9 * ONE, "could not have been lost"),
        (ONE, 9 * ONE, ONE > 0, np.nan * ONE, "ceiling is not a number"),
        (ONE, 9 * ONE, ONE > 0, None, "1 different prices"),
        (ONE, 9 * ONE, ONE < 0, None, "0 different prices"),
    ],
    ids=[
        "shape",
        "negative",
        "nan",
        "bid",
        "above",
        "ceiling",
        "nan ceiling",
        "one price",
        "nothing won",
    ],
)
def test_bad_input_is_refused_in_words(
    price: np.ndarray, bid: np.ndarray, won: np.ndarray, ceiling: np.ndarray | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        fit_landscape(price, bid, won, ceiling)


def test_a_log_that_cannot_tell_is_refused() -> None:
    price = np.arange(
        1, 101
    )  # as many rows at each price up to the bid: the density still rises in ln z at the bid
    with pytest.raises(ValueError, match="does not tell"):
        fit_landscape(price.repeat(5) ** 2, np.full(500, 10_000), np.ones(500, bool))
