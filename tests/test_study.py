"""A study is checked when it is made; a space file's mistakes are told by file, line and way out."""

from pathlib import Path

import pytest

from search.repertoire.recipe import Recipe
from search.space import build_recipe, load_space_file
from search.study import Study
from search.system.errors import UserError

pytestmark = pytest.mark.quick

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


@pytest.mark.parametrize(
    ("field", "value", "way_out"),
    [
        ("objective", "balanced_acuracy", "Did you mean 'balanced_accuracy'?"),
        ("oracle", "hyperband", "Choose one of: tpe, random, bayesian, grid."),
        ("trust_unsourced", "no", "must be True or False"),
        ("folds", 1, "a whole number, 2 or more"),
        ("folds", 5.0, "a whole number, 2 or more"),
        ("repeats", 0, "a whole number, 1 or more"),
        ("max_trials", 0, "a whole number, 1 or more"),
        ("seed", -1, "a whole number, 0 or more"),
        ("seed", None, "a whole number, 0 or more"),
        ("image_size", 16, "a whole number, from 32 to 1024"),
        ("train_fractions", 1.0, "a list of numbers in (0, 1], such as (1.0, 0.25)"),
        ("train_fractions", (), "a list of numbers in (0, 1], such as (1.0, 0.25)"),
        ("train_fractions", (0.5, 0.25), "must hold 1.0 (the regular folds) and no value twice"),
        ("train_fractions", (1.0, 0.5, 0.5), "must hold 1.0 (the regular folds) and no value twice"),
        ("groups", "(", "is not a regular expression: missing ), unterminated subpattern at position 0"),
        ("groups", 3, "must be 'auto', None, a column of the manifest, or a pattern"),
        ("groups", r"\d+", "must hold one (group) in brackets: the part that names the group"),
        ("groups", r"(\d+)_(\d+)", "must hold one (group) in brackets"),
    ],
)
def test_a_wrong_value_is_refused_by_field_and_value_and_way_out(field, value, way_out):
    with pytest.raises(UserError) as error:
        Study(**{"data": "images", field: value})
    assert str(error.value).startswith(f"{field}={value!r} ")
    assert way_out in str(error.value)


@pytest.mark.parametrize("fraction", [0, -0.5, 1.5, "half", float("nan")])
def test_a_training_size_is_a_part(fraction):
    with pytest.raises(UserError) as error:
        Study(data="images", train_fractions=(1.0, fraction))
    assert str(error.value) == f"train_fractions={fraction!r} must be a number, above 0 and at most 1."


def test_data_is_a_folder_or_makes_one():
    with pytest.raises(UserError, match=r"Study\(data=3\) must be a folder, or a function that returns one"):
        Study(data=3)
    assert Study(data="images").data_folder() == Path("images")
    assert Study(data=lambda: Path("made")).data_folder() == Path("made")


def test_training_sizes_are_sorted_largest_first():
    assert Study(data="images", train_fractions=[0.1, 1, 0.5]).train_fractions == (1.0, 0.5, 0.1)


def test_a_replaced_field_is_validated_too():
    study = Study(data="images")
    assert study.replace(folds=3).folds == 3
    assert study.folds == 5
    with pytest.raises(UserError, match="folds=1"):
        study.replace(folds=1)


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
        f"There is no space file {tmp_path / 'no.py'} (in {Path.cwd()}). "
        "The default one is the project's spaces/finetune.py."
    )


def test_what_is_no_text_cannot_be_read(tmp_path):
    (tmp_path / "latin.py").write_bytes("# Größe".encode("latin-1"))
    assert refusal(tmp_path).startswith(f"The space file {tmp_path} cannot be read: ")
    assert refusal(tmp_path / "latin.py").startswith(f"The space file {tmp_path / 'latin.py'} cannot be read: 'utf-8'")


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
        ("max_trials=3", "trials=3", ", line 5: TypeError: Study.__init__() got an unexpected keyword argument"),
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
    ],
)
def test_a_mistake_in_a_space_is_told_by_file_and_line(space_file, body, message):
    text = f"from search import Recipe, Study\nstudy = Study(data='images')\ndef space(hp):\n    {body}\n"
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
