"""The names that a run's options had first.

A committed run is recognised by a fingerprint of its options, taken under the names that fields
had when it was made. Fields have better names now; fingerprints are still taken under the first.
"""

from typing import Any

from ...agents.learners.settings import FIRST_NAMES

_COUNTERFACTUAL = {
    "none": {"paired": False, "twin": False},
    "noop": {"paired": True, "twin": False},
    "rule": {"paired": True, "twin": True},
}


def recipe_names(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a learner, a rule or a reference as they were dumped under the first names.

    Args:
        options: as dumped now; nested dicts are renamed too. Lists hold numbers and names, and
            stay as they are.

    Returns:
        A new dict; the same entries where no name has changed.
    """
    renamed: dict[str, Any] = {}
    for name, value in options.items():
        if name == "counterfactual":
            renamed |= _COUNTERFACTUAL[value]
        else:
            first = FIRST_NAMES.get(name, name)
            renamed[first] = recipe_names(value) if isinstance(value, dict) else value
    return renamed
