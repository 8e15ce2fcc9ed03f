"""Do synthetic images help: recipes with them beside the same recipes without, also by class and on hard images."""

import math
from collections.abc import Iterable

import altair as alt

from search.analysis.judgement import Judgement
from search.analysis.stats.comparing import ALPHA
from search.analysis.synthetic import COPIES, HARD_IMAGES, NONE, Gain, Pair, part_gains, worth
from search.journal.outcomes import Status
from search.repertoire.recipe import Recipe
from search.report import words
from search.report.exhibit import Exhibit, Plot, Row, Sheet, Subject, number, string, trial, whole
from search.report.exhibit import limits as limits_of
from search.report.style import LEVELS, PALETTE, Chart, place, tips, values
from search.report.table import Table, count, limits, p_value, records, score, table, text

ALL_SIZES = "all training sizes"
MOST = 30  # recipes in the chart
BAR = 22  # px for each of them and each size
LABELS = 340  # px of the longest name

OF_PAIR = (
    trial(),
    trial("reference"),
    string("synthetic", "The amount of synthetic images and their method, in words."),
)

COLUMNS = (
    *OF_PAIR,
    string("method", "How they were made."),
    string("against", "What the reference has instead: none, or as many copies of real images.", levels=(NONE, COPIES)),
    number("fraction", "The training size as a part, null for the mean over all sizes."),
    number("images", "Mean number of real training images."),
    number("difference", "The objective, trial minus reference."),
    number("low", "Lower 95 % limit."),
    number("high", "Upper 95 % limit."),
    number("p", "Two-sided, of this comparison alone."),
    number("p_holm", "After Holm's adjustment over the recipes with the same kind of reference, at the same size."),
)

PART_COLUMNS = (
    *OF_PAIR,
    string("against", "What the reference has instead.", levels=(NONE, COPIES)),
    string("part", f"A class, or {HARD_IMAGES!r}: those that at least half of the other recipes get wrong."),
    whole("images"),
    number("before", "Accuracy of the reference on them, out of fold, at the largest training size."),
    number("after", "Accuracy of the trial."),
    number("difference"),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each recipe with synthetic images beside its reference, at each training size and over all."""
    for gain in judgement.gains:
        yield {
            **_of_pair(gain.pair),
            "method": gain.pair.method,
            "fraction": math.nan if gain.fraction is None else gain.fraction,
            "images": gain.images,
            "difference": gain.difference.mean,
            **limits_of(gain.difference),
            "p": gain.p,
            "p_holm": gain.p_holm,
        }


def part_rows(judgement: Judgement) -> Iterable[Row]:
    """Yield how each recipe with synthetic images does on each class and on hard images."""
    for gain in part_gains(judgement):
        yield {
            **_of_pair(gain.pair),
            "part": gain.part,
            "images": gain.images,
            "before": gain.reference,
            "after": gain.trial,
            "difference": gain.trial - gain.reference,
        }


def _of_pair(pair: Pair) -> Row:
    return {
        "trial": pair.trial.id,
        "reference": pair.reference.id,
        "synthetic": pair.words,
        "against": pair.against,
    }


def _size(fraction: float) -> str:
    return words.size(fraction) if words.known(fraction) else ALL_SIZES


def draw(subject: Subject) -> Chart | None:
    """Draw the differences against none, with their intervals, at each training size."""
    frame = subject.frame[(subject.frame["against"] == NONE) & subject.frame["low"].notna()]
    if frame.empty:
        return None
    names = list(dict.fromkeys(frame["synthetic"]))[:MOST]
    rows = [
        {
            "synthetic": row["synthetic"],
            "size": _size(row["fraction"]),
            "points": 100 * row["difference"],
            "low": 100 * row["low"],
            "high": 100 * row["high"],
            "trial": row["trial"],
            "between": words.between(row["low"], row["high"], sign=True),
        }
        for row in records(frame[frame["synthetic"].isin(names)])
    ]
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    shades = [*LEVELS[: len(sizes) - 1], PALETTE["best"]]  # those of single sizes, and the last one
    scale = alt.Scale(domain=sizes, range=shades)
    hover = tips({"synthetic": "synthetic images", "size": "training size", "points": "points", "between": "95 %"})
    base = alt.Chart(values(rows)).encode(
        y=alt.Y("synthetic:N", sort=names, title=None, axis=alt.Axis(labelLimit=LABELS)),
        yOffset=alt.YOffset("size:N", sort=sizes),
        color=alt.Color("size:N", scale=scale, title=None),
        tooltip=hover,
    )
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="points more than without"), x2="high:Q")
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(x="points:Q")
    zero = alt.Chart(values([{"zero": 0}])).mark_rule(color=PALETTE["soft"], strokeDash=[4, 3]).encode(x="zero:Q")
    height = max(80, BAR * len(names) * len(sizes))
    return place(zero + bars + dots, height=height, above=f"{subject.objective}, with synthetic images minus without")


def in_words(subject: Subject) -> str:
    """Return the chart in words."""
    frame = subject.frame[subject.frame["against"] == NONE]
    lines = [
        f"{row['synthetic']}, {_size(row['fraction'])}: {words.signed(row['difference'])} "
        f"({words.between(row['low'], row['high'], sign=True)})"
        for row in records(frame)
    ]
    return f"Differences to the same recipe without synthetic images. {'; '.join(lines)}."


def differences(subject: Subject) -> Table:
    """Return all differences as a table."""
    return table(
        f"The {subject.objective} of each recipe with synthetic images minus that of the same recipe without them, or "
        "with as many augmented copies of real images, on the same folds.",
        "synthetic images | instead of | training size | # real images | # difference | # 95 % interval | # p | "
        "# p, Holm | trials",
        (
            (
                text(row["synthetic"]),
                text(row["against"]),
                text(_size(row["fraction"])),
                count(round(row["images"])) if words.known(row["images"]) else text(""),
                score(row["difference"], sign=True),
                limits(row["low"], row["high"], sign=True),
                p_value(row["p"]),
                p_value(row["p_holm"]),
                text(f"{row['trial']}, {row['reference']}"),
            )
            for row in records(subject.frame)
        ),
    )


def parts(subject: Subject) -> Table:
    """Return the accuracies by class and on hard images."""
    return table(
        "Accuracy at the largest training size, by class and on the hard images: those that at least half of the other "
        "recipes get wrong; where most of these have synthetic images too, that is what such recipes find hard. These "
        "differences have no intervals: read them as hints.",
        "synthetic images | instead of | part | # images | # without | # with | # difference",
        (
            (
                text(row["synthetic"]),
                text(row["against"]),
                text(row["part"]),
                count(row["images"]),
                score(row["before"]),
                score(row["after"]),
                score(row["difference"], sign=True),
            )
            for row in records(subject.frame)
        ),
    )


def sentences(subject: Subject) -> list[str]:
    """Return whether synthetic images help, in one sentence, what that is worth, and what mere copies do."""
    judgement = subject.judgement
    every = [gain for gain in judgement.gains if _is_overall(gain, judgement)]
    against_none = [gain for gain in every if gain.pair.against == NONE]
    overall = [gain for gain in against_none if gain.pair.method != COPIES]
    copies = [gain for gain in against_none if gain.pair.method == COPIES]
    if not overall and not copies:
        return _nothing_to_compare(judgement)
    lines = [_verdict(overall, judgement)] if overall else []
    if copies:
        best = _best(copies)
        lines.append(f"As many copies of real images do this instead: at best {best.pair.words}, {_in_points(best)}.")
    return [*lines, *_against_copies(every), *_stopped(judgement)]


def _best(some: list[Gain]) -> Gain:
    return max(some, key=lambda gain: gain.difference.mean)


def _told(some: list[Gain]) -> tuple[list[Gain], list[Gain]]:
    """Return those that are told from nothing: the better ones, and the worse ones."""
    sure = [gain for gain in some if gain.p_holm < ALPHA]
    return [one for one in sure if one.difference.mean > 0], [one for one in sure if one.difference.mean < 0]


def _verdict(overall: list[Gain], judgement: Judgement) -> str:
    helpful, harmful = _told(overall)
    if helpful:
        best, full = _best(helpful), judgement.rules.fractions[-1]
        at_full = next(one for one in judgement.gains if one.pair == best.pair and one.fraction == full)
        return f"They help: {best.pair.words} gains {_in_points(best)}{_is_worth(at_full, judgement)}."
    if len(harmful) == len(overall):
        best = _best(overall)
        return f"They harm: the best of them, {best.pair.words}, is at {_in_points(best)}."
    return _not_told(overall, _best(overall))


def _is_overall(gain: Gain, judgement: Judgement) -> bool:
    return gain.fraction is None or len(judgement.rules.fractions) == 1


def _nothing_to_compare(judgement: Judgement) -> list[str]:
    used = [one for one in judgement.complete if one.recipe.synthetic]
    if not used:
        return []
    line = (
        f"{words.amount(len(used), 'complete recipe')} used synthetic images, but no complete one is the same without "
        "them, so whether they help cannot be told. spaces/synthetic_study.py compares such pairs."
    )
    return [line]


def _stopped(judgement: Judgement) -> list[str]:
    """Return how many recipes with synthetic images racing has left out of the comparison."""
    stopped = [
        trial
        for trial in judgement.record.history.with_status(Status.STOPPED)
        if isinstance(trial.recipe, Recipe) and trial.recipe.synthetic
    ]
    if not stopped:
        return []
    line = (
        f"{words.amount(len(stopped), 'more recipe')} with synthetic images stopped early and cannot be compared so; "
        "--no-racing completes all."
    )
    return [line]


def _gains(gain: Gain) -> str:
    """Return a difference with its verb: what is below zero is a loss."""
    mean = gain.difference.mean
    return f"loses {words.points(-mean)}{_between(gain)}" if mean < 0 else f"gains {_in_points(gain)}"


def _in_points(gain: Gain) -> str:
    return f"{words.signed(gain.difference.mean)}{_between(gain)}"


def _between(gain: Gain) -> str:
    low, high = gain.difference.low, gain.difference.high
    if not math.isfinite(low):
        return " (what chance does is not known)"
    return f" (95 % interval {100 * low:+.1f} to {100 * high:+.1f})"


def _not_told(overall: list[Gain], best: Gain) -> str:
    """Return that nothing was seen, and how large what there is may be."""
    known = [gain.difference for gain in overall if math.isfinite(gain.difference.low)]
    if not known:
        return f"Whether they help cannot be told from these folds: at best {best.pair.words}, {_in_points(best)}."
    if len(overall) == 1:
        low, high = known[0].low, known[0].high
        return (
            f"No help was seen: the difference is between {100 * low:+.1f} and {100 * high:+.1f} points "
            f"({best.pair.words})."
        )
    low, high = min(gap.low for gap in known), max(gap.high for gap in known)
    return (
        f"No help was seen: of {len(overall)} recipes with synthetic images the best, {best.pair.words}, "
        f"{_gains(best)}, which is not told from nothing once all are counted; every difference is between "
        f"{100 * low:+.1f} and {100 * high:+.1f} points."
    )


def _is_worth(at_full: Gain, judgement: Judgement) -> str:
    """Return what the gain at the largest size is worth in real images, "" where the curve does not tell.

    It is read off the learning curve of the same recipe without synthetic images, which ends at that size.
    """
    scores = [interval.mean for interval in judgement.at_sizes(at_full.pair.reference)]
    gap, there = at_full.difference, judgement.images[-1]
    more, low, high = (worth(each, judgement.images, scores) for each in (gap.mean, gap.low, gap.high))
    if math.isnan(more):
        return ""
    lead = f"; at {there:,.0f} real images it is {_in_points(at_full)}"
    if not gap.mean > 0 or not math.isfinite(gap.low):
        return lead
    if more > there:  # beyond what the curve has shown
        return f"{lead}, worth more than twice as many"
    highest = f"{high:,.0f}" if high <= there else "more than twice as many"
    return (
        f"{lead}, worth about as much as {more:,.0f} more real ones ({low:,.0f} to {highest}, by what the last "
        "doubling of real images gained)"
    )


def _against_copies(every: list[Gain]) -> list[str]:
    """Return whether any recipe beats as many copies of real images."""
    overall = [gain for gain in every if gain.pair.against == COPIES]
    if not overall:
        return []
    helpful, harmful = _told(overall)
    if helpful:
        best = _best(helpful)
        return [f"They do more than as many copies of real images: {best.pair.words} gains {_in_points(best)}."]
    best = _best(overall)
    if len(harmful) == len(overall):
        return [f"They do less than as many copies of real images: at best {best.pair.words}, {_in_points(best)}."]
    return [f"They are not told from as many copies of real images: at best {best.pair.words}, {_in_points(best)}."]


EXHIBIT = Exhibit(
    "synthetic_gains",
    Sheet("synthetic_gains", "Recipes with synthetic images beside the same recipes without them.", COLUMNS, rows),
    Plot(
        "What synthetic images add",
        draw,
        "A dot is the difference to the same recipe without synthetic images, on the same folds; the bar is its 95 % "
        "interval. Where the bar crosses zero, the difference may be chance.",
        in_words,
    ),
    table=differences,
    sentences=sentences,
)
PARTS = Exhibit(
    "synthetic_parts",
    Sheet(
        "synthetic_parts",
        "Accuracy with and without synthetic images, by class and on hard images.",
        PART_COLUMNS,
        part_rows,
    ),
    table=parts,
    folded="By class, and for hard images",
)
