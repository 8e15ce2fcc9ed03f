"""``predict``: labels and probabilities of images by an exported model, as a table, JSON or CSV."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.options import echo
from search.system.texts import visible, visible_lines

if TYPE_CHECKING:
    from rich.console import Console

    from search.export.predict import Predictions


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(1), default=2, show_default=True, help="How many classes of each image.")
@click.option(
    "--unsure",
    metavar="SHARE",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Answer only where at most this share of answers was wrong out of fold, such as 0.05.",
)
@click.option(
    "--explain",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Also write pictures of where the model looked into DIR, a new or empty folder.",
)
@click.option("--json", "form", flag_value="json", help="Print JSON alone.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV alone, with the probabilities of all classes.")
def predict(
    folder: Path, images: tuple[Path, ...], top: int, unsure: float | None, explain: Path | None, form: str | None
) -> None:
    """Say what the exported model in FOLDER sees in IMAGES, files or folders of them."""
    from search.data.materialise import check_place
    from search.export.predict import as_csv, as_json
    from search.export.predict import predict as predictions_of
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen

    if explain is not None:
        check_place(explain)
    with open_screen(wide_console(stderr=True)) as screen:
        predictions = predictions_of(folder, images, partial(screen.progress, "Predicting"), unsure)
    if form is None:
        show(predictions, wide_console(), top)
    else:
        text = as_csv(predictions) if form == "csv" else as_json(predictions, top)
        click.echo(visible_lines(text) if sys.stdout.isatty() else text, nl=False)
    if not predictions.images:
        sys.exit(1)
    if explain is not None:
        _explain(folder, predictions, explain)


def _explain(folder: Path, predictions: "Predictions", to: Path) -> None:
    """Write where the model looked, or say that this cannot be shown; what was printed before stays as it is."""
    from search.export.explain import UnshownError
    from search.export.looks import write_looks
    from search.export.opened import open_export
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen
    from search.report.words import amount

    try:
        with open_screen(wide_console(stderr=True)) as screen:
            written = write_looks(open_export(folder), predictions.images, to, partial(screen.progress, "Looking"))
    except UnshownError as reason:
        echo(f"Where it looked cannot be shown: {reason}.", err=True)
        return
    pictures, sheets = amount(written.pictures, "picture"), amount(written.sheets, "contact sheet")
    echo(f"Where it looked: {to}, {pictures} and {sheets}. {written.reading}.", err=True)


def show(predictions: "Predictions", console: "Console", top: int) -> None:
    """Print a table of the images with their ``top`` likeliest classes, and the files that could not be read."""
    from rich.table import Table
    from rich.text import Text

    if predictions.images:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("image", overflow="fold")
        for place in range(min(top, len(predictions.classes))):
            table.add_column(("label", "runner-up")[place] if place < 2 else str(place + 1), overflow="fold")
            table.add_column("probability" if not place else "", justify="right", no_wrap=True)
        for row, path in enumerate(predictions.images):
            best = predictions.best(row, top)
            cells = [Text(part) for label, share in best for part in (visible(label), f"{share:.3f}")]
            if not predictions.is_sure(row):
                cells[0] = Text(f"not sure ({cells[0]}?)", style="yellow")
            table.add_row(Text(visible(str(path))), *cells)
        console.print(table)
    if doubt := predictions.doubt:
        number = sum(not predictions.is_sure(row) for row in range(len(predictions.images)))
        console.print(
            f"Not sure of {number} of {len(predictions.images)}: a probability of {doubt.probability:.3f} is needed; "
            f"{doubt.told}.",
            highlight=False,
        )
    if predictions.unreadable:
        number = len(predictions.unreadable)
        plural = "" if number == 1 else "s"
        console.print(f"{number} file{plural} could not be read:", style="bold yellow", highlight=False)
    for path, reason in predictions.unreadable:
        console.print(Text(f"  {visible(str(path))}: {visible(reason)}"), soft_wrap=True)
