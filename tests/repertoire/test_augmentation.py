"""Views: fixed versions of an image, drawn from what they are of."""

import json
import re

import numpy as np
import pytest
from kit.rows import OPTIONS
from PIL import Image

from search.repertoire.augmentation import AS_IS, MIRRORED, OPERATIONS, POLICIES, Augment, batches_of
from search.repertoire.augmentation.crops import WIDE
from search.repertoire.recipe import Recipe
from search.system.errors import UserError

pytestmark = pytest.mark.quick

CONTENTS = ["a", "b", "c"]
DRAWN = [name for name, policy in POLICIES.items() if not policy.prepare]  # the others load TensorFlow


def made(policy, strength=None):
    return Augment(policy, strength, **OPTIONS.get(policy, {}))


def augmented(pixels, contents, augment, view, seed):
    return np.concatenate(list(batches_of(pixels, contents, augment, view, seed, np.arange(len(pixels)), 2)))


@pytest.fixture
def pixels():
    ramp = np.linspace(0, 255, 48 * 48).reshape(48, 48)
    image = np.stack([ramp, ramp.T, ramp[::-1]], axis=-1).astype(np.uint8)
    return np.stack([image, 255 - image, image.transpose(1, 0, 2)])


@pytest.mark.parametrize("name", POLICIES)
def test_a_row_is_whole(name):
    policy, augment = POLICIES[name], made(name)
    assert policy.name == name
    assert augment.strength == (0.5 if policy.takes_strength else None)
    assert augment.level.startswith(name)
    assert augment.words.startswith(policy.words)
    assert augment.level.endswith(" 0.5") == policy.takes_strength
    assert set(policy.needs) <= set(policy.options)
    assert Augment(**json.loads(json.dumps(augment.to_json()))) == augment
    assert not (policy.draw and policy.versions)


@pytest.mark.parametrize("name", DRAWN)
def test_a_draw_keeps_size_and_mode_and_follows_from_its_generator(name, pixels):
    policy, image = POLICIES[name], Image.fromarray(pixels[0])
    for version in policy.versions:
        assert (version(image).size, version(image).mode) == (image.size, "RGB")
    for strength in (1e-6, 1.0) if policy.takes_strength else (0.0,):
        for seed in range(8 if policy.draw else 0):
            view, again = (
                policy.draw(image, strength, np.random.default_rng(seed), **made(name).settings) for _ in range(2)
            )
            assert (view.size, view.mode) == (image.size, "RGB")
            assert view.tobytes() == again.tobytes()


@pytest.mark.parametrize("policy", DRAWN)
def test_a_view_is_the_same_whenever_and_beside_whatever_it_is_drawn(policy, pixels):
    augment = made(policy)
    whole = augmented(pixels, CONTENTS, augment, 2, 7)
    assert whole.shape == pixels.shape
    assert whole.dtype == np.uint8
    for row in reversed(range(3)):
        np.testing.assert_array_equal(
            augmented(pixels[row : row + 1], CONTENTS[row : row + 1], augment, 2, 7)[0], whole[row]
        )


@pytest.mark.parametrize("policy", [policy for policy in DRAWN if policy != "none"])
def test_views_images_and_seeds_differ(policy, pixels):
    augment = made(policy)
    same = np.stack([pixels[0]] * 3)
    drawn = [augmented(same, CONTENTS, augment, view, seed) for view in range(4) for seed in (1, 2)]
    flat = {image.tobytes() for views in drawn for image in views}
    assert len(flat) > (len(POLICIES[policy].versions) - 1 or 20)


def test_no_augmentation_is_the_image_itself(pixels):
    np.testing.assert_array_equal(augmented(pixels, CONTENTS, Augment("none"), 3, 7), pixels)


@pytest.mark.parametrize("policy", [policy.name for policy in POLICIES.values() if policy.takes_strength])
def test_strength_decides_how_far_a_view_goes(policy, pixels):
    many = np.concatenate([pixels] * 20)
    names = [str(row) for row in range(len(many))]

    def change(strength):
        views = augmented(many, names, Augment(policy, strength), 0, 7)
        plain = augmented(many, names, Augment(policy, 1e-6), 0, 7)
        return np.abs(views.astype(int) - plain).mean()

    assert change(0.2) < change(0.9)


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_operations_keep_size_and_mode_at_every_strength(number, pixels):
    image = Image.fromarray(pixels[0])
    for strength in (-1.0, -0.3, 0.3, 1.0):
        for operations in (OPERATIONS, WIDE):
            changed = operations[number](image, strength)
            assert (changed.size, changed.mode) == (image.size, "RGB")


def test_the_mirror_image_is_a_view_without_augmentation(pixels):
    np.testing.assert_array_equal(augmented(pixels, CONTENTS, Augment(), MIRRORED, 7), pixels[:, :, ::-1])
    np.testing.assert_array_equal(augmented(pixels, CONTENTS, Augment(), AS_IS, 7), pixels)


@pytest.mark.parametrize(("policy", "versions"), [("flip", 2), ("flip_rotate", 8)])
def test_flips_show_every_version_once_in_as_many_views_and_change_no_pixel(policy, versions, pixels):
    same = np.stack([pixels[0]] * 40)
    contents = [str(number) for number in range(40)]
    views = [augmented(same, contents, Augment(policy), view, 7) for view in range(versions)]
    for number in range(40):
        shown = {view[number].tobytes() for view in views}
        assert len(shown) == versions
        assert pixels[0].tobytes() in shown
        assert pixels[0][:, ::-1].tobytes() in shown
    firsts = [image.tobytes() for image in views[0]]
    assert all(firsts.count(image) < 2 * 40 / versions + 5 for image in set(firsts))  # images begin differently
    assert len(set(firsts)) == versions
    np.testing.assert_array_equal(views[1], augmented(same, contents, Augment(policy), versions + 1, 7))


def test_a_recipe_shows_no_more_views_than_there_are_versions():
    assert [Recipe("MobileNet", augment=Augment(policy)).views for policy in ("flip", "flip_rotate", "color")] == [
        2,
        8,
        8,
    ]
    assert Recipe("MobileNet", augment=Augment("flip"), views=1).views == 1


def changed_part(before, after):
    return (before != after).any(axis=-1).mean()


def test_random_erasing_makes_noise_of_a_rectangle_in_half_of_the_images(pixels, monkeypatch):
    crops = "search.repertoire.augmentation.crops"
    monkeypatch.setattr(f"{crops}.flip_crop", lambda image, *_: image)
    draw, image = POLICIES["random_erasing"].draw, Image.fromarray(pixels[0])
    views = [np.asarray(draw(image, 0.0, np.random.default_rng(seed))) for seed in range(200)]
    parts = np.array([changed_part(pixels[0], view) for view in views])
    assert 0.35 < (parts > 0).mean() < 0.65
    assert 0.01 < parts[parts > 0].min() < 0.08
    assert 0.3 < parts.max() < 0.41
    rows, columns = np.nonzero((views[int(parts.argmax())] != pixels[0]).any(axis=-1))
    assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) * 0.95 < len(rows)


def test_trivialaugment_takes_each_operation_and_none_at_any_strength(pixels, monkeypatch):
    crops, taken = "search.repertoire.augmentation.crops", []
    monkeypatch.setattr(f"{crops}.flip_crop", lambda image, *_: image)
    noting = [lambda image, s, number=number: taken.append((number, s)) or image for number in range(len(WIDE))]
    monkeypatch.setattr(f"{crops}.WIDE", noting)
    for seed in range(600):
        POLICIES["trivialaugment"].draw(Image.fromarray(pixels[0]), 0.0, np.random.default_rng(seed))
    numbers, strengths = map(np.array, zip(*taken, strict=True))
    assert set(numbers) == set(range(len(WIDE)))
    assert 600 * 0.03 < 600 - len(taken) < 600 * 0.12
    assert {round(strength * 30, 6) for strength in strengths} == set(range(-30, 31))


GEOMETRIC = ("rotation", "shift", "shear", "zoom")


@pytest.mark.parametrize("alone", GEOMETRIC)
def test_each_range_of_geometric_moves_and_the_others_at_0_do_not(alone, pixels):
    off = dict.fromkeys(GEOMETRIC, 0)
    np.testing.assert_array_equal(augmented(pixels, CONTENTS, Augment("geometric", **off), 0, 7), pixels)
    moved = augmented(
        pixels, CONTENTS, Augment("geometric", **{**off, alone: 0.3 if alone in {"shift", "zoom"} else 30}), 0, 7
    )
    assert changed_part(pixels, moved) > 0.3


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        ("generator", {}, "Augment('generator') changes nothing yet. Give it rotation_range or width_shift_range or"),
        ("generator", {"cval": 3}, "Augment('generator') changes nothing yet."),
        ("generator", {"rotation_rang": 3}, "has no field 'rotation_rang'. Did you mean 'rotation_range'?"),
        ("generator", {"rescale": 1 / 255}, "has no field 'rescale'. Each backbone scales its pixels"),
        ("generator", {"rotation_range": -1}, "Augment rotation_range=-1 must be a number, 0 or more and at most 360."),
        ("generator", {"zoom_range": (1.2, 0.8)}, "Augment zoom_range=(1.2, 0.8) has its highest number first."),
        ("generator", {"zoom_range": 1.0}, "Augment zoom_range=1.0 must be a number, 0 or more and at most 0.95."),
        ("generator", {"brightness_range": 0.2}, "Augment brightness_range=0.2 must be two numbers"),
        ("generator", {"horizontal_flip": 1}, "Augment horizontal_flip=1 must be True or False."),
        ("generator", {"width_shift_range": []}, "Augment width_shift_range=[] has no shifts."),
        ("generator", {"rotation_range": 3, "fill_mode": "mirror"}, "Augment fill_mode='mirror' is not known."),
        (
            "flip_crop",
            {"shear": 3},
            "has no field 'shear'. It is an option of 'geometric'. Leave it out; in a space, put",
        ),
        ("color", {"shears": 3}, "has no field 'shears'. It takes a strength and no options."),
        ("layer", {}, "Augment('layer') changes nothing yet. Give it make."),
        ("layer", {"make": "my_layers"}, "Augment make='my_layers' must be 'module:function', as in"),
    ],
)
def test_a_wrong_option_is_refused_with_the_way_out(policy, options, message):
    with pytest.raises(UserError, match=re.escape(message)):
        Augment(policy, **options)


def test_too_many_values_without_a_name_are_refused():
    with pytest.raises(UserError, match=re.escape("Augment(…) has 3 values without a name, and takes 2 at most.")):
        Augment("geometric", None, 30)


def test_options_that_have_their_default_or_none_change_nothing():
    assert Augment("geometric", rotation=15, shear=None) == Augment("geometric")
    assert Augment("none", rotation_range=None) == Augment()
    assert Augment("generator", rotation_range=0, horizontal_flip=False, cval=3) == Augment()
    assert Augment("geometric").to_json() == {"policy": "geometric", "strength": None}
    assert Augment("geometric", shear=0).level == "geometric shear 0"
    assert (
        Augment("generator", zoom_range=[0.8, 1.2], horizontal_flip=True, width_shift_range=2).level
        == "generator width_shift_range 2 px, zoom_range (0.8, 1.2), horizontal_flip"
    )


def test_each_option_has_draws_of_its_own(pixels):
    one, other = (augmented(pixels, CONTENTS, Augment("geometric", shear=shear), 0, 7) for shear in (0, 1e-9))
    assert not np.array_equal(one, other)
