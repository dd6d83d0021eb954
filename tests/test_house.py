"""The house: floors, relative imports, documented names, no code in data, a light front door."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import chengfang
import pytest

ROOT = Path(chengfang.__file__).parent
FLOORS = ("envs", "agents", "experiments")  # each may import those before it
FILES = [
    *sorted(p for floor in FLOORS for p in (ROOT / floor).rglob("*.py")),
    ROOT / "__init__.py",
    ROOT / "__main__.py",
]
HEAVY = ("torch", "stable_baselines3", "matplotlib", "wandb", "polars", "typer")
each = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[tuple[str, bool, int]]:
    """Absolute dotted names of everything a file imports, relative imports resolved, with whether
    each is relative.
    """
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, False, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = ("chengfang", *package)[: len(package) + 2 - node.level]
            yield (
                ".".join((*base, node.module)) if node.module else ".".join(base),
                True,
                node.lineno,
            )
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", False, node.lineno


@each
def test_imports_inside_the_package_are_relative(path):
    """Examples aside: they are copied out of the package and changed."""
    if path.parent.name == "examples":
        return
    wrong = [
        (name, line)
        for name, relative, line in imported(path)
        if name.split(".")[0] == "chengfang" and not relative
    ]
    assert not wrong
    # and nothing reaches for a top-level `envs` or `agents`
    assert not [
        (name, line)
        for name, relative, line in imported(path)
        if name.split(".")[0] in FLOORS and not relative
    ]


@each
def test_floors_hold(path):
    """experiments -> agents -> envs, never back up."""
    parts = path.relative_to(ROOT).parts
    if parts[0] not in FLOORS:
        return
    below = FLOORS[: FLOORS.index(parts[0]) + 1]
    wrong = [
        (name, line)
        for name, _, line in imported(path)
        if name.startswith("chengfang.")
        and name.split(".")[1] in FLOORS
        and name.split(".")[1] not in below
    ]
    assert not wrong


def module_name(path):
    """Dotted name under the package; a package's is its folder's."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph():
    """{module: modules of this package that it imports}, imports inside functions included."""
    names = {module_name(path) for path in FILES}
    graph = {}
    for path in FILES:
        graph[module_name(path)] = edges = set()
        package = path.relative_to(ROOT).parts[:-1]
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            base = package[: len(package) + 1 - node.level]
            target = ".".join((*base, *(node.module or "").split("."))).strip(".")
            for alias in node.names:
                full = f"{target}.{alias.name}".strip(".")
                edges.add(full if full in names else target)
        edges.discard(module_name(path))
    return graph


def test_imports_make_no_circle():
    """Not even by an import inside a function."""
    graph = import_graph()
    done, open_ = set(), []

    def visit(module):
        if module in open_:
            pytest.fail(" -> ".join([*open_[open_.index(module) :], module]))
        if module in done:
            return
        open_.append(module)
        for target in sorted(graph.get(module, ())):
            visit(target)
        done.add(open_.pop())

    for module in sorted(graph):
        visit(module)


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=str)
def test_no_folder_is_crowded(folder):
    assert len([path for path in folder.glob("*.py") if path.stem != "__init__"]) <= 14


@each
def test_no_function_takes_a_crowd_of_parameters(path):
    """The private flat entries of the engine aside."""
    entries = {"step_batch", "reset_batch"}
    crowded = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in entries:
            a = node.args
            count = len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs)
            if count > 12:
                crowded.append(f"{node.name} (line {node.lineno}): {count}")
    assert not crowded


def test_figures_of_style_are_measured():
    """`python tests/style_report.py` prints them: a thermometer, not a gate."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "style_report.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    figures = dict(
        [cell.strip() for cell in line.strip("|").split("|", 1)]
        for line in done.stdout.splitlines()[2:]
    )
    assert float(figures["tokens a line of code"]) > 0
    assert int(figures["files"]) == len(FILES)


def test_the_market_knows_no_gymnasium():
    """The core is arrays only."""
    for path in (ROOT / "envs" / "market").glob("*.py"):
        names = {name.split(".")[0] for name, _, _ in imported(path)}
        assert not names & {"gymnasium", "stable_baselines3", "torch", "pydantic"}, path.name


@each
def test_public_names_are_documented(path):
    module = tree(path)
    missing = [] if ast.get_docstring(module) else ["the module"]

    def walk(node, prefix):
        for child in getattr(node, "body", []):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if child.name.startswith("_"):
                continue
            if not ast.get_docstring(child) and not overload(child):
                missing.append(f"{prefix}{child.name} (line {child.lineno})")
            if isinstance(child, ast.ClassDef):
                walk(child, f"{prefix}{child.name}.")

    def overload(node):
        return any(
            getattr(d, "id", getattr(d, "attr", "")) == "overload" for d in node.decorator_list
        )

    walk(module, "")
    assert not missing


@each
def test_public_functions_are_annotated(path):
    """Kernels are typed by their compiler; everything else by its author."""
    missing = []
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        marks = {
            getattr(d, "id", getattr(d, "attr", getattr(getattr(d, "func", None), "id", "")))
            for d in node.decorator_list
        }
        if marks & {"kernel", "scalar", "entry", "inlined", "shared"} or (
            path.parent.name == "market" and node.name in ("step_batch", "reset_batch")
        ):
            continue
        arguments = [
            a
            for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            if a.arg not in ("self", "cls")
        ]
        if node.returns is None or any(a.annotation is None for a in arguments):
            missing.append(f"{node.name} (line {node.lineno})")
    assert not missing


@each
def test_nothing_is_unpickled_or_evaluated(path):
    unsafe = ("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")
    assert not [name for name, _, _ in imported(path) if name.split(".")[0] in unsafe]
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        assert name not in ("eval", "exec", "os.system", "yaml.unsafe_load", "yaml.full_load"), (
            node.lineno
        )
        keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if name == "yaml.load":
            assert "SafeLoader" in keywords.get("Loader", ""), node.lineno
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", node.lineno
        if name == "np.load":
            assert keywords.get("allow_pickle", "False") == "False", node.lineno
        if name.startswith("subprocess."):
            assert keywords.get("shell", "False") == "False", node.lineno


@each
def test_no_global_random_state(path):
    """Randomness is keyed or comes from a generator of one's own."""
    allowed = {"default_rng", "SeedSequence", "Generator"}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in (
            "np.random",
            "numpy.random",
        ):
            assert node.attr in allowed, node.lineno
    assert "random" not in {name for name, relative, _ in imported(path) if not relative}


@each
def test_no_file_of_odds_and_ends(path):
    assert path.stem not in ("utils", "util", "helpers", "common", "misc", "tools")


def test_packages_are_those_with_an_init():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "setuptools"
    ]["packages"]
    there = {"chengfang"} | {
        ".".join(("chengfang", *p.parent.relative_to(ROOT).parts))
        for floor in FLOORS
        for p in (ROOT / floor).rglob("__init__.py")
    }
    assert set(listed) == there
    assert len(listed) == len(set(listed))


def test_every_folder_of_code_is_a_package():
    for path in FILES:
        assert (path.parent / "__init__.py").is_file(), path.parent


def test_tests_are_no_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_data_files_are_shipped():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "setuptools"
    ]["package-data"]
    patterns = {
        (ROOT.joinpath(*name.split(".")[1:]) / pattern)
        for name, given in data.items()
        for pattern in given
    }
    shipped = {p for pattern in patterns for p in pattern.parent.glob(pattern.name)}
    wanted = {
        *(ROOT / "envs").rglob("*.yaml"),
        *(ROOT / "experiments").rglob("*.yaml"),
        ROOT / "py.typed",
    }
    assert wanted <= shipped


def test_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chengfang.__version__ == project["version"]
    assert f"version: {project['version']}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def modules_after(code):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport sys; print(*sorted(m.split('.')[0] for m in sys.modules))",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_chengfang_is_light():
    assert not modules_after("import chengfang") & set(HEAVY)


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "import chengfang, gymnasium as gym; e = gym.make('chengfang/Bidding-v1'); "
        "e.reset(seed=0); e.step(e.action_space.sample())",
        "from chengfang.agents import make_rule",
        "from chengfang.agents.learners import load_policy",
    ],
)
def test_playing_needs_no_learner_and_no_picture(code):
    assert not modules_after(code) & {"torch", "stable_baselines3", "matplotlib", "wandb"}


def test_public_face_is_what_it_says():
    import chengfang.agents.learners
    import chengfang.agents.rules
    import chengfang.envs.scenario

    for module in (
        chengfang.envs,
        chengfang.agents,
        chengfang.envs.scenario,
        chengfang.agents.rules,
        chengfang.agents.learners,
    ):
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            assert hasattr(module, name), f"{module.__name__}.{name}"
