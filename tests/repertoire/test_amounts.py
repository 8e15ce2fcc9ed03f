"""Numbers and ratios of synthetic images never mix, and a ratio means what its decimals say."""

import json
import pickle
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.repertoire.recipe import Recipe
from search.repertoire.synthetic import Synthetic, amount_of, in_words
from search.system.errors import UserError


def of(value):
    return amount_of("amount", value)


def test_a_whole_ratio_is_no_number_of_images():
    assert of(1) != of(1.0)
    assert of(1.0) == of(np.float64(1)) == Synthetic(ratio=1)
    assert of({"cat": 1}) != of({"cat": 1.0})
    assert len({of(1), of(1.0), of(2.0)}) == 3
    assert of(np.int64(3)) == Synthetic(count=3)
    assert type(of(np.int64(3)).to_json()) is int
    assert type(of(1.0).to_json()) is float


def test_every_old_spelling_is_one_new_one():
    assert of(8) == Synthetic(count=8) == of(Synthetic(count=8))
    assert of(0.5) == Synthetic(ratio=0.5)
    mixed = Synthetic(by_class={"cat": 8, "dog": Synthetic(ratio=0.5)})
    assert of({"dog": 0.5, "cat": 8}) == of((("cat", 8), ("dog", 0.5))) == mixed
    assert of({"dog": Synthetic(ratio=0.5), "cat": 8}) == mixed
    assert mixed.to_json() == {"cat": 8, "dog": 0.5}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": 1.0}, "Synthetic count=1.0 must be a whole number, 0 or more."),
        ({"count": -1}, "Synthetic count=-1 must be a whole number, 0 or more."),
        ({"count": True}, "Synthetic count=True must be a whole number, 0 or more."),
        ({"ratio": 101}, "Synthetic ratio=101 must be a number, 0 or more and at most 100."),
        ({"ratio": float("nan")}, "Synthetic ratio=nan must be a number, 0 or more and at most 100."),
        ({"by_class": {"cat": -1}}, "Synthetic by_class['cat']=-1 must be a whole number, 0 or more."),
        ({"by_class": {"cat": 0.5}}, "Synthetic by_class['cat']=0.5 must be a whole number; a ratio is Synthetic("),
        ({"by_class": {1: 8}}, "Synthetic by_class[1]: the name of a class must be a text."),
        ({"by_class": 8}, "Synthetic by_class=8 must be amounts by class"),
        ({"by_class": {"a": Synthetic(by_class={"b": 1})}}, "Synthetic by_class['a']=Synthetic(count=0, ratio=0.0, by"),
        ({"count": 8, "ratio": 0.5}, "Synthetic(count=8, ratio=0.5, by_class=()) must have one of count, ratio and by"),
    ],
)
def test_a_wrong_amount_is_refused_by_name_and_value(fields, message):
    with pytest.raises(UserError) as error:
        Synthetic(**fields)
    assert str(error.value).startswith(message)


NONE = (0, 0.0, -0.0, np.float32(0), {}, {"cat": 0, "dog": 0.0}, (), Synthetic(ratio=0), Synthetic(by_class={"cat": 0}))


@pytest.mark.parametrize("none", NONE, ids=str)
def test_none_is_said_in_one_way(none):
    assert of(none) == Synthetic()
    assert not of(none)
    assert type(of(none).to_json()) is int
    assert of(none).words == ""


def test_a_class_of_which_none_is_wanted_need_not_be_named():
    assert of({"dog": 0.5, "cat": 0, "ant": 3}) == of({"ant": 3, "dog": 0.5})
    assert list(of({"dog": 0.5, "cat": 0, "ant": 3}).to_json().items()) == [("ant", 3), ("dog", 0.5)]
    assert of({"dog": 0.5, "cat": 0}).classes == ["dog"]
    assert of(8).classes == []


def test_a_wrong_amount_of_one_class_is_named():
    with pytest.raises(UserError, match=r"^amount\['cat'\]=-1 must be a whole number of images"):
        of({"dog": 1, "cat": -1})


@given(st.integers(0, 1000) | st.floats(0, 100) | st.dictionaries(st.text(), st.integers(0, 9) | st.floats(0, 9)))
def test_an_amount_survives_json_and_pickle(value):
    amount = of(value)
    again = of(json.loads(json.dumps(amount.to_json())))
    assert again == amount == of(amount) == pickle.loads(pickle.dumps(amount))
    assert hash(again) == hash(amount)
    assert repr(again) == repr(amount)  # where 1 and 1.0 differ in any case


@given(st.decimals(0, 100, places=3), st.integers(0, 10_000))
def test_a_ratio_is_rounded_down_as_written(ratio, real):
    assert of(float(ratio)).wanted({"cat": real}) == ({"cat": int(ratio * Decimal(real))} if ratio else {})


def test_a_ratio_that_binary_numbers_miss():
    assert 0.29 * 100 < 29
    assert of(0.29).wanted({"cat": 100, "dog": 99}) == {"cat": 29, "dog": 28}


def test_only_what_is_asked_for_is_wanted():
    real = {"cat": 10, "dog": 5}
    assert of(8).wanted(real) == {"cat": 8, "dog": 8}
    assert of({"dog": 1.0}).wanted(real) == {"dog": 5}
    assert of(0).wanted(real) == {}


def test_equal_amounts_make_equal_recipes_and_no_others():
    one, ratio = Recipe("MobileNet", synthetic_per_class=1), Recipe("MobileNet", synthetic_per_class=1.0)
    assert one != ratio
    assert one.digest != ratio.digest
    assert Recipe("MobileNet", synthetic_per_class=0.0).digest == Recipe("MobileNet").digest
    assert Recipe.from_dict(json.loads(json.dumps(ratio.to_dict()))) == ratio
    assert ratio.synthetic_per_class == Synthetic(ratio=1.0)
    assert Recipe("MobileNet", synthetic_per_class=Synthetic(ratio=1.0)).digest == ratio.digest
    assert Recipe("MobileNet", synthetic_per_class=Synthetic(count=1)).digest == one.digest


def test_words_of_what_tables_hold_keep_counts_as_numbers():
    assert [in_words(amount) for amount in (0, 8, 0.5, 1.0, {"cat": 8, "dog": 0.5})] == [
        0,
        8,
        "0.5× synthetic",
        "1× synthetic",
        "synthetic cat: 8; dog: 0.5×",
    ]
