"""A module imports only from modules earlier in one order, and few may load TensorFlow."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "search"
ORDER = (
    *("errors", "digests", "clock", "machine", "files", "cache", "catalog"),
    *("amounts", "recipe", "baselines", "study", "hand"),
    *("stats.intervals", "stats.scores", "stats.comparing", "stats.selection", "stats.effects", "stats.survival"),
    "stats.hard",
    *("data.images", "data.dataset"),
    *("readers.paths", "readers.folders", "readers.manifest", "readers.pickles", "readers.npz", "readers.pixels"),
    *("readers.packs", "readers.arrays", "readers.dispatch"),
    *("data.names", "data.shortcuts", "data.duplicates", "data.groups", "data.draws", "data.holdout", "data.folds"),
    *("data.materialise", "data.synthetic", "data.digits", "finding", "audit", "options", "inputs"),
    *("journal", "racing", "folder", "reopen"),
    *("models.textures", "models.scenes", "models.drawing", "models.plan", "tf"),
    *("models.embedded", "models.backbones", "models.augment", "models.folding", "models.build", "models.plain"),
    *("models.engine", "models.prefix", "models.heads", "models.teachers", "models.pretrain"),
    *("feed", "fit", "train", "executors", "oracle", "cost", "prepare", "probe", "check"),
    *("report.evidence", "report.judgement", "report.caveats", "report.leaderboard", "report.rows", "report.winner"),
    *("report.images", "report.tables", "report.words", "report.terms", "report.thumbnails", "report.document"),
    *("report.reading", "report.summary", "report.cells", "report.views", "report.captions", "report.colours"),
    "report.pictures",
    *("report.charts.style", "report.charts.trials", "report.charts.survival", "report.charts.effects"),
    *("report.charts.winner", "report.charts.gallery", "report.page", "report.markdown", "report.pages"),
    *("report.console", "report.comparison", "report.checks", "report.watch", "report.tensorboard", "report.card"),
    *("predict", "session", "tuner", "export", "flags", "tools", "cli", "__main__"),
)
LIGHT = (
    *ORDER[: ORDER.index("tf")],
    *(name for name in ORDER if name.startswith("report.")),
    *("cost", "predict", "flags", "tools", "cli"),
)
HOMES = {  # the only importers
    "tensorflow": {"tf"},
    "keras": {"tf"},
    "keras_tuner": {"oracle"},
    "tensorboard": {"report.tensorboard"},
}


def file_of(name):
    return PACKAGE.joinpath(*name.split(".")).with_suffix(".py")


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def imports(node):
    """Yield the dotted names that code imports anywhere, but for type checkers alone."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif is_type_checking(node):
        for child in node.orelse:
            yield from imports(child)
    else:
        for child in ast.iter_child_nodes(node):
            yield from imports(child)


def imported_by(path):
    return set(imports(ast.parse(path.read_text(encoding="utf-8"))))


def own_modules(names):
    """Return the modules of search among imported names, which may be things within modules.

    What a package hands on from its modules counts as these.
    """
    found = set()
    for parts in (name.split(".")[1:] for name in names if name.split(".")[0] == "search"):
        stems = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        if stem := next((stem for stem in stems if file_of(stem).is_file()), None):
            found.add(stem)
        elif parts and (package := file_of(f"{parts[0]}.__init__")).is_file():
            found |= own_modules(imported_by(package))
    return found


def top_level(names):
    return {name.split(".")[0] for name in names}


def test_imports_inside_functions_count_and_those_for_type_checkers_do_not():
    code = """
if TYPE_CHECKING:
    import never
else:
    import a.b
def function():
    with x:
        from search import folder as folders, __version__
        from search.data.folds import Fold
"""
    found = set(imports(ast.parse(code)))
    assert found == {"a.b", "search.folder", "search.__version__", "search.data.folds.Fold"}
    assert own_modules(found) == {"folder", "data.folds"}


def test_what_a_package_hands_on_counts_as_its_modules():
    assert own_modules({"search.stats.Interval", "search.stats"}) == {"stats.intervals", "stats.scores"}


def test_every_module_has_its_place_in_the_order():
    found = {path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".") for path in PACKAGE.rglob("*.py")}
    assert {name for name in found if not name.endswith("__init__")} == set(ORDER)
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_module_imports_only_earlier_ones(name):
    assert own_modules(imported_by(file_of(name))) <= set(ORDER[: ORDER.index(name)])


@pytest.mark.parametrize("library", HOMES)
def test_library_is_imported_in_one_place(library):
    importers = {name for name in ORDER if library in top_level(imported_by(file_of(name)))}
    assert importers == HOMES[library]


def test_light_modules_do_not_load_tensorflow():
    modules = [
        "search",
        "search.data",
        "search.readers",
        "search.models",
        "search.report",
        "search.report.charts",
        "search.stats",
        *(f"search.{name}" for name in LIGHT),
    ]
    code = f"import json, sys, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(json.loads(answer.stdout))
    assert set(modules) <= loaded
    assert not loaded & {"tensorflow", "keras", "keras_tuner", "tensorboard", "search.tf"}


def test_third_party_imports_are_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["tensorboard"]]
    declared = {re.split(r"[^\w.-]", line)[0].lower() for line in lines}
    used = top_level(set().union(*(imported_by(path) for path in PACKAGE.rglob("*.py"))))
    homes = packages_distributions()
    foreign = used - sys.stdlib_module_names - {"search"}
    assert "numpy" in foreign
    undeclared = {name for name in foreign if not declared & {home.lower() for home in homes.get(name, [])}}
    assert not undeclared
