"""Two trials side by side, as people and as machines read it: the numbers come from ``search.analysis.comparison``."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.analysis.comparison import Comparison, Side
from search.analysis.stats.comparing import FEWEST_POOLED
from search.analysis.stats.intervals import Interval
from search.repertoire.columns import varied
from search.report.words import between


def sentences(pair: Comparison) -> list[str]:
    """Return what may be concluded, in plain words."""
    a, b = pair.a, pair.b
    points, limits = (
        100 * pair.difference.mean,
        [100 * pair.difference.low, 100 * pair.difference.high],
    )
    better, worse = (a, b) if points > 0 else (b, a)
    if math.isnan(pair.p):
        first = f"{a.name} and {b.name} cannot be told apart: so few scores say nothing of how much they vary."
    elif pair.apart:
        low, high = sorted(map(abs, limits))
        first = (
            f"{better.name} is better than {worse.name}: by {abs(points):.1f} points, 95 % interval {low:.1f} to "
            f"{high:.1f} ({_p(pair)})."
        )
    else:
        first = (
            f"{a.name} and {b.name} cannot be told apart: their difference is {points:+.1f} points, 95 % interval "
            f"{limits[0]:+.1f} to {limits[1]:+.1f} ({_p(pair)})."
        )
    return [first, *_of_spread(pair), *_of_picking(pair)]


def _p(pair: Comparison) -> str:
    alone = f"two-sided p = {pair.p:.2g}"
    if pair.p_picked == pair.p:
        return alone
    return f"{alone} for this pair alone, {pair.p_picked:.2g} as one that was picked"


def _of_spread(pair: Comparison) -> list[str]:
    if pair.pooled >= FEWEST_POOLED or math.isnan(pair.p):
        return []
    line = (
        f"There are only {pair.pooled} complete trials, so the spread is that of these {len(pair.folds)} differences "
        f"alone; from {FEWEST_POOLED} complete trials on it is known better."
    )
    return [line]


def _of_picking(pair: Comparison) -> list[str]:
    picked = [side for side in (pair.a, pair.b) if side.picked and side.of > 1]
    if len(picked) == 2:
        line = (
            f"Both were picked: {pair.a.name} is the best of {pair.a.of} complete trials, {pair.b.name} of "
            f"{pair.b.of}. Both scores are flattered by that, the more trials the more."
        )
        return [line]
    return [
        f"{side.name} was picked, as the best of {side.of} complete trials: its score, and so its lead, is flattered."
        for side in picked
    ]


def on_these_images(pair: Comparison) -> str:
    """Return McNemar's test in words, and what it is not about."""
    if pair.images_p is None:
        return "On these images: predictions of all images are not there (lost or changed), so nothing can be said."
    return (
        f"On these images, with the whole training part: {pair.only_right[0]} right by {pair.a.name} alone, "
        f"{pair.only_right[1]} by {pair.b.name} alone, of {pair.images} (McNemar's exact two-sided "
        f"p = {pair.images_p:.2g}). That is about these images and these trained networks only: it does not say which "
        "recipe is better."
    )


def show(pair: Comparison, console: Console) -> None:
    """Print the comparison."""
    names = [side.name for side in (pair.a, pair.b)]
    fields = varied(trial.recipe for side in (pair.a, pair.b) for trial in side.record.history.trials.values())
    console.print(Text(f"a: {names[0]}: {pair.a.trial.recipe.summary(fields)}"), soft_wrap=True)
    console.print(Text(f"b: {names[1]}: {pair.b.trial.recipe.summary(fields)}"), soft_wrap=True)
    if pair.fields:
        console.print(plain_table(("recipe", *names), pair.fields))
    else:
        console.print(Text("The recipes are the same."))
    console.print(plain_table((pair.a.record.rules.objective, *names, "a − b"), _score_rows(pair)))
    console.print(Text(f"a − b by fold, in points: {_by_fold(pair)}"), soft_wrap=True)
    console.print(Text(on_these_images(pair), style="dim"), soft_wrap=True)
    first, *rest = sentences(pair)
    console.print(Text(first, style="bold"), soft_wrap=True)
    for line in rest:
        console.print(Text(line), soft_wrap=True)


def plain_table(head: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    """Return texts as a table for a terminal, whatever they hold."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _score_rows(pair: Comparison) -> list[tuple[str, ...]]:
    limits = pair.difference
    ends = between(limits.low, limits.high, sign=True) if math.isfinite(limits.low) else "no interval"
    rows = [("score", *(_with_limits(score) for score in pair.scores), f"{limits.mean:+.3f} ({ends})")]
    for q, (one, other) in pair.accuracy.items():
        size = "accuracy, whole training part" if q == 1 else f"accuracy, {q:.0%} of it"
        rows.append((size, f"{one:.3f}", f"{other:.3f}", f"{one - other:+.3f}"))
    return rows


def _with_limits(score: Interval) -> str:
    return f"{score.mean:.3f} ({between(score.low, score.high)})" if score.known else f"{score.mean:.3f}"


def _by_fold(pair: Comparison) -> str:
    return ", ".join(f"{fold} {100 * value:+.1f}" for fold, value in pair.folds.items())


def as_json(pair: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON types; numbers that do not exist are null."""
    limits = pair.difference
    return {
        "a": _side(pair.a, pair.scores[0]),
        "b": _side(pair.b, pair.scores[1]),
        "objective": pair.a.record.rules.objective,
        "recipe": [{"field": name, "a": one, "b": other} for name, one, other in pair.fields],
        "accuracy": [{"fraction": q, "a": one, "b": other} for q, (one, other) in pair.accuracy.items()],
        "difference": {"mean": limits.mean, "low": _finite(limits.low), "high": _finite(limits.high)},
        "p": _finite(pair.p),
        "p_picked": _finite(pair.p_picked),
        "better": (pair.a if limits.mean > 0 else pair.b).name if pair.apart else None,
        "complete_trials": pair.pooled,
        "folds": pair.folds,
        "on_these_images": {
            "images": pair.images,
            "only_right": list(pair.only_right),
            "p": pair.images_p,
        },
        "said": [*sentences(pair), on_these_images(pair)],
    }


def _side(side: Side, score: Interval) -> dict[str, Any]:
    return {
        "search": side.record.name,
        "trial": side.trial.id,
        "score": score.mean,
        "low": _finite(score.low),
        "high": _finite(score.high),
        "best_of": side.of if side.picked else None,
        "recipe": side.trial.recipe.to_dict(),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
