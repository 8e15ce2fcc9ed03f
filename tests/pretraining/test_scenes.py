"""Generated pictures: the same anywhere, all different, in range, and of many kinds."""

import numpy as np
import pytest

from search.pretraining import scenes, textures

pytestmark = pytest.mark.quick

SIDE = 64


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("field", [*dict.fromkeys(textures.FIELDS), textures.any_field])
def test_fields_span_nought_to_one_and_follow_their_seed(field):
    drawn = [field(rng(seed), SIDE) for seed in (1, 1, 2)]
    for one in drawn:
        assert one.shape == (SIDE, SIDE)
        assert one.dtype == np.float32
        assert np.isfinite(one).all()
        assert 0 <= one.min() < one.max() <= 1
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_a_bent_field_has_the_values_of_the_field_elsewhere():
    field = textures.gratings(rng(3), SIDE)
    bent = textures.bent(rng(4), field)
    assert bent.shape == field.shape
    assert field.min() - 1e-6 <= bent.min() < bent.max() <= field.max() + 1e-6
    assert not np.allclose(bent, field)


def test_a_painted_field_has_one_colour_wherever_it_has_one_value():
    field = np.repeat(np.linspace(0, 1, 8, dtype=np.float32), 8)[None].repeat(SIDE, 0)
    painted = textures.painted(rng(5), field)
    assert painted.shape == (SIDE, SIDE, 3)
    assert len(np.unique(painted.reshape(-1, 3), axis=0)) <= 8
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_relief_is_brighter_on_the_side_of_the_light():
    dome = scenes.blob(rng(6), SIDE, scenes.Pose(0, 0, 0.7, 0)).height
    left_light = textures.lit(np.full((SIDE, SIDE, 3), 0.5, np.float32), dome, np.array([-0.7, 0, 0.7]), 10.0)
    assert left_light[:, : SIDE // 2].mean() > left_light[:, SIDE // 2 :].mean() + 0.02


@pytest.mark.parametrize("form", dict.fromkeys(scenes.FORMS))
def test_forms_lie_where_they_are_put(form):
    covered = []
    for seed in range(8):
        drawn = form(rng(seed), SIDE, scenes.Pose(0.4, -0.4, 0.4, 1.0))
        for part in (drawn.covers, drawn.height):
            assert part.shape == (SIDE, SIDE)
            assert np.isfinite(part).all()
            assert part.min() >= 0
            assert part.max() <= 1 + 1e-6
        rows, columns = np.nonzero(drawn.covers > 0.5)
        covered.append(len(rows) / SIDE**2)
        if len(rows):
            assert rows.mean() < SIDE / 2 < columns.mean()
    assert 0.005 < np.mean(covered) < 0.3


def test_an_object_hides_what_is_behind_it_and_leaves_the_rest_or_shades_it():
    behind = np.full((SIDE, SIDE, 3), 0.6, np.float32)
    pose = scenes.Pose(0, 0, 0.3, 0)
    form = scenes.polygon(rng(1), SIDE, pose)
    texture = np.zeros((SIDE, SIDE, 3), np.float32)
    light = np.array([0.3, 0.3, 0.9])
    seen = [scenes.laid(rng(seed), behind, form, texture, pose, light) for seed in range(10)]
    outside = form.covers == 0
    assert all((one[outside] <= 0.6 + 1e-6).all() for one in seen)
    assert np.median([one[form.covers > 0.99].mean() for one in seen]) < 0.3


def test_pictures_are_the_same_anywhere_and_each_is_another():
    once, again = ([scenes.scene(np.random.default_rng([7, number]), SIDE) for number in range(24)] for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once[0].shape == (SIDE, SIDE, 3)
    assert once[0].dtype == np.uint8
    flat = np.reshape(once, (24, -1)).astype(float)
    distances = np.abs(flat[:, None] - flat[None]).mean(-1)[~np.eye(24, dtype=bool)]
    assert distances.min() > 5
    assert sum(picture.std() > 15 for picture in once) > 16, "most have something in them"


def test_pictures_are_still_those_that_the_weights_were_made_of():
    # Whoever changes the generator changes what `pretrain` makes, and must make the weights and their card anew.
    means = [scenes.scene(np.random.default_rng([7, number]), 128).mean() for number in range(6)]
    np.testing.assert_allclose(means, [96.718, 223.955, 128.614, 73.418, 50.336, 70.204], atol=0.05)
