"""Writes a page for each registered environment from the code itself, in Gymnasium's order.

The text is `SuperPlanEnv`'s docstring; what differs between tasks (levers, horizon, market) and the
tables of levers and features come from the registry, `lever_table` and `FEATURES`. Nothing on these
pages is typed twice, so nothing on them can be out of date.
"""

import inspect
import re
from collections.abc import Iterable
from pathlib import Path

from chengfang.envs import (
    FEATURES,
    LEVER_SETS,
    TASKS,
    Lever,
    SuperPlanEnv,
    Task,
    lever_table,
    load_scenario,
    select_levers,
)
from chengfang.envs.scenario import Scenario

ACTIONS = r"""
An action is `Box(-1, 1, ({count},), float32)`, one entry per lever. 0 is what a careful merchant
would do, −1 the least, +1 the most; `env.unwrapped.levers` holds the names.

{table}

*Linear* levers go straight from −1 over 0 to +1. *Log* levers follow $x_0 (s^a - 1/s) / (1 - 1/s)$
for the action $a$, with the value $x_0$ at 0 and the span $s$, so that −1 is exactly nothing. An
action of the wrong shape, or with an entry that is not finite, raises `ValueError`; entries outside
[−1, 1] are clipped. `levers=` chooses others: `{sets}`, or a list of names.
""".strip()

OBSERVATIONS = """
`Box(-10, 10, ({count},), float32)` of metrics that a merchant's dashboard reports, scaled to about
1 by constants of the scenario and the merchant: no running normalisation is needed. Orders are
reported when they arrive, refunds when they are settled. `env.unwrapped.features` holds the names.
*Pace* is ln(1 + rate / even rate); entries with ln are limited to ±3.

{table}
""".strip()

BATCHES = """
```python
envs = gym.make_vec(
    "{id}",
    num_envs=1024,
    vectorization_mode="vector_entry_point",
)
```

For stable-baselines3 there is `PromotionVecEnv`, the same batch as a `VecEnv`
([tutorial](../tutorials/sb3.md)). Autoreset modes and infos: [API](../api/envs.md).
""".strip()

Sections = dict[str, str]


def write(folder: Path) -> list[Path]:
    """Write `<folder>/<Task>-v<N>.md` for every task; files that are right are left alone."""
    manual = docstring_sections()
    paths = []
    for task in TASKS:
        path = folder / f"{task.id.split('/')[1]}.md"
        text = page(task, manual)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def docstring_sections() -> Sections:
    """The sections of `SuperPlanEnv`'s docstring by heading, in Markdown."""
    text = with_links(inspect.getdoc(SuperPlanEnv) or "")
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def with_links(text: str) -> str:
    """`world 2.3` in a docstring becomes a link to that chapter, as long as there is one."""
    world = (Path(__file__).parent / "world.md").read_text(encoding="utf-8")
    headings = re.findall(r"^##+ ((\d(?:\.\d+)?) .+)$", world, re.M)
    slugs = {
        number: re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
        for heading, number in headings
    }

    def link(found: re.Match[str]) -> str:
        slug = slugs.get(found[1])
        return found[0] if slug is None else f"[{found[0]}](../world.md#{slug})"

    return re.sub(r"\bworld (\d(?:\.\d+)?)", link, text)


def page(task: Task, manual: Sections) -> str:
    """One environment's page."""
    scenario = load_scenario(task.scenario)
    name = task.id.split("/")[1]
    chapters = {
        "Description": description(task, scenario, manual),
        "Action Space": action_space(task, scenario),
        "Observation Space": observation_space(),
        "Rewards": manual["Rewards"],
        "Starting State": manual["Starting State"],
        "Episode End": episode_end(task, scenario, manual),
        "Arguments": arguments(task),
        "Vectorized environment": vectorized(task, manual),
        "Version History": manual["Version History"],
    }
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in chapters.items())
    return f"# {name}\n\n{facts(task, scenario)}\n\n{body}\n"


def facts(task: Task, scenario: Scenario) -> str:
    """The box at the head of a page: what must be known to start."""
    levers = len(select_levers(task.levers))
    ticks = task.days * scenario.clock.ticks_per_day
    return table(
        ("", ""),
        [
            ("Import", f'`gymnasium.make("{task.id}")` after `import chengfang`'),
            ("Action Space", f"`Box(-1.0, 1.0, ({levers},), float32)`"),
            ("Observation Space", f"`Box(-10.0, 10.0, ({len(FEATURES)},), float32)`"),
            ("Episode", f"{days(task)}, {ticks} ticks of one decision each"),
            ("Market", f"scenario `{scenario.name}`: {scenario.description}"),
        ],
    )


def description(task: Task, scenario: Scenario, manual: Sections) -> str:
    """What this task asks, then the market it shares with the others."""
    asked = f"**This task asks:** {task.asks}."
    played = f"The plan runs {days(task)} in the `{scenario.name}` market."
    return f"{asked} {played}\n\n{manual['Description']}"


def action_space(task: Task, scenario: Scenario) -> str:
    """The levers of the task with unit, mapping and range."""
    names = select_levers(task.levers)
    levers = [lever for lever in lever_table(scenario) if lever.name in names]
    rows = [
        (i, f"`{lever.name}`", lever.meaning, lever.unit, *map(number, ends(lever)), lever.mapping)
        for i, lever in enumerate(levers)
    ]
    head = ("", "lever", "what it sets", "unit", "−1", "0", "+1", "mapping")
    return ACTIONS.format(count=len(names), table=table(head, rows), sets="`, `".join(LEVER_SETS))


def observation_space() -> str:
    """Every feature by index."""
    rows = [
        (i, f"`{f.name}`", capital(f.meaning).replace(" * ", " · ")) for i, f in enumerate(FEATURES)
    ]
    return OBSERVATIONS.format(
        count=len(FEATURES), table=table(("", "feature", "what it says"), rows)
    )


def episode_end(task: Task, scenario: Scenario, manual: Sections) -> str:
    """When the campaign is over, with this task's count of ticks."""
    per_day = scenario.clock.ticks_per_day
    count = f"Here that is {task.days} × {per_day} = **{task.days * per_day} ticks**."
    return f"{manual['Episode End']}\n\n{count}"


def arguments(task: Task) -> str:
    """The constructor's arguments with this task's defaults."""
    given = {"scenario": task.scenario, "levers": task.levers, "days": task.days}
    signature = inspect.signature(SuperPlanEnv.__init__).parameters
    defaults = {n: p.default for n, p in signature.items() if n != "self"} | given
    call = ",\n    ".join(f"{name}={value!r}" for name, value in defaults.items())
    return f'```python\ngym.make(\n    "{task.id}",\n    {call},\n)\n```\n\n' + table(
        ("argument", "meaning"),
        [
            (
                "`scenario`",
                "a shipped market's name, a YAML file, a dict of differences or a `Scenario`",
            ),
            (
                "`levers`",
                "what is controlled: a set's name or a list; the rest stays at its default",
            ),
            ("`days`", "length of the campaign; `None` for the scenario's own"),
            ("`reward`", "one of the five rewards above"),
            (
                "`split`",
                "whose merchants are met: `train` (to learn and tune on), `validation` (to choose "
                "on) or `test` (to report on); they are disjoint",
            ),
            ("`render_mode`", "`rgb_array` draws the plan's dashboard with `env.render()`"),
            ("`reward_parts`", 'put the tick\'s ledger lines, CNY, into `info["reward_parts"]`'),
            ("`sampled`", "`False` plays expectations in place of sampled counts"),
        ],
    )


def vectorized(task: Task, manual: Sections) -> str:
    """The native batch and the stable-baselines3 one."""
    return f"{manual['Vectorized environment']}\n\n{BATCHES.format(id=task.id)}"


def days(task: Task) -> str:
    """`1 day` or `7 days`."""
    return f"{task.days} day" + ("s" if task.days > 1 else "")


def ends(lever: Lever) -> tuple[float, float, float]:
    """The lever's value at -1, 0 and +1."""
    return lever.low, lever.default, lever.high


def number(value: float) -> str:
    """Three digits, without zeros that say nothing."""
    return f"{value:.3g}".replace("-", "−")


def capital(text: str) -> str:
    """The sentence with a capital letter, unless it begins with a formula such as ln."""
    return text if text.startswith("ln") else text[:1].upper() + text[1:]


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    head = list(head)
    return "\n".join([line(head), line("---" for _ in head), *map(line, rows)])
