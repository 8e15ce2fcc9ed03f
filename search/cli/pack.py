"""``pack``: a data set as one file of arrays."""

from pathlib import Path
from typing import Any

import click

from search.cli.options import CACHE, echo, of_the_data


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--to", metavar="FILE", type=click.Path(path_type=Path), required=True, help="A new .npz file.")
@of_the_data
@CACHE
def pack(data: Path, to: Path, cache: str | None, root: str | None, **options: Any) -> None:
    """Put the data set DATA into one .npz file, which is read like DATA itself."""
    from search.data.readers.dispatch import read_dataset
    from search.data.readers.packs import check_target
    from search.data.readers.packs import pack as write
    from search.data.reading import Reading
    from search.system.places import cache_folder, check_cache

    check_target(to, data)  # before the images are read
    folder = cache_folder(cache, data)
    check_cache(folder)
    dataset = read_dataset(data, folder, Reading(root=Path(root) if root else None, **options))
    write(*dataset.columns(), to)
    left_out = len(dataset.ignored) + len(dataset.unreadable) + len(dataset.omitted)
    for note in dataset.notes:
        echo(note)
    echo(f"Packed: {to}, {len(dataset)} images of {len(dataset.classes)} classes, {left_out} other files left out")
