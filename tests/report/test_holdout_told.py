"""What is said of the hold-out, and of a search without intervals, is the same everywhere and true."""

import io
import re

import pandas as pd
import pytest
from kit.lines import event
from kit.searches import Search, fill, held_out, strict_json
from rich.console import Console

from search.analysis.ledger import interval, seen_before
from search.monitor.console import summary
from search.racing import ranked
from search.report.markdown import inert
from search.report.write import write_report


def everything(made):
    """Return the texts of the report, and what the terminal shows."""
    texts = {name: path.read_text() for name, path in write_report(made.record).paths.items()}
    console = Console(record=True, width=300, file=io.StringIO())
    summary(made.record, console)
    return {**texts, "console": console.export_text()}


@pytest.fixture
def held(tmp_path):
    return Search(tmp_path, holdout=4)


def test_the_score_on_the_holdout_is_shown_everywhere(held):
    winner = held.complete(0.9)
    held.look(winner, 0.75)
    held.journal.append(event("end", reason="all 1 trials are done"))
    texts = everything(held)
    scores = held.history.holdout_scores[0].run.scores
    said = f"balanced_accuracy {scores['balanced_accuracy']:.3f}, accuracy {scores['accuracy']:.3f} on 8 images"
    assert f"Hold-out: {said} that no trial saw\n" in texts["console"]
    assert f"**{inert(format(scores['balanced_accuracy'], '.3f'))}** ({inert(said)}" in texts["report.md"]
    assert f"{said} that no trial saw" in texts["index.html"]
    told = strict_json(texts["report.json"])["holdout"]
    assert told == {"images": 8, "looks": [{"trial": "0000", "scores": scores}], "blind": True, "note": None}
    assert "no longer blind" not in "".join(texts.values())
    assert "of the images outside the hold-out or fewer" in texts["report.md"]
    assert "The folds use 16; 8 are held out." in texts["report.md"]
    predictions = pd.read_csv(io.StringIO(texts["predictions.csv"]))
    on_holdout = predictions[predictions["fold"] == "holdout"]
    assert sorted(on_holdout["id"]) == sorted(held.dataset.ids[row] for row in held.plan.holdout.validation)
    assert (on_holdout["label"] == on_holdout["predicted"]).mean() == pytest.approx(scores["accuracy"])
    assert not set(on_holdout["id"]) & set(predictions[predictions["fold"] != "holdout"]["id"])


@pytest.mark.parametrize("lacking", [["owl"], ["fox", "owl"]])
def test_classes_that_the_holdout_lacks_are_named_beside_its_score(tmp_path, lacking):
    made = Search(tmp_path, holdout=4, about={"holdout_lacks": lacking})
    made.look(made.complete(0.9), 0.75)
    said = (
        f"8 images that no trial saw, none of them of class{'es' * (len(lacking) > 1)} {', '.join(lacking)}, of which"
    )
    texts = everything(made)
    for name in ("console", "report.md", "index.html"):
        assert f"{said} this says nothing" in texts[name].replace("\\", ""), name
    assert strict_json(texts["report.json"])["study"]["holdout_lacks"] == lacking


def test_an_extended_search_says_everywhere_that_it_is_no_longer_blind(held):
    held_out(held)
    texts = everything(held)
    note = "looked at 2 times; a search extended after a look is no longer blind"
    assert seen_before(held.history) == note
    for name in ("console", "report.md", "report.json"):
        assert note in texts[name].replace("\\", ""), name
    assert ranked(held.history.trials.values())[0].id == "0001"
    assert [look["trial"] for look in strict_json(texts["report.json"])["holdout"]["looks"]] == ["0000", "0001"]
    assert strict_json(texts["report.json"])["holdout"]["blind"] is False


def test_a_search_extended_under_the_same_winner_is_not_blind_either(held):
    held.look(held.complete(0.97), 0.9)
    held.complete(0.5)
    assert "looked at once; a search extended after a look is no longer blind" in everything(held)["console"]


def test_a_holdout_that_is_not_scored_yet_or_could_not_be_says_so(held):
    held.complete(0.9)
    assert (
        "Hold-out: 8 images that no trial saw, scored once, at the end, for the winner" in everything(held)["console"]
    )
    held.journal.append(event("failure", trial="0000", job=0, error="no memory", final=False))
    for name in ("console", "report.md"):
        told = everything(held)[name].replace("\\", "")
        assert "could not be scored: no memory (the same command tries again)" in told


def test_ranks_and_intervals_do_not_see_the_holdout(held):
    for skill in (0.6, 0.9):
        held.complete(skill)
    before = [(trial.id, interval(trial, held.rules)) for trial in ranked(held.history.trials.values())]
    held.look(held.history.trials["0000"], 1.0)
    held.look(held.history.trials["0001"], 0.1)
    assert [(trial.id, interval(trial, held.rules)) for trial in ranked(held.history.trials.values())] == before


def test_without_a_holdout_nothing_is_said_of_one(tmp_path):
    made = Search(tmp_path)
    fill(made)
    texts = everything(made)
    assert "old-out" not in texts["console"] + texts["report.md"]
    assert strict_json(texts["report.json"])["holdout"] is None


def test_one_split_has_no_interval_and_says_so(tmp_path):
    made = Search(tmp_path, splits="shuffle", folds=1, val=0.25)
    made.complete(0.9)
    texts = everything(made)
    for name, text in texts.items():
        written = text.partition("<script")[0]  # the page's scripts have a NaN of their own
        assert not re.search(r"\b(inf|nan)\b", written, re.IGNORECASE), name
    assert "no interval, as there is one split" in texts["report.md"]
    assert "There are no intervals" in texts["index.html"]
    assert "There is no interval" in texts["console"]
    assert " none " in texts["console"]
    assert strict_json(texts["report.json"])["tables"]["trials"][0]["score_low"] is None
    assert "trained on 75% of the images" in texts["report.md"]


def test_random_splits_have_the_interval_of_their_part(tmp_path):
    made = Search(tmp_path, splits="shuffle", folds=4, val=0.5)
    trial = made.complete(0.7)
    assert made.rules.parts == 2
    assert made.rules.validation_images == 12
    wide = interval(trial, made.rules)
    assert wide.known
    assert wide.high - wide.mean > 0
    assert "trained on 50% of the images" in everything(made)["report.md"]
