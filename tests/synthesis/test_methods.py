"""The contract of every method: what it gives, from what it is given, and that numbers of images are nested."""

import dataclasses
import itertools

import numpy as np
import pytest
from kit.materials import SIDE, material, request

from search.synthesis.methods.table import METHODS

NOT_FITTED = [  # what needs an extra has a test of its own
    pytest.param(method, id=name) for name, method in METHODS.items() if not (method.fitted or method.extra)
]


@pytest.mark.parametrize("method", NOT_FITTED)
def test_a_method_gives_as_many_of_each_class_as_are_wanted_with_sources_of_that_class(method, tmp_path):
    given = material()
    pictures = list(method.make(given, request(tmp_path, {0: 5, 1: 3})))
    assert [picture.label for picture in pictures] == [0] * 5 + [1] * 3
    for picture in pictures:
        assert picture.pixels.shape == (SIDE, SIDE, 3)
        assert picture.pixels.dtype == np.uint8
        assert 1 <= len(picture.sources) <= 3
        assert set(given.labels[list(picture.sources)]) == {picture.label}
        assert len(set(picture.sources)) == len(picture.sources)


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
def test_no_image_but_the_sources_shows_in_a_picture(method, tmp_path):
    given, wanted = material(), request(tmp_path, {0: 6, 1: 2})
    pictures = list(method.make(given, wanted))
    assert any(len(picture.sources) < len(given.members(picture.label)) for picture in pictures)
    for number, picture in enumerate(pictures):
        pixels = np.zeros_like(given.pixels)
        pixels[list(picture.sources)] = given.pixels[list(picture.sources)]
        (same,) = itertools.islice(method.make(dataclasses.replace(given, pixels=pixels), wanted), number, number + 1)
        assert same.sources == picture.sources
        np.testing.assert_array_equal(same.pixels, picture.pixels)


@pytest.mark.parametrize("method", NOT_FITTED)
def test_an_image_that_is_alone_in_its_class_is_enough(method, tmp_path):
    (picture,) = method.make(material(images=3), request(tmp_path, {1: 1}))
    assert picture.sources == (1,)


@pytest.mark.parametrize("method", NOT_FITTED)
@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_a_method_bears_the_ends_of_the_scale_of_strengths(method, strength, tmp_path):
    assert len(list(method.make(material(), request(tmp_path, {0: 4}, strength=strength)))) == 4


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
