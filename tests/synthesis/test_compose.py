"""Compositions: what is cut out, whose colours an image gets, how it is bent, and what is in a composition."""

import cv2
import numpy as np
import pytest
from kit.materials import material, request

from search.synthesis.editing import bent, blended, foreground, one_thread, pasted, patches, recoloured
from search.synthesis.methods.table import METHODS

pytestmark = pytest.mark.quick

SIDE = 64


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def noise(rng, low=0, high=256):
    return rng.integers(low, high, (SIDE, SIDE, 3)).astype(np.uint8)


def test_a_foreground_is_what_differs_from_the_border(rng):
    image = noise(rng, 100, 130)
    image[20:44, 24:48] = noise(rng, 200, 230)[:24, :24]
    with one_thread():
        mask = foreground(image)
    assert mask[24:40, 28:44].min() > 0.95
    mask[18:46, 22:50] = 0
    assert mask.max() == 0


@pytest.mark.parametrize("image", [np.full((SIDE, SIDE, 3), 90, np.uint8), noise(np.random.default_rng(0))])
def test_where_no_foreground_is_found_it_is_a_disc_that_fades_out(image):
    with one_thread():
        mask = foreground(image)
    assert mask[SIDE // 2, SIDE // 2] > 0.95
    assert mask[0].max() < 0.05
    assert np.abs(np.diff(mask[SIDE // 2])).max() < 0.1


def test_a_foreground_is_pasted_where_it_is_moved_to(rng):
    image, background = np.full((SIDE, SIDE, 3), 250, np.uint8), noise(rng, 0, 50)
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[16:32, 16:32] = 1
    moved = pasted(image, mask, background, 1.0, 0.0, (8.0, 20.0))
    assert (moved[36:52, 24:40] == 250).all()
    moved[36:52, 24:40] = background[36:52, 24:40]
    np.testing.assert_array_equal(moved, background)


def test_patches_cover_the_share_that_is_wanted(rng):
    for share in (0.0, 0.2, 0.5):
        assert np.mean([patches(SIDE, share, rng).mean() for _ in range(20)]) == pytest.approx(share, abs=0.06)


def test_a_blend_lies_between_both(rng):
    one, other = noise(rng), noise(rng)
    np.testing.assert_array_equal(blended(one, other, 0.0), one)
    np.testing.assert_array_equal(blended(one, other, np.ones((SIDE, SIDE))), other)
    assert np.abs(blended(one, other, 0.5) - (one / 2 + other / 2)).max() <= 0.5


def test_colours_become_those_of_the_model(rng):
    image, model = noise(rng, 60, 120), noise(rng, 100, 160) // np.array([1, 1, 2], np.uint8)

    def colours(pixels):
        lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        return np.concatenate([lab.mean((0, 1)), lab.std((0, 1))])

    np.testing.assert_allclose(colours(recoloured(image, model, 1.0)), colours(model), atol=0.5)
    assert np.abs(recoloured(image, model, 0.0).astype(int) - image).max() <= 1


def test_bending_moves_pixels_as_far_as_it_is_told(rng):
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.uint8)
    grid = np.stack([x * 2, y * 2, x], -1)
    np.testing.assert_array_equal(bent(grid, 0.0, 0.0, rng), grid)
    distances = [np.abs(bent(grid, 0.05, 0.0, rng)[8:-8, 8:-8] / 2 - grid[8:-8, 8:-8] / 2)[..., :2] for _ in range(20)]
    assert 0.5 < np.max(distances) <= 0.05 * SIDE * 1.5 + 0.5
    waves = bent(grid, 0.0, 0.1, rng)[16:-16, 16:-16] / 2 - grid[16:-16, 16:-16] / 2
    assert waves[..., :2].std() == pytest.approx(0.05 * SIDE, rel=0.6)


def test_compositions_do_not_depend_on_the_threads_of_opencv(tmp_path):
    threads, images = cv2.getNumThreads(), []
    try:
        for number in (1, 3):
            cv2.setNumThreads(number)
            made = METHODS["compose"].make(material(), request(tmp_path, {0: 8}))
            images.append([picture.pixels.tobytes() for picture in made])
            assert cv2.getNumThreads() == number
    finally:
        cv2.setNumThreads(threads)
    assert images[0] == images[1]


def test_compositions_have_one_to_three_sources_and_strength_bends_them(tmp_path):
    def sources(strength):
        made = METHODS["compose"].make(material(), request(tmp_path, {0: 20, 1: 20}, strength=strength))
        return [picture.sources for picture in made]

    assert {len(one) for one in sources(0.5)} == {1, 2, 3}
    assert sources(0.5) == sources(1.0)
