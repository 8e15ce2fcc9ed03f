"""The ways to make a model of a search: a row each says which trials are trained for it, and how much each counts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.system.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from search.analysis.ensemble import Ensemble
    from search.record import Record


@dataclass(frozen=True)
class How:
    """One way: ``choose`` takes a search and the name of a trial, and returns the id of a trial, or an ensemble.

    It raises UserError, with the way out, where there is nothing to export.
    """

    name: str
    words: str
    choose: "Callable[[Record, str], str | Ensemble]"


def _refit(record: "Record", name: str) -> str:
    from search.export.card import trial_to_export

    return trial_to_export(record, name).id


def _ensemble(record: "Record", name: str) -> "Ensemble":
    from search.analysis.judgement import Judgement
    from search.export.card import BEST, trial_to_export

    if name != BEST:
        raise UserError("An ensemble chooses its own trials: leave out --trial, or --how ensemble.")
    trial_to_export(record, name)  # refuses a search that is not finished
    judgement = Judgement.of(record)
    found = judgement.ensemble
    if found is None:
        raise UserError(
            f"{record.name} has no ensemble, as its score could not be corrected for the choice: "
            f"{judgement.uncorrected or 'too few predictions are there'}. Export one trial with --how refit."
        )
    if len(found.members) < 2:
        (only,) = found.members
        raise UserError(f"No combination of trials is better than {only} alone. Export it with --trial {only}.")
    return found


HOWS: dict[str, How] = {
    row.name: row
    for row in (
        How("refit", "trains one recipe on all images", _refit),
        How("ensemble", "trains a few unlike recipes, and averages their probabilities", _ensemble),
    )
}
REFIT = "refit"
