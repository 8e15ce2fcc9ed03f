"""How numbers, times, sizes and names are said in a report."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from search.analysis.stats import Interval
from search.analysis.stats.intervals import DIFFERENCES, SCORES
from search.journal.history import Trial
from search.repertoire.columns import COLUMNS
from search.repertoire.networks import HYPERPARAMETER, AnyRecipe, NetworkRecipe, title_of

NAMED = 3
DIGITS = 3  # of a score after the point
MISSING = "–"
SCORE = "score (mean over training sizes)"
FIELDS = {name: column.title for name, column in COLUMNS.items()}  # of a recipe, but for hyperparameters


def known(value: Any) -> bool:
    """Tell whether a cell of a table holds something."""
    return not (value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)))


def number(value: Any, digits: int = DIGITS, *, sign: bool = False) -> str:
    """Return a number as text with so many digits after the point, a dash where there is none."""
    if not known(value):
        return MISSING
    text = f"{float(value):{'+' if sign else ''}.{digits}f}"
    return text.replace("-", "−")  # as wide as a plus


def between(low: Any, high: Any, digits: int = DIGITS, *, sign: bool = False) -> str:
    """Return an interval as text, a dash where there is none.

    Of scores and their differences, which have ``DIGITS``, a limit at the end of the scale is a bare 0, 1 or −1.
    """
    if not (known(low) and known(high)):
        return MISSING
    return " to ".join(_limit(limit, digits, sign=sign) for limit in (low, high))


def _limit(value: float, digits: int, *, sign: bool) -> str:
    is_end = digits == DIGITS and value in (DIFFERENCES if sign else SCORES)
    return number(value, 0 if is_end else digits, sign=sign)


def p_value(value: Any) -> str:
    """Return a probability as text: "< 0.001" or "0.040"."""
    if not known(value):
        return MISSING
    return "<\u00a00.001" if value < 0.001 else f"{value:.3f}"


def seconds(value: Any) -> str:
    """Return a time as text: "8.2 s", "12 min", "3.4 h"."""
    if not known(value):
        return MISSING
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 3600 else f"{value / 3600:.1f} h"


def setting(value: Any) -> str:
    """Return the value of a field of a recipe as text, as short as possible."""
    if not known(value):
        return "none"
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def fields_in(frame: pd.DataFrame) -> dict[str, str]:
    """Return the titles of the fields of recipes that a table of trials has, by its columns."""
    own = {name: title_of(name) for name in map(str, frame.columns) if name.startswith(HYPERPARAMETER)}
    return {**{name: title for name, title in FIELDS.items() if name in frame}, **own}


def field(name: Any) -> str:
    """Return the title of a field of a recipe, or the name itself of anything else."""
    return FIELDS.get(str(name), title_of(str(name)))


def size(fraction: float) -> str:
    """Return a training size in words: "all", or "25 %"."""
    return "all" if fraction == 1 else f"{100 * fraction:g} %"


def share_of_images(fraction: float) -> str:
    """Return a training size as it stands before "training images": "all", "a quarter of the", "30% of the"."""
    named = {1.0: "all", 0.5: "half of the", 0.25: "a quarter of the", 0.1: "a tenth of the"}
    return named.get(fraction, f"{fraction:.0%} of the")


def points(difference: float) -> str:
    """Return a difference of scores in points."""
    return f"{100 * difference:.1f} points"


def signed(difference: float) -> str:
    """Return a difference of scores in points with its sign."""
    return f"{100 * difference:+.1f} points"


def standing(gain: Interval, other: str) -> str:
    """Return in points how far something is ahead of another thing, or behind it, with the limits of that."""
    behind = gain.mean < 0
    gain = Interval(-gain.mean, -gain.high, -gain.low) if behind else gain
    between_ = between(100 * gain.low, 100 * gain.high, 1, sign=True)
    return f"{points(gain.mean)} {'behind' if behind else 'ahead of'} {other} (95 % interval {between_})"


def limits(interval: Interval) -> str:
    """Return the limits of an interval in words."""
    if interval.known:
        return f"95 % interval {between(interval.low, interval.high)}"
    return "no interval, as every fold has the same score" if interval.equal else "no interval, as there is one split"


def in_100(share: float) -> str:
    """Return a share as so many of a hundred: "89"; finer near the ends."""
    if math.isnan(share):
        return "an unknown number"
    is_near_an_end = 0.99 < share < 1 or 0 < share < 0.01
    return f"{100 * share:.1f}" if is_near_an_end else f"{100 * share:.0f}"


def against_in_100(one: float, other: float) -> str:
    """Return two shares as so many of a hundred: "50 against 49", with the digits that tell them apart."""
    first, second = in_100(one), in_100(other)
    for digits in (1, 2):
        if first == second and one != other:
            first, second = f"{100 * one:.{digits}f}", f"{100 * other:.{digits}f}"
    return f"{first} against {second}"


def called(trial: Trial) -> str:
    """Return what a trial is called in a sentence: a baseline by what it does."""
    return f'the baseline "{trial.baseline}" ({trial.id})' if trial.baseline else f"trial {trial.id}"


def deed(recipe: AnyRecipe) -> str:
    """Return in plain words what a recipe trains: "fine-tuning the last 2 blocks of Embedded"."""
    if isinstance(recipe, NetworkRecipe):
        return f"training the network of the space ({recipe.summary()})"
    backbone, blocks = recipe.architecture.name, recipe.unfrozen_blocks
    if not recipe.architecture.pretrained:
        return f"training {backbone} from scratch"
    if recipe.head_only:
        return f"training only a new head on {backbone}"
    if recipe.whole:
        return f"fine-tuning all of {backbone}"
    return f"fine-tuning the last {'block' if blocks == 1 else f'{blocks} blocks'} of {backbone}"


def times(number: int) -> str:
    """Return how often, in words: "once", "3 times"."""
    return "once" if number == 1 else f"{number:,} times"


def amount(number: int, noun: str) -> str:
    """Return a whole number with its noun: "1 image", "2 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def count(amount: int) -> str:
    """Return a whole number in words up to twelve, in digits beyond."""
    return COUNTS[amount] if amount < len(COUNTS) else str(amount)


def about(amount: float) -> str:
    """Return a number of images with two digits that count: "8", "160", "1,900"."""
    digits = len(str(round(amount)))
    return f"{max(1, round(amount, min(0, 2 - digits))):,.0f}"


def percent(share: float) -> str:
    """Return a share in per cent, finer below ten: "4.9 %", "12 %"."""
    return f"{100 * share:.{1 if share < 0.0995 else 0}f} %"


def quoted(name: str) -> str:
    """Return the name of a class in a sentence."""
    return f'"{name}"'


def first_upper(text: str) -> str:
    """Return a sentence with its first letter as a capital; the rest stays."""
    return text[:1].upper() + text[1:]


def spaced(name: str) -> str:
    """Return a name of the code with spaces for underscores."""
    return name.replace("_", " ")


def objective(name: str) -> str:
    """Return what a search was for, in words: "balanced accuracy"."""
    return spaced(name.replace("macro_f1", "macro-F1"))


def listed(names: Iterable[str]) -> str:
    """Return the first of some names in a line."""
    names = list(names)
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")


def only(most: int, of: int) -> str:
    """Return in words that a chart holds but the best of so many trials, "" where it holds all."""
    return f" The chart shows the {most} best of {of} complete trials; trials.csv has all." if of > most else ""
