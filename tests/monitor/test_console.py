"""The tables and the lines that a terminal shows at the end of a search."""

import io
import re

import pytest
from kit.searches import hundreds
from rich.console import Console

from search.analysis.ledger import interval
from search.monitor import console as terminal
from search.racing import ranked, score


def shown(draw, width):
    console = Console(record=True, width=width, file=io.StringIO())
    draw(console)
    return console.export_text()


def rows_of(text):
    return {cells[0]: line for line in text.splitlines() if (cells := re.findall(r"(?<![\d.])\d{4}(?!\d)", line))}


@pytest.mark.parametrize("width", [80, 140])
def test_leaderboard_shows_scores_at_any_width(odd, width):
    rules = odd.rules
    text = shown(lambda console: console.print(terminal.leaderboard(odd.history, rules, 10, width)), width)
    assert max(map(len, text.splitlines())) <= width
    rows = rows_of(text)
    assert list(rows) == ["0001", "0005", "0000", "0002", "0003", "0006"]  # no row for the duplicate
    for trial in ranked(odd.history.trials.values()):
        limits = interval(trial, rules)
        assert f"{score(trial):.3f}" in rows[trial.id]
        assert f"{limits.low:.2f}–{limits.high:.2f}" in rows[trial.id]
    for name, word in {"0002": "stopped", "0003": "failed", "0006": "running"}.items():
        assert word in rows[name]
        before_marks = re.split("[▁-█·]", rows[name])[0]
        assert "." not in before_marks


@pytest.mark.parametrize("width", [80, 140])
def test_leaderboard_keeps_rows_for_trials_under_way(made, width):
    hundreds(made)
    made.begin()
    text = shown(lambda console: console.print(terminal.leaderboard(made.history, made.rules, 10, width)), width)
    assert list(rows_of(text)) == [f"0{number}" for number in range(299, 290, -1)] + ["0300"]


@pytest.mark.parametrize("width", [80, 140])
def test_summary_tells_the_winner_and_the_ledger(filled, width):
    text = shown(lambda console: terminal.summary(filled.record, console), width)
    assert f"{score(filled.history.trials['0001']):.3f}" in text
    assert "Trials: 3 completed, 1 stopped, 1 failed, 1 duplicate. Runs trained: 20." in text
    assert "Winner: trial 0001" in text
    assert "  augment = color 0.3" in text


def test_summary_of_every_search_can_be_printed(any_search):
    text = shown(lambda console: terminal.summary(any_search.record, console), 80)
    assert ("there is no winner" in text) == (not any_search.history.with_status("completed"))
    assert "nan" not in text
