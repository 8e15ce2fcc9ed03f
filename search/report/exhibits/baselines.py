"""What needs no search, and how much better the winner is."""

from collections.abc import Iterable

import numpy as np

from search.analysis.judgement import Judgement
from search.analysis.ledger import interval
from search.analysis.stats.comparing import Standing
from search.report.exhibit import Exhibit, Row, Sheet, Subject, number, string, trial
from search.report.exhibit import limits as limits_of
from search.report.table import Table, limits, p_value, records, score, table, text

COLUMNS = (
    trial(),
    string("baseline"),
    number("score"),
    number("low", "Lower 95 % limit."),
    number("high", "Upper 95 % limit."),
    number("difference", "Winner minus baseline."),
    number("difference_low"),
    number("difference_high"),
    number("p_holm"),
    string("standing", "How it stands against the winner.", levels=(*map(str, Standing), "")),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each complete baseline, and the winner against it."""
    differences = {one.id: behind for one, behind in zip(judgement.complete[1:], judgement.differences, strict=True)}
    for one in judgement.complete:
        if one.baseline:
            own, behind = interval(one, judgement.rules), differences.get(one.id)  # None for one that won
            yield {
                "trial": one.id,
                "baseline": one.baseline,
                "score": own.mean,
                **limits_of(own),
                "difference": behind.mean if behind else np.nan,
                **limits_of(behind, "difference_low", "difference_high"),
                "p_holm": behind.p_holm if behind else np.nan,
                "standing": str(judgement.standings[one.id]),
            }


def gains(subject: Subject) -> Table:
    """Return what the winner gained over each baseline."""
    recipes = [one.recipe for one in subject.judgement.complete if one.baseline]
    settings = "; and ".join(
        dict.fromkeys(f"at {one.image_size} px, {one.epochs} epochs in batches of {one.batch_size}" for one in recipes)
    )
    return table(
        "What needs no search (baselines), and how much better the winner is. Differences are of scores, fold by fold; "
        f"p is adjusted for the number of comparisons (Holm). The baselines train {settings}.",
        "trial | baseline | # score | # 95 % interval | # winner minus it | # 95 % interval | # p | against the best",
        (
            (
                text(row["trial"]),
                text(row["baseline"]),
                score(row["score"]),
                limits(row["low"], row["high"]),
                score(row["difference"], sign=True),
                limits(row["difference_low"], row["difference_high"], sign=True),
                p_value(row["p_holm"]),
                text(row["standing"]),
            )
            for row in records(subject.frame)
        ),
    )


EXHIBIT = Exhibit(
    "baselines", Sheet("baselines", "What needs no search, and the winner against it.", COLUMNS, rows), table=gains
)
