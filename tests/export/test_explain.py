"""Maps of where a model looked: at the evidence, wherever it lies and whatever the model is made of."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from search.analysis.stats.confidence import AT_REST
from search.export.explain import GRAD_CAM, ROLLOUT, UnshownError, explainer, rollout
from search.export.plain import averaged, tempered_model, weighted
from search.repertoire.augmentation import AS_IS, MIRRORED
from search.system.machine import cores
from search.system.tf import keras
from search.training.trainer import set_up

set_up(cores())

SIDE, PATCH = 32, 8
QUADRANTS = [(0, 0), (0, 16), (16, 0), (16, 16)]
RED, GREEN = 0, 1


def spots(places, colour):
    """Return grey images, each with a spot of a colour in one quadrant and a spot of the other in the opposite one."""
    images = np.full((len(places), SIDE, SIDE, 3), 40, np.float32)
    for image, (top, left) in zip(images, places, strict=True):
        image[top + 4 : top + 12, left + 4 : left + 12] = np.eye(3)[colour] * 255
        image[20 - top : 28 - top, 20 - left : 28 - left] = np.eye(3)[1 - colour] * 255
    return images


def convolutional(logits=False, base=True):
    """Return a network whose class 0 is red and class 1 green: maps of surplus red and green, pooled."""
    pixels = keras.Input((SIDE, SIDE, 3))
    inner = keras.Input((SIDE, SIDE, 3))
    maps = keras.layers.Conv2D(8, 4, 4, activation="relu", name="maps")
    body = keras.Model(inner, maps(inner), name="body")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.GlobalAveragePooling2D()(body(x) if base else maps(x))
    x = keras.layers.Dense(2, activation=None if logits else "softmax", name="head")(x)
    model = keras.Model(pixels, keras.layers.Softmax()(x) if logits else x)
    kernel = np.zeros((4, 4, 3, 8), np.float32)
    kernel[..., :2, 0], kernel[..., :2, 1] = [1, -1], [-1, 1]
    maps.set_weights([kernel, np.zeros(8, np.float32)])
    weights = np.zeros((8, 2), np.float32)
    weights[:2] = [[1, -1], [-1, 1]]
    model.get_layer("head").set_weights([weights, np.zeros(2, np.float32)])
    return model


def quadrant_of(map_):
    top, left = np.unravel_index(map_.argmax(), map_.shape)
    return (16 * (top >= 16), 16 * (left >= 16))


MODELS = {
    "plain": convolutional,
    "logits": lambda: convolutional(logits=True),
    "unnested": lambda: convolutional(base=False),
    "two views": lambda: averaged(convolutional(), (AS_IS, MIRRORED)),
    "tempered": lambda: tempered_model(averaged(convolutional(), (AS_IS, MIRRORED)), 2 * AT_REST),
    "ensemble": lambda: weighted(
        [(convolutional(), [SIDE]), (averaged(convolutional(), (AS_IS,)), [SIDE])], [0.7, 0.3]
    ),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("colour", [RED, GREEN])
def test_the_map_is_highest_where_the_evidence_of_the_class_lies(kind, colour):
    made = explainer(MODELS[kind](), SIDE)
    assert made.method == GRAD_CAM
    maps = made.maps([spots(QUADRANTS, colour)], np.full(4, colour))
    assert maps.shape == (4, SIDE, SIDE)
    assert maps.max(axis=(1, 2)) == pytest.approx(1)
    assert maps.min() >= 0
    assert [quadrant_of(each) for each in maps] == QUADRANTS
    for (top, left), each in zip(QUADRANTS, maps, strict=True):  # and nothing speaks for it where the other class is
        assert each[16 - top : 32 - top, 16 - left : 32 - left].max() < 0.2
    other = made.maps([spots(QUADRANTS, colour)], np.full(4, 1 - colour))
    assert [quadrant_of(each) for each in other] == [(16 - top, 16 - left) for top, left in QUADRANTS]


def test_it_is_the_gradient_of_the_score_before_the_softmax():
    model, images = convolutional(), spots(QUADRANTS[:1], RED)
    maps = keras.Model(model.get_layer("body").inputs, model.get_layer("body").output)(images / 255).numpy()
    weights = model.get_layer("head").get_weights()[0][:, RED]  # the gradient of a mean over 64 places, times 64
    expected = np.maximum((maps * weights).sum(axis=-1), 0)
    found = explainer(model, 8).maps([images], np.array([RED]))
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-5)


def test_two_sizes_side_by_side_are_one_map():
    pixels = [keras.Input((size, size, 3)) for size in (16, 32)]
    features = [
        keras.layers.GlobalAveragePooling2D()(
            keras.layers.Conv2D(8, 4, 4, activation="relu", kernel_initializer="ones")(x)
        )
        for x in pixels
    ]
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(keras.layers.Concatenate()(features)))
    kernel = np.zeros((16, 2), np.float32)
    kernel[8:, 0] = 1  # only the larger size speaks for class 0
    model.layers[-1].set_weights([kernel, np.zeros(2, np.float32)])
    small, large = np.zeros((1, 16, 16, 3), np.float32), np.zeros((1, 32, 32, 3), np.float32)
    small[:, 8:, 8:], large[:, :16, 16:] = 255, 255
    assert quadrant_of(explainer(model, 32).maps([small, large], np.array([0]))[0]) == (0, 16)


def tokens():
    """Return a network of tokens, each of which attends to bright patches."""
    pixels = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, PATCH, PATCH, kernel_initializer="ones", use_bias=False)(pixels)
    x = keras.layers.Rescaling(1 / (3 * 255 * PATCH**2))(keras.layers.Reshape((16, 4))(x))
    for number in range(2):
        attention = keras.layers.MultiHeadAttention(1, 4, name=f"attention_{number}")
        x = keras.layers.Add()([x, attention(x, x)])
        query, query_bias, key, *rest = attention.get_weights()
        attention.set_weights([0 * query, query_bias + 4, 0 * key + 4, *rest])
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(x))


def test_a_rollout_is_highest_at_the_tokens_that_the_others_attend_to():
    model = tokens()
    images = np.zeros((4, SIDE, SIDE, 3), np.float32)
    for image, (top, left) in zip(images, QUADRANTS, strict=True):
        image[top : top + 16, left : left + 16] = 255
    made = explainer(model, SIDE)
    assert made.method == ROLLOUT
    before = model.predict(images, verbose=0)
    maps = made.maps([images], np.zeros(4, int))
    assert [quadrant_of(each) for each in maps] == QUADRANTS
    np.testing.assert_array_equal(model.predict(images, verbose=0), before)


def test_a_rollout_multiplies_layers_and_keeps_half():
    first = np.array([[0.2, 0.8, 0, 0, 0], *[[0.2] * 5] * 4])
    second = np.array([[0, 0, 1, 0, 0], *np.eye(5)[1:]])
    flow = (second + np.eye(5)) / 2 @ ((first + np.eye(5)) / 2)
    found = rollout(np.stack([first, second])[:, None, None])
    np.testing.assert_allclose(found, flow[0, 1:].reshape(1, 2, 2))


@pytest.mark.parametrize("past", [False, True])
def test_maps_that_tell_but_a_part_are_not_shown(past):
    pixels = keras.Input((SIDE, SIDE, 3))
    maps = keras.layers.Conv2D(8, 4, 4)(pixels)
    shown = keras.layers.ReLU()(maps)
    one, other = keras.layers.MaxPooling2D(8)(maps if past else shown), keras.layers.Conv2D(8, 8)(shown)
    pooled = keras.layers.Flatten()(keras.layers.Concatenate()([one, other]))
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(pooled))
    if not past:
        assert explainer(model, SIDE).maps([spots(QUADRANTS, RED)], np.zeros(4, int)).shape == (4, SIDE, SIDE)
        return
    with pytest.raises(UnshownError, match="not all that it sees at 32 px goes through maps"):
        explainer(model, SIDE)


def test_a_model_without_maps_says_so():
    pixels = keras.Input((SIDE, SIDE, 3))
    flat = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(pixels)))
    with pytest.raises(UnshownError, match="no maps of an image"):
        explainer(flat, SIDE)
    with pytest.raises(UnshownError, match="looks at tokens"):
        explainer(averaged(tokens(), (AS_IS, MIRRORED)), SIDE)
    with pytest.raises(UnshownError, match="not the patches of a square"):
        rollout(np.ones((1, 1, 1, 25 + 9, 25 + 9)))


@pytest.fixture
def images(finished, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 2):
        shutil.copy(finished / "shapes" / "across" / f"across_00{number}.png", folder)
    shutil.copy(folder / "across_001.png", folder / "größer\n=1.png")
    (folder / "none.jpg").write_text("words")
    return folder


def test_a_picture_of_each_image_is_written_beside_the_predictions(finished, images, tmp_path, search):
    code, out, err = search("predict", finished / "model", images, "--json", "--explain", tmp_path / "looks")
    assert not code, err
    assert len(json.loads(out)["predictions"]) == 3  # and nothing else is in the output
    names = ["0001-across_001.png", "0002-across_002.png", "0003-gr__er__1.png", "sheet.png"]
    assert sorted(path.name for path in (tmp_path / "looks").iterdir()) == names
    with Image.open(tmp_path / "looks" / names[0]) as picture:
        assert picture.width > picture.height  # the image, and its map beside it
        left, right = (np.asarray(picture.convert("RGB"))[40:300, at : at + 300] for at in (40, 420))
        assert np.abs(left.astype(int) - right).max() > 50
    assert "3 pictures and 1 contact sheet" in err


def test_no_file_is_written_over(finished, images, tmp_path, search):
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "mine.txt").write_text("mine")
    code, out, err = search("predict", finished / "model", images, "--explain", tmp_path / "looks")
    assert code
    assert not out
    assert "is not empty" in err
    assert [path.name for path in (tmp_path / "looks").iterdir()] == ["mine.txt"]
