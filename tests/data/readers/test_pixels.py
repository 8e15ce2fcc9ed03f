"""Arrays of any layout and range become the image that they mean, or are refused."""

import numpy as np
import pytest
from kit.unpacking import GREY, RNG, X, Y, pixels, same
from PIL import Image

from search.data.decoding import extent_of, read_image
from search.data.depth import Ranges, kind_of, values_of
from search.data.readers.dispatch import read_dataset
from search.system.errors import UserError

pytestmark = pytest.mark.quick


def test_all_layouts_of_images(saved):
    assert same(saved(x=GREY, y=Y), GREY)
    assert same(saved(x=GREY[..., None], y=Y), GREY)
    assert same(saved(x=GREY[:, None], y=Y), GREY)
    assert same(saved(x=X.transpose(0, 3, 1, 2), y=Y), X)
    assert same(saved(x=np.asfortranarray(X), y=Y), X)


@pytest.mark.parametrize("shape", [(6,), (6, 5), (6, 5, 4, 2), (6, 4, 5, 5), (6, 3, 5, 3), (6, 0, 5), (0, 5, 5), ()])
def test_other_shapes_are_refused(saved, shape):
    with pytest.raises(UserError, match="reshape the array"):
        saved(x=np.zeros(shape, np.uint8), y=Y[: shape[0] if shape else 0])


def test_a_flat_row_is_not_taken_for_a_picture_unless_in_a_cifar_batch(saved):
    flat = RNG.integers(0, 256, (6, 3072), dtype=np.uint8)
    with pytest.raises(UserError, match="reshape the array"):
        saved(x=flat, y=Y)
    batch = {b"data": flat, b"labels": Y.tolist(), b"batch_label": b"one", b"filenames": []}
    assert same(saved(batch), flat.reshape(6, 3, 32, 32).transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    "numbers",
    [
        GREY.astype(np.int64),
        GREY.astype(">i2"),
        GREY.astype(np.uint16),
        GREY.astype(np.float32) / 255,
        GREY.astype(np.float64) + 0.3 * (GREY < 255),
        GREY.astype(np.float16),
    ],
    ids=["int", "big-endian", "small uint16", "unit", "float", "half"],
)
def test_all_ranges_of_numbers_mean_the_same_image(saved, numbers):
    assert same(saved(x=numbers, y=Y), GREY)


def shown(path, ranges):
    with Image.open(path) as image:
        kind = kind_of(image)
        return ranges.eight_bits(values_of(image, kind, path.read_bytes()), kind)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_numbers_of_16_bits_stay_so_that_all_files_share_a_range(saved, bits):
    numbers = GREY.astype(np.uint16) << bits - 8
    rows, folder = saved(x=numbers, y=Y)
    assert (folder / rows[2]["image"]).read_bytes() == b"P5\n7 5\n65535\n" + numbers[2].astype(">u2").tobytes()
    paths = [folder / row["image"] for row in rows]
    extents = [extent_of(path.read_bytes()) for path in paths]
    assert [(extent.low, extent.high) for extent in extents] == [(image.min(), image.max()) for image in numbers]
    ranges = Ranges().of(extents)
    assert ranges.tops == {"16-bit grey": 2**bits - 1}
    assert all(np.array_equal(shown(path, ranges), grey) for path, grey in zip(paths, GREY, strict=True))


def test_colour_of_16_bits_stays_so(saved):
    rows, folder = saved(x=X.astype(np.uint16) << 4, y=Y)
    paths = [folder / row["image"] for row in rows]
    assert paths[0].suffix == ".ppm"
    ranges = Ranges().of([extent_of(path.read_bytes()) for path in paths])
    assert ranges.tops == {"16-bit colour": 4095}
    assert all(np.array_equal(shown(path, ranges), image) for path, image in zip(paths, X, strict=True))


def test_numbers_of_16_bits_with_alpha_become_8(saved):
    opaque = np.full((*GREY.shape, 1), 4095, np.uint16)
    numbers = np.concatenate([X.astype(np.uint16) << 4, opaque], axis=3)
    assert same(saved(x=numbers, y=Y), X)


def test_searches_of_earlier_versions_see_the_upper_byte(tmp_path):
    np.savez(tmp_path / "old.npz", x=GREY.astype(np.uint16) << 4, y=Y)
    for deep, seen_as in ((False, GREY >> 4), (True, GREY.astype(np.uint16) << 4)):
        dataset = read_dataset(tmp_path / "old.npz", tmp_path / "cache", deep=deep)
        found = {path.name: np.asarray(Image.open(path)) for path in dataset.paths}
        assert all(np.array_equal(found[f"{row:05d}.pgm"], image) for row, image in enumerate(seen_as))


def test_booleans_are_black_and_white(saved):
    assert same(saved(x=GREY > 99, y=Y), np.where(GREY > 99, 255, 0))


def test_one_range_holds_for_all_splits(saved):
    """Else a dark test set would be lit up."""
    train, dark = GREY.astype(np.float32), np.full((6, 5, 7), 1, np.float32)
    assert same(saved(x_train=train, y_train=Y, x_test=dark, y_test=Y), [*GREY, *dark])
    assert same(saved(x_train=dark, y_train=Y, x_test=train, y_test=Y), [*dark, *GREY])


@pytest.mark.parametrize(
    ("number", "found"),
    [(np.nan, "NaN"), (-0.5, "from -0.5 to 1"), (np.inf, "to inf"), (255.5, "to 255.5"), (-np.inf, "from -inf")],
)
def test_floats_outside_the_ranges_are_refused(saved, number, found):
    numbers = np.ones((6, 5, 4))
    numbers[3, 2, 1] = number
    with pytest.raises(UserError, match=found):
        saved(x=numbers, y=Y)


@pytest.mark.parametrize(
    "numbers", [GREY.astype(np.int16) - 1, GREY.astype(np.int32) + 1, GREY * 1j, GREY.astype("U3")]
)
def test_other_numbers_are_refused(saved, numbers):
    with pytest.raises(UserError):
        saved(x=numbers, y=Y)


def test_whole_numbers_of_more_than_8_bits_are_told_their_type(saved):
    with pytest.raises(UserError, match=r"from 0 to 4080\. .* save x\.astype\('uint16'\) if these are such"):
        saved(x=GREY.astype(np.int64) << 4, y=Y)


def test_transparency_is_laid_on_white(saved):
    clear = np.concatenate([X, np.tile(np.uint8([0, 255, 0, 255, 0, 255, 0]), (6, 5, 1))[..., None]], axis=3)
    found = pixels(*saved(x=clear, y=Y))
    assert all((image[:, ::2] == 255).all() for image in found)
    assert all(np.array_equal(image[:, 1::2], true[:, 1::2]) for image, true in zip(found, X, strict=True))


def test_the_bytes_of_an_image_are_its_header_and_its_pixels(saved):
    rows, folder = saved(x=X, y=Y)
    assert (folder / rows[2]["image"]).read_bytes() == b"P6\n7 5\n255\n" + X[2].tobytes()
    rows, folder = saved(x=GREY, y=Y)
    assert rows[2]["image"] == "2/00002.pgm"
    assert (folder / rows[2]["image"]).read_bytes() == b"P5\n7 5\n255\n" + GREY[2].tobytes()
    assert read_image(folder / rows[2]["image"], 8).shape == (8, 8, 3)
