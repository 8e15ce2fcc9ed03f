"""Digests name content and nothing else; seeds belong to their parts."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.system.digests import canonical, digest, file_sha256, seed_from

pytestmark = pytest.mark.quick

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aäß0")
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner), max_leaves=8)


def test_a_digest_is_the_start_of_the_sha256_of_compact_sorted_json():
    assert canonical({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'
    assert digest({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()[:16]


def test_digests_and_seeds_are_the_ones_that_stored_searches_were_named_by():
    assert digest(["decoded", 1, 32, ["abc"]]) == "a91ecdb0673724e5"
    assert seed_from(7, "folds", 0) == 386568310


@given(JSON)
def test_what_went_through_json_keeps_its_digest(value):
    assert digest(json.loads(json.dumps(value))) == digest(value)


@given(st.dictionaries(st.text("abcdef"), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value):
    assert digest(dict(reversed(value.items()))) == digest(value)


@given(st.lists(st.integers(), unique=True, min_size=2))
def test_the_order_of_a_list_matters(value):
    assert digest(value[::-1]) != digest(value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_lacks_is_refused(number):
    with pytest.raises(ValueError, match="JSON"):
        digest({"score": number})


def test_the_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
    data = bytes(range(256)) * 5000  # more than one read
    (tmp_path / "file").write_bytes(data)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()


@given(st.lists(JSON, max_size=3))
def test_a_seed_fits_every_library_and_is_never_zero(parts):
    assert 1 <= seed_from(*parts) < 2**31
    assert seed_from(*parts) == seed_from(*parts)


def test_seeds_do_not_run_into_each_other():
    parts = [(), ("ab", "c"), ("a", "bc"), ("abc",), (1, 2), (12,), ("1", 2), (["a"], "b"), ("a", ["b"])]
    parts += [(7, "folds", repeat) for repeat in range(200)]
    assert len({seed_from(*each) for each in parts}) == len(parts)
