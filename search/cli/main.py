"""The command line: one short function a verb; imports what it needs when it needs it.

These are the verbs about a search and what comes of it; ``search.cli.tools`` has those about data and backbones.
"""

import io
import json
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from search.cli.options import (
    CACHE,
    CACHE_GB,
    CONFIRM,
    DATA,
    GROUPS,
    HOLDOUT,
    MOVED,
    OFFLINE,
    RESULTS,
    SEED,
    SLOTS,
    SPACE,
    SYNTHETIC,
    TENSORBOARD,
    TRIALS,
)
from search.cli.tools import check, folds, pack, pretrain
from search.repertoire.catalog import ORACLES
from search.system.errors import UserError

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="finetune-search", prog_name="search")
def cli() -> None:
    """Find the fine-tuning recipe that best survives limited data.

    \b
    python -m search run spaces/finetune.py                    search; the same line again resumes
    python -m search run spaces/finetune.py --data my-images   on your own class folders
    python -m search check spaces/finetune.py --data my-images what is odd about them, and what it would cost
    python -m search watch NAME                                follow it from another terminal
    python -m search report NAME                               write the report again
    python -m search export NAME --to my-model                 the recommended model, to take away
    python -m search predict my-model my-images                what it sees in other images
    """


for tool in (check, folds, pack, pretrain):
    cli.add_command(tool)


@cli.command()
@SPACE
@DATA
@GROUPS
@HOLDOUT
@SYNTHETIC
@click.option("--name", help="Name of the search; default <space>-<data folder>.")
@RESULTS
@CACHE
@CACHE_GB
@TRIALS
@click.option("--oracle", type=click.Choice(ORACLES), help="Who proposes the trials, instead of the study's.")
@SEED
@click.option(
    "--executor",
    type=click.Choice(["processes", "inline"]),
    default="processes",
    show_default=True,
    help="Where trials train; inline is for debugging.",
)
@SLOTS
@OFFLINE
@click.option(
    "--strict", is_flag=True, help="Refuse unreadable images and missing weights instead of leaving them out."
)
@click.option("--no-racing", is_flag=True, help="Train every trial on every fold, hopeless or not.")
@click.option("--no-baselines", is_flag=True, help="Leave out the recipes that need no search.")
@CONFIRM
@click.option("--fresh", is_flag=True, help="Begin anew; an old search of this name is moved aside.")
@TENSORBOARD
def run(space: Path, no_racing: bool, no_baselines: bool, confirm: int | None, **options: Any) -> None:
    """Run the search that the file SPACE describes, or resume it."""
    _search(space, racing=not no_racing, baselines=not no_baselines, confirm=confirm or 0, **options)


@cli.command()
@click.argument("name")
@RESULTS
@CACHE
@CACHE_GB
@click.option("--trials", type=click.IntRange(1), help="How many trials; more than before extends the search.")
@SLOTS
@TENSORBOARD
@CONFIRM
@MOVED
def resume(name: str, results: str, trials: int | None, confirm: int | None, tensorboard: bool, **options: Any) -> None:
    """Go on with the search NAME from its own recorded space."""
    from search.record import read_record
    from search.reopen import reopening

    record = read_record(_folder(name, results))
    space, reopened = reopening(record, trials=trials, confirm=confirm, tensorboard=tensorboard, **options)
    _search(space, **reopened)


@cli.command()
@click.argument("name")
@RESULTS
@TENSORBOARD
def report(name: str, results: str, tensorboard: bool) -> None:
    """Print the best trials of the search NAME and write its report."""
    if tensorboard:
        _write_board(_folder(name, results))
    _report(_folder(name, results))


@cli.command()
@click.argument("name")
@RESULTS
def watch(name: str, results: str) -> None:
    """Show the search NAME live, from any terminal. Ctrl-C ends the watching, never the search."""
    from search.monitor.console import wide_console
    from search.monitor.watch import watch as follow

    try:
        follow(_folder(name, results), wide_console())
    except KeyboardInterrupt:
        click.echo("\nNo longer watching; the search is as it was.")


@cli.command()
@click.argument("name")
@click.option("--to", metavar="FOLDER", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--trial", default="best", help="Which trial, such as 0007. [default: best, the recommended one]")
@RESULTS
@CACHE
@CACHE_GB
@MOVED
def export(name: str, to: Path, trial: str, results: str, **options: Any) -> None:
    """Train the recommended recipe of the search NAME on all images, and write a folder with the model.

    Where the study has a hold-out, the trial is scored on it first, once.
    """
    from search.export.card import trial_to_export
    from search.record import read_record
    from search.reopen import reopening

    record = read_record(_folder(name, results))
    chosen = trial_to_export(record, trial)
    space, reopened = reopening(record, executor="inline", **options)
    click.echo("Loading TensorFlow and Keras Tuner")
    from search.export.export import check_target
    from search.export.export import export as write
    from search.tuner import KFoldTuner

    check_target(to, Path(reopened["data"]))  # before the images are read
    write(KFoldTuner(space, **reopened), chosen.id, to)
    click.echo(f"Export: {to}, trial {chosen.id}: model.keras, labels.txt, recipe.json; README.md says what it is")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(1), default=2, show_default=True, help="How many classes of each image.")
@click.option("--json", "form", flag_value="json", help="Print JSON alone.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV alone, with the probabilities of all classes.")
def predict(folder: Path, images: tuple[Path, ...], top: int, form: str | None) -> None:
    """Say what the exported model in FOLDER sees in IMAGES, files or folders of them."""
    from search.export.predict import as_csv, as_json, predicted, show
    from search.monitor.console import screen, wide_console

    with screen(wide_console(stderr=True)) as view:
        told = predicted(folder, images, partial(view.progress, "Predicting"))
    if form is None:
        show(told, wide_console(), top)
    else:
        click.echo(as_csv(told) if form == "csv" else as_json(told, top), nl=False)
    if not told.images:
        sys.exit(1)


@cli.command()
@click.argument("name")
@click.argument("a")
@click.argument("b")
@RESULTS
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def compare(name: str, a: str, b: str, results: str, as_json: bool) -> None:
    """Say how trials A and B of the search NAME differ, by how much, and how sure that is.

    A and B are trials such as 0007, or best; OTHER/0007 and OTHER/best are of another search with the same data,
    folds and objective.
    """
    from search.analysis.comparison import compare as numbers_of
    from search.monitor.console import wide_console
    from search.report import comparison

    pair = numbers_of(_folder(name, results), a, b)
    if as_json:
        click.echo(json.dumps(comparison.as_json(pair), indent=2, ensure_ascii=False))
    else:
        comparison.show(pair, wide_console())


def _folder(name: str, results: str) -> Path:
    """Return the folder of a search; its path does as well as its name."""
    return Path(name).resolve() if Path(name).name != name else Path(results) / name


def _search(space: Path, **options: Any) -> None:
    from search.executors.processes import start_server

    if options.get("tensorboard"):
        from search.monitor.tensorboard import check_at_hand

        check_at_hand()
    if options.get("executor") != "inline":
        start_server()  # it loads TensorFlow while we do
    click.echo("Loading TensorFlow and Keras Tuner")
    from search.tuner import KFoldTuner

    tuner = KFoldTuner(space, **options)
    tuner.search()
    _report(tuner.prepared.folder)


def _write_board(folder: Path) -> None:
    from search.monitor.tensorboard import Board
    from search.record import read_record

    record = read_record(folder)
    board = Board(folder)
    lost = board.update(record)
    if lost:
        click.echo(f"Missing or changed, so not shown: {', '.join(lost)}.", err=True)
    click.echo(f"TensorBoard: tensorboard --logdir {shlex.quote(str(board.folder))}")


def _report(folder: Path) -> None:
    from search.monitor.console import closing, summary, wide_console
    from search.record import read_record
    from search.report.write import PAGE, write_report

    console = wide_console()
    record = read_record(folder)
    written = write_report(record)  # first: what is printed may be cut off
    summary(record, console)
    closing(written.document, console)
    console.print(f"Report: {written.paths[PAGE]}", highlight=False, soft_wrap=True)
    console.print("        beside it report.md, report.json, and every table as CSV", highlight=False, soft_wrap=True)


def main() -> NoReturn:
    """Run the command line; exit with 0, 1 for a user's error, 2 for wrong usage, 130 if interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± or █ gets a question mark, not a traceback
    try:
        cli(standalone_mode=False)
    except UserError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nInterrupted. Nothing finished is lost: run the same command to resume.", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        click.echo(f"Error: {error.filename or 'a file'}: {error.strerror or error}.", err=True)
        sys.exit(1)
    sys.exit(0)
