"""The article's claims, and what there is to learn, as experiments: one module and one command each
(`chengfang study <name>`).
"""

from collections.abc import Callable
from pathlib import Path

from .money import study_money
from .outputs import Size
from .plans import study_plans
from .recipes import study_recipes
from .scheduling import study_scheduling
from .unified import study_unified
from .value_of_information import study_value_of_information

STUDIES: dict[str, Callable[[Path, Size, Callable[[str], None]], str]] = {
    "unified": study_unified,
    "scheduling": study_scheduling,
    "plans": study_plans,
    "money": study_money,
    "value-of-information": study_value_of_information,
    "recipes": study_recipes,
}


def run_study(
    name: str,
    out: Path | None = None,
    episodes: int | None = None,
    quick: bool = False,
    on_progress: Callable[[str], None] = lambda text: None,
) -> tuple[Path, str]:
    """Run a study and write results.md, results.csv, figures and manifest.json.

    Args:
        name: unified, scheduling, plans, money, value-of-information or recipes.
        out: folder of the results; default results/studies/<name>, with underscores.
        episodes: held-out merchants per scenario; default the committed size, or a few when quick.
        quick: one or two markets, a coarse search and no training.
        on_progress: called with a line of progress now and then.

    Returns:
        The folder, and the text of results.md.

    Raises:
        ValueError: for an unknown study or fewer than 4 episodes.
    """
    if name not in STUDIES:
        raise ValueError(f"study is {name!r}; allowed are {', '.join(STUDIES)}")
    size = Size.quick() if quick else Size()
    if episodes is not None:
        if episodes < 4:
            raise ValueError(
                f"episodes is {episodes}; a study needs at least 4 merchants per scenario"
            )
        size = size._replace(episodes=episodes)
    folder = out or Path("results/studies") / name.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    return folder, STUDIES[name](folder, size, on_progress)


__all__ = ["STUDIES", "Size", "run_study"]
