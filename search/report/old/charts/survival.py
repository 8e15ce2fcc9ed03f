"""Charts over training sizes: how scores fall with fewer images, and the folds behind them."""

from collections.abc import Iterable

import altair as alt

from search.report import reading
from search.report.captions import LINES
from search.report.charts.style import CHOSEN, PALETTE, Chart, colours, finished, room, tips, values
from search.report.reading import Tables

OTHERS = "other complete trials"


def survival(tables: Tables) -> Chart | None:
    """Draw the objective at each number of training images, a line for each trial; None for one training size."""
    table = tables["survival"]
    if table["fraction"].nunique() < 2 or table["images"].isna().any():  # of how many images, folds.csv knows
        return None
    names = reading.chosen(tables)
    kept = list(dict.fromkeys([*names, *reading.complete(tables)["trial"].head(LINES)]))[:LINES]
    rows = [
        {**row, "called": names.get(row["trial"], OTHERS), "between": reading.between(row["low"], row["high"])}
        for row in table[table["trial"].isin(kept)].drop(columns=["winner", "recommended"]).to_dict("records")
    ]
    told = [row for row in rows if row["called"] != OTHERS]
    limits = [row[key] for row in told for key in ("low", "high")]
    y = alt.Y(
        "score:Q",
        scale=alt.Scale(domain=room([row["score"] for row in rows] + limits), nice=False, clamp=True),
        title=None,
    )
    colour = alt.Color(
        "called:N", scale=colours({**CHOSEN, OTHERS: PALETTE["rest"]}, (row["called"] for row in rows)), title=None
    )
    shown = {"trial": "trial", "called": "what", "images": "images", "score": "score", "between": "95 % interval"}
    hover = tips(
        {**shown, "accuracy": "accuracy", "drop_vs_median": "drop minus median drop"},
        ("score", "accuracy", "drop_vs_median"),
    )
    x = _across(row["images"] for row in rows)
    base = alt.Chart(values(rows)).encode(x=x, y=y, detail="trial:N", tooltip=hover)
    others = base.transform_filter(f"datum.called == '{OTHERS}'")
    best = alt.Chart(values(told)).encode(x=x, y=y, color=colour, detail="trial:N", tooltip=hover)
    band = best.mark_area(opacity=0.13).encode(y=alt.Y("low:Q"), y2="high:Q", tooltip=alt.value(None))
    return finished(
        others.mark_line(strokeWidth=1, strokeOpacity=0.6).encode(color=colour)
        + others.mark_point(filled=True, size=14, opacity=0.6).encode(color=colour)
        + band
        + best.mark_line(strokeWidth=3)
        + best.mark_point(filled=True, size=70, opacity=1),
        height=340,
        above=f"{reading.objective(tables)} at that training size",
    )


def _across(numbers: Iterable[float]) -> alt.X:
    """Return the axis of training images, with a tick at each number that there is."""
    images = sorted({round(number, 1) for number in numbers})
    return alt.X(
        "images:Q",
        scale=alt.Scale(type="log", domain=[images[0] / 1.06, images[-1] * 1.06], nice=False),
        axis=alt.Axis(values=_apart(images), format=",.0f"),
        title="real training images (logarithmic)",
    )


def _apart(numbers: list[float]) -> list[float]:
    """Return those numbers that a logarithmic axis can name without one label on another."""
    kept = numbers[:1]
    for number in numbers[1:]:
        if number > 1.12 * kept[-1]:
            kept.append(number)
    return kept


def strip(tables: Tables) -> Chart | None:
    """Draw the score of every fold, of the winner and the recommended trial, with the mean of each training size."""
    table = tables["strip"]
    if table.empty:
        return None
    names = reading.chosen(tables)
    images = {(row.trial, row.fraction): row.images for row in tables["survival"].itertuples()}
    rows = [
        {
            **row,
            "called": names.get(row["trial"], "winner"),
            "size": _size(row["fraction"], images.get((row["trial"], row["fraction"]))),
        }
        for row in table.to_dict("records")
    ]
    order = [_size(q, next((count for (_, size), count in images.items() if size == q), None)) for q in _sizes(tables)]
    scale = alt.Scale(domain=room([row["score"] for row in rows], 0.08), nice=False)
    trials = [name for name in CHOSEN if name in names.values()]
    base = alt.Chart(values(rows)).encode(
        y=alt.Y("size:N", sort=order, axis=alt.Axis(title=None, labelColor=PALETTE["ink"])),
        yOffset=alt.YOffset("called:N", sort=trials, scale=alt.Scale(paddingInner=0.2)),
        color=alt.Color("called:N", scale=colours(CHOSEN, names.values()), title=None),
    )
    x = alt.X("score:Q", scale=scale, title=f"{reading.objective(tables)} of a fold")
    hover = tips({"trial": "trial", "fold": "fold", "size": "training size", "score": "score"}, ("score",))
    dots = base.mark_point(filled=True, size=75, opacity=0.65).encode(x=x, tooltip=hover)
    mean = base.mark_tick(thickness=3, size=20).encode(x=alt.X("mean(score):Q", scale=scale))
    return finished(dots + mean, height=max(90, 34 * len(order) * len(trials)))


def _sizes(tables: Tables) -> list[float]:
    return sorted(tables["strip"]["fraction"].unique(), reverse=True)


def _size(fraction: float, images: float | None) -> str:
    words = reading.size_words(fraction)
    return words if images is None else f"{words}: {images:.0f} images"
