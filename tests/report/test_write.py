"""Files of a report: whole, strict and labelled, whatever became of a search."""

import io
import json
import re
from importlib import resources

import jsonschema
import numpy as np
import pandas as pd
import pytest
from kinds import WORDING, wording
from kit.searches import ODD, Search, fill, hundreds, strict_json

from search.analysis.judgement import Judgement
from search.monitor import console as terminal
from search.racing import ranked
from search.record import FOLDS
from search.report.exhibits import predictions
from search.report.json import VERSION
from search.report.write import write_report


def written(made):
    return {name: path.read_text(encoding="utf-8") for name, path in write_report(made.record).paths.items()}


@pytest.fixture(scope="module")
def schema():
    text = resources.files("search.report").joinpath("report.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


@pytest.mark.parametrize("name", ["folds.csv", "images.csv"])
def test_a_report_needs_no_tables_beside_the_journal(tmp_path, name):
    made = Search(tmp_path)
    for number in range(2):
        made.complete(0.6 + 0.1 * number)
    (made.folder / name).unlink(missing_ok=True)
    assert "nan" not in re.findall(r"\w+", written(made)["report.md"])


def test_every_search_has_a_whole_report(any_search, schema):
    texts = written(any_search)
    told = strict_json(texts["report.json"])
    schema.validate(told)
    tables, trials = told["tables"], any_search.history.trials
    ledger = {row["what"]: row["value"] for row in tables["ledger"]}
    assert len(tables["trials"]) == ledger["trials"] == len(trials)
    assert sum(ledger[f"trials_{status}"] for status in terminal.STYLES) == len(trials)
    assert len(tables["folds"]) == ledger["runs_trained"]
    best = ranked(trials.values())
    assert (told["winner"] or {}).get("trial") == (best[0].id if best else None)
    for name in ("report.md", "index.html"):
        assert ("no winner" in texts[name]) == (not best), name
    assert "nan" not in re.findall(r"\w+", texts["report.md"])
    for name, rows in tables.items():
        head, *_ = texts[f"{name}.csv"].splitlines()
        assert "trial" in head or "," in head, name  # also a table without rows has columns
        table = pd.read_csv(io.StringIO(texts[f"{name}.csv"]), dtype=str, keep_default_na=False)
        assert len(table) == len(rows), name
        assert not rows or table.columns.tolist() == list(rows[0]), name


@pytest.mark.parametrize("kind", ["usual", "one", "failed", "two"])
def test_words_are_those_of_the_snapshot(kind):
    assert strict_json(WORDING.read_text(encoding="utf-8"))[kind] == wording(kind)  # else run: python kinds.py


def test_the_example_is_what_this_version_writes(schema, filled):
    example = resources.files("search").joinpath("..", "results", "example", "report")
    told = strict_json(example.joinpath("report.json").read_text(encoding="utf-8"))
    schema.validate(told)
    assert set(told["tables"]) <= set(strict_json(written(filled)["report.json"])["tables"])  # some came later


def test_the_schema_documents_every_table_and_refuses_what_it_does_not_know(filled, schema):
    told = strict_json(written(filled)["report.json"])
    assert schema.schema["properties"]["schema"]["const"] == told["schema"] == VERSION
    documented = schema.schema["properties"]["tables"]["properties"]
    assert set(documented) == set(told["tables"])
    assert all(table["description"] for table in documented.values())
    told["tables"]["trials"][0]["more"] = 1
    assert not schema.is_valid(told)


def test_numbers_that_do_not_exist_are_null(filled):
    told = strict_json(written(filled)["report.json"])
    rows = {row["trial"]: row for row in told["tables"]["trials"]}
    assert rows["0002"]["score"] is rows["0002"]["rank"] is rows["0001"]["predicted"] is None
    assert rows["0001"]["rank"] == 1


@pytest.mark.parametrize("kind", [fill, hundreds])
def test_rows_of_markdown_tables_have_as_many_cells_as_their_header(tmp_path, kind):
    made = Search(tmp_path, ODD, each=6)
    kind(made)
    tables = [block for block in written(made)["report.md"].split("\n\n") if block.startswith("|")]
    assert len(tables) >= 3
    for table in tables:
        lines = [re.sub(r"\\.", "", line) for line in table.splitlines()]
        assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_pages_say_how_many_trials_they_leave_out(made):
    hundreds(made)
    texts = written(made)
    assert "Of 300 recipes that were tried in full, this works best" in texts["report.md"]
    assert "180 more rows" in texts["report.md"]
    assert "The first 200 of 300 rows; all of them are in trials.csv." in texts["index.html"]


def test_markdown_names_what_was_left_out_and_how_it_ended(filled):
    text = written(filled)["report.md"]
    assert "across/torn.png" in text
    assert "The search ended: all 6 trials are done" in text


def test_pictures_of_the_markdown_are_there(filled):
    text = written(filled)["report.md"]
    named = re.findall(r"\]\((pictures/\w+\.png)\)", text)
    assert len(named) >= 6
    assert all((filled.folder / "report" / name).read_bytes().startswith(b"\x89PNG") for name in named)


def test_predictions_carry_the_labels_of_their_images(odd):
    texts = written(odd)
    told = pd.read_csv(io.StringIO(texts["predictions.csv"]), dtype=str, keep_default_na=False)
    plan = pd.read_csv(odd.folder / FOLDS, dtype=str, keep_default_na=False)
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
    whole = predictions.frame(Judgement.of(filled.record))
    run = filled.history.trials["0001"].runs["f1"]
    harm(filled.folder / run.file)
    rest = predictions.frame(Judgement.of(filled.record))
    assert set(whole["fold"]) - set(rest["fold"]) == {"f1"}
    assert rest.equals(whole[whole["fold"] != "f1"].reset_index(drop=True))
    texts = written(filled)
    for name in ("report.md", "index.html"):
        assert f"the correction and the images leave out their trials: {run.file}." in texts[name].replace("\\", "")
    assert strict_json(texts["report.json"])["winner"]["uncorrected"] == (
        "3 complete trials, of which the predictions of 2 are there are too few to correct it (5 are needed)"
    )


def test_report_without_any_stored_run_is_still_written(filled):
    for path in (filled.folder / "runs").iterdir():
        path.unlink()
    texts = written(filled)
    assert len(texts["predictions.csv"].splitlines()) <= 1  # a header at most
    assert "All stored predictions are missing or changed" in texts["report.md"]
    told = strict_json(texts["report.json"])
    assert told["winner"]["trial"] == "0001"
    assert told["winner"]["corrected_score"] is None
