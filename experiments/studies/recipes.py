"""Why PPO and SAC from scratch stop short of the tuned rules, and what mends them: trainings that
differ in one setting each (`configs/recipes.yaml`), judged beside the best tuned rule.
"""

import csv
import io
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import yaml
from pydantic import Field, TypeAdapter

from ...agents import make_rule, plan_spec
from ...agents.learners.settings import PPOSettings, SACSettings
from ...agents.rules.tuned import tuned_parameters
from ...envs import Setting, task_setting
from ...envs.files import whole_file
from ...envs.scenario.validation import merged
from ..benchmark.ticks import training_ticks
from ..runs.evaluate import evaluate, play_noop
from .outputs import Size
from .pictures import signal_figure

FILE = Path(__file__).parent.parent / "configs" / "recipes.yaml"
MERCHANTS = 32  # merchants to judge on, for each of a study's usual episodes
JUDGE_SEED = 0  # first stream of the validation split that recipes are judged on


class Recipe(NamedTuple):
    """A training of the study."""

    task: str
    name: str
    change: str  # what it is, or what it changes of another
    settings: PPOSettings | SACSettings
    seeds: tuple[int, ...] = (0,)  # of its trainings


class Look(NamedTuple):
    """A look at the policy gradient of a trained recipe's actor (`analysis.policy_gradient`)."""

    recipe: str
    log_std: float  # of the noise in its actions
    batches: int
    num_envs: int  # episodes of a batch


class RecipeScore(NamedTuple):
    """What came of a training; scores are means of multiples of doing nothing's."""

    task: str
    recipe: str
    seed: int
    score: float
    rule_score: float  # of the best tuned rule, on the same merchants
    share: float  # gain above doing nothing over the rule's
    share_error: float  # standard error of the paired difference, over the rule's gain
    violations: float
    budget_use: float
    ticks: int  # of training, with those of counterfactual copies
    cpu_seconds: float


def load_recipes(path: Path = FILE) -> tuple[dict[str, str], list[Recipe]]:
    """The best tuned rule of each task, and the trainings. A recipe `of` another has the other's
    settings but for what it names itself.
    """
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    adapter: TypeAdapter[PPOSettings | SACSettings] = TypeAdapter(
        Annotated[PPOSettings | SACSettings, Field(discriminator="algorithm")]
    )
    written: dict[str, dict[str, Any]] = {}
    found = []
    for name, entry in data["recipes"].items():
        options = entry["settings"]
        if "of" in entry:
            options = merged(written[entry["of"]], options)
        written[name] = options
        settings = adapter.validate_python(options)
        seeds = tuple(entry.get("seeds", (0,)))
        found.append(Recipe(entry["task"], name, entry["change"], settings, seeds))
    return data["rules"], found


def load_looks(path: Path = FILE) -> list[Look]:
    """Whose policy gradient is measured, and with which noise."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [Look(**entry) for entry in data["looks"]]


def judge(task: str, rule_name: str, policy: Any, episodes: int) -> dict[str, float]:
    """Scores of a policy and of the tuned rule on the same merchants of the validation split."""
    setting = judged_setting(task)
    rule = make_rule(rule_name, plan_spec(setting), **tuned_parameters(rule_name, task))
    nothing = play_noop(setting, np.arange(JUDGE_SEED, JUDGE_SEED + episodes))
    played = evaluate(policy, setting, episodes, JUDGE_SEED, nothing)
    own = played.relative_score
    ruled = evaluate(rule, setting, episodes, JUDGE_SEED, nothing).relative_score
    gain = ruled.mean() - 1
    share = (own.mean() - 1) / gain
    error = float(np.std(own - ruled)) / episodes**0.5
    return {
        "score": float(own.mean()),
        "rule_score": float(ruled.mean()),
        "share": float(share),
        "share_error": error / float(gain),
        "violations": float(played.plans["violated"].mean()),
        "budget_use": float(played.plans["budget_use"].mean()),
    }


def judged_setting(task: str) -> Setting:
    """What a task plays, with merchants of the validation split."""
    return task_setting(task, split="validation")


def run_recipe(
    recipe: Recipe, rule_name: str, seed: int, folder: Path, episodes: int
) -> RecipeScore:
    """Train one recipe from scratch and judge it, on half as many merchants where a plan is longer
    than a day.
    """
    from ...agents.learners.training import train

    setting = judged_setting(recipe.task)
    count = episodes if setting.days == 1 else max(episodes // 2, 1)
    began = time.process_time()
    policy = train(recipe.settings, setting, seed, folder)
    seconds = time.process_time() - began
    figures = judge(recipe.task, rule_name, policy, count)
    return RecipeScore(
        recipe.task,
        recipe.name,
        seed,
        **figures,
        ticks=training_ticks(recipe.settings, setting.ticks).total,
        cpu_seconds=round(seconds, 1),
    )


def write_scores(path: Path, scores: list[RecipeScore]) -> None:
    """All scores as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(RecipeScore._fields)
    writer.writerows(
        [f"{value:.6g}" if isinstance(value, float) else value for value in score]
        for score in scores
    )
    with whole_file(path) as draft:
        draft.write_text(text.getvalue(), encoding="utf-8")


def recipe_table(recipes: Sequence[Recipe], scores: list[RecipeScore]) -> str:
    """The scores as a Markdown table, a line per training."""
    changes = {recipe.name: recipe.change for recipe in recipes}
    lines = [
        "# PPO and SAC from scratch, recipe by recipe\n",
        "Shares are of the best tuned rule's gain above doing nothing, on the same merchants of "
        "the validation split, ± one standard error of the paired difference. Ticks include "
        "counterfactual copies and a start's; CPU seconds are of training.\n",
        "| task | recipe | what it is | seed | score | rule | share of the rule's gain "
        "| violations | budget used | ticks, million | CPU s |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {s.task} | {s.recipe} | {changes.get(s.recipe, '')} | {s.seed} | {s.score:.3f} "
        f"| {s.rule_score:.3f} | {s.share:.1%} ± {s.share_error:.1%} | {s.violations:.1%} "
        f"| {s.budget_use:.0%} | {s.ticks / 1e6:.1f} | {s.cpu_seconds:.0f} |"
        for s in scores
    ]
    return "\n".join(lines) + "\n"


def read_scores(path: Path) -> list[RecipeScore]:
    """The scores of a CSV that `write_scores` wrote; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            RecipeScore(
                row["task"],
                row["recipe"],
                int(row["seed"]),
                *(float(row[field]) for field in RecipeScore._fields[3:9]),
                ticks=int(row["ticks"]),
                cpu_seconds=float(row["cpu_seconds"]),
            )
            for row in csv.DictReader(file)
        ]


def study_recipes(
    folder: Path, size: Size, on_progress: Callable[[str], None] = lambda text: None
) -> str:
    """Run the trainings that the folder does not hold yet, and write results.csv and results.md;
    `chengfang study recipes`.

    Args:
        folder: of the results; policies and checkpoints are written to `runs/` in it.
        size: judged on MERCHANTS times its episodes, merchants of the validation split. A size
            without training (`Size.quick`) runs two recipes with a hundredth of their steps.
        on_progress: called with a line per training.
    """
    rules, recipes = load_recipes()
    if not size.learner_steps:
        recipes = [_shortened(recipe) for recipe in recipes[:2]]
    text = run_recipes(folder, rules, recipes, MERCHANTS * size.episodes, on_progress)
    if size.learner_steps:
        text += look_at_gradients(folder, recipes, load_looks(), on_progress)
        with whole_file(folder / "results.md") as draft:
            draft.write_text(text, encoding="utf-8")
    return text


def _shortened(recipe: Recipe) -> Recipe:
    steps = max(recipe.settings.steps // 100, 1)
    return recipe._replace(settings=recipe.settings.model_copy(update={"steps": steps}))


def run_recipes(
    folder: Path,
    rules: dict[str, str],
    recipes: Sequence[Recipe],
    episodes: int,
    on_progress: Callable[[str], None],
) -> str:
    """Train and judge what `results.csv` in the folder does not hold yet; returns the table."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.csv"
    scores = read_scores(path)
    done = {(score.recipe, score.seed) for score in scores}
    order = [recipe.name for recipe in recipes]
    for recipe in recipes:
        for seed in recipe.seeds:
            if (recipe.name, seed) in done:
                continue
            run = folder / "runs" / f"{recipe.name}-seed{seed}"
            score = run_recipe(recipe, rules[recipe.task], seed, run, episodes)
            scores.append(score)
            scores.sort(key=lambda s: (order.index(s.recipe) if s.recipe in order else -1, s.seed))
            write_scores(path, scores)
            on_progress(f"{recipe.name} seed {seed}: {score.share:.1%} of the rule's gain")
    text = recipe_table(recipes, scores)
    with whole_file(folder / "results.md") as draft:
        draft.write_text(text, encoding="utf-8")
    return text


def look_at_gradients(
    folder: Path,
    recipes: Sequence[Recipe],
    looks: Sequence[Look],
    on_progress: Callable[[str], None],
) -> str:
    """Measure what `signals.csv` does not hold yet, of each recipe's training with seed 0; draws
    signals.png and returns the table.
    """
    path = folder / "signals.csv"
    rows = _read_rows(path)
    done = {(row["recipe"], round(float(row["noise"]), 3)) for row in rows}
    named = {recipe.name: recipe for recipe in recipes}
    for look in looks:
        if (look.recipe, round(math.exp(look.log_std), 3)) in done:
            continue
        from ...agents.learners.training.run import TrainingRun
        from ..analysis.policy_gradient import signals

        recipe = named[look.recipe]
        setting = judged_setting(recipe.task).of("train")
        run = TrainingRun(recipe.settings, setting, 0, folder / "runs" / f"{recipe.name}-seed0")
        found = signals(recipe.task, recipe.name, run, *look[1:])
        rows += [{name: _written(value) for name, value in s._asdict().items()} for s in found]
        _write_rows(path, rows)
        on_progress(f"{look.recipe}, noise {math.exp(look.log_std):.2f}: gradients measured")
    if rows:
        signal_figure(rows, folder / "signals.png")
    return signal_table(rows)


def _written(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(path) as draft:
        draft.write_text(text.getvalue(), encoding="utf-8")


def signal_table(rows: Sequence[Mapping[str, str]]) -> str:
    """The measured gradients as a Markdown table, a line per estimate."""
    lines = [
        "\n## How much of a policy gradient is signal\n",
        "Of one batch's estimate, for the actor that a recipe has learned (seed 0) with some noise "
        "in its actions: the squared length of the mean estimate over the variance of one; its "
        "cosine with the gradient by the market's derivative, over all batches, of the same noisy "
        "actor; and the cosine of all batches' mean with it. Explained: share of the variance of "
        "returns that the critic foretells at an episode's start.\n",
        "| task | recipe | noise | estimate | episodes | signal to noise | cosine "
        "| cosine of all | explained |",
        "|---|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['task']} | {row['recipe']} | {float(row['noise']):.2f} | {row['estimate']} "
        f"| {row['episodes']} | {float(row['signal_to_noise']):.3g} | {float(row['cosine']):.2f} "
        f"| {float(row['cosine_of_all']):.2f} | {float(row['explained']):.2f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"
