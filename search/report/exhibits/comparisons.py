"""The winner against every other complete trial."""

from collections.abc import Iterable

import numpy as np

from search.analysis.judgement import Judgement
from search.analysis.predictions import Evidence
from search.analysis.stats.comparing import Standing, mcnemar
from search.report.exhibit import Exhibit, Row, Sheet, Subject, number, string, trial
from search.report.exhibit import limits as limits_of
from search.report.table import Table, limits, p_value, records, score, table, text

COLUMNS = (
    trial(),
    trial("against"),
    number("difference"),
    number("low", "Lower 95 % limit."),
    number("high", "Upper 95 % limit."),
    number("p", "One-sided."),
    number("p_holm"),
    string("standing", "How the other one stands.", levels=tuple(map(str, Standing))),
    number("images_p", "McNemar's exact p on these images only, full size."),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield the difference of the winner and each other complete trial."""
    evidence = judgement.evidence
    for other, difference in zip(judgement.complete[1:], judgement.differences, strict=True):
        winner = judgement.complete[0]
        yield {
            "trial": winner.id,
            "against": other.id,
            "difference": difference.mean,
            **limits_of(difference),
            "p": difference.p,
            "p_holm": difference.p_holm,
            "standing": str(judgement.standings[other.id]),
            "images_p": _on_these_images(evidence, winner.id, other.id) if evidence else np.nan,
        }


def _on_these_images(evidence: Evidence, first: str, second: str) -> float:
    if first not in evidence.trials or second not in evidence.trials:
        return np.nan
    size = evidence.sizes[-1]
    images, times = np.unique(size.image, return_counts=True)
    right = []
    for name in (first, second):
        hits = np.bincount(size.image, size.predictions[evidence.trials.index(name)] == size.labels)[images]
        right.append(2 * hits > times)  # of an image that repeats predict several times, most of them
    return mcnemar(*right)


def differences(subject: Subject) -> Table:
    """Return the winner against each other complete trial."""
    return table(
        "The winner against every other complete trial: differences of scores, fold by fold. p, and p adjusted for the "
        "number of comparisons (Holm), are one-sided. The last p is about these images alone (McNemar's test): it says "
        "nothing of new ones.",
        "trial | against | # difference | # 95 % interval | # p | # p adjusted | it is | # p, these images",
        (
            (
                text(row["trial"]),
                text(row["against"]),
                score(row["difference"], sign=True),
                limits(row["low"], row["high"], sign=True),
                p_value(row["p"]),
                p_value(row["p_holm"]),
                text(row["standing"]),
                p_value(row["images_p"]),
            )
            for row in records(subject.frame)
        ),
    )


EXHIBIT = Exhibit(
    "comparisons",
    Sheet("comparisons", "The winner against every other complete trial.", COLUMNS, rows),
    table=differences,
    folded="The winner against every other trial",
)
