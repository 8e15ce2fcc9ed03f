"""Texts of strangers: no terminal obeys them, no spreadsheet runs them, and what is escaped can be read back."""

import io
import json
from xml.parsers import expat

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.monitor.console import HarmlessConsole
from search.system.texts import as_cell, csv_text, from_cell, json_text, visible, visible_lines, visible_names, xml_text

pytestmark = pytest.mark.quick

HOSTILE = "a\x1b[2Jb\x9bc\x07d\u202ee\r"


def test_what_a_terminal_would_obey_is_shown_and_the_rest_stays():
    assert visible(HOSTILE) == "a\\x1b[2Jb\\x9bc\\x07d\\u202ee\\r"
    assert visible("Käfer 95\u202f% ± 東京\xa0é") == "Käfer 95\u202f% ± 東京\xa0é"
    assert visible("a\nb\ud800") == "a\\nb\\ud800"
    assert visible_lines("a\x1b\nb") == "a\\x1b\nb"


@pytest.mark.parametrize("markup", [False, True])
def test_a_console_shows_hostile_texts_and_keeps_its_own_colours(markup):
    file = io.StringIO()
    HarmlessConsole(file=file, force_terminal=True, color_system="standard").print(
        HOSTILE, style="red", markup=markup, highlight=False
    )
    assert file.getvalue().startswith("\x1b[31ma\\x1b[2Jb\\x9b")
    assert file.getvalue().count("\x1b") == 2  # one begins the colour, one ends it


def test_json_says_the_same_without_a_control_character():
    text = json_text({HOSTILE: ["Käfer\n"]}, indent=2)
    assert json.loads(text) == {HOSTILE: ["Käfer\n"]}
    assert "Käfer" in text
    assert not set(text) & set("\x1b\x9b\x07\u202e\r")


FORMULAS = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-2", "\t=1", "＝1", "'=1"]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_of_a_table_is_a_formula_and_numbers_stay_numbers(name):
    table = pd.DataFrame({"label": [name, "ant"], "score": [-0.5, 1.0], name: ["x", "'s Hertogenbosch"]})
    lines = pd.read_csv(io.StringIO(csv_text(table)), dtype=str, keep_default_na=False)
    assert lines.columns.tolist() == ["label", "score", f"'{name}"]
    assert lines.to_numpy().tolist() == [[f"'{name}", "-0.5", "x"], ["ant", "1.0", "'s Hertogenbosch"]]


@given(st.text())
def test_a_cell_can_be_read_back(text):
    assert from_cell(as_cell(text)) == text


@given(st.text(st.characters(exclude_categories=())))
def test_xml_takes_what_is_left(text):
    expat.ParserCreate().Parse(f"<a>{xml_text(text).translate({ord(sign): '' for sign in '<&'})}</a>", True)
    assert xml_text("a\x00\x1f\ufffe\uffff\ud800z") == "a" + 5 * "\ufffd" + "z"


def test_a_name_in_a_text_of_lines_cannot_look_like_a_line():
    text = "no folder /a/x\nError: all is lost/pets\n  the way out"
    shown = "no folder /a/x\\nError: all is lost/pets\n  the way out"
    assert visible_names(text, ["--data=/a/x\nError: all is lost/pets/"]) == shown
    assert visible_names(shown, ["x\nError: all is lost"]) == shown
    assert visible_names(text, ["plain", ""]) == text
