"""An evaluation as one HTML file that needs no other: the exhibits of the report, of the images that count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from altair.utils.schemapi import debug_mode

from search.analysis.stats.metrics import METRICS
from search.evaluation.evaluation import Evaluation
from search.evaluation.told import MODEL, cautions, further, headline, most_confused
from search.options import name_of
from search.report import words
from search.report.document import Document, Fact
from search.report.drawing import DrawingError
from search.report.exhibit import Card, Cards, Chapter, Display, Exhibit, Figure, Gallery, Section
from search.report.exhibits import calibration, classes, confused, confusion
from search.report.figures import specification
from search.report.html import page
from search.report.style import Chart
from search.report.thumbnails import as_uris, fitting_side, pictures_of
from search.report.write import without_charts
from search.system.files import write_text

WRONG, TRAINED = 480, 48  # images on the page, at most
FOOTER = "Its numbers are those of evaluate, which prints them with --json, and those of each image with --csv."
BY_GROUP = "Intervals are by group where images are grouped, else Wilson's."


@dataclass(frozen=True)
class _Rows:
    """The rows of a chart or of a table."""

    frame: pd.DataFrame


def write_page(path: Path, evaluation: Evaluation) -> str:
    """Write the page of an evaluation, and return why it has no charts, "" where it has."""
    document = document_of(evaluation)
    names = [id_ for display in document.displays if display.gallery for id_ in display.gallery.ids]
    images = _thumbnails(evaluation, names)
    problem = ""
    try:
        text = page(document, images)
    except DrawingError as error:
        problem = f"The charts could not be drawn: {error}. Numbers and tables are whole."
        text = page(without_charts(document, problem), images)
    write_text(path, text)
    return problem


def document_of(evaluation: Evaluation) -> Document:
    """Return what the page says and shows."""
    about = evaluation.about
    members = about.get("members", [])
    what = f"{words.count(len(members))} recipes together" if members else f"trial {about.get('trial')}"
    return Document(
        title=f"{about.get('search')}, {what}, on {name_of(evaluation.labelled.dataset.source)}",
        kind="Evaluation of a model",
        answer=[headline(evaluation), *further(evaluation)],
        facts=list(_facts(evaluation)),
        cautions=cautions(evaluation),
        sections=list(_sections(evaluation)),
        footer=FOOTER,
    )


def _facts(evaluation: Evaluation) -> Iterator[Fact]:
    figures = evaluation.main
    for name, interval in figures.scores.items():
        note = f"95 % interval {words.between(interval.low, interval.high)}" if interval.known else "no interval"
        yield Fact(METRICS[name].title, words.number(interval.mean), f"{note}; guessing {figures.guessing[name]:.3f}")
    chance = figures.if_calibrated[0]
    note = f"{words.between(chance.low, chance.high)} if every confidence were right"
    yield Fact("calibration error", words.number(figures.calibration_error), note)


def _sections(evaluation: Evaluation) -> Iterator[Section]:
    figures = evaluation.main
    yield Section(Chapter("answer", "The answer", opening="answer"), (), ())
    pairs, by_class, bins = _Rows(figures.pairs), _Rows(figures.by_class), _Rows(figures.bins)
    matrix = _display(
        confusion.EXHIBIT,
        pairs,
        confusion.draw(pairs),
        f"{confusion.how_to_read(MODEL)}{confusion.few(pairs)}",
        confusion.in_words(pairs),
    )
    recall = _display(
        classes.EXHIBIT, by_class, classes.draw(by_class), classes.reading(by_class, ""), classes.in_words(by_class)
    )
    reading = calibration.EXHIBIT.plot.reading if calibration.EXHIBIT.plot else ""
    belief = _display(calibration.EXHIBIT, bins, calibration.draw(bins), str(reading), calibration.in_words(bins))
    report = classes.table_of(by_class, f"Classification report. The interval is that of the recall. {BY_GROUP}")
    mistakes = _Rows(pd.DataFrame(figures.mistakes, columns=["label", "predicted", "images", "share"]))
    yield Section(
        Chapter("classes", "Classes"),
        tuple(filter(None, [most_confused(figures)])),
        (
            (matrix,),
            (replace(recall, table=report), replace(belief, table=calibration.table_of(bins, MODEL))),
            (replace(_plain(confused.EXHIBIT, mistakes), table=confused.table_of(mistakes, MODEL)),),
        ),
    )
    yield Section(Chapter("wrong", "Wrong images"), _of_wrong(evaluation), ((_gallery("wrong", _wrong(evaluation)),),))
    if evaluation.trained.any():
        lead = "These images, or near-duplicates of them, trained the model."
        gallery = _gallery("trained", _trained(evaluation))
        yield Section(Chapter("trained", "Images that trained the model"), (lead,), ((gallery,),))
    lines = evaluation.labelled.lines(evaluation.about["image_size"])
    yield Section(Chapter("data", "The data"), tuple(lines), ())


def _display(exhibit: Exhibit, rows: _Rows, chart: Chart | None, reading: str, in_words: str) -> Display:
    """Return the chart of an exhibit with its own words."""
    assert exhibit.plot is not None
    with debug_mode(arg=False):
        figure = None if chart is None else specification(chart)
    shown = None if figure is None else Figure(exhibit.figure, exhibit.plot.title, reading, in_words, figure)
    return Display(exhibit, rows.frame, shown, "", None, None)


def _plain(exhibit: Exhibit, rows: _Rows) -> Display:
    return Display(exhibit, rows.frame, None, "", None, None)


def _gallery(name: str, gallery: Gallery) -> Display:
    exhibit = Exhibit(name, confused.EXHIBIT.sheet, none="None.")
    return Display(exhibit, pd.DataFrame(), None, "", None, gallery)


def _of_wrong(evaluation: Evaluation) -> tuple[str, ...]:
    wrong = len(evaluation.main.wrong)
    line = f"{wrong} of {words.amount(len(evaluation.main), 'image')}; in each class the surest mistakes come first."
    return (line,)


def _wrong(evaluation: Evaluation) -> Gallery:
    """Return the images that the model has wrong, class by class, the surest mistake first."""
    figures, ids = evaluation.main, evaluation.labelled.dataset.ids
    by_class: dict[str, list[Card]] = {name: [] for name in figures.classes}
    for at in figures.wrong[:WRONG]:
        label, predicted = figures.classes[figures.labels[at]], figures.classes[figures.predicted[at]]
        own = figures.probabilities[at, figures.labels[at]]
        note = f"probability {figures.confidence[at]:.2f}, of its label {own:.2f}"
        by_class[label].append(Card(ids[figures.rows[at]], label, predicted, note))
    parts = [Cards(tuple(cards), f"{name}: {len(cards)} wrong") for name, cards in by_class.items() if cards]
    if (more := len(figures.wrong) - WRONG) > 0:
        parts[-1] = replace(parts[-1], more=f"{more} more, of which the model is less sure, are in the CSV.")
    return Gallery(tuple(parts), verb="taken for")


def _trained(evaluation: Evaluation) -> Gallery:
    dataset, how = evaluation.labelled.dataset, evaluation.how or ()
    rows = [row for row, words_ in enumerate(how) if words_]
    cards = tuple(Card(dataset.ids[row], dataset.classes[dataset.labels[row]], "", how[row]) for row in rows[:TRAINED])
    more = f"{len(rows) - TRAINED} more are in the CSV." if len(rows) > TRAINED else ""
    return Gallery((Cards(cards, more=more),))


def _thumbnails(evaluation: Evaluation, ids: Sequence[str]) -> dict[str, str]:
    dataset = evaluation.labelled.dataset
    known = dict(zip(dataset.ids, zip(dataset.paths, dataset.contents, strict=True), strict=True))
    names = list(dict.fromkeys(ids))
    return as_uris(pictures_of([(id_, *known[id_]) for id_ in names], fitting_side(len(names)), dataset.ranges))
