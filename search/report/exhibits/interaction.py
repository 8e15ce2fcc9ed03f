"""Backbone and depth together: the mean score of each pair."""

import math
from collections.abc import Iterable

import altair as alt

from search.analysis.judgement import Judgement
from search.analysis.stats.comparing import ALPHA
from search.repertoire.recipe import ALL, HEAD_ONLY
from search.report import words
from search.report.exhibit import Exhibit, Plot, Row, Sheet, Subject, limits, number, string, whole
from search.report.style import DEEPEST, PALETTE, Chart, place, tips, values
from search.report.table import Table, count, records, score, table, text
from search.report.table import limits as interval

DEPTHS = {HEAD_ONLY: -1, ALL: 10**6}  # beside numbers of blocks

COLUMNS = (
    string("backbone"),
    string("unfrozen_blocks", "head only, a number, or all."),
    whole("trials"),
    number("score"),
    number("low", "Lower 95 % limit."),
    number("high", "Upper 95 % limit."),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each pair of backbone and depth."""
    for cell in sorted(judgement.interaction, key=lambda cell: (cell.first, _depth(cell.second))):
        yield {
            "backbone": cell.first,
            "unfrozen_blocks": cell.second,
            "trials": cell.trials,
            "score": cell.mean,
            **limits(cell),
        }


def _depth(name: str) -> int:
    return DEPTHS[name] if name in DEPTHS else int(name)


def draw(subject: Subject) -> Chart | None:
    """Draw the mean score of each backbone at each depth: number and count in every cell, deeper where better."""
    known = subject.frame.dropna(subset=["score"])
    if len(known) < 2:
        return None
    low, high = known["score"].min(), known["score"].max()
    rows = [
        {
            **row,
            "told": words.number(row["score"]),
            "count": f"{row['trials']} trial" + ("" if row["trials"] == 1 else "s"),
            "between": words.between(row["low"], row["high"]),
            "deep": 0.03 + (DEEPEST - 0.03) * (row["score"] - low) / (high - low or 1),
        }
        for row in records(known)
    ]
    depths = sorted(known["unfrozen_blocks"].astype(str).unique(), key=_depth)
    base = alt.Chart(values(rows)).encode(
        x=alt.X(
            "unfrozen_blocks:N",
            sort=depths,
            title="unfrozen blocks, from the top",
            axis=alt.Axis(orient="top", labelAngle=0, labelColor=PALETTE["ink"]),
        ),
        y=alt.Y("backbone:N", axis=alt.Axis(title=None, labelColor=PALETTE["ink"])),
        tooltip=tips(
            {"backbone": "backbone", "unfrozen_blocks": "unfrozen blocks", "told": "mean score"}
            | {"between": "95 % interval", "trials": "trials"}
        ),
    )
    cells = base.mark_rect(color=PALETTE["best"], cornerRadius=3, stroke=PALETTE["paper"], strokeWidth=2).encode(
        fillOpacity=alt.FillOpacity("deep:Q", scale=None, legend=None)
    )
    means = base.mark_text(dy=-6, fontWeight="bold").encode(text="told:N")
    return place(
        cells + means + base.mark_text(dy=9, fontSize=11).encode(text="count:N"),
        height=46 * known["backbone"].nunique(),
    )


def in_words(subject: Subject) -> str:
    """Return the chart in words."""
    best = subject.frame.sort_values("score", ascending=False).head(words.NAMED)
    cells = [f"{row.backbone} with {row.unfrozen_blocks}: {words.number(row.score)}" for row in best.itertuples()]
    return f"Heat map of mean scores by backbone and unfrozen blocks; the best are {'; '.join(cells)}."


def pairs(subject: Subject) -> Table:
    """Return the mean score of each backbone at each depth."""
    return table(
        "Mean score of each backbone at each depth.",
        "backbone | unfrozen blocks | # trials | # score | # 95 % interval",
        (
            (
                text(row["backbone"]),
                text(row["unfrozen_blocks"]),
                count(row["trials"]),
                score(row["score"]),
                interval(row["low"], row["high"]),
            )
            for row in records(subject.frame)
        ),
    )


def sentences(subject: Subject) -> list[str]:
    """Return whether the best depth depends on the backbone, as far as that can be told."""
    if subject.frame.empty:
        return []
    p = subject.judgement.depends
    if math.isnan(p):
        return ["Whether the best depth depends on the backbone cannot be judged from these trials."]
    verb = "depends on" if p < ALPHA else "is not shown to depend on"
    return [f"What unfreezing does {verb} the backbone (F test of the interaction, p {p:.2g})."]


EXHIBIT = Exhibit(
    "interaction",
    Sheet("interaction", "Mean score of each pair of backbone and unfrozen depth.", COLUMNS, rows),
    Plot(
        "Backbone and depth together",
        draw,
        "Mean score of the trials with both, deeper the better, and how many they are. It is estimated from the "
        "runs that there are: what a stopped trial has not run is filled in from how the others did there.",
        in_words,
    ),
    table=pairs,
    folded="Backbone and depth as a table",
    sentences=sentences,
)
