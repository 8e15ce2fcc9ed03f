"""Images that recipes get wrong or disagree on: found again where they were planted, and refused where none can be."""

import numpy as np
import pytest
from kit.searches import Search

from search.analysis.hard import (
    check_evidence,
    disputed_images,
    doubtful_labels,
    hard_ids,
    hard_images,
)
from search.analysis.judgement import Judgement
from search.analysis.predictions import read_runs
from search.system.errors import UserError

ALWAYS, OFTEN, SPLIT = "across/3.png", "across/5.png", "down/4.png"


class Planted(Search):
    """A search of five trials that get all right but three images: wrong in all, in four and in two of the trials."""

    def predict(self, fold, skill, rng):
        arrays = super().predict(fold, 1.0, rng)
        for row, id_ in enumerate(arrays["ids"]):
            if id_ in {ALWAYS, OFTEN, SPLIT} and skill < {ALWAYS: 2, OFTEN: 0.45, SPLIT: 0.25}[id_]:
                label = arrays["labels"][row]
                arrays["probabilities"][row] = np.where(np.arange(2) == label, 0.2, 0.8)
        return arrays


@pytest.fixture
def planted(tmp_path):
    made = Planted(tmp_path, repeats=2)
    for number in range(5):
        made.complete(number / 10 + 0.1)
    return made


def test_images_are_hard_by_the_share_of_recipes_that_get_them_wrong(planted):
    judgement = Judgement.of(planted.record)
    (worst,) = hard_images(judgement)
    assert (worst.id, worst.label, worst.taken_for) == (ALWAYS, "across", "down")
    assert (worst.wrong, worst.recipes, worst.share, worst.by_all) == (5, 5, 1.0, True)
    assert worst.probability == pytest.approx(0.2)
    assert [(image.id, image.wrong) for image in hard_images(judgement, 0.5)] == [(ALWAYS, 5), (OFTEN, 4)]
    assert hard_ids(planted.record) == (ALWAYS,)
    assert hard_ids(planted.record, 0.8) == (ALWAYS, OFTEN)
    assert hard_ids(planted.record, 0.2) == (ALWAYS, OFTEN, SPLIT)


def test_disputed_images_are_those_without_agreement_whoever_is_right(planted):
    first, second = disputed_images(Judgement.of(planted.record))
    assert (first.id, first.votes) == (SPLIT, {"down": 6, "across": 4})  # two repeats
    assert (second.id, second.votes) == (OFTEN, {"down": 8, "across": 2})
    assert 0 < second.entropy < first.entropy < 1


def test_a_label_is_doubtful_where_all_are_sure_of_another(planted):
    assert ALWAYS in {image.id for image in doubtful_labels(Judgement.of(planted.record))}
    assert SPLIT not in {image.id for image in doubtful_labels(Judgement.of(planted.record))}


@pytest.mark.parametrize("share", [0, 1.5, "half"])
def test_a_share_that_is_none_is_refused(planted, share):
    with pytest.raises(UserError, match=r"share=.* must be a number, above 0 and at most 1"):
        hard_ids(planted.record, share)


def test_too_few_trials_are_refused_with_the_command_that_goes_on(made):
    with pytest.raises(UserError, match=r"from 3 complete trials on, and made has 0\. Go on with it: .* resume made"):
        check_evidence(Judgement.of(made.record))
    for _ in range(2):
        made.complete(0.9)
    with pytest.raises(UserError, match=r"made has 2\."):
        hard_ids(made.record)
    assert hard_images(Judgement.of(made.record)) == []
    made.complete(0.9)
    assert len(check_evidence(Judgement.of(made.record)).trials) == 3


def test_lost_predictions_are_not_taken_for_too_few_trials(planted):
    for trial in list(planted.history.trials.values())[:3]:
        run = next(iter(trial.runs.values()))
        assert read_runs(planted.folder, [run])
        (planted.folder / run.file).unlink()
    with pytest.raises(UserError, match=r"has 5, but the predictions of 3 are missing or changed\. Restore .*runs"):
        hard_ids(planted.record)
