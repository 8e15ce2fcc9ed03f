"""Backbone and depth together: the mean score of each pair."""

import math
from collections.abc import Iterable

import altair as alt
import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.ledger import interval as interval_of
from search.analysis.stats.comparing import ALPHA
from search.repertoire.architecture import ALL, HEAD_ONLY, depth
from search.repertoire.recipe import Recipe
from search.report import words
from search.report.exhibit import Exhibit, Plot, Row, Sheet, Subject, flag, limits, number, string, whole
from search.report.style import DEEPEST, PALETTE, Chart, place, tips, values
from search.report.table import Table, count, records, score, table, text
from search.report.table import limits as interval

DEPTHS = {HEAD_ONLY: -1, ALL: 10**6}  # beside numbers of blocks

COLUMNS = (
    string("backbone"),
    string("unfrozen_blocks", "head only, a number, or all."),
    whole("trials", "With the baselines."),
    number("score"),
    number("low", "Lower 95 % limit."),
    number("high", "Upper 95 % limit."),
    string("baselines", "Those among the trials."),
    string("best", "The best complete trial with both; empty where none is complete."),
    number("best_score"),
    flag("winner", "Whether that is the winner."),
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
            **_members(judgement, cell.first, cell.second),
        }


def _members(judgement: Judgement, backbone: str, unfrozen: str) -> Row:
    """Return which trials of a pair stand out."""
    names = {
        one.id: one.baseline
        for one in judgement.record.history.trials.values()
        if one.runs and isinstance(one.recipe, Recipe)
        if (one.recipe.architecture.name, depth(one.recipe)) == (backbone, unfrozen)
    }
    best = next((one for one in judgement.complete if one.id in names), None)
    return {
        "baselines": ", ".join(name for name, baseline in names.items() if baseline),
        "best": best.id if best else "",
        "best_score": interval_of(best, judgement.rules).mean if best else math.nan,
        "winner": best is not None and best is judgement.winner,
    }


def _depth(name: str) -> int:
    return DEPTHS[name] if name in DEPTHS else int(name)


def _cells(known: pd.DataFrame) -> list[Row]:
    """Return what is drawn and told of each pair."""
    low, high = known["score"].min(), known["score"].max()
    return [
        {
            **row,
            "told": words.number(row["score"]),
            "count": f"{row['trials']} trial" + ("" if row["trials"] == 1 else "s"),
            "mark": ", ".join(filter(None, ["winner" if row["winner"] else "", row["baselines"]])),
            "top": f"{row['best']} {words.number(row['best_score'])}" if row["best"] else words.MISSING,
            "between": words.between(row["low"], row["high"]),
            "deep": 0.03 + (DEEPEST - 0.03) * (row["score"] - low) / (high - low or 1),
        }
        for row in records(known)
    ]


def draw(subject: Subject) -> Chart | None:
    """Draw the mean score of each backbone at each depth: number and count in every cell, deeper where better."""
    known = subject.frame.dropna(subset=["score"])
    if len(known) < 2:
        return None
    depths = sorted(known["unfrozen_blocks"].astype(str).unique(), key=_depth)
    base = alt.Chart(values(_cells(known))).encode(
        x=alt.X(
            "unfrozen_blocks:N",
            sort=depths,
            title="unfrozen blocks, from the top",
            axis=alt.Axis(orient="top", labelAngle=0, labelColor=PALETTE["ink"]),
        ),
        y=alt.Y("backbone:N", axis=alt.Axis(title=None, labelColor=PALETTE["ink"])),
        tooltip=tips(
            {"backbone": "backbone", "unfrozen_blocks": "unfrozen blocks", "told": "mean score"}
            | {"between": "95 % interval", "trials": "trials", "baselines": "baselines", "top": "best of them"}
        ),
    )
    cells = base.mark_rect(color=PALETTE["best"], cornerRadius=3, stroke=PALETTE["paper"], strokeWidth=2).encode(
        fillOpacity=alt.FillOpacity("deep:Q", scale=None, legend=None)
    )
    frames = base.transform_filter("datum.winner").mark_rect(
        filled=False, cornerRadius=3, stroke=PALETTE["best"], strokeWidth=2
    )
    means = base.mark_text(dy=-14, fontWeight="bold").encode(text="told:N")
    counts = base.mark_text(dy=1, fontSize=11).encode(text="count:N")
    marks = base.mark_text(dy=15, fontSize=11).encode(text="mark:N")
    return place(
        cells + frames + means + counts + marks,
        height=56 * known["backbone"].nunique(),
        narrowest=max(300, 130 + 72 * len(depths)),
    )


def in_words(subject: Subject) -> str:
    """Return the chart in words."""
    best = subject.frame.sort_values("score", ascending=False).head(words.NAMED)
    cells = [f"{row.backbone} with {row.unfrozen_blocks}: {words.number(row.score)}" for row in best.itertuples()]
    return f"Heat map of mean scores by backbone and unfrozen blocks; the highest means are {'; '.join(cells)}."


def pairs(subject: Subject) -> Table:
    """Return the mean score of each backbone at each depth."""
    return table(
        "Mean score of each backbone at each depth, and the best trial with both. Baselines are among the trials.",
        "backbone | unfrozen blocks | # trials | baselines | # mean score | # 95 % interval | best trial | # its score",
        (
            (
                text(row["backbone"]),
                text(row["unfrozen_blocks"]),
                count(row["trials"]),
                text(row["baselines"]),
                score(row["score"]),
                interval(row["low"], row["high"]),
                text(f"{row['best']} (winner)" if row["winner"] else row["best"]),
                score(row["best_score"]),
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
        "Mean score of the trials with both, deeper the better, how many they are, and which baselines are among "
        "them; the winner's cell has a frame. It is estimated from the runs that there are: what a stopped trial has "
        "not run is filled in from how the others did there.",
        in_words,
    ),
    table=pairs,
    folded="Backbone and depth as a table",
    sentences=sentences,
)
