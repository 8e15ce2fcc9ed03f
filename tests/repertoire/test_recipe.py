"""A recipe is complete and possible, or its maker reads which field is wrong and what to do."""

import dataclasses
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.rows import OPTIONS

from search.repertoire.augmentation import POLICIES, Augment
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.baselines import baselines
from search.repertoire.losses import Focal
from search.repertoire.recipe import FIELDS, Recipe
from search.repertoire.sampling import SAMPLINGS, Sampling
from search.repertoire.weighting import WEIGHTINGS, EffectiveNumber
from search.system.errors import UserError

pytestmark = pytest.mark.quick

NAN, INFINITY = float("nan"), float("inf")


AMOUNTS = st.integers(0, 5) | st.floats(0, 100) | st.sampled_from([0.0, 1.0, 2.0])  # 1 and 1.0 are not the same


WEIGHTS = (
    st.sampled_from(sorted(WEIGHTINGS))
    | st.floats(0, 1, exclude_max=True).map(EffectiveNumber)
    | st.dictionaries(st.sampled_from("abc"), st.floats(0.1, 10), min_size=1)
)


def sampled(kinds):
    """Draw how the classes are evened out."""
    return st.sampled_from(sorted({*kinds, "none"} - {"exactly"})) | st.builds(
        Sampling, st.sampled_from(kinds), st.integers(1, 300)
    )


@st.composite
def recipes(draw):
    backbone = BACKBONES[draw(st.sampled_from(sorted(BACKBONES)))]
    policy = draw(st.sampled_from(sorted(POLICIES)))
    weights = draw(WEIGHTS)
    views = draw(st.integers(1, 16))
    kinds = sorted(set(SAMPLINGS) - {"none"} - ({"top_up"} if policy == "none" or views == 1 else set()))
    strength = st.none() | st.floats(0, 1, exclude_min=True) if POLICIES[policy].takes_strength else st.none()
    return Recipe(
        backbone.name,
        draw(st.none() | st.integers(0, backbone.blocks) if backbone.pretrained else st.none()),
        dropout=draw(st.floats(0, 0.95)),
        augment=Augment(policy, draw(strength), **OPTIONS.get(policy, {})),
        class_weight=weights,
        synthetic_per_class=draw(AMOUNTS | st.dictionaries(st.sampled_from("abc"), AMOUNTS)),
        learning_rate=draw(st.floats(1e-9, 10)),
        weight_decay=draw(st.floats(0, 10)),
        batch_size=draw(st.integers(1, 512)),
        epochs=draw(st.integers(1, 100)),
        views=views,
        image_size=draw(st.none() | st.integers(32, 1024).map(backbone.nearest_size)),
        loss=draw(st.sampled_from(["cross_entropy", "focal"]) | st.floats(0.01, 10).map(Focal)),
        label_smoothing=draw(st.floats(0, 0.9)),
        sampling=draw(sampled(kinds)),
        logit_adjustment=draw(st.floats(0, 3)) if weights == "none" else 0,
    )


@pytest.mark.parametrize(
    ("field", "value", "way_out"),
    [
        ("backbone", "MobilNet", "Did you mean 'MobileNet'?"),
        ("backbone", "smallcnn", "Did you mean 'SmallCNN'?"),
        (
            "backbone",
            "MobileNet_0.3",
            "Did you mean 'MobileNet_0.5'? Others are 'MobileNetV2_0.35' and 'MobileNet_0.75'. For",
        ),
        ("backbone", "xyz", "is not known. For the list of all: python -m search backbones"),
        ("backbone", None, "is not known. For the list of all: python -m search backbones"),
        ("class_weight", "balance", "Did you mean 'balanced'?"),
        ("class_weight", None, f"Choose one of: {', '.join(WEIGHTINGS)}."),
        ("class_weight", {0: 1.0}, 'must be weights by the names of classes, as in {"cat": 2}'),
        ("class_weight", {}, "must be weights by the names of classes"),
        ("augment", "flip_crop", "must be an Augment, as in Augment('flip_crop')"),
        ("unfrozen_blocks", 6, "which has 5 blocks: it must be a whole number from 0 (the head alone) to 5"),
        ("unfrozen_blocks", -1, "which has 5 blocks: it must be a whole number from 0 (the head alone) to 5"),
        ("unfrozen_blocks", 1.5, "which has 5 blocks: it must be a whole number from 0 (the head alone) to 5"),
        ("unfrozen_blocks", True, "which has 5 blocks: it must be a whole number from 0 (the head alone) to 5"),
        ("dropout", 0.96, "a number, 0 or more and at most 0.95"),
        ("dropout", -0.1, "a number, 0 or more and at most 0.95"),
        ("dropout", NAN, "a number, 0 or more and at most 0.95"),
        ("dropout", "0.2", "a number, 0 or more and at most 0.95"),
        ("dropout", False, "a number, 0 or more and at most 0.95"),
        *(
            ("synthetic_per_class", wrong, "must be a whole number of images of each class, 0 or more; a ratio of")
            for wrong in (-1, -0.5, NAN, True, "8", None, {1: 8})
        ),
        ("synthetic_per_class", [8], "write synthetic_per_class=hp.Choice('synthetic_per_class', [8])"),
        ("synthetic_per_class", (1, 2), "write synthetic_per_class=hp.Choice('synthetic_per_class', [1, 2])"),
        ("synthetic_per_class", 100.5, "is a ratio, as it has a decimal point: at most 100"),
        ("synthetic_per_class", INFINITY, "Write a whole number, such as 480"),
        ("learning_rate", 0.0, "a number, above 0 and at most 10"),
        ("learning_rate", 10.1, "a number, above 0 and at most 10"),
        ("learning_rate", INFINITY, "a number, above 0 and at most 10"),
        ("learning_rate", None, "a number, above 0 and at most 10"),
        ("weight_decay", -1e-9, "a number, 0 or more and at most 10"),
        ("weight_decay", 11, "a number, 0 or more and at most 10"),
        ("batch_size", 0, "a whole number, from 1 to 100000"),
        ("batch_size", 10**30, "a whole number, from 1 to 100000"),
        ("epochs", 10**30, "a whole number, from 1 to 1000000"),
        ("epochs", None, "a whole number, from 1 to 1000000"),
        ("views", 10**9, "a whole number, from 1 to 1000"),
        ("views", 2.5, "a whole number, from 1 to 1000"),
        ("image_size", 31, "a whole number, from 32 to 1024"),
        ("image_size", 1025, "a whole number, from 32 to 1024"),
        ("image_size", 64.0, "a whole number, from 32 to 1024"),
        ("head", "liner", "Did you mean 'linear'?"),
        ("optimizer", None, "Choose one of: adamw"),
        ("schedule", 3, "Choose one of: cosine"),
        ("head_start", "fited", "Did you mean 'fitted'?"),
        ("body_rate", 0, "a number, above 0 and at most 1"),
        ("body_rate", 1.5, "a number, above 0 and at most 1"),
        ("layer_decay", 0, "a number, above 0 and at most 1"),
        ("l2_sp", -1, "a number, 0 or more and at most 10"),
        ("wise_ft", 1.5, "a number, 0 or more and at most 1"),
        ("batch_norm", "learn", "Did you mean 'learning'?"),
        ("ema", 1, "a number, 0 or more and at most 0.9999"),
        ("clip_norm", 1e-300, "a number, 0.0001 or more and at most 1000"),
        ("clip_norm", "1", "a number, 0.0001 or more and at most 1000"),
        ("mix", "mixp", "Did you mean 'mixup'? Choose one of: none, mixup, cutmix."),
        ("epoch", "bestmean", "Did you mean 'best_mean'? Choose one of: last, best_mean."),
        ("pooling", "maximal", "Did you mean 'maximum'? Choose one of: average, maximum, flatten."),
        (
            "synthetic_method",
            "gan",
            "with synthetic_per_class=0: there are no synthetic images that it could be about.",
        ),
        ("synthetic_method", 3, "must be a name from the column method of the manifest, or None for all."),
        ("synthetic_replacing", 0.5, "with synthetic_per_class=0: there are no synthetic images"),
        ("synthetic_replacing", 1.5, "must be a number, 0 or more and at most 1"),
        ("tta", "miror", "Did you mean 'mirror'? Choose one of: none, mirror."),
        ("loss", "crossentropy", "Did you mean 'cross_entropy'?"),
        ("loss", {"focal": 2}, "Choose one of: cross_entropy, binary_cross_entropy, focal"),
        ("logit_adjustment", 3.5, "a number, 0 or more and at most 3"),
        ("sampling", "top-up", "Did you mean 'top_up'?"),
        ("sampling", 120, 'must be a Sampling, as in Sampling("exactly", 120)'),
        ("label_smoothing", 1, "a number, 0 or more and at most 0.9"),
        ("label_smoothing", -0.1, "a number, 0 or more and at most 0.9"),
    ],
)
def test_a_wrong_value_is_refused_by_field_and_value_and_way_out(field, value, way_out):
    with pytest.raises(UserError) as error:
        Recipe(**{"backbone": "MobileNet", "augment": Augment("flip_crop"), field: value})
    assert str(error.value).startswith(f"{field}={value!r} ")
    assert way_out in str(error.value)


def test_every_field_is_tested_above():
    (mark,) = test_a_wrong_value_is_refused_by_field_and_value_and_way_out.pytestmark
    assert {field for field, _, _ in mark.args[1]} == set(FIELDS)


@pytest.mark.parametrize("strength", [0, 0.0, -0.5, 1.01, NAN, "0.5", True])
@pytest.mark.parametrize("policy", ["color", "randaugment"])
def test_a_strength_is_above_0_and_at_most_1(policy, strength):
    with pytest.raises(UserError) as error:
        Augment(policy, strength)
    assert str(error.value) == f"Augment strength={strength!r} must be a number, above 0 and at most 1."


@pytest.mark.parametrize("policy", ["none", "flip_crop"])
def test_a_policy_without_a_strength_takes_none(policy):
    with pytest.raises(UserError) as error:
        Augment(policy, 0.5)
    assert str(error.value).startswith(f"Augment({policy!r}, strength=0.5): this policy has no strength. Leave it out;")
    assert 'hp.conditional_scope("augment",' in str(error.value)


def test_an_unknown_policy_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"^Augment policy='flipcrop' is not known\. Did you mean 'flip_crop'\?"):
        Augment("flipcrop")


@pytest.mark.parametrize("blocks", [0, 1, 5])
def test_a_network_without_weights_cannot_be_frozen(blocks):
    with pytest.raises(UserError) as error:
        Recipe("SmallCNN", unfrozen_blocks=blocks)
    assert str(error.value).startswith(f"unfrozen_blocks={blocks} with backbone='SmallCNN', which starts from random")
    assert "Give None (train everything)" in str(error.value)
    assert 'hp.conditional_scope("backbone",' in str(error.value)


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda backbone: backbone.name)
def test_no_depth_means_every_block(backbone):
    assert Recipe(backbone.name, None) == Recipe(backbone.name, backbone.blocks)
    assert Recipe(backbone.name, None).digest == Recipe(backbone.name, backbone.blocks).digest


def test_no_strength_means_half():
    assert Augment("color") == Augment("color", 0.5)


def test_views_do_not_tell_recipes_apart_that_do_not_augment():
    assert Recipe("MobileNet", views=3) == Recipe("MobileNet", views=8)


def test_whole_numbers_may_be_numpys():
    whole = {
        **dict.fromkeys(("unfrozen_blocks", "synthetic_per_class", "batch_size", "epochs", "views"), 3),
        "image_size": 64,
    }
    python = Recipe("MobileNet", **whole, augment=Augment("flip_crop"))
    numpy = dataclasses.replace(python, **{name: np.int64(value) for name, value in whole.items()})
    assert numpy == python
    assert numpy.digest == python.digest
    assert all(type(numpy.to_dict()[name]) is int for name in whole)


def test_numbers_that_mean_the_same_give_one_digest():
    one = Recipe("MobileNet", dropout=0, learning_rate=1, weight_decay=np.float64(2))
    assert one.digest == Recipe("MobileNet", dropout=0.0, learning_rate=1.0, weight_decay=2.0).digest


@settings(deadline=None)
@given(recipes())
def test_a_recipe_comes_back_from_json(recipe):
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert again.digest == recipe.digest


@settings(deadline=None)
@given(recipes(), recipes())
def test_digests_are_equal_just_where_recipes_are(one, other):
    assert (one.digest == other.digest) == (one == other)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "MobileNet_0.25"},
        {"unfrozen_blocks": 1},
        {"dropout": 0.21},
        {"augment": Augment("color", 0.6)},
        {"augment": Augment("randaugment", 0.5)},
        {"class_weight": "balanced"},
        {"class_weight": EffectiveNumber(0.9)},
        {"class_weight": {"cat": 2}},
        {"synthetic_per_class": 1},
        {"synthetic_per_class": 1.0},
        {"synthetic_per_class": {"cat": 1}},
        {"learning_rate": 1.0000001e-3},
        {"weight_decay": 0.0},
        {"batch_size": 33},
        {"epochs": 16},
        {"views": 9},
        {"image_size": 64},
        {"loss": "focal"},
        {"loss": Focal(1)},
        {"label_smoothing": 0.1},
        {"sampling": Sampling("exactly", 120)},
        {"sampling": Sampling("exactly", 121)},
        {"sampling": "undersample"},
        {"logit_adjustment": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_gives_another_digest(change):
    recipe = Recipe("MobileNet", augment=Augment("color", 0.5))
    assert dataclasses.replace(recipe, **change).digest != recipe.digest


@pytest.mark.parametrize(
    ("recipe", "summary"),
    [
        (Recipe("SmallCNN", None), "SmallCNN, all blocks, dropout 0.2, no augmentation, lr 0.001"),
        (
            Recipe("MobileNet", 0, 0.4, Augment("color", 0.3), "balanced", 8, 3e-4),
            "MobileNet, head only, dropout 0.4, color 0.3, balanced weights, +8 synthetic, lr 0.0003",
        ),
        (
            Recipe("SmallCNN", None, synthetic_per_class=1.5),
            "SmallCNN, all blocks, dropout 0.2, no augmentation, +1.5× synthetic, lr 0.001",
        ),
        (
            Recipe("SmallCNN", None, synthetic_per_class={"rare": 0.5, "a": 480, "none": 0}),
            "SmallCNN, all blocks, dropout 0.2, no augmentation, +synthetic a: 480; rare: 0.5×, lr 0.001",
        ),
        (
            Recipe("SmallCNN", None, synthetic_per_class=dict.fromkeys("abcde", 1)),
            "SmallCNN, all blocks, dropout 0.2, no augmentation, +synthetic a: 1; b: 1; c: 1; 2 more classes, lr 0.001",
        ),
        (
            Recipe("SmallCNN", None, class_weight=dict.fromkeys("abcd", 2)),
            "SmallCNN, all blocks, dropout 0.2, no augmentation, weights a: 2; b: 2; c: 2; 1 more class, lr 0.001",
        ),
        (
            Recipe("MobileNet", 2, augment=Augment("flip_crop")),
            "MobileNet, 2 blocks, dropout 0.2, flip_crop, lr 0.001",
        ),
    ],
)
def test_the_summary_says_what_matters(recipe, summary):
    assert recipe.summary() == summary


def test_head_only_and_settled():
    assert Recipe("MobileNet", 0).head_only
    assert not Recipe("MobileNet", 1).head_only
    assert Recipe("MobileNet", None, image_size=64).settled == (64, 5)


@pytest.mark.parametrize(
    ("backbone", "size", "way_out"),
    [
        ("InceptionV3", 74, "a side of 75 px or more. Give the recipe image_size=75"),
        ("Xception", 32, "a side of 71 px or more. Give the recipe image_size=71"),
        ("NASNetMobile", 100, "of 32 px or more that is a multiple of 32. Give the recipe image_size=96"),
        ("NASNetLarge", 33, "Give the recipe image_size=32"),
    ],
)
def test_sizes_that_a_backbone_does_not_take_are_refused(backbone, size, way_out):
    with pytest.raises(UserError, match=re.escape(way_out)):
        Recipe(backbone, image_size=size)
    sizes = {candidate for candidate in range(32, 256) if BACKBONES[backbone].takes(candidate)}
    assert BACKBONES[backbone].nearest_size(size) in sizes
    assert Recipe(backbone).image_size is None
    for name, recipe in baselines([BACKBONES[backbone]], size).items():
        assert recipe.image_size in sizes, name


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", BACKBONES)
def test_activations_can_be_kept_where_a_block_is_frozen_whatever_the_policy(name, policy):
    backbone = BACKBONES[name]
    depths = [*range(backbone.blocks + 1), None] if backbone.pretrained else [None, backbone.blocks]
    recipes = [
        Recipe(name, unfrozen_blocks=depth, augment=Augment(policy, **OPTIONS.get(policy, {}))) for depth in depths
    ]
    frozen = [backbone.has_frozen_part(recipe.unfrozen_blocks) for recipe in recipes]
    assert frozen == [depth not in {None, backbone.blocks} for depth in depths]
