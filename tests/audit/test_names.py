"""A pattern on file names is proposed where it explains the copies that were seen, and nowhere else."""

import csv
import itertools
import random
import re
import zlib
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.copies import bcubed

from search.audit.names import FEWEST_PAIRS, LEAST_EXPLAINED, MOST_CHANCE, proposed_pattern

pytestmark = pytest.mark.quick


def read(photographs, name):
    with (photographs / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def seen(groups, seed=0, found=0.6, wrong=0.05):
    """Give the pairs that a comparison of images might: some links of a chain of each group, and a few wrong ones."""
    rng = random.Random(seed)
    members = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    pairs = []
    for rows in members.values():
        rng.shuffle(rows)
        pairs += [pair for pair in itertools.pairwise(rows) if rng.random() < found]
    return pairs + [tuple(rng.sample(range(len(groups)), 2)) for _ in range(round(len(pairs) * wrong / (1 - wrong)))]


def keys_of(proposal, ids):
    matches = [re.search(proposal.pattern, id_.split("/")[-1]) for id_ in ids]
    assert all(matches)
    assert re.compile(proposal.pattern).groups == 1
    return [match[1] for match in matches]


@pytest.mark.parametrize("seed", range(3))
def test_the_sources_of_augmented_photographs_are_found(photographs, seed):
    rows = read(photographs, "brain_mri_augmented_leaky")
    ids, groups = [row["image"] for row in rows], [row["group"] for row in rows]
    keys = keys_of(proposed_pattern(ids, seen(groups, seed)), ids)
    assert bcubed(keys, groups) >= 0.95
    assert bcubed(groups, keys) >= 0.95


@pytest.mark.parametrize("name", ["hymenoptera", "cats_dogs", "brain_mri", "sign_digits", "trash6"])
@pytest.mark.parametrize("amount", [FEWEST_PAIRS, 40, 400])
def test_random_pairs_of_unrelated_photographs_prove_nothing(photographs, name, amount):
    ids = [row["image"] for row in read(photographs, name)]
    rng = random.Random(amount)
    classes = defaultdict(list)
    for row, id_ in enumerate(ids):
        classes[id_.split("/")[0]].append(row)
    anywhere = [tuple(rng.sample(range(len(ids)), 2)) for _ in range(amount)]
    within = [tuple(rng.sample(rng.choice(list(classes.values())), 2)) for _ in range(amount)]
    assert proposed_pattern(ids, anywhere) is None
    assert proposed_pattern(ids, within) is None


SCHEMES = {
    "number at the end": lambda source, copy: f"{source}_{copy}.jpg",
    "random number at the end": lambda source, copy: f"{source}-{zlib.crc32(f'{source}{copy}'.encode()) % 9999}.jpg",
    "original beside copies": lambda source, copy: f"{source}_{copy}.jpg" if copy else f"{source}.jpg",
    "number in brackets": lambda source, copy: f"{source} ({copy}).jpg" if copy else f"{source}.jpg",
    "marked copies": lambda source, copy: f"{source}_aug_{copy}.png" if copy else f"{source}.jpg",
    "marked at the front": lambda source, copy: f"aug{copy}_{source}.jpg",
    "words": lambda source, copy: f"{source}_{('flip', 'rot90', 'blur2', 'crop')[copy]}.jpg",
    "words at the front": lambda source, copy: f"{('flip', 'rot90', 'blur2', 'crop')[copy]}_{source}.jpg",
    "source in the middle": lambda source, copy: f"aug_{source}_0_{copy * 37}.jpg",
    "glued number": lambda source, copy: f"{source}x{copy}.jpeg",
}
SOURCES = {
    "letters and numbers": lambda number: f"IMG{1000 + number * 17}",
    "several shapes": lambda number: (f"Y{number}", f"{number} no", f"no {number}", f"N{number}")[number % 4],
    "names of several parts": lambda number: f"patient_{number // 3}_slice_{number}",
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("source", SOURCES)
def test_usual_ways_to_name_copies_are_found(scheme, source):
    groups = [number for number in range(60) for _ in range(4)]
    ids = [f"{'ab'[group % 2]}/{SCHEMES[scheme](SOURCES[source](group), row % 4)}" for row, group in enumerate(groups)]
    proposal = proposed_pattern(ids, seen(groups))
    keys = keys_of(proposal, ids)
    assert bcubed(keys, groups) >= 0.95
    assert bcubed(groups, keys) >= 0.95
    assert proposal.keys == len(set(keys))


def test_few_pairs_prove_nothing():
    groups = [number for number in range(25) for _ in range(2)]
    ids = [f"a/{group}_{row % 2}.jpg" for row, group in enumerate(groups)]
    pairs = [(2 * number, 2 * number + 1) for number in range(FEWEST_PAIRS)]
    assert proposed_pattern(ids, pairs).keys == 25
    again = [(other, one) for one, other in pairs]
    assert proposed_pattern(ids, pairs[:-1] + again[:-1] + [(5, 5)]) is None


def test_pairs_of_one_source_prove_nothing():
    groups = [0] * 10 + list(range(1, 91))
    ids = [f"a/x{group}_{row}.jpg" for row, group in enumerate(groups)]
    pairs = [(one, other) for one in range(10) for other in range(one)]
    assert proposed_pattern(ids, pairs) is None


def test_the_name_of_the_class_is_no_key():
    """Copies are of one class, so it explains every pair; but as a group it would leave one group a class."""
    ids = [f"{name}/{name}_{zlib.crc32(f'{name}{row}'.encode())}.jpg" for name in "abcdefghijkl" for row in range(20)]
    pairs = [(20 * number + row, 20 * number + row + 1) for number in range(12) for row in range(0, 18, 2)]
    assert proposed_pattern(ids, pairs) is None


def test_a_key_far_coarser_than_the_copies_is_refused():
    breeds = [number for number in range(20) for _ in range(30)]
    ids = [
        f"dog/{'abcdefghijklmnopqrst'[breed]}x_{zlib.crc32(str(row).encode())}.jpg" for row, breed in enumerate(breeds)
    ]
    pairs = [(30 * breed, 30 * breed + 1) for breed in range(20)]
    assert proposed_pattern(ids, pairs) is None


def test_long_names_cost_no_more_than_their_length():
    """A pattern that can cut a run of digits in many ways would need years."""
    rng = random.Random(0)
    for letters in ("0123456789", "0123456789abcdef", "ab_-. 01", "0_"):
        ids = [f"x/{''.join(rng.choices(letters, k=150))}q{row}.jpg" for row in range(40)]
        assert proposed_pattern(ids, list(itertools.pairwise(range(40)))) is None


def test_the_shorter_pattern_is_proposed_where_a_longer_one_only_tears_a_few_groups():
    groups = [number for number in range(120) for _ in range(6)]
    ids = [f"a/s{group}_{row % 6}.jpg" for row, group in enumerate(groups)]
    torn = [id_.replace("_5", "x_5") if row == 5 else id_ for row, id_ in enumerate(ids)]
    assert proposed_pattern(torn, seen(groups)).pattern == r"^(s\d+)"


NAMES = st.lists(st.text("ab1290_-. ()é", min_size=1, max_size=12), min_size=8, max_size=30, unique=True)


@settings(max_examples=60)
@given(NAMES, st.randoms(use_true_random=False))
def test_whatever_is_proposed_fits_and_keeps_its_word(names, rng):
    ids = [f"{rng.choice('xy')}/{name}.jpg" for name in names]
    rows = sorted(range(len(ids)), key=lambda row: names[row])
    pairs = [*itertools.pairwise(rows), *zip(rows, rows[2:], strict=False)]
    proposal = proposed_pattern(ids, pairs)
    if proposal is not None:
        keys = keys_of(proposal, ids)
        agree = sum(keys[one] == keys[other] for one, other in pairs)
        assert proposal.explained == pytest.approx(agree / len(pairs))
        assert proposal.explained >= LEAST_EXPLAINED
        assert proposal.chance <= MOST_CHANCE
        assert 1 < proposal.keys == len(set(keys)) < len(ids)
