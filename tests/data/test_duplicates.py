"""Near-duplicates are found however they were made; what is merely alike is left apart.

Measured at SIDE 96, over all images; every group was looked at but those of the augmented set.
"Found" is the part of 200 planted copies of each kind that share the group of their original (worst kind;
of hands only those cut at a corner, resized and turned without black corners were planted anew at the end).

| data                        | images | groups (images)  | wrongly grouped | found, worst kind          | CPU  |
|-----------------------------|--------|------------------|-----------------|----------------------------|------|
| brain scans                 | 252    | 39 (92)          | none            |                            | 4 s  |
| brain scans, augmented      | 2,065  | 206 (2,057)      | see below       | recall (BCubed) .980       | 39 s |
| cats and dogs               | 400    | 1 (2)            | none            | .995 brightened            | 6 s  |
| ants and bees               | 398    | 0                | none            | .98 turned by 5 degrees    | 9 s  |
| rubbish                     | 1,259  | 9 (18)           | 2 to 6 images   | .955 brightened            | 36 s |
| hands showing digits, 64 px | 1,000  | 0                | none            | .99 turned by 5 degrees    | 32 s |
| handwritten digits, 8 px    | 400    | 0                | none            |                            | 8 s  |

Augmented scans: BCubed precision is .785 by file of origin, where .787 is the most that can be had, as those
files hold duplicates themselves; with these merged it is .993, and the one mixed group is one scan at two sizes.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.copies import COPIES, thumbnail
from PIL import Image
from scipy.ndimage import gaussian_filter

from search import handwritten_digits
from search.data.decoding import read_image
from search.data.duplicates import COMPARING, LOOKING, Pair, grouped, near_duplicates
from search.data.registration import SIDE


def texture(seed, width=150, height=120):
    """Return a smooth random picture with detail at several scales."""
    rng = np.random.default_rng(seed)
    layers = [gaussian_filter(rng.normal(size=(height, width, 3)), (blur, blur, 0)) * blur for blur in (1.5, 4, 12)]
    return Image.fromarray((128 + 90 * sum(layers)).clip(0, 255).astype(np.uint8))


PICTURES = [texture(seed) for seed in range(12)]
THUMBNAILS = np.stack([thumbnail(picture) for picture in PICTURES])


def parts(groups):
    """Return the groups of two or more, each as a set of rows."""
    found = [frozenset(np.flatnonzero(groups == group).tolist()) for group in set(groups.tolist())]
    return {part for part in found if len(part) > 1}


def groups_of(thumbnails):
    return parts(grouped(len(thumbnails), near_duplicates(thumbnails)))


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(kind):
    copies = np.stack([thumbnail(COPIES[kind](picture), quality=40) for picture in PICTURES[:6]])
    assert groups_of(np.concatenate([THUMBNAILS, copies])) == {frozenset({row, 12 + row}) for row in range(6)}


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("re-encoded", "the same picture"),
        ("mirrored", "mirrored"),
        ("upside down", "mirrored, turned by 180 degrees"),
        ("a quarter turned", "turned by 90 degrees"),
        ("cropped around", "cropped or moved"),
    ],
)
def test_people_are_told_in_what_copies_differ(kind, how):
    (pair,) = near_duplicates(np.stack([THUMBNAILS[0], thumbnail(COPIES[kind](PICTURES[0])), THUMBNAILS[1]]))
    assert (pair.first, pair.second, pair.how) == (0, 1, how)
    assert 0.9 < pair.likeness <= 1


def test_unrelated_pictures_stay_apart():
    assert near_duplicates(THUMBNAILS) == []


def test_blank_pictures_are_grouped_only_if_their_pixels_are_equal():
    rng = np.random.default_rng(0)
    shades = np.stack([np.full((SIDE, SIDE, 3), shade, np.uint8) for shade in (0, 10, 250, 10, 255)])
    noisy = rng.integers(200, 203, (6, SIDE, SIDE, 3), dtype=np.uint8)
    slopes = np.stack(
        [np.tile(np.linspace(0, top, SIDE, dtype=np.uint8)[:, None, None], (1, SIDE, 3)) for top in (90, 99)]
    )
    assert groups_of(np.concatenate([shades, noisy, slopes])) == {frozenset({1, 3})}


def test_equal_pixels_are_told_without_looking_further():
    pairs = near_duplicates(THUMBNAILS[[0, 1, 0, 0]])
    assert pairs == [Pair(0, 2, 1.0, "the same picture"), Pair(0, 3, 1.0, "the same picture")]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_to_have_a_pair(count):
    assert near_duplicates(THUMBNAILS[:count]) == []
    assert grouped(count, []).shape == (count,)


@settings(max_examples=5)
@given(st.permutations(range(10)))
def test_groups_do_not_depend_on_the_order_of_files(order):
    turned = [thumbnail(COPIES["turned a little"](picture)) for picture in PICTURES[:3]]
    thumbnails = np.concatenate([THUMBNAILS[:5], turned, THUMBNAILS[:2]])
    moved = groups_of(thumbnails[order])
    assert {frozenset(order[row] for row in part) for part in moved} == groups_of(thumbnails)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_a_group_is_what_pairs_connect(drawn):
    n, ends = drawn
    groups = grouped(n, [Pair(first, second, 1.0, "") for first, second in ends])
    assert groups.shape == (n,)
    assert all(groups[first] == groups[second] for first, second in ends)
    assert len(set(groups.tolist())) >= n - len(ends)


def test_progress_ends_at_all_of_it():
    steps = []
    near_duplicates(THUMBNAILS, lambda what, done, total: steps.append((what, done, total)))
    for work in (LOOKING, COMPARING):
        own = [(done, total) for what, done, total in steps if what == work]
        assert own[-1][0] == own[-1][1]
    assert steps[-1] == (COMPARING, len(own), len(own))


def test_handwriting_of_different_people_stays_apart(tmp_path):
    paths = sorted(handwritten_digits(tmp_path / "digits").rglob("*.png"))[::4]
    assert groups_of(np.stack([read_image(path, SIDE) for path in paths])) == set()


def test_copies_of_real_photographs_are_found_and_nothing_else(photographs):
    paths = sorted((photographs / "hymenoptera").rglob("*.jpg"))[:40]
    originals = np.stack([read_image(path, SIDE) for path in paths])
    kinds = list(COPIES.values())
    copies = []
    for row, path in enumerate(paths[:30]):
        with Image.open(path) as image:
            copies.append(thumbnail(kinds[row % len(kinds)](image.convert("RGB")), quality=40))
    found = groups_of(np.concatenate([originals, copies]))
    wanted = {frozenset({row, 40 + row}) for row in range(30)}
    assert len(found & wanted) >= 28
    assert not found - wanted


def test_others_are_compared_with_the_rest_and_each_other_and_the_rest_is_not():
    pictures = [texture(seed) for seed in range(6)]
    real = [thumbnail(picture) for picture in pictures[:4]] + [thumbnail(COPIES["mirrored"](pictures[1]))]
    made = [
        thumbnail(COPIES["mirrored"](pictures[2])),
        thumbnail(pictures[5]),
        thumbnail(COPIES["resized"](pictures[2])),
    ]
    others = np.arange(8) >= 5
    pairs = near_duplicates(np.stack([*real, *made]), others=others)
    assert {(pair.first, pair.second) for pair in pairs} == {(2, 5), (2, 7), (5, 7)}
    assert near_duplicates(np.stack(real), others=np.zeros(5, bool)) == []
    assert [(pair.first, pair.second) for pair in near_duplicates(np.stack(real), others=np.ones(5, bool))] == [(1, 4)]


def test_a_variant_behind_many_copies_is_found():
    copies = [thumbnail(texture(0), quality) for quality in range(60, 90, 2)]
    turned = [thumbnail(COPIES["turned a little"](texture(0)), quality) for quality in range(60, 90, 2)]
    apart = [thumbnail(texture(1), quality) for quality in range(60, 90, 2)]
    groups = grouped(45, near_duplicates(np.stack([*copies, *turned, *apart])))
    assert len(set(groups[:30])) == 1
    assert len(set(groups[30:])) == 1
    assert groups[0] != groups[30]
