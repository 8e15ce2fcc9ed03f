"""Pages in a real browser: they ask for nothing beside themselves, and nothing goes wrong in them."""

import shutil

import numpy as np
import pytest
from kit.browser import DESKTOP, PHONE, opened
from kit.shapes import write_shapes
from PIL import Image

from search.data.digits import handwritten_digits

HALF = 128  # of 255


@pytest.fixture
def page(search, space, tmp_path):
    """The page of `check` on real handwritten digits, two of which are there twice, one of these in two classes."""
    digits = handwritten_digits(tmp_path / "digits")
    shutil.rmtree(tmp_path / "digits-synthetic")
    for label in range(3, 10):
        shutil.rmtree(digits / str(label))
    twos = sorted((digits / "2").iterdir())
    shutil.copy(twos[0], digits / "1" / "two.png")
    shutil.copy(twos[1], digits / "2" / f"{'the-same-picture-under-a-long-name-' * 4}.png")
    code, _, error = search("check", space(), "--data", digits, "--offline", "--html", tmp_path / "page.html")
    assert code == 0, error
    return tmp_path / "page.html"


def brightness(file):
    with Image.open(file) as image:
        return float(np.median(np.asarray(image.convert("L"))))


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_of_check_is_whole_at_any_width_in_light_and_dark(page, tmp_path, width, dark):
    with opened(page, dark=dark, width=width) as shown:
        assert shown.errors == []
        assert shown.requests == []
        assert "different labels" in shown.text
        assert shown.width == width  # nobody must scroll sideways
        assert shown.tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        shown.screenshot(tmp_path / "page.png")
    assert (brightness(tmp_path / "page.png") > HALF) == (not dark)


def test_the_page_of_check_needs_no_scripts_and_can_be_printed(page, tmp_path):
    with opened(page) as shown:
        text = shown.text
    with opened(page, scripts=False, printed=True) as shown:
        assert shown.text == text
        assert shown.errors == []
        assert shown.requests == []
        shown.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF-")


BAD = """<!doctype html>
<style>body { width: 3000px; color: rgb(1, 2, 3) } @media print { body { color: red } }</style>
<img src="https://example.com/far.png"> <img src="beside.png">
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
<p id="said">nothing</p>
<script>
  document.getElementById("said").textContent = "said";
  console.error("told");
  console.log("no error");
  fetch("https://example.com/asked").catch(() => 0);
  new WebSocket("wss://example.com/socket");
  setTimeout(() => { throw new Error("thrown") }, 0);
</script>
"""


def test_the_browser_tells_what_goes_wrong_and_what_is_asked_for(tmp_path):
    (tmp_path / "bad.html").write_text(BAD)
    with opened(tmp_path / "bad.html", width=PHONE) as shown:
        assert shown.width > PHONE
        assert shown.text.strip() == "said"
        assert "told" in shown.errors
        assert "thrown" in shown.errors
        assert "no error" not in shown.errors
        asked = [address.rsplit("/", 1)[1] for address in shown.requests]
        assert sorted(asked) == ["asked", "beside.png", "far.png", "socket"]
        assert shown.style("body", "color") == "rgb(1, 2, 3)"
    with opened(tmp_path / "bad.html", scripts=False, printed=True) as shown:
        assert shown.text.strip() == "nothing"
        assert shown.style("body", "color") == "rgb(255, 0, 0)"


SPACE = """
from search import Augment, Recipe, Study

study = Study(data="shapes", folds=3, train_fractions=(1.0, 0.5), holdout=2, max_trials=5, oracle="random", seed=3)

def space(hp):
    policy = hp.Choice("augment", ["none", "flip_crop"])
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    return Recipe("SmallCNN", None, augment=Augment(policy), views=2, epochs=4, learning_rate=rate)
"""


@pytest.fixture
def report(search, tmp_path):
    """The page of a real search among bars, one of whose classes is a script."""
    write_shapes(tmp_path / "shapes", {"across": 14, "down": 14})
    (tmp_path / "shapes" / "down").rename(tmp_path / "shapes" / "<script>alert(1)<")
    (tmp_path / "space.py").write_text(SPACE)
    code, out, error = search("run", "space.py", "--name", "bars", "--executor", "inline", "--confirm", 1, "--offline")
    assert code == 0, error
    assert "Take it away: python -m search export bars --to bars-model" in out
    return tmp_path / "results" / "bars" / "report" / "index.html"


def test_the_report_of_a_real_search_is_whole_alive_and_alone(report, tmp_path):
    for dark, width in ((False, DESKTOP), (True, DESKTOP), (True, PHONE)):
        with opened(report, dark=dark, width=width) as shown:
            charts = shown.tab.locator("[data-chart]").all()
            assert len(charts) >= 11
            for chart in charts:  # each comes alive when it is looked at
                chart.scroll_into_view_if_needed()
                chart.locator(".live:not(.waiting) svg").wait_for()
            assert shown.errors == []
            assert shown.requests == []
            assert shown.width == width
            assert "<script>alert(1)<" in shown.text  # a name, and no more
            assert shown.tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
            shown.screenshot(tmp_path / "page.png")
        assert (brightness(tmp_path / "page.png") > HALF) == (not dark)


def test_tables_of_a_report_are_sorted_by_a_click_and_all_is_there_without_scripts(report):
    with opened(report) as shown:
        table = shown.tab.locator("table", has=shown.tab.locator("th", has_text="against the best")).first
        scores = table.locator("th", has_text="score")
        scores.locator("button").click()
        assert scores.get_attribute("aria-sort") in {"ascending", "descending"}
        first = scores.get_attribute("aria-sort")
        scores.locator("button").click()
        assert scores.get_attribute("aria-sort") in {"ascending", "descending"} - {first}
        assert shown.errors == []
    with opened(report, scripts=False) as shown:
        assert "Of 6 recipes that were tried in full" in shown.text
        assert shown.tab.locator("figure svg").count() >= 11
        assert shown.errors == []
