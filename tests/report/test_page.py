"""The page: one file, whole, accessible, and harmless whatever its texts hold."""

import base64
import functools
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from search.report.cells import MOST
from search.report.charts.gallery import draw
from search.report.page import render
from search.report.reading import CARDS
from tables import KINDS, LONG, NASTY, document, usual

from search.report.document import PARTS

VOID = {"meta", "img", "br", "hr", "link", "input"}
CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 120_000  # milliseconds, on a machine that is busy with other things


class Page(HTMLParser):
    """What a page holds; every element must be closed in its place."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts, self.scripts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), tag
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts[-1] += data
        elif data.strip() and self.open[-1] != "style":
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@functools.cache
def made(kind):
    tables = KINDS[kind]()
    return render(document(tables), tables, draw(tables))


@pytest.fixture(params=KINDS)
def any_page(request):
    return made(request.param)


def test_pages_are_whole_and_small_enough_to_mail(any_page):
    page = Page(any_page)
    assert len(any_page.encode()) < 5_000_000
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "href"):
            if attributes.get(name, "").lstrip("#") and (name != "href" or attributes[name].startswith("#")):
                assert attributes[name].lstrip("#") in ids


def test_nothing_is_fetched(any_page):
    page = Page(any_page)
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action", "formaction"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), (tag, name)
    assert not page.all("link")
    outside = re.sub(r"<script.*?</script>", "", any_page, flags=re.DOTALL)
    assert not re.search(r"@import|url\((?!#)", outside)
    policy = page.all("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy
    assert "unsafe-eval" not in policy


def test_only_our_own_scripts_may_run(any_page):
    page = Page(any_page)
    kinds = [attributes.get("type") for attributes in page.all("script")]
    assert kinds[0] == "application/json"
    assert set(kinds[1:]) == {None}
    allowed = re.findall(r"'sha256-([^']+)'", page.all("meta")[1]["content"])
    assert allowed == [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts[1:]
    ]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_pages_are_told_to_screen_readers(any_page):
    page = Page(any_page)
    assert page.all("html") == [{"lang": "en"}]
    assert [len(page.all(tag)) for tag in ("h1", "main", "header", "nav", "footer", "title")] == [1] * 6
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert [attributes["href"] for attributes in page.all("a")[1:]] == [f"#{part}" for part in PARTS]
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(attributes.get("scope") in {"col", "row"} for attributes in page.all("th"))
    assert all("alt" in attributes for attributes in page.all("img"))
    plots = [attributes for attributes in page.all("div") if "data-chart" in attributes]
    assert len(plots) == len(page.all("figure")) == len(page.all("figcaption"))
    assert all(plot["role"] == "img" and len(plot["aria-label"]) > 20 for plot in plots)
    scrolled = [attributes for attributes in page.all("div") if "rows" in attributes.get("class", "")]
    assert all(box["tabindex"] == "0" and box["role"] == "region" for box in scrolled)


def test_every_chart_is_there_as_a_picture_and_as_data():
    page = Page(made("usual"))
    names = [attributes["data-chart"] for attributes in page.all("div") if "data-chart" in attributes]
    assert list(json.loads(page.scripts[0])) == list(draw(usual()))
    assert set(names) == set(json.loads(page.scripts[0]))
    assert len(page.all("svg")) == len(names)


def test_parts_stand_in_their_order():
    page = Page(made("usual"))
    assert [attributes["id"] for attributes in page.all("section")] == list(PARTS)
    ids = [
        attributes["id"] for _, attributes in page.elements if attributes.get("id", "").startswith(("figure", "table"))
    ]
    assert ids[:3] == ["figure-leaderboard", "table-leaderboard", "figure-cost"]


def test_the_answer_comes_first():
    tables = usual()
    words = document(tables)
    text = Page(made("usual")).text
    places = [text.index(part) for part in (*words.answer, words.command, words.facts[1].label, words.cautions[0])]
    assert places == sorted(places)
    assert places[0] < 400


def test_names_of_classes_stay_names():
    page = Page(made("hundred_classes"))
    assert all(name in page.text for name in (*NASTY, LONG))
    assert len(page.all("script")) == 3
    (rows,) = json.loads(page.scripts[0])["recall"]["datasets"].values()
    assert {row["class"] for row in rows} & set(NASTY)


def test_every_word_of_a_document_is_inert():
    tables = usual()
    words = document(tables)
    evil = "<img src=http://a.b onerror=alert(1)>\"'"
    changed = {
        "title": evil,
        "answer": (evil,),
        "command": evil,
        "cautions": (evil,),
        "limits": (evil,),
        "words": dict.fromkeys(PARTS, (evil,)),
        "pictures": {tables["hard"]["id"][0]: evil, tables["hard"]["id"][1]: "http://a.b/c.jpg"},
    }
    page = Page(render(document(tables, **changed), tables, {}))
    assert page.text.count(evil) == 5 + len(PARTS) + 1  # the title twice
    assert not page.all("img")
    assert words.title not in page.text


def test_what_lacks_may_be_none_or_nan():
    tables = usual()
    objects = {name: table.astype(object).where(table.notna(), None) for name, table in tables.items()}
    pages = [Page(render(document(held), held, {})) for held in (tables, objects)]
    assert pages[0].texts == pages[1].texts
    assert not {"nan", "None", "NaN", "<NA>"} & set(pages[0].text.split())


def test_two_thousand_trials_leave_a_page_of_two_hundred_rows():
    text = made("many")
    start = text.index('<table class="sortable" id="table-leaderboard">')
    table = text[start : text.index("</table>", start)]
    assert table.count("<tr") == MOST + 1
    assert "The first 200 of 2002 rows; all of them are in trials.csv." in Page(text).text


def test_tables_hold_what_they_are_sorted_by():
    text = made("usual")
    best = usual()["trials"].query("rank == 1").iloc[0]
    assert f'data-value="{best["score"]}">{best["score"]:.3f}</td>' in text


def test_who_cannot_be_told_from_the_best_is_shown_as_such():
    page, tables = Page(made("usual")), usual()
    told = tables["trials"].query("status == 'completed' and rank > 1")["told_apart"]
    assert page.texts.count("cannot be told apart") == (told == "no").sum()
    assert page.texts.count("worse") == (told == "yes").sum()
    assert sum(attributes.get("class") == "alike" for attributes in page.all("tr")) >= (told == "no").sum() - 1


def test_thumbnails_end_before_the_page_is_too_large():
    tables = usual()
    words = document(tables)
    large = dict.fromkeys(words.pictures, "data:image/jpeg;base64," + "A" * 300_000)
    page = render(document(tables, pictures=large), tables, {})
    assert len(page) < 2_300_000
    assert len(Page(page).all("img")) == 6
    assert "no picture" in page


def test_images_beyond_what_is_shown_are_counted():
    tables = usual()
    many = tables["hard"].sample(CARDS + 7, replace=True, random_state=1).assign(group="every recipe")
    page = Page(render(document(tables), tables | {"hard": many}, {}))
    assert "7 more are in report.json." in page.text


def test_a_search_that_goes_on_says_so():
    tables = usual()
    assert "that is not finished" in Page(render(document(tables, unfinished=True), tables, {})).text
    assert "not finished" not in Page(made("usual")).text


def test_where_nothing_was_completed_the_page_says_so():
    tables = KINDS["failed"]()
    page = Page(render(document(tables, words={}, facts=(), command=""), tables, {}))
    assert page.text.count("No trial was completed") == 3
    assert not page.all("svg")


@pytest.fixture(scope="module")
def new_page():
    """Chromium of the system, through Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])

        def page(**how):
            opened = chromium.new_page(**how)
            opened.set_default_timeout(PATIENCE)
            return opened

        yield page
        chromium.close()


@pytest.mark.parametrize("kind", ["usual", "hundred_classes"])
def test_charts_come_alive_in_a_browser_without_a_word(kind, new_page, tmp_path):
    (tmp_path / "page.html").write_text(made(kind), encoding="utf-8")
    page = new_page(viewport={"width": 390, "height": 844})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    plots = page.locator("[data-chart]")
    for number in range(plots.count()):
        plots.nth(number).scroll_into_view_if_needed()
        page.locator("[data-chart]").nth(number).locator(".live:not(.waiting) svg").wait_for()
    assert not said
    assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "page.html").as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == 390  # nothing overflows a phone
    page.close()


def test_tables_are_sorted_by_keyboard(new_page, tmp_path):
    (tmp_path / "page.html").write_text(made("usual"), encoding="utf-8")
    page = new_page()
    page.goto((tmp_path / "page.html").as_uri())
    button = page.locator("#table-leaderboard thead button", has_text="score")
    scores = page.locator("#table-leaderboard tbody tr td:nth-child(4)")
    best = scores.first.inner_text()
    button.focus()
    for sort, first in (("descending", best), ("ascending", "0.630")):
        page.keyboard.press("Enter")
        assert button.locator("..").get_attribute("aria-sort") == sort
        assert scores.first.inner_text() == first
        assert scores.last.inner_text() == "–"  # no score: last in both
    page.close()


def test_without_scripts_there_are_pictures_in_the_colours_of_the_page(new_page, tmp_path):
    (tmp_path / "page.html").write_text(made("usual"), encoding="utf-8")
    page = new_page(java_script_enabled=False, color_scheme="dark")
    page.goto((tmp_path / "page.html").as_uri())
    assert page.locator("[data-chart] > svg").count() == len(draw(usual()))
    page.emulate_media(color_scheme="light")
    page.close()
    lively = new_page(color_scheme="dark")
    lively.goto((tmp_path / "page.html").as_uri())
    dot = lively.locator("#figure-leaderboard .live:not(.waiting) .mark-symbol path").first
    dot.wait_for()
    colours = []
    for scheme in ("dark", "light"):
        lively.emulate_media(color_scheme=scheme)
        colours.append(dot.evaluate("dot => getComputedStyle(dot).fill"))
    assert colours == ["rgb(108, 178, 245)", "rgb(11, 98, 176)"]
    lively.close()
