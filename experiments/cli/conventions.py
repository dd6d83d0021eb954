"""What all commands share: options spelled alike, errors as sentences, exit codes.

Exit codes: 0 done; 2 unusable input, with a sentence on stderr naming the field, the value and what
is allowed; 130 interrupted, with everything finished so far on disk.
"""

import contextlib
import errno
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_type_hints

import typer
from rich.console import Console
from rich.markup import escape

from ...envs import TASKS, Setting, short_name, task_setting
from ...envs.scenario import parse_override

console = Console()
errors = Console(stderr=True, soft_wrap=True)

Track = Literal["online", "offline", "off"]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Override a scenario field, for example "
        "--set auction.price_rule=second. May be repeated.",
    ),
]
ScenarioOption = Annotated[
    str | None, typer.Option("--scenario", "-s", help="A shipped market's name or a YAML file.")
]
TaskOption = Annotated[
    str, typer.Option("--task", "-t", help="Task: " + ", ".join(short_name(t) for t in TASKS) + ".")
]
POLICIES = (
    "a rule's name, best-rule (the rule that tuning found best for the task, by its check on "
    "training merchants), best (the task's best committed policy), the folder of a saved policy, "
    "or module:Name of your own code"
)
SplitOption = Annotated[
    Literal["train", "validation", "test"],
    typer.Option(
        help="Whose merchants are met: train to learn and tune on, validation to choose on, test "
        "to report on."
    ),
]
PolicyArgument = Annotated[
    str, typer.Argument(metavar="POLICY", help=f"Who plays: {POLICIES}.", show_default=False)
]
TunedOption = Annotated[
    bool,
    typer.Option(
        "--tuned/--untuned", help="A rule's values as tuned on this task, or its defaults."
    ),
]
MarginOption = Annotated[
    float | None,
    typer.Option(
        "--margin", help="Safety margin on the ROI target, for policies trained to take one."
    ),
]


def _renamed(given: str | None) -> None:
    if given is not None:
        raise typer.BadParameter("--caution is called --margin now")


CautionOption = Annotated[
    str | None, typer.Option("--caution", hidden=True, callback=_renamed, metavar="VALUE")
]


WorkersOption = Annotated[int, typer.Option(help="Processes side by side.", min=1, max=1024)]
RayOption = Annotated[
    str | None, typer.Option("--ray", metavar="auto|ADDRESS|local", help="Run on a Ray cluster.")
]
TrackOption = Annotated[Track, typer.Option(help="W&B: offline writes files only; online uploads.")]


def options(kind: Any) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Make a command's function of one NamedTuple take that tuple's fields as its options.

    Args:
        kind: a NamedTuple whose fields are annotated as typer wants them.
    """
    hints = get_type_hints(kind, include_extras=True)
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=kind._field_defaults.get(name, inspect.Parameter.empty),
            annotation=hints[name],
        )
        for name in kind._fields
    ]

    def decorate(command: Callable[[Any], None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            command(kind(**given))

        run.__name__ = command.__name__
        run.__doc__ = command.__doc__
        run.__annotations__ = hints
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what a user can get wrong into one sentence and exit code 2, and Ctrl-C into 130."""
    try:
        yield
        sys.stdout.flush()
    except UnicodeDecodeError as error:
        fail(f"a file is no text in UTF-8 ({error.reason} at byte {error.start})")
    except ValueError as error:
        fail(str(error))
    except BrokenPipeError:  # whoever read our output has left; typer ends quietly then
        raise
    except OSError as error:
        fail(_io_sentence(error))
    except MemoryError:
        fail("there is not enough memory; fewer episodes, envs or workers need less")
    except KeyboardInterrupt:
        errors.print("interrupted")
        raise typer.Exit(130) from None


@contextlib.contextmanager
def resumable(kept: str) -> Iterator[None]:
    """Say what an interrupted benchmark keeps, and end with 130."""
    from ..benchmark.run import Interrupted

    try:
        yield
    except Interrupted:
        errors.print(f"[bold]interrupted[/]: {kept}; the same command goes on from there")
        raise typer.Exit(130) from None


def show_title(text: str) -> None:
    """A table's title on a line of its own: rich would break it at the table's width."""
    console.print(text, style="italic", highlight=False, markup=False, soft_wrap=True)


def apart_from_json(as_json: bool) -> contextlib.AbstractContextManager[object]:
    """What an agent prints goes to stderr where stdout is JSON."""
    return contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()


def _io_sentence(error: OSError) -> str:
    """What is wrong with a file or a disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        where = f" at {error.filename}" if error.filename else ""
        return f"the disk is full{where} ({error.strerror}); what was finished before is kept"
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"


def folder_for_results(folder: Path) -> Path:
    """Make a folder before the work begins, so that nothing is computed that cannot be kept.

    Raises:
        OSError: if it cannot be made, or not be written into.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "cannot be written into", str(folder))
    return folder


def fail(text: str, code: int = 2) -> NoReturn:
    """Say what is wrong on stderr and end."""
    errors.print(f"[bold red]error:[/] {escape(text)}", highlight=False)
    raise typer.Exit(code)


def overrides(changes: list[str] | None) -> dict[str, Any]:
    """Scenario fields and their new values, from what --set was given."""
    return dict(parse_override(text) for text in changes or [])


def setting_of(
    task: str, scenario: str | None, changes: list[str] | None, split: str = "test"
) -> Setting:
    """What --task, --scenario and --set ask for."""
    return task_setting(task, scenario, overrides(changes), split)


def parse_steps(text: str | None, learners: list[str]) -> dict[str, int]:
    """`1e6` for every learner, or `PPO=1e6,SAC=2e5`."""
    if text is None:
        return {}
    pairs = (
        [part.partition("=")[::2] for part in text.split(",")]
        if "=" in text
        else [(name, text) for name in learners]
    )
    result = {}
    for name, value in pairs:
        if name not in learners:
            raise ValueError(f"--steps names {name!r}; the learners are {', '.join(learners)}")
        try:
            result[name] = int(float(value))
        except (ValueError, OverflowError):
            raise ValueError(
                f"--steps is {value!r}; it must be a number of environment steps, for example 1e6"
            ) from None
    return result
