"""Which trials are best, and how sure that is."""

from typing import Any

import altair as alt
import pandas as pd

from search.analysis.stats.comparing import Standing
from search.journal.outcomes import Status
from search.repertoire.networks import HYPERPARAMETER
from search.report import cautions, words
from search.report.exhibit import Exhibit, Plot, Row, Subject
from search.report.exhibits import trials
from search.report.style import PALETTE, Chart, colours, place, room, tips, values
from search.report.table import MOST as ROWS
from search.report.table import Cell, Table, count, limits, p_value, records, score, table, text
from search.report.table import Row as TableRow

MOST = 30
STANDINGS: dict[str, str] = {  # the colour of each word
    Standing.BEST: PALETTE["best"],
    Standing.ALIKE: PALETTE["level3"],
    Standing.PROBABLY_WORSE: PALETTE["level2"],
    Standing.WORSE: PALETTE["rest"],
    Standing.UNJUDGED: PALETTE["soft"],
}
FURTHER = {"log_loss": "log loss", "calibration_error": "calibration error", "roc_auc": "ROC AUC"}


def draw(subject: Subject) -> Chart | None:
    """Draw a dot and the 95 % interval for each complete trial, best at the top; baselines are diamonds."""
    best = trials.best(subject.frame, MOST, subject.judgement.recommended)
    if best.empty:
        return None
    rows = marks(subject, best)
    scale = alt.Scale(domain=room([row[key] for row in rows for key in ("score", "low", "high")]), nice=False)
    y = alt.Y("name:N", sort=[row["name"] for row in rows], axis=alt.Axis(title=None, labelColor=PALETTE["ink"]))
    base = alt.Chart(values(rows)).encode(y=y, tooltip=mark_tips(subject))
    x = alt.X("score:Q", scale=scale, title=words.SCORE)
    first = alt.Chart(values(rows[:1])).mark_rule(color=PALETTE["rest"], strokeDash=[2, 3]).encode(x=x)
    rules = base.mark_rule(strokeWidth=2, opacity=0.55, clip=True).encode(
        x=alt.X("low:Q", scale=scale), x2="high:Q", color=colour(best)
    )
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(x=x, color=colour(best), shape=shape())
    middle = sum(scale["domain"]) / 2
    return place(first + rules + dots + names(base.encode(x=x), f"datum.score > {middle}"), height=24 * len(rows))


def colour(best: pd.DataFrame) -> alt.Color:
    """Return the colours of trials, by their standing."""
    legend = alt.Legend(title=None, symbolType="circle")
    return alt.Color("standing:N", scale=colours(STANDINGS, best["standing"]), legend=legend)


def shape() -> alt.Shape:
    """Return the shapes of trials: baselines are diamonds."""
    return alt.Shape("what:N", scale=alt.Scale(domain=["trial", "baseline"], range=["circle", "diamond"]), legend=None)


def names(base: alt.Chart, late: str) -> alt.LayerChart:
    """Return what trials are called, beside their dots: to the left of those for which ``late`` holds."""
    ink = alt.condition("datum.called == 'recommended'", alt.value(PALETTE["recommended"]), alt.value(PALETTE["ink"]))
    every = base.encode(text="called:N", color=ink).transform_filter("datum.called != ''")
    font: dict[str, Any] = {"dy": -9, "fontSize": 11, "fontWeight": "bold"}
    left = every.transform_filter(late).mark_text(align="right", dx=-5, **font)
    right = every.transform_filter(f"!({late})").mark_text(align="left", dx=5, **font)
    return left + right


def marks(subject: Subject, best: pd.DataFrame) -> list[Row]:
    """Return the data of trials for charts in which each is a mark."""
    choices, sizes, builds = subject.choices, subject.sizes, _builds_networks(best)
    return [
        {
            **{field: words.setting(row[field]) for field in words.FIELDS if field in row},
            "name": f"{row['trial']}  {_short(row)}",
            "trial": row["trial"],
            "what": "baseline" if row["baseline"] else "trial",
            "called": choices.get(row["trial"], "baseline" if row["baseline"] else ""),
            "standing": row["standing"],
            "score": row["score"],
            "low": row["score_low"],
            "high": row["score_high"],
            "between": words.between(row["score_low"], row["score_high"]),
            "seconds": row["seconds"],
            "time": words.seconds(row["seconds"]),
            **{field: row[field] for field in FURTHER if field in row},
            **{f"accuracy{at}": row[trials.at("accuracy", size)] for at, size in enumerate(sizes)},
        }
        | ({"summary": row["summary"]} if builds else {})
        for row in records(best)
    ]


def _builds_networks(frame: pd.DataFrame) -> bool:
    """Return whether there are hyperparameters among the columns, whose names a chart may not know how to read."""
    return any(str(name).startswith(HYPERPARAMETER) for name in frame.columns)


def _short(row: dict[Any, Any]) -> str:
    """Return what a trial is in a few words: its baseline, or its backbone and depth."""
    return row["baseline"] or ", ".join(str(row["summary"]).split(", ")[:2])


def mark_tips(subject: Subject) -> list[alt.Tooltip]:
    """Return what is told at the mark of a trial."""
    sizes = subject.sizes
    accuracy = {f"accuracy{at}": f"accuracy, {words.size(size)}" for at, size in enumerate(sizes)}
    titles = {
        "trial": "trial",
        "score": "score",
        "between": "95 % interval",
        "standing": "standing",
        **accuracy,
        **{field: title for field, title in FURTHER.items() if field in subject.frame},
        "time": "time",
        **{field: title for field, title in words.FIELDS.items() if field in subject.frame},
        **({"summary": "recipe"} if _builds_networks(subject.frame) else {}),
    }
    return tips(titles, ["score", *accuracy, *FURTHER])


def reading(subject: Subject) -> str:
    """Return how to read the chart."""
    return (
        "Each dot is a complete trial, and its line the 95 % interval; diamonds are baselines. The dashed line is the "
        "winner's score. Intervals that overlap settle nothing. The colour says how a trial stands against the "
        "best, by the paired test of the table below." + trials.only_best(MOST, subject.frame)
    )


def in_words(subject: Subject) -> str:
    """Return the chart in words."""
    done = trials.complete(subject.frame)
    first = [
        f"{row.trial} {words.number(row.score)} ({words.between(row.score_low, row.score_high)})"
        for row in done.head(words.NAMED).itertuples()
    ]
    alike = int((done["standing"] == Standing.ALIKE).sum())
    return (
        f"Dot plot of the scores of complete trials with intervals. The best: {'; '.join(first)}. "
        f"{words.amount(alike, 'other trial')} cannot be told apart from the best. The table below has the numbers."
    )


def rows(subject: Subject) -> Table:
    """Return the complete trials, best first, then the others, which have no score."""
    others = subject.frame[subject.frame["status"] != Status.COMPLETED].assign(standing="")
    sizes = subject.sizes
    accuracies = "".join(f"| # accuracy, {words.size(size)}" for size in sizes)
    choices, at_chance = subject.choices, subject.judgement.at_chance
    return table(
        "Trials, best first. The score is the mean over training sizes; the accuracy is given for each size (all, or "
        "part of the training images). p is that of the trial and the best alone; a trial is worse where p adjusted "
        "for all pairs (Holm) is below .05, and probably worse where only p is. Time is that of all runs of a trial.",
        f"# rank | trial | recipe | # score | # 95 % interval | against the best | # p | # p adjusted {accuracies} "
        "| # time",
        [
            _row(row, sizes, choices, row["trial"] in at_chance)
            for part in (trials.complete(subject.frame), others)
            for row in records(part.head(ROWS))
        ],
        "trials.csv",
        len(subject.frame),
    )


def _row(row: dict[Any, Any], sizes: list[float], choices: dict[str, str], at_chance: bool) -> TableRow:
    choice = choices.get(row["trial"], "")
    kind = choice.split(",", maxsplit=1)[0] or ("alike" if row["standing"] in {Standing.BEST, Standing.ALIKE} else "")
    summary = f"{row['baseline']}: {row['summary']}" if row["baseline"] else row["summary"]
    note = choice or ("baseline" if row["baseline"] else "")
    cells = (
        count(row["rank"]),
        Cell(f"{row['trial']} ({note})" if note else str(row["trial"])),
        text(summary),
        score(row["score"]),
        limits(row["score_low"], row["score_high"]),
        _against_best(row, "; no better than guessing" if at_chance else ""),
        p_value(row["behind_p_alone"]),
        p_value(row["behind_p"]),
        *(score(row[trials.at("accuracy", size)]) for size in sizes),
        Cell(words.seconds(row["seconds"]), float(row["seconds"]) if words.known(row["seconds"]) else None),
    )
    return TableRow(cells, kind)


def _against_best(row: dict[Any, Any], note: str) -> Cell:
    if row["status"] != Status.COMPLETED:
        after = f" after {words.amount(int(row['runs']), 'run')}" if row["runs"] else ""
        return Cell(f"{row['status']}{after}{note}")
    place = -1.0 if row["rank"] == 1 else float(row["behind"]) if words.known(row["behind"]) else None
    return Cell(f"{row['standing']}{note}", place)


EXHIBIT = Exhibit(
    "leaderboard",
    trials.SHEET,
    Plot("Which trials are best, and how sure that is", draw, reading, in_words),
    table=rows,
    sentences=lambda subject: cautions.at_chance(subject.judgement.record),
)
