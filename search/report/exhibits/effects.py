"""What each choice does: how far each level lies from the mean of its factor."""

import math
from collections.abc import Iterable
from typing import Any

import altair as alt
import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.stats.effects import ALONE, ALPHA, Factor
from search.report import words
from search.report.exhibit import Exhibit, Plot, Row, Sheet, Subject, number, string, whole
from search.report.style import PALETTE, Chart, place, tips, values
from search.report.table import Cell, Table, count, limits, p_value, records, score, table, text

HEADING = "#"
AFTER_BAR = "slice(datum.value, indexof(datum.value, '|') + 1)"
IS_HEADING = f"slice(datum.value, 0, 1) == '{HEADING}'"
MATTERS = {"yes": "matters", "no": "matters little", "unknown": "not known"}
DIFFER, BEHIND = "some of its levels differ", "some of its levels stay behind the best"

COLUMNS = (
    string("factor"),
    string("level"),
    whole("trials"),
    whole("runs"),
    number("effect", "Difference of the score from the mean over the factor's levels."),
    number("low", "Lower 95 % limit."),
    number("high", "Upper 95 % limit."),
    number("p", "Of the factor, Holm's adjustment over factors."),
    string("matters", levels=("yes", "no", "unknown")),
    string("note"),
    string("above", "Levels that it lies above: p below .05 after Holm's adjustment over all pairs of levels."),
    whole("complete", "Complete trials with it."),
    whole("worse", "Those worse than the winner: p below .05 after Holm's adjustment over trials."),
    number("nearest", "The winner's score minus that of the best of them."),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield the effect of each level of each factor."""
    for factor in judgement.factors:
        for level in factor.levels:
            yield {
                "factor": factor.name,
                "level": level.level,
                "trials": level.trials,
                "runs": level.runs,
                "effect": level.effect,
                "low": level.low,
                "high": level.high,
                "p": factor.p_holm,
                "matters": factor.matters,
                "note": factor.note,
                "above": ", ".join(factor.below(level.level)),
                **_against_best(judgement, factor.name, level.level),
            }


def _against_best(judgement: Judgement, factor: str, level: str) -> Row:
    trials, behind = judgement.complete_with(factor, level), judgement.behind
    gaps = [behind[one.id] for one in trials if one.id in behind]
    return {
        "complete": len(trials),
        "worse": sum(gap.p_holm < ALPHA for gap in gaps),
        "nearest": gaps[0].mean if gaps and len(gaps) == len(trials) else 0.0 if trials else math.nan,
    }


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the effects, factors that matter first, then those with the smallest p, then the widest ones."""
    if frame.empty:
        return frame
    by_factor = frame.groupby("factor", sort=False)
    spread = by_factor["effect"].transform("max") - by_factor["effect"].transform("min")
    order = pd.DataFrame(
        {
            "matters": frame["matters"].map({"yes": 0, "unknown": 1, "no": 1}).fillna(1),
            "p": pd.to_numeric(frame["p"]).fillna(2),
            "spread": -pd.to_numeric(spread).fillna(0),
            "factor": frame["factor"].map({name: at for at, name in enumerate(frame["factor"].unique())}),
        }
    ).sort_values(["matters", "p", "spread", "factor"], kind="stable")
    return frame.loc[order.index]


def draw(subject: Subject) -> Chart | None:
    """Draw the difference that each level of each factor makes, with its 95 % interval; what matters comes first."""
    effects = in_order(subject.frame)
    if effects["effect"].isna().all():
        return None
    rows = _headed(effects)
    hover = tips(
        {"factor": "factor", "level": "level", "effect": "effect", "between": "95 % interval", "trials": "trials"}
        | {"runs": "runs", "verdict": "verdict", "p": "p of the factor", "note": "note"}
    )
    base = alt.Chart(values(rows)).encode(y=_down(rows), tooltip=hover)
    estimates = base.transform_filter("isValid(datum.middle)")
    title = "points of score from the factor's mean"
    x = alt.X(
        "middle:Q", title=title, axis=alt.Axis(format="+d", tickMinStep=1, labelExpr="datum.value ? datum.label : '0'")
    )
    colour = alt.condition(
        f"indexof({[MATTERS['yes'], DIFFER]}, datum.verdict) >= 0",
        alt.value(PALETTE["ink"]),
        alt.value(PALETTE["rest"]),
    )
    zero = alt.Chart(values([{"zero": 0}])).mark_rule(color=PALETTE["soft"]).encode(x=alt.X("zero:Q", title=title))
    notes = (
        base.transform_filter("datum.said")
        .mark_text(align="left", color=PALETTE["soft"], fontSize=11, limit=alt.expr("width - 8"))
        .encode(x=alt.value(4), text="said:N")
    )
    rules = estimates.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title), x2="high:Q", color=colour)
    dots = estimates.mark_point(filled=True, size=75, opacity=1).encode(x=x, color=colour)
    return place(zero + rules + dots + notes, height=21 * len(rows))


def _headed(effects: pd.DataFrame) -> list[Row]:
    """Return a heading for each factor and, below it, its levels, where they can be judged."""
    rows: list[Row] = []
    for at, (factor, levels) in enumerate(effects.groupby("factor", sort=False)):
        verdict = _verdict(levels)
        has_effects = levels["effect"].notna().any()
        note = verdict if has_effects else f"{verdict}: {_note(levels['note'].iloc[0])}"
        rows.append({"row": f"{HEADING}{at}|{words.field(factor)}", "said": note})
        rows += [_level(at, row, verdict) for row in levels.to_dict("records") if has_effects]
    return rows


def _down(rows: list[Row]) -> alt.Y:
    """Return the axis of factors, as bold headings, and their levels."""
    return alt.Y(
        "row:N",
        scale=alt.Scale(domain=[row["row"] for row in rows]),
        axis=alt.Axis(
            title=None,
            labelExpr=AFTER_BAR,
            grid=False,
            labelFontWeight=alt.condition(IS_HEADING, alt.value("bold"), alt.value("normal")),
            labelColor=PALETTE["ink"],
        ),
    )


def _level(at: int, row: dict[Any, Any], verdict: str) -> Row:
    middle, low, high = (100 * row[key] if words.known(row[key]) else None for key in ("effect", "low", "high"))
    return {
        "row": f"{at}|{row['level']}",
        "factor": row["factor"],
        "level": row["level"],
        "middle": middle,
        "low": low,
        "high": high,
        "effect": words.number(middle, 1, sign=True),
        "between": words.between(low, high, 1, sign=True),
        "trials": row["trials"],
        "runs": row["runs"],
        "verdict": verdict,
        "p": words.p_value(row["p"]),
        "note": _note(row["note"], words.MISSING),
        "said": "" if middle is not None else _note(row["note"]),
    }


def _verdict(levels: pd.DataFrame) -> str:
    """Return what can be said of a factor, given the rows of its levels."""
    matters = levels["matters"].iloc[0]
    if matters == "unknown" and (levels["above"] != "").any():
        return DIFFER
    if matters == "unknown" and len(_behind(levels)):
        return BEHIND
    return MATTERS.get(matters, MATTERS["unknown"])


def _behind(levels: pd.DataFrame) -> pd.DataFrame:
    """Return the levels of a factor whose complete trials are all worse than the best; none where all levels are."""
    behind = levels[(levels["complete"] > 0) & (levels["worse"] == levels["complete"])]
    return behind if len(behind) < (levels["complete"] > 0).sum() else behind.iloc[:0]


def _note(note: Any, otherwise: str = "cannot be judged") -> str:
    return str(note) if words.known(note) and note else otherwise


def in_words(subject: Subject) -> str:
    """Return the chart in words."""
    by_verdict: dict[str, list[str]] = {}
    for factor, levels in in_order(subject.frame).groupby("factor", sort=False):
        by_verdict.setdefault(_verdict(levels), []).append(words.field(factor))
    parts = [f"{verdict}: {', '.join(factors)}" for verdict, factors in by_verdict.items()]
    return f"Dot plot of effects with intervals, by factor and level: {'; '.join(parts)}. The table has the numbers."


def levels(subject: Subject) -> Table:
    """Return the effect of each level of each factor, what matters first."""
    return table(
        "Effects: how far each level is from the mean over its factor's levels, in score, from all runs, also of "
        "stopped trials. p is of the factor, Holm-adjusted; above are levels that it is told apart from (Holm over all "
        "pairs); worse than the best are complete trials (Holm over trials).",
        "factor | level | # effect | # 95 % interval | above | worse than the best | # trials | # runs | # p | matters "
        "| note",
        (
            (
                text(words.field(row["factor"])),
                text(row["level"]),
                score(row["effect"], sign=True),
                limits(row["low"], row["high"], sign=True),
                text(row["above"]),
                Cell(f"{row['worse']} of {row['complete']}", float(row["worse"])),
                count(row["trials"]),
                count(row["runs"]),
                p_value(row["p"]),
                text(row["matters"]),
                Cell(str(row["note"]) if words.known(row["note"]) else ""),
            )
            for row in records(in_order(subject.frame))
        ),
    )


def sentences(subject: Subject) -> list[str]:
    """Return which choices matter, which do not, and of which nothing can be said."""
    if subject.frame.empty:
        return ["Nothing varied between the trials, so there is nothing to compare."]
    if subject.frame["note"].str.startswith(ALONE).all():
        return [*_one_at_a_time(subject.frame), *_differing(subject), *_staying_behind(subject.frame)]
    heads = {
        "yes": "These choices matter: {}.",
        "no": "These hardly matter (less than two points between any two of their values): {}.",
        "unknown": "Of these nothing can be said with so few trials and images: {}.",
    }
    lines = []
    for verdict, head in heads.items():
        factors = subject.frame[subject.frame["matters"] == verdict].groupby("factor", sort=False)
        names = [
            _of_factor(name, rows) if verdict == "yes" else words.field(name)
            for name, rows in factors
            if verdict != "unknown" or _verdict(rows) == MATTERS["unknown"]
        ]
        lines += [head.format("; ".join(names))] if names else []
    return [*lines, *_differing(subject), *_staying_behind(subject.frame), *_notes(subject.frame)]


def _differing(subject: Subject) -> list[str]:
    """Return which levels differ, of factors that are not shown to matter as a whole."""
    listed = [
        f"{words.field(factor.name)} {pair}"
        for factor in subject.judgement.factors
        if factor.matters == "unknown"
        for pair in _pairs(factor)
    ]
    return [f"Some levels differ (after Holm's adjustment over all pairs): {'; '.join(listed)}."] if listed else []


def _pairs(factor: Factor) -> list[str]:
    effects = {level.level: level.effect for level in factor.levels}
    return [
        f"{level} is {words.points(effects[level] - effects[other])} above {other}"
        for level in effects
        for other in factor.below(level)
    ]


def _staying_behind(frame: pd.DataFrame) -> list[str]:
    """Return with which levels every complete trial is worse than the best one."""
    listed = [
        f"{words.field(row['factor'])} {row['level']} ({_trials(row['complete'])}, "
        f"{'the nearest ' if row['complete'] > 1 else ''}{words.points(row['nearest'])} behind)"
        for _, levels in frame.groupby("factor", sort=False)
        if levels["matters"].iloc[0] == "unknown"
        for row in records(_behind(levels))
    ]
    told = "Every complete trial with one of these is worse than the best one (after Holm's adjustment over trials)"
    return [f"{told}: {'; '.join(listed)}."] if listed else []


def _one_at_a_time(frame: pd.DataFrame) -> list[str]:
    """Return what differs most where the other choices could not be held equal, and what that is worth."""
    estimates = frame.dropna(subset="effect")
    lines = [f"The choices are {frame['note'].iloc[0]}."]
    if not estimates.empty:
        ranges = estimates.groupby("factor")["effect"].agg(lambda effects: effects.max() - effects.min())
        widest = estimates[estimates["factor"] == ranges.idxmax()]
        best, worst = widest.loc[widest["effect"].idxmax()], widest.loc[widest["effect"].idxmin()]
        of = f"the widest of {len(ranges)} such ranges" if len(ranges) > 1 else "the only range"
        ends = [f"{level['level']} ({_trials(level['trials'])})" for level in (worst, best)]
        lines.append(
            f"For what it is worth, {of} is that of {words.field(best['factor'])}: {words.points(ranges.max())} "
            f"from {ends[0]} to {ends[1]}; what else differed between these trials is in that number."
        )
    return lines


def _trials(amount: int) -> str:
    return "1 trial" if amount == 1 else f"{amount} trials"


def _notes(frame: pd.DataFrame) -> list[str]:
    """Return what the numbers of factors cannot say, each note once, with the factors that it is about."""
    by_note = frame[frame["note"] != ""].groupby("note", sort=False)["factor"].unique()
    every = frame["factor"].nunique()
    return [
        f"{note[0].upper()}{note[1:]}."
        if len(factors) == every
        else f"{words.listed(map(words.field, factors))}: {note}."
        for note, factors in by_note.items()
    ]


def _of_factor(name: str, rows: pd.DataFrame) -> str:
    effects = rows[rows["effect"].notna()]
    best, worst = effects.loc[effects["effect"].idxmax()], effects.loc[effects["effect"].idxmin()]
    gap = words.points(best["effect"] - worst["effect"])
    return f"{words.field(name)} ({best['level']} is {gap} above {worst['level']}, p {rows['p'].iloc[0]:.2g})"


EXHIBIT = Exhibit(
    "effects",
    Sheet(
        "effects",
        "What each choice does: an additive model on the runs of all trials that the oracle proposed.",
        COLUMNS,
        rows,
    ),
    Plot(
        "What makes a difference",
        draw,
        "A dot is how far a level lies from the mean of its factor, in points of score, with its 95 % interval. "
        "Grey factors are not shown to matter, or differ by little.",
        in_words,
    ),
    table=levels,
    folded="The effects as a table",
    sentences=sentences,
)
