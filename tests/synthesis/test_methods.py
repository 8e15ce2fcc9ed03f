"""The contract of every method: what it gives, from what it is given, and that numbers of images are nested."""

import numpy as np
import pytest

from search.synthesis.methods.method import Material, Request
from search.synthesis.methods.table import METHODS

SIDE = 48


def material(images=8, chosen=None):
    """Return images of two classes: squares of random colours on noise."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, SIDE, SIDE, 3)).astype(np.uint8)
    for image in pixels:
        image[12:36, 12:36] = rng.integers(0, 256, 3)
    return Material(
        pixels,
        [f"{n:064x}" for n in range(images)],
        np.arange(images) % 2,
        ("cat", "dog"),
        np.ones(images, bool) if chosen is None else np.isin(np.arange(images), chosen),
        lambda: features_of(pixels),
        features_of,
    )


def features_of(pixels):
    """Return the means of parts of images, each row of length 1."""
    parts = pixels.reshape(len(pixels), 4, SIDE // 4, 4, SIDE // 4, 3).mean((2, 4)).reshape(len(pixels), -1) - 127
    return parts / np.linalg.norm(parts, axis=1, keepdims=True)


def request(folder, numbers, **changes):
    return Request(**{"numbers": numbers, "strength": 0.5, "seed": 7, "part": "f0", "folder": folder, **changes})


NOT_FITTED = [pytest.param(method, id=name) for name, method in METHODS.items() if not method.fitted]


@pytest.mark.parametrize("method", NOT_FITTED)
def test_a_method_gives_as_many_of_each_class_as_are_wanted_with_sources_of_that_class(method, tmp_path):
    given = material()
    pictures = list(method.make(given, request(tmp_path, {0: 5, 1: 3})))
    assert [picture.label for picture in pictures] == [0] * 5 + [1] * 3
    for picture in pictures:
        assert picture.pixels.shape == (SIDE, SIDE, 3)
        assert picture.pixels.dtype == np.uint8
        assert 1 <= len(picture.sources) <= 3
        assert given.labels[picture.sources[0]] == picture.label


@pytest.mark.parametrize("method", NOT_FITTED)
def test_more_images_hold_fewer_ones_and_going_on_gives_the_rest(method, tmp_path):
    def pictures(numbers, **changes):
        made = method.make(material(), request(tmp_path, numbers, **changes))
        return [(picture.pixels.tobytes(), picture.sources) for picture in made]

    five = pictures({0: 5})
    assert pictures({0: 3}) == five[:3]
    assert pictures({0: 2}, first={0: 3}) == five[3:]
    assert pictures({0: 5}, seed=8) != five


@pytest.mark.parametrize("method", NOT_FITTED)
def test_the_first_source_is_a_chosen_image(method, tmp_path):
    pictures = list(method.make(material(chosen=[2, 3]), request(tmp_path, {0: 4, 1: 4})))
    assert {picture.sources[0] for picture in pictures} == {2, 3}


@pytest.mark.parametrize("method", NOT_FITTED)
def test_images_differ_from_their_sources_and_from_each_other(method, tmp_path):
    given = material()
    pictures = list(method.make(given, request(tmp_path, {0: 6})))
    assert len({picture.pixels.tobytes() for picture in pictures}) == 6
    assert not {picture.pixels.tobytes() for picture in pictures} & {image.tobytes() for image in given.pixels}
