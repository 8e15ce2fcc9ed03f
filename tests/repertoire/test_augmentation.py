"""Views: fixed versions of an image, drawn from what they are of."""

import numpy as np
import pytest

from search.repertoire.augmentation import OPERATIONS, POLICIES, Augment, batches_of

pytestmark = pytest.mark.quick

CONTENTS = ["a", "b", "c"]


def augmented(pixels, contents, augment, view, seed):
    return np.concatenate(list(batches_of(pixels, contents, augment, view, seed, np.arange(len(pixels)), 2)))


@pytest.fixture
def pixels():
    ramp = np.linspace(0, 255, 48 * 48).reshape(48, 48)
    image = np.stack([ramp, ramp.T, ramp[::-1]], axis=-1).astype(np.uint8)
    return np.stack([image, 255 - image, image.transpose(1, 0, 2)])


@pytest.mark.parametrize("name", POLICIES)
def test_a_row_is_whole(name, pixels):
    from PIL import Image

    policy = POLICIES[name]
    assert policy.name == name
    assert Augment(name).strength == (0.5 if policy.takes_strength else None)
    assert Augment(name).level == (f"{name} 0.5" if policy.takes_strength else name)
    assert Augment(name).words.startswith(policy.words)
    image = Image.fromarray(pixels[0])
    for strength in (1e-6, 1.0) if policy.takes_strength else (0.0,):
        for seed in range(8 if policy.draw else 0):
            view = policy.draw(image, strength, np.random.default_rng(seed))
            assert (view.size, view.mode) == (image.size, "RGB")
            again = policy.draw(image, strength, np.random.default_rng(seed))
            assert view.tobytes() == again.tobytes()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_view_is_the_same_whenever_and_beside_whatever_it_is_drawn(policy, pixels):
    augment = Augment(policy)
    whole = augmented(pixels, CONTENTS, augment, 2, 7)
    assert whole.shape == pixels.shape
    assert whole.dtype == np.uint8
    for row in reversed(range(3)):
        np.testing.assert_array_equal(
            augmented(pixels[row : row + 1], CONTENTS[row : row + 1], augment, 2, 7)[0], whole[row]
        )


CROPPING = {"flip_crop", "color", "randaugment"}  # others may have but a few versions of an image


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "none"])
def test_views_images_and_seeds_differ(policy, pixels):
    augment = Augment(policy)
    same = np.stack([pixels[0]] * 3)
    drawn = [augmented(same, CONTENTS, augment, view, seed) for view in range(4) for seed in (1, 2)]
    flat = {image.tobytes() for views in drawn for image in views}
    assert len(flat) > (20 if policy in CROPPING else 1)


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
    from PIL import Image

    image = Image.fromarray(pixels[0])
    for strength in (-1.0, -0.3, 0.3, 1.0):
        changed = OPERATIONS[number](image, strength)
        assert (changed.size, changed.mode) == (image.size, "RGB")
