"""A study is checked when it is made: a wrong value is refused by its field, with the way out."""

from pathlib import Path

import pytest

from search.options import Options, run_command
from search.study import Study
from search.system.errors import UserError

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("field", "value", "way_out"),
    [
        ("objective", "balanced_acuracy", "Did you mean 'balanced_accuracy'?"),
        ("oracle", "hyperband", "Choose one of: tpe, random, bayesian, grid."),
        ("trust_unsourced", "no", "must be True or False"),
        ("folds", 1, "a whole number, 2 or more"),
        ("folds", 5.0, "a whole number, 2 or more"),
        ("repeats", 0, "a whole number, 1 or more"),
        ("max_trials", 0, "a whole number, 1 or more"),
        ("seed", -1, "a whole number, 0 or more"),
        ("seed", None, "a whole number, 0 or more"),
        ("image_size", 16, "a whole number, from 32 to 1024"),
        ("train_fractions", 1.0, "a list of numbers in (0, 1], such as (1.0, 0.25)"),
        ("train_fractions", (), "a list of numbers in (0, 1], such as (1.0, 0.25)"),
        ("train_fractions", (0.5, 0.25), "must hold 1.0 (the regular folds) and no value twice"),
        ("train_fractions", (1.0, 0.5, 0.5), "must hold 1.0 (the regular folds) and no value twice"),
        ("groups", "(", "is not a regular expression: missing ), unterminated subpattern at position 0"),
        ("groups", 3, "must be 'auto', None, a column of the manifest, a pattern on file names, or a pair"),
        ("groups", r"\d+", "must hold one (group) in brackets: the part that names the group"),
        ("groups", r"(\d+)_(\d+)", "must hold one (group) in brackets"),
    ],
)
def test_a_wrong_value_is_refused_by_field_and_value_and_way_out(field, value, way_out):
    with pytest.raises(UserError) as error:
        Study(**{"data": "images", field: value})
    assert str(error.value).startswith(f"{field}={value!r} ")
    assert way_out in str(error.value)


@pytest.mark.parametrize("fraction", [0, -0.5, 1.5, "half", float("nan")])
def test_a_training_size_is_a_part(fraction):
    with pytest.raises(UserError) as error:
        Study(data="images", train_fractions=(1.0, fraction))
    assert str(error.value) == f"train_fractions={fraction!r} must be a number, above 0 and at most 1."


def test_data_is_a_folder_or_makes_one():
    with pytest.raises(UserError, match=r"Study\(data=3\) must be a folder, or a function that returns one"):
        Study(data=3)
    assert Study(data="images").data_folder() == Path("images")
    assert Study(data=lambda: Path("made")).data_folder() == Path("made")


def test_training_sizes_are_sorted_largest_first():
    assert Study(data="images", train_fractions=[0.1, 1, 0.5]).train_fractions == (1.0, 0.5, 0.1)


def test_a_replaced_field_is_validated_too():
    study = Study(data="images")
    assert study.replace(folds=3).folds == 3
    assert study.folds == 5
    with pytest.raises(UserError, match="folds=1"):
        study.replace(folds=1)


def test_a_command_for_another_search_like_one_keeps_its_lag_and_its_precision():
    written, file = Study(data="images"), Path("space.py")
    usual = run_command(file, written, written, Options())
    assert not {"--lag", "--precision"} & set(usual.split())
    other = run_command(file, written, written.replace(lag=2), Options(precision="mixed_bfloat16"))
    assert other == f"{usual} --lag 2 --precision mixed_bfloat16"
