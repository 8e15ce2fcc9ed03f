"""What tests share: small real data sets made on the spot, and the real photographs where they are."""

import itertools
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from kit import quick
from kit.shapes import write_shapes
from kit.spaces import SMALL, SPACE
from kit.unpacking import unpacked

# A busy machine is slow, and no test here is about time.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_ignore_collect(collection_path, config):
    """With ``-m quick``, files of other tests are not even read."""
    skipped = config.option.markexpr == "quick" and collection_path.is_file() and not quick.marked(collection_path)
    return skipped or None


def pytest_collection_modifyitems(items):
    """Quick files come last: they fill what long ones leave of the other core at the end."""
    items.sort(key=lambda item: item.get_closest_marker("quick") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """A quick test starts no process and loads no TensorFlow, nor do its fixtures."""
    if item.get_closest_marker("quick") is None:
        return (yield)
    with quick.restricted(item.nodeid):
        return (yield)


def pytest_runtest_setup():
    """What runs first in a process fixes TensorFlow's threads: that is not left to the order of tests."""
    if "search.system.tf" in sys.modules:
        from search.system.machine import cores
        from search.training.trainer import pin_threads

        pin_threads(cores())


@pytest.fixture
def photographs():
    """Real photographs, where they lie beside the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the real photographs in {SHARED / 'data'}")
    return SHARED / "data"


@pytest.fixture(scope="session")
def keras_home():
    """The folder of real ImageNet weights, where it lies beside the project."""
    if not (SHARED / "keras" / "models").is_dir():
        pytest.skip(f"needs the real ImageNet weights in {SHARED / 'keras'}")
    return SHARED / "keras"


@pytest.fixture
def imagenet(monkeypatch, keras_home):
    """Real ImageNet weights, found by the program."""
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    return keras_home


@pytest.fixture
def shapes(tmp_path):
    """Two classes of twelve 32 px images."""
    return write_shapes(tmp_path / "shapes", {"across": 12, "down": 12})


@pytest.fixture
def saved(tmp_path):
    """Save arrays as .npz or an object as .pkl, and unpack it: (rows of the manifest, its folder)."""
    number = itertools.count()

    def save(value=None, protocol=None, **arrays):
        name = next(number)
        file = tmp_path / (f"{name}.npz" if arrays else f"{name}.pkl")
        if arrays:
            np.savez_compressed(file, **arrays)
        else:
            file.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
        return unpacked(file, tmp_path / f"folder{name}")

    return save


@pytest.fixture
def search(tmp_path, monkeypatch, capsys):
    """Run the command line here and now; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    from search.cli.main import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["search", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def space(tmp_path):
    """Write a space file; the default one is right."""

    def write(recipe=SMALL, text=SPACE):
        path = tmp_path / "space.py"
        path.write_text(text.format(recipe=recipe))
        return path

    return write


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished search of three trials with a hold-out, and its recommended model exported beside it."""
    place = tmp_path_factory.mktemp("finished")
    write_shapes(place / "shapes", {"across": 14, "down": 14})
    recipe = '"SmallCNN", None, epochs=6, learning_rate=hp.Choice("learning_rate", [1e-3, 3e-3, 1e-2])'
    (place / "space.py").write_text(SPACE.format(recipe=recipe).replace("max_trials=1", "max_trials=3, holdout=3"))
    from search import KFoldTuner
    from search.cli.main import main
    from search.monitor.console import wide_console
    from search.monitor.screen import Lines

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        screen = Lines(wide_console())
        KFoldTuner("space.py", screen=screen, executor="inline", racing=False, cache="cache", offline=True).search()
        patch.setattr(sys, "argv", ["search", "export", "space-shapes", "--to", "model", "--cache", "cache"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    return place
