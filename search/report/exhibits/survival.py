"""Who survives with fewer images: the objective at each training size."""

import math
from collections.abc import Iterable
from typing import Any

import altair as alt

from search.analysis.advice import Promise, more_images
from search.analysis.judgement import Judgement
from search.analysis.ledger import at_size
from search.analysis.outlook import outlook
from search.report import words
from search.report.exhibit import Exhibit, Plot, Row, Sheet, Subject, flag, number, trial
from search.report.exhibit import limits as limits_of
from search.report.style import CHOICES, PALETTE, Chart, colours, place, room, tips, values
from search.report.table import Cell, Table, limits, records, score, table, text

MOST = 40
OTHERS = "other complete trials"

COLUMNS = (
    trial(),
    number("fraction", nullable=False),
    number("images", "Mean number of real training images."),
    number("score", "The objective at this size."),
    number("low", "Lower 95 % limit."),
    number("high", "Upper 95 % limit."),
    number("accuracy"),
    number("drop_vs_median"),
    flag("winner"),
    flag("recommended"),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each complete trial at each training size."""
    fractions = judgement.rules.fractions
    for one, of_median in zip(judgement.complete, judgement.drops[1], strict=True):
        for fraction, images, own in zip(fractions, judgement.images, judgement.at_sizes(one), strict=True):
            yield {
                "trial": one.id,
                "fraction": fraction,
                "images": images,
                "score": own.mean,
                **limits_of(own),
                "accuracy": at_size(one, judgement.rules, fraction, "accuracy"),
                "drop_vs_median": of_median,
                "winner": one is judgement.winner,
                "recommended": one is judgement.recommended,
            }


HOVER = {
    "trial": "trial",
    "called": "what",
    "images": "images",
    "score": "score",
    "between": "95 % interval",
    "accuracy": "accuracy",
    "drop_vs_median": "drop against the median drop",
}


def draw(subject: Subject) -> Chart | None:
    """Draw the objective at each number of training images, a line for each trial; None for one training size."""
    frame = subject.frame
    if frame["fraction"].nunique() < 2 or frame["images"].isna().any():  # of how many images, folds.csv knows
        return None
    choices = subject.choices
    best = [one.id for one in subject.judgement.complete]
    lines = list(dict.fromkeys([*choices, *best[:MOST]]))[:MOST]
    rows = [
        {**row, "called": choices.get(row["trial"], OTHERS), "between": words.between(row["low"], row["high"])}
        for row in records(frame[frame["trial"].isin(lines)].drop(columns=["winner", "recommended"]))
    ]
    best_rows = [row for row in rows if row["called"] != OTHERS]
    ends = [row[key] for row in best_rows for key in ("low", "high")]
    y = alt.Y(
        "score:Q",
        scale=alt.Scale(domain=room([row["score"] for row in rows] + ends), nice=False, clamp=True),
        title=None,
    )
    colour = alt.Color(
        "called:N", scale=colours({**CHOICES, OTHERS: PALETTE["rest"]}, (row["called"] for row in rows)), title=None
    )
    hover = tips(HOVER, ("score", "accuracy", "drop_vs_median"))
    x = _across(row["images"] for row in rows)
    base = alt.Chart(values(rows)).encode(x=x, y=y, detail="trial:N", tooltip=hover)
    others = base.transform_filter(f"datum.called == '{OTHERS}'")
    choice = alt.Chart(values(best_rows)).encode(x=x, y=y, color=colour, detail="trial:N", tooltip=hover)
    band = choice.mark_area(opacity=0.13).encode(y=alt.Y("low:Q"), y2="high:Q", tooltip=alt.value(None))
    return place(
        others.mark_line(strokeWidth=1, strokeOpacity=0.6).encode(color=colour)
        + others.mark_point(filled=True, size=14, opacity=0.6).encode(color=colour)
        + band
        + choice.mark_line(strokeWidth=3)
        + choice.mark_point(filled=True, size=70, opacity=1),
        height=340,
        above=f"{subject.objective} at that training size",
    )


def _across(numbers: Iterable[float]) -> alt.X:
    """Return the axis of training images, with a tick at each number that there is."""
    images = sorted({round(count, 1) for count in numbers})
    return alt.X(
        "images:Q",
        scale=alt.Scale(type="log", domain=[images[0] / 1.06, images[-1] * 1.06], nice=False),
        axis=alt.Axis(values=_apart(images), format=",.0f"),
        title="real training images (logarithmic)",
    )


def _apart(numbers: list[float]) -> list[float]:
    """Return those numbers that a logarithmic axis can name without one label on another."""
    apart = numbers[:1]
    for images in numbers[1:]:
        if images > 1.12 * apart[-1]:
            apart.append(images)
    return apart


def reading(subject: Subject) -> str:
    """Return how to read the chart."""
    of = len(subject.judgement.complete)
    return (
        "A flat line loses little with few images. But what counts is to be high at every size: bad recipes lose "
        "little, because they have little to lose. Bands are 95 % intervals." + words.only(MOST, of)
    )


def in_words(subject: Subject) -> str:
    """Return the chart in words."""
    lines = []
    for name, choice in subject.choices.items():
        sizes = subject.frame[subject.frame["trial"] == name].sort_values("images", ascending=False)
        scores = ", ".join(f"{words.number(row.score)} with {row.images:.0f} images" for row in sizes.itertuples())
        lines.append(f"the {choice} {name} has {scores}")
    return f"Lines of {subject.objective} over the number of training images: {'; '.join(lines)}."


def sizes(subject: Subject) -> Table:
    """Return the winner, the recommended trial and the baselines at each training size."""
    choices = subject.choices
    baselines = {one.id: f"baseline: {one.baseline}" for one in subject.judgement.complete if one.baseline}
    names = choices | {name: title for name, title in baselines.items() if name not in choices}
    frame = subject.frame
    return table(
        f"The {subject.objective} at each training size. Its drop to the smallest size is compared with the "
        "median drop of all complete trials, because bad recipes have little to lose.",
        "trial | what | # training images | # score at that size | # 95 % interval | # accuracy | # drop against the "
        "median",
        (
            (
                text(row["trial"]),
                text(names[row["trial"]]),
                _images(row),
                score(row["score"]),
                limits(row["low"], row["high"]),
                score(row["accuracy"]),
                score(row["drop_vs_median"], sign=True),
            )
            for name in names
            for row in records(frame[frame["trial"] == name])
        ),
    )


def _images(row: dict[Any, Any]) -> Cell:
    if not words.known(row["images"]):
        return text(words.size(row["fraction"]))
    return Cell(f"{row['images']:,.0f} ({words.size(row['fraction'])})", float(row["images"]))


def sentences(subject: Subject) -> list[str]:
    """Return how the winner survives with fewer images, and whether more of them or more tuning would help."""
    judgement, rules = subject.judgement, subject.judgement.rules
    if judgement.winner is None or len(rules.fractions) < 2:
        return ["All trials were trained with all training images, so nothing is known of fewer."]
    drop, of_median = (float(values[0]) for values in judgement.drops)
    than = "less than" if of_median < 0 else "more than"
    of_others = f", {words.points(abs(of_median))} {than} the median recipe" if len(judgement.complete) > 2 else ""
    fewest, name = words.share_of_images(rules.fractions[0]), words.spaced(rules.objective)
    if drop < 0:  # by luck: it is no worse with fewer
        lines = [f"With {fewest} images the winner loses nothing: it has {words.points(-drop)} of {name} more."]
    else:
        lines = [f"With {fewest} images the winner loses {words.points(drop)} of {name}{of_others}."]
    firsts = {}
    for size, means in zip(rules.fractions, judgement.cells.mean(axis=2).T, strict=True):
        firsts[size] = judgement.complete[int(means.argmax())].id
    if len(set(firsts.values())) > 1:
        listed = ", ".join(f"{trial} with {words.share_of_images(size)} images" for size, trial in firsts.items())
        lines.append(f"Other recipes are first at other sizes: {listed}. That may be luck.")
    return [*lines, *_more_images(judgement)]


def _more_images(judgement: Judgement) -> list[str]:
    slope, numbers = judgement.slope, outlook(judgement)
    if slope is None or not slope.known or numbers is None:
        return ["Whether more images would help cannot be told from these folds."]
    ends = f"95 % interval {100 * slope.low:+.1f} to {100 * slope.high:+.1f}"
    between = f"{words.signed(slope.mean)} for each doubling of images, {ends}"
    promise = more_images(judgement, numbers).promise
    if promise is Promise.LITTLE:
        gain = f"More images of this kind would add little: between the two largest sizes the winner gained {between}"
    elif promise is Promise.HELP:
        gain = f"More images would help: between the two largest sizes the winner gained {between}"
    else:
        gain = f"Whether more images would help is not sure: between the two largest sizes the winner gained {between}"
    lines = [f"{gain}. Curves flatten, so expect less from further images."]
    if judgement.curve:
        more = judgement.curve.at(2 * judgement.images[-1])
        fit = f"residual {words.points(judgement.curve.residual)}"
        sizes = len(judgement.images)
        lines.append(
            f"By the curve a + b n^-c through the {sizes} sizes ({fit}) it would have {more:.3f} with twice the images."
        )
    return [*lines, *_more_tuning(judgement, promise)]


def _more_tuning(judgement: Judgement, promise: Promise) -> list[str]:
    """Return how much better another recipe would have to be to be seen, and what that says of searching on."""
    nearest = judgement.differences[0] if judgement.differences else None
    if nearest is None or math.isinf(nearest.high):
        return []
    visible = nearest.high - nearest.mean
    line = f"With so few images a recipe must be some {words.points(visible)} better to be recognised as better."
    if promise is Promise.HELP:
        line += " So more images promise more than more tuning."
    return [line]


EXHIBIT = Exhibit(
    "survival",
    Sheet("survival", "The objective of complete trials at each training size.", COLUMNS, rows),
    Plot(
        "Who survives with fewer images",
        draw,
        reading,
        in_words,
        absent="There is only one training size, so nothing shows how scores fall with fewer images.",
    ),
    table=sizes,
    sentences=sentences,
)
