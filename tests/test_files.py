"""A crash leaves the old file or the new one; a folder appears whole, or not at all."""

import io
import os
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from search.system.files import new_folder, npz_bytes, sweep_folder, write_bytes, write_rows, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_then_replaced(tmp_path):
    write_bytes(tmp_path / "a", b"old")
    write_text(tmp_path / "a", "näw\n")
    assert (tmp_path / "a").read_bytes() == "näw\n".encode()
    assert names(tmp_path) == ["a"]


def test_others_may_read_what_was_written(tmp_path):
    write_bytes(tmp_path / "a", b"x")
    with new_folder(tmp_path / "f"):
        pass
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o755


def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path):
    resource = pytest.importorskip("resource")
    write_bytes(tmp_path / "a", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, limits[1]))  # the system stops the write after 64 KiB
    try:
        with pytest.raises(OSError, match="File too large"):
            write_bytes(tmp_path / "a", b"n" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_target_that_cannot_be_replaced_leaves_no_litter(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path / "a", b"x")
    assert names(tmp_path) == ["a"]


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "none" / "a", b"x")


def test_a_killed_writer_never_shows_half_a_file(tmp_path):
    code = (
        "import itertools, pathlib, sys; from search.system.files import write_bytes\n"
        "for letter in itertools.cycle((b'a', b'b')): write_bytes(pathlib.Path(sys.argv[1]), letter * 400_000)"
    )
    path = tmp_path / "file"
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
    try:
        seen = set()
        end = time.monotonic() + 30
        while len(seen) < 2 and time.monotonic() < end:
            seen |= {path.read_bytes()} if path.exists() else set()
    finally:
        writer.kill()
        writer.wait()
    assert seen == {b"a" * 400_000, b"b" * 400_000}
    assert path.read_bytes() in seen


def test_arrays_come_back_from_their_bytes():
    arrays = {"probabilities": np.random.default_rng(0).random((3, 2)), "rows": np.arange(3)}
    with np.load(io.BytesIO(npz_bytes(arrays)), allow_pickle=False) as loaded:
        assert set(loaded) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array)
            assert loaded[name].dtype == array.dtype


def test_a_new_folder_appears_with_its_content_when_the_block_ends(tmp_path):
    final = tmp_path / "deep" / "folder"
    with new_folder(final) as temporary:
        (temporary / "file").write_text("x")
        assert not final.exists()
        assert temporary.parent == final.parent
    assert names(final) == ["file"]
    assert names(final.parent) == ["folder"]


def test_an_error_in_the_block_leaves_nothing(tmp_path):
    def fail():
        with new_folder(tmp_path / "folder") as temporary:
            (temporary / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == []


def test_the_folder_of_who_was_first_stays(tmp_path):
    final = tmp_path / "folder"
    with new_folder(final) as temporary:
        (temporary / "mine").write_text("x")
        final.mkdir()
        (final / "theirs").write_text("x")
    assert names(final) == ["theirs"]
    assert names(tmp_path) == ["folder"]


def test_a_file_in_the_way_of_a_folder_is_an_error(tmp_path):
    (tmp_path / "folder").write_text("in the way")

    def make():
        with new_folder(tmp_path / "folder"):
            pass

    with pytest.raises(NotADirectoryError):
        make()
    assert names(tmp_path) == ["folder"]


def test_of_many_at_once_one_wins_and_all_go_on(tmp_path):
    together, done = threading.Barrier(8, timeout=30), []

    def make(number):
        with new_folder(tmp_path / "folder") as temporary:
            for part in ("a", "b"):
                (temporary / part).write_text(str(number))
            together.wait()
        done.append(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(8))
    assert names(tmp_path) == ["folder"]
    assert (tmp_path / "folder" / "a").read_text() == (tmp_path / "folder" / "b").read_text()


def test_what_a_killed_process_left_is_swept_and_what_is_being_filled_is_not(tmp_path):
    code = """
import os, sys
from pathlib import Path
from search.system.files import new_folder
with new_folder(Path(sys.argv[1])) as temporary:
    (temporary / "half").write_text("x")
    os.kill(os.getpid(), 9)
"""
    ours = re.compile("killed|filling")
    subprocess.run([sys.executable, "-c", code, tmp_path / "killed"], check=False)
    with new_folder(tmp_path / "filling") as filling:
        (wreck,) = {path for path in tmp_path.iterdir() if path != filling}
        sweep_folder(tmp_path, ours)
        assert wreck.is_dir()  # it is too young to be sure
        for path in (wreck, filling):
            os.utime(path, (0, 0))
        sweep_folder(tmp_path, re.compile("another"))
        assert wreck.is_dir()
        sweep_folder(tmp_path, ours)
        assert not wreck.exists()
        assert filling.is_dir()
    assert names(tmp_path) == ["filling"]


def test_rows_written_in_batches_are_the_array(tmp_path):
    rows = np.random.default_rng(0).random((10, 3, 2)).astype(np.float32)
    write_rows(tmp_path / "rows.npy", rows.shape, rows.dtype, (rows[at : at + 4] for at in range(0, 10, 4)))
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy", mmap_mode="r"), rows)
    with pytest.raises(AssertionError, match="4 rows, not 10"):
        write_rows(tmp_path / "rows.npy", rows.shape, rows.dtype, [rows[:4]])
    with pytest.raises(AssertionError, match="rows of"):
        write_rows(tmp_path / "rows.npy", rows.shape, rows.dtype, [rows[:, :1]])
