"""The cache stays within its bound, drops what was not used for longest, and never harms whoever uses an entry."""

import contextlib
import os
import threading
import time

import numpy as np
import pytest

from search.cache import IN_USE, stored, trim

KILOBYTE = 1000


def entry(cache, kind, name, age, size=KILOBYTE):
    folder = cache / kind / name
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(bytes(size))
    os.utime(folder, (time.time() - age,) * 2)
    return folder


def left(cache):
    return sorted(path.name for path in cache.glob("*/*"))


OLD = 2 * IN_USE


def test_what_was_not_used_for_longest_goes_first_until_the_bound_is_kept(tmp_path):
    for number, kind in enumerate(("decoded", "activations", "activations", "duplicates")):
        entry(tmp_path, kind, f"e{number}", OLD + 100 * number)
    assert trim(tmp_path, 4 * KILOBYTE) == 0
    assert trim(tmp_path, 2 * KILOBYTE + 500) == 2 * KILOBYTE
    assert left(tmp_path) == ["e0", "e1"]


def test_what_was_used_just_now_stays_whatever_the_bound(tmp_path):
    entry(tmp_path, "activations", "used", IN_USE / 2)
    entry(tmp_path, "activations", "unused", OLD)
    assert trim(tmp_path, 1) == KILOBYTE
    assert left(tmp_path) == ["used"]


def test_unpacked_images_stay_and_half_made_entries_are_not_looked_at(tmp_path):
    entry(tmp_path, "unpacked", "images", OLD)
    entry(tmp_path, "decoded", ".half.xyz", OLD)
    assert trim(tmp_path, 1) == 0
    assert left(tmp_path) == [".half.xyz", "images"]


def test_no_cache_is_nothing_to_trim(tmp_path):
    assert trim(tmp_path / "none", 1) == 0


def load(folder):
    return np.load(folder / "rows.npy", mmap_mode="r")


def test_an_entry_that_is_loaded_counts_as_used(tmp_path):
    def fill(folder):
        np.save(folder / "rows.npy", np.arange(5))

    stored(tmp_path / "activations" / "a", fill, load)
    os.utime(tmp_path / "activations" / "a", (0, 0))
    stored(tmp_path / "activations" / "a", fill, load)
    assert trim(tmp_path, 1) == 0


def test_whoever_has_an_entry_mapped_keeps_it_and_whoever_wants_it_makes_it_anew(tmp_path):
    made = []

    def fill(folder):
        made.append(folder)
        np.save(folder / "rows.npy", np.arange(100_000))

    folder = tmp_path / "activations" / "a"
    mapped = stored(folder, fill, load)
    os.utime(folder, (0, 0))
    assert trim(tmp_path, 1) > 0
    assert not folder.exists()
    assert mapped[-1] == 99_999
    assert stored(folder, fill, load)[-1] == 99_999
    assert len(made) == 2


def test_while_others_drop_entries_every_load_is_whole(tmp_path):
    folder, stop, wrong = tmp_path / "activations" / "a", threading.Event(), []

    def fill(at):
        np.save(at / "rows.npy", np.arange(2_000))

    def use():
        while not stop.is_set():
            with contextlib.suppress(FileNotFoundError):  # dropped twice within one call
                wrong.extend(set(stored(folder, fill, load).tolist()) ^ set(range(2_000)))

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError):
            os.utime(folder, (0, 0))
        trim(tmp_path, 1)
    stop.set()
    for user in users:
        user.join()
    assert not wrong


def test_an_entry_that_stays_damaged_is_an_error(tmp_path):
    def fill(folder):
        (folder / "rows.npy").write_bytes(b"no array")

    with pytest.raises((EOFError, OSError, ValueError)):
        stored(tmp_path / "activations" / "a", fill, load)


def test_a_search_keeps_its_cache_within_the_bound(search, space, shapes, tmp_path):
    old = entry(tmp_path / "cache", "activations", "of another search", OLD)
    options = ("--data", shapes, "--offline", "--executor", "inline", "--cache", tmp_path / "cache")
    assert search("run", space(), *options)[0] == 0
    assert old.is_dir()
    assert search("run", space(), *options, "--cache-gb", "0.000001", "--trials", 2)[0] == 0
    assert not old.exists()
    assert list((tmp_path / "cache" / "decoded").iterdir())  # which it uses itself
