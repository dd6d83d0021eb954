"""What a study leaves behind: a table in Markdown and CSV, figures, and what they were made by."""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...envs import load_scenario
from ...envs.files import whole_file
from ..analysis.statistics import Interval
from ..runs.evaluate import TEST_SEED
from ..runs.manifest import manifest, write_json
from .arenas.hindsight import Effort

SCENARIOS = ("default", "apparel_live", "beauty_contested", "mall_search_staples")
LONG = "festival_28d"


class Size(NamedTuple):
    """How much a study computes."""

    episodes: int = 128  # held-out merchants per scenario
    days: int = 7
    scenarios: tuple[str, ...] = SCENARIOS
    long: bool = True  # also the 28 days of the festival, with a quarter of the merchants
    effort: Effort = Effort()
    rounds: int = 2  # of tuning each rule on training merchants
    training_merchants: int = 48  # that rules are tuned on
    learner_steps: int = 2_000_000  # of PPO per regime and seed; 0 trains nothing
    learner_seeds: int = 3

    @classmethod
    def quick(cls) -> "Size":
        """A look within a minute or so: two markets, a coarse search, no learner."""
        return cls(
            episodes=48,
            days=3,
            scenarios=("default", "mall_search_staples"),
            long=False,
            effort=Effort(6, 3, 1),
            rounds=1,
            training_merchants=16,
            learner_steps=0,
        )

    def markets(self) -> dict[str, tuple[int, int]]:
        """Days and episodes of every scenario."""
        found = dict.fromkeys(self.scenarios, (self.days, self.episodes))
        return found | ({LONG: (28, max(self.episodes // 4, 4))} if self.long else {})


def write_study(
    folder: Path,
    text: str,
    rows: Sequence[Mapping[str, Any]],
    size: Size,
    study: str,
    began: float,
    names: Sequence[str],
    **facts: Any,
) -> None:
    """Write results.md, results.csv and manifest.json; `names` are the scenarios played."""
    for name, content in (("results.md", text.rstrip() + "\n"), ("results.csv", _csv(rows))):
        with whole_file(folder / name) as draft:
            draft.write_text(content, encoding="utf-8")
    write_json(
        folder / "manifest.json",
        manifest(
            load_scenario("default"),
            study=study,
            command=f"chengfang study {study}",
            seed=TEST_SEED,
            scenarios={name: load_scenario(name).hash for name in names},
            size=size._asdict() | {"effort": size.effort._asdict()},
            seconds=round(time.monotonic() - began, 1),
            **facts,
        ),
    )


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(
        out, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def table(header: Sequence[str], lines: Sequence[Sequence[str]], words: int = 1) -> str:
    """A Markdown table; the first `words` columns are text, the rest numbers."""
    marks = ["---"] * words + ["---:"] * (len(header) - words)
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, marks, *lines))


def shown(interval: Interval, factor: float = 1.0, digits: int = 2, unit: str = "") -> str:
    """`+0.12 [+0.10, +0.14]`."""
    value, low, high = (factor * x for x in interval)
    return f"{value:+.{digits}f}{unit} [{low:+.{digits}f}, {high:+.{digits}f}]"


def sign(interval: Interval) -> str:
    """What an interval says of its difference: gains, loses, neither, or nothing at all."""
    if not any(interval):
        return "changes nothing"
    return "gains" if interval.low > 0 else "loses" if interval.high < 0 else "no clear difference"


def spread(name: str, interval: Interval) -> dict[str, float]:
    """An interval as three columns of a table."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
