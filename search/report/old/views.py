"""The tables that people read, of the page and of Markdown alike."""

from typing import Any

from search.analysis.stats.comparing import ALPHA
from search.report import reading
from search.report.cells import Cell, Row, View, count, limits, p_value, records, score, text, view
from search.report.reading import RECIPE, Tables


def leaderboard(tables: Tables) -> View:
    """Return the complete trials, best first, then the others, which have no score."""
    sizes = reading.sizes(tables)
    best = reading.complete(tables)
    trials = tables["trials"]
    others = trials[trials["status"] != "completed"].assign(standing="")
    names = reading.chosen(tables)
    accuracies = "".join(f"| # accuracy, {reading.size_words(fraction)}" for _, fraction in sizes)
    titles = f"# rank | trial | recipe | # score | # 95 % interval | against the best | # p {accuracies} | # time"
    caption = (
        "Trials, best first. The accuracy stands beside the score for each training size (all, or part of the "
        "training images); time is that of all runs of a trial."
    )
    rows = [_trial(row, [name for name, _ in sizes], names) for part in (best, others) for row in records(part)]
    return view(caption, titles, rows, "trials.csv")


def _trial(row: dict[Any, Any], sizes: list[str], names: dict[str, str]) -> Row:
    called = names.get(row["trial"], "")
    kind = called.split(",", maxsplit=1)[0] or ("alike" if row["standing"] == reading.BEST else "")
    words = f"{row['baseline']}: {row['summary']}" if row["baseline"] else row["summary"]
    note = called or ("baseline" if row["baseline"] else "")
    cells = (
        count(row["rank"]),
        Cell(f"{row['trial']} ({note})" if note else str(row["trial"])),
        text(words),
        score(row["score"]),
        limits(row["score_low"], row["score_high"]),
        _against(row),
        p_value(row["behind_p"]),
        *(score(row[f"accuracy@{size}"]) for size in sizes),
        Cell(reading.seconds(row["seconds"]), float(row["seconds"]) if reading.known(row["seconds"]) else None),
    )
    return Row(cells, kind)


def _against(row: dict[Any, Any]) -> Cell:
    if row["status"] != "completed":
        return Cell(f"{row['status']} after {int(row['runs'])} runs" if row["runs"] else str(row["status"]))
    if row["rank"] == 1:
        return Cell("the best", -1.0)
    worse = "worse" if row["behind_p"] < ALPHA else "probably worse"  # "worse" needs Holm's adjustment
    said = {reading.BEST: "cannot be told apart", reading.WORSE: worse}.get(row["standing"], reading.UNJUDGED)
    return Cell(said, float(row["behind"]) if reading.known(row["behind"]) else None)


def baselines(tables: Tables) -> View:
    """Return what the winner gained over each baseline."""
    return view(
        "Baselines, and how much better the winner is: differences of scores, paired by fold (Holm-adjusted p).",
        "trial | baseline | # score | # 95 % interval | # winner minus it | # 95 % interval | # p | better",
        (
            (
                text(row["trial"]),
                text(row["baseline"]),
                score(row["score"]),
                limits(row["low"], row["high"]),
                score(row["difference"], sign=True),
                limits(row["difference_low"], row["difference_high"], sign=True),
                p_value(row["p_holm"]),
                _better(row["better"]),
            )
            for row in records(tables["baselines"])
        ),
    )


def _better(value: Any) -> Cell:
    return Cell("yes" if reading.known(value) and value else "cannot be told")


def comparisons(tables: Tables) -> View:
    """Return the winner against each other complete trial."""
    return view(
        "The winner against every other complete trial: differences of scores, paired by fold. p and Holm-adjusted p "
        "are one-sided; the last is McNemar's test on these images alone, which says nothing of new ones.",
        "trial | against | # difference | # 95 % interval | # p | # p (Holm) | better | # p, these images",
        (
            (
                text(row["trial"]),
                text(row["against"]),
                score(row["difference"], sign=True),
                limits(row["low"], row["high"], sign=True),
                p_value(row["p"]),
                p_value(row["p_holm"]),
                _better(row["better"]),
                p_value(row["images_p"]),
            )
            for row in records(tables["comparisons"])
        ),
    )


def confirmation(tables: Tables) -> View:
    """Return the scores of trials that were trained again on fresh folds."""
    return view(
        "Trained again on reshuffled folds of the same images, with fresh seeds.",
        "trial | # score | # 95 % interval | # confirmed | # 95 % interval | # runs",
        (
            (
                text(row["trial"]),
                score(row["score"]),
                limits(row["low"], row["high"]),
                score(row["confirmed"]),
                limits(row["confirmed_low"], row["confirmed_high"]),
                count(row["runs"]),
            )
            for row in records(tables["confirmation"])
        ),
    )


def survival(tables: Tables) -> View:
    """Return the winner, the recommended trial and the baselines at each training size."""
    names = reading.chosen(tables)
    trials = tables["trials"]
    base = dict(trials.loc[trials["baseline"] != "", ["trial", "baseline"]].itertuples(index=False))
    called = names | {trial: f"baseline: {words}" for trial, words in base.items() if trial not in names}
    shown = tables["survival"][tables["survival"]["trial"].isin(called)]
    return view(
        f"The {reading.objective(tables)} at each training size. A drop is told beside the median drop of all complete "
        "trials: bad recipes have little to lose.",
        "trial | what | # training images | # score at that size | # 95 % interval | # accuracy | # drop minus median",
        (
            (
                text(row["trial"]),
                text(called[row["trial"]]),
                _images(row),
                score(row["score"]),
                limits(row["low"], row["high"]),
                score(row["accuracy"]),
                score(row["drop_vs_median"], sign=True),
            )
            for trial in called
            for row in records(shown[shown["trial"] == trial])
        ),
    )


def _images(row: dict[Any, Any]) -> Cell:
    if not reading.known(row["images"]):
        return text(reading.size_words(row["fraction"]))
    return Cell(f"{row['images']:,.0f} ({reading.size_words(row['fraction'])})", float(row["images"]))


def effects(tables: Tables) -> View:
    """Return the effect of each level of each factor, what matters first."""
    return view(
        "Effects: how far each level is from the mean over its factor's levels, in score, from all runs, also of "
        "stopped trials. p is of the factor, Holm-adjusted.",
        "factor | level | # effect | # 95 % interval | # trials | # runs | # p | matters | note",
        (
            (
                text(RECIPE.get(row["factor"], row["factor"])),
                text(row["level"]),
                score(row["effect"], sign=True),
                limits(row["low"], row["high"], sign=True),
                count(row["trials"]),
                count(row["runs"]),
                p_value(row["p"]),
                text(row["matters"]),
                Cell(str(row["note"]) if reading.known(row["note"]) else ""),
            )
            for row in records(reading.ordered_effects(tables))
        ),
    )


def interaction(tables: Tables) -> View:
    """Return the mean score of each backbone at each depth."""
    return view(
        "Mean score of each backbone at each depth.",
        "backbone | unfrozen blocks | # trials | # score | # 95 % interval",
        (
            (
                text(row["backbone"]),
                text(row["unfrozen_blocks"]),
                count(row["trials"]),
                score(row["score"]),
                limits(row["low"], row["high"]),
            )
            for row in records(tables["interaction"])
        ),
    )


def classes(tables: Tables) -> View:
    """Return the winner's classification report."""
    return view(
        "Classification report of the winner, from out-of-fold predictions: every image by a model that did not "
        "train on it. The interval is that of the recall (Wilson).",
        "class | # images | # right | # recall | # 95 % interval | # precision | # F1",
        (
            (
                text(row["class"]),
                count(row["images"]),
                count(row["correct"]),
                score(row["recall"]),
                limits(row["low"], row["high"]),
                score(row["precision"]),
                score(row["f1"]),
            )
            for row in records(tables["classes"])
        ),
    )


def calibration(tables: Tables) -> View:
    """Return how often the winner is right at each confidence."""
    return view(
        "Calibration: how often the winner is right when it is so confident.",
        "confidence | # images | # mean confidence | # share right | # 95 % interval",
        (
            (
                Cell(f"{row['low']:.2g} to {row['high']:.2g}", float(row["low"])),
                count(row["images"]),
                score(row["confidence"]),
                score(row["accuracy"]),
                limits(row["accuracy_low"], row["accuracy_high"]),
            )
            for row in records(tables["calibration"])
        ),
    )


def confused(tables: Tables) -> View:
    """Return which classes are taken for which, most images first."""
    return view(
        "Classes that the winner takes for another, most images first.",
        "labelled | predicted | # images | # of the label's images",
        (
            (
                text(row["label"]),
                text(row["predicted"]),
                count(row["images"]),
                Cell(f"{100 * row['share']:.0f} %", float(row["share"])),
            )
            for row in records(tables["confused"])
        ),
    )


def hard(tables: Tables) -> View:
    """Return the images that recipes get wrong."""
    return view(
        "Images that every recipe, or nearly every one, gets wrong.",
        "image | labelled | most often taken for | # recipes wrong | # winner's probability of the label",
        (
            (
                text(row["id"]),
                text(row["label"]),
                text(row["predicted"]),
                _of(row["wrong"], row["recipes"]),
                score(row["probability"]),
            )
            for row in records(tables["hard"])
        ),
    )


def _of(part: Any, whole: Any) -> Cell:
    return Cell(f"{int(part)} of {int(whole)}", float(part))


def label_errors(tables: Tables) -> View:
    """Return the images whose labels should be checked, the widest margin first."""
    return view(
        "Labels to check: recipes together are surer of another class (confident learning), the widest margin first.",
        "image | labelled | suggested | # probability of the suggested | # of the label",
        (
            (text(row["id"]), text(row["label"]), text(row["suggested"]), score(row["confidence"]), score(row["own"]))
            for row in records(tables["label_errors"])
        ),
    )


def duplicates(tables: Tables) -> View:
    """Return the images that show the same, group by group."""
    return view(
        "Images that are kept together in one fold: the same picture again, or what the data say belongs together.",
        "# group | image | labelled | different labels",
        (
            (
                _value(row["group"]),
                text(row["id"]),
                text(row["label"]),
                Cell("yes" if row["different_labels"] else "no"),
            )
            for row in records(tables["duplicates"])
        ),
    )


def ledger(tables: Tables) -> View:
    """Return what happened, counted."""
    return view(
        "Ledger: everything that was planned, trained, stopped and failed.",
        "what | # value",
        ((text(str(row["what"]).replace("_", " ")), _value(row["value"])) for row in records(tables["ledger"])),
    )


def _value(value: Any) -> Cell:
    if isinstance(value, str) or not reading.known(value):
        return text(value)
    return Cell(f"{value:,.10g}", float(value))
