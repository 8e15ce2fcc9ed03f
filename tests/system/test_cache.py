"""The cache stays within its bound, drops what was not used for longest, and never harms whoever uses an entry."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import search.system.cache
from search.system.cache import (
    CHECKSUMS,
    IN_USE,
    MARKER,
    BusyError,
    claim,
    lock_of,
    new_entry,
    stored,
    sweep,
    trim,
    worth_keeping,
)
from search.system.errors import UserError
from search.system.files import LOCK, locked

KILOBYTE = 1000


def named(name):
    """Return a name of the form that entries have."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def entry(cache, kind, name, age, size=KILOBYTE):
    claim(cache)
    folder = cache / kind / named(name)
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
    assert left(tmp_path) == sorted([named("e0"), named("e1")])


def test_what_was_used_just_now_stays_whatever_the_bound(tmp_path):
    entry(tmp_path, "activations", "used", IN_USE / 2)
    entry(tmp_path, "activations", "unused", OLD)
    assert trim(tmp_path, 1) == KILOBYTE
    assert left(tmp_path) == [named("used")]


def test_unpacked_images_stay_and_half_made_entries_are_not_looked_at(tmp_path):
    entry(tmp_path, "unpacked", "images", OLD)
    half = entry(tmp_path, "decoded", "half", OLD)
    half.rename(half.with_name(f".{half.name}.abcd1234"))
    assert trim(tmp_path, 1) == 0
    assert left(tmp_path) == sorted([f".{half.name}.abcd1234", named("images")])


def test_no_cache_is_nothing_to_trim(tmp_path):
    assert trim(tmp_path / "none", 1) == 0


def load(folder):
    return np.load(folder / "rows.npy", mmap_mode="r")


def test_an_entry_that_is_loaded_counts_as_used(tmp_path):
    def fill(folder):
        np.save(folder / "rows.npy", np.arange(5))

    claim(tmp_path)
    stored(tmp_path / "activations" / named("a"), fill, load)
    os.utime(tmp_path / "activations" / named("a"), (0, 0))
    stored(tmp_path / "activations" / named("a"), fill, load)
    assert trim(tmp_path, 1) == 0


def test_whoever_has_an_entry_mapped_keeps_it_and_whoever_wants_it_makes_it_anew(tmp_path):
    made = []

    def fill(folder):
        made.append(folder)
        np.save(folder / "rows.npy", np.arange(100_000))

    claim(tmp_path)
    folder = tmp_path / "activations" / named("a")
    mapped = stored(folder, fill, load)
    os.utime(folder, (0, 0))
    assert trim(tmp_path, 1) > 0
    assert not folder.exists()
    assert mapped[-1] == 99_999
    assert stored(folder, fill, load)[-1] == 99_999
    assert len(made) == 2


def test_while_others_drop_entries_every_load_is_whole(tmp_path):
    claim(tmp_path)
    folder, stop, wrong = tmp_path / "activations" / named("a"), threading.Event(), []

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
        stored(tmp_path / "activations" / named("a"), fill, load)


def test_a_search_keeps_its_cache_within_the_bound(search, space, shapes, tmp_path):
    old = entry(tmp_path / "cache", "activations", "of another search", OLD)
    options = ("--data", shapes, "--offline", "--executor", "inline", "--cache", tmp_path / "cache")
    assert search("run", space(), *options)[0] == 0
    assert old.is_dir()
    assert search("run", space(), *options, "--cache-gb", "0.000001", "--trials", 2)[0] == 0
    assert not old.exists()
    assert list((tmp_path / "cache" / "decoded").iterdir())  # which it uses itself


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Make an entry and forget that it was seen; give its folder, and what uses it and counts how often it was made."""
    folder, fills = tmp_path / "activations" / named("a"), []

    def fill(to):
        fills.append(to)
        np.save(to / "rows.npy", np.arange(100))

    def use():
        np.testing.assert_array_equal(stored(folder, fill, load), np.arange(100))
        return len(fills)

    monkeypatch.setattr(search.system.cache, "_sound", {})
    assert use() == 1
    search.system.cache._sound.clear()
    return folder, use


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


DAMAGES = {
    "a flipped bit of data": lambda folder: flip(folder / "rows.npy", -5),
    "a flipped bit of the header": lambda folder: flip(folder / "rows.npy", 20),
    "no header": lambda folder: (folder / "rows.npy").write_bytes(bytes(928)),
    "a truncated file": lambda folder: os.truncate(folder / "rows.npy", 500),
    "an empty file": lambda folder: os.truncate(folder / "rows.npy", 0),
    "a longer file": lambda folder: os.truncate(folder / "rows.npy", 2000),
    "a deleted file": lambda folder: (folder / "rows.npy").unlink(),
    "no file": empty,
    "no checksums, as an older version made it": lambda folder: (folder / CHECKSUMS).unlink(),
    "garbage for checksums": lambda folder: (folder / CHECKSUMS).write_bytes(b"\xff{"),
    "other JSON for checksums": lambda folder: (folder / CHECKSUMS).write_text("[1]"),
    "empty checksums": lambda folder: (folder / CHECKSUMS).write_text("{}"),
    "no such folder": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_made_anew(damage, made):
    folder, use = made
    DAMAGES[damage](folder)
    assert use() == 2
    assert use() == 2
    assert left(folder.parents[1]) == [named("a")]


def test_an_entry_is_read_for_its_checksum_once_and_again_when_it_looks_different(made, monkeypatch):
    folder, use = made
    sums, real = [], search.system.cache._checksum
    monkeypatch.setattr(search.system.cache, "_checksum", lambda path: sums.append(path) or real(path))
    use()
    assert use() == 1
    assert sums == [folder / "rows.npy"]
    flip(folder / "rows.npy", -1)
    assert use() == 2


def test_a_file_that_somebody_put_into_an_entry_does_no_harm(made):
    folder, use = made
    (folder / ".DS_Store").write_bytes(b"x")
    assert use() == 1


def test_checksums_cover_files_in_folders_of_the_entry(tmp_path):
    with new_entry(tmp_path / "unpacked" / named("a")) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_bytes(b"123456789")
    sums = json.loads((tmp_path / "unpacked" / named("a") / CHECKSUMS).read_text())
    assert sums == {"deep/file": [9, 0xCBF43926]}  # the check value of CRC-32


def refuse(number):
    def refused(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return refused


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_an_entry_in_a_cache_that_cannot_be_written_is_used_and_a_damaged_one_is_an_error(number, made, monkeypatch):
    folder, use = made
    os.utime(folder, (0, 0))
    for name in ("utime", "rename", "mkdir", "unlink"):
        monkeypatch.setattr(os, name, refuse(number))
    monkeypatch.setattr("search.system.files.os.open", refuse(number))
    assert use() == 1
    search.system.cache._sound.clear()
    with (folder / "rows.npy").open("r+b") as file:
        file.write(b"damaged")
    with pytest.raises(OSError, match=os.strerror(number)):
        use()


def test_who_wants_an_entry_that_is_being_made_waits_for_it_or_is_told(tmp_path):
    folder, filling, go, got, fills = (
        tmp_path / "activations" / named("a"),
        threading.Event(),
        threading.Event(),
        [],
        [],
    )

    def fill(to):
        fills.append(to)
        filling.set()
        assert go.wait(30)
        np.save(to / "rows.npy", np.arange(5))

    users = [threading.Thread(target=lambda: got.append(stored(folder, fill, load).tolist())) for _ in range(3)]
    users[0].start()
    assert filling.wait(30)
    with pytest.raises(BusyError):
        stored(folder, fill, load, wait=False)
    for user in users[1:]:
        user.start()
    go.set()
    for user in users:
        user.join()
    assert got == [[0, 1, 2, 3, 4]] * 3
    assert len(fills) == 1
    assert left(tmp_path) == [named("a")]
    assert stored(folder, fill, load, wait=False).tolist() == got[0]


HOLD = """
import sys, time
from pathlib import Path
from search.system.cache import stored
def fill(to):
    (to / "half").write_text("x")
    print("filling", flush=True)
    time.sleep(600)
stored(Path(sys.argv[1]), fill, lambda at: None)
"""


def test_a_killed_maker_holds_nobody_up_and_leaves_nothing(tmp_path):
    folder, got = tmp_path / "activations" / named("a"), []
    maker = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True)
    assert maker.stdout.readline() == "filling\n"
    waiting = threading.Thread(
        target=lambda: got.append(stored(folder, lambda to: np.save(to / "rows.npy", np.arange(3)), load).tolist())
    )
    waiting.start()
    time.sleep(0.2)
    assert not got
    maker.kill()
    maker.wait()
    waiting.join(30)
    maker.stdout.close()
    assert got == [[0, 1, 2]]
    for path in folder.parent.glob(".*"):
        os.utime(path, (0, 0))
    claim(tmp_path)
    sweep(tmp_path)
    assert left(tmp_path) == [named("a")]


def test_locks_that_killed_processes_left_are_swept_and_held_ones_are_not(tmp_path):
    claim(tmp_path)
    (tmp_path / "activations").mkdir()
    stale, held = (lock_of(tmp_path / "activations" / named(name)) for name in ("stale", "held"))
    stale.touch()
    with locked(held):
        sweep(tmp_path)
        assert left(tmp_path) == [held.name]
    assert left(tmp_path) == []


def test_of_many_who_lock_and_unlock_one_is_inside_at_any_time(tmp_path):
    lock, inside, most, rounds = tmp_path / f".a{LOCK}", [], [], []

    def work():
        for number in range(300):
            with locked(lock, wait=bool(number % 3)) as mine:
                if mine:
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    rounds.append(number)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert max(most) == 1
    assert len(rounds) >= 6 * 200
    assert not lock.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF])
def test_where_there_are_no_locks_everyone_makes_an_entry_for_himself(number, made, monkeypatch):
    folder, use = made
    shutil.rmtree(folder)
    monkeypatch.setattr(fcntl, "flock", refuse(number))
    with locked(lock_of(folder)):
        assert use() == 2
    assert left(folder.parents[1]) == [named("a")]


def test_what_would_fill_more_than_half_of_the_cache_is_not_worth_keeping():
    assert worth_keeping(10, 100, 5, 10_000)
    assert not worth_keeping(10, 100, 6, 10_000)
    assert not worth_keeping(10, 101, 5, 10_000)
    assert worth_keeping(0, 100, 8, 0)
    assert not worth_keeping(1, 1, 1, 1)
    assert worth_keeping(10**9, 10**9, 8, None)


def test_a_cache_that_is_deleted_while_an_entry_is_made_gets_it_all_the_same(tmp_path):
    deleted = []

    def fill(folder):
        if not deleted:
            deleted.append(True)
            shutil.rmtree(tmp_path / "cache")
        (folder / "file").write_text("made")

    assert stored(tmp_path / "cache" / "kind" / "name", fill, lambda at: (at / "file").read_text()) == "made"
    with pytest.raises(FileNotFoundError):
        stored(tmp_path / "cache" / "kind" / "other", lambda _: (tmp_path / "none").read_text(), lambda _: None)


def tree(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def aged(folder):
    """Make everything in a folder look as if nobody had used it for a year."""
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (time.time() - 365 * 86400,) * 2, follow_symlinks=False)
    return folder


@pytest.fixture
def belongings(tmp_path):
    """Give a folder with a person's things in it."""
    folder = tmp_path / "documents"
    for name in ("thesis/chapter/one.txt", "proj/.backup.2024/save", "proj/.notes.lock", "activations/mine/data"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("years of work")
    return aged(folder)


def test_a_folder_with_other_things_in_it_does_not_become_a_cache(belongings):
    before = tree(belongings)
    with pytest.raises(UserError, match="--cache"):
        claim(belongings)
    sweep(belongings)
    assert trim(belongings, 1) == 0
    assert tree(belongings) == before


@pytest.mark.parametrize("verb", ["check", "run", "folds", "pack"])
def test_no_verb_touches_a_folder_of_other_things_that_is_named_as_the_cache(
    verb, search, space, shapes, belongings, tmp_path
):
    before = tree(belongings)
    first = (shapes, "--to", tmp_path / "new.npz") if verb == "pack" else (space(), "--data", shapes)
    more = {"folds": ("--to", tmp_path / "new"), "run": ("--cache-gb", "0.000001")}.get(verb, ())
    code, _, error = search(verb, *first, *more, "--cache", belongings)
    assert code == 1
    assert str(belongings) in error
    assert tree(belongings) == before


def test_in_a_cache_too_only_what_has_our_form_is_removed(belongings, tmp_path):
    cache = tmp_path / "cache"
    ours = entry(cache, "activations", "ours", OLD)
    shutil.copytree(belongings, cache, dirs_exist_ok=True)
    (cache / "activations" / ".mine.abcd1234").mkdir()
    (cache / "activations" / ".mine.lock").touch()
    aged(cache)
    before = tree(cache)
    sweep(cache)
    assert tree(cache) == before
    assert trim(cache, 1) == KILOBYTE
    assert not ours.exists()
    assert set(before) - set(tree(cache)) == {path.relative_to(cache) for path in (ours, ours / "data")}


def test_links_in_a_cache_are_never_followed(belongings, tmp_path):
    cache = tmp_path / "cache"
    claim(cache)
    (cache / "activations").mkdir()
    (cache / "activations" / named("entry")).symlink_to(belongings)
    (cache / "activations" / f".{named('wreck')}.abcd1234").symlink_to(belongings)
    (cache / "activations" / f".{named('lock')}{LOCK}").symlink_to(belongings / "thesis" / "chapter" / "one.txt")
    (cache / "decoded").symlink_to(belongings)
    (belongings / named("as ours")).mkdir()
    (belongings / f".{named('as ours')}.abcd1234").mkdir()
    aged(belongings)
    before = tree(belongings)
    sweep(cache)
    assert trim(cache, 1) == 0
    assert tree(belongings) == before


def test_a_cache_of_an_older_version_has_no_marker_and_becomes_one(tmp_path):
    entry(tmp_path, "decoded", "old", OLD)
    (tmp_path / MARKER).unlink()
    claim(tmp_path)
    assert trim(tmp_path, 1) > 0


def test_a_folder_in_which_an_old_cache_is_not_alone_does_not_become_one(tmp_path):
    old = entry(tmp_path, "decoded", "old", OLD)
    (tmp_path / MARKER).unlink()
    (tmp_path / "decoded" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="decoded"):
        claim(tmp_path)
    assert old.is_dir()


def test_a_link_to_the_marker_of_another_cache_makes_no_cache(tmp_path, belongings):
    claim(tmp_path / "cache")
    (belongings / MARKER).symlink_to(tmp_path / "cache" / MARKER)
    with pytest.raises(UserError, match="other things"):
        claim(belongings)


def test_a_folder_that_another_program_marked_as_its_cache_is_not_ours(tmp_path):
    (tmp_path / MARKER).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# of another program")
    with pytest.raises(UserError, match="other things"):
        claim(tmp_path)
