"""Which trial is exported, and what its card says."""

import pytest
from kit.lines import event
from kit.searches import ODD, Search, all_failed, all_stopped, held_out

from search.analysis.judgement import Judgement
from search.export.card import BEST, ExportFacts, card, licences, scores, trial_to_export
from search.repertoire.recipe import Recipe
from search.report.markdown import inert
from search.system.errors import UserError

VERSIONS = {"keras": "3.11", "tensorflow": "2.20"}


def text_of(made, trial_id=BEST, synthetic=0):
    record = made.record
    return card(
        Judgement.of(record), ExportFacts(trial_to_export(record, trial_id), record.about.images, synthetic, VERSIONS)
    )


def test_best_is_the_recommended_trial_and_numbers_name_the_others(filled):
    record = filled.record
    assert trial_to_export(record, BEST).id == "0001"
    assert trial_to_export(record, "0005").id == "0005"
    assert trial_to_export(record, "5").id == "0005"
    assert trial_to_export(record, "2").verdict.status == "stopped"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("9", "There is no trial '9': made has the trials 0000, 0001"),
        ("../x", r"There is no trial '\.\./x'"),
        ("3", "Trial 0003 failed: ValueError: a|b. Name another one, or best."),
        ("4", "Trial 0004 is a duplicate: same recipe as 0000. Name that one."),
        ("6", "Trial 0006 has not ended. Finish the search first: python -m search resume made --results"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_the_way_out(filled, asked, says):
    with pytest.raises(UserError) as refusal:
        trial_to_export(filled.record, asked)
    assert says.replace("\\", "") in str(refusal.value)


@pytest.mark.parametrize("kind", [all_failed, all_stopped])
def test_without_a_complete_trial_none_is_recommended(made, kind):
    kind(made)
    with pytest.raises(UserError, match="No trial of made is complete, so none is recommended"):
        trial_to_export(made.record, BEST)


def test_the_holdout_of_an_unfinished_search_is_looked_at_for_a_named_trial_only(tmp_path):
    made = Search(tmp_path, holdout=4)
    trial = made.complete(0.9)
    with pytest.raises(UserError, match=r"is not finished.*no longer blind.*--trial 0000.*resume made"):
        trial_to_export(made.record, BEST)
    assert trial_to_export(made.record, trial.id).id == trial.id
    made.journal.append(event("end", reason="all 1 trials are done"))
    assert trial_to_export(made.record, BEST).id == trial.id


def test_a_look_for_an_export_neither_ends_nor_reopens_a_search(tmp_path):
    made = Search(tmp_path, holdout=4)
    trial = made.complete(0.9)
    for ended in ("", "all 1 trials are done"):
        if ended:
            made.journal.append(event("end", reason=ended))
        made.journal.append(event("failure", trial=trial.id, job=0, error="no memory", final=False))
        made.journal.append(event("session", max_trials=20, racing=True, look=trial.id))
        assert made.history.end_reason == ended
        assert not made.history.holdout_failures
    made.journal.append(event("session", max_trials=20, racing=True, look=""))
    assert not made.history.end_reason


def test_a_card_says_what_the_scores_are_worth(filled):
    text, told = text_of(filled), scores(Judgement.of(filled.record), filled.history.trials["0001"])
    low, high = told["interval"]
    assert f": {told['score']:.3f} (95 % interval {low:.3f} to 1)" in text
    assert high == 1  # where it is cut
    assert f"Accuracy {told['sizes']['1']:.3f} with all of each training part; {told['sizes']['0.25']:.3f}" in text
    assert "The best of 3 complete trials: it was picked, which flatters it; scores cannot be corrected" in text
    assert "trained by this recipe on 67% of the images or less" in text
    assert "24 images in all; no synthetic ones." in text
    assert "nproven" not in text
    assert told["holdout"] is None
    assert "old-out:" not in text
    assert "Number 3 of 3 complete trials; scores cannot be corrected" in text_of(filled, "0000")
    assert "and 40 synthetic ones beside them." in text_of(filled, synthetic=40)
    assert "The epochs are fixed and the last one counts." in text
    assert "An epoch showed" not in text
    trial = trial_to_export(filled.record, BEST)
    facts = ExportFacts(trial, 24, 0, VERSIONS, {"cat": 9, "dog": 12})
    assert "An epoch showed 9 of cat, 12 of dog, copies included." in card(Judgement.of(filled.record), facts)


def test_the_card_of_a_stopped_trial_says_that_it_is_unproven(filled):
    text = text_of(filled, "0002")
    assert "Unproven: this trial was stopped (9.9 points behind 0000 after 2 of 6 runs), so it has no score." in text
    assert "how good it is, nobody knows" in text
    assert "0.999" not in text  # what was predicted is no score
    assert scores(Judgement.of(filled.record), filled.history.trials["0002"])["score"] is None


def test_the_card_says_when_the_holdout_is_no_longer_blind(tmp_path):
    made = Search(tmp_path, holdout=4)
    held_out(made)
    look = made.history.holdout_score("0001").run.scores
    text = text_of(made)
    said = f"Hold-out: balanced accuracy {look['balanced_accuracy']:.3f}, accuracy {look['accuracy']:.3f} on 8"
    assert inert(said) in text
    assert "(looked at 2 times; a search extended after a look is no longer blind)" in text


def test_looks_at_several_trials_are_told(tmp_path):
    made = Search(tmp_path, holdout=4)
    trials = [made.complete(skill) for skill in (0.9, 0.7)]
    for trial in trials:
        made.look(trial, 0.8)
    assert "(looked at with 0000, 0001; a choice among them by this score is no longer blind)" in text_of(made, "1")


def test_names_of_classes_act_neither_as_markdown_nor_as_html(odd):
    text = text_of(odd)
    for name in ODD:
        assert f"| {inert(name)} | 6 |" in text
    rows = [line for line in text.splitlines() if line.endswith(" | 6 |")]
    assert len(rows) == len(ODD)
    assert "<script>" not in text
    assert all(row.replace("\\|", "").count("|") == 3 for row in rows)


def test_enough_trials_give_a_corrected_score(made):
    for skill in (0.9, 0.7, 0.6, 0.5, 0.4):
        made.complete(skill)
    corrected = Judgement.of(made.record).corrected
    for trial in ("0", "1"):
        assert f"comes to {corrected.score.mean:.3f} (95 % interval" in text_of(made, trial)
        assert f"to {corrected.full_accuracy.mean:.3f} (95 % interval" in text_of(made, trial)
    assert "The best of 5 complete trials: corrected for having been picked" in text_of(made)
    assert "Number 2 of 5 complete trials. The score of the best one, 0000, comes to" in text_of(made, "1")


def test_a_faster_trial_as_good_as_the_best_is_the_one_exported(made):
    fast = made.store
    for seconds in (60, 1, 1, 1, 1):

        def store(*arguments, spent=seconds):
            stored, run = fast(*arguments)
            return stored, {**run, "seconds": spent}

        made.store = store
        made.complete(1.0)
    assert Judgement.of(made.record).winner.id == "0000"
    assert trial_to_export(made.record, BEST).id == "0001"
    assert "Number 2 of 5 complete trials. It is recommended, as it comes within a point" in text_of(made)
    assert "It is recommended" not in text_of(made, "2")


def test_large_images_are_decoded_as_in_training(made):
    made.complete(0.9, Recipe("SmallCNN", None, image_size=600))
    text = text_of(made)
    assert "def pixels(path, size=600, draft=1024):" in text
    assert 'image.draft("RGB", (draft, draft))' in text
    assert "resize((size, size)" in text


def test_the_licence_and_the_notice_of_the_weights_go_with_a_model():
    own, of_imagenet = licences(Recipe("EfficientNetLite0"))
    assert own.startswith("EfficientNetLite0: Apache-2.0. Copyright (c) 2020, ML Illustrated. Licensed under")
    assert "research that earns nothing" in of_imagenet
    assert list(licences(Recipe("Embedded"))) == ["Embedded: MIT."]
    assert list(licences(Recipe("SmallCNN", None))) == []
    two = list(licences(Recipe(("EfficientNetLite0", "VGG16"))))
    assert [text.partition(":")[0] for text in two[:2]] == ["EfficientNetLite0", "VGG16"]
    assert len(two) == 3
