"""The best recipes, trained again on reshuffled folds."""

from collections.abc import Iterable

from search.analysis.judgement import Judgement
from search.analysis.ledger import interval
from search.report import words
from search.report.exhibit import Exhibit, Row, Sheet, Subject, number, trial, whole
from search.report.exhibit import limits as limits_of
from search.report.table import Table, count, limits, records, score, table, text

COLUMNS = (
    trial(),
    number("score"),
    number("low", "Lower 95 % limit."),
    number("high", "Upper 95 % limit."),
    number("confirmed"),
    number("confirmed_low"),
    number("confirmed_high"),
    whole("runs"),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each trial that was trained again, with both scores."""
    for one, again in judgement.confirmations:
        first = interval(one, judgement.rules)
        yield {
            "trial": one.id,
            "score": first.mean,
            **limits_of(first),
            "confirmed": again.mean,
            **limits_of(again, "confirmed_low", "confirmed_high"),
            "runs": len(one.confirmations),
        }


def scores(subject: Subject) -> Table:
    """Return the scores of trials that were trained again on fresh folds."""
    return table(
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
            for row in records(subject.frame)
        ),
    )


def sentences(subject: Subject) -> list[str]:
    """Return what training the best again on reshuffled folds showed, and what that cannot show."""
    if subject.frame.empty:
        return []
    pairs = list(zip(subject.frame["trial"], subject.frame["score"], subject.frame["confirmed"], strict=True))
    change = sum(again - first for _, first, again in pairs) / len(pairs)
    listed = "; ".join(f"{name} {first:.3f}, then {again:.3f}" for name, first, again in pairs)
    return [
        f"Trained again with fresh seeds on reshuffled folds: {listed} (on average {words.signed(change)}).",
        (
            "This removes the luck of seeds and folds from a score, but not the luck of having these images. So some "
            "of the flattery stays (about a third, in simulations)."
        ),
    ]


EXHIBIT = Exhibit(
    "confirmation",
    Sheet("confirmation", "The best recipes, trained again on reshuffled folds with fresh seeds.", COLUMNS, rows),
    table=scores,
    sentences=sentences,
)
