"""The files of a search on their way to another machine: whole, or refused."""

import dataclasses

import numpy as np
import pytest
from kit.runs import materials, write_pool

from search.executors import parcel
from search.executors.parcel import are_here, items_of, moved, packed, unpacked
from search.executors.place import Supplies, _cache, identity_of
from search.system.errors import UserError


@pytest.fixture
def stuff(shapes, tmp_path):
    pool = write_pool(tmp_path / "pool", shapes)
    return materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,), pool=pool)


def test_images_real_and_synthetic_arrive_as_they_are(stuff, tmp_path, monkeypatch):
    monkeypatch.setattr(parcel, "CHUNK_BYTES", 500)
    items, there = items_of(stuff), tmp_path / "there"
    assert len(items) == len({*stuff.contents, *stuff.pool.contents})
    assert are_here(items)
    chunks = list(packed(items))
    assert len(chunks) > 3
    for path in (*stuff.paths, *stuff.pool.paths):
        path.rename(path.with_suffix(".away"))
    assert not are_here(items)
    folder = unpacked(items, lambda: chunks, there)
    assert folder.parent == there / "unpacked"
    elsewhere = moved(stuff, items, folder)
    pairs = zip((*stuff.paths, *stuff.pool.paths), (*elsewhere.paths, *elsewhere.pool.paths), strict=True)
    for here, other in pairs:
        assert other.read_bytes() == here.with_suffix(".away").read_bytes()
        assert other.suffix == here.suffix
    assert elsewhere.keras_home == stuff.keras_home
    assert unpacked(items, lambda: pytest.fail("it came before"), there) == folder


def test_weights_travel_too(stuff, tmp_path, imagenet):
    stuff = dataclasses.replace(stuff, keras_home=imagenet.resolve(), weights=with_weights(stuff))
    items = [item for item in items_of(stuff) if item.name.startswith("models/")]
    assert len(items) == 1
    folder = unpacked(items, lambda: packed(items), tmp_path / "there")
    assert (folder / items[0].name).read_bytes() == items[0].path.read_bytes()
    assert moved(dataclasses.replace(stuff, paths=(), contents=(), pool=None), items, folder).keras_home == folder


def with_weights(stuff):
    from search.repertoire.backbones.table import BACKBONES
    from search.repertoire.weights import weights_sha256

    return {"SmallCNN": "", "MobileNet_0.25": weights_sha256(BACKBONES["MobileNet_0.25"])}


def test_what_is_damaged_on_its_way_is_refused(stuff, tmp_path):
    items = items_of(stuff)
    (chunk,) = packed(items)
    data = chunk.data.copy()
    data[-1] ^= 1
    damaged = dataclasses.replace(chunk, data=data)
    with pytest.raises(UserError, match="was damaged on its way"):
        unpacked(items, lambda: [damaged], tmp_path / "there")
    unpacked(items, lambda: [chunk], tmp_path / "there")  # nothing of the damaged one is left


def test_an_image_that_changes_is_not_sent(stuff):
    stuff.paths[3].write_bytes(b"another one")
    assert not are_here(items_of(stuff))
    with pytest.raises(UserError, match="changed while the search ran"):
        list(packed(items_of(stuff)))
    stuff.paths[3].unlink()
    with pytest.raises(UserError, match="cannot be sent to another machine: No such file"):
        list(packed(items_of(stuff)))


def test_the_drivers_cache_is_used_only_on_its_own_machine(stuff, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    here = Supplies(stuff, (), None, identity_of(stuff.cache))
    assert here.identity
    assert _cache(here) == stuff.cache.resolve()
    users = (tmp_path / "xdg" / "finetune-search").resolve()
    assert _cache(dataclasses.replace(here, identity="another boot 1 2")) == users
    assert _cache(dataclasses.replace(here, identity="")) == users
    assert _cache(dataclasses.replace(here, cache="$SCRATCH/cache")) == (tmp_path / "scratch" / "cache").resolve()
    assert identity_of(tmp_path / "nowhere") == ""


def test_a_chunk_holds_a_large_file_alone(stuff, monkeypatch):
    monkeypatch.setattr(parcel, "CHUNK_BYTES", 1)
    items = items_of(stuff)
    chunks = list(packed(items))
    assert [len(chunk.items) for chunk in chunks] == [1] * len(items)
    assert all(np.array_equal(chunk.data, np.fromfile(chunk.items[0].path, np.uint8)) for chunk in chunks)
