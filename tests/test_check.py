"""`check` says what is odd before anything is searched; `pack` and `--groups` travel with it."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from kit.shapes import write_shapes
from PIL import Image

from search import Study, check
from search.audit.inspection import inspect
from search.data.loading import read_inputs
from search.options import Options
from search.system.progress import silent


@pytest.fixture
def odd(tmp_path):
    """Twelve images a class; one is there twice in two classes, one mirrored, one unreadable."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "odd" / label).mkdir(parents=True)
        for number in range(12):
            coarse = Image.fromarray(rng.integers(0, 255, (14, 14, 3), dtype=np.uint8))
            coarse.resize((96, 96), Image.Resampling.BICUBIC).save(tmp_path / "odd" / label / f"{number:02d}.png")
    with Image.open(tmp_path / "odd" / "dog" / "03.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "odd" / "dog" / "mirrored.png")
    (tmp_path / "odd" / "cat" / "copy.png").write_bytes((tmp_path / "odd" / "dog" / "05.png").read_bytes())
    (tmp_path / "odd" / "cat" / "torn.png").write_bytes(b"no image")
    return tmp_path / "odd"


def told(ended):
    code, out, _ = ended
    return code, json.loads(out)


def test_as_json_it_names_every_duplicate_and_what_they_are(search, space, odd):
    code, found = told(search("check", space(), "--data", odd, "--json", "--offline"))
    assert code == 0
    groups = {tuple(sorted(group["files"])): group["equal"] for group in found["duplicates"]}
    assert groups == {("cat/copy.png", "dog/05.png"): True, ("dog/03.png", "dog/mirrored.png"): False}
    topics = {finding["topic"]: finding["files"] for finding in found["findings"]}
    assert topics["conflicting labels"] == ["cat/copy.png", "dog/05.png"]
    assert topics["unreadable"] == ["cat/torn.png"]
    assert found["groups"] == found["images"] - 2
    assert 0 <= found["flattery"]["grouped_folds"] <= 1
    assert 0 < found["cost"]["low_seconds"] <= found["cost"]["high_seconds"]


def test_it_prints_each_finding_with_its_files_and_way_out_and_searches_nothing(search, space, odd, tmp_path):
    code, out, _ = search("check", space(), "--data", odd, "--offline")
    assert code == 0
    assert "Warning, conflicting labels: 1 set of copies has images in more than one class" in out
    assert "    cat/copy.png, dog/05.png\n" in out
    assert "Look at the images, and keep one label for each picture." in out
    assert "Estimated cost: " in out
    assert not (tmp_path / "results").exists()


def test_the_estimate_counts_no_more_trials_than_the_space_has(search, space, odd):
    _, out, _ = search("check", space(), "--data", odd, "--offline", "--trials", 100)
    assert "for 2 trials of 3 runs, as the space has no more (rough)." in out
    _, out, _ = search("check", space(), "--data", odd, "--offline")
    assert "for 1 trial of 3 runs (rough)." in out


def test_the_page_shows_the_pictures_of_duplicates_and_escapes_names(search, space, odd, tmp_path):
    (odd / "cat" / "copy.png").rename(odd / "cat" / "<b>copy.png")
    code, out, _ = search("check", space(), "--data", odd, "--offline", "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert code == 0
    assert f"Page: {tmp_path / 'page.html'}" in out
    assert len(re.findall(r'src="data:image/jpeg;base64,[\w+/=]+"', page)) == 4
    assert "&lt;b&gt;copy.png" in page
    assert "<b>copy.png" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_what_keeps_a_search_from_running_is_a_finding_and_ends_with_1(search, space, odd):
    code, found = told(search("check", space('"VGG16", 0'), "--data", odd, "--json", "--offline"))
    assert code == 1
    assert found["findings"][0]["level"] == "error"
    assert "VGG16" in found["findings"][0]["text"]
    assert found["cost"] is None
    write_shapes(odd.parent / "few", {"a": 2, "b": 30})
    code, found = told(search("check", space(), "--data", odd.parent / "few", "--json", "--offline"))
    assert code == 1
    assert "Class 'a' has 2 readable images, fewer than the 3 folds" in found["findings"][0]["text"]


def test_flattery_is_measured_with_a_backbone_that_takes_images_of_this_size(odd, monkeypatch):
    taken = []

    def features(_materials, backbone, _images, rows):
        taken.append(backbone.name)
        return np.random.default_rng(0).normal(size=(len(rows), 4)).astype(np.float32)

    monkeypatch.setattr(check, "backbone_features", features)
    inputs = read_inputs(Study(str(odd), image_size=64), Options(offline=True), lambda line: None)
    at_hand = SimpleNamespace(own={}, materials=None, weights={"InceptionV3": "", "Embedded": ""})
    assert check._flattery(inputs, inspect(inputs), at_hand, silent).features == "frozen Embedded"
    assert taken == ["Embedded"]


def test_groups_and_holdout_can_be_given_on_the_command_line(search, space, odd):
    _, alone = told(search("check", space(), "--data", odd, "--json", "--offline", "--groups", "none"))
    assert alone["groups"] == alone["images"] - 1
    assert "near-duplicates" in {finding["topic"] for finding in alone["findings"] if finding["level"] == "warning"}
    code, found = told(search("check", space(), "--data", odd, "--json", "--offline", "--holdout", "none-such"))
    assert code == 1
    assert "none-such" in found["findings"][0]["text"]


def test_a_packed_data_set_is_the_same_one(search, space, odd, tmp_path):
    code, out, _ = search("pack", odd, "--to", tmp_path / "odd.npz")
    assert code == 0
    assert "27 images of 2 classes" in out
    _, folder = told(search("check", space(), "--data", odd, "--json", "--offline"))
    _, packed = told(search("check", space(), "--data", tmp_path / "odd.npz", "--json", "--offline"))
    assert packed["duplicates"] == folder["duplicates"]
    assert packed["classes"] == folder["classes"]
    code, _, error = search("pack", odd, "--to", tmp_path / "odd.npz")
    assert code == 1
    assert "odd.npz" in error
    code, _, error = search("check", space(), "--data", tmp_path / "odd.npz", "--offline", "--groups", "group")
    assert code == 1
    assert "names a column" in error


def test_a_packed_manifest_keeps_the_columns_that_name_groups(search, space, odd, tmp_path):
    images = sorted(path.relative_to(odd).as_posix() for path in odd.glob("*/[0-9]*.png"))
    lines = [f"{name},{name.split('/')[0]},p{at % 7}" for at, name in enumerate(images)]
    (tmp_path / "odd.csv").write_text("\n".join(["image,label,patient", *lines]))
    for data, name in (("odd", "odd/cat/a.npz"), ("odd.csv", "a.zip")):
        code, _, error = search("pack", tmp_path / data, "--to", tmp_path / name)
        assert code == 1
        assert ("within the images" in error) == (name == "odd/cat/a.npz")
        assert not (tmp_path / name).exists()
    assert search("pack", tmp_path / "odd.csv", "--to", tmp_path / "a.npz")[0] == 0
    options = ("--json", "--offline", "--groups", "patient")
    _, packed = told(search("check", space(), "--data", tmp_path / "a.npz", *options))
    assert packed["groups"] == 7
    _, listed = told(search("check", space(), "--data", tmp_path / "odd.csv", *options))
    assert listed["groups"] == 7


def test_a_run_says_the_findings_and_keeps_its_groups(search, space, odd, tmp_path):
    options = ("--data", odd, "--offline", "--executor", "inline", "--cache", tmp_path / "cache")
    code, out, _ = search("run", space(), *options)
    assert code == 0
    assert "Warning, conflicting labels: " in out
    assert "python -m search check" in out
    report = (tmp_path / "results" / "space-odd" / "report" / "report.md").read_text()
    assert "conflicting labels" in report
    images = (tmp_path / "results" / "space-odd" / "images.csv").read_text()
    assert "dog/mirrored.png,dog,dog/03.png" in images
    code, out, _ = search("run", space(), *options, "--trials", 2)
    assert code == 0
    assert "Comparing" not in out
    assert "Warning, conflicting labels: " in out


def test_what_the_command_line_set_is_kept_by_resume(search, space, odd, tmp_path):
    options = ("--offline", "--executor", "inline", "--cache", tmp_path / "cache")
    given = ("--data", odd, "--groups", "none", "--holdout", "0.2", "--seed", "3", "--oracle", "grid")
    code, out, _ = search("run", space(), *given, *options, "--name", "set")
    assert code == 0
    assert "Hold-out: 4 images" in out
    code, out, error = search("resume", "set", "--trials", 2, "--cache", tmp_path / "cache")
    assert (code, error) == (0, "")
    assert "Hold-out: 4 images" in out


def test_a_study_can_be_told_to_hold_nothing_out(search, space, odd):
    path = space()
    path.write_text(path.read_text().replace("folds=3", "folds=3, holdout=0.2"))
    with_, without = (
        search("check", path, "--data", odd, "--offline", *more)[1] for more in ((), ("--holdout", "none"))
    )
    assert "Hold-out: " in with_
    assert "Hold-out: " not in without


def test_a_corrected_column_of_groups_is_another_search(search, space, odd, tmp_path):
    rows = [f"{path.relative_to(odd).as_posix()},{path.parent.name}" for path in sorted(odd.rglob("*.png"))]
    options = ("--offline", "--executor", "inline", "--cache", tmp_path / "cache")
    for run, size in enumerate((2, 3)):
        lines = [f"{row},{number // size}" for number, row in enumerate(rows)]
        (tmp_path / "odd.csv").write_text("\n".join(["image,label,group", *lines]))
        code, out, error = search("run", space(), "--data", tmp_path / "odd.csv", *options)
        assert code == run, out + error
    assert "the images, their labels or groups changed" in error


def test_a_synthetic_copy_of_another_image_than_its_source_follows_that_one_too(search, space, odd, tmp_path):
    pool = tmp_path / "odd-synthetic"
    pool.mkdir()
    with Image.open(odd / "dog" / "07.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(pool / "a.png")
    (pool / "manifest.csv").write_text("image,label,sources\na.png,dog,dog/09.png\n")
    options = ("--data", odd, "--offline", "--executor", "inline", "--cache", tmp_path / "cache")
    code, out, _ = search("run", space(), *options)
    assert code == 0
    assert "Of these 1 look like real images that they do not name" in out
    table = (tmp_path / "results" / "space-odd" / "synthetic.csv").read_text().splitlines()
    assert table[1].endswith(",dog/09.png,dog/07.png")


def test_folds_of_arrays_are_copies_as_the_cache_may_go(search, space, odd, tmp_path):
    assert search("pack", odd, "--to", tmp_path / "odd.npz")[0] == 0
    code, out, _ = search("folds", space(), "--data", tmp_path / "odd.npz", "--to", tmp_path / "folds")
    assert code == 0
    assert " copies and plan.csv" in out
    files = list((tmp_path / "folds").rglob("*.png"))
    assert files
    assert not any(path.is_symlink() for path in files)


def test_a_page_that_cannot_be_written_is_refused_before_the_work(search, space, odd, tmp_path):
    code, out, error = search("check", space(), "--data", odd, "--offline", "--html", tmp_path / "none" / "page.html")
    assert code == 1
    assert error.startswith(f"Error: {tmp_path / 'none' / 'page.html'} cannot be written")
    assert "Data:" not in out


def test_images_in_the_folder_of_the_search_are_refused(search, space, odd, tmp_path):
    inside = tmp_path / "results" / "kept" / "odd"
    inside.parent.mkdir(parents=True)
    odd.rename(inside)
    code, _, error = search("run", space(), "--data", inside, "--name", "kept", "--offline", "--fresh")
    assert code == 1
    assert "lie within results/kept, the folder of the search" in error
    assert inside.is_dir()
