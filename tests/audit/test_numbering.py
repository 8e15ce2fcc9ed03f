"""Numbers in file names that stand for things are told from numbers that count images."""

import random

import pytest

from search.audit.numbering import numbering

pytestmark = pytest.mark.quick

ROOMS = ("bathroom", "bedroom", "kitchen", "living_room")
HOUSES = range(1, 21)
SPARSE = random.Random(3).sample(range(100, 900), 20)


def named(form, numbers=HOUSES):
    rows = [(f"{room}/{form(room, number)}", room) for room in ROOMS for number in numbers]
    return [id_ for id_, _ in rows], [room for _, room in rows]


@pytest.mark.parametrize(
    ("form", "numbers", "pattern", "key"),
    [
        (lambda room, number: f"{number:03d}_{room}.jpg", HOUSES, r"^(\d+)_", "001"),
        (lambda room, number: f"{number}-{room.title()}.png", HOUSES, r"^(\d+)\-", "1"),
        (lambda room, number: f"{number}_{room}_{number % 3}.png", HOUSES, r"^(\d+)_", "1"),
        (lambda room, number: f"house{number}_{room}.jpg", HOUSES, r"^([^\W\d_]+[\W_]?\d+)_", "house1"),
        (lambda room, number: f"{room}_house{number}.jpg", HOUSES, r"_([^\W\d_]+[\W_]?\d+)\.\w+$", "house1"),
        (lambda _, number: f"patient-{number}_x.jpg", HOUSES, r"^([^\W\d_]+[\W_]?\d+)_", "patient-1"),
        (lambda _, number: f"{number}.jpg", SPARSE, r"^(\d+)\.", str(SPARSE[0])),
        (lambda room, number: f"{room}_{number}.jpg", SPARSE, r"(?<!\d)(\d+)\.\w+$", str(SPARSE[0])),
    ],
)
def test_numbers_of_things_are_found_with_a_pattern(form, numbers, pattern, key):
    found = numbering(*named(form, numbers))
    assert (found.pattern, found.keys[0]) == (pattern, key)
    assert len(set(found.keys)) == 20
    assert len(found.in_several(named(form, numbers)[1])) == 20


@pytest.mark.parametrize(
    "form",
    [
        lambda room, number: f"{room}_{number:03d}.jpg",
        lambda room, number: f"{room}.{number}.jpg",
        lambda room, number: f"{room}{number}.jpg",
        lambda _, number: f"{number:04d}.jpg",
        lambda _, number: f"IMG_{number:04d}.JPG",
        lambda _, number: f"image{number}_small.jpg",
        lambda room, number: f"{ROOMS.index(room) * 100 + number}_{room}.jpg",
        lambda room, number: f"{room}.jpg" if number == 1 else f"{number}_{room}.jpg",
        lambda room, _: f"1_{room}.jpg",
    ],
)
def test_numbers_that_count_images_are_not(form):
    assert numbering(*named(form)) is None


def test_sizes_of_previews_number_nothing():
    ids, classes = named(lambda _, number: f"i{number}-{(48, 150, 300)[number % 3]}x48.jpg")
    assert numbering([id_.replace("x48", f"x{id_.split('-')[1].split('x')[0]}") for id_ in ids], classes) is None


@pytest.mark.parametrize("seed", range(5))
def test_random_numbers_that_classes_share_by_chance_are_not(seed):
    rng = random.Random(seed)
    rows = [(f"{room}/{number}.jpg", room) for room in ROOMS for number in rng.sample(range(1000), 400)]
    assert numbering([id_ for id_, _ in rows], [room for _, room in rows]) is None


@pytest.mark.parametrize("name", ["hymenoptera", "cats_dogs", "brain_mri", "sign_digits", "trash6"])
def test_no_things_are_numbered_in_photographs_that_only_count(photographs, name):
    lines = (photographs / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    at = lines[0].split(",").index("image")
    ids = [line.split(",")[at] for line in lines[1:]]
    assert numbering(ids, [id_.split("/")[0] for id_ in ids]) is None
