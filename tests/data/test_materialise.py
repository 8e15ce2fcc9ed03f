"""Folders of folds hold every image of the plan once, under a name of its own, or are not written at all."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kit.shapes import write_shapes

from search.data.dataset import Dataset
from search.data.folds import make_plan
from search.data.materialise import materialise
from search.data.readers.folders import read_class_folders
from search.study import Study
from search.system.errors import UserError

pytestmark = pytest.mark.quick


@pytest.fixture
def planned(shapes):
    data = read_class_folders(shapes)
    return data, make_plan(data, Study("shapes", folds=2, holdout=2, train_fractions=(1.0, 0.5)))


def held(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("copy", [False, True])
def test_each_part_of_each_fold_is_a_folder_of_class_folders(planned, tmp_path, copy):
    data, plan = planned
    number = materialise(data, plan, tmp_path / "to", copy=copy)
    table = pd.read_csv(tmp_path / "to" / "plan.csv")
    assert held(tmp_path / "to") == sorted([*table["file"], "plan.csv"])
    assert number == len(table) == sum(len(fold.train) + len(fold.validation) for fold in plan.folds) + 4
    assert {path.name for path in (tmp_path / "to").iterdir()} == {
        "f0",
        "f1",
        "f0@0.5",
        "f1@0.5",
        "holdout",
        "plan.csv",
    }
    for row in table.itertuples():
        file = tmp_path / "to" / row.file
        assert file.is_symlink() != copy
        assert file.read_bytes() == (data.root / row.id).read_bytes()
        assert row.id.startswith(file.parent.name)
    for fold in plan.folds:
        for part, rows in (("train", fold.train), ("validation", fold.validation)):
            own = table[(table["fold"] == fold.id) & (table["part"] == part)]
            assert own["id"].tolist() == [data.ids[row] for row in rows]
            assert own["file"].str.startswith(f"{fold.id}/{part}/").all()
    assert sorted(table[table["fold"] == "holdout"]["id"]) == [data.ids[row] for row in plan.holdout.validation]


def test_links_still_hold_where_the_data_was_named_by_a_relative_path(shapes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = read_class_folders(Path("shapes"))
    materialise(data, make_plan(data, Study("shapes", folds=2)), Path("to"))
    monkeypatch.chdir("/")
    links = list((tmp_path / "to").rglob("*.png"))
    assert links
    assert all(link.readlink().is_absolute() and link.exists() for link in links)


def test_images_of_one_name_are_all_there(tmp_path):
    for folder in ("a/one", "a/two", "a", "b"):
        write_shapes(tmp_path / "data" / folder, {"": 2}, seed=len(folder))
    for name in ("one__x_000.png", "X_000.png", "x_000.PNG"):
        (tmp_path / "data" / "a" / name).write_bytes(
            (tmp_path / "data" / "a" / "_000.png").read_bytes() + name.encode()
        )
    (tmp_path / "data" / "a" / "one" / "x_000.png").write_bytes((tmp_path / "data" / "a" / "_001.png").read_bytes())
    data = read_class_folders(tmp_path / "data")
    materialise(data, make_plan(data, Study("d", splits="shuffle", folds=1, train_fractions=(1.0,))), tmp_path / "to")
    table = pd.read_csv(tmp_path / "to" / "plan.csv")
    assert sorted(table["id"]) == sorted(data.ids)
    assert table["file"].str.lower().is_unique
    for row in table.itertuples():
        assert (tmp_path / "to" / row.file).resolve() == (data.root / row.id).resolve()
    names = dict(zip(table["id"], (Path(file).name for file in table["file"]), strict=True))
    assert names["a/two/_000.png"] == "two___000.png"
    assert {names["a/one/x_000.png"], names["a/one__x_000.png"]} == {"one__x_000.png", "one__x_000-2.png"}


def test_an_image_has_one_name_in_all_folds(planned, tmp_path):
    data, plan = planned
    materialise(data, plan, tmp_path / "to")
    table = pd.read_csv(tmp_path / "to" / "plan.csv")
    names = {(row.id, Path(row.file).name) for row in table.itertuples()}
    assert len(names) == len({id_ for id_, _ in names}) == len(data)


def test_class_names_that_are_no_folder_names_are_made_so(planned, tmp_path):
    data, plan = planned
    odd = dataclasses.replace(data, classes=("../up", "..\\up"))
    materialise(odd, plan, tmp_path / "to" / "here")
    assert {path.name for path in (tmp_path / "to").iterdir()} == {"here"}
    assert len(list((tmp_path / "to" / "here" / "holdout").iterdir())) == 2


def test_only_a_new_or_empty_folder_is_filled(planned, tmp_path):
    data, plan = planned
    (tmp_path / "to").mkdir()
    assert materialise(data, plan, tmp_path / "to")
    before = held(tmp_path / "to")
    with pytest.raises(UserError, match="is not empty"):
        materialise(data, plan, tmp_path / "to")
    assert held(tmp_path / "to") == before
    with pytest.raises(UserError, match="is a file"):
        materialise(data, plan, tmp_path / "to" / "plan.csv")
    for inside in (data.root, data.root / "inside"):
        with pytest.raises(UserError, match="lies within the images"):
            materialise(data, plan, inside)


def test_folds_may_lie_beside_a_manifest(planned, tmp_path):
    data, plan = planned
    listed = dataclasses.replace(data, root=tmp_path, source=tmp_path / "labels.csv")
    table = data.table.assign(id=[f"{data.root.name}/{id_}" for id_ in data.ids])
    assert materialise(dataclasses.replace(listed, table=table), plan, tmp_path / "to")


def test_half_of_it_is_never_left(planned, tmp_path, monkeypatch):
    data, plan = planned
    put = Path.symlink_to

    def full(self, target):
        if "holdout" in self.parts:
            raise OSError(28, "No space left on device")
        put(self, target)

    monkeypatch.setattr(Path, "symlink_to", full)
    with pytest.raises(UserError, match=r"No space left on device.*--copy"):
        materialise(data, plan, tmp_path / "to")
    assert not (tmp_path / "to").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"shapes"}


def test_progress_ends_at_the_whole(planned, tmp_path):
    data, plan = planned
    told = []
    number = materialise(data, plan, tmp_path / "to", progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (number, number)


def test_ids_that_are_no_files_get_the_suffix_of_their_file(tmp_path):
    paths = [tmp_path / f"{row}.png" for row in range(8)]
    for path in paths:
        path.write_bytes(b"x")

    class Arrays(Dataset):
        paths = property(lambda self: paths)

    ids = [f"array-{row}" for row in range(8)]
    table = pd.DataFrame({"id": ids, "label": [0, 1] * 4, "group": ids, "split": "", "content": ids})
    data = Arrays(tmp_path / "arrays.npz", table, ("a", "b"))
    materialise(data, make_plan(data, Study("d", folds=2, train_fractions=(1.0,))), tmp_path / "to")
    assert np.unique([path.suffix for path in (tmp_path / "to" / "f0").rglob("*") if path.is_file()]).tolist() == [
        ".png"
    ]
