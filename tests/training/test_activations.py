"""Inputs of the trained part: the same whether stored or computed, made once by many, and never whole in memory."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kit.networks import linear_shape
from kit.runs import materials, run

from search.repertoire.augmentation import POLICIES, Augment
from search.repertoire.recipe import Recipe
from search.system.tf import tf
from search.training.activations import BATCH, PLAIN, Activations, Computed, Images
from search.training.compiled import CompiledNetwork
from search.training.network import build
from search.training.trainer import Trainer

SIZE = 32
ROUNDED = 1e-5  # of the largest number
ROWS = BATCH + 5
CROPS = Augment("flip_crop")


def untrained(shape):
    return CompiledNetwork(shape, lambda: build(shape, 2, pretrained=False))


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, SIZE, SIZE, 3)).astype(np.uint8)
    return Images(pixels, [f"content {row}" for row in range(ROWS)], "key")


@pytest.fixture(scope="module", params=[("SmallCNN", 4), ("MobileNet_0.25", 0), ("MobileNet_0.25", 2)], ids=str)
def network(request):
    return untrained(linear_shape(*request.param, SIZE))


@pytest.mark.parametrize("policy", ["none", "flip_crop"])
def test_what_does_not_fit_is_computed_for_the_rows_that_are_asked_for(policy, network, images, tmp_path):
    augment = Augment(policy)
    kept = Activations(tmp_path / "kept", "w", 7).of(network, images, augment, 1)
    computed = Activations(tmp_path / "not", "w", 7, limit=0).of(network, images, augment, 1)
    assert not (tmp_path / "not").exists()
    assert isinstance(computed, Computed) != (not network.shape.frozen and policy == "none")
    assert (computed.shape, computed.dtype) == (kept.shape, kept.dtype)
    assert len(computed) == len(kept) == ROWS
    order = np.random.default_rng(1).permutation(ROWS)
    for rows in (order, order[:3], order[:0], slice(2, 9), slice(None), np.array([4, 4])):
        assert computed[rows].dtype == kept.dtype
        # Some processors sum batches of other lengths in another order.
        np.testing.assert_allclose(computed[rows], kept[rows], atol=ROUNDED * np.abs(kept[:]).max())


def test_the_bound_counts_all_views_of_a_recipe_and_what_is_there_is_used(images, tmp_path):
    scratch = untrained(linear_shape("SmallCNN", 4, SIZE))
    limit = 8 * images.pixels.nbytes
    small = Activations(tmp_path, "w", 7, limit, views=4)
    large = Activations(tmp_path, "w", 7, limit, views=5)
    assert isinstance(large.of(scratch, images, CROPS, 0), Computed)
    assert isinstance(small.of(scratch, images, CROPS, 0), np.memmap)
    assert isinstance(large.of(scratch, images, CROPS, 0), np.memmap)
    assert isinstance(large.of(scratch, images, CROPS, 1), Computed)
    assert isinstance(large.of(untrained(linear_shape("MobileNet_0.25", 0, SIZE)), images, PLAIN, 0), np.memmap)


def test_one_trace_serves_batches_of_every_length(images, tmp_path):
    net = untrained(linear_shape("MobileNet_0.25", 1, SIZE))
    for view in range(2):
        Activations(tmp_path, "w", 7).of(net, images, CROPS, view)
    Activations(tmp_path, "w", 7, limit=0).of(net, images, CROPS, 3)[np.arange(3)]
    assert net.network.prefix.experimental_get_tracing_count() == 1


def test_images_larger_than_usual_come_in_smaller_batches():
    pixels = np.zeros((6, 512, 512, 3), np.uint8)
    shown = []

    class Network:
        row_shape = (1,)

        def prefix(self, batch):
            shown.append(len(batch))
            return tf.zeros((len(batch), 1))

    Computed(
        CompiledNetwork(linear_shape("MobileNetV2_0.35", 0, 512), Network),
        Images(pixels, list("abcdef"), ""),
        PLAIN,
        0,
        7,
    )[:]
    assert shown == [3, 3]


def test_an_image_that_cannot_be_drawn_is_an_error_and_no_entry(images, tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    failing = dataclasses.replace(POLICIES["flip_crop"], draw=fail)
    monkeypatch.setitem(POLICIES, "flip_crop", failing)
    with pytest.raises(ZeroDivisionError):
        Activations(tmp_path, "w", 7).of(untrained(linear_shape("SmallCNN", 4, SIZE)), images, CROPS, 0)
    assert not list((tmp_path / "activations").iterdir())


@pytest.mark.parametrize(
    ("backbone", "depth"),
    [("MobileNet_0.25", 0), ("MobileNet_0.25", 1), pytest.param("MobileNetV2_0.35", 2, marks=pytest.mark.slow)],
)
def test_runs_agree_whether_activations_are_stored_or_not(
    backbone, depth, photographs, imagenet, tmp_path, monkeypatch
):
    root = photographs / "tiny_flowers3"
    shared = {"size": 64, "folds": 3, "train_fractions": (1.0,), "weights": [backbone]}
    recipe = Recipe(backbone, image_size=64, unfrozen_blocks=depth, epochs=3, augment=Augment("color"), views=2)
    stored = run(Trainer(materials(root, tmp_path / "cache", **shared)), recipe, "f0", "f1", "f2")
    assert len(list((tmp_path / "cache" / "activations").iterdir())) == 3
    monkeypatch.setattr("search.training.activations.worth_keeping", lambda *_: False)
    computed = run(Trainer(materials(root, tmp_path / "other", **shared)), recipe, "f0", "f1", "f2")
    assert not (tmp_path / "other" / "activations").exists()
    worst = max(np.abs(a.probabilities - b.probabilities).max() for a, b in zip(stored, computed, strict=True))
    assert worst <= 1e-4


SHARING = """
import os, sys, time
from pathlib import Path
import numpy as np
import search.training.activations as prefix
from search.training.network import build
from search.training.compiled import CompiledNetwork
from search.repertoire.augmentation import POLICIES, Augment
from search.repertoire.shape import Shape

cache, log, mine, other = map(Path, sys.argv[1:])
write = prefix.write_rows

def noted(path, *rows):
    with log.open("a") as file:
        file.write(f"{mine.name} {path.parent.name.split('.')[1]}\\n")
    time.sleep(0.1)
    write(path, *rows)

prefix.write_rows = noted
images = prefix.Images(np.zeros((9, 32, 32, 3), np.uint8), list("abcdefghi"), "key")
shape = Shape("SmallCNN", 4, 32, "linear", "adamw")
network = CompiledNetwork(shape, lambda: build(shape, 2, pretrained=False))
activations = prefix.Activations(cache, "w", 7)
mine.touch()
while not other.exists():
    time.sleep(0.01)
activations.ensure(network, images, Augment("flip_crop"), range(8))
assert len(list((cache / "activations").glob("[!.]*"))) == 8
for view in range(8):
    assert activations.of(network, images, Augment("flip_crop"), view).shape == (9, 32, 32, 3)
"""


def test_two_processes_that_want_the_same_views_share_the_work(tmp_path):
    log = tmp_path / "log"
    a, b = tmp_path / "a", tmp_path / "b"
    workers = [
        subprocess.Popen([sys.executable, "-c", SHARING, tmp_path / "cache", log, *each]) for each in ((a, b), (b, a))
    ]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    makers, views = zip(*(line.split() for line in log.read_text().splitlines()), strict=True)
    assert len(views) == len(set(views)) == 8
    assert set(makers) == {"a", "b"}
    assert not list((tmp_path / "cache" / "activations").glob(".*"))


MEMORY = """
import hashlib, os, sys, threading, time
from pathlib import Path
import numpy as np
from PIL import Image
from search.data.images import decode
from search.training.network import build
from search.training.compiled import CompiledNetwork
from search.training.activations import Activations, Images
from search.repertoire.augmentation import POLICIES, Augment
from search.repertoire.shape import Shape

def anonymous():
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) * 1024

def growth(work):
    start = most = anonymous()
    done = threading.Thread(target=work)
    done.start()
    while done.is_alive():
        most = max(most, anonymous())
        time.sleep(0.01)
    return most - start

folder = Path(sys.argv[1])
backbone, depth = sys.argv[2:]
file = folder / "image.png"
Image.new("RGB", (8, 8), "red").save(file)
content = hashlib.sha256(file.read_bytes()).hexdigest()
rows = 3000
if backbone == "decode":
    grown = growth(lambda: decode([file] * rows, [content] * rows, 160, folder / "cache"))
else:
    size, rows = 64, 8000
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=(rows, size, size, 3))
    shape = Shape(backbone, int(depth), size, "linear", "adamw")
    network = CompiledNetwork(shape, lambda: build(shape, 2, pretrained=False))
    activations = Activations(folder / "cache", "w", 7)
    few = Images(pixels[:100], [str(row) for row in range(100)], "few")
    activations.of(network, few, Augment("flip_crop"), 0)
    images = Images(pixels, [str(row) for row in range(rows)], "key")
    grown = growth(lambda: activations.of(network, images, Augment("flip_crop"), 0))
stored = max(path.stat().st_size for path in (folder / "cache").rglob("*.npy"))
print(grown, stored)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is counted by Linux")
@pytest.mark.parametrize("what", [("decode", "0"), ("MobileNetV2_0.35", "4")], ids=str)
def test_what_is_stored_is_never_whole_in_memory(what, tmp_path):
    command = [sys.executable, "-c", MEMORY, tmp_path, *what]
    grown, stored = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert stored > 200e6
    assert grown < stored / 3
