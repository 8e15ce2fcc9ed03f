"""A few unlike recipes together, beside the best one."""

from collections.abc import Iterable

from search.analysis.judgement import Judgement
from search.report import words
from search.report.exhibit import Exhibit, Row, Sheet, Subject, number, trial
from search.report.table import Table, records, score, table, text
from search.system.commands import command_of

COLUMNS = (trial(), number("weight", "Of its probabilities in their mean.", nullable=False))


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each member of the ensemble; none where one recipe is as good as any mean."""
    found = judgement.ensemble
    if found and len(found.members) > 1:
        yield from ({"trial": name, "weight": weight} for name, weight in found.members.items())


def members(subject: Subject) -> Table:
    """Return who is in the ensemble."""
    trials = subject.judgement.record.history.trials
    return table(
        "The members of the ensemble, and how much each counts in the mean of their probabilities.",
        "trial | # weight | recipe",
        (
            (text(row["trial"]), score(row["weight"]), text(trials[row["trial"]].recipe.summary()))
            for row in records(subject.frame)
        ),
    )


def sentences(subject: Subject) -> list[str]:
    """Return whether a few recipes together are better than the best one, corrected for having been chosen."""
    found = subject.judgement.ensemble
    if found is None or subject.frame.empty:
        return []
    several = words.count(len(found.members))
    told = (
        f"Several together: the mean of {several} unlike recipes ({words.listed(found.members)}), with all training "
        f"images and on images that chose neither (which takes the luck of both off), is "
        f"{words.standing(found.combined.gain, 'the best one')}."
    )
    if not found.combined.is_ahead:
        return [f"{told} On all images it is no better, so it is not worth {several} networks."]
    if not found.is_recommended:
        return [f"{told} That is not worth {several} networks."]
    command = command_of(subject.judgement.record.folder, "export", how="ensemble", to="my-ensemble")
    return [f"{told} It may be worth its {several} networks: {command}"]


EXHIBIT = Exhibit(
    "together",
    Sheet("together", "The unlike recipes whose probabilities together are truest on the folds.", COLUMNS, rows),
    table=members,
    folded="Several recipes together",
    sentences=sentences,
)
