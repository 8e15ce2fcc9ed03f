"""Do synthetic images help: pairs of recipes, their differences, and the sentence that is made of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from kinds import SYNTHETIC, document, frames, judgement
from kit.searches import Search

from search.analysis.judgement import Judgement
from search.analysis.stats.comparing import Difference
from search.analysis.synthetic import COPIES, HARD_IMAGES, NONE, gains, pairs, part_gains, worth
from search.racing import cells
from search.repertoire.recipe import Recipe
from search.report import contents
from search.report.exhibits import synthetic as exhibit


def made(folder, *rows, fractions=(1.0, 0.5), each=60, folds=5, **study):
    """Make a search of recipes that differ in nothing but their synthetic images; rows are as in SYNTHETIC."""
    search = Search(folder, each=each, folds=folds, fractions=fractions, **study)
    for amount, method, share, skill in rows:
        synthetic = {"synthetic_per_class": amount, "synthetic_method": method, "synthetic_replacing": share}
        search.complete(skill, Recipe("MobileNetV2", 1, image_size=96, **synthetic))
    return Judgement.of(search.record)


def said(judged):
    return next(
        " ".join(section.words) for section in contents.document(judged).sections if section.chapter.id == "synthetic"
    )


def test_a_recipe_is_paired_with_itself_without_synthetic_images_and_with_copies():
    found = {(pair.trial.id, pair.reference.id, pair.against) for pair in pairs(judgement("study"))}
    assert found == {
        ("0001", "0000", NONE),
        ("0002", "0000", NONE),
        ("0002", "0001", COPIES),
        ("0003", "0000", NONE),  # there are no 20 copies
        ("0004", "0000", NONE),
        ("0004", "0001", COPIES),
        ("0005", "0000", NONE),  # and none that replace
    }


def test_a_gain_is_the_mean_difference_over_folds_at_each_size_and_over_all():
    judged = judgement("study")
    by_id = {trial.id: cells(trial, judged.rules) for trial in judged.complete}
    for gain in gains(judged):
        gap = by_id[gain.pair.trial.id] - by_id[gain.pair.reference.id]
        at = slice(None) if gain.fraction is None else judged.rules.fractions.index(gain.fraction)
        assert gain.difference.mean == pytest.approx(gap[at].mean())
        assert gain.difference.low < gain.difference.mean < gain.difference.high
        assert gain.p_holm >= gain.p
    assert len(gains(judged)) == 7 * 3
    assert frames("study")["synthetic_gains"]["fraction"].isna().sum() == 7


def test_other_recipes_are_no_references():
    other = Recipe("MobileNetV2", 1, image_size=96, dropout=0.5)
    assert other.digest not in {pair.reference.recipe.digest for pair in pairs(judgement("usual"))}
    for pair in pairs(judgement("usual")):
        assert pair.reference.recipe.synthetic.to_json() == 0


def test_the_one_that_helps_is_named_with_what_it_is_worth():
    text = said(judgement("study"))
    assert text.startswith("They help: 8 synthetic (compose) gains +")
    assert "They do more than as many copies of real images: 8 synthetic (compose) gains +" in text


@pytest.mark.parametrize(
    ("mean", "words"),
    [
        (0.003, "about as much as "),
        (0.5, "; at 192 real images it is +50.0 points (95 % interval +49.8 to +50.2), worth more than twice"),
    ],
)
def test_what_a_gain_is_worth_is_said_within_what_the_curve_shows(mean, words):
    judged = judgement("study")
    scores = [interval.mean for interval in judged.at_sizes(judged.record.history.trials["0000"])]
    assert scores[1] > scores[0]
    gain = next(gain for gain in gains(judged) if gain.pair.trial.id == "0002")
    made_up = replace(gain, difference=Difference(mean, mean - 0.002, mean + 0.002, 0.01))
    text = exhibit._is_worth(made_up, judged)
    assert words in text
    if mean < 0.1:
        low, at, high = (worth(each, judged.images, scores) for each in (mean - 0.002, mean, mean + 0.002))
        assert f"{at:,.0f} more real ones ({low:,.0f} to {high:,.0f}, by" in text


def test_where_nothing_helps_the_sentence_says_how_large_a_help_may_be(tmp_path):
    text = said(made(tmp_path, *((amount, method, share, 0.6) for amount, method, share, _ in SYNTHETIC)))
    assert text.startswith("No help was seen: of 4 recipes with synthetic images the best,")
    assert "every difference is between -" in text
    assert "As many copies of real images do this instead: at best 8 synthetic (copies), " in text


def test_one_that_surely_helps_is_named_though_a_wilder_one_scores_higher():
    judged = judgement("study")
    overall = [gain for gain in gains(judged) if gain.fraction is None and gain.pair.against == NONE]
    sure = replace(overall[0], difference=Difference(0.02, 0.01, 0.03, 0.0001), p_holm=0.0002)
    wild = replace(overall[1], difference=Difference(0.05, -0.2, 0.3, 0.3), p_holm=0.6)
    assert exhibit._verdict([wild, sure], judged).startswith("They help: ")
    assert exhibit._verdict([wild], judged).startswith("No help was seen: ")
    against = [replace(gain, pair=replace(gain.pair, against=COPIES)) for gain in (wild, sure)]
    assert exhibit._against_copies(against)[0].startswith("They do more than as many copies")
    worse = replace(against[1], difference=Difference(-0.02, -0.03, -0.01, 0.9999))
    assert exhibit._against_copies([worse])[0].startswith("They do less than as many copies")


def test_copies_are_no_synthetic_images_that_help(tmp_path):
    text = said(made(tmp_path, (0, None, 0.0, 0.3), (8, "copies", 0.0, 0.9)))
    assert text.startswith("As many copies of real images do this instead: at best 8 synthetic (copies), +")
    assert "They help" not in text


def test_of_one_fold_no_limits_are_said(tmp_path):
    rows = [(0, None, 0.0, 0.6), (8, "copies", 0.0, 0.6), (8, "gan", 0.0, 0.7)]
    text = said(made(tmp_path, *rows, folds=1, splits="shuffle", val=0.2))
    assert text.startswith("Whether they help cannot be told from these folds: at best 8 synthetic (gan), ")
    assert "inf" not in text
    assert "nan" not in text


def test_recipes_that_racing_stopped_are_said_to_be_missing(tmp_path):
    search = Search(tmp_path, each=60, folds=5, fractions=(1.0, 0.5))
    for amount in (0, 8):
        search.complete(0.6, Recipe("MobileNetV2", 1, image_size=96, synthetic_per_class=amount))
    trial = search.begin(Recipe("MobileNetV2", 1, image_size=96, synthetic_per_class=20))
    search.train(trial, 0.2, search.folds[:5])
    search.conclude(trial, "stopped", 0.2, "9.9 points behind 0000 after 5 of 10 runs")
    text = said(Judgement.of(search.record))
    assert "1 more recipe with synthetic images stopped early" in text


def test_a_single_pair_has_its_limits(tmp_path):
    text = said(made(tmp_path, (0, None, 0.0, 0.6), (8, None, 0.0, 0.61), fractions=(1.0,)))
    assert text.startswith("No help was seen: the difference is between -")
    assert text.endswith("points (8 synthetic).")


def test_harm_is_called_harm(tmp_path):
    text = said(made(tmp_path, (0, None, 0.0, 0.9), (8, "gan", 0.0, 0.2), (20, "gan", 0.0, 0.2)))
    assert text.startswith("They harm: the best of them, ")


def test_recipes_without_a_reference_are_said_to_tell_nothing(tmp_path):
    text = said(made(tmp_path, (8, "gan", 0.0, 0.9), (20, "gan", 0.0, 0.5)))
    assert text.startswith("2 complete recipes used synthetic images, but no complete one is the same without them")


def test_without_synthetic_images_the_chapter_is_left_out(tmp_path):
    judged = made(tmp_path, (0, None, 0.0, 0.9))
    titles = [section.chapter.title for section in contents.document(judged).chapters]
    assert "Do synthetic images help?" not in titles
    assert "Do synthetic images help?" in [section.chapter.title for section in document("study").chapters]


def test_hard_images_are_those_of_the_other_recipes():
    judged = judgement("study")
    rows = [gain for gain in part_gains(judged) if gain.part == HARD_IMAGES]
    assert len(rows) == 7
    evidence = judged.evidence_of_images
    size = evidence.sizes[-1]
    for gain in rows:
        others = [
            at for at, name in enumerate(evidence.trials) if name not in {gain.pair.trial.id, gain.pair.reference.id}
        ]
        wrong = (size.predictions[others] != size.labels).mean(axis=0) >= 0.5
        assert gain.images == wrong.sum()
        own = evidence.trials.index(gain.pair.trial.id)
        assert gain.trial == pytest.approx((size.predictions[own] == size.labels)[wrong].mean())


def test_hard_images_of_chance_favour_neither_side(tmp_path):
    """Equal recipes: the accuracy on images that others find hard must not differ for that reason."""
    gaps = []
    for seed in range(12):
        search = made(
            tmp_path / str(seed), *[(0, None, 0.0, 0.6), *((8 + seed * 7 + k, "gan", 0.0, 0.6) for k in range(4))]
        )
        gaps += [gain.trial - gain.reference for gain in part_gains(search) if gain.part == HARD_IMAGES]
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / math.sqrt(len(gaps)) + 0.02


@pytest.mark.parametrize(
    ("gain", "images", "scores", "more"),
    [
        (0.05, [100, 200], [0.7, 0.75], 200),  # as much as the last doubling
        (0.025, [100, 200], [0.7, 0.75], 200 * (math.sqrt(2) - 1)),
        (-0.05, [100, 200], [0.7, 0.75], -100),
        (0.0, [50, 200], [0.7, 0.8], 0),
        (0.1, [50, 200], [0.7, 0.8], 600),
        (0.1, [100], [0.7], math.nan),
        (0.1, [100, 200], [0.7, 0.7], math.nan),
        (0.1, [100, 200], [0.7, 0.6], math.nan),
    ],
)
def test_a_gain_is_worth_as_many_images_as_the_curve_says(gain, images, scores, more):
    assert worth(gain, images, scores) == pytest.approx(more, nan_ok=True)
