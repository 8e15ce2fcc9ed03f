"""The answer: what did best, how sure that is, what else is as good, in sentences and in a few numbers."""

import math
import shlex
from collections.abc import Iterable

from search.analysis.judgement import Judgement
from search.analysis.ledger import at_size, interval, on_holdout
from search.analysis.stats.comparing import ALPHA
from search.analysis.stats.scores import proportion
from search.events import Status
from search.journal import Trial
from search.racing import score
from search.report import words
from search.report.document import Fact

LITTLE = 0.005  # of accuracy, which "times in 100" does not show


def sentences(judgement: Judgement) -> list[str]:
    """Return the answer in three sentences: what did best, how sure that is, and what else is as good."""
    if judgement.winner is None:
        return ["No trial was completed, so there is no winner."]
    return [_best(judgement, judgement.winner), _surely(judgement), _others(judgement)]


def _best(judgement: Judgement, winner: Trial) -> str:
    rules, tried = judgement.rules, len(judgement.complete)
    sizes = list(zip(rules.fractions, judgement.images, strict=True))[::-1]
    parts = [
        f"{words.in_100(at_size(winner, rules, size, 'accuracy'))} with {words.share_of_images(size)} training images"
        f"{_about(number)}"
        for size, number in sizes
    ]
    stopped = len(judgement.record.history.with_status(Status.STOPPED))
    more = f" ({stopped} more {'was' if stopped == 1 else 'were'} stopped early)" if stopped else ""
    did = f"Of {tried} ways of fine-tuning that were tried in full{more}, {winner.id} did best"
    if tried == 1:
        did = f"Only one way of fine-tuning was tried in full{more}, {winner.id}"
    return f"{did}: {winner.recipe.summary()}; on images that it had not trained on it was right {', '.join(parts)}."


def _surely(judgement: Judgement) -> str:
    corrected = judgement.corrected
    if len(judgement.complete) == 1:
        return f"That is the raw result of this one, and not corrected, as {judgement.uncorrected}."
    if corrected is None:
        return (
            f"That is the raw result of the best of {len(judgement.complete)}, and flattered by having been picked; "
            f"it cannot be corrected, as {judgement.uncorrected}."
        )
    raw = at_size(judgement.complete[0], judgement.rules, judgement.rules.fractions[-1], "accuracy")
    low, high = (f"{100 * limit:.0f}" for limit in (corrected.full_accuracy.low, corrected.full_accuracy.high))
    if raw - corrected.full_accuracy.mean < LITTLE:
        expect = (
            "Having been picked as the best of many flatters it little: on new images of the same kind expect as much"
        )
    else:
        often = words.in_100(corrected.full_accuracy.mean)
        expect = (
            f"Picking the best of many flatters it, so on new images of the same kind expect it to be right {often}"
        )
    return f"{expect}; anything from {low} to {high} would be no surprise."


def _others(judgement: Judgement) -> str:
    alike = len(judgement.contenders) - 1
    if not judgement.comparable:
        rivals = "One split says nothing of how much splits differ, so nothing can be said of the others"
    elif len(judgement.complete) == 1:
        rivals = "There is nothing to compare it with"
    elif all(each.p_holm < ALPHA for each in judgement.differences):
        rivals = "It did better than each of the others by more than luck explains"
    elif alike < 1:
        rivals = "No other comes near it, which so few images do not prove of all of them"
    else:
        recipes = "other way" if alike == 1 else "other ways"
        rivals = f"{words.count(alike).capitalize()} {recipes} cannot be told from it with so few images"
    return f"{rivals}; {_to_use(judgement)}{_worth(judgement)}."


def _to_use(judgement: Judgement) -> str:
    winner, use = judgement.winner, judgement.recommended
    assert winner is not None
    assert use is not None
    if use is winner:
        return f"{winner.id} is the one to use"
    times = winner.seconds / max(use.seconds, 1e-9)
    own, other = (at_size(trial, judgement.rules, judgement.rules.fractions[-1], "accuracy") for trial in (use, winner))
    right = f"{own:.3f} against {other:.3f}"
    return (
        f"{use.id} comes within a point of it (raw accuracy with all images {right}) and trains {times:.1f} times as "
        "fast, so that is the one to use"
    )


def _worth(judgement: Judgement) -> str:
    """Return what the search was worth, beside the best baseline; "" where there is none."""
    baselines = [trial for trial in judgement.complete if trial.baseline]
    if not baselines:
        return ""
    best, place = baselines[0], judgement.complete.index(baselines[0])
    if place == 0:
        return f", and it is what needs no search ({best.baseline})"
    difference = judgement.differences[place - 1]
    luck = "more than luck explains" if difference.p_holm < ALPHA else "which may be luck"
    corrected, own = judgement.corrected, score(best)
    raw = _behind(difference.mean)
    fair = _behind(corrected.score.mean - own) if corrected else ""
    if fair == raw:
        behind = f"{raw}, also once the winner's score is corrected"
    elif fair:
        behind = f"{raw} ({fair} once the winner's score is corrected)"
    else:
        behind = f"{raw} (raw)"
    return f", and the best that needs no search ({best.id}: {best.baseline}) is {behind}, {luck}"


def _behind(distance: float) -> str:
    return f"{words.points(abs(distance))} {'ahead' if distance < 0 else 'behind'}"


def _about(images: float) -> str:
    return "" if math.isnan(images) else f" (about {images:.0f})"


def command(judgement: Judgement) -> str:
    """Return the line that retrains the recommended recipe on all images, "" where there is none."""
    if judgement.recommended is None:
        return ""
    name = judgement.record.name
    return f"python -m search export {shlex.quote(name)} --to {shlex.quote(f'{name}-model')}"


def facts(judgement: Judgement) -> Iterable[Fact]:
    """Yield the few numbers of the winner."""
    winner, corrected = judgement.winner, judgement.corrected
    if winner is None:
        return
    raw = interval(winner, judgement.rules)
    yield Fact("Raw score", f"{raw.mean:.3f}", words.limits(raw))
    if corrected is None:
        yield Fact("Corrected for having been picked", "cannot be had", judgement.uncorrected)
    else:
        yield Fact("Corrected for having been picked", f"{corrected.score.mean:.3f}", words.limits(corrected.score))
        note = f"corrected, {words.limits(corrected.full_accuracy)}; raw, pooled, {corrected.raw_full_accuracy:.3f}"
        yield Fact("Accuracy with all training images", f"{corrected.full_accuracy.mean:.3f}", note)
    for trial, again in judgement.confirmations[:1]:
        yield Fact(f"Trained again on reshuffled folds ({trial.id})", f"{again.mean:.3f}", words.limits(again))
    if judgement.rules.holdout:
        yield _on_holdout(judgement, winner)
    if judgement.recommended is not None and judgement.recommended is not winner:
        yield Fact("Recommended", judgement.recommended.id, judgement.recommended.recipe.summary())


def _on_holdout(judgement: Judgement, winner: Trial) -> Fact:
    score = judgement.record.history.holdout_score(winner.id)
    if score is None:
        return Fact("Hold-out", "not scored", on_holdout(judgement.record))
    of = judgement.record.about.holdout
    right = proportion(round(score.run.scores["accuracy"] * of), of)
    note = (
        f"{on_holdout(judgement.record)}; 95 % interval of that accuracy {right.low:.3f} to {right.high:.3f} (Wilson)"
    )
    return Fact("Hold-out", f"{score.run.scores[judgement.rules.objective]:.3f}", note)
