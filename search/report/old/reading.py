"""What the tables of a report say, read once for charts, pages and captions alike: who won, which sizes there are."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from search.repertoire.synthetic import in_words

Tables = Mapping[str, pd.DataFrame]

CARDS, GROUPS, GROUP_IMAGES = 48, 40, 8  # images that a page shows of a kind; groups, and images of a group

BEST, WORSE, UNJUDGED = "best, or not told apart from it", "told apart from the best", "not judged"
RECIPE = {
    "backbone": "backbone",
    "unfrozen_blocks": "unfrozen blocks",
    "dropout": "dropout",
    "augment": "augmentation",
    "augment_strength": "strength",
    "class_weight": "class weights",
    "synthetic_per_class": "synthetic a class",
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "batch_size": "batch size",
    "epochs": "epochs",
    "views": "views",
    "image_size": "image size",
}
MISSING = "–"


def complete(tables: Tables) -> pd.DataFrame:
    """Return the complete trials, best first, with the column ``standing``: one of the three above."""
    trials = tables["trials"]
    done = trials[trials["status"] == "completed"].sort_values("rank", kind="stable")
    told = done["told_apart"].map({"no": BEST, "yes": WORSE}).fillna(UNJUDGED).astype(object)
    amounts = done["synthetic_per_class"].map(lambda amount: amount if isinstance(amount, int) else in_words(amount))
    return done.assign(standing=told.where(done["trial"] != winner(tables), BEST), synthetic_per_class=amounts)


def winner(tables: Tables) -> str:
    """Return the trial with the best score, "" where none is complete."""
    trials = tables["trials"]
    first = trials[(trials["status"] == "completed") & (trials["rank"] == 1)]
    return str(first["trial"].iloc[0]) if len(first) else ""


def recommended(tables: Tables) -> str:
    """Return the trial to take, "" where that is not known; it may be the winner."""
    survival = tables["survival"]
    chosen = survival.loc[survival["recommended"].astype(bool), "trial"]
    return str(chosen.iloc[0]) if len(chosen) else ""


def chosen(tables: Tables) -> dict[str, str]:
    """Return what the winner and the recommended trial are called, by trial."""
    best, taken = winner(tables), recommended(tables)
    if best and taken == best:
        return {best: "winner, recommended"}
    return {trial: name for trial, name in ((best, "winner"), (taken, "recommended")) if trial}


def sizes(tables: Tables) -> list[tuple[str, float]]:
    """Return the training sizes, largest first, as the columns of trials name them ("0.25") and as numbers."""
    names = [column.split("@", 1)[1] for column in tables["trials"].columns if column.startswith("accuracy@")]
    return sorted(((name, float(name)) for name in names), key=lambda size: -size[1])


def size_words(fraction: float) -> str:
    """Return a training size in words: "all", or "25 %"."""
    return "all" if fraction == 1 else f"{100 * fraction:g} %"


def objective(tables: Tables) -> str:
    """Return what the search was for, in words: "balanced accuracy"."""
    names = [column.split("@")[0] for column in tables["trials"].columns if "@" in column]
    found = next((name for name in names if name != "accuracy"), "accuracy")
    return found.replace("macro_f1", "macro-F1").replace("_", " ")


def ordered_effects(tables: Tables) -> pd.DataFrame:
    """Return the effects, factors that matter first, then those with the smallest p, then the widest ones."""
    effects = tables["effects"]
    if effects.empty:
        return effects
    by_factor = effects.groupby("factor", sort=False)
    spread = by_factor["effect"].transform("max") - by_factor["effect"].transform("min")
    order = pd.DataFrame(
        {
            "matters": effects["matters"].map({"yes": 0, "unknown": 1, "no": 1}).fillna(1),
            "p": pd.to_numeric(effects["p"]).fillna(2),
            "spread": -pd.to_numeric(spread).fillna(0),
            "factor": effects["factor"].map({name: place for place, name in enumerate(effects["factor"].unique())}),
        }
    ).sort_values(["matters", "p", "spread", "factor"], kind="stable")
    return effects.loc[order.index]


def kept_together(tables: Tables) -> list[pd.DataFrame]:
    """Return the images of each group, those of different labels first."""
    groups = [rows for _, rows in tables["duplicates"].groupby("group", sort=False)]
    return sorted(groups, key=lambda rows: not rows["different_labels"].astype(bool).any())


def known(value: Any) -> bool:
    """Tell whether a cell of a table holds something."""
    return not (value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)))


def number(value: Any, digits: int = 3, *, sign: bool = False) -> str:
    """Return a number as text with so many digits after the point, a dash where there is none."""
    if not known(value):
        return MISSING
    text = f"{float(value):{'+' if sign else ''}.{digits}f}"
    return text.replace("-", "−")  # as wide as a plus


def between(low: Any, high: Any, digits: int = 3, *, sign: bool = False) -> str:
    """Return an interval as text, a dash where there is none."""
    if not (known(low) and known(high)):
        return MISSING
    return f"{number(low, digits, sign=sign)} to {number(high, digits, sign=sign)}"


def plain(value: Any) -> str:
    """Return a value of a recipe as text, as short as it can be told."""
    if not known(value):
        return "none"
    return f"{value:.2g}" if isinstance(value, float) else str(value)


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
