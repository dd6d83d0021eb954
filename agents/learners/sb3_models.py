"""Models that stable-baselines3 trained on these environments, as saved policies.

```python
model = PPO("MlpPolicy", gym.make("chengfang/SuperPlan-v1")).learn(1_000_000)
save_policy(model, "my_policy", "SuperPlan")
```

Afterwards `my_policy` is used wherever a policy is named, without stable-baselines3 and without
unpickling anything. Imports torch.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from gymnasium.spaces import Box, Dict
from stable_baselines3 import __version__ as sb3_version
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor, MlpExtractor
from stable_baselines3.common.vec_env import VecEnvWrapper
from torch import nn

from ...envs import FEATURE_NAMES, find_task, select_levers, short_name
from ...envs.api.spaces import observation_space
from ..rules import Rule
from ..wrappers import HoldAction, PrivilegedObservation, ResidualAction, SafetyMargin
from .saved.description import ArtefactError, input_width, plan_facts
from .saved.network import Cell, Dense
from .saved_policy import SavedPolicy

# Algorithms whose actors can be read, and the package each comes from.
ALGORITHMS = {
    "PPO": "stable_baselines3",
    "A2C": "stable_baselines3",
    "SAC": "stable_baselines3",
    "TD3": "stable_baselines3",
    "DDPG": "stable_baselines3",
    "RecurrentPPO": "sb3_contrib",
    "TQC": "sb3_contrib",
    "TRPO": "sb3_contrib",
}
# The name of each activation here, and the arguments for which it is that function.
ACTIVATIONS: dict[type[nn.Module], tuple[str, dict[str, Any]]] = {
    nn.Tanh: ("tanh", {}),
    nn.ReLU: ("relu", {}),
    nn.ELU: ("elu", {"alpha": 1.0}),
    nn.LeakyReLU: ("leaky_relu", {"negative_slope": 0.01}),
    nn.SELU: ("selu", {}),
    nn.SiLU: ("silu", {}),
    nn.GELU: ("gelu", {"approximate": "none"}),
    nn.Mish: ("mish", {}),
    nn.Softplus: ("softplus", {"beta": 1.0}),
    nn.Sigmoid: ("sigmoid", {}),
}
# Wrappers that a saved policy stands in for, from the market up; the last is none of them, but must
# not go unnoticed.
NOTED = (SafetyMargin, ResidualAction, HoldAction, PrivilegedObservation)
LSTM_TENSORS = ("weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l")
PROBES = 64  # observations on which model and saved policy are compared
PROBE_TICKS = 4
TOLERANCE = 1e-4  # of an action in [-1, 1]; rounding alone stays below 1e-5


class Actor(NamedTuple):
    """What decides a model's deterministic action."""

    cells: list[Cell]
    modules: list[nn.Module]  # linear layers and the activations between them
    output: str  # clip or tanh
    mean_limit: float | None = None


def save_policy(model: BaseAlgorithm, folder: "str | Path", task: str) -> SavedPolicy:
    """Write a trained model's deterministic actor as a saved policy, and return it.

    Taken are MLP policies of PPO, A2C, SAC, TD3, DDPG (TQC and TRPO of sb3-contrib) and
    RecurrentPPO, trained on the 101 features and a task's levers. Of this package's wrappers around
    the training env, `SafetyMargin`, `ResidualAction` and `HoldAction`, stacked in this order, are
    noted in the saved policy, which then does their part itself. Actions in another finite Box are
    taken as linear in the levers, as Gymnasium's `RescaleAction` makes them. Before anything is
    written, the saved policy is compared with the model's own `predict`.

    Args:
        model: a stable-baselines3 model.
        folder: where policy.json and policy.safetensors are written.
        task: id or short name of the task whose levers the model acts on.

    Raises:
        ArtefactError: saying in one sentence why a model cannot be a saved policy.
        ValueError: an unknown task.
    """
    found = find_task(task)
    levers = select_levers(found.levers)
    _check_training(model, levers)
    description: dict[str, Any] = {
        "algorithm": type(model).__name__,
        "task": short_name(found),
        "levers": list(levers),
        "features": list(FEATURE_NAMES),
        "library": f"stable-baselines3 {sb3_version}",
    }
    description |= _wrappers(model)
    description["steps"] = int(model.num_timesteps) * description.get("hold", 1)
    _check_observations(model, input_width(description))
    _check_actions(model, short_name(found), levers)
    actor = _actor(model)
    layers, activation = _dense(model, actor)
    description |= {"activation": activation, "output": actor.output}
    if actor.mean_limit is not None:
        description["mean_limit"] = actor.mean_limit
    policy = SavedPolicy(layers, description, cells=actor.cells)
    _compare(model, policy)
    policy.save(Path(folder))
    return policy


def import_sb3(
    path: "str | Path", algorithm: str, task: str, folder: "str | Path", trust: bool = False
) -> SavedPolicy:
    """Open a model's zip of stable-baselines3 and write it as a saved policy.

    The zip holds the model alone, without its training env: a model that was trained under
    VecNormalize, or held its actions, acts otherwise here. Use `save_policy` where it was trained.

    Args:
        path: what `model.save` wrote.
        algorithm: its class, one of `ALGORITHMS`.
        task: see `save_policy`.
        folder: see `save_policy`.
        trust: the zip holds pickles, which can run any code when they are opened: true says that
            it comes from somebody trusted.

    Raises:
        ArtefactError: without trust, or if the file is no such model or cannot be a saved policy.
        ValueError: an unknown task.
    """
    path = Path(path)
    find_task(task)
    if algorithm not in ALGORITHMS:
        raise ArtefactError(f"algorithm is {algorithm!r}; allowed are {', '.join(ALGORITHMS)}")
    if not path.is_file():
        raise ArtefactError(f"{path} is no file; it must be the zip that model.save wrote")
    if not trust:
        raise ArtefactError(
            f"{path} holds pickles, which can run any code when they are opened; say --trust "
            "(trust=True) if you know who made it"
        )
    try:
        kind = getattr(import_module(ALGORITHMS[algorithm]), algorithm)
    except ImportError:
        raise ArtefactError(
            f"{algorithm} needs sb3-contrib; pip install sb3-contrib and try again"
        ) from None
    try:
        model = kind.load(path, device="cpu")
    except Exception as error:  # unpickling another class's model can fail in any way
        raise ArtefactError(f"{path} cannot be opened as a {algorithm} model: {error}") from None
    return save_policy(model, folder, task)


def _refuse(model: BaseAlgorithm, problem: str) -> NoReturn:
    raise ArtefactError(f"{type(model).__name__} cannot be a saved policy: {problem}")


def _check_training(model: BaseAlgorithm, levers: tuple[str, ...]) -> None:
    """Refuse what the training environment, if there is one, changes between market and model."""
    normalize = model.get_vec_normalize_env()
    if normalize is not None and normalize.norm_obs:
        _refuse(
            model,
            "it was trained under VecNormalize, so it reads other numbers than the market's; "
            "train with norm_obs=False",
        )
    env = model.get_env()
    try:
        trained = env.get_attr("levers")[0] if env is not None else levers
    except AttributeError:
        return
    if tuple(trained) != levers:
        _refuse(
            model,
            f"it was trained on the levers {', '.join(trained)}; the task has {', '.join(levers)}",
        )


def _wrappers(model: BaseAlgorithm) -> dict[str, Any]:
    """What a description must say of this package's wrappers around the training env."""
    stack = []
    env = model.get_env()
    while isinstance(env, VecEnvWrapper):
        stack.append(env)
        env = env.venv
    noted = [w for w in reversed(stack) if isinstance(w, NOTED)]  # from the market up
    order = [NOTED.index(type(wrapper)) for wrapper in noted]
    if order != sorted(set(order)):
        _refuse(
            model,
            f"its wrappers are {', '.join(type(w).__name__ for w in noted)}, from the market up; "
            f"they must be stacked as {', '.join(kind.__name__ for kind in NOTED)}, each at most "
            "once",
        )
    facts: dict[str, Any] = {}
    for wrapper in noted:
        if isinstance(wrapper, SafetyMargin):
            facts["safety_margin"] = min(max(0.0, wrapper.low), wrapper.high)
        elif isinstance(wrapper, ResidualAction):
            facts["residual"] = _residual(model, wrapper)
        elif isinstance(wrapper, HoldAction):
            facts["hold"] = wrapper.ticks
        else:
            _refuse(model, "its actor sees latent truth; only chengfang's own PPO keeps it apart")
    return facts


def _residual(model: BaseAlgorithm, wrapper: ResidualAction) -> dict[str, Any]:
    rule = wrapper.rule
    if not isinstance(rule, Rule):
        _refuse(
            model,
            f"its actions shift those of a {type(rule).__name__}; a saved policy shifts rules only",
        )
    return {
        "rule": type(rule).__name__,
        "parameters": dict(rule.parameters),
        "scale": float(wrapper.scale),
        "plan": plan_facts(rule.spec),
    }


def _check_observations(model: BaseAlgorithm, width: int) -> None:
    """Refuse anything but the market's features, and what noted wrappers append to them."""
    space = model.observation_space
    wanted = observation_space()
    if isinstance(space, Dict):
        _refuse(
            model,
            f"its observation is a Dict of {', '.join(space.spaces)}; it must be the market's "
            f"{len(FEATURE_NAMES)} features alone",
        )
    if not isinstance(space, Box):
        _refuse(
            model,
            f"its observation is a {type(space).__name__}; it must be the market's Box of "
            f"{len(FEATURE_NAMES)} features",
        )
    if space.shape != (width,):
        _refuse(
            model,
            f"its observation has the shape {space.shape}; expected is {(width,)}, without "
            "stacked frames or entries of one's own",
        )
    plain = width == len(FEATURE_NAMES)
    same = np.array_equal(space.low, wanted.low) and np.array_equal(space.high, wanted.high)
    if plain and not same:
        _refuse(
            model,
            f"its observation lies within {space.low.min():g} to {space.high.max():g}, the "
            f"market's within {wanted.low.min():g} to {wanted.high.max():g}: a wrapper has "
            "rescaled it",
        )


def _check_actions(model: BaseAlgorithm, task: str, levers: tuple[str, ...]) -> None:
    space = model.action_space
    if not isinstance(space, Box):
        _refuse(
            model,
            f"its actions are {type(space).__name__}; {task} has {len(levers)} continuous levers",
        )
    if space.shape != (len(levers),):
        _refuse(
            model,
            f"its actions have the shape {space.shape}; {task} has {len(levers)} levers: "
            f"{', '.join(levers)}",
        )
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        _refuse(model, "its actions have no finite bounds; the levers lie within -1 to 1")


def _actor(model: BaseAlgorithm) -> Actor:
    """The modules between observation and action, for the three forms that actors have."""
    policy: Any = model.policy
    if hasattr(policy, "action_net"):
        _check_extractor(model, policy.pi_features_extractor)
        if type(policy.mlp_extractor) is not MlpExtractor:
            _refuse(
                model,
                f"its layers are in a {type(policy.mlp_extractor).__name__}; "
                "only stable-baselines3's MlpExtractor can be read",
            )
        return Actor(
            _cells(model, policy.lstm_actor) if hasattr(policy, "lstm_actor") else [],
            [*policy.mlp_extractor.policy_net, policy.action_net],
            "tanh" if policy.squash_output else "clip",
        )
    actor = getattr(policy, "actor", None)
    if actor is None or not hasattr(actor, "mu"):
        _refuse(
            model,
            f"its policy {type(policy).__name__} has no actor that can be read; "
            f"allowed are the MLP policies of {', '.join(ALGORITHMS)}",
        )
    _check_extractor(model, actor.features_extractor)
    means: list[nn.Module] = [*actor.mu] if isinstance(actor.mu, nn.Sequential) else [actor.mu]
    if hasattr(actor, "latent_pi"):
        limit = None
        last = means[-1]
        if isinstance(last, nn.Hardtanh):  # generalised state-dependent exploration
            limit = float(last.max_val)
            means = means[:-1]
        return Actor([], [*actor.latent_pi, *means], "tanh", limit)
    if not isinstance(means[-1], nn.Tanh):
        _refuse(model, f"its last layer is {type(means[-1]).__name__}; it must be Tanh")
    return Actor([], means[:-1], "tanh")


def _check_extractor(model: BaseAlgorithm, extractor: nn.Module) -> None:
    if type(extractor) is not FlattenExtractor:
        _refuse(
            model,
            f"it has a features extractor of its own, {type(extractor).__name__}; "
            "only the plain FlattenExtractor can be read",
        )


def _cells(model: BaseAlgorithm, lstm: nn.LSTM) -> list[Cell]:
    if lstm.bidirectional or lstm.proj_size or not lstm.bias:
        _refuse(model, f"its recurrent layer is {lstm}; only plain LSTM layers can be read")
    return [
        Cell("lstm", *(_array(getattr(lstm, f"{name}{i}")) for name in LSTM_TENSORS))
        for i in range(lstm.num_layers)
    ]


def _dense(model: BaseAlgorithm, actor: Actor) -> tuple[list[Dense], str]:
    """Weights of the linear layers, and the one activation between them."""
    linear = [m for m in actor.modules if type(m) is nn.Linear]
    between = [m for m in actor.modules if _known_activation(m)]
    others = [m for m in actor.modules if type(m) is not nn.Linear and not _known_activation(m)]
    alternate = all(type(m) is nn.Linear for m in actor.modules[::2])
    if others or not alternate or len(linear) != len(between) + 1:
        _refuse(
            model,
            f"its network has {others[0] if others else 'layers without an activation'}; it must "
            "be linear layers with one activation of "
            f"{', '.join(kind.__name__ for kind in ACTIVATIONS)} after each but the last",
        )
    names = {ACTIVATIONS[type(m)][0] for m in between}
    if len(names) > 1:
        _refuse(model, f"its activations differ: {', '.join(sorted(names))}; they must be the same")
    layers = [_weights(m) for m in linear]
    if actor.output == "clip":
        layers[-1] = _rescaled(model, *layers[-1])
    return layers, names.pop() if names else "tanh"


def _known_activation(module: nn.Module) -> bool:
    """Whether a module is an activation of `ACTIVATIONS` with the arguments given there."""
    if type(module) not in ACTIVATIONS:
        return False
    return all(
        getattr(module, name) == value for name, value in ACTIVATIONS[type(module)][1].items()
    )


def _weights(layer: nn.Linear) -> Dense:
    weight = _array(layer.weight)
    if layer.bias is None:
        return weight, np.zeros(len(weight), np.float32)
    return weight, _array(layer.bias)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32, copy=True)


def _rescaled(model: BaseAlgorithm, weight: np.ndarray, bias: np.ndarray) -> Dense:
    """The last layer with the model's own Box brought to [-1, 1]; as it is where it already is."""
    assert isinstance(model.action_space, Box)
    low = model.action_space.low.astype(float)
    high = model.action_space.high.astype(float)
    if (low == -1).all() and (high == 1).all():
        return weight, bias
    factor = 2 / (high - low)
    return (
        (weight * factor[:, None]).astype(np.float32),
        (factor * (bias - low) - 1).astype(np.float32),
    )


def _compare(model: BaseAlgorithm, policy: SavedPolicy) -> None:
    """Refuse a policy that acts otherwise than its model: whatever was not foreseen shows here."""
    assert isinstance(model.action_space, Box)
    low = model.action_space.low
    high = model.action_space.high
    rng = np.random.default_rng(0)
    theirs: Any = None
    cells = policy.opening_cells(PROBES)
    for tick in range(PROBE_TICKS):
        seen = rng.normal(size=(PROBES, input_width(policy.description))).astype(np.float32)
        start = rng.random(PROBES) < 0.25 if tick else np.ones(PROBES, bool)
        wanted, theirs = model.predict(seen, theirs, start, deterministic=True)
        given, cells = policy.network(seen, np.where(start[:, None], np.float32(0), cells))
        gap = float(np.abs(given - (2 * (wanted - low) / (high - low) - 1)).max())
        if not gap <= TOLERANCE:
            _refuse(
                model,
                f"its network acts otherwise than its layers say (by {gap:.2g}); "
                "a policy class of one's own cannot be read",
            )
