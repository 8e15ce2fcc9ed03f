"""The GAN: what augments the pictures that its discriminator sees, and that its fit can be interrupted."""

import dataclasses

import numpy as np
import pytest
from kit.materials import SIDE, material, request

from search.synthesis.methods import gan
from search.synthesis.methods.table import METHODS
from search.synthesis.networks import Networks, diffaugment
from search.system.errors import UserError
from search.system.tf import tf

METHOD = METHODS["gan"]
EPOCHS = 4


@pytest.fixture(autouse=True)
def every_epoch_is_saved(monkeypatch):
    monkeypatch.setattr(gan, "SAVE_SECONDS", 0.0)


def given(images=20):
    return material(images)  # two batches of 16


def wanted(folder, numbers=None, **changes):
    return request(folder, numbers or {0: 2, 1: 1}, **{"options": {"epochs": EPOCHS}, "strength": 1.0, **changes})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gan")
    return folder, list(METHOD.make(given(), wanted(folder)))


def test_images_have_a_class_and_no_sources_and_there_are_samples_to_look_at(fitted):
    folder, pictures = fitted
    assert METHOD.fitted
    assert [(picture.label, picture.sources) for picture in pictures] == [(0, ()), (0, ()), (1, ())]
    assert {picture.pixels.shape for picture in pictures} == {(SIDE, SIDE, 3)}
    assert len({picture.pixels.tobytes() for picture in pictures}) == 3
    assert [path.name for path in sorted(folder.glob("*.png"))] == [f"samples-{n:05d}.png" for n in (1, 2, 3, 4)]


def test_a_generator_that_is_fitted_gives_further_images_without_another_step(fitted, monkeypatch):
    folder, pictures = fitted
    monkeypatch.setattr(Networks, "learn", None)  # a step would fail
    (second,) = METHOD.make(given(), wanted(folder, {0: 1}, first={0: 1}))
    np.testing.assert_array_equal(second.pixels, pictures[1].pixels)


def test_an_interrupted_fit_goes_on_to_the_same_generator(fitted, tmp_path):
    steps = []

    def interrupt(_what, done, _of):
        steps.append(done)
        if done == 5:  # in the middle of the third epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(METHOD.make(given(), wanted(tmp_path, progress=interrupt)))
    steps.clear()
    pictures = list(METHOD.make(given(), wanted(tmp_path, progress=lambda _what, done, of: steps.append((done, of)))))
    assert steps == [(done, 8) for done in (4, 5, 6, 7, 8)]
    for picture, other in zip(pictures, fitted[1], strict=True):
        np.testing.assert_array_equal(picture.pixels, other.pixels)


def test_another_material_or_seed_is_another_fit(fitted):
    folder, _ = fitted
    files = {gan.Fit(given(), wanted(folder)).state}
    assert files == set(folder.glob("*.npz"))
    darker = dataclasses.replace(given(), pixels=given().pixels // 2)
    others = [(darker, {}), (given(), {"seed": 8}), (given(), {"part": "f1"}), (given(), {"options": {"epochs": 5}})]
    files |= {gan.Fit(one, wanted(folder, **changes)).state for one, changes in others}
    assert len(files) == 5


def test_batches_hold_as_many_of_each_class():
    uneven = dataclasses.replace(given(), labels=np.arange(20) // 17)
    for step in range(3):
        _, labels = gan.Fit(uneven, wanted(None)).batch(step)
        assert np.bincount(labels).tolist() == [8, 8]


def test_a_damaged_state_is_an_error_with_a_way_out(tmp_path):
    fit = gan.Fit(given(), wanted(tmp_path))
    fit.state.write_bytes(b"PK\3\4 nonsense")
    with pytest.raises(UserError, match=r"is damaged\. Delete it"):
        fit.go_on()


def test_epochs_must_be_a_number():
    with pytest.raises(UserError, match="epochs='many' must be a whole number"):
        gan.Fit(given(), wanted(None, options={"epochs": "many"})).go_on()


def test_augmentation_is_drawn_for_each_image_and_lets_gradients_through():
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    images = tf.constant(np.repeat(image, 8, 0))
    with tf.GradientTape() as tape:
        tape.watch(images)
        seen = diffaugment(images, tf.constant([1, 2]))
        total = tf.reduce_sum(seen**2)
    assert len({one.tobytes() for one in seen.numpy()}) == 8
    assert np.abs(tape.gradient(total, images).numpy()).sum((1, 2, 3)).min() > 0
    np.testing.assert_array_equal(diffaugment(images, tf.constant([1, 2])), seen)
    cut = (seen.numpy() == 0).all(-1).mean((1, 2))
    assert (cut >= 0.25 * 0.25).all()  # half of each side, or a part of that at the border
    assert (cut <= 0.5).all()
