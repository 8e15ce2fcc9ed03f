"""The documents say what is so: sizes, links, commands, options, code, fields, numbers of formats."""

import ast
import dataclasses
import inspect
import re
import shlex
from pathlib import Path

import pytest
from kit import choices

import search
from search.cli.main import cli
from search.repertoire.augmentation import Augment
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.mixing import Mix
from search.repertoire.networks import Fit
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.rates import BASES
from search.repertoire.recipe import Recipe
from search.repertoire.sampling import Sampling
from search.repertoire.schedules import SCHEDULES, Schedule
from search.repertoire.synthetic import Synthetic
from search.space import Built, Hand, build_recipe, holding, load_space_file
from search.study import Study
from search.system.machine import cores
from search.training.trainer import set_up

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "data/README.md", "results/README.md")),  # beside these lie people's own
    *sorted(
        path
        for folder in ("spaces", "search", "tests")
        for path in (ROOT / folder).rglob("*.md")
        if path.parent.name != "templates" and "frozen/report" not in path.as_posix()
    ),
]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in DOCUMENTS}
README, SPACES, CODE, DECISIONS = (
    TEXTS[name] for name in ("README.md", "spaces/README.md", "search/README.md", "search/DECISIONS.md")
)
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
COMMAND = "python -m search "
PLACEHOLDER = re.compile(r"N|FOLDER|FILE")  # of a number, or a place
PATH = re.compile(r"`((?:search|tests|spaces)/[\w./-]*)`")  # below data/ and results/ lie people's own


def blocks(text, language):
    """Return the code blocks in a language, without the indentation of a list that they stand in."""
    pairs = [(indent, body) for indent, name, body in BLOCK.findall(text) if name == language]
    return [re.sub(f"^{indent}", "", body, flags=re.MULTILINE) for indent, body in pairs]


def headings(text):
    return re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.MULTILINE)


def anchor(heading):
    """Return the name that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def table_rows(text, heading):
    """Return the cells of the tables below a heading, without their first two lines."""
    section = re.split(r"^#+ ", text.split(f" {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def commands(text):
    """Yield the arguments of each `python -m search …` in code, at the beginning of a line or in backticks."""
    prose = BLOCK.sub("", text)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    lines = [line for *_, body in BLOCK.findall(text) for line in re.split(r"(?<!\\)\n|&&", body)]
    for line in (*spans, *lines):
        start = re.match(rf"(\$ )?(\w+=\S+ )*{COMMAND}", line.strip())
        if start:
            yield shlex.split(line.strip()[start.end() :].replace("\\\n", " "), comments=True)


COMMANDS = sorted({(name, *arguments) for name, text in TEXTS.items() for arguments in commands(text)})


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 120
    assert len(README.encode()) <= 8192


def test_its_test_command_is_the_one_that_continuous_integration_takes():
    first = next(line for line in README.splitlines() if re.match(r"^python3 -m venv .*pytest( |$)", line))
    assert first.endswith('pip install -e ".[test]" && pytest -n 2')


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    text = BLOCK.sub("", TEXTS[name])
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        place, _, fragment = link.partition("#")
        target = (ROOT / name).parent / place if place else ROOT / name
        assert target.exists(), link
        if fragment:
            assert fragment in map(anchor, headings(target.read_text(encoding="utf-8"))), link


def test_every_document_is_reached_from_the_readme():
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        document = todo.pop().resolve()
        if document not in reached and document.suffix == ".md":
            reached.add(document)
            links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
            todo += [document.parent / link for link in links if "://" not in link]
    assert not {path for path in DOCUMENTS if path.resolve() not in reached}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_can_be_typed(command):
    _, name, *arguments = command
    if name == "VERB":
        assert arguments == ["--help"]
    elif arguments:  # prose may name a verb alone
        filled = ["3" if PLACEHOLDER.fullmatch(argument) else argument for argument in arguments]
        cli.commands[name].make_context(name, filled)  # raises for a missing argument, an unknown option or value
    else:
        assert name in cli.commands


def test_commands_are_where_people_look_for_them():
    verbs = {command[1] for command in COMMANDS if command[0] == "README.md"}
    assert {"check", "run", "resume", "watch", "report", "export", "predict"} <= verbs


def test_every_verb_and_option_is_in_the_list_of_commands():
    section = SPACES.split("## Commands", 1)[1].split("\n## ", 1)[0]
    listed = {row[0].strip("`").split()[3] for row in table_rows(SPACES, "Commands") if COMMAND in row[0]}
    assert listed == set(cli.commands)
    for verb in cli.commands.values():
        for option in (option for parameter in verb.params for option in parameter.opts if option.startswith("--")):
            assert option in section, f"{verb.name} {option}"


def test_the_default_space_is_shown_as_it_is():
    code = (ROOT / "spaces" / "finetune.py").read_text(encoding="utf-8").split('"""', 2)[2].strip()
    assert code in [block.strip() for block in blocks(SPACES, "python")]
    for path in (ROOT / "spaces").glob("*.py"):
        assert f"]({path.name})" in SPACES


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "search/README.md"])
def test_paths_in_prose_exist(name):
    paths = PATH.findall(BLOCK.sub("", TEXTS[name]))
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_paths_in_the_page_on_code_exist():
    paths = PATH.findall(BLOCK.sub("", CODE))
    assert len(paths) > 20
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_map_names_every_module():
    rooms = dict(
        re.findall(r"^([\w/]+)/ +(.+(?:\n {10}.+)*)", blocks(CODE.split("## The map")[1], "text")[0], re.MULTILINE)
    )
    spine = re.findall(r"\b(\w+)\.py\b", blocks(CODE.split("## The map")[1], "text")[0])
    package = ROOT / "search"
    assert sorted(spine) == sorted(path.stem for path in package.glob("*.py") if not path.name.startswith("__"))
    folders = {path.parent.relative_to(package).as_posix() for path in package.rglob("*.py")} - {"."}
    assert set(rooms) == {folder for folder in folders if "/" not in folder} | {"analysis/stats"}
    for room, words in rooms.items():
        stems = {path.stem for path in (package / room).glob("*.py") if path.name != "__init__.py"}
        assert stems <= set(re.findall(r"\w+", words)) | (set(cli.commands) if room == "cli" else set()), room


@pytest.mark.parametrize("name", TEXTS)
def test_python_in_the_documents_is_python(name):
    for block in blocks(TEXTS[name], "python"):
        ast.parse(block)


@pytest.mark.parametrize("code", [block for block in blocks(SPACES, "python") if "study =" in block])
def test_a_space_in_the_documents_is_one(code, tmp_path):
    from keras_tuner import HyperParameters

    set_up(cores())  # one of them builds its network, and TensorFlow's threads are fixed by what runs first
    file = tmp_path / "space.py"
    file.write_text(code, encoding="utf-8")
    read = load_space_file(file)
    with holding(Hand()):  # all backbones are at hand
        assert isinstance(build_recipe(read.space, HyperParameters(), 96, file), Recipe | Built)


@pytest.mark.parametrize(
    ("of", "chapter"),
    [(Study, "Every field of Study"), (Recipe, "Every field of Recipe"), (Fit, "A network of your own, compiled")],
)
def test_every_field_is_described_with_its_default(of, chapter):
    rows = {row[0].strip("`"): row[1] for row in table_rows(SPACES, chapter)}
    names = {
        "Augment": Augment,
        "Mix": Mix,
        "Sampling": Sampling,
        "Synthetic": Synthetic,
        "Schedule": Schedule,
    }
    described = {name: eval(default.strip("`"), names) if default else None for name, default in rows.items()}
    defaults = {
        field.name: field.default_factory() if field.default is dataclasses.MISSING else field.default
        for field in dataclasses.fields(of)
        if not (field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING)
    }
    needed = {field.name for field in dataclasses.fields(of)} - set(defaults)
    assert {name: described[name] for name in rows if rows[name]} == defaults
    assert {name for name in rows if not rows[name]} == needed


CHOICES = {
    "augment": Augment,
    "class_weight": lambda wrong: Recipe("SmallCNN", None, class_weight=wrong),
    "objective": lambda wrong: Study("data", objective=wrong),
    "oracle": lambda wrong: Study("data", oracle=wrong),
    "head": lambda wrong: Recipe("SmallCNN", None, head=wrong),
    "loss": lambda wrong: Recipe("SmallCNN", None, loss=wrong),
    "optimizer": lambda wrong: Recipe("SmallCNN", None, optimizer=wrong),
    "schedule": lambda wrong: Recipe("SmallCNN", None, schedule=wrong),
    "mix": lambda wrong: Recipe("SmallCNN", None, mix=wrong),
    "epoch": lambda wrong: Recipe("SmallCNN", None, epoch=wrong),
    "pooling": lambda wrong: Recipe("SmallCNN", None, pooling=wrong),
    "tta": lambda wrong: Recipe("SmallCNN", None, tta=wrong),
    "sampling": lambda wrong: Recipe("SmallCNN", None, sampling=wrong),
    "splits": lambda wrong: Study("data", splits=wrong),
}


@pytest.mark.parametrize("field", CHOICES)
def test_every_choice_is_described(field):
    with pytest.raises(search.UserError, match="Choose one of: ") as refusal:
        CHOICES[field]("?")
    names = str(refusal.value).split("Choose one of: ")[1].rstrip(".").split(", ")
    assert names
    assert not [name for name in names if f"`{name}`" not in SPACES and f'`"{name}"`' not in SPACES]


def test_the_table_of_choices_is_that_of_the_program():
    assert choices.shown() == choices.table()
    assert set(choices.OTHERS) == {field.name for field in dataclasses.fields(Recipe)}


def test_the_bases_of_learning_rates_are_listed():
    listed = [float(base) for _, base in table_rows(SPACES, "Learning rates")]
    assert listed == list(BASES.values())
    text = SPACES.split("\n## Learning rates\n")[1].split("\n## ")[0]
    for row in OPTIMIZERS.values():
        assert row.rate_factor == 1 or f"{row.rate_factor:g} times" in text


def test_the_parameters_of_schedules_are_listed():
    listed = {row[0].strip("`"): row[2] for row in table_rows(SPACES, "Schedules")}
    assert set(listed) == set(SCHEDULES)
    for name, row in SCHEDULES.items():
        for parameter, default in row.parameters.items():
            assert f"`{parameter}={default}`" in listed[name] or default is None


def test_every_backbone_is_described():
    rows = table_rows(SPACES, "Backbones")
    listed = []
    for name in re.findall(r"`([A-Z]\w+(?:\.\d+)?|_[\w.]+)`", " ".join(cell for row in rows for cell in row)):
        listed.append(listed[-1].partition("_")[0] + name if name.startswith("_") else name)
    assert set(BACKBONES) <= set(listed)
    assert {name for name in listed if not hasattr(search, name)} == set(BACKBONES)


def numbers_in_the_code():
    """Return every format and version number by the dotted name of its constant, without `search`."""
    pattern = re.compile(r"^((?:[A-Z]+_)?(?:VERSION|FORMAT|SCHEMA))(?:: \w+)? = (\d+)\b", re.MULTILINE)
    numbers = {}
    for path in (ROOT / "search").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "search").with_suffix("").parts)
        for name, number in pattern.findall(path.read_text(encoding="utf-8")):
            numbers[f"{module}.{name}"] = int(number)
    return numbers


def test_every_format_and_version_number_is_explained():
    rows = {row[0].strip("`"): row for row in table_rows(CODE, "Formats and versions")}
    assert {name: int(row[1]) for name, row in rows.items()} == numbers_in_the_code()
    assert all(all(row) for row in rows.values())


def test_the_changes_reach_to_this_version():
    assert any(heading.startswith(search.__version__) for heading in headings(TEXTS["search/CHANGELOG.md"]))
    assert f"Version {search.__version__}" in README


def test_a_decision_says_what_was_tried_or_why_and_the_verdict():
    entries = re.split(r"^## ", DECISIONS, flags=re.MULTILINE)[1:]
    assert len(entries) >= 45
    for entry in entries:
        assert "- **Verdict**:" in entry, entry
        assert ("- **Tried**:" in entry) != ("- **Why**:" in entry), entry


def test_a_comment_that_names_a_decision_names_one_that_is_there():
    names = set(headings(DECISIONS))
    for path in (ROOT / "search").rglob("*.py"):
        for name in re.findall(r"# DECISIONS: (.+?)\.?$", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert name in names, f"{path}: {name}"


def test_code_keeps_to_the_documents_names():
    """Names in the notebook's lines exist."""
    (block,) = [block for block in blocks(SPACES, "python") if "KFoldTuner" in block]
    for call in (node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "tuner":
            assert inspect.isfunction(getattr(search.KFoldTuner, call.func.attr))
