"""Which precision a machine is good for: refused where it gains nothing, measured where it may."""

import pytest

from search.executors.placement import check_precision
from search.system.errors import UserError
from search.system.precision import BFLOAT16, FLOAT16, FLOAT32, precision_in, recorded, slowness


def check(precision, *, has_gpus=False, has_begun=False):
    lines = []
    check_precision(precision, has_gpus, has_begun, lines.append)
    return lines


def test_float32_needs_no_word_anywhere_and_mixed_precision_none_on_a_gpu():
    assert check(FLOAT32) == check(FLOAT16, has_gpus=True) == check(BFLOAT16, has_gpus=True) == []


def test_float16_is_refused_on_processors_and_only_warned_of_where_the_search_has_begun():
    with pytest.raises(UserError, match=r"mixed_float16 is no gain .* no kernels for float16.*Leave it out, or"):
        check(FLOAT16)
    (line,) = check(FLOAT16, has_begun=True)
    assert line.endswith("The search began with mixed_float16, and goes on so.")


def test_bfloat16_on_processors_is_measured_and_what_came_of_it_is_said():
    try:
        (line,) = check(BFLOAT16)
    except UserError as error:
        line = str(error)
        assert "is no gain on this machine" in line
        assert "bfloat16 is no faster here than float32: a step of training took" in line
    else:
        assert "times as fast as float32 here" in line


def test_a_gain_is_one_only_above_1():
    assert slowness(BFLOAT16, 1.5) == slowness(FLOAT32) == ""
    assert "took 2.0 times as long" in slowness(BFLOAT16, 0.5)
    assert "took 1.0 times as long" in slowness(BFLOAT16, 1.0)
    assert "float16" in slowness(FLOAT16)


def test_a_precision_that_there_is_not_is_refused():
    with pytest.raises(UserError, match="precision"):
        check("float64")


def test_the_usual_precision_leaves_identities_as_they_were():
    assert recorded(FLOAT32) == {}
    for precision in (FLOAT32, BFLOAT16, FLOAT16):
        assert precision_in(recorded(precision)) == precision
