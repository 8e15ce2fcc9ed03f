"""The page: one file, whole, accessible, and harmless whatever its texts hold."""

import base64
import hashlib
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from kinds import KINDS, LONG, MATERIALS, NASTY, Searched, document, figures, frames, html, judgement
from kit.browser import PATIENCE, launched

from search.analysis.judgement import Judgement
from search.analysis.stats.comparing import Standing
from search.report import contents
from search.report.contents import CHAPTERS
from search.report.exhibits.hard import CARDS
from search.report.html import page as render
from search.report.table import MOST

VOID = {"meta", "img", "br", "hr", "link", "input"}


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


@pytest.fixture(params=KINDS)
def any_page(request):
    return html(request.param)


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
    assert not re.search(r"@import|url\((?!#|data:font/)", outside)
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
    there = [attributes["href"] for attributes in page.all("a")[1:]]
    chapters = [chapter for chapter in CHAPTERS if not chapter.is_optional or f"#{chapter.id}" in there]
    assert there == [f"#{chapter.id}" for chapter in chapters]
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(attributes.get("scope") in {"col", "row"} for attributes in page.all("th"))
    assert all("alt" in attributes for attributes in page.all("img"))
    plots = [attributes for attributes in page.all("div") if "data-chart" in attributes]
    assert len(plots) == len(page.all("figure")) == len(page.all("figcaption"))
    assert all(plot["role"] == "img" and len(plot["aria-label"]) > 20 for plot in plots)
    scrolled = [attributes for attributes in page.all("div") if "rows" in attributes.get("class", "")]
    assert all(box["tabindex"] == "0" and box["role"] == "region" for box in scrolled)


def test_every_chart_is_there_as_a_picture_and_as_data():
    page = Page(html("usual"))
    names = [attributes["data-chart"] for attributes in page.all("div") if "data-chart" in attributes]
    assert list(json.loads(page.scripts[0])) == list(figures("usual"))
    assert set(names) == set(json.loads(page.scripts[0]))
    assert len(page.all("svg")) == len(names)


def test_parts_stand_in_their_order():
    page = Page(html("usual"))
    assert [attributes["id"] for attributes in page.all("section")] == [chapter.id for chapter in CHAPTERS]
    ids = [
        attributes["id"] for _, attributes in page.elements if attributes.get("id", "").startswith(("figure", "table"))
    ]
    assert ids[:3] == ["figure-leaderboard", "table-leaderboard", "figure-cost"]


def test_the_answer_comes_first():
    words = document("usual")
    text = Page(html("usual")).text
    places = [text.index(part) for part in (*words.answer, words.command, words.facts[1].label, words.cautions[0])]
    assert places == sorted(places)
    assert places[0] < 400


def test_names_of_classes_stay_names():
    page = Page(html("hundred_classes"))
    assert all(name in page.text for name in (*NASTY, LONG))
    assert len(page.all("script")) == 3
    (rows,) = json.loads(page.scripts[0])["recall"]["datasets"].values()
    assert {row["class"] for row in rows} & set(NASTY)


def test_every_word_of_a_document_is_inert():
    evil = "<img src=http://a.b onerror=alert(1)>\"'"
    whole = document("usual")
    changed = replace(
        whole,
        title=evil,
        answer=(evil,),
        command=evil,
        cautions=(evil,),
        limits=(evil,),
        sections=[replace(section, words=(evil,)) for section in whole.sections],
    )
    ids = frames("usual")["hard"]["id"]
    page = Page(render(changed, {ids[0]: evil, ids[1]: "http://a.b/c.jpg"}))
    assert page.text.count(evil) == 5 + len(CHAPTERS) + 1  # the title twice
    assert not page.all("img")
    assert whole.answer[0] not in page.text


def test_many_trials_leave_a_page_of_two_hundred_rows():
    text = html("many")
    start = text.index('<table class="sortable" id="table-leaderboard">')
    table = text[start : text.index("</table>", start)]
    assert table.count("<tr") == MOST + 1
    assert "The first 200 of 323 rows; all of them are in trials.csv." in Page(text).text


def test_tables_hold_what_they_are_sorted_by():
    best = frames("usual")["trials"].query("rank == 1").iloc[0]
    assert f'data-value="{best["score"]}">{best["score"]:.3f}</td>' in html("usual")


def test_who_cannot_be_told_from_the_best_is_shown_as_such():
    page, whole = Page(html("usual")), judgement("usual")
    tables = [frames("usual")[name] for name in ("trials", "comparisons", "baselines")]
    for word in (Standing.ALIKE, Standing.PROBABLY_WORSE, Standing.WORSE):
        rows = sum(int((table["standing"] == word).sum()) for table in tables)
        assert sum(text.partition(";")[0] == word for text in page.texts) >= rows > 0 or not rows
    contenders = len(whole.contenders) - 1
    assert (tables[0]["standing"] == Standing.ALIKE).sum() == contenders
    assert sum(attributes.get("class") == "alike" for attributes in page.all("tr")) >= contenders - 1


def test_thumbnails_end_before_the_page_is_too_large():
    ids = [id_ for display in document("usual").displays if display.gallery for id_ in display.gallery.ids]
    assert len(Page(html("usual")).all("img")) == len(ids)
    large = dict.fromkeys(ids, "data:image/jpeg;base64," + "A" * 300_000)
    page = render(document("usual"), large)
    assert len(page) < 2_000_000 + len(html("usual"))
    assert len(Page(page).all("img")) == 6
    assert "no picture" in page


def test_images_beyond_what_is_shown_are_counted():
    hard = len(frames("hundred_classes")["hard"].query("group == 'every recipe'"))
    assert hard > CARDS
    assert f"{hard - CARDS} more are in hard.csv." in Page(html("hundred_classes")).text


def test_a_search_that_goes_on_says_so():
    assert "that is not finished" in Page(html("two")).text
    assert "not finished" not in Page(html("usual")).text


def test_where_nothing_was_completed_the_page_says_so():
    page = Page(html("failed"))
    assert "No trial was completed, so there is no winner." in page.text
    assert not page.all("svg")


def test_one_training_size_is_said_to_tell_nothing(tmp_path):
    made = Searched(tmp_path, MATERIALS[:2], fractions=(1.0,), each=6)
    made.complete(0.8)
    text = Page(render(contents.document(Judgement.of(made.record)), {})).text
    assert "There is only one training size, so nothing shows how scores fall with fewer images." in text


@pytest.fixture(scope="module")
def new_page():
    """Chromium of the system, through Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = launched(driver)

        def page(**how):
            opened = chromium.new_page(**how)
            opened.set_default_timeout(PATIENCE)
            return opened

        yield page
        chromium.close()


def test_tables_are_sorted_by_keyboard(new_page, tmp_path):
    (tmp_path / "page.html").write_text(html("usual"), encoding="utf-8")
    page = new_page()
    page.goto((tmp_path / "page.html").as_uri())
    button = page.locator("#table-leaderboard thead button", has_text="score")
    scores = page.locator("#table-leaderboard tbody tr td:nth-child(4)")
    best = scores.first.inner_text()
    button.focus()
    worst = frames("usual")["trials"]["score"].min()
    for sort, first in (("descending", best), ("ascending", f"{worst:.3f}")):
        page.keyboard.press("Enter")
        assert button.locator("..").get_attribute("aria-sort") == sort
        assert scores.first.inner_text() == first
        assert scores.last.inner_text() == "–"  # no score: last in both
    page.close()


def test_without_scripts_there_are_pictures_in_the_colours_of_the_page(new_page, tmp_path):
    (tmp_path / "page.html").write_text(html("usual"), encoding="utf-8")
    page = new_page(java_script_enabled=False, color_scheme="dark")
    page.goto((tmp_path / "page.html").as_uri())
    assert page.locator("[data-chart] > svg").count() == len(figures("usual"))
    page.emulate_media(color_scheme="light")
    page.close()
    lively = new_page(color_scheme="dark")
    lively.goto((tmp_path / "page.html").as_uri())
    lively.locator("#figure-leaderboard").scroll_into_view_if_needed()  # it is drawn when it comes into view
    dot = lively.locator("#figure-leaderboard .live:not(.waiting) .mark-symbol path").first
    dot.wait_for()
    colours = []
    for scheme in ("dark", "light"):
        lively.emulate_media(color_scheme=scheme)
        colours.append(dot.evaluate("dot => getComputedStyle(dot).fill"))
    assert colours == ["rgb(108, 178, 245)", "rgb(11, 98, 176)"]
    lively.close()
