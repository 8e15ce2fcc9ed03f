"""The contents of a report: its chapters in order, and the exhibits of each. There is no other list of them.

A new exhibit is a file in ``exhibits`` and a name here: page, Markdown, CSV, JSON and its schema follow.
"""

from collections.abc import Callable, Sequence

from altair.utils.schemapi import debug_mode

from search.analysis.judgement import Judgement
from search.report import answer, cautions, terms
from search.report.document import Document
from search.report.exhibit import Chapter, Display, Exhibit, Figure, Section, Sheet, Subject
from search.report.exhibits import (
    baselines,
    calibration,
    classes,
    comparisons,
    confirmation,
    confused,
    confusion,
    cost,
    curves,
    duplicates,
    effects,
    folds,
    hard,
    interaction,
    label_errors,
    leaderboard,
    ledger,
    looked,
    parallel,
    predictions,
    strip,
    survival,
    synthetic,
    together,
)
from search.report.figures import specification

CHAPTERS = (
    Chapter(
        "answer",
        "The answer",
        (
            leaderboard.EXHIBIT,
            cost.EXHIBIT,
            baselines.EXHIBIT,
            confirmation.EXHIBIT,
            comparisons.EXHIBIT,
            together.EXHIBIT,
        ),
        opening="answer",
    ),
    Chapter("survival", "Survival with fewer images", (survival.EXHIBIT,)),
    Chapter("synthetic", "Do synthetic images help?", (synthetic.EXHIBIT, synthetic.PARTS), is_optional=True),
    Chapter("matters", "What matters", (effects.EXHIBIT, interaction.EXHIBIT, parallel.EXHIBIT)),
    Chapter(
        "winner",
        "The winner",
        (
            strip.EXHIBIT,
            (curves.LOSS, curves.ACCURACY, curves.LOSS_SMALL, curves.ACCURACY_SMALL),
            confusion.EXHIBIT,
            (classes.EXHIBIT, calibration.EXHIBIT),
        ),
    ),
    Chapter(
        "images",
        "Images to look at",
        (hard.EXHIBIT, looked.EXHIBIT, label_errors.EXHIBIT, confused.EXHIBIT, duplicates.EXHIBIT),
    ),
    Chapter("audit", "The data", sentences=terms.images, passages=("findings",)),
    Chapter(
        "record",
        "The record",
        (ledger.EXHIBIT, folds.EXHIBIT, predictions.EXHIBIT),
        sentences=terms.study,
        passages=("limits",),
        closing="versions",
    ),
)


def exhibits(chapters: Sequence[Chapter] = CHAPTERS) -> list[Exhibit]:
    """Return all exhibits in order."""
    return [
        exhibit
        for chapter in chapters
        for row in chapter.exhibits
        for exhibit in ((row,) if isinstance(row, Exhibit) else row)
    ]


def sheets(chapters: Sequence[Chapter] = CHAPTERS) -> list[Sheet]:
    """Return the sheets of all exhibits, each once."""
    return list({exhibit.sheet.name: exhibit.sheet for exhibit in exhibits(chapters)}.values())


def document(
    judgement: Judgement, chapters: Sequence[Chapter] = CHAPTERS, begin: Callable[[Figure], None] | None = None
) -> Document:
    """Return what the report of a search says and shows; ``begin`` is given each chart as soon as it is there."""
    record = judgement.record
    subjects = {sheet.name: Subject(judgement, sheet.frame(judgement)) for sheet in sheets(chapters)}
    return Document(
        title=record.name,
        answer=answer.sentences(judgement),
        command=answer.command(judgement),
        facts=list(answer.facts(judgement)),
        cautions=cautions.cautions(judgement),
        sections=[_section(chapter, judgement, subjects, begin) for chapter in chapters],
        findings=terms.findings(record),
        versions=list(terms.versions(record)),
        limits=terms.limits(judgement),
        unfinished=not record.history.end_reason,
    )


def _section(
    chapter: Chapter, judgement: Judgement, subjects: dict[str, Subject], begin: Callable[[Figure], None] | None
) -> Section:
    rows = [(row,) if isinstance(row, Exhibit) else row for row in chapter.exhibits]
    words = chapter.sentences(judgement) if chapter.sentences else []
    for exhibit in (exhibit for row in rows for exhibit in row if exhibit.sentences):
        assert exhibit.sentences is not None
        words += exhibit.sentences(subjects[exhibit.sheet.name])
    displays = (tuple(_display(exhibit, subjects[exhibit.sheet.name], begin) for exhibit in row) for row in rows)
    return Section(chapter, tuple(words), tuple(displays))


def _display(exhibit: Exhibit, subject: Subject, begin: Callable[[Figure], None] | None) -> Display:
    figure = _figure(exhibit, subject)
    if figure and begin:
        begin(figure)
    return Display(
        exhibit,
        subject.frame,
        figure,
        exhibit.plot.absent if exhibit.plot and not figure and subject.judgement.complete else "",
        exhibit.table(subject) if exhibit.table else None,
        exhibit.gallery(subject) if exhibit.gallery else None,
    )


def _figure(exhibit: Exhibit, subject: Subject) -> Figure | None:
    plot = exhibit.plot
    with debug_mode(arg=False):
        chart = plot.draw(subject) if plot else None
    if plot is None or chart is None:
        return None
    reading = plot.reading if isinstance(plot.reading, str) else plot.reading(subject)
    return Figure(exhibit.figure, plot.title, reading, plot.in_words(subject), specification(chart))
