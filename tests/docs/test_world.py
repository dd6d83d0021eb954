"""docs/world.md against the code: fields, functions, sections and equation numbers.

The page is written by hand and describes the engine line by line; what a machine can hold it to is
held here. Every failure says which line of the page or of the code to mend.
"""

import ast
import re
from collections import Counter
from pathlib import Path

import chengfang
import pytest
from chengfang.envs import FEATURE_NAMES, LEVER_SETS, TASKS, lever_table, load_scenario
from chengfang.envs.scenario.loading import ALIASES
from chengfang.envs.scenario.quantity import POOLS, SCENES, SEGMENTS, TIERS, Section
from chengfang.envs.scenario.traffic import Event

ROOT = Path(chengfang.__file__).parent
PAGE = (ROOT / "docs" / "world.md").read_text(encoding="utf-8")
ONE_LINE = re.sub(r"\s+", " ", PAGE)
FLOORS = ("envs", "agents", "experiments")
TEXTS = ("name", "description", "source")  # they change nothing, and have no row
# Fields that the scenario `default` fits to a log; everything else is a prior or an assumption.
FITTED = ("traffic.hourly", "auction.cpm_log_sigma")
EQUATION = re.compile(r"\\tag\{(\d+)(?:\.(\d+))?([a-z])\}")
FUNCTION = re.compile(r"`((?:envs|agents|experiments|tests)/[\w/]+\.py): ([\w., ]+)`")
CITATION = re.compile(r"\bworld ((?:\d+(?:\.\d+)?)(?:(?:, | and | to )\d+(?:\.\d+)?)*)")
CODE = [
    *sorted(p for floor in FLOORS for p in (ROOT / floor).rglob("*.py")),
    *sorted(p for p in (ROOT / "tests").rglob("*.py") if p != Path(__file__)),
]


def fields(section, prefix=""):
    """(dotted path, value in `default`, unit, source) of every field; those of a list's entries as
    `list[].field`.
    """
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        path = f"{prefix}{name}"
        if isinstance(value, Section):
            yield from fields(value, f"{path}.")
            continue
        facts = info.json_schema_extra
        yield path, value, facts["unit"], facts["source"]
        if path == "traffic.events":
            yield from fields(Event(), f"{path}[].")
        if path == "merchants.categories":
            yield from fields(value[0], f"{path}[].")


FIELDS = {path: facts for path, *facts in fields(load_scenario("default"))}


def shown(value):
    """A field's value as the page's tables show it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        nested = any(isinstance(item, dict) for item in value.values())
        return ("; " if nested else " / ").join(map(shown, value.values()))
    if isinstance(value, list):
        return f"{len(value)} values" if value else "none"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:,g}"
    return "unset" if value is None else str(value)


def rows_of_fields():
    """Field path -> (unit, value, basis) of every row of the page's field tables."""
    rows = {}
    for line in PAGE.splitlines():
        parts = [part.strip() for part in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(parts) == 6 and re.fullmatch(r"`[\w.\[\]]+`", parts[1]):
            assert parts[1] not in rows, f"{parts[1]} has two rows"
            rows[parts[1]] = tuple(parts[3:])
    return {path.strip("`"): row for path, row in rows.items()}


def headings():
    """Numbers of all numbered headings: "2", "2.3"."""
    return re.findall(r"^#{2,3} (\d+(?:\.\d+)?) ", PAGE, re.MULTILINE)


def test_every_scenario_field_has_its_row():
    rows = rows_of_fields()
    assert sorted(rows) == sorted(set(FIELDS) - set(TEXTS))


@pytest.mark.parametrize("path", [path for path in FIELDS if path not in TEXTS])
def test_a_row_says_what_the_schema_says(path):
    value, unit, source = FIELDS[path]
    row = rows_of_fields()[path]
    assert row[0] == {"choice": "–", "1": "–"}.get(unit, unit)
    assert row[1] == shown(value)
    if path in FITTED:
        assert row[2].startswith("**fitted**")
    else:
        assert row[2] == ("assumption" if source == "assumption" else f"prior: {source}")


def test_fields_named_in_the_text_exist():
    sections = {path.split(".")[0] for path in FIELDS if "." in path}
    named = set(re.findall(rf"`((?:{'|'.join(sorted(sections))})\.[\w.\[\]]+)`", PAGE))
    unknown = named - set(FIELDS) - set(ALIASES)
    assert not {name for name in unknown if not name.endswith((".py", ".md", ".yaml"))}


def defined(path):
    """Names of all functions and classes of a file, methods as Class.name."""
    found = set()

    def walk(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                found.add(f"{prefix}{child.name}")
                walk(child, "")
            if isinstance(child, ast.ClassDef):
                found.add(child.name)
                walk(child, f"{child.name}.")

    walk(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


def test_functions_named_exist_where_they_are_said_to_be():
    named = FUNCTION.findall(ONE_LINE)
    assert len(named) > 60
    for file, functions in named:
        assert (ROOT / file).is_file(), file
        missing = set(functions.replace(" ", "").split(",")) - defined(ROOT / file)
        assert not missing, f"{file} has no {missing}"


def test_the_stages_of_a_tick_are_its_functions_in_their_order():
    listed = PAGE[PAGE.index("**The order of a tick.**") : PAGE.index("### 2.1 ")]
    stages = re.findall(r"`(\w+)`", listed)
    assert set(stages) <= defined(ROOT / "envs" / "market" / "tick.py")
    tick = (ROOT / "envs" / "market" / "tick.py").read_text(encoding="utf-8")
    body = tick[tick.index("def tick(") :]
    called = [name for name in stages if name != "set_controls"]  # in the loop over the batch
    places = [body.index(f"{name}(") for name in called]
    assert places == sorted(places)


def test_files_named_exist():
    for file in re.findall(r"`((?:envs|agents|experiments|tests|docs)/[\w/]+\.\w+)", ONE_LINE):
        assert (ROOT / file).is_file(), file
    for file in re.findall(r"\]\(([\w/]+\.md)\)", PAGE):
        assert (ROOT / "docs" / file).is_file(), file


def test_equation_numbers_are_unique_and_in_order():
    tags = [(int(a), int(b or 0), letter) for a, b, letter in EQUATION.findall(PAGE)]
    assert len(tags) > 100
    assert tags == sorted(tags)
    assert not [tag for tag, count in Counter(tags).items() if count > 1]
    for chapter, section in {tag[:2] for tag in tags}:
        letters = "".join(tag[2] for tag in tags if tag[:2] == (chapter, section))
        assert letters == "abcdefghijklmnopqrstuvwxyz"[: len(letters)], (chapter, section)


def test_an_equation_stands_in_the_section_of_its_number():
    number = ""
    for line in PAGE.splitlines():
        heading = re.match(r"^#{2,3} (\d+(?:\.\d+)?) ", line)
        number = heading.group(1) if heading else number
        for a, b, _ in EQUATION.findall(line):
            assert number == (f"{a}.{b}" if b else a), line


def test_every_displayed_equation_has_a_number():
    for block in re.findall(r"\$\$.*?\$\$", PAGE, re.DOTALL):
        assert EQUATION.search(block), block


def test_equations_cited_in_the_text_exist():
    tags = {f"{a}.{b}{c}" if b else f"{a}{c}" for a, b, c in EQUATION.findall(PAGE)}
    cited = set(re.findall(r"[(\s](\d(?:\.\d+)?[a-z])[,)]", re.sub(EQUATION, "", PAGE)))
    assert cited - {"7d", "1h"} <= tags


def test_links_within_the_page_lead_somewhere():
    titles = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_sections_cited_in_the_code_are_headings(path):
    known = headings()
    text = re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
    for cited in CITATION.findall(text):
        numbers = re.findall(r"\d+(?:\.\d+)?", cited)
        assert set(numbers) <= set(known), f"world {cited}"


def rows_of_levers():
    """Lever -> (unit, mapping, low, default, high) of the page's table, families written out."""
    families = {"<scene>": SCENES, "<pool>": POOLS, "<segment>": SEGMENTS, "<tier>": TIERS}
    rows = {}
    for line in PAGE[PAGE.index("### 3.1 ") : PAGE.index("### 3.2 ")].splitlines():
        parts = [part.strip() for part in line.strip("|").split(" | ")]
        if len(parts) != 7 or not parts[0].startswith("`"):
            continue
        name = parts[0].strip("`")
        family = next((f for f in families if f in name), None)
        values = tuple(float(x.replace("−", "-")) for x in parts[3:6])
        for key in families[family] if family else ("",):
            rows[name.replace(family, key) if family else name] = (*parts[1:3], *values)
    return rows


def test_levers_stand_as_the_default_market_has_them():
    table = lever_table(load_scenario("default"))
    assert rows_of_levers() == {
        lever.name: (lever.unit, lever.mapping, lever.low, lever.default, lever.high)
        for lever in table
    }


def test_tasks_stand_as_they_are():
    for task in TASKS:
        assert task.levers in LEVER_SETS
        assert f"| `{task.id}` | `{task.levers}` | {task.days} | `{task.scenario}` |" in PAGE


def test_the_observation_table_covers_every_entry():
    lines = PAGE[PAGE.index("### 3.2 ") : PAGE.index("### 3.3 ")].splitlines()
    covered = []
    for line in lines:
        span = re.match(r"\| (\d+)(?:–(\d+))? \| ([^|]+) \|", line)
        if not span:
            continue
        first = int(span.group(1))
        last = int(span.group(2) or first)
        covered += range(first, last + 1)
        stems = [re.sub(r"<\w+>", "", name) for name in re.findall(r"`([^`]+)`", span.group(3))]
        for i in range(first, last + 1):
            assert FEATURE_NAMES[i].startswith(tuple(stems)), FEATURE_NAMES[i]
    assert covered == list(range(len(FEATURE_NAMES)))


def test_no_inline_formula_breaks_across_lines():
    """GitHub shows a broken one as it is written."""
    text = re.sub(r"`[^`]*`", "", re.sub(r"\$\$.*?\$\$", "", PAGE, flags=re.DOTALL))
    assert not [formula for formula in re.findall(r"\$([^$]*?)\$", text) if "\n" in formula]


def test_the_glossary_knows_every_alias():
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for alias in ALIASES:
        assert alias.split(".")[-1] in glossary
        assert alias in PAGE


def test_the_architecture_lists_every_folder_of_code_and_nothing_else():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    parents = [ROOT]
    listed = set()
    for line in page.split("```")[1].splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2
        path = parents[depth] / line.split()[0]
        assert path.exists(), line
        parents[depth + 1 :] = [path]
        listed.add(path)
    folders = {p.parent for floor in FLOORS for p in (ROOT / floor).rglob("__init__.py")}
    assert {str(p.relative_to(ROOT)) for p in folders - listed} == set()
