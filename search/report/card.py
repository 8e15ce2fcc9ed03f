"""What an exported model says of itself: the trial behind it, its scores and what they are worth, how to use it."""

import re
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader

from search.data.images import DRAFT
from search.errors import UserError
from search.folder import Record
from search.journal import Look, Trial
from search.racing import score
from search.report.caveats import warnings
from search.report.leaderboard import at_size, corrected_words, interval, recommended_trial, seen_before, status

BEST = "best"
# An underscore within a word, as in the names of backbones, means nothing.
MARKDOWN = re.compile(r"([\\`*\[\]<>|&~#$@]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.)")


def trial_to_export(record: Record, asked: str) -> Trial:
    """Return the trial of this number, or the recommended one for "best".

    Raises UserError, with the way out, where there is none, for one that failed, has not ended or has a twin, and
    for "best" where that would look at the hold-out of a search that is not finished.
    """
    trials = record.history.trials
    if asked == BEST:
        best = recommended_trial(record)
        if best is None:
            raise UserError(
                f"No trial of {record.name} is complete, so none is recommended. Go on with the search, or name a "
                "trial that was stopped with --trial."
            )
        if record.rules.holdout and not record.history.ended and not record.history.look_at(best.id):
            raise UserError(
                f"{record.name} is not finished, and an export looks at the hold-out, which is no longer blind then. "
                f"Finish it: python -m search resume {record.name}. Or export the best so far all the same: "
                f"--trial {best.id}."
            )
        return best
    trial = trials.get(asked) or trials.get(asked.zfill(4))
    if trial is None:
        known = f"has the trials {', '.join(trials)}" if trials else "has no trials yet"
        raise UserError(f"There is no trial {asked!r}: {record.name} {known}. Name one of them, or best.")
    ways_out = {
        "failed": "Name another one, or best.",
        "open": f"Finish the search first: python -m search resume {record.name}.",
        "duplicate": "Name that one.",
    }
    if (ended := status(trial)) in ways_out:
        reason = f": {trial.verdict.reason}" if trial.verdict else ""
        words = {"failed": "failed", "open": "has not ended", "duplicate": "is a duplicate"}
        raise UserError(f"Trial {trial.id} {words[ended]}{reason}. {ways_out[ended]}")
    return trial


@dataclass(frozen=True)
class Facts:
    """What an export knows beside the record of its search: images that trained it by kind, the versions it needs."""

    trial: Trial
    images: int
    synthetic: int
    versions: dict[str, str]


def scores(record: Record, trial: Trial) -> dict[str, Any]:
    """Return the scores of a trial as JSON types; None for what is not known."""
    rules, look = record.rules, record.history.look_at(trial.id)
    complete = status(trial) == "completed"
    limits = interval(trial, rules) if complete else None
    return {
        "objective": rules.objective,
        "complete": complete,
        "score": score(trial) if complete else None,
        "interval": [limits.low, limits.high] if limits and limits.known else None,
        "sizes": {f"{q:g}": at_size(trial, rules, q, "accuracy") for q in rules.fractions} if complete else None,
        "corrected": corrected_words(record, trial) if complete else None,
        "holdout": {**look.run.scores, "images": record.about["holdout"]} if look else None,
    }


def card(record: Record, facts: Facts) -> str:
    """Return the card of an exported model, in Markdown; names in it can act neither as Markdown nor as HTML."""
    environment = Environment(
        loader=PackageLoader("search.report"),
        autoescape=False,  # noqa: S701 it is no HTML, and ``finalize`` makes all that is put in inert
        finalize=inert,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    trial = facts.trial
    image_size, _ = trial.recipe.settled
    return environment.get_template("card.md").render(
        name=record.name,
        trial=trial,
        facts=facts,
        classes=record.about["classes"],
        size=image_size,
        draft=DRAFT if image_size <= DRAFT else 2 * DRAFT,
        scored=list(_scored(record, trial)),
        limits=list(_limits(record, trial)),
        recipe={name: value for name, value in trial.recipe.to_dict().items() if name != "augment"},
        augment=trial.recipe.augment,
    )


def inert(value: object) -> str:
    """Return text on one line in which no name can act as Markdown or HTML."""
    return MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))


def _scored(record: Record, trial: Trial) -> list[str]:
    rules = record.rules
    if status(trial) != "completed":
        assert trial.verdict is not None
        said = [f"Unproven: this trial was stopped ({trial.verdict.reason}), so it has no score."]
    else:
        limits = interval(trial, rules)
        between = f"95 % interval {limits.low:.3f} to {limits.high:.3f}" if limits.known else "no interval: one split"
        sizes = "; ".join(
            f"{at_size(trial, rules, q, 'accuracy'):.3f} with {'all' if q == 1 else f'{q:.0%}'} of each training part"
            for q in reversed(rules.fractions)
        )
        said = [
            (
                f"Cross-validated score, the mean {rules.objective} over training sizes and folds: {score(trial):.3f} "
                f"({between}). Accuracy {sizes}."
            ),
            f"It was picked: {corrected_words(record, trial)}.",
        ]
    look = record.history.look_at(trial.id)
    return [*said, *([_on_holdout(record, look)] if look else [])]


def _on_holdout(record: Record, look: Look) -> str:
    scores_, objective = look.run.scores, record.rules.objective
    also = "" if objective == "accuracy" else f", accuracy {scores_['accuracy']:.3f}"
    looks = [other.trial for other in record.history.holdouts]
    seen = seen_before(record.history)
    if not seen and len(looks) > 1:
        seen = f"looked at with {', '.join(looks)}; a choice among them by this score is no longer blind"
    return (
        f"Hold-out: {objective} {scores_[objective]:.3f}{also} on {record.about['holdout']} images that no trial saw, "
        f"by a model trained on all the others that the folds use{f' ({seen})' if seen else ''}."
    )


def _limits(record: Record, trial: Trial) -> list[str]:
    parts = record.rules.parts
    outside = " outside the hold-out" if record.rules.holdout else ""
    said = [
        (
            f"Scores describe models trained by this recipe on {1 - 1 / parts:.0%} of the images{outside} or less. "
            "This model was trained on all images, those of the hold-out too, so nothing here has been measured on it."
        ),
        (
            "It knows these classes only: any picture gets one of them. Pictures from other cameras, places or times "
            "than those that trained it may be told far worse than the scores say."
        ),
        "Probabilities are those of the network, not calibrated.",
        *warnings(record),
    ]
    if status(trial) == "stopped":
        said.insert(0, "A stopped trial was predicted to stay behind. It is unproven: how good it is, nobody knows.")
    return said
