"""Interpolations: how images are brought over each other, which neighbours are taken, and which blend is kept."""

import dataclasses

import numpy as np
import pytest
from kit.materials import features_of, material, request

from search.synthesis.editing import aligned, morphed
from search.synthesis.methods.interpolate import NEIGHBOURS
from search.synthesis.methods.table import METHODS

pytestmark = pytest.mark.quick

SIDE = 64


def square(left, top, side):
    """Return an image with a white square on black, and the mask of this."""
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[top : top + side, left : left + side] = 1
    return np.repeat((mask * 255).astype(np.uint8)[..., None], 3, -1), mask


def test_foregrounds_are_brought_over_each_other():
    image, mask = square(30, 10, 20)
    other, others_mask = square(4, 40, 14)
    over = aligned(image, mask, other, others_mask)
    assert over[mask == 1].mean() > 240
    assert over[8:32, 28:52][mask[8:32, 28:52] == 0].mean() < 60
    assert other[mask == 1].mean() < 20


def test_a_morph_lies_on_the_way_between_both():
    soft = np.exp(-((np.mgrid[:SIDE, :SIDE] - 32) ** 2).sum(0) / 200)

    def spot(shift):
        return np.repeat((np.roll(soft, shift, 1) * 255).astype(np.uint8)[..., None], 3, -1)

    for share, middle in ((0.0, 0), (0.5, 3), (1.0, 6)):
        for one in morphed(spot(0), spot(6), share):
            x = np.average(np.arange(SIDE), weights=one[..., 0].sum(0, dtype=float)) - 32
            assert x == pytest.approx(middle, abs=0.8)


def test_the_partners_are_neighbours_of_the_class(tmp_path):
    given = material(images=30)
    features, pictures = given.features(), list(METHODS["interpolate"].make(given, request(tmp_path, {0: 30, 1: 30})))
    assert {len(picture.sources) for picture in pictures} == {2, 3}
    for picture in pictures:
        row, *partners = picture.sources
        near = [other for other in np.argsort(-features @ features[row]) if other in given.members(picture.label)]
        assert set(partners) <= set(near[1 : NEIGHBOURS + 1])


def test_the_blend_is_kept_whose_features_lie_between_those_of_its_sources(tmp_path):
    candidates = []

    def remembered(pixels):
        candidates.append(pixels)
        return features_of(pixels)

    given = dataclasses.replace(material(), features_of=remembered)
    features = given.features()
    for picture, blends in zip(
        METHODS["interpolate"].make(given, request(tmp_path, {0: 6}, strength=1.0)), candidates, strict=True
    ):
        row, *partners = picture.sources
        middle = features[row] + features[partners].mean(axis=0)
        near = features_of(blends) @ middle
        kept = next(number for number, blend in enumerate(blends) if (blend == picture.pixels).all())
        assert len({blend.tobytes() for blend in blends}) > 5
        assert near[kept] > np.median(near)
        assert near[kept] > features[row] @ middle
