"""Numbers and ratios of synthetic images never mix, and a ratio means what its decimals say."""

import json
import pickle
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.repertoire.recipe import Recipe
from search.repertoire.synthetic import Ratio, classes_named, plain, settled, wanted
from search.system.errors import UserError

pytestmark = pytest.mark.quick


def of(value):
    return settled("amount", value)


def test_a_whole_ratio_is_no_number_of_images():
    assert of(1) != of(1.0)
    assert of(1.0) == of(np.float64(1)) == 1.0
    assert of({"cat": 1}) != of({"cat": 1.0})
    assert len({of(1), of(1.0), of(2.0)}) == 3
    assert type(of(np.int64(3))) is int


@pytest.mark.parametrize("none", [0, 0.0, -0.0, np.float32(0), {}, {"cat": 0, "dog": 0.0}, ()])
def test_none_is_said_in_one_way(none):
    assert of(none) == 0
    assert type(of(none)) is int


def test_a_class_of_which_none_is_wanted_need_not_be_named():
    assert of({"dog": 0.5, "cat": 0, "ant": 3}) == of({"ant": 3, "dog": 0.5}) == (("ant", 3), ("dog", 0.5))
    assert classes_named(of({"dog": 0.5, "cat": 0})) == ["dog"]
    assert classes_named(of(8)) == []


def test_a_wrong_amount_of_one_class_is_named():
    with pytest.raises(UserError, match=r"^amount\['cat'\]=-1 must be a whole number of images"):
        of({"dog": 1, "cat": -1})


@given(st.integers(0, 1000) | st.floats(0, 100) | st.dictionaries(st.text(), st.integers(0, 9) | st.floats(0, 9)))
def test_an_amount_survives_json_and_pickle(value):
    amount = of(value)
    again = of(json.loads(json.dumps(plain(amount))))
    assert again == amount == of(amount) == pickle.loads(pickle.dumps(amount))
    assert hash(again) == hash(amount)
    assert repr(again) == repr(amount)  # where 1 and 1.0 differ in any case


@given(st.decimals(0, 100, places=3), st.integers(0, 10_000))
def test_a_ratio_is_rounded_down_as_written(ratio, real):
    assert wanted(of(float(ratio)), {"cat": real}) == ({"cat": int(ratio * Decimal(real))} if ratio else {})


def test_a_ratio_that_binary_numbers_miss():
    assert 0.29 * 100 < 29
    assert wanted(of(0.29), {"cat": 100, "dog": 99}) == {"cat": 29, "dog": 28}


def test_only_what_is_asked_for_is_wanted():
    real = {"cat": 10, "dog": 5}
    assert wanted(of(8), real) == {"cat": 8, "dog": 8}
    assert wanted(of({"dog": 1.0}), real) == {"dog": 5}
    assert wanted(of(0), real) == {}


def test_equal_amounts_make_equal_recipes_and_no_others():
    one, ratio = Recipe("MobileNet", synthetic_per_class=1), Recipe("MobileNet", synthetic_per_class=1.0)
    assert one != ratio
    assert one.digest != ratio.digest
    assert Recipe("MobileNet", synthetic_per_class=0.0).digest == Recipe("MobileNet").digest
    assert Recipe.from_dict(json.loads(json.dumps(ratio.to_dict()))) == ratio
    assert isinstance(ratio.synthetic_per_class, Ratio)
