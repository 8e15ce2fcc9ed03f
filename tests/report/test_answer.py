"""The answer speaks of what the search was for, of guessing, of rare classes, and of what differs between recipes."""

import dataclasses
import re

import numpy as np
import pytest
from kit.lines import event
from kit.searches import Search

from search.analysis import stats
from search.analysis.chance import cause
from search.analysis.judgement import Judgement
from search.analysis.outlook import outlook, promise
from search.analysis.stats import corrected_interval
from search.export.card import ExportFacts, card
from search.repertoire.recipe import Recipe
from search.report import answer, cautions, contents, words
from search.report.exhibits import calibration
from search.report.json import as_json
from search.report.markdown import markdown
from search.study import OBJECTIVES


class Uneven(Search):
    """A search over a large class and a rare one, whose trials find each with a chance of their own."""

    def __init__(self, folder, objective="balanced_accuracy", counts=(60, 6), **study):
        about = {
            "identity": {"study": {"objective": objective, "splits": "kfold", "val": 0.2}},
            "classes": {"ok": counts[0], "defect": counts[1]},
        }
        super().__init__(folder, ("ok", "defect"), max(counts), about=about, **study)
        self.counts, self.skills = counts, (1.0, 0.0)

    def predict(self, fold, skill, rng):
        arrays = super().predict(fold, skill, rng)
        numbers = np.array([int(id_.split("/")[1].split(".")[0]) for id_ in arrays["ids"]])
        kept = numbers < np.array(self.counts)[arrays["labels"]]
        labels = arrays["labels"][kept]
        right = np.arange(len(labels)) % 10 < 10 * np.array(self.skills)[labels]
        probabilities = np.full((len(labels), 2), 0.2)
        probabilities[np.arange(len(labels)), np.where(right, labels, 1 - labels)] = 0.8
        return {**arrays, "ids": arrays["ids"][kept], "labels": labels, "probabilities": probabilities}

    def try_out(self, ok, defect, recipe=None, baseline=""):
        self.skills = (ok, defect)
        return self.baseline(0, name=baseline, recipe=recipe) if baseline else self.complete(0, recipe)

    def end(self):
        self.journal.append(event("end", reason="all trials are done"))
        return Judgement.of(self.record)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_always_the_same_answer_is_guessing_whatever_the_objective(tmp_path, objective):
    made = Uneven(tmp_path, objective)
    for _ in range(2):
        made.try_out(1, 0)
    judgement = made.end()
    told, numbers = answer.sentences(judgement), outlook(judgement)
    assert told[0].startswith("Nothing that was tried does better than guessing.")
    chance = {"accuracy": 60 / 66, "balanced_accuracy": 0.5, "macro_f1": 60 / 63 / 2}[objective]
    assert numbers.guessing == pytest.approx(chance)
    assert f"about {100 * chance:.0f}" in told[1]
    assert f"Guessing would get {100 * chance:.0f}" in told[1]
    whole = " ".join(told)
    assert 'It recognises 0 of the 6 images of "defect", the rarest class' in whole
    assert "with the command below" not in whole
    if objective != "accuracy":
        assert 'about 91 in 100 images are right; always answering "ok" would get 91' in whole


def test_less_is_promised_of_a_trial_behind_the_winner(tmp_path):
    made = Uneven(tmp_path, counts=(60, 12))
    for skill in (0.9, 0.8, 0.7, 0.6, 0.5):
        made.try_out(skill, skill)
    judgement = made.end()
    numbers, winner = outlook(judgement), judgement.complete[0]
    best = promise(judgement, winner)
    assert (best.expected, best.accuracy, best.corrected) == (numbers.expected, numbers.accuracy, True)
    highest = judgement.at_sizes(winner)[-1].mean
    for trial in judgement.complete[1:]:
        told, raw = promise(judgement, trial), judgement.at_sizes(trial)[-1].mean
        assert raw < highest
        assert best.expected.mean - told.expected.mean == pytest.approx(highest - raw)
        assert told.expected.mean <= raw
        assert told.expected.low <= told.expected.mean <= told.expected.high


def test_no_interval_has_no_width(tmp_path):
    made = Uneven(tmp_path)
    for _ in range(6):
        made.try_out(1, 0)
    judgement = made.end()
    raw, corrected = list(answer.facts(judgement))[:2]
    assert raw.note.endswith("no interval, as every fold has the same score")
    assert corrected.value == "0.500"
    low, high = map(float, re.search(r"interval ([\d.]+) to ([\d.]+)", corrected.note).groups())
    assert low < 0.35  # as sure as the six images of the rare class allow
    assert high > 0.65
    row = contents.document(judgement).displays[0].frame.iloc[0]
    assert np.isnan(row["score_low"])


def test_the_leading_number_is_the_objectives_and_who_leads_by_accuracy_is_said(tmp_path):
    made = Uneven(tmp_path, counts=(60, 12))
    made.try_out(0.7, 0.7)
    made.try_out(1, 0.2, baseline="head alone")
    judgement = made.end()
    told = answer.sentences(judgement)
    numbers = outlook(judgement)
    full = [judgement.winner.runs[fold.id].scores for fold in made.folds if fold.fraction == 1]
    assert judgement.winner.id == "0000"
    objective = np.mean([scores["balanced_accuracy"] for scores in full])
    assert numbers.expected.mean == pytest.approx(objective)
    assert f"expect about {100 * objective:.0f} right, with each class counted alike" in told[1]
    assert numbers.rival.id == "b0"
    (line,) = [sentence for sentence in told if sentence.startswith("By accuracy alone")]
    assert 'the baseline "head alone" (b0) leads' in line
    assert "right more often in the large classes, and less often in the small ones" in line
    page = markdown(contents.document(judgement), {})
    assert "By accuracy alone" in page
    told = as_json(judgement, contents.document(judgement))["outlook"]
    assert told["best_by_accuracy"] == "b0"
    assert told["expected"]["mean"] == pytest.approx(objective)
    assert told["rarest_class"]["name"] == "defect"


def test_even_classes_need_no_words_of_classes(tmp_path):
    made = Search(tmp_path)
    made.complete(0.8)
    told = " ".join(answer.sentences(Judgement.of(made.record)))
    assert "class" not in told.partition("The recipe of")[0]


SILENT = {
    "image_size": (64, 96, "64 px", "96 px"),
    "epochs": (5, 10, "5 epochs", "10 epochs"),
    "batch_size": (16, 32, "batches of 16", "batches of 32"),
    "weight_decay": (0.0, 1e-4, "weight decay 0", "weight decay 0.0001"),
}


@pytest.mark.parametrize("name", SILENT)
def test_what_varies_is_in_the_recipe_in_words(tmp_path, name):
    first, second, *told = SILENT[name]
    made = Search(tmp_path)
    for value in (first, second):
        made.complete(0.8, Recipe("MobileNetV2", 0, **{"image_size": 96, name: value}))
    judgement = Judgement.of(made.record)
    summaries = contents.document(judgement).displays[0].frame.set_index("trial")["summary"]
    assert told[0] in summaries["0000"]
    assert told[1] in summaries["0001"]
    assert len(set(summaries)) == 2
    assert summaries[judgement.winner.id] in answer.sentences(judgement)[-1]
    others = {text for other, (*_, one, two) in SILENT.items() if other != name for text in (one, two)}
    assert not [text for text in others if text in summaries["0000"]]


def test_what_differs_from_the_baseline_is_in_the_recipe_in_words(tmp_path):
    made = Search(tmp_path)
    made.baseline(0.5, recipe=Recipe("MobileNetV2", 0, image_size=96, epochs=15))
    made.complete(0.8, Recipe("MobileNetV2", 0, image_size=96, epochs=4))
    summaries = contents.document(Judgement.of(made.record)).displays[0].frame.set_index("trial")["summary"]
    assert "4 epochs" in summaries["0000"]
    assert "15 epochs" in summaries["b0"]


def test_a_trial_that_learnt_nothing_is_called_so_with_its_likely_cause(tmp_path):
    made = Search(tmp_path, each=40)
    for rate in (3e-4, 7e-4):
        made.complete(0.9, Recipe("MobileNetV2", 2, image_size=96, learning_rate=rate))
    made.complete(0.0, Recipe("MobileNetV2", 2, image_size=96, learning_rate=5e-3))
    judgement = Judgement.of(made.record)
    (chance,) = judgement.at_chance.values()
    assert chance.trial.id == "0002"
    line = "No better than guessing: trial 0002. Why: probably its learning rate, which is 0.005"
    assert cautions.at_chance(made.record)[0].startswith(line)
    document = contents.document(judgement)
    assert line in markdown(document, {})
    told = document.displays[0].table.rows[2]
    assert "no better than guessing" in " ".join(cell.text for cell in told.cells)
    assert as_json(judgement, document)["at_chance"][0]["trial"] == "0002"


def test_a_trial_that_learnt_something_is_not_at_chance(tmp_path):
    made = Search(tmp_path, each=40)
    for skill in (0.9, 0.5):  # right in 95 and in 75 of a hundred
        made.complete(skill)
    assert not Judgement.of(made.record).at_chance


@pytest.mark.parametrize(
    ("blocks", "rate", "expected"),
    [
        (2, 2e-3, "0.002 is high for unfrozen blocks"),
        (0, 1e-6, "1e-06 is very low"),
        (0, 1e-3, "perhaps the images do not show"),
    ],
)
def test_causes_without_a_trial_that_learnt(blocks, rate, expected):
    assert expected in cause(Recipe("MobileNetV2", blocks, image_size=96, learning_rate=rate), [])


def test_what_is_a_usual_rate_depends_on_the_optimizer():
    scratch = Recipe("SmallCNN", None, image_size=96, optimizer="adadelta", learning_rate=1.0)
    assert "is a usual one" in cause(scratch, [1e-3, 3e-3])
    assert "as 5 is high for a network from scratch" in cause(dataclasses.replace(scratch, learning_rate=5.0), [])
    said = cause(dataclasses.replace(scratch, learning_rate=3.0), [1e-3])
    assert said == "probably its learning rate, which is 3; trials learnt with 0.3"
    assert "learning rate" not in cause(Recipe("MobileNetV2", 0, image_size=96, head="svm"), [1e-3])


def test_scores_of_the_searches_above_are_those_of_the_program(tmp_path):
    made = Uneven(tmp_path)
    made.try_out(1, 0)
    run = made.history.trials["0000"].runs["f0"]
    arrays = made.predict(made.folds[0], 0, np.random.default_rng(0))
    assert run.scores == stats.scores(arrays["labels"], arrays["probabilities"])


def test_the_card_of_a_model_says_what_guessing_would_have(tmp_path):
    made = Uneven(tmp_path)
    trial = made.try_out(1, 0)
    text = " ".join(card(made.end(), ExportFacts(trial, 66, 0, {"keras": "3", "tensorflow": "2"})).split())
    assert "a balanced accuracy of 0.500 and an accuracy of 0.909" in text
    assert 'recognises 0 of 6 images of "defect", the rarest class' in text


def test_what_is_always_right_is_not_lowered_and_a_baseline_as_good_is_not_behind(tmp_path):
    made = Uneven(tmp_path, "accuracy", counts=(30, 30))
    for _ in range(5):
        made.try_out(1, 1)
    made.try_out(1, 1, baseline="head alone")
    told = " ".join(answer.sentences(made.end()))
    assert "Correcting for that hardly changes this number." in told
    assert "already lowered" not in told
    assert 'The best that needs no search, the baseline "head alone" (b0), does as well.' in told


def test_without_a_range_the_answer_says_so(tmp_path):
    made = Uneven(tmp_path, "accuracy", counts=(30, 30))
    for _ in range(2):
        made.try_out(1, 1)
    assert (
        "expect about 100 right, once it is trained on all images. The folds do not show"
        in answer.sentences(made.end())[1]
    )


@pytest.mark.parametrize(
    ("gaps", "how"),
    [
        ([0.30, 0.28, 0.26], "It is too sure of itself"),
        ([-0.30, -0.28, -0.26], "It is less sure of itself than it could be"),
        ([0.02, -0.05, 0.04], "As far as these images show, its confidence can be believed"),
        ([0.50, 0.01, 0.33], "It seems too sure of itself, though so few folds cannot settle that"),
        ([-0.9, -0.3], "It seems less sure of itself than it could be, though so few folds cannot settle that"),
        ([0.2], "It seems too sure of itself, though so few folds cannot settle that"),
    ],
)
def test_a_confidence_that_is_far_off_is_never_called_credible(gaps, how):
    assert calibration.belief(float(np.mean(gaps)), corrected_interval(gaps, max(2, len(gaps)))) == how


def test_shares_that_differ_are_never_told_as_equal():
    assert words.against_in_100(0.495, 0.487) == "50 against 49"
    assert words.against_in_100(0.4906, 0.4934) == "49.1 against 49.3"
    assert words.against_in_100(0.49062, 0.49091) == "49.06 against 49.09"
    assert words.against_in_100(0.5, 0.5) == "50 against 50"
