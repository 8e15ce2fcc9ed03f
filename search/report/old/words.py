"""What a report says in words: from the judgement to sentences that a person who knows no statistics understands."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.ledger import at_size, interval
from search.analysis.stats import Interval, corrected_interval
from search.analysis.stats.comparing import ALPHA
from search.analysis.stats.effects import ALONE
from search.journal import Trial
from search.racing import score
from search.report.tables import Tables

FLAT = 0.01  # a doubling that gains less than a point at best is not worth collecting
NAMED = 3
LITTLE = 0.005  # of accuracy, which "times in 100" does not show
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def answer(judgement: Judgement) -> list[str]:
    """Return the answer in three sentences: what did best, how sure that is, and what else is as good."""
    if judgement.winner is None:
        return ["No trial was completed, so there is no winner."]
    return [_best(judgement, judgement.winner), _surely(judgement), _beside(judgement)]


def _best(judgement: Judgement, winner: Trial) -> str:
    rules, tried = judgement.rules, len(judgement.complete)
    sizes = list(zip(rules.fractions, judgement.images, strict=True))[::-1]
    parts = [
        f"{in_100(at_size(winner, rules, size, 'accuracy'))} with {_of_size(size)} training images{_about(number)}"
        for size, number in sizes
    ]
    stopped = len(judgement.record.history.with_status("stopped"))
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
        often = in_100(corrected.full_accuracy.mean)
        expect = (
            f"Picking the best of many flatters it, so on new images of the same kind expect it to be right {often}"
        )
    return f"{expect}; anything from {low} to {high} would be no surprise."


def _beside(judgement: Judgement) -> str:
    others = len(judgement.contenders) - 1
    if not judgement.comparable:
        rivals = "One split says nothing of how much splits differ, so nothing can be said of the others"
    elif len(judgement.complete) == 1:
        rivals = "There is nothing to compare it with"
    elif all(found.p_holm < ALPHA for found in judgement.differences):
        rivals = "It did better than each of the others by more than luck explains"
    elif others < 1:
        rivals = "No other comes near it, which so few images do not prove of all of them"
    else:
        recipes = "other way" if others == 1 else "other ways"
        rivals = f"{_count(others).capitalize()} {recipes} cannot be told from it with so few images"
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
    found = judgement.differences[place - 1]
    told = "more than luck explains" if found.p_holm < ALPHA else "which may be luck"
    corrected, own = judgement.corrected, score(best)
    raw = _behind(found.mean)
    fair = _behind(corrected.score.mean - own) if corrected else ""
    if fair == raw:
        behind = f"{raw}, also once the winner's score is corrected"
    elif fair:
        behind = f"{raw} ({fair} once the winner's score is corrected)"
    else:
        behind = f"{raw} (raw)"
    return f", and the best that needs no search ({best.id}: {best.baseline}) is {behind}, {told}"


def _behind(distance: float) -> str:
    return f"{points(abs(distance))} {'ahead' if distance < 0 else 'behind'}"


def survival(judgement: Judgement) -> list[str]:
    """Return how the winner survives with fewer images, and whether more of them or more tuning would help."""
    winner, rules = judgement.winner, judgement.rules
    if winner is None or len(rules.fractions) < 2:
        return ["All trials trained with the whole training part, so nothing is known of fewer images."]
    drop, of_median = (float(some[0]) for some in judgement.drops)
    words = "less than" if of_median < 0 else "more than"
    beside = f", {points(abs(of_median))} {words} the median recipe" if len(judgement.complete) > 2 else ""
    fewest, lost = _of_size(rules.fractions[0]), f"{points(drop)} of {plain(rules.objective)}"
    said = [f"With {fewest} images the winner loses {lost}{beside}."]
    firsts = {}
    for size, means in zip(rules.fractions, judgement.cells.mean(axis=2).T, strict=True):
        firsts[size] = judgement.complete[int(means.argmax())].id
    if len(set(firsts.values())) > 1:
        listed = ", ".join(f"{trial} with {_of_size(size)} images" for size, trial in firsts.items())
        said.append(f"Different recipes are first at different sizes: {listed}; that may be luck.")
    return [*said, *_more_images(judgement)]


def _more_images(judgement: Judgement) -> list[str]:
    slope = judgement.slope
    if slope is None or not slope.known:
        return ["Whether more images would help cannot be told from these folds."]
    limits_ = f"95 % interval {100 * slope.low:+.1f} to {100 * slope.high:+.1f}"
    between = f"{signed(slope.mean)} for each doubling of images, {limits_}"
    if slope.high < FLAT:
        told = f"More images of this kind would add little: between the two largest sizes the winner gained {between}"
    elif slope.low > 0:
        told = f"More images would help: between the two largest sizes the winner gained {between}"
    else:
        told = f"Whether more images would help is not sure: between the two largest sizes the winner gained {between}"
    said = [f"{told}; curves flatten, so expect somewhat less beyond."]
    if judgement.curve:
        more = judgement.curve.at(2 * judgement.images[-1])
        fit = f"residual {points(judgement.curve.residual)}"
        sizes = len(judgement.images)
        said.append(
            f"The curve a + b n^-c through the {sizes} sizes ({fit}) has it at {more:.3f} with twice the images."
        )
    return [*said, *_more_tuning(judgement, slope)]


def _more_tuning(judgement: Judgement, slope: Interval) -> list[str]:
    """Return how much better another recipe would have to be to be seen, and what that says of searching on."""
    nearest = judgement.differences[0] if judgement.differences else None
    if nearest is None or math.isinf(nearest.high):
        return []
    seen = nearest.high - nearest.mean
    said = f"With so few images a better recipe would show only from some {points(seen)} on"
    if slope.low > 0 and slope.mean > 0 and slope.high >= FLAT:
        said += ": more images are the surer bet than more tuning"
    return [f"{said}."]


def matters(tables: Tables) -> list[str]:
    """Return which choices matter, which do not, and of which nothing can be said."""
    effects = tables["effects"]
    if effects.empty:
        return ["Nothing varied between the trials, so there is nothing to compare."]
    if effects["note"].str.startswith(ALONE).all():
        return _one_at_a_time(effects)
    said, notes = [], _notes(effects)
    heads = {
        "yes": "These choices matter: {}.",
        "no": "These hardly matter (less than two points between any two of their values): {}.",
        "unknown": "Of these nothing can be said with so few trials and images: {}.",
    }
    for verdict, head in heads.items():
        factors = effects[effects["matters"] == verdict].groupby("factor", sort=False)
        if len(factors):
            named = [_of_factor(name, rows) if verdict == "yes" else plain(name) for name, rows in factors]
            said.append(head.format("; ".join(named)))
    return [*said, *notes]


def _one_at_a_time(effects: pd.DataFrame) -> list[str]:
    """Return what differs most where the other choices could not be held equal, and what that is worth."""
    known = effects.dropna(subset="effect")
    said = [f"The choices are {effects['note'].iloc[0]}."]
    if not known.empty:
        ranges = known.groupby("factor")["effect"].agg(lambda some: some.max() - some.min())
        widest = known[known["factor"] == ranges.idxmax()]
        best, worst = widest.loc[widest["effect"].idxmax()], widest.loc[widest["effect"].idxmin()]
        of = f"the widest of {len(ranges)} such ranges" if len(ranges) > 1 else "the only range"
        ends = [f"{level['level']} ({_trials(level['trials'])})" for level in (worst, best)]
        said.append(
            f"For what it is worth, {of} is that of {plain(best['factor'])}: {points(ranges.max())} "
            f"from {ends[0]} to {ends[1]}; what else differed between these trials is in that number."
        )
    return said


def _trials(number: int) -> str:
    return "1 trial" if number == 1 else f"{number} trials"


def interplay(judgement: Judgement) -> list[str]:
    """Return whether the best depth depends on the backbone, as far as that can be told."""
    if not judgement.interaction:
        return []
    p = judgement.depends
    if math.isnan(p):
        return ["Whether the best depth depends on the backbone cannot be judged from these trials."]
    told = "depends on" if p < ALPHA else "is not shown to depend on"
    return [f"What unfreezing does {told} the backbone (F test of the interaction, p {p:.2g})."]


def _notes(effects: pd.DataFrame) -> list[str]:
    """Return what the numbers of factors cannot say, each note once, with the factors that it is about."""
    noted = effects[effects["note"] != ""].groupby("note", sort=False)["factor"].unique()
    every = effects["factor"].nunique()
    return [
        f"{note[0].upper()}{note[1:]}." if len(factors) == every else f"{listed(map(plain, factors))}: {note}."
        for note, factors in noted.items()
    ]


def _of_factor(name: str, rows: pd.DataFrame) -> str:
    known = rows[rows["effect"].notna()]
    best, worst = known.loc[known["effect"].idxmax()], known.loc[known["effect"].idxmin()]
    gap = points(best["effect"] - worst["effect"])
    return f"{plain(name)} ({best['level']} is {gap} above {worst['level']}, p {rows['p'].iloc[0]:.2g})"


def plain(name: str) -> str:
    """Return the name of a factor as words."""
    return name.replace("_", " ")


def winner(judgement: Judgement, tables: Tables) -> list[str]:
    """Return what is to be seen of the winner: its folds, its weakest class, its confidence."""
    if judgement.winner is None:
        return ["There is no winner."]
    scores = [run.scores[judgement.rules.objective] for run in judgement.winner.runs.values()]
    said = [f"From run to run its {plain(judgement.rules.objective)} goes from {min(scores):.3f} to {max(scores):.3f}."]
    classes = tables["classes"].dropna(subset="recall")
    if not classes.empty:
        weakest = classes.loc[classes["recall"].idxmin()]
        alike = int((classes["recall"] == weakest["recall"]).sum()) - 1
        others = f", as {_count(alike)} other{'s' * (alike > 1)}" if alike else ""
        said.append(
            f"Its weakest class is {weakest['class']}: {weakest['correct']} of {weakest['images']} right "
            f"(95 % interval {weakest['low']:.2f} to {weakest['high']:.2f}){others}."
        )
    return [*said, *_confidence(judgement)]


def _confidence(judgement: Judgement) -> list[str]:
    """Return whether the winner's confidence means what it says, from the folds with all training images."""
    evidence, trial = judgement.evidence, judgement.winner
    if evidence is None or trial is None or evidence.trials[0] != trial.id:
        return []
    size = evidence.sizes[-1]
    right = size.predicted[0] == size.labels
    splits = np.unique(size.split, axis=0)
    gaps = [float((size.confidence[0] - right)[(size.split == split).all(axis=1)].mean()) for split in splits]
    gap = corrected_interval(gaps, judgement.rules.parts)
    how = "cannot be told from what it should be"
    if gap.known and (gap.low > 0 or gap.high < 0):
        how = "is too high" if gap.low > 0 else "is too low"
    return [f"Its confidence {how}: {size.confidence[0].mean():.0%} on average, where {right.mean():.0%} are right."]


def images(judgement: Judgement, tables: Tables) -> list[str]:
    """Return how many images no recipe gets right, and how many labels may be mistaken."""
    evidence = judgement.evidence
    hard, errors = tables["hard"], tables["label_errors"]
    if evidence is None or len(evidence.trials) < 3:
        return ["With fewer than three complete trials it cannot be said which images are hard."]
    every = int((hard["group"] == "every recipe").sum())
    said = [
        (
            f"Of {len(evidence.ids)} images {every} {'is' if every == 1 else 'are'} wrong under every one of "
            f"{len(evidence.trials)} recipes, and "
            f"{len(hard) - every} more under nearly all (each by networks that did not train on it)."
        )
    ]
    if len(evidence.trials) < evidence.complete:
        said.append(f"That is about the best {len(evidence.trials)} of {evidence.complete} complete trials.")
    if len(errors):
        said.append(
            f"The labels of {len(errors)} may be mistaken: the recipes together are surer of another class than they "
            "usually are where it is right. Look at these first; a wrong label costs more than a wrong recipe."
        )
    return said


def cautions(judgement: Judgement) -> list[str]:
    """Return what is missing from the files of the search."""
    evidence = judgement.evidence
    if judgement.winner is not None and evidence is None:
        return ["All stored predictions are missing or changed, so nothing that needs them is shown."]
    if evidence is not None and evidence.lost:
        more = f" and {len(evidence.lost) - NAMED} more" if len(evidence.lost) > NAMED else ""
        named = ", ".join(evidence.lost[:NAMED])
        return [f"Missing or changed, so their trials are left out of corrections and images: {named}{more}."]
    return []


def confirmation(judgement: Judgement) -> list[str]:
    """Return what training the best again on reshuffled folds showed, and what that cannot show."""
    if not judgement.confirmed:
        return []
    pairs = [(interval(trial, judgement.rules).mean, again.mean) for trial, again in judgement.confirmed]
    change = sum(again - first for first, again in pairs) / len(pairs)
    listed = "; ".join(
        f"{trial.id} {first:.3f}, then {again:.3f}"
        for (trial, _), (first, again) in zip(judgement.confirmed, pairs, strict=True)
    )
    return [
        f"Trained again with fresh seeds on reshuffled folds: {listed} (on average {signed(change)}).",
        (
            "That removes the luck of seeds and folds from a score, and not the luck of these images: they are the "
            "same, so some of the flattery stays (about a third, in simulations)."
        ),
    ]


def in_100(share: float) -> str:
    """Return a share as "89 times in 100"; finer near the ends."""
    if math.isnan(share):
        return "an unknown number of times"
    number = f"{100 * share:.1f}" if share > 0.99 and share < 1 else f"{100 * share:.0f}"
    return f"{number} times in 100"


def points(difference: float) -> str:
    """Return a difference of scores in points."""
    return f"{100 * difference:.1f} points"


def signed(difference: float) -> str:
    """Return a difference of scores in points with its sign."""
    return f"{100 * difference:+.1f} points"


def between(limits_: Interval) -> str:
    """Return the limits of an interval in words."""
    return f"95 % interval {limits_.low:.3f} to {limits_.high:.3f}" if limits_.known else "no interval"


def _of_size(size: float) -> str:
    named = {1.0: "all", 0.5: "half of the", 0.25: "a quarter of the", 0.1: "a tenth of the"}
    return named.get(size, f"{size:.0%} of the")


def _about(images_: float) -> str:
    return "" if math.isnan(images_) else f" (about {images_:.0f})"


def _count(number: int) -> str:
    return COUNTS[number] if number < len(COUNTS) else str(number)


def listed(names: Iterable[str]) -> str:
    """Return the first of some names in a line."""
    names = list(names)
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
