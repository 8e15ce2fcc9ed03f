"""``synthesize``: make synthetic images of the images of a study, for each fold of its training part alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from search.system.errors import UserError

if TYPE_CHECKING:
    from search.data.loading import Inputs
    from search.synthesis.methods.method import Method
    from search.synthesis.pool import Wanted

HARD, ALL = "hard:", "all"


@click.command()
@SPACE
@click.option("--to", metavar="POOL", type=click.Path(path_type=Path), required=True, help="The folder of the images.")
@click.option("--per-class", metavar="N", type=click.IntRange(1), help="Images of each class, for each fold.")
@click.option(
    "--from",
    "origin",
    metavar="WHICH",
    default=ALL,
    show_default=True,
    help="Real images to make them of: all, hard:NAME (those that the recipes of that search get wrong), or amounts by "
    "class, as Bathroom=480,Kitchen=250.",
)
@click.option("--method", metavar="METHOD", default="compose", show_default=True, help="How they are made.")
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
    space: Path, to: Path, per_class: int | None, origin: str, method: str, strength: float | None, **options: Any
) -> None:
    """Make a pool of synthetic images for the study of SPACE.

    The images of each fold are made of its training part alone, so that they cannot show it what it is scored on. An
    interrupted pool goes on with the same line.
    """
    from search.data.loading import folds_in_words, read_inputs
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen
    from search.options import Options, overridden
    from search.space import read_space
    from search.synthesis.card import write_card
    from search.synthesis.extractor import Extractor
    from search.synthesis.pool import PoolWriter

    row, results = _method(method, to), options.pop("results")
    choices = Options(**options, results=str(to))
    study = overridden(read_space(space).study, choices)
    with open_screen(wide_console()) as screen:
        inputs = read_inputs(study, choices, screen.say, screen.progress)
        screen.say(folds_in_words(study, inputs.plan, inputs.dataset))
        wanted = _wanted(row, inputs, per_class, origin, results, strength)
        extractor = Extractor(inputs.image_size)
        writer = PoolWriter(to, inputs, wanted, extractor)
        screen.say(f"Images to make: {writer.total} by {method} ({row.words}), for {len(writer.folds)} folds")
        pool = writer.write(screen.say, screen.progress)
        card = write_card(pool, inputs, wanted, extractor, screen.progress)
    for (name, fold), number in pool.lacking.items():
        echo(f"Not made: {number} of class {name} for fold {fold}, in which none of their sources train")
    echo(
        f"Pool: {to}, {len(pool.made)} images by {method}, {card.seconds_an_image:.2g} s each. A classifier gives "
        f"{card.measured.agreement:.0%} of them their label ({card.measured.agreement_real:.0%} of the real ones); "
        f"{card.measured.near_copies:.0%} are near copies of a real one. See README.md and the sheets there"
    )


def _method(name: str, to: Path) -> "Method":
    """Return the method of this name. Raises UserError where there is none, and for a folder whose name is no text."""
    from search.synthesis.methods.table import METHODS
    from search.system.texts import check_utf8
    from search.system.validation import one_of

    check_utf8(str(to), "--to")
    one_of("--method", name, METHODS)
    return METHODS[name]


def _wanted(
    method: "Method", inputs: "Inputs", per_class: int | None, origin: str, results: str, strength: float | None
) -> "Wanted":
    from search.synthesis.pool import Wanted

    return Wanted(
        method=method,
        numbers=_numbers(inputs, per_class, origin),
        strength=method.strength if strength is None else strength,
        seed=inputs.study.seed,
        chosen=_chosen(inputs, origin, results),
        origin=origin,
    )


def _numbers(inputs: "Inputs", per_class: int | None, origin: str) -> dict[str, int]:
    """Return how many images of each class are wanted. Raises UserError for what is no amount."""
    from search.system.validation import one_of

    if "=" not in origin:
        if per_class is None:
            raise UserError("How many images? Give --per-class N, or amounts by class: --from cat=480,dog=250.")
        return dict.fromkeys(inputs.dataset.classes, per_class)
    if per_class is not None:
        raise UserError(
            f"--from {origin} says how many images of each class, and so does --per-class. Give one of them."
        )
    numbers = {}
    for part in origin.split(","):
        name, _, number = (text.strip() for text in part.rpartition("="))
        one_of(f"--from {origin}: a class", name, inputs.dataset.classes)
        if not number.isdecimal() or not int(number):
            raise UserError(f"--from {origin}: {number!r} is no number of images, 1 or more, for class {name}.")
        numbers[name] = int(number)
    return numbers


def _chosen(inputs: "Inputs", origin: str, results: str) -> tuple[int, ...] | None:
    """Return the rows of the images that are to be first sources, None for all."""
    if "=" in origin or origin == ALL:
        return None
    if not origin.startswith(HARD):
        raise UserError(
            f"--from {origin!r} must be all, hard:NAME of a search, or amounts by class, as cat=480,dog=250."
        )
    from search.analysis.hard import hard_ids
    from search.record import read_record

    row_of = {id_: row for row, id_ in enumerate(inputs.dataset.ids)}
    name = origin.removeprefix(HARD)
    ids = hard_ids(read_record(folder_by_name(name, results)))
    chosen = tuple(sorted(row_of[id_] for id_ in ids if id_ in row_of))
    if not chosen:
        raise UserError(f"None of the {len(ids)} hard images of {name} is among the images of {inputs.dataset.source}.")
    return chosen
