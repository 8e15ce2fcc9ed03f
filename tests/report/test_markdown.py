"""Markdown: the page's order, short tables, and texts that stay texts."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kinds import KINDS, MATERIALS, NASTY, document, figures, wording
from markdown_it import MarkdownIt

from search.data.finding import WARNING, Finding
from search.report.contents import CHAPTERS
from search.report.markdown import ROWS, inert, markdown

pytestmark = pytest.mark.quick


def pictures(kind):
    return {name: f"pictures/{name}.png" for name in figures(kind)}


def parsed(text):
    """All tokens, those within lines too."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [inner for token in tokens for inner in (token, *(token.children or ()))]


def words_of(tokens):
    return [token.content for token in tokens if token.type in {"text", "text_special", "code_inline", "fence"}]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_acts_but_our_own_marks(kind):
    tokens = parsed(markdown(document(kind), pictures(kind)))
    kinds = {token.type for token in tokens}
    assert not kinds & {"html_inline", "html_block", "link_open", "s_open", "em_open", "code_inline", "code_block"}
    shown = [token.attrs["src"] for token in tokens if token.type == "image"]
    assert shown == list(pictures(kind).values())
    headings = [token.tag for token in tokens if token.type == "heading_open"]
    assert headings.count("h1") == 1
    left_out = [chapter for chapter in CHAPTERS if chapter.is_optional and not wording(kind)["parts"][chapter.title]]
    assert headings.count("h2") == len(CHAPTERS) - len(left_out)


@pytest.mark.parametrize("kind", KINDS)
def test_tables_are_short_and_even(kind):
    lines = markdown(document(kind), {}).splitlines()
    rows = 0
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            rows = rows + 1 if before.startswith("|") else 1
            assert rows <= ROWS + 2
    tokens = parsed("\n".join(lines))
    counts, cells = [], 0
    for token in tokens:
        if token.type == "tr_open":
            cells = 0
        elif token.type in {"td_open", "th_open"}:
            cells += 1
        elif token.type == "tr_close":
            counts.append(cells)
        elif token.type == "table_close":
            assert len(set(counts)) == 1
            counts = []


def test_names_of_classes_can_be_read():
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(document("hundred_classes"), {}))
    texts = ["".join(words_of(token.children)) for token in tokens if token.type == "inline"]
    assert all(any(f"{name} 6" in text for text in texts) for name in NASTY)


def test_everything_of_the_page_is_there_in_its_order():
    whole = document("usual")
    text = markdown(whole, pictures("usual"))
    marks = (
        *("# made", inert(whole.answer[0]), whole.command, "Raw score", "Before you believe", "(pictures/leaderboard"),
        *("(pictures/cost", "(pictures/survival", "(pictures/effects", "(pictures/parallel", "(pictures/strip"),
        *("(pictures/loss.", "(pictures/confusion", "(pictures/calibration", "Images that every recipe"),
        *("Labels to check", "takes for another", "show the same picture", "**Warning, near-duplicates:**"),
        *("What may be concluded", "Ledger:", "Threads"),
    )
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert all(name in text for name in MATERIALS)


def test_charts_without_pictures_are_left_out():
    assert markdown(document("usual"), {"cost": "pictures/cost.png"}).count("![") == 1


def test_what_is_left_out_is_said():
    assert "180 more rows are in the page" in markdown(document("many"), {})
    files = tuple(f"{number}.jpg" for number in range(9))
    findings = (Finding(WARNING, "odd", "they are odd", "mend them", files),)
    text = markdown(replace(document("usual"), findings=findings, unfinished=True), {})
    assert "(0.jpg, 1.jpg, 2.jpg and 6 more)" in text
    assert "not finished" in text


def test_a_command_cannot_leave_its_fence():
    tokens = parsed(markdown(replace(document("usual"), command="echo ```\n```\n# Boo"), {}))
    assert [token.content for token in tokens if token.type == "fence"] == ["echo ```\n```\n# Boo\n"]


@example("__0__")
@given(st.text(alphabet=st.sampled_from("ab_*`<>[]()|~#-+=.!&;:/\\$ 1wxhtps\n"), max_size=30) | st.text(max_size=30))
def test_inert_text_comes_back_as_it_was(text):
    text = "".join(letter for letter in text if letter.isprintable() or letter == "\n").replace("\x00", "")
    tokens = parsed(inert(text))
    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close", "text", "text_special"}
    assert "".join(words_of(tokens)) == " ".join(text.split())


@pytest.mark.parametrize("text", ["http://a.b", "www.a.b", "HTTPS://a.b", "mailto:a@b"])
def test_addresses_are_no_links(text):
    assert text not in inert(text)
