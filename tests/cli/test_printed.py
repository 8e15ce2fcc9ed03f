"""Every command that a search prints, on the terminal or in its files, works as it is printed."""

import html
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from kit.shapes import write_shapes
from kit.spaces import SPACE

RECIPE = '"SmallCNN", None, epochs=1, learning_rate=hp.Choice("learning_rate", [1e-3, 3e-3])'
OPTIONS = ("--results", "my results", "--groups", r"auto+_(\d+)", "--folds", "2", "--cache", "c", "--offline")


def commands(text):
    """Return the commands in a text, as they are printed: from where they begin to the end of the line."""
    return list(dict.fromkeys(re.findall(r"python -m search .*", text)))


def words(line):
    """Return the arguments of a printed command as a shell splits them."""
    start, *rest = shlex.split(line)[:3], *shlex.split(line)[3:]
    assert start == ["python", "-m", "search"]
    return rest


@pytest.fixture
def folder(search, tmp_path):
    """The folder of a search of images with a copy in another class, kept elsewhere; and what was printed."""
    images = write_shapes(tmp_path / "it's mine", {"across": 12, "down": 12})
    shutil.copy(next((images / "across").iterdir()), images / "down" / "down_99.png")
    Path("space.py").write_text(SPACE.format(recipe=RECIPE).replace("max_trials=1", "max_trials=2"))
    code, out, error = search("run", "space.py", "--data", "it's mine", "--executor", "inline", *OPTIONS)
    assert (code, error) == (0, "")
    return tmp_path / "my results" / "space-it's mine", out


def test_every_printed_command_works_as_printed(folder, search, tmp_path):
    place, out = folder
    check, export = commands(out)
    assert words(check)[:2] == ["check", "space.py"]
    assert {*OPTIONS[2:], "it's mine"} <= set(words(check))
    assert words(export)[0] == "export"
    page, markdown = ((place / "report" / name).read_text() for name in ("index.html", "report.md"))
    assert commands(markdown) == [export]
    assert export in html.unescape(page)
    assert json.loads((place / "report" / "report.json").read_text())["command"] == export

    code, out, _ = search("resume", place.name, "--results", "my results", "--cache", "c")
    assert code == 0
    checked_again, exported_again = commands(out)
    assert exported_again == export
    assert {*OPTIONS[2:6], str(tmp_path / "it's mine")} <= set(words(checked_again))

    for line in (check, checked_again):
        code, out, error = search(*words(line))
        assert (code, error) == (0, ""), line
        assert "2 folds" in out or "Folds: 2" in out
    code, out, _ = search(*words(export))
    assert code == 0
    model = tmp_path / f"{place.name}-model"
    (predict,) = commands((model / "README.md").read_text())
    shutil.copytree(tmp_path / "it's mine" / "down", model / "my-images")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(model)
        code, out, _ = search(*words(predict))
    assert code == 0
    assert out.count("my-images/") == 13

    (tmp_path / "it's mine").rename(tmp_path / "moved")
    code, _, error = search("resume", place.name, "--results", "my results", "--cache", "c")
    assert code == 1
    assert "where there is nothing now" in error
    (line,) = commands(error)
    code, _, error = search(*words(line.replace("FOLDER", "moved")), "--cache", "c")
    assert (code, error) == (0, "")


def test_commands_in_refusals_work_as_printed(search, tmp_path):
    write_shapes(tmp_path / "images", {"across": 12, "down": 12})
    for arguments in (["report", "nothing"], ["check", "images"], ["run", "nowhere.py"]):
        code, _, error = search(*arguments)
        assert code == 1
        (line,) = commands(error)
        first, second = line.split(" && ")
        assert words(first) == ["new-space", "finetune.py"]
        assert words(second)[1] == "finetune.py"
    assert search(*words(first))[0] == 0
    assert Path("finetune.py").read_text() == (Path(__file__).parents[2] / "spaces" / "finetune.py").read_text()
    code, _, error = search(*words(first))
    assert code == 1
    assert "finetune.py is there already" in error
    code, _, error = search("new-space", "b\udcfcck.py")  # which no verb could read
    assert code == 1
    assert "is not valid UTF-8" in error
    assert not Path("b\udcfcck.py").exists()


def test_weights_that_came_later_are_said_with_a_command_that_uses_them(search, imagenet, tmp_path, monkeypatch):
    write_shapes(tmp_path / "images", {"across": 12, "down": 12})
    recipe = 'hp.Choice("backbone", at_hand(["Embedded", "MobileNetV2_0.35"])), epochs=1'
    Path("space.py").write_text(SPACE.format(recipe=recipe).replace('"shapes"', '"images"'))
    with monkeypatch.context() as patch:
        patch.setenv("KERAS_HOME", str(tmp_path / "keras"))
        code, out, _ = search("run", "space.py", "--seed", "3", "--executor", "inline", "--offline", "--cache", "c")
        assert code == 0
        assert "Left out, as their ImageNet weights are not here: MobileNetV2_0.35 (--offline)" in out
        code, out, _ = search(*words(next(line for line in commands(out) if line.endswith("backbones"))))
        assert code == 0
        assert str(tmp_path / "keras" / "models") in out
    code, out, _ = search("resume", "space-images", "--cache", "c")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("At hand now, but not when this search began")]
    assert "not in it: MobileNetV2_0.35." in line
    (line,) = commands(line)
    code, out, error = search(*words(line), "--executor", "inline", "--offline")
    assert (code, error) == (0, "")
    assert "Backbones: Embedded, MobileNetV2_0.35" in out
    assert Path("results/space-images-2/report/index.html").is_file()
