"""``backbones``: the networks that recipes can name, what each costs, and where its weights are."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.cli.options import echo
from search.repertoire.backbones.backbone import OF_IMAGENET
from search.system.texts import json_text

if TYPE_CHECKING:
    from search.repertoire.backbones.backbone import Backbone

Row = dict[str, Any]
SIZE = 224  # px, of the images for which costs are given unless --for says otherwise
NOTE = f"The licences are those of the weights. {OF_IMAGENET}"


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--for", "data", metavar="DATA", type=click.Path(path_type=Path), help="Measure at the image size of DATA."
)
@click.option("--measure", is_flag=True, help="Measure how many images a second each sees: those named, or at hand.")
@click.option("--json", "form", flag_value="json", help="Print JSON alone.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV alone.")
def backbones(names: tuple[str, ...], data: Path | None, measure: bool, form: str | None) -> None:
    """List the networks that recipes can name, or those of NAMES: their cost, and how to have their weights."""
    from search.repertoire.backbones.table import BACKBONES, check_name
    from search.repertoire.weights import is_cached

    for name in names:
        check_name("NAMES", name)
    chosen = [BACKBONES[name] for name in names or BACKBONES]
    speeds: dict[str, tuple[int, float]] = {}
    if data is not None or measure:
        size = SIZE if data is None else _typical_size(data)
        speeds = _measured([backbone for backbone in chosen if names or is_cached(backbone)], size)
    rows = [_row(backbone, speeds.get(backbone.name)) for backbone in chosen]
    if form == "json":
        click.echo(json_text(rows, indent=2))
    elif form == "csv":
        click.echo(_as_csv(rows), nl=False)
    else:
        _show(rows, bool(speeds), with_cuts=bool(names))


def _row(backbone: "Backbone", speed: tuple[int, float] | None) -> Row:
    """Return what is said of a backbone: the keys of the JSON and the columns of the CSV."""
    weights = backbone.weights
    return {
        "name": backbone.name,
        "parameters": backbone.parameters,
        "blocks": backbone.blocks,
        "cuts": " ".join(backbone.cuts or ()),
        "smallest": backbone.smallest,
        "step": backbone.step,
        "mega_macs": backbone.mega_macs,
        "size": speed and speed[0],
        "images_per_second": speed and float(f"{speed[1]:.3g}"),
        "weights": _state(backbone),
        "way": _way(backbone),
        "licence": weights.licence if weights else "",
    }


def _state(backbone: "Backbone") -> str:
    from search.repertoire.weights import is_cached

    if backbone.weights is None:
        return "random"
    if backbone.weights.packaged:
        return "packaged"
    return "here" if is_cached(backbone) else "absent"


def _way(backbone: "Backbone") -> str:
    """Return how weights that are not here can be had: an address, or a command."""
    from search.repertoire.weights import is_cached, way_to

    if backbone.weights is None or is_cached(backbone):
        return ""
    return backbone.weights.url or way_to(backbone.weights)


def _typical_size(data: Path) -> int:
    """Return the image size that recipes for a data set have where they give none."""
    from search.data.decoding import typical_side
    from search.data.readers.dispatch import read_dataset
    from search.system.places import cache_folder, check_cache

    cache = cache_folder(None, data)
    check_cache(cache)
    dataset = read_dataset(data, cache)
    return typical_side(dataset.paths)


def _measured(chosen: Sequence["Backbone"], size: int) -> dict[str, tuple[int, float]]:
    """Return the image size, and the images a second of each, by name."""
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen
    from search.training.speed import images_per_second

    speeds = {}
    with open_screen(wide_console(stderr=True)) as screen:
        for count, backbone in enumerate(chosen):
            screen.progress("Measuring", count, len(chosen))
            side = backbone.nearest_size(size)
            speeds[backbone.name] = (side, images_per_second(backbone, side))
        screen.progress("Measuring", len(chosen), len(chosen))
    return speeds


def _as_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


WEIGHTS = {
    "random": "random",
    "packaged": "with this package",
    "here": "here",
    "absent": "to be fetched",
}
COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("name", lambda row: row["name"]),
    ("parameters", lambda row: f"{row['parameters'] / 1e6:,.1f} M"),
    ("blocks", lambda row: str(row["blocks"])),
    ("smallest", lambda row: f"{row['smallest']} px"),
    ("cost", lambda row: f"{row['mega_macs'] / 1e3:,.2f} G"),
    ("images/s", lambda row: f"{row['images_per_second']:,g} at {row['size']} px" if row["size"] else ""),
    ("weights", lambda row: WEIGHTS[row["weights"]]),
    ("licence", lambda row: row["licence"]),
)


def _show(rows: Sequence[Row], with_speeds: bool, with_cuts: bool) -> None:
    from rich.table import Table

    from search.monitor.console import wide_console
    from search.repertoire.weights import weights_folder
    from search.system.commands import command

    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = [column for column in COLUMNS if with_speeds or column[0] != "images/s"]
    for title, _ in columns:
        table.add_column(title, justify="left" if title in {"name", "weights", "licence"} else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(cell(row) for _, cell in columns))
    wide_console().print(table)
    for row in rows if with_cuts else ():
        cuts = row["cuts"].replace(" ", ", ")
        echo(f"{row['name']}: " + (f"blocks end after {cuts}, and at the output" if cuts else "one block"))
    echo(f"\ncost: of one image of {SIZE} px, in billions of multiply-adds; heads see each image once, and keep it.")
    if absent := [row for row in rows if row["weights"] == "absent"]:
        echo(
            f"To be fetched: a search fetches what it asks for into {weights_folder()}, unless --offline, and says so."
        )
        ways = dict.fromkeys(row["way"] for row in absent)
        if commands := [way for way in ways if way.startswith("pip ")]:
            echo(f"By a command: {'; '.join(commands)}")
        listed = f"The addresses: {command('backbones', json=True)}"
        echo(listed if len(ways) > len(commands) + 3 else "\n".join(way for way in ways if way not in commands))
    echo(NOTE)
