"""What stands below each picture: its title, how to read it, what it leaves out, and its content in words."""

from collections.abc import Callable
from dataclasses import dataclass

from search.report import reading
from search.report.reading import RECIPE, Tables, between, number

# How many each chart draws at most; here, as reading a caption must not load what draws.
TRIALS, COSTS, LINES, RECIPES, RECALLS, CLASSES, CONFUSED, EPOCHS = 30, 300, 40, 300, 40, 40, 24, 60
NAMED = 3


@dataclass(frozen=True)
class Caption:
    """Of a picture: its title, sentences below it, and its content in words for those who do not see it."""

    title: str
    text: str
    alternative: str


def caption(name: str, tables: Tables) -> Caption:
    """Return the caption of the chart of this name."""
    title, text, alternative = CAPTIONS[name]
    return Caption(title, text(tables), alternative(tables))


def _only(drawn: int, tables: Tables) -> str:
    of = _complete(tables)
    return f" Drawn are the {drawn} best of {of} complete trials; all are in trials.csv." if of > drawn else ""


def _leading(drawn: int, tables: Tables) -> str:
    of = _complete(tables)
    kept = f"{drawn} of {of} complete trials: the baselines, the recommended one, and the best"
    return f" Drawn are {kept}. All are in trials.csv." if of > drawn else ""


def _complete(tables: Tables) -> int:
    return len(reading.complete(tables))


def _leaderboard(tables: Tables) -> str:
    return (
        "Each dot is a complete trial, its line the corrected 95 % interval; diamonds are baselines. The dashed line "
        "is the winner's score. Intervals that overlap do not settle it: colours tell who is, by a paired test."
        + _leading(TRIALS, tables)
    )


def _leaderboard_words(tables: Tables) -> str:
    done = reading.complete(tables)
    first = [
        f"{row.trial} {number(row.score)} ({between(row.score_low, row.score_high)})"
        for row in done.head(NAMED).itertuples()
    ]
    alike = int((done["standing"] == reading.BEST).sum()) - 1
    return (
        f"Dot plot of the scores of complete trials with intervals. The best: {'; '.join(first)}. "
        f"{alike} other{'' if alike == 1 else 's'} cannot be told from the best. The table below has the numbers."
    )


def _cost(tables: Tables) -> str:
    return "Up and to the left is better and cheaper. A trial's time is that of all its runs." + _leading(COSTS, tables)


def _cost_words(tables: Tables) -> str:
    trials = tables["trials"].set_index("trial")
    told = [
        f"the {name} {trial} took {reading.seconds(trials.loc[trial, 'seconds'])} for "
        f"{number(trials.loc[trial, 'score'])}"
        for trial, name in reading.chosen(tables).items()
    ]
    return f"Scatter plot of score against seconds: {', '.join(told)}. The table of trials has the numbers."


def _survival(tables: Tables) -> str:
    return (
        "A flat line survives with few images, but what counts is to be high at every size: bad recipes lose little. "
        "Bands are 95 % intervals." + _only(LINES, tables)
    )


def _survival_words(tables: Tables) -> str:
    table, told = tables["survival"], []
    for trial, name in reading.chosen(tables).items():
        points = table[table["trial"] == trial].sort_values("images", ascending=False)
        scores = ", ".join(f"{number(row.score)} with {row.images:.0f} images" for row in points.itertuples())
        told.append(f"the {name} {trial} has {scores}")
    return f"Lines of {reading.objective(tables)} over the number of training images: {'; '.join(told)}."


def _effects_words(tables: Tables) -> str:
    table = reading.ordered_effects(tables)
    verdict = table.drop_duplicates("factor").set_index("factor")["matters"]
    said = {"yes": "matter", "no": "matter little", "unknown": "cannot be judged"}
    parts = [
        f"{', '.join(str(RECIPE.get(str(factor), factor)) for factor in verdict.index[verdict == key])} {words}"
        for key, words in said.items()
        if (verdict == key).any()
    ]
    return f"Dot plot of effects with intervals, by factor and level: {'; '.join(parts)}. The table has the numbers."


def _interaction_words(tables: Tables) -> str:
    table = tables["interaction"].sort_values("score", ascending=False)
    cells = [
        f"{row.backbone} with {row.unfrozen_blocks}: {number(row.score)}" for row in table.head(NAMED).itertuples()
    ]
    return f"Heat map of mean scores by backbone and unfrozen blocks; the best are {'; '.join(cells)}."


def _parallel(tables: Tables) -> str:
    return (
        "Each line is a recipe, from value to value; the darker (in the dark: the lighter), the better its score. "
        "Only what varies is drawn." + _only(RECIPES, tables)
    )


def _parallel_words(tables: Tables) -> str:
    best = reading.complete(tables).iloc[0]
    return f"Parallel coordinates of the recipes. The best, {best['trial']}: {best['summary']}."


def _strip_words(tables: Tables) -> str:
    table, told = tables["strip"], []
    for trial, name in reading.chosen(tables).items():
        for fraction, part in table[table["trial"] == trial].groupby("fraction", sort=False):
            told.append(
                f"{name}, {reading.size_words(float(str(fraction)))}: {number(part['score'].min())} to "
                f"{number(part['score'].max())}, mean {number(part['score'].mean())}"
            )
    return f"Scores of single folds. {'; '.join(told)}."


def _curves(tables: Tables) -> str:
    curves = tables["curves"]
    longest = curves["epoch"].max()
    said = (
        "Thin lines are folds, the thick one is their mean. Training loss that goes on to fall while validation loss "
        "does not is overfitting."
    )
    return said + (f" {EPOCHS} of {longest:.0f} epochs are drawn." if longest > EPOCHS else "")


def _curves_words(measure: str, size: int) -> Callable[[Tables], str]:
    def words(tables: Tables) -> str:
        table = tables["curves"].dropna(subset=[measure])
        sizes = sorted(table["fraction"].unique())
        last = table[(table["fraction"] == sizes[0 if size else -1]) & (table["epoch"] == table["epoch"].max())]
        ends = [f"{part} {number(rows[measure].mean())}" for part, rows in last.groupby("part")]
        return f"Lines of {measure} by epoch. At the last epoch: {', '.join(ends)}, mean of the folds."

    return words


def _confusion(tables: Tables) -> str:
    count = tables["confusion"]["label"].nunique()
    few = (
        f" Drawn are the {CONFUSED} of {count} classes that are confused most; the others are one row and one column."
        if count > CLASSES
        else ""
    )
    return (
        "Rows are labels, columns what the winner takes them for, out of fold; right ones blue, wrong ones purple, "
        f"deeper the larger the share of the row's images.{few}"
    )


def _confusion_words(tables: Tables) -> str:
    pairs = tables["confused"].head(NAMED)
    told = [f"{row.label} taken for {row.predicted} {row.images} times" for row in pairs.itertuples()]
    return (
        f"Confusion matrix. Most confused: {'; '.join(told) or 'none'}. The table of confused classes has the numbers."
    )


def _recall(tables: Tables) -> str:
    classes = tables["classes"]
    few = f" Drawn are the {RECALLS} worst of {len(classes)} classes." if len(classes) > RECALLS else ""
    return f"The share of each class's images that are found, the worst at the top, with 95 % intervals (Wilson).{few}"


def _recall_words(tables: Tables) -> str:
    worst = tables["classes"].dropna(subset=["recall"]).sort_values("recall")
    told = [f"{row['class']} {number(row['recall'])}" for row in worst.head(NAMED).to_dict("records")]
    return f"Dot plot of recall by class; the lowest: {', '.join(told)}. The classification report has the numbers."


def _calibration_words(tables: Tables) -> str:
    table = tables["calibration"]
    told = [f"{row.accuracy:.0%} right at {row.confidence:.0%}" for row in table.sort_values("confidence").itertuples()]
    return f"Share of right predictions by confidence: {', '.join(told)}."


def _always(text: str) -> Callable[[Tables], str]:
    return lambda _: text


CAPTIONS: dict[str, tuple[str, Callable[[Tables], str], Callable[[Tables], str]]] = {
    "leaderboard": ("Which trials are best, and how sure that is", _leaderboard, _leaderboard_words),
    "cost": ("What a score costs", _cost, _cost_words),
    "survival": ("Who survives with fewer images", _survival, _survival_words),
    "effects": (
        "What makes a difference",
        _always(
            "A dot is how far a level lies from the mean of its factor, in points of score, with its 95 % interval. "
            "Grey factors are not shown to matter, or differ by little."
        ),
        _effects_words,
    ),
    "interaction": (
        "Backbone and depth together",
        _always(
            "Mean score of the trials with both, deeper the better, and how many they are. It is estimated from the "
            "runs that there are: what a stopped trial has not run is filled in from how the others did there."
        ),
        _interaction_words,
    ),
    "parallel": ("All complete recipes", _parallel, _parallel_words),
    "strip": (
        "How much single folds differ",
        _always("A dot is a fold, the bar the mean; all share the folds."),
        _strip_words,
    ),
    "loss": ("Loss by epoch, all training images", _curves, _curves_words("loss", 0)),
    "accuracy": ("Accuracy by epoch, all training images", _always("The same runs."), _curves_words("accuracy", 0)),
    "loss_small": (
        "Loss by epoch, fewest training images",
        _always("On the same axes as above."),
        _curves_words("loss", 1),
    ),
    "accuracy_small": (
        "Accuracy by epoch, fewest training images",
        _always("On the same axes as above."),
        _curves_words("accuracy", 1),
    ),
    "confusion": ("What is taken for what", _confusion, _confusion_words),
    "recall": ("Recall by class", _recall, _recall_words),
    "calibration": (
        "Is its confidence worth something?",
        _always(
            "On the dashed line a network that is 80 % sure is right 8 times of 10; below it, it is too sure. Larger "
            "dots hold more images."
        ),
        _calibration_words,
    ),
}
