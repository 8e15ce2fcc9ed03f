"""Pages can be read at every width, whatever fonts there are: no text is cut off, none lies on another."""

import functools

import kinds
import pytest
from kit.browser import PHONE, opened
from kit.shapes import write_shapes

from search.analysis.judgement import Judgement
from search.report import contents
from search.report.html import page

TABLET, LAPTOP = 800, 1200
ROOMS = ("kitchen with a long and winding name", "bathroom", "bedroom", "dining room", "frontal view of the house")


def rooms(folder):
    """Thirty classes with long names, few trials, three of the best ones a baseline among them."""
    names = [f"{ROOMS[number % 5]} number {number}" for number in range(30)]
    made = kinds.Searched(folder, names, each=6, folds=3, fractions=(1.0, 0.25))
    made.baseline(0.9)
    kinds.add_trials(made, 6, 0)
    return page(contents.document(Judgement.of(made.record)), {})


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return the file of the page of a kind of search."""

    @functools.cache
    def file(kind):
        folder = tmp_path_factory.mktemp(kind)
        makers = {"rooms": rooms, "perfect": perfect}
        text = makers[kind](folder / "made") if kind in makers else kinds.html(kind)
        (folder / "page.html").write_text(text, encoding="utf-8")
        return folder / "page.html"

    return file


def perfect(folder):
    """A search whose winner has score 1."""
    made = kinds.Searched(folder)
    kinds.add_trials(made, 5, 0)
    made.complete(1.0)
    return page(contents.document(Judgement.of(made.record)), {})


def unreadable(shown):
    """What cannot be read, in the light and in the dark."""
    found = []
    for scheme in ("light", "dark"):
        shown.tab.emulate_media(color_scheme=scheme)
        boxes = shown.boxes()
        found += boxes["cut"] + boxes["overlaps"]
    return found


@pytest.mark.parametrize(
    ("kind", "width"),
    [
        *((kind, width) for kind in ("usual", "rooms") for width in (PHONE, TABLET, LAPTOP)),
        *(("perfect", PHONE), ("perfect", LAPTOP)),
        *(("two", PHONE), ("hundred_classes", PHONE)),
    ],
)
def test_no_text_is_cut_and_none_lies_on_another(pages, kind, width):
    report = pages(kind)
    with opened(report, width=width) as shown:
        assert shown.enliven()
        assert shown.errors == shown.requests == []
        assert shown.tab.evaluate("document.fonts.check('bold 12px Arimo')")
        assert unreadable(shown) == []
        assert shown.width == width
        sideways = set(shown.boxes()["sideways"])
        assert width != LAPTOP or not sideways  # the last columns are seen
        told = shown.tab.evaluate("[...document.querySelectorAll('.rows[data-scrolls] table')].map(({ id }) => id)")
        assert {name for name in sideways if name.startswith("table-")} <= set(told)
    with opened(report, width=width, scripts=False) as shown:
        assert unreadable(shown) == []
        assert shown.width == width


BAD = """<!doctype html><meta charset="utf-8"><style>body { margin: 0 } p, b { position: absolute; margin: 0 }</style>
<p style="left: -20px; top: 0">beyond the window</p>
<div style="width: 60px; overflow: hidden; position: absolute; top: 40px">an_unbreakable_word_in_a_narrow_box</div>
<div style="width: 60px; overflow: auto; position: absolute; top: 80px">an_unbreakable_word_in_a_box_that_scrolls</div>
<p style="top: 120px">one text</p> <b style="top: 124px; left: 20px">upon another</b>
<svg width="80" height="40" style="position: absolute; top: 160px"><text y="20">clipped by its picture</text></svg>
<svg width="300" height="99" style="position: absolute; top: 220px">
<text transform="translate(9 90) rotate(-45)">tilted</text>
<text transform="translate(34 90) rotate(-45)">beside it</text></svg>
"""


def test_what_cannot_be_read_is_found(tmp_path):
    (tmp_path / "bad.html").write_text(BAD)
    with opened(tmp_path / "bad.html", width=PHONE) as shown:
        found = shown.boxes()
    assert [text.split(": ")[1].split(" (")[0] for text in found["cut"]] == [
        "beyond the window",
        "an_unbreakable_word_in_a_narrow_box",
        "clipped by its picture",
    ]
    assert found["overlaps"] == ["page: one text / upon another"]


def test_the_page_of_check_can_be_read(search, space, tmp_path):
    write_shapes(tmp_path / "shapes", {"across_the_very_long_corridor": 14, "down": 14})
    code, _, error = search("check", space(), "--data", tmp_path / "shapes", "--offline", "--html", tmp_path / "c.html")
    assert code == 0, error
    for width in (PHONE, LAPTOP):
        with opened(tmp_path / "c.html", width=width) as shown:
            assert unreadable(shown) == []


def test_an_image_is_enlarged_by_a_click_and_by_keyboard(tmp_path):
    (tmp_path / "page.html").write_text(kinds.html("usual"), encoding="utf-8")
    with opened(tmp_path / "page.html") as shown:
        image = shown.tab.locator(".cards img").first
        small, name = image.bounding_box()["width"], image.get_attribute("alt")
        assert name == image.get_attribute("title")
        assert "taken for" in name
        assert name.endswith(".png")
        image.click()
        large = shown.tab.locator("dialog img")
        assert large.bounding_box()["width"] > 1.2 * small
        assert large.get_attribute("alt") == name
        assert "recipes wrong" in shown.tab.locator("dialog").inner_text()
        shown.tab.keyboard.press("Escape")
        assert shown.tab.locator("dialog").count() == 0
        shown.tab.keyboard.press("Enter")  # the image has the focus again
        shown.tab.locator("dialog button").click()
        assert shown.tab.locator("dialog").count() == 0
        assert shown.errors == []
