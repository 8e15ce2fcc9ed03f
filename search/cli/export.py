"""``export``: train a recipe on all images, and write its model into a folder to take away."""

from pathlib import Path
from typing import Any

import click

from search.cli.options import CACHE, CACHE_GB, MOVED, RESULTS, ROOT, echo, folder_by_name, shared
from search.export.hows import HOWS, REFIT


@click.command()
@click.argument("name")
@click.option("--to", metavar="FOLDER", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--trial", default="best", help="Which trial, such as 0007. [default: best, the recommended one]")
@click.option(
    "--how",
    type=click.Choice(list(HOWS)),
    default=REFIT,
    show_default=True,
    help=f"{'; '.join(f'{row.name} {row.words}' for row in HOWS.values())}.",
)
@RESULTS
@CACHE
@CACHE_GB
@MOVED
@ROOT
def export(name: str, to: Path, trial: str, how: str, results: str, **options: Any) -> None:
    """Train the recommended recipe of the search NAME on all images, and write a folder with the model.

    Where the study has a hold-out, the trial is scored on it first, once.
    """
    from search.record import read_record
    from search.reopening import reopening

    record = read_record(folder_by_name(name, results))
    chosen = HOWS[how].choose(record, trial)
    typed = {"to": to, "trial": None if trial == "best" else trial, "how": None if how == REFIT else how}
    typed |= shared(options)
    space, reopened = reopening(record, verb="export", typed=typed, executor="inline", **options)
    echo("Loading TensorFlow and Keras Tuner")
    from search.export.export import check_target
    from search.export.export import export as write
    from search.export.trained import TRAINED_ON
    from search.tuner import KFoldTuner

    check_target(to, Path(reopened["data"]))  # before the images are read
    write(KFoldTuner(space, **reopened), chosen, to)
    trials = f"trial {chosen}" if isinstance(chosen, str) else f"an ensemble of {', '.join(chosen.members)}"
    echo(f"Export: {to}, {trials}: model.keras, labels.txt, recipe.json; README.md says what it is")
    echo(
        f"{to / TRAINED_ON} shows each image that trained the model, small and grey, for evaluate: delete it before "
        "you give the model to anyone who may not see them"
    )
