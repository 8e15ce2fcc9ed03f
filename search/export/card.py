"""What an exported model says of itself: the trial behind it, its scores and what they are worth, how to use it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader

from search.analysis.certainty import Certainty
from search.analysis.ensemble import Ensemble
from search.analysis.judgement import Judgement
from search.analysis.ledger import at_size, interval, seen_before
from search.analysis.outlook import outlook, promise
from search.analysis.stats.metrics import METRICS
from search.data.depth import shift_to_8_bits
from search.export.certain import sure_lines
from search.export.changed import Changes, expectation
from search.export.failures import Failures, unfit_for
from search.export.forms.form import Form, described
from search.export.metadata import front_matter
from search.export.programs import Code, draft, listings
from search.export.together import ensemble_promise, ensemble_scored, interval_of, members_in_words
from search.journal.history import HoldoutScore, Trial
from search.journal.outcomes import Status
from search.racing import score
from search.record import Record
from search.repertoire.backbones.backbone import OF_IMAGENET
from search.repertoire.columns import columns_of, written
from search.repertoire.heads import UNCALIBRATED, kind_of
from search.repertoire.networks import AnyRecipe
from search.repertoire.prediction import PREDICTIONS
from search.repertoire.priors import assumption
from search.repertoire.recipe import Recipe
from search.report.cautions import warnings
from search.report.markdown import inert
from search.report.words import amount
from search.report.words import limits as between
from search.system.commands import command_of
from search.system.errors import UserError

BEST = "best"


def trial_to_export(record: Record, name: str) -> Trial:
    """Return the trial of this number, or the recommended one for "best".

    Raises UserError, with the way out, where there is none, for one that failed, has not ended or is a duplicate,
    and for "best" where that would score the hold-out in a search that is not finished.
    """
    trials = record.history.trials
    if name == BEST:
        best = Judgement.of(record).recommended
        if best is None:
            raise UserError(
                f"No trial of {record.name} is complete, so none is recommended. Go on with the search, or name a "
                "trial that was stopped with --trial."
            )
        if record.rules.holdout and not record.history.end_reason and not record.history.holdout_score(best.id):
            raise UserError(
                f"{record.name} is not finished, and an export looks at the hold-out, which is no longer blind then. "
                f"Export the best so far all the same with --trial {best.id}, or finish it first: "
                f"{command_of(record.folder, 'resume')}"
            )
        return best
    trial = trials.get(name) or trials.get(name.zfill(4))
    if trial is None:
        trials_in_words = f"has the trials {', '.join(trials)}" if trials else "has no trials yet"
        raise UserError(f"There is no trial {name!r}: {record.name} {trials_in_words}. Name one of them, or best.")
    ways_out = {
        Status.FAILED: "Name another one, or best.",
        Status.OPEN: f"Finish the search first: {command_of(record.folder, 'resume')}",
        Status.DUPLICATE: "Name that one.",
    }
    if trial.status in ways_out:
        reason = f": {trial.verdict.reason}" if trial.verdict else ""
        words = {Status.FAILED: "failed", Status.OPEN: "has not ended", Status.DUPLICATE: "is a duplicate"}
        raise UserError(f"Trial {trial.id} {words[trial.status]}{reason}. {ways_out[trial.status]}")
    return trial


@dataclass(frozen=True)
class ExportFacts:
    """What an export knows beside the record of its search: images that trained it by kind, the versions it needs.

    ``sampled`` are the real images of each class in an epoch, copies included; it is empty without sampling.
    ``certainty`` is None where nothing is known of the model's probabilities. ``ensemble`` is the one that the model
    is; its ``trial`` is then the heaviest member. ``changes`` say how the images differ from those of the search, None
    where they do not. ``also`` are the forms of the model beside that of Keras, each with what is known of it.
    """

    trial: Trial
    images: int
    synthetic: int
    versions: dict[str, str]
    sampled: Mapping[str, int] = field(default_factory=dict)
    certainty: Certainty | None = None
    ensemble: Ensemble | None = None
    changes: Changes | None = None
    also: tuple[tuple[Form, dict[str, Any]], ...] = ()

    def classes(self, record: Record) -> dict[str, int]:
        """Return the number of images of each class that trained it."""
        return self.changes.dataset.counts if self.changes else record.about.classes


def scores(judgement: Judgement, trial: Trial) -> dict[str, Any]:
    """Return the scores of a trial as JSON types; None for what is not known."""
    record, rules = judgement.record, judgement.rules
    holdout_score = record.history.holdout_score(trial.id)
    complete = trial.status is Status.COMPLETED
    limits = interval(trial, rules) if complete else None
    return {
        "objective": rules.objective,
        "complete": complete,
        "score": score(trial) if complete else None,
        "interval": [limits.low, limits.high] if limits and limits.known else None,
        "sizes": {f"{q:g}": at_size(trial, rules, q, "accuracy") for q in rules.fractions} if complete else None,
        "picked": picked(judgement, trial) if complete else None,
        "holdout": {**holdout_score.run.scores, "images": record.about.holdout} if holdout_score else None,
    }


def promised(judgement: Judgement, trial: Trial) -> dict[str, Any] | None:
    """Return what to expect of the model on new images, as JSON types; None for a trial that is not complete.

    Limits are None where there is no interval.
    """
    numbers = promise(judgement, trial)
    if numbers is None:
        return None
    return {
        "trial": trial.id,
        "objective": judgement.rules.objective,
        "expected": interval_of(numbers.expected),
        "accuracy": interval_of(numbers.accuracy),
        "corrected": numbers.corrected,
    }


def card(judgement: Judgement, facts: ExportFacts) -> str:
    """Return the card of an exported model, in Markdown; names in it can act neither as Markdown nor as HTML."""
    record = judgement.record
    trial, found = facts.trial, facts.ensemble
    recipes = [record.history.trials[name].recipe for name in found.members] if found else [trial.recipe]
    sizes = sorted({size for recipe in recipes for size in recipe.sizes})
    expected = ensemble_promise(judgement, found) if found else promised(judgement, trial)
    expected = None if facts.changes else expected
    failures = Failures(record, found.members if found else {trial.id: 1.0})
    forms = [form for form, _ in facts.also]
    name = f"{record.name} {'ensemble' if found else trial.id}"
    head = front_matter(record, name, recipes, forms, expected)
    return head + _environment().get_template("card.md").render(
        name=record.name,
        trial=trial,
        facts=facts,
        classes=facts.classes(record),
        changes=facts.changes,
        expectation=expectation(judgement, found or trial.id, facts.changes) if facts.changes else "",
        sizes=sizes,
        draft=draft,
        listings=listings(sizes, forms, facts.versions),
        forms=[text for form, entry in facts.also for text in described(form, entry)],
        ranges=(facts.changes.dataset if facts.changes else record.about).ranges.tops,
        shift=shift_to_8_bits,
        note=" ".join(_notes(recipes)),
        members=members_in_words(judgement, found) if found else [],
        scored=ensemble_scored(judgement, found) if found else _scored(judgement, trial),
        sure=list(sure_lines(facts.certainty)),
        failures=list(failures.lines()),
        repeats=failures.repeats,
        unfit=list(unfit_for(judgement, failures, expected)),
        limits=list(_limits(record, facts, recipes)),
        licences=list(dict.fromkeys(line for recipe in recipes for line in licences(recipe))),
        recipe=_recipe_lines(trial.recipe),
    )


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("search.export"),
        autoescape=False,  # noqa: S701 it is no HTML, and ``finalize`` makes all that is put in inert
        finalize=lambda value: value if isinstance(value, Code) else inert(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def licences(recipe: AnyRecipe) -> Iterator[str]:
    """Yield what is known of the licences of the weights that a recipe begins with."""
    backbones = recipe.backbones if isinstance(recipe, Recipe) else ()
    for backbone in backbones:
        if backbone.weights and backbone.weights.licence:
            yield f"{backbone.name}: {backbone.weights.licence}. {backbone.weights.notice}".strip()
        elif backbone.pretrained:
            yield f"{backbone.name}: this program does not know its licence."
    if any(backbone.weights and not backbone.weights.packaged for backbone in backbones):
        yield OF_IMAGENET


def _recipe_lines(recipe: AnyRecipe) -> dict[str, Any]:
    """Return the values of a recipe by field; those with subfields come last, with these side by side."""
    values = {
        name: recipe.fields[name].cell_of(value)
        for name, value in written(recipe).items()
        if not recipe.fields[name].subfields
    }
    cells: dict[str, list[Any]] = {}
    for column in columns_of([recipe]):
        if column.field.subfields and (cell := column.cell(recipe)) is not None:
            cells.setdefault(column.field.name, []).append(cell)
    return values | {name: " ".join(map(str, several)) for name, several in cells.items()}


def picked(judgement: Judgement, trial: Trial) -> str:
    """Return in words what a complete trial's score is worth, given that it, or another one, was picked by it."""
    of = f"of {len(judgement.complete)} complete trials"
    place = [other.id for other in judgement.complete].index(trial.id) + 1
    correction, winner = judgement.corrected, judgement.complete[0].id
    if correction is None:
        among = f"The best {of}: it was picked, which flatters it" if place == 1 else f"Number {place} {of}"
        return f"{among}; scores cannot be corrected for that, as {judgement.uncorrected}"
    there = (
        f"{correction.score.mean:.3f} ({between(correction.score)}), and its accuracy with all of each training "
        f"part to {correction.full_accuracy.mean:.3f} ({between(correction.full_accuracy)})"
    )
    if place == 1:
        return f"The best {of}: corrected for having been picked, its score comes to {there}"
    is_use = trial is judgement.recommended
    use = " It is recommended, as it comes within a point of the best one and trains faster." if is_use else ""
    return (
        f"Number {place} {of}.{use} The score of the best one, {winner}, comes to {there} when it is corrected for "
        "having been picked; that of this one is raw"
    )


def _scored(judgement: Judgement, trial: Trial) -> list[str]:
    record, rules = judgement.record, judgement.rules
    if trial.status is not Status.COMPLETED:
        assert trial.verdict is not None
        lines = [f"Unproven: this trial was stopped ({trial.verdict.reason}), so it has no score."]
    else:
        limits = interval(trial, rules)
        sizes = "; ".join(
            f"{at_size(trial, rules, q, 'accuracy'):.3f} with {'all' if q == 1 else f'{q:.0%}'} of each training part"
            for q in reversed(rules.fractions)
        )
        lines = [
            (
                f"Cross-validated score, the mean {judgement.metric.title} over training sizes and folds: "
                f"{score(trial):.3f} ({between(limits)}). Accuracy {sizes}."
            ),
            f"{picked(judgement, trial)}.",
            *_beside_guessing(judgement),
        ]
    holdout_score = record.history.holdout_score(trial.id)
    return [*lines, *([_on_holdout(record, holdout_score)] if holdout_score else [])]


def _beside_guessing(judgement: Judgement) -> list[str]:
    """Return what guessing would have, and how often the winner recognises the rarest class."""
    numbers = outlook(judgement)
    if numbers is None:
        return []
    line = (
        f"One answer to every image would have a {judgement.metric.title} of {numbers.guessing:.3f} and an accuracy of "
        f"{numbers.guessing_accuracy:.3f}."
    )
    if rarest := numbers.rarest:
        images = amount(round(rarest.images), "image")
        line += f' The best trial recognises {rarest.right:.0f} of {images} of "{rarest.name}", the rarest class.'
    return [line]


def _on_holdout(record: Record, holdout_score: HoldoutScore) -> str:
    metrics, objective = holdout_score.run.scores, record.rules.objective
    also = "" if objective == "accuracy" else f", accuracy {metrics['accuracy']:.3f}"
    trials = [other.trial for other in record.history.holdout_scores]
    note = seen_before(record.history)
    if not note and len(trials) > 1:
        note = f"looked at with {', '.join(trials)}; a choice among them by this score is no longer blind"
    return (
        f"Hold-out: {METRICS[objective].title} {metrics[objective]:.3f}{also} on {record.about.holdout} images that no "
        f"trial saw, by a model trained on all the others that the folds use{f' ({note})' if note else ''}."
    )


def _limits(record: Record, facts: ExportFacts, recipes: Sequence[AnyRecipe]) -> list[str]:
    trial, parts, is_tempered = facts.trial, record.rules.parts, facts.certainty is not None
    outside = " outside the hold-out" if record.rules.holdout else ""
    heldout = ", those of the hold-out too," if record.rules.holdout else ","
    images = "other images, as said above," if facts.changes else f"all images{heldout}"
    lines = [
        (
            f"Scores describe models trained by this recipe on {1 - 1 / parts:.0%} of the images{outside} or less. "
            f"This model was trained on {images} so nothing here has been measured on it."
        ),
        (
            "It knows these classes only: any picture gets one of them. Pictures from other cameras, places or times "
            "than those that trained it may be told far worse than the scores say."
        ),
        *dict.fromkeys(line for recipe in recipes for line in _of_head(recipe, is_tempered=is_tempered)),
        *dict.fromkeys(sentence for recipe in recipes if (sentence := assumption(recipe))),
        *warnings(record),
    ]
    if trial.status is Status.STOPPED:
        lines.insert(0, "A stopped trial was predicted to stay behind. It is unproven: how good it is, nobody knows.")
    if not record.history.end_reason:
        lines.insert(0, f"The search has not ended: {trial.id} was picked from what there was.")
    return lines


def _notes(recipes: Sequence[AnyRecipe]) -> list[str]:
    """Return what is to be known of how these recipes look at a picture."""
    notes = (PREDICTIONS[recipe.tta].note for recipe in recipes if isinstance(recipe, Recipe))
    return list(dict.fromkeys(note for note in notes if note))


def _of_head(recipe: AnyRecipe, *, is_tempered: bool) -> list[str]:
    """Return what the probabilities of a head are worth, where a temperature does not say it."""
    told = kind_of(recipe.head if isinstance(recipe, Recipe) else "linear").probabilities
    return [] if is_tempered and told == UNCALIBRATED else [told]
