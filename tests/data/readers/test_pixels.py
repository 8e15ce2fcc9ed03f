"""Arrays of any layout and range become the image that they mean, or are refused."""

import numpy as np
import pytest
from kit.unpacking import GREY, RNG, X, Y, pixels, same

from search.data.images import read_image
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
        GREY.astype(np.uint16) << 8 | 7,
        GREY.astype(np.float32) / 255,
        GREY.astype(np.float64) + 0.3 * (GREY < 255),
        GREY.astype(np.float16),
    ],
    ids=["int", "big-endian", "small uint16", "uint16", "unit", "float", "half"],
)
def test_all_ranges_of_numbers_mean_the_same_image(saved, numbers):
    assert same(saved(x=numbers, y=Y), GREY)


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
