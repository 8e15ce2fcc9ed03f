"""What a search shows, in numbers and in words: each against a plain calculation of its own."""

import numpy as np
import pytest
from kit.lines import event
from kit.searches import Search, fill
from sklearn import metrics

from search.analysis.judgement import Judgement
from search.analysis.predictions import gather, read_run, read_runs
from search.analysis.stats.intervals import corrected_interval
from search.journal.outcomes import CONFIRM
from search.racing import ranked
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.report import answer, cautions, contents, words


@pytest.fixture
def several(tmp_path):
    """Seven complete trials of growing skill over twelve images a class, a stopped one and a baseline."""
    made = Search(tmp_path, classes=("ant", "bee", "cat"), each=12)
    for number, skill in enumerate((0.3, 0.5, 0.8, 0.6, 0.9, 0.7)):
        made.complete(skill, Recipe("MobileNetV2", number % 3, image_size=96, dropout=0.1 * number))
    made.stop(0.4)
    made.baseline(0.2)
    return made


def all_tables(judgement):
    return {sheet.name: sheet.frame(judgement) for sheet in contents.sheets()}


def words_of(judgement, chapter):
    """What a chapter of the report says first."""
    return next(
        list(section.words) for section in contents.document(judgement).sections if section.chapter.id == chapter
    )


def stored(made, trial):
    return read_runs(made.folder, [trial.runs[fold.id] for fold in made.folds])


def test_runs_are_read_as_they_were_stored_each_file_once(several):
    trial = several.history.trials["0002"]
    for fold, arrays in stored(several, trial).items():
        rows = next(each for each in several.folds if each.id == fold).validation
        np.testing.assert_array_equal(arrays["ids"], [several.dataset.ids[row] for row in rows])
        assert read_run(several.folder, trial.runs[fold])["probabilities"].tolist() == arrays["probabilities"].tolist()


def test_evidence_holds_what_each_trial_predicted_of_each_image(several):
    judgement = Judgement.of(several.record)
    evidence = judgement.evidence
    assert evidence.trials == tuple(trial.id for trial in judgement.complete)
    for size, fraction in zip(evidence.sizes, several.rules.fractions, strict=True):
        for at, trial in enumerate(judgement.complete):
            arrays = stored(several, trial)
            told = {
                (id_, label): row
                for fold in several.folds
                if fold.fraction == fraction
                for id_, label, row in zip(
                    *(arrays[fold.id][k] for k in ("ids", "labels", "probabilities")), strict=True
                )
            }
            assert len(told) == len(size.image) == len(several.dataset)
            for row, image in enumerate(size.image):
                probabilities = told[evidence.ids[image], size.labels[row]]
                assert size.predictions[at, row] == probabilities.argmax()
                assert size.own[at, row] == probabilities[size.labels[row]]
                assert size.confidence[at, row] == probabilities.max()
    np.testing.assert_allclose(evidence.probabilities.sum(axis=1), 1, atol=1e-5)


def test_trials_whose_predictions_are_gone_are_no_evidence_and_said(several):
    lost = several.history.trials["0004"].runs["f1"]
    (several.folder / lost.file).unlink()
    evidence = gather(several.record, ranked(several.history.trials.values()))
    assert "0004" not in evidence.trials
    assert evidence.lost_files == (lost.file,)
    judgement = Judgement.of(several.record)
    assert judgement.winner.id == "0004"  # its score is journalled
    assert judgement.uncorrected == "its predictions are missing"
    assert lost.file in cautions.cautions(judgement)[0]


def test_the_winner_is_corrected_from_five_complete_trials_on(tmp_path):
    made = Search(tmp_path, each=30)
    for _ in range(4):
        made.complete(0.5)
    few = Judgement.of(made.record)
    assert few.corrected is None
    assert "4 complete trials are too few to correct it (5 are needed)" in answer.sentences(few)[2]
    for _ in range(8):  # equally good: what the best has beyond the others is luck
        made.complete(0.5)
    enough = Judgement.of(made.record)
    assert enough.uncorrected == ""
    assert enough.corrected.score.mean < enough.corrected.raw
    assert enough.corrected == Judgement.of(made.record).corrected  # the draws have a seed


def test_the_answer_is_for_the_person_who_decides(several):
    judgement = Judgement.of(several.record)
    said = answer.sentences(judgement)
    assert all(sentence.endswith(".") and "\n" not in sentence and "nan" not in sentence for sentence in said)
    assert said[0] == (
        "Of 7 recipes that were tried in full (1 more was stopped early), this works best: fine-tuning the last block "
        "of MobileNetV2."
    )
    expected = judgement.corrected.full
    assert said[1] == (
        f"Of 100 new images like these, expect about {words.in_100(expected.mean)} right, once it is trained on all "
        f"images; anything from {words.in_100(expected.low)} to {words.in_100(expected.high)} would be no surprise. "
        "Guessing would get 33."
    )
    assert 'the baseline "head alone" (b0)' in " ".join(said)
    assert said[-1].startswith("The recipe of trial 0004: MobileNetV2, 1 block, dropout 0.4")


def test_the_leading_number_is_raw_and_said_to_be_so_where_it_cannot_be_corrected(tmp_path):
    made = Search(tmp_path)
    made.complete(0.8)
    runs = made.history.trials["0000"].runs
    raw = np.mean([runs[fold.id].scores["balanced_accuracy"] for fold in made.folds if fold.fraction == 1])
    said = answer.sentences(Judgement.of(made.record))
    assert said[0] == "Only one recipe was tried in full: fine-tuning the last block of MobileNetV2."
    assert said[1].startswith(f"Of 100 new images like these, expect about {100 * raw:.0f} right")
    assert said[2] == "This number is the raw result: 1 complete trial is too few to correct it (5 are needed)."


def test_without_a_complete_trial_there_is_no_winner_in_words(tmp_path):
    made = Search(tmp_path)
    made.fail()
    assert answer.sentences(Judgement.of(made.record)) == ["No trial was completed, so there is no winner."]


def test_what_is_clearly_cheaper_and_as_good_is_recommended(tmp_path):
    made = Search(tmp_path)
    for skill, seconds in ((0.9, 100.0), (0.9, 10.0), (0.3, 1.0)):
        trial = made.begin()
        for fold in made.folds:  # equal predictions of the first two
            kept, run = made.store(fold, skill, np.random.default_rng(3), f"runs/{trial.id}-{trial.jobs + 1}.npz")
            made.journal.append(
                event("job", trial=trial.id, job=trial.jobs + 1, **kept, runs=[{**run, "seconds": seconds}])
            )
        made.judge(trial)
    made.journal.append(event("end", reason="all 3 trials are done"))
    judgement = Judgement.of(made.record)
    assert judgement.winner.id == "0000"
    assert judgement.recommended.id == "0001"
    assert (
        "train trial 0001 on all images, with the command below. It comes within a point of the winner (raw, 100 "
        "against 100 in 100) and trains 10.0 times as fast." in " ".join(answer.sentences(judgement))
    )


def test_the_winner_is_recommended_where_little_time_is_saved(several):
    several.journal.append(event("end", reason="all trials are done"))
    judgement = Judgement.of(several.record)
    assert judgement.recommended is judgement.winner
    assert "Next: train it on all images, with the command below." in answer.sentences(judgement)


def test_tables_of_the_winner_agree_with_scikit_learn(several):
    judgement = Judgement.of(several.record)
    tables, arrays = all_tables(judgement), stored(several, judgement.winner)
    full = [fold.id for fold in several.folds if fold.fraction == 1]
    labels = np.concatenate([arrays[fold]["labels"] for fold in full])
    predicted = np.concatenate([arrays[fold]["probabilities"].argmax(axis=1) for fold in full])
    told = tables["confusion"].pivot_table(index="label", columns="predicted", values="images").to_numpy()
    np.testing.assert_array_equal(told, metrics.confusion_matrix(labels, predicted))
    report = metrics.classification_report(labels, predicted, output_dict=True, zero_division=0)
    for number, row in enumerate(tables["classes"].itertuples()):
        expected = report[str(number)]
        assert (row.images, row.recall, row.precision, row.f1) == pytest.approx(
            (expected["support"], expected["recall"], expected["precision"], expected["f1-score"])
        )
        assert row.low <= row.recall <= row.high
    mistaken = tables["confused"]
    assert mistaken["images"].sum() == (labels != predicted).sum()
    assert mistaken["images"].is_monotonic_decreasing
    assert tables["calibration"]["images"].sum() == len(labels)


def test_hard_images_are_those_that_all_or_nearly_all_get_wrong(several):
    judgement = Judgement.of(several.record)
    wrong = dict.fromkeys(several.dataset.ids, 0)
    for trial in judgement.complete:
        for fold, arrays in stored(several, trial).items():
            if "@" not in fold:
                for id_, label, row in zip(arrays["ids"], arrays["labels"], arrays["probabilities"], strict=True):
                    wrong[id_] += int(row.argmax() != label)
    hard = all_tables(judgement)["hard"]
    trials = len(judgement.complete)
    assert set(hard["id"]) == {id_ for id_, times in wrong.items() if times >= 0.9 * trials}
    assert hard.set_index("id")["wrong"].to_dict() == {id_: wrong[id_] for id_ in hard["id"]}
    assert set(hard.loc[hard["wrong"] == trials, "group"]) <= {"every recipe"}


def test_survival_has_every_size_with_its_interval(several):
    judgement = Judgement.of(several.record)
    survival = all_tables(judgement)["survival"]
    assert len(survival) == 2 * len(judgement.complete)
    assert survival["images"].drop_duplicates().tolist() == judgement.images == [6.0, 24.0]
    row = survival[(survival["trial"] == "0002") & (survival["fraction"] == 1)].iloc[0]
    runs = several.history.trials["0002"].runs
    scores = [runs[fold.id].scores["balanced_accuracy"] for fold in several.folds if fold.fraction == 1]
    expected = corrected_interval(scores, 3, (0, 1))
    assert (row["score"], row["low"], row["high"]) == pytest.approx((expected.mean, expected.low, expected.high))
    assert survival[survival["winner"]]["trial"].unique().tolist() == ["0004"]


def test_effects_are_of_what_the_oracle_proposed(several):
    effects = all_tables(Judgement.of(several.record))["effects"]
    assert {"unfrozen_blocks", "dropout"} <= set(effects["factor"])
    assert effects[effects["factor"] == "unfrozen_blocks"]["trials"].sum() == 7  # the stopped one, not the baseline


def test_views_are_no_choice_where_only_augmentation_decides_over_them(tmp_path):
    made = Search(tmp_path)
    for policy in ("none", "flip_crop", "none", "flip_crop"):
        made.complete(0.7, Recipe("MobileNetV2", 0, image_size=96, augment=Augment(policy)))
    assert set(all_tables(Judgement.of(made.record))["effects"]["factor"]) == {"augment"}


def test_baselines_are_compared_with_the_winner(several):
    (row,) = all_tables(Judgement.of(several.record))["baselines"].to_dict("records")
    winner, baseline = (several.history.trials[name].verdict.score for name in ("0004", "b0"))
    assert row["baseline"] == "head alone"
    assert row["difference"] == pytest.approx(winner - baseline)
    assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_a_baseline_that_wins_is_said_to_need_no_search(tmp_path):
    made = Search(tmp_path)
    made.baseline(0.95)
    made.complete(0.4)
    said = answer.sentences(Judgement.of(made.record))
    assert said[0].endswith("this works best: training only a new head on MobileNetV2 (head alone).")
    assert 'It needs no search: it is the baseline "head alone" (b0).' in said


def test_a_corrected_distance_is_said_in_the_words_of_the_raw_one(tmp_path):
    made = Search(tmp_path)
    made.baseline(0.3)
    for skill in (0.55, 0.6, 0.65, 0.7, 0.75):
        made.complete(skill)
    judgement = Judgement.of(made.record)
    behind = judgement.corrected.score.mean - made.history.trials["b0"].verdict.score
    told = f"points behind ({100 * behind:.1f} points behind once the winner's score is corrected)"
    assert behind > 0
    assert told in " ".join(answer.sentences(judgement))


def test_what_was_confirmed_stands_beside_its_score(several):
    trial = several.history.trials["0004"]
    for fold in several.folds:
        kept, run = several.store(fold, 0.8, np.random.default_rng(5), f"runs/0004-{trial.jobs + 1}.npz")
        several.journal.append(
            event("job", trial="0004", job=trial.jobs + 1, **kept, runs=[{**run, "fold": CONFIRM + fold.id}])
        )
    judgement = Judgement.of(several.record)
    (row,) = all_tables(judgement)["confirmation"].to_dict("records")
    scores = {fold: run.scores["balanced_accuracy"] for fold, run in trial.confirmations.items()}
    assert row["confirmed"] == pytest.approx(np.mean(list(scores.values())))
    assert row["score"] == pytest.approx(trial.verdict.score)
    said = [line for line in words_of(judgement, "answer") if not line.startswith("No better than guessing")]
    assert "0004" in said[0]
    assert "about a third, in simulations" in said[1]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.4, 0.9, "More images would help:"), (0.5, 0.504, "would add little:"), (0.7, 0.7, "is not sure:")],
)
def test_more_images_or_not_is_answered_by_the_slope(tmp_path, low, high, expected):
    made = Search(tmp_path, each=60, folds=5)
    for skill in (0.9, 0.2, 0.3):
        trial = made.begin()
        for fold in made.folds:
            at = (high if fold.fraction == 1 else low) if skill == 0.9 else 0.0
            rng = np.random.default_rng(int(fold.index))  # the folds go up and down together
            exact = low == 0.7 and skill == 0.9
            kept, run = made.store(fold, at, rng, f"runs/{trial.id}-{trial.jobs + 1}.npz")
            wiggle = (0.02 if exact else 0.001) * (-1) ** fold.index * (1 if fold.fraction == 1 else -1) + 0.001
            run["scores"]["balanced_accuracy"] = at + wiggle
            made.journal.append(event("job", trial=trial.id, job=trial.jobs + 1, **kept, runs=[run]))
        made.judge(trial)
    assert expected in " ".join(words_of(Judgement.of(made.record), "survival"))


def test_one_training_size_says_nothing_of_fewer_images(tmp_path):
    made = Search(tmp_path, fractions=(1.0,))
    made.complete(0.9)
    assert words_of(Judgement.of(made.record), "survival") == [
        "All trials were trained with all training images, so nothing is known of fewer."
    ]


def test_words_are_said_of_any_search(any_search):
    judgement = Judgement.of(any_search.record)
    document = contents.document(judgement)
    said = [*document.answer, *document.limits, *(text for section in document.sections for text in section.words)]
    assert all(section.words for section in document.chapters if section.chapter.id != "answer")
    assert all(said)
    assert not [text for text in said if "nan" in text.split() or "None" in text]


def test_filled_search_has_one_winner_for_all(made):
    fill(made)
    judgement = Judgement.of(made.record)
    tables = all_tables(judgement)
    assert judgement.winner.id == tables["trials"]["trial"].iloc[0] == tables["comparisons"]["trial"].iloc[0]
