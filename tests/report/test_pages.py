"""Files of a report: whole, strict and labelled, whatever became of a search."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from searches import ODD, Search, fill, hundreds, strict_json

from search import folder as folders
from search.racing import ranked
from search.report import console as terminal
from search.report.pages import predictions_table, write_report


def written(made):
    return {path.name: path.read_text(encoding="utf-8") for path in write_report(made.record)}


def test_every_search_has_a_whole_report(any_search):
    texts = written(any_search)
    told = strict_json(texts["report.json"])
    trials = any_search.history.trials
    assert len(told["trials"]) == told["ledger"]["trials"] == len(trials)
    assert sum(told["ledger"][f"trials_{status}"] for status in terminal.STYLES) == len(trials)
    assert len(told["runs"]) == told["ledger"]["runs_trained"]
    best = ranked(trials.values())
    assert (told["winner"] or {}).get("trial") == (best[0].id if best else None)
    assert ("no winner" in texts["report.md"]) == (not best)
    assert "nan" not in re.findall(r"\w+", texts["report.md"])
    if trials:
        assert len(pd.read_csv(io.StringIO(texts["trials.csv"]), dtype={"trial": str})) == len(trials)


def test_numbers_that_do_not_exist_are_null(filled):
    rows = {row["trial"]: row for row in strict_json(written(filled)["report.json"])["trials"]}
    assert rows["0002"]["score"] is rows["0002"]["rank"] is rows["0001"]["predicted"] is None
    assert rows["0001"]["rank"] == 1


def cells_of(line):
    return re.split(r"(?<!\\)\|", line.strip())


@pytest.mark.parametrize("kind", [fill, hundreds])
def test_rows_of_markdown_tables_have_as_many_cells_as_their_header(tmp_path, kind):
    made = Search(tmp_path, ODD, each=6)
    kind(made)
    lines = [line for line in written(made)["report.md"].splitlines() if line.startswith("|")]
    assert len(lines) == 2 + min(20, len(made.history.trials))
    assert {len(cells_of(line)) for line in lines} == {len(cells_of(lines[0]))}
    for line in lines[2:]:
        _, rank, _, status, score_cell, limits, *_ = (cell.strip() for cell in cells_of(line))
        assert bool(rank) == bool(score_cell) == bool(limits) == (status == "completed")


def test_markdown_says_how_many_trials_it_leaves_out(made):
    hundreds(made)
    text = written(made)["report.md"]
    assert "The best of 300 complete trials is **0299**" in text
    assert "280 more are in trials.csv" in text


def test_markdown_names_what_was_left_out_and_how_it_ended(filled):
    text = written(filled)["report.md"]
    assert "across/torn.png" in text
    assert "search ended: all 6 trials are done" in text


def test_predictions_carry_the_labels_of_their_images(odd):
    texts = written(odd)
    told = pd.read_csv(io.StringIO(texts["predictions.csv"]), dtype=str, keep_default_na=False)
    plan = pd.read_csv(odd.folder / folders.FOLDS, dtype=str, keep_default_na=False)
    planned = plan[plan["part"] == "validation"]
    assert told[["fold", "id"]].to_numpy().tolist() == planned[["fold", "id"]].to_numpy().tolist()
    assert set(told["trial"]) == {"0001"}
    assert (told["id"].str.rsplit("/", n=1).str[0] == told["label"]).all()
    columns = [f"p({name})" for name in ODD]
    assert told.columns.tolist() == ["trial", "fold", "id", "label", "predicted", *columns]
    chances = told[columns].astype(float)
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-3)
    assert (chances.idxmax(axis=1) == "p(" + told["predicted"] + ")").all()
    for fold, rows in told.groupby("fold"):
        right = (rows["label"] == rows["predicted"]).mean()
        assert right == pytest.approx(odd.history.trials["0001"].runs[fold].scores["accuracy"])


def remove(path):
    path.unlink()


def change(path):
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def cut(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("harm", [remove, change, cut])
def test_harmed_runs_are_said_and_left_out(filled, harm):
    whole, lost = predictions_table(filled.record)
    assert lost == []
    run = filled.history.trials["0001"].runs["f1"]
    harm(filled.folder / run.file)
    rest, lost = predictions_table(filled.record)
    assert lost == [run.file]
    assert set(whole["fold"]) - set(rest["fold"]) == {"f1"}
    assert rest.equals(whole[whole["fold"] != "f1"].reset_index(drop=True))
    assert f"left out of predictions.csv: {run.file}." in written(filled)["report.md"]


def test_report_without_any_stored_run_is_still_written(filled):
    for path in (filled.folder / "runs").iterdir():
        path.unlink()
    texts = written(filled)
    assert len(texts["predictions.csv"].splitlines()) <= 1  # a header at most
    assert all(f"runs/0001-{job}.npz" in texts["report.md"] for job in range(1, 7))
    assert strict_json(texts["report.json"])["winner"]["trial"] == "0001"
