"""What matters: what can be said of few trials, of a full grid, and of pairs that a baseline belongs to."""

import itertools

import kinds
import pytest
from kinds import Searched

from search.analysis.judgement import Judgement
from search.repertoire.recipe import Recipe
from search.report import contents
from search.report.exhibits import parallel

CLASSES = ("bathroom", "bedroom", "dining", "kitchen")


def shown(made):
    """The report of a search: its sentences on what matters, and its exhibits by name."""
    whole = contents.document(Judgement.of(made.record))
    section = next(section for section in whole.sections if section.chapter.id == "matters")
    return " ".join(section.words), {display.exhibit.name: display for display in whole.displays}


def drawn(display, field):
    return {row[field] for rows in display.figure.spec["datasets"].values() for row in rows if field in row}


@pytest.fixture
def made(tmp_path):
    return Searched(tmp_path, CLASSES, each=40, folds=5, fractions=(1.0,))


def test_a_grid_says_what_the_size_does_though_a_baseline_has_one_of_its_recipes(made):
    made.baseline(0.75, recipe=Recipe("MobileNetV2", 0, image_size=96), name="head alone")
    for size, skill in ((64, 0.5), (96, 0.7)):
        for backbone in kinds.BACKBONES:
            recipe = Recipe(backbone, 0, image_size=size)
            if (backbone, size) == ("MobileNetV2", 96):
                made.duplicate(made.history.trials["b0"])
            else:
                made.complete(skill, recipe)
    words, exhibits = shown(made)
    assert "These choices matter:" in words
    assert "image size (96 is " in words
    assert "these 6 trials are a full grid" in words
    assert "are needed" not in words
    effects = exhibits["effects"].frame
    sizes = effects[effects["factor"] == "image_size"].set_index("level")
    assert sizes.loc["96", "effect"] > 0.05
    assert sizes["trials"].tolist() == [3, 3]
    assert sizes.loc["96", "above"] == "64"
    assert "matters" in drawn(exhibits["effects"], "said")


def test_sentences_call_a_choice_what_its_field_is_called(made):
    for norm, skill in ((None, 0.5), (1.0, 0.7)):
        for backbone in kinds.BACKBONES:
            made.complete(skill, Recipe(backbone, 0, image_size=64, clip_norm=norm))
    words, exhibits = shown(made)
    assert "gradient clipping (1 is " in words
    assert any("gradient clipping" in row for row in drawn(exhibits["effects"], "row"))
    assert "clip norm" not in words


def test_what_differs_is_said_though_too_few_trials_hold_the_rest_equal(made):
    made.baseline(0.9)
    for number in range(7):
        recipe = kinds.proposal(number)
        made.complete(kinds.skill_of(recipe, number), recipe)
    words, exhibits = shown(made)
    assert "Some levels differ (after Holm's adjustment over all pairs)" in words
    assert "above MobileNet_0.25" in words
    assert "Every complete trial with one of these is worse than the best one" in words
    assert "backbone MobileNet_0.25 (2 trials, the nearest" in words
    effects = exhibits["effects"].frame
    small = effects[effects["level"] == "MobileNet_0.25"].iloc[0]
    assert small["worse"] == small["complete"] == 2
    assert small["nearest"] > 0.2
    assert effects[effects["worse"] > 0]["above"].eq("").all()
    assert "some of its levels differ" in " ".join(drawn(exhibits["effects"], "said"))


def test_levels_of_which_every_trial_is_worse_are_named():
    section = next(section for section in kinds.document("usual").sections if section.chapter.id == "matters")
    assert any("backbone MobileNet_0.25 (6 trials, the nearest" in sentence for sentence in section.words)
    nothing = next(sentence for sentence in section.words if sentence.startswith("Of these nothing"))
    assert "backbone" not in nothing


def test_a_baseline_that_wins_stands_in_its_pair_of_backbone_and_depth(made):
    made.baseline(0.97, recipe=Recipe("MobileNetV2", None, image_size=96), name="everything fine-tuned")
    kinds.add_trials(made, 12, 0)
    _, exhibits = shown(made)
    pairs = exhibits["interaction"].frame
    best = pairs.loc[pairs["score"].idxmax()]
    assert (best["backbone"], best["unfrozen_blocks"], best["baselines"]) == ("MobileNetV2", "all", "b0")
    assert pairs[pairs["winner"]]["best"].tolist() == ["b0"]
    assert best["best_score"] == pairs["best_score"].max()
    assert pairs["trials"].sum() == 13
    assert pairs[pairs["baselines"] == ""].shape[0] == len(pairs) - 1
    assert "winner, b0" in drawn(exhibits["interaction"], "mark")
    assert exhibits["interaction"].figure.in_words.split("are ")[1].startswith("MobileNetV2 with all")


def test_parallel_coordinates_have_no_axis_that_nobody_chose(made):
    made.baseline(0.5, recipe=Recipe("SmallCNN", None, image_size=32), name="training from scratch")
    kinds.add_trials(made, parallel.FEWEST, 0)
    _, exhibits = shown(made)
    figure = exhibits["parallel"].figure
    axes = drawn(exhibits["parallel"], "axis")
    assert {"backbone", "learning rate", "score"} <= axes
    assert not {"image size", "views"} & axes  # the baseline alone has another size; views follow from augmentation
    assert "SmallCNN" not in drawn(exhibits["parallel"], "name")
    assert "b0" not in drawn(exhibits["parallel"], "trial")
    assert "b0" not in figure.in_words


def test_few_recipes_have_no_parallel_coordinates(made):
    made.baseline(0.5)
    kinds.add_trials(made, parallel.FEWEST - 1, 0)
    assert shown(made)[1]["parallel"].figure is None


def test_equal_scores_are_no_range_and_labels_keep_apart(tmp_path):
    made = Searched(tmp_path, CLASSES, each=6, folds=2, fractions=(1.0,))
    made.alike = True
    for number in range(20):
        made.complete(
            0.6, Recipe("MobileNetV2", 0, image_size=96, learning_rate=1e-3 * (1 + (number > 0) + number / 99))
        )
    _, exhibits = shown(made)
    assert not any(" to " in fifth for fifth in drawn(exhibits["parallel"], "fifth"))
    for axis in ("learning rate", "score"):
        rows = [row for rows in exhibits["parallel"].figure.spec["datasets"].values() for row in rows]
        places = sorted(row["at"] for row in rows if row.get("axis") == axis and "name" in row)
        assert all(after - before >= parallel.APART for before, after in itertools.pairwise(places))
