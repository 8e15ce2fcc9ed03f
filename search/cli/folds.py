"""``folds``: the planned folds of a study as folders of images."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from search.cli.options import CACHE, DATA, FOLDS, GROUPS, HOLDOUT, SEED, SPACE, echo, of_the_data
from search.system.errors import UserError


@click.command()
@SPACE
@click.option("--to", metavar="FOLDER", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--fractions", metavar="LIST", help="Training sizes such as 0.8,0.5, instead of the study's.")
@click.option("--copy", is_flag=True, help="Copy the images instead of linking to them.")
@DATA
@of_the_data
@GROUPS
@HOLDOUT
@FOLDS
@CACHE
@SEED
def folds(space: Path, to: Path, fractions: str | None, copy: bool, **options: Any) -> None:
    """Write the planned folds of SPACE as folders of images, for other tools.

    \b
    FOLDER/f0/train/<class>/…  FOLDER/f0/validation/<class>/…  FOLDER/holdout/<class>/…  FOLDER/plan.csv
    """
    from search.data.loading import folds_in_words, read_inputs
    from search.data.materialise import check_place, materialise
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen
    from search.options import Options, overridden
    from search.space import read_space
    from search.system.texts import check_utf8

    check_utf8(str(to), "--to")
    choices = Options(**options, results=str(to))  # ``to`` is the one place that is written to
    study = overridden(read_space(space).study, choices)
    if fractions is not None:
        study = study.replace(train_fractions=_numbers(fractions))
    check_place(to, study.data_folder())  # before the images are read
    with open_screen(wide_console()) as screen:
        inputs = read_inputs(study, choices, screen.say, screen.progress)
        for line in (folds_in_words(study, inputs.plan, inputs.dataset), *inputs.plan.notes):
            screen.say(line)
        copy = copy or inputs.dataset.root.is_relative_to(inputs.cache)  # which may be deleted at will
        progress = partial(screen.progress, "Writing the folds")
        written = materialise(inputs.dataset, inputs.plan, to, copy=copy, progress=progress)
    echo(f"Folds: {to}, {written} {'copies' if copy else 'links'} and plan.csv")


def _numbers(text: str) -> tuple[float, ...]:
    """Return the training sizes of a list, the whole training part always among them."""
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        raise UserError(f"--fractions {text!r} must be numbers in (0, 1] with commas, such as 0.8,0.5.") from None
    return numbers if 1.0 in numbers else (1.0, *numbers)
