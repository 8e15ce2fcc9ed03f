"""What a data set is decides what reads it: a folder, or a file in one of the formats of the table."""

import itertools
import re

import pytest
from kit.shapes import write_shapes

from search.data.readers.dispatch import FORMATS, Format, read_as, read_dataset
from search.data.readers.folders import read_class_folders
from search.system.errors import UserError


def test_no_two_formats_share_a_suffix():
    suffixes = list(itertools.chain.from_iterable(form.suffixes for form in FORMATS))
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_a_file_of_every_format_that_is_not_there_or_is_empty_is_refused(form, tmp_path):
    for suffix in form.suffixes:
        with pytest.raises(UserError, match="There is no file"):
            read_dataset(tmp_path / f"none{suffix}", tmp_path / "cache")
        (tmp_path / f"empty{suffix}").touch()
        with pytest.raises(UserError, match=f"empty{suffix}"):
            read_dataset(tmp_path / f"empty{suffix}", tmp_path / "cache")


def test_a_format_is_a_row(tmp_path):
    root = write_shapes(tmp_path / "shapes", {"across": 3, "down": 3})
    (tmp_path / "shapes.link").write_text("shapes")
    link = Format("a link", frozenset({".link"}), lambda data, *_: read_class_folders(data.parent / data.read_text()))
    dataset = read_as((*FORMATS, link), tmp_path / "shapes.link", tmp_path / "cache")
    assert dataset.ids == read_class_folders(root).ids
    (tmp_path / "shapes.txt").touch()
    with pytest.raises(UserError) as error:
        read_as((*FORMATS, link), tmp_path / "shapes.txt", tmp_path / "cache")
    assert str(error.value).endswith(
        "name a folder of class folders, a CSV manifest (.csv, .tsv), arrays (.npz, .p, .pickle, .pkl), or a link "
        "(.link)."
    )


def test_what_is_no_format_is_refused_with_all_that_are(tmp_path):
    (tmp_path / "shapes.txt").touch()
    with pytest.raises(UserError) as error:
        read_dataset(tmp_path / "shapes.txt", tmp_path / "cache")
    assert str(error.value) == (
        f"{tmp_path / 'shapes.txt'} is no data set that can be read: name a folder of class folders, a CSV manifest "
        "(.csv, .tsv), or arrays (.npz, .p, .pickle, .pkl)."
    )


@pytest.mark.parametrize("suffix", sorted(suffix for form in FORMATS for suffix in form.suffixes))
def test_a_pointer_to_data_that_were_not_downloaded_is_named(tmp_path, suffix):
    pointers = {
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n": "git lfs pull",
        "../.git/annex/objects/SHA256E-s9--0.csv\n": "git annex get",
    }
    for text, way_out in pointers.items():
        (tmp_path / f"pets{suffix}").write_text(text)
        with pytest.raises(UserError, match=rf"pointer: the data were not downloaded; run {way_out}"):
            read_dataset(tmp_path / f"pets{suffix}", tmp_path / "cache")


def test_a_line_break_in_the_name_of_the_data_makes_no_line_of_an_error(tmp_path):
    data = tmp_path / "x\nError: all is lost"
    data.mkdir()
    with pytest.raises(UserError, match=re.escape(rf"{tmp_path}/x\nError: all is lost is empty")):
        read_dataset(data, tmp_path / "cache")
