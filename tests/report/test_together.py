"""The report says whether a few recipes together are better than the best one, and how to take them away."""

from kit.lines import event
from kit.searches import Search

from search.analysis.judgement import Judgement
from search.analysis.stats import Interval
from search.repertoire.recipe import Recipe
from search.report.exhibit import Subject
from search.report.exhibits.together import EXHIBIT
from search.report.words import standing


def judged(folder, skills, sizes, each=60):
    made = Search(folder, each=each)
    for number, (skill, size) in enumerate(zip(skills, sizes, strict=True)):
        made.complete(skill, Recipe("MobileNetV2", 0, image_size=size, learning_rate=1e-3 + 1e-4 * number))
    made.journal.append(event("end", reason="all trials are done"))
    return Judgement.of(made.record)


def sentence_of(judgement):
    return " ".join(EXHIBIT.sentences(Subject(judgement, EXHIBIT.sheet.frame(judgement))))


def test_recipes_that_err_apart_are_recommended_together(tmp_path):
    judgement = judged(tmp_path, (0.5, 0.5, 0.5, 0.45, 0.4), (32, 48, 64, 80, 96))
    found = judgement.ensemble
    assert found.is_recommended
    assert sum(found.members.values()) == 1
    line = sentence_of(judgement)
    assert f"is {100 * found.combined.gain.mean:.1f} points ahead of the best one" in line
    assert "export made --how ensemble --to my-ensemble" in line
    table = EXHIBIT.sheet.frame(judgement)
    assert dict(zip(table["trial"], table["weight"], strict=True)) == found.members


def test_recipes_that_are_alike_make_no_ensemble(tmp_path):
    judgement = judged(tmp_path, (0.5, 0.5, 0.5, 0.45, 0.4), (64,) * 5)
    assert len(judgement.ensemble.members) == 1
    assert not judgement.ensemble.is_recommended
    assert not sentence_of(judgement)


def test_an_ensemble_that_is_no_better_is_not_recommended(tmp_path):
    judgement = judged(tmp_path, (1.0, 0.3, 0.2, 0.1, 0.0), (32, 48, 64, 80, 96))
    assert not judgement.ensemble.is_recommended
    assert "not worth" in sentence_of(judgement) or len(judgement.ensemble.members) == 1


def test_too_few_trials_say_nothing(tmp_path):
    judgement = judged(tmp_path, (0.9, 0.8), (32, 64))
    assert judgement.ensemble is None
    assert not sentence_of(judgement)


def test_what_is_behind_has_its_limits_the_same_way_round():
    assert standing(Interval(0.013, 0.001, 0.026), "it") == "1.3 points ahead of it (95 % interval +0.1 to +2.6)"
    assert standing(Interval(-0.009, -0.036, 0.012), "it") == "0.9 points behind it (95 % interval −1.2 to +3.6)"
