"""``hard``: the images that recipes get wrong, those to label next, and the labels to check."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.cli.options import RESULTS, echo, folder_by_name
from search.system.commands import command_of
from search.system.errors import UserError, in_words
from search.system.files import new_folder, unused

if TYPE_CHECKING:
    from search.record import Record
    from search.report.failures import Failures


@click.command()
@click.argument("name")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.9,
    show_default=True,
    help="An image is hard if at least this share of the recipes gets it wrong.",
)
@click.option(
    "--next",
    "most_next",
    metavar="N",
    type=click.IntRange(1),
    default=48,
    show_default=True,
    help="How many images to label next.",
)
@click.option(
    "--to",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="A new or empty folder, also for class folders of the images. [default: report/hard, without these]",
)
@click.option("--copy", is_flag=True, help="With --to: copy the images instead of linking to them.")
@click.option(
    "--explain",
    metavar="MODEL",
    type=click.Path(path_type=Path),
    help="An exported model: also show in the report where it looks in the hard images.",
)
@click.option(
    "--data",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="The folder below which the images lie now, if they were moved.",
)
@RESULTS
def hard(
    name: str,
    share: float,
    most_next: int,
    to: Path | None,
    copy: bool,
    explain: Path | None,
    data: Path | None,
    results: str,
) -> None:
    """List the images of the search NAME that recipes misclassify, those to label next, and the labels to check.

    All of it is about predictions of networks that had not trained on the image. Each list is printed, and written as
    CSV and as contact sheets (PNG).

    \b
    FOLDER/hard.csv  FOLDER/hard.png  FOLDER/hard/<class>/…        all or nearly all recipes are wrong
    FOLDER/label_next.csv  …                                       the recipes disagree
    FOLDER/label_errors.csv  …                                     the recipes agree on another class
    """
    from search.data.materialise import check_place
    from search.monitor.console import wide_console
    from search.record import read_record
    from search.report.failures import failures_of, must_copy, show

    record = read_record(folder_by_name(name, results))
    root = data or Path(record.about.root)
    if data is not None and not data.is_dir():
        raise UserError(f"There is no folder {data}. Give --data the folder below which the images lie now.")
    if to is not None:
        check_place(to, root if root.is_dir() else None)
    failures = failures_of(record, share, most_next)
    show(failures, wide_console())
    typed = {"share": share, "next": most_next, "copy": copy}  # to be typed again
    lines = _written(failures, to, root, typed, copy=copy or must_copy(root))
    echo("")
    for line in lines:
        echo(line)
    if explain is not None:
        _explain(record, explain, share, root)


def _explain(record: "Record", model: Path, share: float, root: Path) -> None:
    """Show in the report where a model looks in the hard images, or say why that cannot be shown."""
    from functools import partial

    from search.analysis.hard import hard_images
    from search.analysis.judgement import Judgement
    from search.export.explain import UnshownError
    from search.export.looks import look_at_hard
    from search.export.opened import open_export
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen

    images = hard_images(Judgement.of(record), share)
    try:
        with open_screen(wide_console(stderr=True)) as screen:
            written, file = look_at_hard(open_export(model), record, images, root, partial(screen.progress, "Looking"))
    except UnshownError as reason:
        echo(f"Where {model} looks cannot be shown: {reason}.")
        return
    except OSError as error:
        raise UserError(f"Where {model} looks cannot be written. {in_words(error, str(record.folder))}") from None
    again = command_of(record.folder, "report")
    echo(f"Where {model} looks in {written.pictures} hard images: {file}, for the report. To write that: {again}")


def _written(failures: "Failures", to: Path | None, root: Path, typed: Mapping[str, Any], *, copy: bool) -> list[str]:
    """Write the lists, and return what was written, in lines. Raises UserError where they cannot be."""
    place = to or failures.record.folder / "report" / "hard"
    try:
        return list(_write(failures, place, root, typed, filed=to is not None, copy=copy))
    except OSError as error:
        hint = "" if to else " Or name another folder with --to."
        raise UserError(f"The lists cannot be written. {in_words(error, str(place))}{hint}") from None


def _write(
    failures: "Failures", place: Path, root: Path, typed: Mapping[str, Any], *, filed: bool, copy: bool
) -> Iterator[str]:
    """Write the lists, and with ``filed`` class folders of their images; yield what was written, in lines."""
    from search.report.failures import write, write_folders

    links = 0
    if filed:
        with new_folder(place) as folder:
            written = write(failures, folder, root)
            links = write_folders(failures, folder, root, copy=copy)
    else:
        place.mkdir(parents=True, exist_ok=True)
        written = write(failures, place, root)
    number = len(written.sheets)
    names = f"{number} contact sheet{'' if number == 1 else 's'} ({', '.join(written.sheets)})"
    yield f"Lists: {place}, with hard.csv, label_next.csv, label_errors.csv" + (f" and {names}" if number else "")
    if links:
        yield f"Class folders beside them: hard, label_next and label_errors, {links} {'copies' if copy else 'links'}"
    if written.absent:
        again = command_of(failures.record.folder, "hard", to=unused(place) if filed else None, **typed, data="FOLDER")
        yield (
            f"There is no picture of {len(written.absent)} of {written.shown} images: they are gone, or changed since "
            f"the search began, such as {root / written.absent[0]}. If they were moved, say where they are: {again}"
        )
