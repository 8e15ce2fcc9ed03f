"""What the report tells of synthetic images, from the tallies of the runs."""

import io
import itertools
import json
import re
from html import escape

import pandas as pd
import pytest
from kit.searches import ODD, Search, strict_json
from rich.console import Console

from search.analysis.shortfalls import columns, shortfalls, total
from search.monitor import console as terminal
from search.racing import ranked
from search.record import STUDY
from search.repertoire.recipe import Recipe
from search.report.cautions import warnings
from search.report.markdown import inert
from search.report.write import write_report

AMOUNTS = {"across": 4, "down": 0.5}
TALLY = {
    "asked": {"across": 4, "down": 2},
    "admissible": {"across": 3, "down": 5},
    "drawn": {"across": 3, "down": 2},
}
ENOUGH = {"asked": {"down": 2}, "admissible": {"down": 9}, "drawn": {"down": 2}}


def asking(amounts):
    return Recipe("SmallCNN", None, image_size=32, synthetic_per_class=amounts)


def trained(made, tally, amounts=AMOUNTS):
    trial = made.begin(asking(amounts))
    made.train(trial, 0.9, synthetic=tally)
    return made.judge(trial)


def on_trust(made, number):
    path = made.folder / STUDY
    path.write_text(json.dumps({**json.loads(path.read_text()), "synthetic_unsourced": number}))


def written(made):
    return {name: path.read_text(encoding="utf-8") for name, path in write_report(made.record).paths.items()}


def screen(made):
    console = Console(width=400, file=io.StringIO())
    terminal.summary(made.record, console)
    return console.file.getvalue()


def test_a_run_tells_totals_and_the_classes_that_were_short(made):
    run = trained(made, TALLY).runs["f0"]
    assert [total(run, what) for what in ("asked", "admissible", "drawn")] == [6, 8, 5]
    assert shortfalls(run) == {"across": (3, 4)}
    assert columns(run) == {
        "synthetic_asked": 6,
        "synthetic_admissible": 8,
        "synthetic_drawn": 5,
        "synthetic_short": "across: 3 of 4",
    }


def test_folds_csv_holds_runs_of_old_and_new_journals(made):
    trained(made, {"asked": 8, "drawn": 6})
    trained(made, TALLY, 1.0)
    trained(made, {}, 0)
    told = pd.read_csv(io.StringIO(written(made)["folds.csv"]), dtype=str, keep_default_na=False)
    shown = told.groupby("trial").first().filter(like="synthetic").to_numpy().tolist()
    assert shown == [["8", "", "6", ""], ["6", "8", "5", "across: 3 of 4"], ["0", "0", "0", ""]]
    trials = pd.read_csv(io.StringIO(written(made)["trials.csv"]), dtype=str).set_index("trial")
    assert trials["synthetic_per_class"].to_dict() == {"0000": str(AMOUNTS), "0001": "1.0", "0002": "0"}


def test_whole_numbers_stay_whole_beside_ratios(made):
    for amount in (1, 1.0, 0.5, 0):
        trained(made, {}, amount)
    rows = strict_json(written(made)["report.json"])["tables"]["trials"]
    told = {row["trial"]: repr(row["synthetic_per_class"]) for row in rows}
    assert told == {"0000": "1", "0001": "1.0", "0002": "0.5", "0003": "0"}


def test_where_fewer_were_drawn_than_asked_is_said_everywhere(made):
    trained(made, ENOUGH)
    assert warnings(made.record) == []
    made.train(made.begin(), 0.9, made.folds[:1], TALLY)
    expected = (
        "1 of 7 runs with synthetic images got fewer than asked for, because no more were admissible: 17 of 18 "
        f"in all; at worst across, 3 of 4 (trial 0001, {made.folds[0].id}). folds.csv has every run."
    )
    assert warnings(made.record) == [expected]
    texts = written(made)
    assert inert(expected) in texts["report.md"]
    assert escape(expected) in texts["index.html"]
    assert strict_json(texts["report.json"])["warnings"][-1] == expected
    assert expected in screen(made)


def test_the_worst_case_of_each_class_is_named(made):
    for drawn in (1, 0, 2):
        tally = {"asked": {"across": 4}, "admissible": {"across": drawn}, "drawn": {"across": drawn}}
        made.train(made.begin(), 0.9, made.folds[:1], tally)
    (warning,) = warnings(made.record)
    assert f"at worst across, 0 of 4 (trial 0001, {made.folds[0].id})." in warning


def test_old_journals_are_told_by_their_totals(made):
    trained(made, {"asked": 8, "drawn": 6})
    (warning,) = warnings(made.record)
    assert "6 of 6 runs" in warning
    assert "36 of 48 in all. folds.csv" in warning


@pytest.mark.parametrize(("number", "words"), [(1, "1 synthetic image of"), (12, "12 synthetic images of")])
def test_images_of_unknown_origin_are_warned_of_everywhere(made, number, words):
    trained(made, ENOUGH)
    assert warnings(made.record) == []
    on_trust(made, number)
    (warning,) = warnings(made.record)
    assert f"Scores may be flattered by {words} unknown origin" in warning
    texts = written(made)
    assert inert(warning) in texts["report.md"]
    assert escape(warning) in texts["index.html"]
    assert strict_json(texts["report.json"])["warnings"][-1] == warning
    assert warning in screen(made)


def test_names_of_classes_cannot_break_the_report(tmp_path):
    made = Search(tmp_path, ODD, each=6)
    each = {"asked": dict.fromkeys(ODD, 3), "admissible": dict.fromkeys(ODD, 1), "drawn": dict.fromkeys(ODD, 1)}
    for name in ODD:
        trained(made, each, {name: 3})
    texts = written(made)
    rows = [re.sub(r"\\.", "", line) for line in texts["report.md"].splitlines() if line.startswith("|")]
    for head, ruler in itertools.pairwise(rows):
        if set(ruler) <= set("|-:"):
            assert head.count("|") == ruler.count("|")
    assert "\\<script\\>" in texts["report.md"]
    assert "<script>" not in texts["report.md"].replace("\\<script\\>", "")
    assert "&lt;script&gt;" in texts["index.html"]
    winner = ranked(made.history.trials.values())[0]
    assert f"synthetic_per_class = {{{ODD[int(winner.id)]!r}: 3}}" in screen(made)
