"""Derivatives of whole episodes are held to central differences of the engine."""

import warnings

import numpy as np
import pytest
import torch
from chengfang.envs import LEVER_NAMES, LEVER_SETS, Market, find_task, load_scenario
from chengfang.envs.market.adjoint import Episode, episode_gradient

LEVERS = len(LEVER_NAMES)
# Differences err by curvature and edges at a large step, by rounding to whole fen at a small one. A
# derivative that is wrong differs from all of them.
STEPS = (0.004, 0.02, 0.06)
TOLERANCE = 0.05
# The boost's gate closes at an edge, and its derivative is that of a ramp. The platform's bidder
# answers to reports, and its derivative to what has accrued: where all orders arrive at once the
# derivative of `target` is off by 1 %.
GATED = {"boost": 0.12, "target": 0.1}
# A lever whose slope is under this share of the steepest one's is lost in rounding.
LEAST_SLOPE = 0.01
# A creative is ordered in one piece when enough work has been done: a difference jumps, or misses
# it; the derivative speaks of the mean over where the work stands. Compared at a large step.
IN_PIECES = ("creative",)


def played(market: Market, seeds: np.ndarray, actions: np.ndarray) -> np.ndarray:
    market.reset(seeds=seeds)
    total = np.zeros(market.num_envs)
    for action in actions:
        market.step(action)
        total += market.rewards
    return total


def compare(market: Market, seeds: np.ndarray, width: float = 0.4) -> dict[str, float]:
    """Levers whose derivative is off by more than is allowed: the mean deviation of the derivative
    of a shift over the whole episode from central differences, as a share of the mean difference.
    """
    rng = np.random.default_rng(0)
    held = rng.uniform(-width, width, (market.num_envs, len(market.levers))).astype(np.float32)
    actions = np.repeat(held[None], market.ticks, 0)
    market.reset(seeds=seeds)
    ours = episode_gradient(market, actions).sum(0)
    off = {}
    steepest = np.abs(ours).mean(0).max()
    for j, name in enumerate(market.levers):
        if name in IN_PIECES or np.abs(ours[:, j]).mean() < LEAST_SLOPE * steepest:
            continue
        off[name] = min(deviation(market, seeds, actions, j, step, ours[:, j]) for step in STEPS)
    return {name: x for name, x in off.items() if x > GATED.get(name, TOLERANCE)}


def deviation(market, seeds, actions, j, step, ours) -> float:
    """Mean deviation from central differences of a shift of lever j, over the mean difference."""
    shift = np.zeros_like(actions)
    shift[..., j] = step
    rise = played(market, seeds, actions + shift) - played(market, seeds, actions - shift)
    slope = rise / (2 * step)
    return float(np.abs(slope - ours).mean() / max(np.abs(slope).mean(), 1e-9))


TASKS = {"Bidding": 256, "Allocation": 256, "Coupon": 256, "SuperPlan": 96, "WholeShop": 24}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_episode_gradient_equals_central_differences(task):
    spec = find_task(task)
    market = Market(
        load_scenario(spec.scenario),
        TASKS[task],
        days=spec.days,
        levers=spec.levers,
        reward="score",
        sampled=False,
    )
    assert compare(market, np.arange(TASKS[task])) == {}


@pytest.mark.slow
@pytest.mark.parametrize("levers", ["pools", "super_plan"])
def test_a_market_whose_pools_are_scheduled(levers):
    unlike = {
        "regime.pools_scheduled": True,
        "order.hour_swing": 0.3,
        "services.curvature": 2,
        "services.insurance_premium": 4,
        "creative.fee_cny": 200,
    }
    market = Market(
        load_scenario("default", unlike), 128, days=2, levers=levers, reward="score", sampled=False
    )
    assert compare(market, np.arange(128)) == {}


# Two plans, customers who come back soon, and an end that counts.
SEASON = {
    "seasons.plan_days": 1,
    "repeat.rate": 0.3,
    "repeat.delay_days": 1,
    "repeat.stay_days": 20,
    "left_over.customers": 0.8,
    "left_over.quality": 0.5,
    "left_over.supply": 0.5,
    "left_over.creatives": 0.5,
}


@pytest.mark.slow
@pytest.mark.parametrize("reward", ["score", "profit"])
def test_several_plans_and_what_they_leave(reward):
    market = Market(
        load_scenario("default", SEASON),
        128,
        days=2,
        levers="super_plan",
        reward=reward,
        sampled=False,
    )
    assert compare(market, np.arange(128)) == {}


@pytest.mark.parametrize("reward", ["settled_gmv", "incremental", "score", "profit", "platform"])
def test_returns_are_the_sum_of_rewards_over_several_plans(reward):
    market = Market(load_scenario("default", SEASON), 8, days=2, levers="all", reward=reward)
    market.reset(seeds=np.arange(8))
    episode = Episode(market)
    total = np.zeros(8)
    for action in some_actions(market):
        episode.step(action)
        total += market.rewards
    np.testing.assert_allclose(episode.returns().numpy(), total, rtol=1e-3, atol=1e-4)
    first = episode.gradient()[0]
    assert torch.isfinite(first).all()
    assert (first != 0).any()


def test_a_margin_judges_every_plan():
    """Derivatives with a margin are those of a target that is higher by it, in each plan."""
    market = Market(load_scenario("default", SEASON), 8, days=2, levers="bidding", reward="score")
    market.reset(seeds=np.arange(8))
    episode = Episode(market)
    for action in some_actions(market):
        episode.step(action)
    plain = episode.gradient()
    careful = episode.gradient(margins=torch.full((8,), 0.5))
    for day in (slice(0, 12), slice(24, 36)):
        assert (plain[day] != careful[day]).any()


# The platform takes back what a coupon lever gives: its slope is lost in rounding and edges.
PACED = tuple(n for n in LEVER_SETS["super_plan"] if not n.startswith("coupon_"))


@pytest.mark.parametrize(
    "levers", ["division", "seat", pytest.param(PACED, marks=pytest.mark.slow, id="super_plan")]
)
def test_a_market_in_which_the_platform_bids(levers):
    """Also through the ROI that the platform believes, with the derivative of what has accrued."""
    platform = {
        "bidder.platform": True,
        "seat.open": levers == "seat",
        "constraints.daily_cap": 0.7,
    }
    market = Market(
        load_scenario("default", platform), 64, days=2, levers=levers, reward="score", sampled=False
    )
    assert compare(market, np.arange(64)) == {}


STANDING = {"clock.decision_hours": 6}


@pytest.mark.parametrize("platform", [False, True])
def test_a_decision_answers_for_all_ticks_for_which_it_stands(platform):
    """Its derivative is that of the difference it makes; an action that is not read has none."""
    changes = {"bidder.platform": platform} | STANDING
    levers = ("divide_live",) if platform else ("bid_live",)
    n = 128
    market = Market(
        load_scenario("default", changes), n, days=1, levers=levers, reward="score", sampled=False
    )
    actions = np.random.default_rng(0).uniform(-0.4, 0.4, (24, n, 1)).astype(np.float32)
    market.reset(seeds=np.arange(n))
    ours = episode_gradient(market, actions)
    read = np.arange(24) % 6 == 0
    assert (ours[~read] == 0).all()
    market.reset(seeds=np.arange(n))
    beyond = np.where(np.arange(n)[:, None] % 2, actions * 1000, actions)
    assert (episode_gradient(market, beyond)[:, 1::2] == 0).all()
    for tick in (0, 6, 12):
        off = []
        for step in STEPS:
            shift = np.zeros_like(actions)
            shift[tick] = step
            rise = played(market, np.arange(n), actions + shift)
            slope = (rise - played(market, np.arange(n), actions - shift)) / (2 * step)
            off.append(np.abs(slope - ours[tick, :, 0]).mean() / np.abs(slope).mean())
        assert min(off) < 2 * TOLERANCE, tick  # one decision moves little: rounding shows


def test_an_episode_may_begin_while_a_decision_stands():
    market = Market(load_scenario("default", STANDING), 8, days=1, levers="bidding", reward="score")
    market.reset(seeds=np.arange(8))
    actions = np.random.default_rng(0).uniform(-0.4, 0.4, (24, 8, 4)).astype(np.float32)
    whole = episode_gradient(market, actions)
    market.reset(seeds=np.arange(8))
    for action in actions[:3]:
        market.step(action)
    rest = episode_gradient(market, actions[3:])
    np.testing.assert_allclose(rest[3:], whole[6:], rtol=1e-5, atol=1e-9)
    assert (rest[:3] == 0).all()


def test_a_market_in_which_decisions_stand():
    market = Market(
        load_scenario("default", STANDING),
        64,
        days=2,
        levers="bidding",
        reward="score",
        sampled=False,
    )
    assert compare(market, np.arange(64)) == {}


@pytest.mark.parametrize("reward", ["score", "incremental"])
def test_a_decision_has_the_derivative_of_the_same_action_in_every_tick(reward):
    seat = {"bidder.platform": True, "seat.open": True}
    actions = np.random.default_rng(0).uniform(-0.4, 0.4, (8, 16, 12)).astype(np.float32)
    actions = np.repeat(actions, 6, 0)
    gradients = []
    for changes in (seat, seat | STANDING):
        market = Market(
            load_scenario("default", changes), 16, days=2, levers="merchant", reward=reward
        )
        market.reset(seeds=np.arange(16))
        gradients.append(episode_gradient(market, actions).reshape(8, 6, 16, 12).sum(1))
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("levers", ["division", "seat"])
def test_the_platform_bids_for_several_plans(levers):
    platform = {
        "bidder.platform": True,
        "seat.open": levers == "seat",
        "money.protection": True,
        "seasons.plan_days": 1,
    }
    market = Market(
        load_scenario("default", platform), 64, days=2, levers=levers, reward="score", sampled=False
    )
    assert compare(market, np.arange(64)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("reward", ["settled_gmv", "incremental", "profit", "platform"])
@pytest.mark.parametrize("preset", ["default", "dual_track"])
def test_every_reward_and_regime(reward, preset):
    """All levers that act there; those above the platform's bidder do nothing in these markets."""
    idle = {*LEVER_SETS["division"], *LEVER_SETS["seat"]}
    levers = [name for name in LEVER_SETS["all"] if name not in idle]
    market = Market(load_scenario(preset), 128, days=1, levers=levers, reward=reward, sampled=False)
    assert compare(market, np.arange(128)) == {}


@pytest.mark.slow
def test_creatives_on_average():
    """Their derivative is right in sign and within a third, over steps of several creatives."""
    spec = find_task("SuperPlan")
    n, step = 256, 0.3
    market = Market(load_scenario(spec.scenario), n, days=7, levers=spec.levers, sampled=False)
    rng = np.random.default_rng(0)
    held = rng.uniform(-0.4, 0.4, (n, len(market.levers))).astype(np.float32)
    actions = np.repeat(held[None], market.ticks, 0)
    market.reset(seeds=np.arange(n))
    j = market.levers.index("creative")
    ours = episode_gradient(market, actions).sum(0)[:, j]
    shift = np.zeros_like(actions)
    shift[..., j] = step
    seeds = np.arange(n)
    rise = played(market, seeds, actions + shift) - played(market, seeds, actions - shift)
    slope = rise / (2 * step)
    assert abs(ours.mean() / slope.mean() - 1) < 1 / 3
    assert np.corrcoef(ours, slope)[0, 1] > 0.8


def small_market(reward="score", n=16, sampled=True, changes=None, **options):
    market = Market(
        load_scenario("default", changes or {}),
        n,
        days=1,
        levers="all",
        reward=reward,
        sampled=sampled,
        **options,
    )
    market.reset(seeds=np.arange(n))
    return market


def some_actions(market, ticks=None, seed=0):
    rng = np.random.default_rng(seed)
    shape = (ticks or market.ticks, market.num_envs, len(market.levers))
    return rng.uniform(-0.5, 0.5, shape).astype(np.float32)


@pytest.mark.parametrize("reward", ["settled_gmv", "score", "profit", "platform"])
def test_returns_are_the_sum_of_rewards(reward):
    market = small_market(reward)
    episode = Episode(market)
    total = np.zeros(market.num_envs)
    for action in some_actions(market):
        episode.step(action)
        total += market.rewards
    np.testing.assert_allclose(episode.returns().numpy(), total, rtol=1e-4, atol=1e-5)


def test_the_engine_plays_as_it_would_without():
    market, other = small_market(), small_market()
    for action in some_actions(market):
        other.step(action)
    episode_gradient(market, some_actions(market))
    assert market.states.tobytes() == other.states.tobytes()


def test_a_market_is_differentiated_alone_as_in_a_batch():
    whole = episode_gradient(small_market(n=16), some_actions(small_market(n=16)))
    market = Market(load_scenario("default"), 1, days=1, levers="all", reward="score")
    market.reset(seeds=np.array([5]))
    alone = episode_gradient(market, some_actions(small_market(n=16))[:, 5:6])
    np.testing.assert_allclose(alone[:, 0], whole[:, 5], rtol=2e-4, atol=1e-6)


def test_weights_scale_each_market():
    market = small_market()
    episode = Episode(market)
    for action in some_actions(market):
        episode.step(action)
    weights = torch.linspace(0, 2, market.num_envs)
    weighted = episode.gradient(weights)
    expected = episode.gradient() * weights[:, None]
    torch.testing.assert_close(weighted, expected, rtol=1e-4, atol=1e-8)


def test_from_the_middle_of_an_episode():
    market = small_market()
    actions = some_actions(market)
    for action in actions[:10]:
        market.step(action)
    assert episode_gradient(market, actions[10:14]).shape == (4, market.num_envs, LEVERS)
    assert market.states["tick"][0] == 14


def test_a_market_that_has_ended_stands_still():
    market = small_market()
    actions = some_actions(market)
    for action in actions[:20]:
        market.step(action)
    mask = np.arange(market.num_envs) < 4  # these begin again, the others have four ticks left
    market.reset(mask=mask, seeds=np.arange(market.num_envs) + 100)
    gradient = episode_gradient(market, actions[:8])
    assert (gradient[4:, 4:] == 0).all()
    assert (gradient[:4, 4:] != 0).any()
    assert (gradient[4:, :4] != 0).any()


def test_restart_is_a_new_episode():
    market = small_market()
    episode = Episode(market)
    actions = some_actions(market)
    for action in actions:
        episode.step(action)
    first = episode.gradient()
    market.reset(seeds=np.arange(market.num_envs))
    episode.restart()
    assert len(episode) == 0
    for action in actions:
        episode.step(action)
    assert torch.equal(first, episode.gradient())


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, SEASON, {"bidder.platform": True}])
def test_compiled_gives_the_same_numbers(changes):
    market = Market(load_scenario("default", changes), 8, days=2, levers="all", reward="score")
    market.reset(seeds=np.arange(8))
    actions = some_actions(market, 26 if changes == SEASON else 3)
    eager = episode_gradient(market, actions)
    market.reset(seeds=np.arange(8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no compiler it goes on without
        compiled = episode_gradient(market, actions, compiled=True)
    np.testing.assert_allclose(compiled, eager, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        (np.zeros((3, 16)), f"expected (ticks, 16, {LEVERS})"),
        (np.zeros((3, 15, LEVERS)), f"expected (ticks, 16, {LEVERS})"),
        (np.zeros((25, 16, LEVERS)), "the market has 24 left"),
        (np.full((1, 16, LEVERS), np.nan), "not finite"),
    ],
)
def test_wrong_actions_are_refused_before_anything_is_played(actions, says):
    market = small_market()
    before = market.states.tobytes()
    with pytest.raises(ValueError) as error:
        episode_gradient(market, actions)
    assert says in str(error.value)
    assert market.states.tobytes() == before
