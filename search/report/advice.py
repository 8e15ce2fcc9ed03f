"""The advice in words: good enough as it is, or which classes to look after and what more images promise."""

from collections.abc import Iterator

from search.analysis.advice import Advice, MoreImages, Promise
from search.analysis.judgement import Judgement
from search.analysis.stats.confusions import Mistakes
from search.report import cautions, words


def sentences(judgement: Judgement, advice: Advice) -> Iterator[str]:
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
