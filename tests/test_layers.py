"""A module imports only from its own rank and below, never in a circle, and few may load TensorFlow."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "search"
RANKS = (  # from the bottom: folders, a folder in a folder, and the modules of the spine
    *("system", "analysis.stats", "training.heads", "repertoire", "study", "space", "options", "data"),
    *(
        "journal",
        "racing",
        "integrity",
        "record",
        "reopening",
        "training",
        "audit",
        "executors",
        "oracles",
        "prepare",
        "check",
        "jobs",
    ),
    *(
        "analysis",
        "report",
        "monitor",
        "synthesis",
        "preview",
        "session",
        "tuner",
        "export",
        "evaluation",
        "pretraining",
        "cli",
        "__main__",
    ),
)
MOST_IN_SPINE, MOST_IN_FOLDER = 12, 20
MORE = {"exhibits": 25}  # see DECISIONS, "Exhibits are more than twenty files"
HEAVY = {  # these load TensorFlow, which takes seconds
    *("search.system.tf", "search.oracles", "search.oracles.hyperparameters", "search.oracles.table"),
    *("search.oracles.elsewhere", "search.oracles.habits", "search.oracles.values", "search.oracles.networks"),
    *("search.oracles.meaning", "search.prepare", "search.jobs", "search.session", "search.tuner"),
    *("search.preview.choices", "search.preview.pictures", "search.preview.page"),
    *(
        "search.export.export",
        "search.export.forms.writing",
        "search.export.members",
        "search.export.plain",
        "search.pretraining.teachers",
        "search.pretraining.pretrain",
    ),
    *("search.training.activations", "search.training.batches", "search.training.compiled", "search.training.folding"),
    *(
        "search.training.features",
        "search.training.inputs",
        "search.training.loop",
        "search.training.network",
        "search.training.networks",
    ),
    "search.executors.placement",
    "search.training.precision",
    *("search.training.trainer", "search.training.storing", "search.training.update", "search.synthesis.networks"),
}
HOMES = {  # the only importers
    "tensorflow": {"search.system.tf"},
    "keras": {"search.system.tf"},
    "keras_tuner": {"search.oracles.hyperparameters", "search.oracles.table"},
    "tensorboard": {"search.monitor.tensorboard"},
    "mlflow": {"search.report.trackers.mlflow"},
    "ray": {"search.executors.cluster", "search.executors.place"},
    "torch": {"search.synthesis.diffusion"},
    "diffusers": {"search.synthesis.diffusion"},
    "ai_edge_litert": {"search.export.forms.litert"},
    "onnxruntime": {"search.export.forms.onnx"},
    "huggingface_hub": {"search.export.hub"},
}


def modules():
    """Return every module by its dotted name, packages by the names of their folders."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


MODULES = modules()


def is_heavy(module):
    """Return whether a module may load TensorFlow: every head may."""
    return module in HEAVY or module.startswith("search.training.heads.")


def rank(module):
    """Return the rank of a module: that of the longest name in RANKS which its own begins with."""
    parts = module.split(".")[1:]
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next(RANKS.index(name) for name in names if name in RANKS)


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
    for parts in (name.split(".") for name in names if name.split(".")[0] == "search"):
        stems = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
        stem = next((stem for stem in stems if stem in MODULES), "search")
        if MODULES[stem].name != "__init__.py":
            found.add(stem)
        elif stem != "search":
            found |= own_modules(imported_by(MODULES[stem]))
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
        from search import record as renamed, __version__
        from search.data.folds import Fold
"""
    found = set(imports(ast.parse(code)))
    assert found == {"a.b", "search.record", "search.__version__", "search.data.folds.Fold"}
    assert own_modules(found) == {"search.record", "search.data.folds"}


def test_what_a_package_hands_on_counts_as_its_modules():
    names = {"search.analysis.stats.Interval", "search.analysis.stats"}
    assert own_modules(names) == {"search.analysis.stats.intervals", "search.analysis.stats.scores"}


RANKED = sorted(name for name, path in MODULES.items() if path.name != "__init__.py")


@pytest.mark.parametrize("name", RANKED)
def test_a_module_imports_only_from_its_own_rank_and_below(name):
    above = {other for other in own_modules(imported_by(MODULES[name])) if rank(other) > rank(name)}
    assert not above


def test_no_modules_import_each_other_in_a_circle():
    left = {name: own_modules(imported_by(MODULES[name])) - {name} for name in RANKED}
    while free := {name for name, needed in left.items() if not needed & set(left)}:
        left = {name: needed for name, needed in left.items() if name not in free}
    assert not left


def test_every_rank_is_taken_and_no_folder_is_crowded():
    assert {rank(name) for name in RANKED} == set(range(len(RANKS)))
    homes = Counter(path.parent for name, path in MODULES.items() if path.name not in {"__init__.py", "__main__.py"})
    assert homes.pop(PACKAGE) <= MOST_IN_SPINE
    assert not {home for home, count in homes.items() if count > MORE.get(home.name, MOST_IN_FOLDER)}


@pytest.mark.parametrize("library", HOMES)
def test_library_is_imported_in_one_place(library):
    importers = {name for name in RANKED if library in top_level(imported_by(MODULES[name]))}
    assert importers == HOMES[library]


def test_all_but_a_few_modules_do_not_load_tensorflow():
    assert set(MODULES) >= HEAVY
    light = sorted(name for name in MODULES if not is_heavy(name) and name != "search.__main__")
    code = f"import json, sys, {', '.join(light)}; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(json.loads(answer.stdout))
    assert set(light) <= loaded
    assert not loaded & {"tensorflow", "keras", "keras_tuner", "tensorboard", "search.system.tf"}


def test_third_party_imports_are_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    own = ("diffusion", "heif", "huggingface", "litert", "mlflow", "onnx", "ray", "tensorboard")
    lines = [*project["dependencies"], *(line for name in own for line in extras[name])]
    declared = {re.split(r"[^\w.-]", line)[0].lower() for line in lines}
    used = top_level(set().union(*(imported_by(path) for path in PACKAGE.rglob("*.py"))))
    homes = packages_distributions()
    foreign = used - sys.stdlib_module_names - {"search"}
    assert "numpy" in foreign
    undeclared = {
        name
        for name in foreign
        if not declared & {home.lower().replace("_", "-") for home in homes.get(name, [name])}
        | {name.replace("_", "-")}
    }
    assert not undeclared
