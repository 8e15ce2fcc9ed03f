"""The answer, for the person who decides: what works best, what to expect of it, how sure that is, what to do next."""

from collections.abc import Iterable, Iterator

from search.analysis.advice import Advice, MoreImages, Promise
from search.analysis.advice import advice as advice_on
from search.analysis.judgement import Judgement
from search.analysis.ledger import at_size, interval, on_holdout
from search.analysis.outlook import Outlook, are_even, outlook
from search.analysis.stats.comparing import Standing
from search.analysis.stats.confusions import Mistakes
from search.analysis.stats.scores import proportion
from search.journal.history import Trial
from search.journal.outcomes import Status
from search.racing import score
from search.repertoire.columns import varied
from search.report import cautions, words
from search.report.document import Fact
from search.report.words import against_in_100, called, in_100
from search.system.commands import command_of


def sentences(judgement: Judgement) -> list[str]:
    """Return the answer: what works best, what to expect of it, how sure that is, what to do next, and the recipe."""
    winner, numbers = judgement.winner, outlook(judgement)
    if winner is None or numbers is None:
        return ["No trial was completed, so there is no winner."]
    useful = numbers.beats_guessing is not False
    return [
        _best(judgement, winner, numbers),
        _expectation(judgement, numbers),
        *([_flattery(judgement, numbers)] if useful else []),
        *_uneven(judgement, winner, numbers),
        *(_rivals(judgement) if useful else []),
        *(_without_search(judgement) if useful else []),
        _next_step(judgement, winner, numbers),
        *(advise(judgement, advice) if (advice := advice_on(judgement)) else []),
        f"The recipe of {called(winner)}: {summary(judgement, winner)}.",
    ]


def summary(judgement: Judgement, trial: Trial) -> str:
    """Return the recipe of a trial in a line, with every field that varies in its search, and the epoch that counts."""
    line = trial.recipe.summary(varied(other.recipe for other in judgement.record.history.trials.values()))
    return line if trial.epoch is None else f"{line} (epoch {trial.epochs} of {trial.recipe.epochs})"


def _best(judgement: Judgement, winner: Trial, numbers: Outlook) -> str:
    tried = len(judgement.complete)
    stopped = len(judgement.record.history.with_status(Status.STOPPED))
    more = f" ({stopped} more {'was' if stopped == 1 else 'were'} stopped early)" if stopped else ""
    what = f"{words.deed(winner.recipe)}{f' ({winner.baseline})' if winner.baseline else ''}"
    if numbers.beats_guessing is False:
        return f"Nothing that was tried does better than guessing{more}. The highest score is that of {what}."
    if tried == 1:
        return f"Only one recipe was tried in full{more}: {what}."
    return f"Of {tried} recipes that were tried in full{more}, this works best: {what}."


def _expectation(judgement: Judgement, numbers: Outlook) -> str:
    """Return the leading number: the objective on new images, with all training images, beside guessing."""
    even = are_even(judgement.record.about.classes.values())
    much, guess = (in_100(each) for each in (numbers.expected.mean, numbers.guessing))
    match judgement.rules.objective:
        case "macro_f1":
            line = f"On new images like these, expect a macro-F1 of about {much} in 100"
            line += " (the mean over classes; it counts both the images missed and those wrongly given to a class)"
        case "balanced_accuracy" if not even:
            line = f"Of 100 new images like these, expect about {much} right, with each class counted alike"
        case _:
            line = f"Of 100 new images like these, expect about {much} right"
    line += ", once it is trained on all images"
    if numbers.expected.known:
        low, high = (in_100(limit) for limit in (numbers.expected.low, numbers.expected.high))
        line += f"; anything from {low} to {high} would be no surprise"
    else:
        line += ". The folds do not show how far off that may be"
    luck = f"Guessing would get {guess}"
    if numbers.beats_guessing is None and numbers.expected.known:
        luck += ", so it is not sure that this is better than guessing"
    return f"{line}. {luck}."


def _flattery(judgement: Judgement, numbers: Outlook) -> str:
    corrected, winner = judgement.corrected, judgement.complete[0]
    if corrected is None and len(judgement.complete) == 1:
        return f"This number is the raw result: {judgement.uncorrected}."
    if corrected is None:
        return (
            f"This number is the raw result of the best of {len(judgement.complete)}. It is probably too high, as the "
            f"best of many is partly lucky. It cannot be corrected: {judgement.uncorrected}."
        )
    if corrected.raised:
        return (
            "The best of many is often partly lucky. Here the correction for that came out above the raw result, which "
            "is chance, so the raw result stands."
        )
    raw = at_size(winner, judgement.rules, judgement.rules.fractions[-1], judgement.rules.objective)
    if in_100(numbers.expected.mean) == in_100(raw):
        return "The best of many is often partly lucky. Correcting for that hardly changes this number."
    return "This number is already lowered, as the best of many is partly lucky."


def _uneven(judgement: Judgement, winner: Trial, numbers: Outlook) -> Iterator[str]:
    """Yield what uneven classes hide: how often the rarest is recognised, and who leads by accuracy alone."""
    rarest, rival = numbers.rarest, numbers.rival
    if rarest:
        line = (
            f"It recognises {rarest.right:.0f} of the {words.amount(round(rarest.images), 'image')} of "
            f'"{rarest.name}", the rarest class'
        )
        if judgement.rules.objective != "accuracy":
            line += (
                f". Counted as they come, about {in_100(numbers.accuracy.mean)} in 100 images are right; always "
                f'answering "{numbers.usual}" would get {in_100(numbers.guessing_accuracy)}'
            )
        yield f"{line}."
    if rival:
        yield _disagreement(judgement, winner, rival)


def _disagreement(judgement: Judgement, winner: Trial, rival: Trial) -> str:
    """Return who leads by accuracy, and why that is not the winner."""
    rules, metric = judgement.rules, judgement.metric.title
    full = rules.fractions[-1]
    own, other = (at_size(trial, rules, full, "accuracy") for trial in (winner, rival))
    line = (
        f"By accuracy alone {called(rival)} leads ({against_in_100(other, own)} in 100 with all training "
        f"images, raw). The search was for {metric}"
    )
    own, other = (at_size(trial, rules, full, rules.objective) for trial in (winner, rival))
    if other < own:
        return (
            f"{line}, in which every class counts alike, and there it has {against_in_100(other, own)}: it is "
            "right more often in the large classes, and less often in the small ones."
        )
    fewest = words.share_of_images(rules.fractions[0])
    own, other = (at_size(trial, rules, rules.fractions[0], rules.objective) for trial in (winner, rival))
    return f"{line} over all training sizes, and with {fewest} images it has {against_in_100(other, own)}."


def _rivals(judgement: Judgement) -> Iterator[str]:
    """Yield how sure it is that the winner is the best."""
    if len(judgement.complete) == 1:
        return
    alike = len(judgement.contenders) - 1
    if not judgement.comparable:
        yield "There is only one split, so nobody can say whether another recipe is as good."
    elif all(standing in {Standing.BEST, Standing.WORSE} for standing in judgement.standings.values()):
        yield "It is better than each of the others, by more than luck explains."
    elif alike < 1:
        yield "It is probably better than each of the others."
    else:
        others = "one other recipe" if alike == 1 else f"{words.count(alike)} other recipes"
        yield f"With so few images {others} may be as good: the difference may be luck."


def _without_search(judgement: Judgement) -> Iterator[str]:
    """Yield what the search was worth, beside the best baseline."""
    baselines = [trial for trial in judgement.complete if trial.baseline]
    if not baselines:
        return
    best, place = baselines[0], judgement.complete.index(baselines[0])
    if place == 0:
        yield f"It needs no search: it is {called(best)}."
        return
    difference, corrected = judgement.differences[place - 1], judgement.corrected
    luck = {
        Standing.WORSE: "Luck alone does not explain that.",
        Standing.PROBABLY_WORSE: "That is probably more than luck.",
    }.get(difference.standing, "That may be luck.")
    behind = _behind(difference.mean)
    if behind == _behind(0.0):
        yield f"The best that needs no search, {called(best)}, does as well."
        return
    fair = _behind(corrected.score.mean - score(best)) if corrected else behind
    if fair != behind:
        behind += f" ({fair} once the winner's score is corrected)"
    yield f"The best that needs no search, {called(best)}, is {behind}. {luck}"


def _behind(distance: float) -> str:
    return f"{words.points(abs(distance))} {'ahead' if distance < 0 else 'behind'}"


def _next_step(judgement: Judgement, winner: Trial, numbers: Outlook) -> str:
    """Return what to do next."""
    use = judgement.recommended
    if not judgement.record.history.end_reason:
        return "Next: go on with the search, which is not finished."
    if numbers.beats_guessing is False:
        which = ", above all of the rarest class" if numbers.rarest else ""
        return (
            "Next: look whether the images show what tells the classes apart, and whether their labels are right. "
            f"Then collect more images{which}. A model trained now is of no use."
        )
    if use is not None and use is not winner:
        own, other = (
            in_100(at_size(trial, judgement.rules, judgement.rules.fractions[-1], judgement.rules.objective))
            for trial in (use, winner)
        )
        times = winner.seconds / max(use.seconds, 1e-9)
        return (
            f"Next: train {called(use)} on all images, with the command below. It comes within a point of the winner "
            f"(raw, {own} against {other} in 100) and trains {times:.1f} times as fast."
        )
    return "Next: train it on all images, with the command below."


def advise(judgement: Judgement, advice: Advice) -> Iterator[str]:
    """Yield what to do beside training the model."""
    if advice.good_enough:
        yield _good_enough(judgement, advice)
        return
    if advice.pairs:
        yield _pairs(judgement, advice)
    if advice.weak:
        yield _weak(judgement, advice)
    yield _more_images(judgement, advice)


def _good_enough(judgement: Judgement, advice: Advice) -> str:
    if advice.unmistaken is not None:
        held_out, most = advice.unmistaken, words.percent(advice.unmistaken.wrong_at_most)
        why = f"of {held_out.images:,} held-out images none was taken wrongly, so at most {most} of new ones may be"
        why += " (upper 95 % limit)"
    else:
        why = "even the low end of what to expect is that good"
    line = f"This is good enough, unless mistakes are costly: {why}. More images or more trials can hardly show a gain."
    if cautions.warnings(judgement.record):
        line += " But read the warnings first: what they tell may be the reason."
    return line


def _pairs(judgement: Judgement, advice: Advice) -> str:
    names = judgement.classes
    parts: list[str] = []
    for pair in advice.pairs[: words.NAMED]:
        first, second = (words.quoted(names[number]) for number in pair.classes)
        parts.append(f"{first} and {second} {'' if parts else 'for each other '}in {_of(pair)}")
    more = len(advice.pairs) - words.NAMED
    rest = f", and {words.count(more)} more pair{'s' * (more > 1)} of classes" if more > 0 else ""
    line = f"The winner takes {', '.join(parts)}{rest}: more than chance explains."
    these = "these two" if len(advice.pairs) == 1 else "these classes"
    if doubtful := sum(advice.doubtful):
        line += f" Look at their labels first: {doubtful:,} may be wrong (label_errors.csv)."
    return f"{line} {_collect(judgement, advice, these, 'Then' if doubtful else 'So')}"


def _weak(judgement: Judgement, advice: Advice) -> str:
    parts = [f"{_of(one)} of {words.quoted(judgement.classes[one.classes[0]])}" for one in advice.weak[: words.NAMED]]
    also = "also " if advice.pairs else ""
    line = f"The winner {also}misses {', '.join(parts)}: more than of the other classes, and more than chance explains."
    return f"{line} {_collect(judgement, advice, 'this class' if len(advice.weak) == 1 else 'these classes', 'So')}"


def _of(these: Mistakes) -> str:
    low, high = 100 * these.share.low, 100 * these.share.high
    return f"{these.mistakes:.0f} of {words.amount(round(these.images), 'image')} ({low:.0f} to {high:.0f} in 100)"


def _collect(judgement: Judgement, advice: Advice, these: str, so: str) -> str:
    """Return what to do about some classes, which depends on what more images promise."""
    match advice.more.promise:
        case Promise.HELP:
            return f"{so} collect images of {these}."
        case Promise.LITTLE:
            side = judgement.winner.recipe.side if judgement.winner else 0
            return (
                "More images alone would hardly change that: look whether a person can tell such images apart in "
                f"pictures of {side} px."
            )
    return f"If you collect images, begin with {these}."


def _more_images(judgement: Judgement, advice: Advice) -> str:
    more = advice.more
    between = f"{_signed(more.doubling.low)} to {_signed(more.doubling.high)} points"
    match more.promise:
        case Promise.HELP:
            line = (
                f"More images would help: twice as many would add about {words.points(more.doubling.mean)} (95 % "
                f"interval {between}), if mistakes go on falling at this rate. {_for_a_point(more)}"
            )
            return line if advice.pairs or advice.weak else f"{line} No class stands out, so collect all classes."
        case Promise.LITTLE:
            return (
                "More images like these would hardly help: twice as many would add less than a point (95 % interval "
                f"{between})."
            )
        case Promise.UNSURE:
            return f"Whether more images would help cannot be told: twice as many may bring anything from {between}."
    why = "these folds do not show it"
    if len(judgement.rules.fractions) < 2:
        why = "every trial was trained with all training images alone (see train_fractions)"
    return f"Whether more images would help cannot be told: {why}."


def _signed(gain: float) -> str:
    return words.number(100 * gain, 1, sign=True)


def _for_a_point(more: MoreImages) -> str:
    """Return how many images a point takes; nothing is known of more than another doubling."""
    if more.for_a_point > more.images:
        return "One point would take more than twice as many."
    most = words.about(more.most) if more.most <= more.images else "more than twice as many"
    return f"One point would take about {words.about(more.for_a_point)} more ({words.about(more.least)} to {most})."


def command(judgement: Judgement) -> str:
    """Return the line that retrains the recommended recipe on all images, "" where there is none."""
    if judgement.recommended is None:
        return ""
    folder = judgement.record.folder
    return command_of(folder, "export", to=f"{folder.name}-model")


def facts(judgement: Judgement) -> Iterable[Fact]:
    """Yield the numbers beside the leading one, named."""
    winner, corrected, numbers = judgement.winner, judgement.corrected, outlook(judgement)
    if winner is None or numbers is None:
        return
    raw, metric = interval(winner, judgement.rules), judgement.metric.title
    sizes = "all training sizes" if len(judgement.rules.fractions) > 1 else "folds"
    yield Fact("Raw score", f"{raw.mean:.3f}", f"mean {metric} over {sizes}; {words.limits(raw)}")
    if corrected is None:
        yield Fact("Corrected for having been picked", "cannot be had", judgement.uncorrected)
    else:
        note = f"{words.limits(corrected.score)}{'; the raw score stands' if corrected.raised else ''}"
        yield Fact("Corrected for having been picked", f"{corrected.score.mean:.3f}", note)
        note = f"corrected, {words.limits(corrected.full_accuracy)}; raw, pooled, {corrected.raw_full_accuracy:.3f}"
        yield Fact("Accuracy with all training images", f"{corrected.full_accuracy.mean:.3f}", note)
    yield from _at_sizes(judgement, winner)
    yield Fact("Guessing", f"{numbers.guessing:.3f}", f"the best {metric} of giving every image the same answer")
    for trial, again in judgement.confirmations[:1]:
        yield Fact(f"Trained again on reshuffled folds ({trial.id})", f"{again.mean:.3f}", words.limits(again))
    if judgement.rules.holdout:
        yield _on_holdout(judgement, winner)
    if judgement.recommended is not None and judgement.recommended is not winner:
        yield Fact("Recommended", called(judgement.recommended), summary(judgement, judgement.recommended))


def _at_sizes(judgement: Judgement, winner: Trial) -> Iterator[Fact]:
    """Yield the raw objective at each training size, largest first."""
    sizes = zip(judgement.rules.fractions, judgement.images, judgement.at_sizes(winner), strict=True)
    for fraction, images, own in list(sizes)[::-1]:
        about = f"about {images:.0f}, " if words.known(images) else ""
        share = words.share_of_images(fraction)
        yield Fact(f"Raw, with {share} training images", f"{own.mean:.3f}", f"{about}{judgement.metric.title}")


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
