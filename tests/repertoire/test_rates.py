"""A learning rate may be a factor of what suits the depth; a body may start from a fitted head, and learn slower."""

import dataclasses
import json

import pytest

from search.repertoire.augmentation import Augment
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.rates import BASES, Times, base_rate, first_step
from search.repertoire.recipe import Recipe
from search.system.errors import UserError

pytestmark = pytest.mark.quick

DEPTHS = [("MobileNet", 0, "head"), ("MobileNet", 2, "blocks"), ("MobileNet", None, "everything")]
DEPTHS += [("SmallCNN", None, "scratch")]
BODY = Recipe("MobileNet", 2, image_size=64, augment=Augment("flip_crop"), head_start="fitted", body_rate=0.1)


@pytest.mark.parametrize(("backbone", "depth", "what"), DEPTHS)
def test_a_factor_is_of_the_base_of_its_depth_and_the_plain_rate_is_kept(backbone, depth, what):
    half = Recipe(backbone, depth, learning_rate=Times(0.5))
    assert half.rate == half.learning_rate == 0.5 * BASES[what]
    assert half == Recipe(backbone, depth, learning_rate=0.5 * BASES[what])
    assert half.digest == Recipe(backbone, depth, learning_rate=0.5 * BASES[what]).digest
    assert Recipe.from_dict(json.loads(json.dumps(half.to_dict()))) == half
    assert base_rate(half.architecture, half.unfrozen_blocks, OPTIMIZERS["adamw"]) == BASES[what]
    assert f"lr {0.5 * BASES[what]:.2g}" in half.summary()


@pytest.mark.parametrize("factor", [0, -1, 100.5, float("nan"), "1", None, True])
def test_a_factor_is_above_0_and_at_most_100(factor):
    with pytest.raises(UserError) as error:
        Times(factor)
    assert str(error.value) == f"Times factor={factor!r} must be a number, above 0 and at most 100."


def test_a_factor_of_a_high_base_may_not_pass_what_a_rate_may_be(monkeypatch):
    monkeypatch.setitem(BASES, "head", 1.0)
    with pytest.raises(UserError, match=r"^learning_rate=50\.0 must be a number, above 0 and at most 10\.$"):
        Recipe("MobileNet", learning_rate=Times(50))


@pytest.mark.parametrize(("backbone", "depth"), [("MobileNet", 0), ("SmallCNN", None)])
def test_without_a_pretrained_body_start_and_rate_tell_no_recipes_apart(backbone, depth):
    plain = Recipe(backbone, depth)
    assert Recipe(backbone, depth, head_start="fitted", body_rate=0.1).digest == plain.digest
    assert first_step(plain) is None


def test_a_body_with_its_own_start_and_rate_is_another_recipe_and_says_so():
    plain = dataclasses.replace(BODY, head_start="zero", body_rate=1.0)
    assert BODY.to_dict() == {**plain.to_dict(), "head_start": "fitted", "body_rate": 0.1}
    assert Recipe.from_dict(json.loads(json.dumps(BODY.to_dict()))) == BODY
    assert BODY.summary().endswith("fitted start, body at 0.1 of the rate")
    assert "start" not in plain.summary()


def test_the_first_step_fits_a_head_on_the_images_as_they_are():
    first = first_step(BODY)
    assert first == Recipe("MobileNet", 0, image_size=64, learning_rate=Times(1))


@pytest.mark.parametrize(
    "fields",
    [{"layer_decay": 0.7}, {"l2_sp": 0.1}, {"wise_ft": 0.3}, {"batch_norm": "learning"}, {"epoch": "best_mean"}],
)
def test_what_is_of_a_body_is_left_out_of_the_first_step(fields):
    assert first_step(dataclasses.replace(BODY, **fields)) == first_step(BODY)
