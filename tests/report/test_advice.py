"""The answer says what to do: which classes to look after, what more images promise, and when it is good enough."""

import dataclasses
import json

import numpy as np
import pytest
from jsonschema import validate
from kit.lines import event
from kit.searches import Search

from search.analysis.advice import Promise, advice
from search.analysis.judgement import Judgement
from search.analysis.stats.survival import gain_of_doubling, images_for
from search.report import answer, contents
from search.report.json import as_json, schema
from search.report.markdown import markdown

ROOMS = ("bathroom", "kitchen", "office", "garden")


class Taken(Search):
    """A search whose predictions follow a table: what every so many images of a class are taken for.

    ``mistakes`` has them by training size: with 8 in 40, 8 of every 40 images of that class.
    """

    def __init__(self, folder, classes=ROOMS, each=40, mistakes=(), **study):
        super().__init__(folder, classes, each, **{"folds": 4, **study})
        self.mistakes = dict(mistakes)

    def predict(self, fold, skill, rng):
        arrays = super().predict(fold, skill, rng)
        names, answers = self.dataset.classes, arrays["labels"].copy()
        numbers = np.array([int(id_.split("/")[1].split(".")[0]) for id_ in arrays["ids"]])
        for (size, label, other), (wrong, of) in self.mistakes.items():
            own = arrays["labels"] == names.index(label)
            if size in {None, fold.fraction}:
                answers[own & (numbers % of < wrong)] = names.index(other)
        probabilities = np.full((len(answers), len(names)), 0.1 / len(names), np.float32)
        probabilities[np.arange(len(answers)), answers] += 0.9
        return {**arrays, "probabilities": probabilities}

    def ended(self, trials=5):
        for _ in range(trials):
            self.complete(1)
        self.journal.append(event("end", reason="all trials are done"))
        return Judgement.of(self.record)


ROOMS_CONFUSED = {
    (None, "bathroom", "kitchen"): (7, 40),
    (None, "kitchen", "bathroom"): (7, 40),
    (None, "office", "garden"): (1, 40),
}


def said(judgement):
    return " ".join(answer.sentences(judgement))


def test_a_pair_of_classes_is_named_with_its_count(tmp_path):
    judgement = Taken(tmp_path, mistakes=ROOMS_CONFUSED).ended()
    (pair,) = advice(judgement).pairs
    assert (pair.classes, pair.mistakes, pair.images) == ((0, 1), 14, 80)
    line = 'The winner takes "bathroom" and "kitchen" for each other in 14 of 80 images (11 to 27 in 100)'
    assert line in said(judgement)
    assert line in " ".join(markdown(contents.document(judgement), {}).replace("\\", "").split())
    told = as_json(judgement, contents.document(judgement))
    validate(told, schema())
    assert told["advice"]["pairs"][0]["classes"] == ["bathroom", "kitchen"]
    assert json.dumps(told["advice"], allow_nan=False)


def test_labels_that_may_be_wrong_come_before_new_images(tmp_path):
    judgement = Taken(tmp_path, mistakes=ROOMS_CONFUSED).ended()
    doubtful = contents.document(judgement).displays
    frame = next(display.frame for display in doubtful if display.exhibit.name == "label_errors")
    pair = {"bathroom", "kitchen"}
    number = sum({row.label, row.suggested} == pair for row in frame.itertuples())
    assert number > 0
    assert f"Look at their labels first: {number} may be wrong (label_errors.csv)." in said(judgement)


def test_a_class_that_is_missed_more_often_is_named(tmp_path):
    mistakes = {(None, "bees", "ants"): (16, 40), (None, "ants", "bees"): (2, 40)}
    judgement = Taken(tmp_path, ("ants", "bees"), mistakes=mistakes).ended()
    (weak,) = advice(judgement).weak
    assert (weak.classes, weak.mistakes, weak.images) == ((1,), 16, 40)
    assert 'The winner misses 16 of 40 images (26 to 55 in 100) of "bees"' in said(judgement)


def test_mistakes_of_chance_name_no_class(tmp_path):
    mistakes = {(None, "bees", "ants"): (9, 40), (None, "ants", "bees"): (5, 40)}
    told = advice(Taken(tmp_path, ("ants", "bees"), mistakes=mistakes).ended())
    assert told.pairs == told.weak == ()


def test_the_gain_of_a_doubling_and_the_images_of_a_point():
    # errors of .32, .16 and .08 with a quarter, half and all of 400 images: a doubling halves them
    assert gain_of_doubling(0.12, 0.08, 2) == pytest.approx(0.04)
    assert images_for(0.04, 400, 0.12, 0.08, 2) == pytest.approx(400)
    assert images_for(0.01, 400, 0.12, 0.08, 2) == pytest.approx(400 * (8 / 7 - 1))
    assert images_for(0.08, 400, 0.12, 0.08, 2) == np.inf
    assert gain_of_doubling(-0.03, 0.2, 1) == -0.03
    assert gain_of_doubling(0.1, 0, 1) == 0
    assert gain_of_doubling(1e-6, 0.2, 2) == pytest.approx(1e-6, rel=1e-3)


def two_sizes(folder, full, half):
    """Return a search of two classes whose winner has so many mistakes in so many images, at each training size."""
    pairs = (("ants", "bees"), ("bees", "ants"))
    mistakes = {(size, *pair): wrong for size, wrong in ((1.0, full), (0.5, half)) for pair in pairs}
    return Taken(folder, pairs[0], each=160, fractions=(1.0, 0.5), mistakes=mistakes).ended(3)


def test_more_images_help_where_the_interval_is_above_nothing(tmp_path):
    judgement = two_sizes(tmp_path, (4, 40), (16, 40))
    more = advice(judgement).more
    assert more.promise is Promise.HELP
    assert more.doubling.mean == pytest.approx(0.075, abs=0.01)  # from 40 to 10 in 100, and on to 2.5
    assert 0 < more.doubling.low < more.doubling.mean < more.doubling.high
    assert more.least < more.for_a_point < more.most
    told = said(judgement)
    assert "More images would help: twice as many would add about" in told
    assert "One point would take about" in told
    assert "No class stands out, so collect all classes." in told
    survival = next(one for one in contents.document(judgement).sections if one.chapter.id == "survival")
    assert any(line.startswith("More images would help") for line in survival.words)


def test_more_images_hardly_help_where_little_is_wrong(tmp_path):
    judgement = two_sizes(tmp_path, (1, 160), (3, 160))
    told = advice(judgement)
    assert told.more.promise is Promise.LITTLE
    assert told.good_enough
    (line,) = answer.advise(judgement, dataclasses.replace(told, good_enough=False))
    assert line.startswith("More images like these would hardly help: twice as many would add less than a point")


def test_whether_more_images_help_cannot_be_told_from_a_wide_interval(tmp_path):
    judgement = two_sizes(tmp_path, (8, 40), (5, 24))
    assert advice(judgement).more.promise is Promise.UNSURE
    assert "cannot be told: twice as many may bring anything from −" in said(judgement)


def test_one_training_size_tells_nothing_of_more_images(tmp_path):
    judgement = Taken(tmp_path, mistakes=ROOMS_CONFUSED, fractions=(1.0,)).ended()
    assert advice(judgement).more.promise is Promise.UNKNOWN
    assert "every trial was trained with all training images alone" in said(judgement)


def held_out(folder, each, wrong=0):
    made = Taken(folder, ("ants", "bees"), each, {(None, "bees", "ants"): (1, 40)}, holdout=0.25)
    best = made.complete(1)
    if not wrong:
        made.mistakes = {}
    else:
        made.mistakes[None, "ants", "bees"] = (wrong, 40)
    made.look(best, 1)
    made.journal.append(event("end", reason="all trials are done"))
    return Judgement.of(made.record)


def test_it_is_good_enough_where_nothing_held_out_was_wrong(tmp_path):
    judgement = held_out(tmp_path, each=120)
    told = advice(judgement)
    assert told.good_enough
    assert (told.unmistaken.images, told.unmistaken.wrong_at_most) == (60, pytest.approx(1 - 0.05 ** (1 / 60)))
    line = "of 60 held-out images none was taken wrongly, so at most 4.9 % of new ones may be (upper 95 % limit)"
    assert line in said(judgement)
    assert "collect" not in said(judgement)
    assert "help" not in said(judgement).replace("hardly", "")


@pytest.mark.parametrize(("each", "wrong"), [(40, 0), (120, 3)])
def test_few_images_or_a_mistake_among_those_held_out_do_not_make_it_good_enough(tmp_path, each, wrong):
    judgement = held_out(tmp_path, each, wrong)
    assert not advice(judgement).good_enough
    assert "good enough" not in said(judgement)


def test_it_is_good_enough_where_even_the_low_end_is(tmp_path):
    mistakes = {(None, "ants", "bees"): (1, 80), (None, "bees", "ants"): (1, 80)}
    judgement = Taken(tmp_path, ("ants", "bees"), 240, mistakes).ended()
    assert advice(judgement).good_enough
    assert "This is good enough, unless mistakes are costly: even the low end" in said(judgement)


def test_a_class_that_is_often_missed_is_not_good_enough_in_the_mean(tmp_path):
    mistakes = {(None, "garden", "office"): (1, 6)}
    made = Taken(tmp_path, (*map(str, range(12)), "office", "garden"), 60, mistakes)
    judgement = made.ended()
    assert judgement.corrected.full.low > 0.95
    assert not advice(judgement).good_enough


def test_nothing_is_advised_without_a_winner_or_without_anything_learnt(tmp_path):
    made = Search(tmp_path)
    made.fail()
    assert advice(Judgement.of(made.record)) is None
