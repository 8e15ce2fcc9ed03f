"""The example writes the same real and warped digits anywhere, once."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from search.data.digits import handwritten_digits
from search.data.origins import read_pool
from search.data.readers.folders import read_class_folders
from search.system.digests import file_sha256

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two independent copies; tests read them only."""
    return [handwritten_digits(tmp_path_factory.mktemp("at") / "deep" / "digits") for _ in range(2)]


@pytest.fixture
def real(written):
    return written[0]


@pytest.fixture
def synthetic(real):
    return real.with_name("digits-synthetic")


@pytest.fixture
def manifest(synthetic):
    with (synthetic / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


def content(folder):
    return {str(path.relative_to(folder)): file_sha256(path) for path in folder.rglob("*") if path.is_file()}


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_two_copies_are_identical_byte_by_byte(written):
    one, other = (content(folder.parent) for folder in written)
    assert one == other
    assert len(one) == 401


def test_there_are_twenty_of_each_class_and_as_many_warped(real):
    data = read_class_folders(real)
    assert data.counts == {str(digit): 20 for digit in range(10)}
    pool = read_pool(real.with_name("digits-synthetic"), data)
    assert np.bincount(pool.labels).tolist() == [20] * 10


def test_every_image_of_the_manifest_and_its_source_exist(real, synthetic, manifest):
    assert {line["image"] for line in manifest} == content(synthetic).keys() - {"manifest.csv"}
    for line in manifest:
        assert (real / line["sources"]).is_file()
        assert line["sources"].startswith(f"{line['label']}/")


def test_most_warped_digits_resemble_their_source_more_than_any_other(real, synthetic, manifest):
    warped = np.array([pixels(synthetic / line["image"]) for line in manifest]).reshape(200, -1)
    sources = np.array([pixels(real / line["sources"]) for line in manifest]).reshape(200, -1)
    likeness = np.corrcoef(warped, sources)[:200, 200:]
    assert (likeness.argmax(axis=1) == np.arange(200)).mean() > 0.75  # 0.005 by chance
    assert np.diag(likeness).max() < 1  # none is a copy


def test_digits_are_the_scans_of_scikit_learn(real):
    images, labels = load_digits(return_X_y=True)
    for path in sorted(real.rglob("*.png"))[::20]:
        assert labels[int(path.stem)] == int(path.parent.name)
        assert pixels(path).shape == (64, 64)
        small = pixels(path).reshape(8, 8, 8, 8).mean(axis=(1, 3)).ravel()
        assert np.corrcoef(small, images[int(path.stem)])[0, 1] > 0.9


def test_what_is_there_is_left_alone(real, tmp_path):
    shutil.copytree(real.parent, tmp_path / "at")
    folder = tmp_path / "at" / "digits"
    next(folder.rglob("*.png")).unlink()
    (folder.with_name("digits-synthetic") / "manifest.csv").write_text("mine")
    before = content(folder.parent)
    assert handwritten_digits(folder) == folder
    assert content(folder.parent) == before


@pytest.mark.parametrize("name", ["digits", "digits-synthetic"])
def test_the_half_that_is_missing_is_written(real, tmp_path, name):
    shutil.copytree(real.parent, tmp_path / "at")
    shutil.rmtree(tmp_path / "at" / name)
    handwritten_digits(str(tmp_path / "at" / "digits"))
    assert content(tmp_path / "at") == content(real.parent)
