"""Latent truth for a critic that is thrown away after training."""

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from ...envs import Market
from ...envs.interface.units import CPM_PER_FEN
from ...envs.market import layout as rows
from ...envs.scenario import SCENES
from .counterfactual_run import NoopRun, noop_run_below
from .merchants import plan_scale
from .promotion_wrapper import ObservationWrapper

LIMIT = 10.0
PRIVILEGED = (
    "noop_total",
    "noop_left",
    "binding_multiplier",
    "binding_share",
    "true_gap",
    "true_value",
    "true_cost",
    *(f"worth_{scene}" for scene in SCENES),
    *(f"reach_{scene}" for scene in SCENES),
    *(f"demand_shock_{scene}" for scene in SCENES),
    *(f"price_shock_{scene}" for scene in SCENES),
)


class PrivilegedObservation(ObservationWrapper):
    """Append what no merchant sees, for the critic alone.

    Description:
        The critic of an asymmetric actor-critic (Pinto et al. 2017, 1710.06542) may see latent
        truth: it is not part of the policy. An actor must read the first `public` entries only;
        `chengfang.agents.learners.training.AsymmetricPolicy` does.
    Observation Space:
        23 entries more, each within -10 to 10, named by `PRIVILEGED`:

        | entries | meaning |
        |---|---|
        | noop_total, noop_left | settled GMV of the no-op: of the episode, and from now on |
        | binding_multiplier | ln of the bid at which budget or target binds |
        | binding_share | ln of the spend at that bid, over the budget |
        | true_value, true_cost | settled GMV; overall cost times target |
        | true_gap | the first less the second |
        | worth_<scene> | ln of an impression's GMV over target and median competing price |
        | reach_<scene> | ln of the GMV of winning every impression |
        | demand_shock_<scene>, price_shock_<scene> | state of the market |

        Money is over budget * roi_target, expected refunds are taken off.
    Starting State:
        The no-op plays an episode to its end when it begins, unless a wrapper underneath lets it
        play anyway.
    Arguments:
        venv: a PromotionVecEnv, or wrappers of one.

    Attributes:
        public: number of entries that are not latent; they come first.

    Raises:
        ValueError: if markets start at different ages.
    """

    def __init__(self, venv: VecEnv):
        super().__init__(venv, added=len(PRIVILEGED))
        self.refuse_stagger()
        self.public = self.observation_space.shape[0] - len(PRIVILEGED)  # type: ignore[index]
        self._below = noop_run_below(venv)
        self.noop = self._below or NoopRun(self.base)
        self._merchants = np.zeros((self.num_envs, 2 + 2 * rows.N_SCENES), np.float32)
        self._scale = np.ones(self.num_envs)
        self._target = np.ones(self.num_envs, np.float32)
        self._total = np.zeros(self.num_envs)

    def begin(self, started: np.ndarray) -> None:
        """Note what stays fixed over the episodes that have just begun."""
        if self._below is None:
            self.noop.begin(started)
        market = self.base.market
        self._merchants[started] = _merchant_entries(market, started)
        self._scale[started] = plan_scale(market.merchants[started])
        self._target[started] = market.merchants["roi_target"][started]
        self._total[started] = self.noop.total[started]

    def entries(self, observations: np.ndarray) -> np.ndarray:
        """The latent entries of now, (num_envs, 23)."""
        states = self.base.market.states
        index = np.arange(self.num_envs)
        left = self._total - self.noop.path[index, states["tick"]]
        return self._latent(
            left, states["accrued"], states["demand_shock"], states["price_shock"], index
        )

    def last_entries(self, which: np.ndarray) -> np.ndarray:
        """The latent entries at the end of finished episodes; the no-op has nothing left there."""
        accrued, demand, price = (
            self.base.latest(field)[which] for field in ("accrued", "demand_shock", "price_shock")
        )
        return self._latent(np.zeros(len(which)), accrued, demand, price, which)

    def _latent(
        self,
        left: np.ndarray,
        accrued: np.ndarray,
        demand: np.ndarray,
        price: np.ndarray,
        which: np.ndarray,
    ) -> np.ndarray:
        scale = self._scale[which]
        settled = accrued[:, rows.A_SETTLED] / scale
        cost = accrued[:, rows.A_COST] * self._target[which] / scale
        fixed = self._merchants[which]
        plan = [self._total[which], left, *fixed[:, :2].T, settled - cost, settled, cost]
        entries = np.concatenate([np.stack(plan, 1), fixed[:, 2:], demand, price], 1)
        return np.clip(entries, -LIMIT, LIMIT).astype(np.float32)

    def close(self) -> None:
        """Release the threads of both markets."""
        if self._below is None:
            self.noop.close()
        super().close()


def _merchant_entries(market: Market, chosen: np.ndarray) -> np.ndarray:
    """Binding multiplier and share, worth and reach of every scene, (n, 2 + 2 * scenes) float32.

    Worth and reach are means over segments.
    """
    merchants = market.merchants[chosen]
    cells = market.cells[chosen].astype(float)
    ads = slice(rows.AD, rows.N_LANES)
    click, order = (1 / (1 + np.exp(-cells[:, row, ads])) for row in (rows.CLICK, rows.ORDER))
    value = click * order * cells[:, rows.VALUE, ads]
    price = cells[:, rows.PRICE_MU, ads]
    worth = np.log(value * CPM_PER_FEN / merchants["roi_target"][:, None]) - price
    by_segment = (-1, rows.N_SEGMENTS, rows.N_SCENES)
    reach = (cells[:, rows.TRAFFIC, ads] * value).reshape(by_segment).sum(1) * market.ticks
    spend = merchants["binding_spend"] * market.days / merchants["budget"]
    return np.concatenate(
        [
            np.log(merchants["binding_multiplier"])[:, None],
            np.log(spend)[:, None],
            worth.reshape(by_segment).mean(1),
            np.log(np.maximum(reach, 1.0) / plan_scale(merchants)[:, None]),
        ],
        1,
    ).astype(np.float32)
