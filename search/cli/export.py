"""``export``: train a recipe on all images, and write its model into a folder to take away."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.cli.options import CACHE, CACHE_GB, RESULTS, ROOT, echo, folder_by_name, shared
from search.export.forms.table import FORMS, forms_named
from search.export.hows import HOWS, REFIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search.analysis.ensemble import Ensemble
    from search.export.changed import Changes
    from search.export.forms.form import Form
    from search.monitor.screen import Screen
    from search.record import Record
    from search.repertoire.networks import AnyRecipe
    from search.space import SpaceFile


@click.command()
@click.argument("name")
@click.option("--to", metavar="FOLDER", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--also", metavar="FORMS", help=f"Write these forms too, such as litert,onnx: {', '.join(FORMS)}.")
@click.option("--hub", metavar="USER/NAME", help="Also put the folder on the Hugging Face Hub, as a private model.")
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
@click.option(
    "--data",
    metavar="PATH",
    help="Where the images are now, if they were moved. More or cleaned images than those of the search train a model "
    "that it has not scored, which says so.",
)
@ROOT
def export(
    name: str, to: Path, also: str | None, hub: str | None, trial: str, how: str, results: str, **options: Any
) -> None:
    """Train the recommended recipe of the search NAME on all images, and write a folder with the model.

    Where the study has a hold-out, the trial is scored on it first, once.
    """
    from search.record import read_record
    from search.reopening import reopening

    forms = forms_named(also) if also is not None else ()
    record = read_record(folder_by_name(name, results))
    chosen = HOWS[how].choose(record, trial)
    if hub:
        from search.export.hub import check_repository

        check_repository(hub)
    typed = {"to": to, "also": also, "hub": hub, "trial": None if trial == "best" else trial}
    typed |= {"how": None if how == REFIT else how, **shared(options)}
    space, reopened = reopening(record, verb="export", typed=typed, executor="inline", **options)
    _train(record, chosen, to, forms, space, reopened, None if options["data"] else typed)
    if hub:
        from search.export.changed import weights_of

        _put_on_hub(to, hub, [record.history.trials[each].recipe for each in weights_of(chosen)])


def _train(
    record: "Record",
    chosen: "str | Ensemble",
    to: Path,
    forms: "Sequence[Form]",
    space: "SpaceFile",
    reopened: dict[str, Any],
    typed: dict[str, Any] | None,
) -> None:
    """Train what was chosen, and say what is there; ``typed`` refuses other images, None takes them."""
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen

    echo("Loading TensorFlow and Keras Tuner")
    from search.export.changed import changes_since, refused
    from search.export.export import check_target
    from search.export.export import export as write
    from search.export.trained import TRAINED_ON
    from search.tuner import KFoldTuner

    check_target(to, Path(reopened["data"]))  # before the images are read
    screen, last = open_screen(wide_console()), ""
    with screen:
        changes = changes_since(record, chosen, reopened, screen.progress)
    if changes is None:
        write(KFoldTuner(space, screen=screen, **reopened), chosen, to, forms)
    elif typed is None:
        last = _train_unscored(record, changes, chosen, to, space, reopened, screen, forms)
    else:
        raise refused(record, changes, typed)
    _say_what_is_there(to, chosen, forms, TRAINED_ON)
    if last:
        echo(last)


def _put_on_hub(to: Path, hub: str, recipes: "Sequence[AnyRecipe]") -> None:
    from search.export.hub import before_it_is_public, upload

    echo(
        f"On the Hugging Face Hub: {upload(to, hub, echo)}, private: change that in its settings there. Before you do:"
    )
    for line in before_it_is_public(recipes):
        echo(f"  {line}")


def _say_what_is_there(to: Path, chosen: "str | Ensemble", forms: "Sequence[Form]", pictures: str) -> None:
    trials = f"trial {chosen}" if isinstance(chosen, str) else f"an ensemble of {', '.join(chosen.members)}"
    files = ", ".join(["model.keras", *(form.file for form in forms), "labels.txt", "recipe.json"])
    echo(f"Export: {to}, {trials}: {files}; README.md says what it is")
    echo(
        f"{to / pictures} shows each image that trained the model, small and grey, for evaluate: delete it before "
        "you give the model to anyone who may not see them"
    )


def _train_unscored(
    record: "Record",
    changes: "Changes",
    chosen: "str | Ensemble",
    to: Path,
    space: "SpaceFile",
    reopened: dict[str, Any],
    screen: "Screen",
    forms: "Sequence[Form]",
) -> str:
    """Train what was chosen on other images than those of its search, and return the last word on the model."""
    from search.analysis.judgement import Judgement
    from search.export.changed import UNSCORED, expectation, materials_on, said
    from search.export.export import train

    with screen:
        materials, changes = materials_on(record, changes, chosen, space, reopened, screen.say, screen.progress)
        for line in said(changes):
            screen.say(line)
        train(record, chosen, materials, to, screen, changes, forms)
    return f"{UNSCORED}: changes.csv names what is other. {expectation(Judgement.of(record), chosen, changes)}"
