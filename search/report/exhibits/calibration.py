"""Whether the winner's confidence is worth something: how often it is right at each confidence."""

from collections.abc import Iterable

import altair as alt
import numpy as np

from search.analysis.judgement import Judgement
from search.analysis.stats import Interval, corrected_interval
from search.analysis.stats.scores import calibration
from search.report import words
from search.report.exhibit import Exhibit, Framed, Plot, Row, Sheet, Subject, number, whole
from search.report.style import HALF, PALETTE, Chart, place, tips, values
from search.report.table import Cell, Table, count, limits, records, score, table

BELIEVED = 0.05  # between what is promised and what comes true, on average

COLUMNS = (
    number("low", "Of the bin."),
    number("high", "Of the bin."),
    whole("images"),
    number("confidence"),
    number("accuracy"),
    number("accuracy_low"),
    number("accuracy_high"),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each bin of confidence that holds images."""
    size = judgement.winners_size
    if size is not None:
        yield from (vars(each) for each in calibration(size.confidence[0], size.predictions[0] == size.labels))


def draw(subject: Framed) -> Chart | None:
    """Draw how often the winner is right at each confidence, with 95 % intervals."""
    if subject.frame.empty:
        return None
    rows = [
        {
            **row,
            "between": words.between(row["accuracy_low"], row["accuracy_high"]),
            "bin": f"{row['low']:.2g} to {row['high']:.2g}",
        }
        for row in records(subject.frame)
    ]
    least = max(0.0, float(np.floor(10 * subject.frame["confidence"].min()) / 10))
    scale = alt.Scale(domain=[least, 1], nice=False)
    accuracy = alt.Scale(domain=[0, 1])
    ends: list[Row] = [{"confidence": end, "accuracy": end} for end in (least, 1)]
    x = alt.X("confidence:Q", scale=scale, title="confidence (probability of the predicted class)")
    y = alt.Y("accuracy:Q", scale=accuracy, title=None)
    ideal = alt.Chart(values(ends)).mark_line(color=PALETTE["soft"], strokeDash=[4, 4], strokeWidth=1).encode(x=x, y=y)
    base = alt.Chart(values(rows)).encode(
        x=x,
        tooltip=tips(
            {"bin": "confidence", "images": "images", "accuracy": "right", "between": "95 % interval"}, ("accuracy",)
        ),
    )
    rules = base.mark_rule(strokeWidth=2, opacity=0.55, color=PALETTE["best"]).encode(
        y=alt.Y("accuracy_low:Q", scale=accuracy, title=None), y2="accuracy_high:Q"
    )
    dots = base.mark_point(filled=True, opacity=1, color=PALETTE["best"]).encode(
        y=y, size=alt.Size("images:Q", scale=alt.Scale(range=[30, 300]), legend=None)
    )
    return place(ideal + rules + dots, height=260, width=HALF, above="share of predictions that are right")


def in_words(subject: Framed) -> str:
    """Return the chart in words."""
    bins = subject.frame.sort_values("confidence").itertuples()
    shares = [f"{row.accuracy:.0%} right at {row.confidence:.0%}" for row in bins]
    return f"Share of right predictions by confidence: {', '.join(shares)}."


def bins(subject: Subject) -> Table:
    """Return how often the winner is right at each confidence."""
    return table_of(subject, "the winner")


def table_of(subject: Framed, model: str) -> Table:
    """Return the same of any model, which is called ``model``."""
    return table(
        f"How often {model} is right at each confidence.",
        "confidence | # images | # mean confidence | # share right | # 95 % interval",
        (
            (
                Cell(f"{row['low']:.2g} to {row['high']:.2g}", float(row["low"])),
                count(row["images"]),
                score(row["confidence"]),
                score(row["accuracy"]),
                limits(row["accuracy_low"], row["accuracy_high"]),
            )
            for row in records(subject.frame)
        ),
    )


def sentences(subject: Subject) -> list[str]:
    """Return whether the winner's confidence means what it says, from the folds with all training images."""
    size = subject.judgement.winners_size
    if size is None:
        return []
    right = size.predictions[0] == size.labels
    splits = np.unique(size.split, axis=0)
    gaps = [float((size.confidence[0] - right)[(size.split == split).all(axis=1)].mean()) for split in splits]
    sure, share = float(size.confidence[0].mean()), float(right.mean())
    how = belief(sure - share, corrected_interval(gaps, subject.judgement.rules.parts))
    return [f"{how}: it is {sure:.0%} sure on average, and {share:.0%} right."]


def belief(gap: float, interval: Interval) -> str:
    """Return whether a confidence that is ``gap`` too high can be believed; ``interval`` is that of the folds."""
    if interval.known and interval.low > 0:
        return "It is too sure of itself"
    if interval.known and interval.high < 0:
        return "It is less sure of itself than it could be"
    if abs(gap) <= BELIEVED:
        return "As far as these images show, its confidence can be believed"
    how = "too sure of itself" if gap > 0 else "less sure of itself than it could be"
    return f"It seems {how}, though so few folds cannot settle that"


EXHIBIT = Exhibit(
    "calibration",
    Sheet("calibration", "How often the winner is right at each confidence.", COLUMNS, rows),
    Plot(
        "Is its confidence worth something?",
        draw,
        "On the dashed line a network that is 80 % sure is right 8 times of 10; below it, it is too sure. Larger "
        "dots hold more images.",
        in_words,
    ),
    table=bins,
    folded="Calibration as a table",
    sentences=sentences,
)
