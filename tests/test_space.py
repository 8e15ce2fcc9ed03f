"""A space file's mistakes are told by file, line and way out; what it may choose from is what is at hand."""

import importlib
import shutil
import sys
import types
from pathlib import Path

import pytest

from search.repertoire.backbones.table import BACKBONES
from search.repertoire.recipe import Recipe
from search.repertoire.synthetic import Synthetic
from search.repertoire.weights import weights_folder
from search.space import (
    Hand,
    amounts_at_hand,
    at_hand,
    build_recipe,
    holding,
    image_sizes,
    load_space_file,
    methods_at_hand,
    sizes_in_words,
    sizes_of,
)
from search.study import Study
from search.system.commands import first_command
from search.system.errors import UserError

SPACES = Path(__file__).resolve().parents[1] / "spaces"
GOOD = '''"""A space."""

from search import Recipe, Study

study = Study(data="images", max_trials=3)
RATES = [0.001, 0.01]


def space(hp):
    """Say what varies."""
    return Recipe("SmallCNN", None, learning_rate=RATES[hp])
'''


@pytest.fixture
def space_file(tmp_path):
    def write(text):
        path = tmp_path / "space.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(path):
    with pytest.raises(UserError) as error:
        load_space_file(path)
    return str(error.value)


def test_a_space_file_gives_its_study_and_a_space_that_sees_its_constants(space_file):
    loaded = load_space_file(space_file(GOOD))
    assert loaded.study == Study(data="images", max_trials=3)
    assert loaded.text == GOOD
    assert loaded.space(1) == Recipe("SmallCNN", None, learning_rate=0.01)


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.py")), ids=lambda path: path.name)
def test_the_space_files_that_come_along_load(path):
    assert load_space_file(path).study.folds >= 2


def test_a_missing_file_is_named_with_the_default(tmp_path):
    assert refusal(tmp_path / "no.py") == (
        f"There is no space file {tmp_path / 'no.py'} (in {Path.cwd()}). With the default one: {first_command('run')}"
    )


def test_what_is_no_text_cannot_be_read(tmp_path):
    (tmp_path / "latin.py").write_bytes("# Größe".encode("latin-1"))
    assert refusal(tmp_path).startswith(f"{tmp_path} is a folder, where a space file is wanted")
    assert refusal(tmp_path / "latin.py").startswith(f"{tmp_path / 'latin.py'} is no text in UTF-8, where a space file")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("RATES = [", "RATES = = [", ", line 6: invalid syntax.\n    RATES = = [0.001, 0.01]"),
        ("study =", "studie =", ' defines no study. Add a line such as study = Study(data="data/my-images").'),
        ("Study(data", "dict(data", ": study must be a Study(…), but is dict."),
        ("def space", "def spaces", " defines no space. Add a function space(hp) that returns a Recipe(…)."),
        ("def space(hp):", "space = 3\n\n\ndef other(hp):", ": space must be a function space(hp), but is int."),
        ("RATES = [0.001,", "RATES = [1 / 0,", ", line 6: ZeroDivisionError: division by zero"),
        ("import Recipe", "import Recipes", ", line 3: ImportError: cannot import name 'Recipes'"),
        ("max_trials=3", "max_trials=0", ", line 5: max_trials=0 must be a whole number, 1 or more."),
        (
            "max_trials=3",
            "max_trial=3",
            ", line 5: Study has no field 'max_trial'. Did you mean 'max_trials'? Its fields",
        ),
        ('data="images", ', "", ", line 5: Study(…) lacks 'data', which has no default."),
        ("max_trials=3", "max_trials=3,\n    oracle='hyperband'", ", line 6: oracle='hyperband' is not needed: racing"),
        ("max_trials=3", "folds=5,\n    seed=-1", ", line 6: seed=-1 must be a whole number, 0 or more."),
    ],
    ids=lambda part: part[:12],
)
def test_a_mistake_in_a_space_file_is_told_by_file_and_line(space_file, old, new, message):
    assert old in GOOD
    path = space_file(GOOD.replace(old, new, 1))
    assert refusal(path).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {'backbone': 'SmallCNN'}", ": space(hp) must return a Recipe(…), but returned dict."),
        ("pass", ": space(hp) must return a Recipe(…), but returned NoneType."),
        ("return hp.Choice('x', [1])", ", line 4, in space(hp): AttributeError: 'int' object has no attribute"),
        ("return Recipe('SmalCNN', None)", ", line 4: backbone='SmalCNN' is not known. Did you mean 'SmallCNN'?"),
        (
            "return Recipe(\n        'SmallCNN',\n        unfrozen_blocks=None,\n        learnig_rate=1e-3)",
            ", line 7: Recipe has no field 'learnig_rate'. Did you mean 'learning_rate'? Its fields are: backbone, unf",
        ),
        (
            "return Recipe(\n        'MobileNet_0.25',\n        epochs=3,\n        unfrozen_blocks=9)",
            ", line 7: unfrozen_blocks=9 with backbone='MobileNet_0.25', which has 5 blocks: it must be a whole number",
        ),
        (
            "return Recipe(Augment('color', strenght=1))",
            ", line 4: Augment('color', …) has no field 'strenght'. Did you mean 'strength'",
        ),
        (
            "return Recipe(Synthetic(8))",
            ", line 4: Synthetic(…) has 1 values without a name, and takes 0 at most. Write",
        ),
        ("return Recipe()", ", line 4: Recipe(…) lacks 'backbone', which has no default."),
    ],
)
def test_a_mistake_in_a_space_is_told_by_file_and_line(space_file, body, message):
    names = "Augment, Recipe, Study, Synthetic"
    text = f"from search import {names}\nstudy = Study(data='images')\ndef space(hp):\n    {body}\n"
    path = space_file(text)
    with pytest.raises(UserError) as error:
        build_recipe(load_space_file(path).space, 0, 64, path)
    assert str(error.value).startswith(f"{path}{message}")


def test_a_recipe_without_an_image_size_gets_the_studys():
    assert build_recipe(lambda _: Recipe("SmallCNN", None), 0, 96, Path("s.py")).image_size == 96
    assert build_recipe(lambda _: Recipe("SmallCNN", None, image_size=48), 0, 96, Path("s.py")).image_size == 48


def test_a_byte_order_mark_is_no_text(tmp_path):
    text = "from search import Study\nstudy = Study(data='x')\ndef space(hp): ...\n"
    (tmp_path / "marked.py").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_space_file(tmp_path / "marked.py").text == text


def test_a_syntax_error_in_an_imported_module_names_that_module(tmp_path, monkeypatch):
    (tmp_path / "broken_helper.py").write_text("a = 1\n\nb = (\n")
    (tmp_path / "s.py").write_text("import broken_helper\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"broken_helper.py, line 3"):
        load_space_file(tmp_path / "s.py")


def test_a_space_file_that_exits_is_an_error(tmp_path):
    (tmp_path / "s.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(UserError, match="line 2: SystemExit"):
        load_space_file(tmp_path / "s.py")


ONE, OTHER = "MobileNet", "VGG16"


@pytest.fixture(autouse=True)
def keras_home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def cache(name):
    weights_folder().mkdir(parents=True, exist_ok=True)
    (weights_folder() / BACKBONES[name].weights.file).write_bytes(b"weights")


def test_without_a_driver_what_is_cached_is_at_hand():
    assert at_hand([ONE, "SmallCNN", OTHER]) == ["SmallCNN"]
    cache(OTHER)
    assert at_hand([ONE, OTHER, "SmallCNN"]) == [OTHER, "SmallCNN"]
    assert amounts_at_hand([0, 8]) == [0]


def test_a_driver_learns_what_is_asked_for_and_gives_all_of_it():
    with holding(Hand()) as held:
        assert at_hand([OTHER, ONE]) == [OTHER, ONE]
        assert at_hand(["SmallCNN", ONE]) == ["SmallCNN", ONE]
    assert held.requests == [OTHER, ONE, "SmallCNN"]


def test_a_driver_gives_what_it_holds_whatever_is_cached():
    cache(ONE)
    with holding(Hand(weights={"SmallCNN": "", OTHER: "abc"})):
        assert at_hand([OTHER, ONE, "SmallCNN"]) == [OTHER, "SmallCNN"]
        with holding(Hand(weights={ONE: "abc"})):
            assert at_hand([OTHER, ONE]) == [ONE]
        assert at_hand([OTHER, ONE]) == [OTHER]
    assert at_hand([OTHER, ONE]) == [ONE]


def test_amounts_are_at_hand_where_there_is_a_pool():
    with holding(Hand(synthetic=True)):
        assert amounts_at_hand((0, 8, 32)) == [0, 8, 32]
    with holding(Hand(synthetic=False)):
        assert amounts_at_hand((0, 8, 32)) == [0]
        assert amounts_at_hand([0.0, 0.5]) == [0]


def test_methods_at_hand_are_those_of_the_pool():
    every = ["compose", "gan", "copies"]
    for held in (Hand(), Hand(synthetic=False, methods=()), None):
        with holding(held):
            assert methods_at_hand(every) == every
    with holding(Hand(methods=("copies", "gan", "mine"))):
        assert methods_at_hand(every) == ["gan", "copies"]
    with holding(Hand(methods=("mine",))), pytest.raises(UserError) as error:
        methods_at_hand(every)
    assert "the synthetic images of the study were made by mine. Name these, or make others: " in str(error.value)
    assert "search synthesize SPACE --to POOL --method compose" in str(error.value)


def test_names_of_amounts_keep_the_first_where_there_is_no_pool():
    amounts = {"none": 0, "half": 0.5, "rare": {"cat": 480}}
    with holding(Hand(synthetic=True)):
        assert amounts_at_hand(amounts) == ["none", "half", "rare"]
        assert amounts_at_hand([0, {"cat": 3}]) == [0, {"cat": 3}]
    for held in (Hand(synthetic=False), None):
        with holding(held):
            assert amounts_at_hand(amounts) == ["none"]
            assert amounts_at_hand([{"cat": 3}, 0]) == [0]


def test_a_zero_among_ratios_is_a_ratio():
    with holding(Hand(synthetic=True)):
        assert [repr(amount) for amount in amounts_at_hand([0, 0.5, 1.0])] == ["0.0", "0.5", "1.0"]
        assert [repr(amount) for amount in amounts_at_hand([0, 8])] == ["0", "8"]
        assert [repr(amount) for amount in amounts_at_hand([0, 8, 0.5])] == ["0", "8", "0.5"]


def test_no_amounts_are_refused():
    with pytest.raises(UserError, match="has no amounts"):
        amounts_at_hand([])


@pytest.mark.parametrize("held", [None, Hand(weights={"SmallCNN": ""})], ids=["no driver", "driver"])
def test_nothing_at_hand_names_the_network_that_comes_along(held):
    with holding(held), pytest.raises(UserError) as error:
        at_hand([ONE, OTHER])
    assert str(error.value) == (
        f"at_hand(['{ONE}', '{OTHER}']): no weights of any of them are at hand. python -m search backbones says how "
        "to get them. Or name others: --backbones EfficientNetLite0,Embedded takes those that pip has installed."
    )


def test_an_unknown_backbone_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"^at_hand backbone='MobileNetv2' is not known\. Did you mean 'MobileNetV2'"):
        at_hand(["SmallCNN", "MobileNetv2"])


@pytest.mark.parametrize(
    ("native", "sizes"),
    [(64, [64]), (96, [96, 128]), (100, [100, 144]), (160, [160, 224]), (200, [200, 224]), (256, [256])],
)
def test_image_sizes_are_the_native_one_and_a_step_up_to_a_cap(native, sizes):
    with holding(Hand(sizes=sizes_of(native))) as held:
        assert not held.sized
        assert image_sizes() == sizes
        assert held.sized
    with holding(Hand(sizes=sizes_of(native, fixed=True))):
        assert image_sizes() == [native]


def test_what_image_sizes_cost_is_said():
    assert sizes_in_words(sizes_of(160)) == "Image sizes: 160 px, or 224 px at 2.0 times the cost"
    assert sizes_in_words(sizes_of(256)) == "Image sizes: 256 px"


def test_without_a_driver_image_sizes_are_those_of_photographs():
    assert image_sizes() == [160, 224]


def test_asking_outside_of_the_space_is_refused():
    for ask in (lambda: at_hand(["SmallCNN"]), lambda: amounts_at_hand([0, 8]), image_sizes):
        with holding(Hand(ready=False)), pytest.raises(UserError, match=r"inside space\(hp\)"):
            ask()


def test_amounts_may_be_values_of_their_own_kind():
    amounts = [Synthetic(), Synthetic(count=8)]
    with holding(Hand(synthetic=True)):
        assert amounts_at_hand(amounts) == amounts
        names = {"none": Synthetic(), "few": Synthetic(count=8)}
        assert amounts_at_hand(names) == ["none", "few"]
    with holding(Hand(synthetic=False)):
        assert amounts_at_hand(amounts) == [Synthetic()]


def beside(folder, rates="[0.0, 0.2]", name="rates"):
    """Write a space file with a module beside it; another one is imported only when the space is called."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(f"RATES = {rates}\n\ndef images():\n    import late\n    return late.IMAGES\n")
    (folder / "late.py").write_text("IMAGES = 'images'\nEPOCHS = 3\n")
    space = f"""from search import Recipe, Study
from {name} import RATES, images
study = Study(data=images)
def space(hp):
    from late import EPOCHS
    return Recipe("SmallCNN", None, dropout=RATES[hp], epochs=EPOCHS)
"""
    (folder / "space.py").write_text(space)
    return folder / "space.py"


def test_modules_beside_a_space_are_found_from_anywhere_and_their_texts_are_known(tmp_path):
    loaded = load_space_file(beside(tmp_path / "one"))
    assert set(loaded.modules) == {"rates.py"}
    assert build_recipe(loaded.space, 1, 64, loaded.path).dropout == 0.2
    assert set(loaded.modules) == {"rates.py", "late.py"}
    assert loaded.modules["rates.py"] == (tmp_path / "one" / "rates.py").read_text()
    assert loaded.study.data_folder() == Path("images")
    assert not {"rates", "late"} & set(sys.modules)
    assert str(tmp_path / "one") not in sys.path


def test_two_spaces_with_modules_of_one_name_have_each_their_own(tmp_path, monkeypatch):
    one, other = load_space_file(beside(tmp_path / "one")), load_space_file(beside(tmp_path / "two", "[0.5, 0.6]"))
    monkeypatch.syspath_prepend(str(tmp_path / "one"))
    __import__("rates")  # by somebody else, in this process
    edited = load_space_file(beside(tmp_path / "two", "[0.7, 0.8]"))
    assert [each.space(1).dropout for each in (one, other, edited)] == [0.2, 0.6, 0.8]
    assert sys.modules.pop("rates").RATES == [0.0, 0.2]


def test_what_is_installed_is_no_module_beside_a_space(tmp_path):
    beside(tmp_path, name="json")  # as in the standard library, where it is loaded already
    with pytest.raises(UserError, match="cannot import name 'RATES' from 'json'"):
        load_space_file(tmp_path / "space.py")
    text = "import numpy, search.study\nfrom search import Study\nstudy = Study(data='x')\ndef space(hp): ...\n"
    (tmp_path / "plain.py").write_text(text)
    assert load_space_file(tmp_path / "plain.py").modules == {}
    assert load_space_file(SPACES / "finetune.py").modules == {}


@pytest.fixture
def namespaces(tmp_path):
    """Two folders with a space, whose modules of the same names lie in folders without ``__init__.py``."""
    for name, rates in (("one", "[0.0, 0.2]"), ("two", "[0.5, 0.6]")):
        deep = tmp_path / name / "lib" / "deep"
        deep.mkdir(parents=True)
        (deep / "rates.py").write_text(f"RATES = {rates}\n")
        (tmp_path / name / "space.py").write_text(
            "from lib.deep.rates import RATES\nfrom search import Recipe, Study\nstudy = Study(data='x')\n"
            "def space(hp): return Recipe('SmallCNN', None, dropout=RATES[hp])\n"
        )
    return tmp_path


def kept(loaded, folder):
    """The space as a search keeps it, in a folder of its own."""
    for name, text in loaded.modules.items():
        (folder / "modules" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "modules" / name).write_text(text)
    (folder / "space.py").write_text(loaded.text)
    return load_space_file(folder / "space.py", folder / "modules")


def test_modules_in_folders_without_an_init_are_known_kept_and_each_spaces_own(namespaces):
    one, two = (load_space_file(namespaces / name / "space.py") for name in ("one", "two"))
    assert [each.space(1).dropout for each in (one, two, one)] == [0.2, 0.6, 0.2]
    assert two.modules == {"lib/deep/rates.py": "RATES = [0.5, 0.6]\n"}
    assert not [name for name in sys.modules if name.partition(".")[0] == "lib"]
    again = kept(two, namespaces / "kept")
    shutil.rmtree(namespaces / "two")
    assert again.space(1).dropout == 0.6
    assert again.modules == two.modules


def test_modules_on_a_path_that_a_space_adds_are_found_again_where_they_are_kept(tmp_path):
    path = beside(tmp_path / "one" / "lib").rename(tmp_path / "one" / "space.py")
    add = "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent / 'lib'))\n"
    path.write_text(add + path.read_text())
    before = list(sys.path)
    loaded = load_space_file(path)
    assert loaded.space(1).dropout == 0.2
    assert loaded.modules.keys() == {"rates.py", "late.py"}
    assert sys.path == before
    assert kept(loaded, tmp_path).space(1).dropout == 0.2
    assert not {"rates", "late"} & set(sys.modules)


def test_what_somebody_else_has_imported_from_below_a_space_stays_theirs(namespaces, monkeypatch):
    monkeypatch.syspath_prepend(str(namespaces / "one"))
    theirs = importlib.import_module("lib.deep.rates")
    load_space_file(namespaces / "one" / "space.py").space(1)
    assert sys.modules["lib.deep.rates"] is theirs
    assert load_space_file(namespaces / "two" / "space.py").space(1).dropout == 0.6
    for name in ("lib", "lib.deep", "lib.deep.rates"):
        assert sys.modules.pop(name)


def test_what_somebody_else_imports_or_exchanges_between_two_calls_of_a_space_stays_theirs(namespaces, monkeypatch):
    two = load_space_file(namespaces / "two" / "space.py")
    assert [two.space(1).dropout, two.space(0).dropout] == [0.6, 0.5]
    monkeypatch.syspath_prepend(str(namespaces / "one"))
    theirs = importlib.import_module("lib.deep.rates")
    assert two.space(1).dropout == 0.6
    assert sys.modules["lib.deep.rates"] is theirs
    exchanged = types.ModuleType("lib.deep.rates")
    exchanged.__file__ = theirs.__file__
    sys.modules["lib.deep.rates"] = exchanged
    assert two.space(1).dropout == 0.6
    assert sys.modules["lib.deep.rates"] is exchanged
    for name in ("lib", "lib.deep", "lib.deep.rates"):
        assert sys.modules.pop(name)
    assert two.space(1).dropout == 0.6


def test_a_module_that_is_no_text_cannot_be_kept(tmp_path):
    path = beside(tmp_path)
    (tmp_path / "rates.py").write_bytes("# -*- coding: latin-1 -*-\nRATES, images = [0.0], 'é'\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"rates\.py, which the space imports, is no text in UTF-8.*Save it as UTF-8"):
        load_space_file(path)
    assert "rates" not in sys.modules


def test_what_a_study_names_stands_in_for_the_backbones_of_a_space():
    with holding(Hand(backbones=("SmallCNN", "Embedded"))) as held:
        assert at_hand(["VGG16", "ResNet50"]) == ["SmallCNN", "Embedded"]
    assert held.requests == ["SmallCNN", "Embedded"]
    with holding(Hand(backbones=("Embeded",))), pytest.raises(UserError, match=r"backbones='Embeded'.*Did you mean"):
        at_hand(["VGG16"])
    assert Study("data", backbones="SmallCNN, Embedded,SmallCNN").backbones == ("SmallCNN", "Embedded")
    assert Study("data").recorded.keys().isdisjoint({"backbones"})
    again = Study("data").as_recorded(Study("data", backbones=["Embedded"]).recorded)
    assert again.backbones == ("Embedded",)
    for wrong in ((), 3, [3]):
        with pytest.raises(UserError, match="must be names"):
            Study("data", backbones=wrong)
