"""``export --hub``: the real package puts a folder on a hub of this machine, once all that can be asked is asked."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from kit import toys
from kit.hub import LAB, ME, Hub

from search.export.hub import EXTRA, LEFT_OUT, NEEDS, before_it_is_public
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.recipe import Recipe

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
CHECK = "os.environ['HF_TOKEN'] = given[1]; check_repository(given[0])"
UPLOAD = "print(upload(Path(given[1]), given[0], print))"
# The package reads its address when it is imported, so this is a process of its own.
PROGRAM = """
import json, os, sys
from pathlib import Path
from search.export.hub import check_repository, upload
from search.system.errors import UserError

for given in json.loads(sys.argv[1]):
    try:
        {code}
        print("done")
    except UserError as error:
        print("Error:", *str(error).split())
"""
NAMES = [  # with a token, and what is said
    ("ada/new", "hf_write", "done"),
    ("lab/bees", "hf_write", "done"),
    ("bees", "hf_write", "'bees' is no name of a repository. Write user/name."),
    ("ada/be--es", "hf_write", "'ada/be--es' is no name of a repository"),
    ("ada/bees", "", "needs a token of the Hugging Face Hub, and there is none here"),
    ("ada/bees", "hf_wrong", "nothing was trained yet"),
    ("ada/bees", "hf_read", "may only read"),
    ("eve/bees", "hf_write", "your token is of ada, who may write for ada, lab alone"),
    ("ada/taken", "hf_write", "ada/taken on the Hub is not empty"),
]


@pytest.fixture
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture
def told(hub, tmp_path):
    """Run code with the package for each of what is given; return what it printed."""

    def run(code, *given, endpoint=hub.endpoint):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_write"}
        command = [sys.executable, "-c", PROGRAM.format(code=code), json.dumps(given)]
        root = PYPROJECT.parent
        answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=root)
        assert not answer.returncode, answer.stderr
        return answer.stdout

    return run


@pytest.fixture
def folder(tmp_path):
    """What an export leaves, as far as the hub is concerned."""
    (tmp_path / "model" / "saved_model").mkdir(parents=True)
    for name in ("README.md", "model.keras", "recipe.json", "saved_model/saved_model.pb", *LEFT_OUT):
        (tmp_path / "model" / name).write_text(f"of {name}")
    return tmp_path / "model"


def test_a_folder_is_put_into_a_private_repository_without_the_images_that_trained_it(hub, told, folder):
    lines = told(UPLOAD, [f"{LAB}/bees", str(folder)])
    assert hub.private == {f"{LAB}/bees": True}
    sent = ("README.md", "model.keras", "recipe.json", "saved_model/saved_model.pb")
    assert hub.repositories[f"{LAB}/bees"] == {name: f"of {name}".encode() for name in sent}
    assert f"Sending 4 files (0.0 MB) to {LAB}/bees: README.md, model.keras, recipe.json, saved_model" in lines
    assert "trained_on.npz stays here" in lines
    assert f"{hub.endpoint}/{LAB}/bees" in lines


def test_what_can_be_known_before_training_is_said_before_it(hub, told):
    hub.repositories |= {"ada/taken": {".gitattributes": b"", "model.keras": b""}, "ada/new": {".gitattributes": b""}}
    hub.private |= dict.fromkeys(hub.repositories, True)
    lines = told(CHECK, *[[name, token] for name, token, _ in NAMES]).splitlines()
    for line, (name, token, says) in zip(lines, NAMES, strict=True):
        assert says in line, (name, token)
    assert set(hub.repositories) == {"ada/taken", "ada/new"}, "to ask makes nothing"


def test_a_hub_that_is_out_of_reach_is_an_error_in_words(told):
    line = told(CHECK, ["ada/bees", "hf_write"], endpoint="http://127.0.0.1:9")
    assert "The Hugging Face Hub (http://127.0.0.1:9) does not answer as it should" in line


def test_a_failed_upload_leaves_the_folder_and_says_how_to_try_again(hub, told, folder):
    hub.refuses_commits = True
    line = told(UPLOAD, [f"{ME}/bees", str(folder)])
    assert f"Error: The upload to {ME}/bees failed (" in line
    again = f"hf upload {ME}/bees {folder} . --private --exclude trained_on.npz --exclude changes.csv"
    assert again in line
    assert (folder / "model.keras").is_file()


def test_without_the_option_nothing_is_asked_of_the_hub(hub, finished, search, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    code, out, err = search("export", finished / "results" / "space-shapes", "--to", "x", "--cache", finished / "cache")
    assert not code, err
    assert "Hugging" not in out
    assert not hub.asked


def test_the_verb_refuses_a_bad_name_before_it_trains(finished, search):
    code, out, err = search("export", finished / "results" / "space-shapes", "--to", "x", "--hub", "bees")
    assert code == 1
    assert "Write user/name" in err
    assert "Training" not in out
    assert not Path("x").exists()


def test_what_to_settle_before_all_may_see_a_model(monkeypatch):
    monkeypatch.setitem(BACKBONES, "Toy", toys.BACKBONE)  # of whose weights no licence is known
    unknown = Recipe("Toy", 0)
    assert any("is not known to this program" in line for line in before_it_is_public([unknown]))
    scratch = list(before_it_is_public([Recipe("SmallCNN", None)]))
    assert any("No licence is given" in line for line in scratch)
    of_imagenet = list(before_it_is_public([Recipe("EfficientNetLite0")]))
    assert any("ImageNet" in line for line in of_imagenet)
    assert not any("not known" in line for line in of_imagenet)
    assert all("name your classes" in lines[-1] for lines in (scratch, of_imagenet))


def test_the_extra_has_what_it_needs():
    extras = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert list(NEEDS) == extras[EXTRA]
