"""Verbs of the command line about data and backbones: looking at images, writing them otherwise, pretraining."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.cli.options import CACHE, DATA, GROUPS, HOLDOUT, OFFLINE, SEED, SPACE, SYNTHETIC, TRIALS
from search.repertoire.backbones.table import BACKBONES
from search.system.errors import UserError

if TYPE_CHECKING:
    from search.options import Options

TEACHERS = [backbone.name for backbone in BACKBONES.values() if backbone.weights and not backbone.weights.packaged]


@click.command()
@SPACE
@DATA
@GROUPS
@HOLDOUT
@SYNTHETIC
@CACHE
@TRIALS
@SEED
@OFFLINE
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone; what is said goes to standard error.")
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="Write a page with the duplicates.")
def check(space: Path, as_json: bool, html: Path | None, **options: Any) -> None:
    """Say what is odd about the data, what SPACE would search and what it would cost; search nothing."""
    from search.check import check as checked_
    from search.monitor.console import screen, wide_console
    from search.report.checks import show, write_page
    from search.space import read_space
    from search.system.places import check_file

    try:
        if html is not None:
            check_file(html)
        with screen(wide_console(stderr=as_json)) as view:
            checked = checked_(read_space(space), _given(options), view.say, view.progress)
    except UserError as error:
        if as_json:
            click.echo(json.dumps({"error": str(error)}, ensure_ascii=False))
        raise
    if as_json:
        click.echo(json.dumps(checked.to_dict(), indent=2, ensure_ascii=False))
    else:
        show(checked, wide_console())
    if html is not None:
        write_page(html, checked)
        click.echo(f"Page: {html}", err=as_json)
    if checked.audit.errors:
        sys.exit(1)


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--to", metavar="FILE", type=click.Path(path_type=Path), required=True, help="A new .npz file.")
@CACHE
def pack(data: Path, to: Path, cache: str | None) -> None:
    """Put the data set DATA into one .npz file, which is read like DATA itself."""
    from search.data.readers.dispatch import read_dataset
    from search.data.readers.packs import check_target
    from search.data.readers.packs import pack as write
    from search.system.places import cache_folder, check_cache

    check_target(to, data)  # before the images are read
    folder = cache_folder(cache, data)
    check_cache(folder)
    dataset = read_dataset(data, folder)
    write(*dataset.columns(), to)
    left_out = len(dataset.ignored) + len(dataset.unreadable)
    click.echo(
        f"Packed: {to}, {len(dataset)} images of {len(dataset.classes)} classes, {left_out} other files left out"
    )


@click.command()
@SPACE
@click.option("--to", metavar="FOLDER", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--fractions", metavar="LIST", help="Training sizes such as 0.8,0.5, instead of the study's.")
@click.option("--copy", is_flag=True, help="Copy the images instead of linking to them.")
@DATA
@GROUPS
@HOLDOUT
@CACHE
@SEED
def folds(space: Path, to: Path, fractions: str | None, copy: bool, **options: Any) -> None:
    """Write the planned folds of SPACE as folders of images, for other tools.

    \b
    FOLDER/f0/train/<class>/…  FOLDER/f0/validation/<class>/…  FOLDER/holdout/<class>/…  FOLDER/plan.csv
    """
    from search.data.loading import folds_in_words, read_inputs
    from search.data.materialise import check_place, materialise
    from search.monitor.console import screen, wide_console
    from search.options import overridden
    from search.space import read_space

    given = _given({**options, "results": str(to)})  # the one place that is written to
    study = overridden(read_space(space).study, given)
    if fractions is not None:
        study = study.replace(train_fractions=_numbers(fractions))
    check_place(to, study.data_folder())  # before the images are read
    with screen(wide_console()) as view:
        inputs = read_inputs(study, given, view.say, view.progress)
        for line in (folds_in_words(study, inputs.plan, inputs.dataset), *inputs.plan.notes):
            view.say(line)
        copy = copy or inputs.dataset.root.is_relative_to(inputs.cache)  # which may be deleted at will
        progress = partial(view.progress, "Writing the folds")
        written = materialise(inputs.dataset, inputs.plan, to, copy=copy, progress=progress)
    click.echo(f"Folds: {to}, {written} {'copies' if copy else 'links'} and plan.csv")


@click.command()
@click.option(
    "--to", "file", metavar="FILE", type=click.Path(path_type=Path), required=True, help="A new file, such as my.npz."
)
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    type=click.Choice(TEACHERS),
    default=["MobileNetV2_0.35", "MobileNet_0.25"],
    show_default=True,
    help="A backbone to learn from, whose weights are here; can be given several times.",
)
@click.option(
    "--pictures", type=click.IntRange(128), default=48_000, show_default=True, help="How many pictures are generated."
)
@click.option(
    "--passes", type=click.IntRange(1), default=40, show_default=True, help="How often each of them is learnt from."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=7, show_default=True, help="Seed of all that is drawn."
)
@click.option("--slots", type=click.IntRange(1), help="Processes that draw pictures. [default: as many as cores]")
def pretrain(file: Path, teachers: tuple[str, ...], pictures: int, passes: int, seed: int, slots: int | None) -> None:
    """Make the weights of the backbone Embedded anew, from generated pictures and from no photograph.

    This takes an hour or two, 4.7 GB of disk and 6 GB of memory. It can be interrupted; the same line again goes on.
    What is done lies in FILE.part.
    """
    from search.monitor.console import screen, wide_console
    from search.pretraining.plan import Plan, work_folder
    from search.system.digests import file_sha256
    from search.system.files import LOCK, locked
    from search.system.machine import cores

    plan = Plan(tuple(dict.fromkeys(teachers)), pictures, passes, seed)
    folder = work_folder(plan, file)
    with locked(file.with_name(f".{file.name}{LOCK}"), wait=False) as held:
        if not held:
            raise UserError(f"A pretraining is at work in {folder} already.")
        click.echo("Loading TensorFlow")
        from search.pretraining.pretrain import pretrain as learn

        with screen(wide_console()) as view:
            if any(folder.glob("*.npy")):
                view.say(f"Going on with what is in {folder}")
            learn(plan, file, folder, slots or cores(), view.say, view.progress)
    click.echo(f"Weights: {file}, SHA-256 {file_sha256(file)}")


def _given(options: dict[str, Any]) -> "Options":
    from search.options import Options

    return Options(**options)


def _numbers(listed: str) -> tuple[float, ...]:
    """Return the training sizes of a list, the whole training part always among them."""
    try:
        numbers = tuple(float(number) for number in listed.split(","))
    except ValueError:
        raise UserError(f"--fractions {listed!r} must be numbers in (0, 1] with commas, such as 0.8,0.5.") from None
    return numbers if 1.0 in numbers else (1.0, *numbers)
