"""An evaluation in sentences: how many are right, whether that was promised, and what a reader must know before."""

from collections.abc import Iterator

import numpy as np

from search.analysis.stats import Interval
from search.analysis.stats.metrics import METRICS
from search.evaluation.agreement import Agreement, Verdict, is_mixed_otherwise
from search.evaluation.evaluation import FEWEST, Evaluation
from search.evaluation.figures import Figures
from search.report import words
from search.report.exhibits import classes
from search.report.words import amount

NAMED = 5
COARSE = 0.05  # a difference that is worth saying if so many images could not show it
MODEL = "the model"


def headline(evaluation: Evaluation) -> str:
    """Return how many images are right, with the interval."""
    figures = evaluation.main
    right, accuracy = int(figures.right.sum()), figures.scores["accuracy"]
    which = "images" if not evaluation.trained.any() or evaluation.is_flattered else "new images"
    whom = f"Of {len(figures):,} {which}" if len(figures) > 1 else f"Of 1 {which.removesuffix('s')}"
    return (
        f"{whom}, {right:,} {'is' if right == 1 else 'are'} right: {100 * accuracy.mean:.1f} % ({_percent(accuracy)})."
    )


def _percent(interval: Interval) -> str:
    """Return the limits of a share in percent."""
    if not interval.known:
        return "no interval, as all are of one group"
    return f"95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f}"


def further(evaluation: Evaluation) -> list[str]:
    """Return what follows the headline: the promise, guessing, confidence, the weakest class."""
    figures = evaluation.main
    several = np.count_nonzero(figures.counts) > 1
    weakest = classes.sentences(_Frame(figures)) if several and figures.wrong else []
    return [*_promise(evaluation), *([_guessing(figures)] if several else []), confidence(figures), *weakest]


class _Frame:
    """The classification report of figures, as the exhibit of classes takes it."""

    def __init__(self, figures: Figures) -> None:
        self.frame = figures.by_class


def _promise(evaluation: Evaluation) -> Iterator[str]:
    """Yield how this agrees with what the search promised."""
    promise = evaluation.promise
    if evaluation.is_flattered:
        return
    if promise is None:
        why = (
            "its trial was stopped early"
            if "promise" in evaluation.about
            else "an older version of this program made it"
        )
        yield f"The export does not say what its search promised: {why}."
    elif evaluation.absent:
        of = len(evaluation.main.classes)
        yield (
            f"Only {of - len(evaluation.absent)} of its {of} classes have images here, so this cannot be set against "
            "what the search promised."
        )
    elif evaluation.scarce:
        yield (
            f"There are fewer than {FEWEST} images of {words.listed(evaluation.scarce)}: too few to set this against "
            "what the search promised."
        )
    else:
        first, *others = evaluation.agreements
        yield agreement(first)
        yield from (agreement(each) for each in others if each.verdict not in {first.verdict, Verdict.UNKNOWN})
        yield from _reservations(evaluation)


def agreement(one: Agreement) -> str:
    """Return whether a promise holds, the noise of the search and of these images counted."""
    title, promised, found, gap = METRICS[one.metric].title, one.promised, one.found, one.difference
    start = (
        f"The search promised {_article(title)} {title} of {_with_limits(promised)}; here it is {_with_limits(found)}"
    )
    size = words.number(abs(gap.mean))
    match one.verdict:
        case Verdict.BELOW:
            return (
                f"{start}. That is less than was promised, by {size} ({words.between(-gap.high, -gap.low)}), and more "
                "than chance explains: these images may be of another kind than those of the search (camera, place, "
                "time, way of labelling)."
            )
        case Verdict.ABOVE:
            return f"{start}. That is more than was promised, by {size} ({words.between(gap.low, gap.high)})."
        case Verdict.HOLDS:
            unseen = gap.mean - gap.low
            blind = f" A shortfall of less than about {words.number(unseen, 2)} would not show, though."
            return (
                f"{start}. The promise holds, as far as these images show: the difference of "
                f"{words.number(gap.mean, sign=True)} ({words.between(gap.low, gap.high, sign=True)}) may be chance."
                f"{blind if unseen > COARSE else ''}"
            )
        case _:
            inside = found.known and found.low <= promised.mean <= found.high
            tail = "; what was promised lies within these limits" if inside else ""
            return f"{start}. Whether that is a difference cannot be said, as one of them has no interval{tail}."


def _article(title: str) -> str:
    return "an" if title[0] in "aeiou" else "a"


def _with_limits(interval: Interval) -> str:
    limits = f" ({words.between(interval.low, interval.high)})" if interval.known else ""
    return f"{words.number(interval.mean)}{limits}"


def _reservations(evaluation: Evaluation) -> Iterator[str]:
    promise, figures = evaluation.promise, evaluation.main
    if promise is not None and not promise.corrected:
        yield "What was promised is not lowered for the recipe's having been picked, which flatters it a little."
    if evaluation.about.get("other_images"):
        yield "The model was trained on other images than those of the search that promised this: it may do otherwise."
    trained = np.array([int(count) for count in evaluation.about["classes"].values()])
    if promise is not None and promise.objective != "balanced_accuracy" and is_mixed_otherwise(figures.counts, trained):
        yield (
            "Classes are not as frequent here as among the images of the search. "
            f"The {METRICS[promise.objective].title} depends on that, balanced accuracy does not."
        )


def _guessing(figures: Figures) -> str:
    return f"One answer to every image would get {100 * figures.guessing['accuracy']:.0f} % right."


def confidence(figures: Figures) -> str:
    """Return whether the model is as sure as it should be."""
    gap, error, (chance, gaps) = figures.overconfidence.mean, figures.calibration_error, figures.if_calibrated
    sure, right = (f"{100 * each.mean():.0f} %" for each in (figures.confidence, figures.right))
    if gap > gaps.high:
        how = "It is too sure of itself"
    elif gap < gaps.low:
        how = "It is less sure of itself than it could be"
    else:
        how = "As far as these images show, its confidence can be believed"
        if error > chance.high:
            how = "It is too sure of some answers, and not sure enough of others"
    low, high = (100 * (figures.confidence.mean() - each) for each in (gaps.high, gaps.low))
    return (
        f"{how}: it is {sure} sure on average, and {right} right, where {low:.0f} to {high:.0f} % would be right by "
        f"chance if its confidence were true (calibration error {error:.3f}; by chance {chance.low:.3f} to "
        f"{chance.high:.3f})."
    )


def cautions(evaluation: Evaluation) -> list[str]:
    """Return what a reader must know before any number."""
    return [*_overlap(evaluation), *_missing(evaluation)]


def _overlap(evaluation: Evaluation) -> Iterator[str]:
    number, of = int(evaluation.trained.sum()), len(evaluation.every)
    if evaluation.how is None:
        yield (
            "The export does not say which images trained the model (it has no trained_on.npz), so images here that "
            "trained it, or copies of them, would flatter it unseen."
        )
    if not number:
        return
    ways = "; ".join(f"{words}: {count}" for words, count in evaluation.ways.most_common())
    every = evaluation.every.scores["accuracy"].mean
    if evaluation.is_flattered:
        whom = "This image" if of == 1 else f"All {of:,} images"
        yield (
            f"{whom} trained the model ({ways}). So nothing here says how it does on new images: name images that it "
            "has not seen."
        )
    else:
        yield (
            f"{number:,} of {of:,} images, or near-duplicates of them, trained the model ({ways}). They do "
            f"not count in the scores; with them, {100 * every:.1f} % would be right."
        )


def _missing(evaluation: Evaluation) -> Iterator[str]:
    labelled = evaluation.labelled
    if unreadable := len(labelled.dataset.unreadable):
        yield f"{amount(unreadable, 'image')} could not be read, and {'is' if unreadable == 1 else 'are'} not counted."
    if labelled.unknown:
        images = sum(labelled.unknown.values())
        names = words.listed(labelled.unknown)
        yield (
            f"{amount(images, 'image')} of classes that the model does not know ({names}) "
            f"{'is' if images == 1 else 'are'} not counted: it would have been wrong on every one."
        )
    if evaluation.absent:
        yield (
            f"There are no images of {words.listed(evaluation.absent)}, of which this says nothing. Balanced accuracy "
            "and macro-F1 are over the other classes."
        )


def most_confused(figures: Figures) -> str:
    """Return the pairs of classes that are confused most, "" where none is."""
    pairs = [f"{row['label']} taken for {row['predicted']} {words.times(row['images'])}" for row in figures.mistakes]
    more = f"; and {len(pairs) - NAMED} more pairs" if len(pairs) > NAMED else ""
    return f"Most confused: {'; '.join(pairs[:NAMED])}{more}." if pairs else ""
