"""Makes the committed tables of `results/` pages of the site: one `evidence/<name>.md` for each
`results/**/results.md`, which stays the only copy.
"""

import re
from pathlib import Path

INDEX = """
# Evidence

The committed results, as the commands wrote them. Each lies in the repository with a manifest of
versions, seeds and hashes beside it.

```{{toctree}}
:maxdepth: 1

{names}
```
""".lstrip()
PLACES = ("benchmark", "studies/*", "exact")  # what is committed; `latest` is not
LINK = re.compile(r"\]\((?:\.\./)+results/(?:[\w-]+/)*?([\w-]+)/results\.md")


def write(docs: Path) -> None:
    """Write the pages and their index into `docs/evidence`; old ones go."""
    folder = docs / "evidence"
    folder.mkdir(exist_ok=True)
    results = docs.parent / "results"
    tables = [found for place in PLACES for found in sorted(results.glob(f"{place}/results.md"))]
    pages = {table.parent.name: page(table) for table in tables} | {"index": index(tables)}
    for old in folder.glob("*.md"):
        if old.stem not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def page(table: Path) -> str:
    """The table as it was written, then its figures."""
    results = next(parent for parent in table.parents if parent.name == "results")
    up = f"../../results/{table.parent.relative_to(results)}"
    titled = table.read_text(encoding="utf-8").startswith("# ")
    text = "" if titled else f"# {table.parent.name.capitalize()}\n\n"
    text += f"```{{include}} {up}/results.md\n```\n"
    pictures = sorted(table.parent.glob("*.png")) + sorted(table.parent.glob("figures/*.png"))
    if pictures:
        text += "\n## Figures\n"
    for picture in pictures:
        text += f"\n![{picture.stem}]({up}/{picture.relative_to(table.parent)})\n"
    return text


def index(tables: list[Path]) -> str:
    """The list of them, in the site's navigation."""
    names = "\n".join(table.parent.name for table in tables)
    return INDEX.format(names=names)


def relinked(text: str, depth: int) -> str:
    """Links to `results/**/results.md`, which work on GitHub, turned into links to these pages."""
    return LINK.sub(lambda found: f"]({'../' * depth}evidence/{found[1]}.md", text)
