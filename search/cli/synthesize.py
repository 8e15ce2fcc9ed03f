"""``synthesize``: make synthetic images of the images of a study, for each fold of its training part alone."""

from pathlib import Path
from typing import Any

import click

from search.cli.options import (
    CACHE,
    DATA,
    FOLDS,
    GROUPS,
    HOLDOUT,
    RESULTS,
    SEED,
    SPACE,
    echo,
    folder_by_name,
    of_the_data,
)

ORIGIN_HELP = (
    "Real images to make them of: all, hard:NAME (those that the recipes of that search get wrong), or amounts by "
    "class, as Bathroom=480,Kitchen=250."
)
SETTING_HELP = "A setting that only this method has, such as model=FOLDER of img2img; may be given several times."


@click.command()
@SPACE
@click.option("--to", metavar="POOL", type=click.Path(path_type=Path), required=True, help="The folder of the images.")
@click.option("--per-class", metavar="N", type=click.IntRange(1), help="Images of each class, for each fold.")
@click.option("--from", "origin", metavar="WHICH", default="all", show_default=True, help=ORIGIN_HELP)
@click.option("--method", metavar="METHOD", default="compose", show_default=True, help="How they are made.")
@click.option("--set", "settings", metavar="NAME=VALUE", multiple=True, help=SETTING_HELP)
@click.option("--strength", type=click.FloatRange(0, 1, min_open=True), help="How far images go from their sources.")
@DATA
@of_the_data
@GROUPS
@HOLDOUT
@FOLDS
@CACHE
@SEED
@RESULTS
def synthesize(
    space: Path,
    to: Path,
    per_class: int | None,
    origin: str,
    method: str,
    settings: tuple[str, ...],
    strength: float | None,
    results: str,
    **options: Any,
) -> None:
    """Make a pool of synthetic images for the study of SPACE.

    The images of each fold are made of its training part alone, so that they cannot show it what it is scored on. An
    interrupted pool goes on with the same line.
    """
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen
    from search.options import Options
    from search.record import read_record
    from search.space import read_space
    from search.synthesis.making import HARD, Asked, make_pool
    from search.system.texts import check_utf8

    check_utf8(str(to), "--to")
    name = origin.removeprefix(HARD)
    search = read_record(folder_by_name(name, results)) if name != origin else None
    asked = Asked(method, per_class, origin, settings, strength, search)
    with open_screen(wide_console()) as screen:
        pool, card = make_pool(
            read_space(space), Options(**options, results=str(to)), asked, to, screen.say, screen.progress
        )
    for (class_name, fold), number in pool.lacking.items():
        echo(f"Not made: {number} of class {class_name} for fold {fold}, in which none of their sources train")
    echo(
        f"Pool: {to}, {len(pool.made)} images by {method}, {card.seconds_an_image:.2g} s each. A classifier gives "
        f"{card.measured.agreement:.0%} of them their label ({card.measured.agreement_real:.0%} of the real ones); "
        f"{card.measured.near_copies:.0%} are near copies of a real one. See README.md and the sheets there"
    )
