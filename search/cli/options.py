"""What several verbs of the command line take, defined once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from search.executors.table import DEFAULT, EXECUTORS, Setting, settings_of
from search.system.commands import RESULTS as DEFAULT_RESULTS
from search.system.commands import command
from search.system.commands import option as option_of
from search.system.errors import UserError
from search.system.precision import FLOAT32, PRECISIONS
from search.system.texts import check_utf8, visible_lines

SPACE = click.argument("space", type=click.Path(path_type=Path))
DATA = click.option(
    "--data", metavar="PATH", help="Class folders, a CSV manifest or arrays (.npz), instead of the study's."
)
LABEL_LEVEL = click.option(
    "--label-level",
    metavar="N",
    type=click.IntRange(1),
    help="Which level of folders names the classes: 1 for those in the data folder.",
)
LABELS_FROM = click.option(
    "--labels-from",
    metavar="PATTERN",
    help="Take the label from the file name, such as '^([a-z]+)_'; with a slash in it, from the path.",
)
ROOT = click.option("--root", metavar="FOLDER", help="The folder below which the paths of a manifest lie.")
KEEP_MASKS = click.option("--keep-masks", is_flag=True, help="Train masks and previews of other images as pictures.")
GROUPS = click.option(
    "--groups",
    metavar="HOW",
    help="What shares a fold, instead of the study's: auto (copies), none, a column, folder1 (the first folder), or a "
    "pattern on file names. Copies share a fold too, unless none+ stands before the last three.",
)
HOLDOUT = click.option(
    "--holdout",
    metavar="PART",
    help="What no trial sees, instead of the study's: 0.15 (a part), 50 (of each class) or test (a given split).",
)
SYNTHETIC = click.option(
    "--synthetic", metavar="FOLDER", help="Generated images with a manifest.csv; default <data>-synthetic."
)
CACHE = click.option("--cache", metavar="FOLDER", help="Where decoded images and activations are kept.")
CACHE_GB = click.option(
    "--cache-gb", type=click.FloatRange(0, min_open=True), default=20.0, show_default=True, help="What it may hold."
)
FOLDS = click.option("--folds", type=click.IntRange(1), help="How many folds, instead of the study's.")
BACKBONES = click.option(
    "--backbones", metavar="NAMES", help="What at_hand gives instead of the space's own, such as VGG16,ResNet50."
)
SEED = click.option("--seed", type=click.IntRange(0), help="Seed, instead of the study's.")
TRIALS = click.option("--trials", type=click.IntRange(1), help="How many trials, instead of the study's.")
LAG = click.option(
    "--lag", type=click.IntRange(1), help="How many trials may be open at a time, instead of the study's."
)
TENSORBOARD = click.option("--tensorboard", is_flag=True, help="Also write curves and the HPARAMS tab for TensorBoard.")
MOVED = click.option("--data", metavar="PATH", help="Where the images are now, if they were moved.")
CONFIRM = click.option(
    "--confirm",
    metavar="N",
    type=click.IntRange(0),
    help="Train the N best recipes again at the end, on reshuffled folds with fresh seeds.",
)
OFFLINE = click.option("--offline", is_flag=True, help="Download nothing.")
RESULTS = click.option(
    "--results", metavar="FOLDER", default=DEFAULT_RESULTS, show_default=True, help="Where searches are kept."
)
HOURS = click.option(
    "--hours",
    metavar="H",
    type=click.FloatRange(0, min_open=True),
    help="Begin no trial that would probably not end within H hours, the report included; resume goes on.",
)
RUN_TIMEOUT = click.option(
    "--run-timeout",
    metavar="TIME",
    help="Kill a worker that makes no progress for so long: minutes, or 90s, 10m, 1.5h. It costs one attempt.",
)
SLOTS = click.option(
    "--slots", type=click.IntRange(1), help="Worker processes. [default: one for each GPU, or for each core]"
)
PRECISION = click.option(
    "--precision",
    type=click.Choice(list(PRECISIONS)),
    default=FLOAT32,
    show_default=True,
    help="The numbers in which backbones compute. Mixed ones are for GPUs; heads and scores stay float32.",
)
GPUS = click.option("--gpus", metavar="WHICH", help="GPUs to train on, such as 0 or 0,1; or none. [default: all]")


def of_the_data(command: Callable[..., None]) -> Callable[..., None]:
    """Return a verb with the options that say of the data what their form does not."""
    for option in (KEEP_MASKS, ROOT, LABELS_FROM, LABEL_LEVEL):
        command = option(command)
    return command


def of_the_executor(command: Callable[..., None]) -> Callable[..., None]:
    """Return a verb with the choice of an executor, and with the settings that only some of them have."""
    for setting in reversed(settings_of(EXECUTORS.values()).values()):
        command = click.option(
            option_of(setting.name),
            is_flag=setting.kind is bool,
            type=_type_of(setting),
            metavar=setting.metavar,
            help=setting.help,
        )(command)
    executor = click.option(
        "--executor",
        type=click.Choice(list(EXECUTORS)),
        default=DEFAULT,
        show_default=True,
        help=f"Where trials train; {'; '.join(f'{name} {row.words}' for name, row in EXECUTORS.items() if row.words)}.",
    )
    return executor(command)


def _type_of(setting: Setting) -> Any:
    if setting.kind is int:
        return click.IntRange(setting.least)
    return click.FloatRange(setting.least) if setting.kind is float else setting.kind


def echo(text: str, *, err: bool = False) -> None:
    """Print lines in which no name of a stranger can command the terminal."""
    click.echo(visible_lines(text), err=err)


def shared(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options of a verb that the same line needs again when its images were moved."""
    return {name: options.get(name) for name in ("cache", "slots", "gpus", "root", "run_timeout")}


def folder_by_name(name: str, results: str) -> Path:
    """Return the folder of a search; its path does as well as its name."""
    check_utf8(f"{results}/{name}", "The search")
    if Path(name).suffix == ".py" and Path(name).is_file():
        again = command("run", name, results=None if results == DEFAULT_RESULTS else results)
        raise UserError(
            f"{name} is a space file, where the name of a search is wanted. To search it, or to go on with it: {again}"
        )
    return Path(name).resolve() if Path(name).name != name else Path(results) / name
