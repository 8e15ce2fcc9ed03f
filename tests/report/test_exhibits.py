"""The contract of exhibits: whatever the contents name is whole, and is on the page, in Markdown, CSV and JSON."""

import functools
import io
import json
from importlib import resources

import altair as alt
import jsonschema
import numpy as np
import pandas as pd
import pytest
from kinds import KINDS, document, figures, html, judgement
from kit.searches import strict_json

from search.report import contents
from search.report.exhibit import Chapter, Exhibit, Plot, Sheet, number, string
from search.report.html import page as page_of
from search.report.json import as_json, lines, schema, tables
from search.report.markdown import PASSAGES, inert, markdown
from search.report.style import place
from search.report.table import score, table, text

EXHIBITS = contents.exhibits()
NOTHING = {"nan", "None", "NaN", "<NA>", "inf"}


@functools.cache
def plain(kind):
    return markdown(document(kind), {name: f"pictures/{name}.png" for name in figures(kind)})


def names_of(exhibits):
    return [exhibit.name for exhibit in exhibits]


@pytest.fixture(params=EXHIBITS, ids=names_of(EXHIBITS))
def exhibit(request):
    return request.param


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def display_of(exhibit, kind):
    return next(display for display in document(kind).displays if display.exhibit is exhibit)


def test_every_exhibit_has_a_name_of_its_own():
    names = names_of(EXHIBITS)
    charts = [exhibit.figure for exhibit in EXHIBITS if exhibit.plot]
    assert len(set(names)) == len(names)
    assert len(set(charts)) == len(charts)
    sheets = {exhibit.sheet.name: exhibit.sheet for exhibit in EXHIBITS}
    assert all(exhibit.sheet is sheets[exhibit.sheet.name] for exhibit in EXHIBITS)


def test_every_file_of_exhibits_is_in_the_contents():
    files = {path.name for path in resources.files("search.report.exhibits").iterdir() if path.name.endswith(".py")}
    modules = {f"{module}.py" for module in vars(contents) if f"{module}.py" in files}
    assert modules | {"__init__.py", "trials.py"} == files  # the trials are the sheet of several exhibits


def test_columns_are_those_of_the_rows(exhibit, kind):
    sheet, search = exhibit.sheet, judgement(kind)
    assert len({column.key for column in sheet.columns}) == len(sheet.columns)
    rows = sheet.rows(search)
    rows = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else list(rows)
    assert all(set(row) == set(sheet.keys(search)) for row in rows)
    assert display_of(exhibit, kind).frame.columns.tolist() == sheet.keys(search)


def test_every_column_says_what_type_it_has(exhibit):
    for column in exhibit.sheet.columns:
        assert column.type or column.about
        assert column.type in {"", "number", "integer", "string", "boolean"}
        assert not column.pattern or column.keys
    assert exhibit.sheet.about.endswith(".")


def test_a_chart_is_drawn_and_said_in_words(exhibit, kind):
    figure = display_of(exhibit, kind).figure
    if figure is None:
        return
    assert figure.reading.endswith(".")
    assert len(figure.in_words) > 20
    assert not NOTHING & set(f"{figure.reading} {figure.in_words}".split())


def test_every_row_of_a_table_has_a_cell_for_each_title(exhibit, kind):
    shown = display_of(exhibit, kind).table
    if shown is None:
        return
    assert {len(row.cells) for row in shown.rows} <= {len(shown.titles)}
    cells = [cell for row in shown.rows for cell in row.cells]
    assert not NOTHING & {cell.text for cell in cells}
    assert all(cell.value is None or np.isfinite(cell.value) for cell in cells)
    assert not all(title.numeric for title in shown.titles)  # one column names the row


def test_every_exhibit_is_on_the_page(exhibit, kind):
    page, display = html(kind), display_of(exhibit, kind)
    if display.figure:
        assert f'id="figure-{exhibit.figure}"' in page
    if display.table and display.table.rows and not display.gallery:
        assert f'id="table-{exhibit.name}"' in page
    assert (f"<h3>{exhibit.heading}</h3>" in page) == bool(exhibit.heading)


def test_every_exhibit_is_in_the_markdown(exhibit, kind):
    display = display_of(exhibit, kind)
    whole = plain(kind)
    if display.figure:
        assert f"(pictures/{exhibit.figure}.png)" in whole
    if display.table and display.table.rows:
        assert inert(display.table.caption) in whole


def test_every_sheet_is_csv(exhibit, kind):
    frame = display_of(exhibit, kind).frame
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)), dtype=str, keep_default_na=False)
    assert again.columns.tolist() == frame.columns.tolist()
    assert len(again) == len(frame)


def test_json_is_as_its_schema_says(kind):
    report = strict_json(json.dumps(as_json(judgement(kind), document(kind)), allow_nan=False))
    jsonschema.Draft202012Validator(schema()).validate(report)
    sheets = {exhibit.sheet.name for exhibit in EXHIBITS if exhibit.sheet.in_json}
    assert set(report["tables"]) == sheets == {sheet.name for sheet in tables()}


def test_the_schema_on_disk_is_that_of_the_columns():
    published = resources.files("search.report").joinpath("report.schema.json").read_text(encoding="utf-8")
    assert published == "".join(lines(schema()))  # else run: python -m search.report.json


def test_every_passage_of_the_contents_is_known():
    passages = {
        name for chapter in contents.CHAPTERS for name in (chapter.opening, *chapter.passages, chapter.closing) if name
    }
    assert passages == set(PASSAGES)


@pytest.mark.parametrize("kind", ["usual", "failed"])
def test_a_new_exhibit_needs_nothing_but_a_name_in_the_contents(kind):
    def rows(judgement):
        for trial in judgement.complete:
            yield {"trial": trial.id, "toy": 0.5}

    def draw(subject):
        chart = alt.Chart(alt.InlineData(values=[{"a": 1}])).mark_point().encode(x="a:Q")
        return None if subject.frame.empty else place(chart, height=50)

    def toys(subject):
        cells = [(text(row.trial), score(row.toy)) for row in subject.frame.itertuples()]
        return table("Toys of a test.", "trial | # toy", cells)

    toy = Exhibit(
        "toy",
        Sheet("toys", "Toys.", (string("trial"), number("toy", "What a test made.")), rows),
        Plot("A toy", draw, "Read it so.", lambda subject: f"{len(subject.frame)} toys in words."),
        table=toys,
        sentences=lambda subject: [f"There are {len(subject.frame)} toys."],
    )
    chapters = (*contents.CHAPTERS, Chapter("toys", "Playing", (toy,)))
    whole = contents.document(judgement(kind), chapters)
    complete = len(judgement(kind).complete)
    page = page_of(whole, {})
    assert '<section id="toys"' in page
    assert f"There are {complete} toys." in page
    assert ('id="table-toy"' in page) == ('id="figure-toy"' in page) == bool(complete)
    plain = markdown(whole, {"toy": "pictures/toy.png"})
    assert ("![" in plain) == ("Toys of a test." in plain) == bool(complete)
    report = as_json(judgement(kind), whole)
    assert len(report["tables"]["toys"]) == complete
    assert list(report["tables"])[-1] == "toys"
    jsonschema.Draft202012Validator(schema(chapters)).validate(strict_json(json.dumps(report)))
    assert not jsonschema.Draft202012Validator(schema()).is_valid(report)
